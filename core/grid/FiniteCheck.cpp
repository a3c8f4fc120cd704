// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/FiniteCheck.h"

#include "core/base/Parallel.h"
#include "core/compute/Kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <functional>
#include <vector>

namespace sigmascope {

namespace {

bool isFinite(float value)
{
    return (std::bit_cast<std::uint32_t>(value) & 0x7F800000U) != 0x7F800000U;
}

}  // namespace

Status checkFinite(std::span<const float> weights, std::uint64_t cols, const std::stop_token& stop)
{
    const std::size_t chunks = (weights.size() + kReductionChunk - 1) / kReductionChunk;
    std::vector<std::size_t> counts(chunks, 0);
    const auto chunkOf = [&](std::size_t chunk) {
        const std::size_t begin = chunk * kReductionChunk;
        return weights.subspan(begin, std::min(kReductionChunk, weights.size() - begin));
    };
    parallelFor(chunks, [&](std::size_t chunk) {
        if (stop.stop_requested())
            return;
        const auto values = chunkOf(chunk);
        float largest = 0;
        kernelTable().groupMagnitudes(values.data(), values.size(), values.size(), &largest);
        if (!isFinite(largest))
            counts[chunk] = static_cast<std::size_t>(std::ranges::count_if(values, std::not_fn(isFinite)));
    });

    if (stop.stop_requested())
        return cancelledError();
    std::size_t total = 0;
    for (const std::size_t count : counts)
        total += count;
    if (total == 0)
        return {};
    const auto firstBad = std::ranges::find_if(counts, [](std::size_t count) { return count != 0; });
    const auto chunk = static_cast<std::size_t>(firstBad - counts.begin());
    const auto values = chunkOf(chunk);
    const auto found = std::ranges::find_if(values, [](float value) { return !isFinite(value); });
    const std::uint64_t index = chunk * kReductionChunk + static_cast<std::size_t>(found - values.begin());
    return fail(ErrorCode::NonFinite,
                fmt::format("non-finite values: {}, first at row {}, column {}", total, index / cols, index % cols));
}

}  // namespace sigmascope
