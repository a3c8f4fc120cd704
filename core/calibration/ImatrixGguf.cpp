// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibration/ImatrixReaders.h"
#include "core/checkpoint/Checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace sigmascope {

namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

/// The values of an F32 tensor, copied (views may be unaligned).
Result<std::vector<float>> floatsOf(const Checkpoint& file, std::size_t tensor)
{
    const TensorInfo& info = file.tensors()[tensor];
    if (info.dtype != DType::F32)
        return fail(ErrorCode::BadCalibration,
                    Where{.file = file.path().native(), .tensor = info.name, .offset = info.offset},
                    fmt::format("expected F32, found {}", sigmascope::info(info.dtype).name));
    const auto view = file.view(tensor);
    if (!view)
        return passOn(view);
    std::vector<float> values(view->bytes.size() / sizeof(float));
    std::memcpy(values.data(), view->bytes.data(), values.size() * sizeof(float));
    return values;
}

/// Sums over tokens divided by the tokens. An expert that saw none, or a count that is no number, makes NaN,
/// which the check of values then names.
Result<ImatrixEntry> entryOf(const Checkpoint& file, std::size_t sumsAt, std::size_t countsAt)
{
    auto sums = floatsOf(file, sumsAt);
    if (!sums)
        return passOn(sums);
    const auto counts = floatsOf(file, countsAt);
    if (!counts)
        return passOn(counts);
    const Shape& shape = file.tensors()[sumsAt].shape;
    const std::uint64_t cols = shape.empty() ? 1 : shape.back();
    const TensorInfo& countsInfo = file.tensors()[countsAt];
    if (sums->empty() || counts->size() != sums->size() / cols)
        return fail(ErrorCode::BadCalibration,
                    Where{.file = file.path().native(), .tensor = countsInfo.name, .offset = countsInfo.offset},
                    fmt::format("{} counts for sums of shape {}", counts->size(), toString(shape)));

    ImatrixEntry entry{.matrices = counts->size()};
    for (std::uint64_t matrix = 0; matrix < entry.matrices; ++matrix) {
        const float count = (*counts)[matrix];
        for (std::uint64_t column = 0; column < cols; ++column) {
            float& value = (*sums)[matrix * cols + column];
            value = count > 0 ? value / count : std::numeric_limits<float>::quiet_NaN();
        }
    }
    entry.meanSquares = std::move(*sums);
    entry.tokens = std::ranges::min(*counts);
    return entry;
}

std::optional<std::string> whyNoTokens(const Checkpoint& file, std::size_t countsAt)
{
    const auto counts = floatsOf(file, countsAt);
    if (!counts)
        return std::nullopt;
    const auto bad = std::ranges::find_if(*counts, [](float count) { return !(count > 0) || std::isinf(count); });
    if (bad == counts->end())
        return std::nullopt;
    const std::string which = counts->size() > 1 ? fmt::format("expert {} has ", bad - counts->begin()) : "";
    return which + (*bad == 0 ? "no tokens" : fmt::format("a token count of {}", *bad));
}

Status checkKind(const Checkpoint& file)
{
    const auto type = file.gguf().string("general.type");
    if (type == "imatrix")
        return {};
    return fail(ErrorCode::BadCalibration, Where{.file = file.path().native(), .tensor = "general.type"},
                fmt::format("expected 'imatrix', found {}", type ? "'" + escaped(*type) + "'" : "nothing"));
}

}  // namespace

Result<Imatrix> readGgufImatrix(const std::filesystem::path& path)
{
    const auto opened = Checkpoint::open(path);
    if (!opened)
        return passOn(opened);
    const Checkpoint& file = **opened;
    if (Status kind = checkKind(file); !kind)
        return passOn(kind);

    Imatrix imatrix;
    if (const auto datasets = file.gguf().strings("imatrix.datasets"))
        imatrix.datasets.assign(datasets->begin(), datasets->end());
    imatrix.chunks = file.gguf().u32("imatrix.chunk_count").value_or(0);
    imatrix.chunkSize = file.gguf().u32("imatrix.chunk_size").value_or(0);
    for (std::size_t i = 0; i < file.tensors().size(); ++i) {
        const std::string& tensor = file.tensors()[i].name;
        if (!tensor.ends_with(kSums))
            continue;
        const std::string name = tensor.substr(0, tensor.size() - kSums.size());
        const auto countsAt = file.find(name + std::string(kCounts));
        if (!countsAt)
            return fail(ErrorCode::BadCalibration,
                        Where{.file = path.native(), .tensor = tensor, .offset = file.tensors()[i].offset},
                        fmt::format("has no '{}{}' beside it", escaped(name), kCounts));
        auto entry = entryOf(file, i, *countsAt);
        if (!entry)
            return passOn(entry);
        auto reason = whyNoTokens(file, *countsAt);
        if (!reason)
            reason = whyUnusable(*entry);
        if (reason)
            imatrix.unusable.push_back(name + ": " + *reason);
        else
            imatrix.entries.emplace(name, std::move(*entry));
        if (Status unchanged = file.checkUnchanged(i); !unchanged)
            return passOn(unchanged);
    }
    return imatrix;
}

}  // namespace sigmascope
