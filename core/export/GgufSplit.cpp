// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufSplit.h"

#include "core/base/AtomicFile.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/export/Exporter.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <system_error>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 5;

/// What of a file's size does not depend on its tensors.
Bytes unpaddedHeader(Bytes keyBytes)
{
    return 4 + 4 + 8 + 8 + keyBytes;
}

bool isOurModel(const fs::path& path)
{
    const auto found = Checkpoint::open(path, {.alone = true});
    return found && (*found)->format() == CheckpointFormat::Gguf && (*found)->gguf().find("sigmascope.version") != nullptr
           && (*found)->gguf().string("general.type").value_or("") == std::string_view("model");
}

/// N of "PREFIX-00001-of-0000N.gguf", 2 at least; nothing for other names.
std::optional<std::size_t> splitCountIn(std::string_view name, std::string_view prefix)
{
    constexpr std::string_view kOf = "-of-";
    constexpr std::string_view kEnd = ".gguf";
    const std::size_t length = prefix.size() + 1 + kDigits + kOf.size() + kDigits + kEnd.size();
    if (name.size() != length || !name.starts_with(prefix) || name[prefix.size()] != '-' || !name.ends_with(kEnd)
        || name.substr(prefix.size() + 1 + kDigits, kOf.size()) != kOf)
        return std::nullopt;
    const std::string_view count = name.substr(prefix.size() + 1 + kDigits + kOf.size(), kDigits);
    const std::string_view number = name.substr(prefix.size() + 1, kDigits);
    std::size_t value = 0;
    for (const std::string_view digits : {number, count}) {
        value = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9')
                return std::nullopt;
            value = 10 * value + static_cast<std::size_t>(c - '0');
        }
    }
    return value > 1 ? std::optional(value) : std::nullopt;  // one file has no such name here
}

std::string prefixOf(const fs::path& output)
{
    const std::string name = output.filename().native();
    constexpr std::string_view kEnd = ".gguf";
    return name.ends_with(kEnd) ? name.substr(0, name.size() - kEnd.size()) : name;
}

}  // namespace

GgufSplitLimits splitLimitsOf(const ExportRequest& request)
{
    return {request.ggufMaxBytes, request.ggufMaxTensors};
}

std::vector<GgufRun> splitGguf(const GgufSplitLimits& limits, Bytes keyBytes, std::span<const GgufTensorSpec> tensors)
{
    if (limits.bytes == 0 && limits.tensors == 0)
        return {{0, tensors.size()}};
    const Bytes splitBytes = splitKeys(0, 1, {}).bytes();
    const auto cut = [&](Bytes firstKeys) {
        std::vector<GgufRun> runs{{0, 0}};
        Bytes header = unpaddedHeader(firstKeys);
        Bytes data = 0;
        std::size_t inFile = 0;
        for (std::size_t i = 0; i < tensors.size();) {
            const std::size_t end = i + std::max<std::uint32_t>(1, tensors[i].parts);
            Bytes size = 0;
            for (std::size_t part = i; part < end; ++part)
                size += ggufPaddedBytes(tensors[part]);
            const Bytes info = ggufInfoBytes(tensors[i]);
            const bool isFull = (limits.tensors != 0 && inFile == limits.tensors)
                                || (limits.bytes != 0 && ggufPaddedBytes(header + info) + data + size > limits.bytes);
            if (isFull && inFile != 0) {
                runs.push_back({i, i});
                header = unpaddedHeader(splitBytes);
                data = 0;
                inFile = 0;
            }
            header += info;
            data += size;
            ++inFile;
            runs.back().end = end;
            i = end;
        }
        return runs;
    };
    // Without the split's own keys it may still fit into one.
    const auto whole = cut(keyBytes);
    return whole.size() == 1 ? whole : cut(keyBytes + splitBytes);
}

GgufKeys splitKeys(std::size_t number, std::size_t count, std::span<const GgufTensorSpec> tensors)
{
    GgufKeys keys;
    keys.set("split.no", static_cast<std::uint16_t>(number));
    keys.set("split.count", static_cast<std::uint16_t>(count));
    const auto wholes = std::ranges::count_if(tensors, [](const GgufTensorSpec& spec) { return spec.part == 0; });
    keys.set("split.tensors.count", static_cast<std::int32_t>(wholes));
    return keys;
}

fs::path splitPathFor(const fs::path& output, std::size_t number, std::size_t count)
{
    if (count <= 1)
        return output;
    return output.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", prefixOf(output), number + 1, count);
}

std::vector<fs::path> staleModels(const fs::path& output, std::span<const fs::path> written, bool withBackups)
{
    const fs::path folder = output.has_parent_path() ? output.parent_path() : fs::path(".");
    const std::string prefix = prefixOf(output);
    const std::string aside = backupPathFor("x").filename().native().substr(1);
    const auto isWritten = [&](const std::string& name) {
        return std::ranges::any_of(written, [&](const fs::path& path) { return path.filename() == name; });
    };
    // The model in one file is a set of one; which of a set's files are there, and where they lie now.
    std::map<std::size_t, std::map<std::string, fs::path>> sets;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        std::error_code ignored;
        std::string name = entry->path().filename().native();
        if (withBackups && name.ends_with(aside))
            name.resize(name.size() - aside.size());
        const auto count = name == output.filename().native() ? std::optional<std::size_t>(1) : splitCountIn(name, prefix);
        if (count && !isWritten(name) && fs::is_regular_file(fs::symlink_status(entry->path(), ignored)))
            sets[*count].emplace(name, entry->path());
    }
    std::vector<fs::path> stale;
    for (const auto& [count, files] : sets) {
        // The run that is taken up may have removed some of what it had set aside, the first file among them.
        const bool isSetAside = std::ranges::any_of(files, [](const auto& file) { return file.second.filename() != file.first; });
        const auto first = files.find(splitPathFor(output, 0, count).filename().native());
        if (!isSetAside && (first == files.end() || !isOurModel(first->second)))
            continue;
        for (const auto& [name, path] : files)
            stale.push_back(output.parent_path() / name);
    }
    return stale;
}

}  // namespace sigmascope
