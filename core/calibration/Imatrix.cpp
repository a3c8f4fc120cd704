// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibration/Imatrix.h"

#include "core/base/MappedFile.h"
#include "core/calibration/ImatrixReaders.h"
#include "core/checkpoint/ModelTopology.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

namespace sigmascope {

const ImatrixEntry* Imatrix::find(std::string_view tensorName, std::uint64_t cols) const
{
    const auto lookUp = [&](const std::string& name) -> const ImatrixEntry* {
        const auto it = entries.find(name);
        if (it == entries.end() || it->second.meanSquares.size() != it->second.matrices * cols)
            return nullptr;
        return &it->second;
    };
    if (const ImatrixEntry* entry = lookUp(std::string(tensorName)))
        return entry;
    if (const auto part = expertPartOf(tensorName)) {
        const ImatrixEntry* stack = lookUp(part->stack);
        return stack != nullptr && part->expert < stack->matrices ? stack : nullptr;
    }
    const auto gguf = ggufNameOf(tensorName);
    return gguf ? lookUp(*gguf) : nullptr;
}

std::optional<std::string> whyUnusable(const ImatrixEntry& entry)
{
    const std::size_t cols = entry.meanSquares.size() / entry.matrices;
    for (std::size_t matrix = 0; matrix < entry.matrices; ++matrix) {
        const std::string which = entry.matrices > 1 ? fmt::format(" of expert {}", matrix) : "";
        bool anyPositive = false;
        for (std::size_t column = 0; column < cols; ++column) {
            const float value = entry.meanSquares[matrix * cols + column];
            if (!std::isfinite(value))
                return fmt::format("column {}{} is not finite", column, which);
            if (value < 0)
                return fmt::format("column {}{} is negative ({})", column, which, value);
            anyPositive = anyPositive || value > 0;
        }
        if (!anyPositive)
            return "all columns" + which + " are zero";
    }
    return std::nullopt;
}

Result<Imatrix> readImatrix(const std::filesystem::path& path)
{
    // The extension does not decide: files of either format are found under both names.
    const auto file = MappedFile::open(path);
    if (!file)
        return passOn(file);
    const auto bytes = (*file)->bytes();
    const bool isGguf = bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
    auto imatrix = isGguf ? readGgufImatrix(path) : readLegacyImatrix(**file);
    if (!imatrix)
        return imatrix;
    if (Status unchanged = (*file)->checkUnchanged(); !unchanged)
        return passOn(unchanged);
    imatrix->path = path;
    if (imatrix->entries.empty() && imatrix->unusable.empty())
        return fail(ErrorCode::BadCalibration, Where{.file = path.native()}, "the importance matrix has no entries");
    return imatrix;
}

}  // namespace sigmascope
