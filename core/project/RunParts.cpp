// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/RunParts.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace sigmascope {

WorkModel::Kind workKindOf(const LayerPlan& plan)
{
    using Kind = WorkModel::Kind;
    return plan.keep ? Kind::Keep : plan.rank > 0 ? Kind::Correct : Kind::Code;
}

double workUnitsOf(const TensorInfo& tensor, const LayerPlan& plan)
{
    const auto elements = static_cast<double>(std::max<std::uint64_t>(1, tensor.elements()));
    return plan.rank > 0 && !plan.keep ? elements * (6.0 + static_cast<double>(plan.rank) / 8.0) : elements;
}

tl::unexpected<Error> failIn(const Checkpoint& checkpoint, std::size_t tensor, const Error& error)
{
    if (error.code == ErrorCode::Cancelled)
        return tl::unexpected<Error>(error);
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const MappedFile* file = source.shard < checkpoint.shardCount() ? checkpoint.shard(source.shard) : nullptr;
    Where where{.tensor = source.name, .offset = source.offset};
    where.file = file == nullptr ? checkpoint.path().string() : file->path().string();
    return fail(error.code, where, error.detail);
}

void addReason(std::string& text, const std::string& reason)
{
    if (text.find(reason) != std::string::npos)
        return;
    text = reason.find(text) != std::string::npos ? reason : text + "; " + reason;
}

void addReasons(Reasons& reasons, const std::vector<Fallback>& fallbacks)
{
    for (const Fallback& fallback : fallbacks)
        addReason(reasons[fallback.tensor], fallback.detail);
}

Error refusedFallbacks(const Checkpoint& checkpoint, const Reasons& reasons)
{
    const auto& [tensor, reason] = *reasons.begin();
    return {ErrorCode::NotRepresentable,
            fmt::format(
                "{}: tensor '{}': {} ({} of {} tensors would not become what was planned, and fallbacks are refused)",
                escaped(checkpoint.path().string()), escaped(checkpoint.tensors()[tensor].name), reason, reasons.size(),
                checkpoint.tensors().size())};
}

bool endsTheRun(const Error& error)
{
    switch (error.code) {
    case ErrorCode::Cancelled:
    case ErrorCode::FileChanged:
    case ErrorCode::FileBroken:
    case ErrorCode::IoFailed:
    case ErrorCode::NoSpace:
    case ErrorCode::WriteFailed:
    case ErrorCode::PermissionDenied:
    case ErrorCode::VerifyFailed:
        return true;
    default:
        return false;
    }
}

void adopt(TensorResult& result, const StoredForm& stored, std::uint64_t elements)
{
    if (elements != 0)
        result.bitsPerWeight = 8.0 * static_cast<double>(stored.bytes) / static_cast<double>(elements);
    if (result.method == "keep") {
        result.publishedBits = result.bitsPerWeight;
        result.grid.assign(info(stored.type).name);
        std::ranges::transform(result.grid, result.grid.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    }
    result.weightError = stored.isExact ? std::optional(0.0) : stored.weightError;
    if (result.metricError)
        result.metricError = stored.isExact ? std::optional(0.0) : stored.metricError;
    if (result.method == "keep") {
        result.weightErrorRank0 = result.weightError;
        result.metricErrorRank0 = result.metricError;
    }
}

Error failedLayers(std::span<const std::pair<std::size_t, Error>> failures, std::size_t planned)
{
    constexpr std::size_t kNamed = 5;
    std::string names;
    for (std::size_t i = 0; i < std::min(kNamed, failures.size()); ++i)
        names += (i == 0 ? "" : "; ") + failures[i].second.detail;
    if (failures.size() > kNamed)
        names += fmt::format("; and {} more", failures.size() - kNamed);
    return {ErrorCode::LayersFailed,
            fmt::format("{} of {} layers could not be computed: {}", failures.size(), planned, names)};
}

}  // namespace sigmascope
