// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/Bins.h"

#include "core/base/Parallel.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <fmt/format.h>

namespace sigmascope {

namespace {

Status decodable(const TensorView& view)
{
    if (info(view.dtype).decodable)
        return {};
    return fail(ErrorCode::UnsupportedType,
                fmt::format("{} values cannot be decoded by this version", info(view.dtype).name));
}

/// Runs body(first, count, chunk) over whole blocks, in chunks of kReductionChunk elements.
template <class Body> Status overChunks(const TensorView& view, const JobContext& job, const Body& body)
{
    const std::uint64_t elements = view.elements();
    parallelFor(static_cast<std::size_t>((elements + kReductionChunk - 1) / kReductionChunk), [&](std::size_t chunk) {
        if (job.cancelled())
            return;
        const std::uint64_t first = std::uint64_t{chunk} * kReductionChunk;
        body(first, std::min<std::uint64_t>(kReductionChunk, elements - first), chunk);
    });
    if (job.cancelled())
        return cancelledError();
    return {};
}

}  // namespace

Status decodeWhole(const TensorView& view, std::span<float> out, const JobContext& job)
{
    assert(out.size() == view.elements());
    if (Status fits = decodable(view); !fits)
        return fits;
    return overChunks(view, job, [&](std::uint64_t first, std::uint64_t count, std::size_t) {
        decode(view.dtype, bytesOf(view, first, count), out.subspan(first, count));
    });
}

Result<std::vector<std::uint64_t>> binnedCounts(const TensorView& view, std::span<const float> edges,
                                                const JobContext& job)
{
    assert(!edges.empty() && std::ranges::is_sorted(edges));
    if (Status fits = decodable(view); !fits)
        return passOn(fits);
    const std::size_t chunks = static_cast<std::size_t>((view.elements() + kReductionChunk - 1) / kReductionChunk);
    std::vector<std::vector<std::uint64_t>> parts(chunks);
    const Status done = overChunks(view, job, [&](std::uint64_t first, std::uint64_t count, std::size_t chunk) {
        std::vector<float> values(count);
        decode(view.dtype, bytesOf(view, first, count), values);
        auto& counts = parts[chunk];
        counts.assign(edges.size() + 2, 0);
        for (const float value : values) {
            const auto bin = std::isfinite(value) ? std::ranges::upper_bound(edges, value) - edges.begin()
                                                  : static_cast<std::ptrdiff_t>(edges.size()) + 1;
            ++counts[static_cast<std::size_t>(bin)];
        }
    });
    if (!done)
        return passOn(done);
    std::vector<std::uint64_t> total(edges.size() + 2, 0);
    for (const auto& part : parts)
        std::ranges::transform(total, part, total.begin(), std::plus<>());
    return total;
}

}  // namespace sigmascope
