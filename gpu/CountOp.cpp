// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/CountOp.h"

#include "gpu/Moments.h"
#include "gpu/Operand.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

namespace sigmascope::gpu {

namespace {

constexpr Bytes kHeader = 16;
constexpr std::uint64_t kChunk = 8192;  // of histogram.comp and bins.comp
constexpr std::uint64_t kTables = 4;
constexpr std::uint64_t kCodes = 65536;

/// One counting pass over a tensor: slices leave whole tables, which are added up here.
struct Counting {
    const TensorView& view;
    const Kernel& kernel;
    std::uint64_t counters;  ///< of a slice
    /// Buffers and words beyond input, output and the number of elements.
    std::function<void(Pass& pass, std::uint32_t elements)> bind;
    std::function<void(std::uint64_t counter, std::uint32_t count)> add;
};

Status count(OpContext& context, const Counting& counting, const JobContext& job)
{
    const TensorView& view = counting.view;
    const std::uint64_t elements = view.elements();
    const Bytes chunkBytes = kChunk * (info(view.dtype).blockBits / 8);
    std::uint64_t total = 0;
    TileWork work;
    work.units = (elements + kChunk - 1) / kChunk;
    work.inputPerUnit = chunkBytes;
    work.outputHeader = kHeader + counting.counters * sizeof(std::uint32_t);
    work.maxUnits = context.device.maxWorkgroups();
    work.subject = counting.kernel.row().name;
    const auto inSlice
        = [&](std::uint64_t first, std::uint64_t units) { return std::min(units * kChunk, elements - first * kChunk); };
    work.fill = [&](std::span<std::byte> upload, std::uint64_t first, std::uint64_t units) {
        const auto part = view.bytes.subspan(first * chunkBytes);
        const auto taken = part.first(std::min<std::uint64_t>(part.size(), units * chunkBytes));
        std::memcpy(upload.data(), taken.data(), taken.size());
        return alignUp(taken.size(), 16);
    };
    work.passes = [&](std::span<Pass> passes, const Slice& slice) {
        passes[0].kernel = &counting.kernel;
        passes[0].buffers = {slice.input, slice.output};
        counting.bind(passes[0], static_cast<std::uint32_t>(inSlice(slice.first, slice.count)));
        passes[0].groupsX = static_cast<std::uint32_t>(slice.count);
        return std::size_t{1};
    };
    work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t units) -> Status {
        std::uint32_t done = 0;
        std::memcpy(&done, output.data(), sizeof done);
        if (done != units)
            return context.notWritten(counting.kernel.row().name, units, done);
        std::uint64_t inside = 0;
        for (std::uint64_t i = 0; i < counting.counters; ++i) {
            std::uint32_t found = 0;
            std::memcpy(&found, output.data() + kHeader + i * sizeof found, sizeof found);
            if (found != 0)
                counting.add(i, found);
            inside += found;
        }
        // Every element was counted once, or the counts are worth nothing.
        if (inside != inSlice(first, units))
            return context.wrongResult("histogram",
                                       fmt::format("elements {} to {}: {} counted", first * kChunk,
                                                   first * kChunk + inSlice(first, units), inside));
        total += inside;
        return {};
    };
    return context.tiles.run(work, job);
}

tl::unexpected<Error> unsupported(const OpContext& context, DType type)
{
    return fail(ErrorCode::UnsupportedType,
                fmt::format("{} has no kernel for a histogram of {}", context.device.info().id, info(type).name));
}

/// The first few elements again, on the CPU: none of their codes may count less than there are of it.
Status spotCheck(OpContext& context, const TensorView& view, const std::vector<std::uint64_t>& counts)
{
    constexpr std::uint64_t kLooked = 4096;
    const std::uint64_t bytes = info(view.dtype).blockBits / 8;
    const std::uint64_t n = std::min<std::uint64_t>(kLooked, view.elements());
    const std::uint64_t first = spotOf(view.elements(), view.elements() - n + 1);
    const auto part = context.reference.histogram({view.dtype, {n}, view.bytes.subspan(first * bytes, n * bytes)}, {});
    if (!part)
        return passOn(part);
    for (std::size_t code = 0; code < counts.size(); ++code)
        if (part->counts[code] > counts[code])
            return context.wrongResult("histogram", fmt::format("code {}", code));
    return {};
}

}  // namespace

Result<CodeCounts> histogram(OpContext& context, const TensorView& view, const JobContext& job)
{
    const auto type = storedType(view.dtype);
    if (!type)
        return unsupported(context, view.dtype);
    CodeCounts result;
    result.exactCodes = view.dtype != DType::F32;
    result.codeType = result.exactCodes ? view.dtype : DType::BF16;
    result.counts.assign(kCodes, 0);
    if (view.elements() == 0)
        return result;
    const auto kernel = context.kernels.get(KernelId::Histogram, *type);
    if (!kernel)
        return passOn(kernel);
    const Counting counting{view, **kernel, kTables * kCodes,
                            [](Pass& pass, std::uint32_t elements) { pass.tell({elements}); },
                            [&](std::uint64_t counter, std::uint32_t n) { result.counts[counter % kCodes] += n; }};
    if (const Status done = count(context, counting, job); !done)
        return passOn(done);
    if (const Status right = spotCheck(context, view, result.counts); !right)
        return passOn(right);
    return result;
}

Result<std::vector<std::uint64_t>> binned(OpContext& context, const TensorView& view, std::span<const float> edges,
                                          const JobContext& job)
{
    const auto type = storedType(view.dtype);
    if (!type)
        return unsupported(context, view.dtype);
    std::vector<std::uint64_t> counts(edges.size() + 2, 0);
    if (view.elements() == 0)
        return counts;
    std::vector<std::uint32_t> keys(edges.size());
    std::ranges::transform(edges, keys.begin(), [](float edge) { return orderedKey(edge == 0 ? 0.0F : edge); });
    const auto kernel = context.kernels.get(KernelId::Bins, *type);
    if (!kernel)
        return passOn(kernel);
    const auto onDevice = uploaded(context, std::as_bytes(std::span<const std::uint32_t>(keys)), job);
    if (!onDevice)
        return passOn(onDevice);
    const Counting counting{view, **kernel, counts.size(),
                            [&](Pass& pass, std::uint32_t elements) {
                                pass.buffers[2] = &*onDevice;
                                pass.tell({elements, static_cast<std::uint32_t>(edges.size())});
                            },
                            [&](std::uint64_t counter, std::uint32_t n) { counts[counter] += n; }};
    if (const Status done = count(context, counting, job); !done)
        return passOn(done);
    return counts;
}

}  // namespace sigmascope::gpu
