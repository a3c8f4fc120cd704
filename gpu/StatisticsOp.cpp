// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/StatisticsOp.h"

#include "gpu/Moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <vector>

namespace sigmascope::gpu {

namespace {

/// A tensor cut into the kernels' chunks.
class Chunks {
public:
    explicit Chunks(const TensorView& view)
        : m_view(view)
        , m_elements(view.elements())
        , m_elementBytes(info(view.dtype).blockBits / 8)
    {
    }
    [[nodiscard]] std::uint64_t count() const { return (m_elements + kChunkElements - 1) / kChunkElements; }
    [[nodiscard]] std::uint64_t elements(std::uint64_t chunk) const
    {
        return std::min(kChunkElements, m_elements - chunk * kChunkElements);
    }
    [[nodiscard]] Bytes bytesOfWhole() const { return kChunkElements * m_elementBytes; }
    [[nodiscard]] TensorView view(std::uint64_t chunk) const
    {
        const std::uint64_t n = elements(chunk);
        return {m_view.dtype, {n}, m_view.bytes.subspan(chunk * bytesOfWhole(), n * m_elementBytes)};
    }

private:
    const TensorView& m_view;
    std::uint64_t m_elements;
    Bytes m_elementBytes;
};

/// The chunks a kernel goes over: all, or a chosen few, gathered. Only the tensor's last one may be short,
/// and it comes last.
struct ChunkList {
    const Chunks& chunks;
    std::vector<std::uint64_t> picked;

    Bytes fill(std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) const
    {
        Bytes at = 0;
        for (std::uint64_t i = first; i < first + count; ++i) {
            const auto bytes = chunks.view(picked[i]).bytes;
            std::memcpy(upload.data() + at, bytes.data(), bytes.size());
            at += bytes.size();
        }
        const Bytes padded = alignUp(at, 16);
        std::fill(upload.begin() + static_cast<std::ptrdiff_t>(at),
                  upload.begin() + static_cast<std::ptrdiff_t>(padded), std::byte{0});
        return padded;
    }
    [[nodiscard]] std::uint32_t elements(std::uint64_t first, std::uint64_t count) const
    {
        return static_cast<std::uint32_t>((count - 1) * kChunkElements + chunks.elements(picked[first + count - 1]));
    }
};

template <class Record> Record recordAt(std::span<const std::byte> output, std::uint64_t index)
{
    Record record{};
    std::memcpy(&record, output.data() + index * sizeof(Record), sizeof(Record));
    return record;
}

TileWork workOver(const OpContext& context, const ChunkList& list, const Kernel& kernel, Bytes recordBytes)
{
    TileWork work;
    work.maxUnits = context.device.maxWorkgroups();
    work.units = list.picked.size();
    work.inputPerUnit = list.chunks.bytesOfWhole();
    work.outputPerUnit = recordBytes;
    work.clearsOutput = true;  // a kernel that did not run leaves no magic
    work.subject = kernel.row().name;
    work.fill = [&list](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
        return list.fill(upload, first, count);
    };
    return work;
}

Pass passOver(const Kernel& kernel, const Slice& slice)
{
    Pass pass;
    pass.kernel = &kernel;
    pass.buffers = {slice.input, slice.output};
    pass.groupsX = static_cast<std::uint32_t>(slice.count);
    return pass;
}

/// The sums of one chunk, done again in double.
Status spotCheck(OpContext& context, const Chunks& chunks, const std::vector<TensorStats>& parts)
{
    const std::uint64_t chunk = spotOf(chunks.count() * kChunkElements, parts.size());
    const auto expected = context.reference.statistics(chunks.view(chunk), {});
    if (!expected)
        return passOn(expected);
    const TensorStats& found = parts[chunk];
    const bool close = found.finite == expected->finite && found.zeros == expected->zeros && found.min == expected->min
        && found.max == expected->max && std::fabs(found.m2 - expected->m2) <= 1e-4 * expected->m2;
    return close ? Status() : context.wrongResult("statistics", fmt::format("chunk {}", chunk));
}

/// Parts of all chunks, in order.
Result<std::vector<TensorStats>> chunkStatistics(OpContext& context, const Chunks& chunks, const Kernel& kernel,
                                                 const JobContext& job)
{
    ChunkList list{chunks, std::vector<std::uint64_t>(chunks.count())};
    std::iota(list.picked.begin(), list.picked.end(), 0U);
    std::vector<TensorStats> parts;
    parts.reserve(list.picked.size());
    TileWork work = workOver(context, list, kernel, sizeof(MomentsRecord));
    work.passes = [&](std::span<Pass> passes, const Slice& slice) {
        passes[0] = passOver(kernel, slice);
        passes[0].tell({list.elements(slice.first, slice.count)});
        return std::size_t{1};
    };
    work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) -> Status {
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto record = recordAt<MomentsRecord>(output, i);
            if (record.magic != kMomentsMagic || record.chunk != i || record.count != chunks.elements(first + i))
                return context.notWritten(kernel.row().name, count, i);
            if (const auto part = momentsOf(record)) {
                parts.push_back(*part);
                continue;
            }
            auto part = context.reference.statistics(chunks.view(first + i), JobContext{.stop = job.stop});
            if (!part)
                return passOn(part);
            part->outliers = 0;  // of the chunk's own spread: counted for the whole tensor below
            parts.push_back(*part);
            context.usedReference = true;
        }
        return {};
    };
    if (const Status done = context.tiles.run(work, job); !done)
        return passOn(done);
    if (const Status right = spotCheck(context, chunks, parts); !right)
        return passOn(right);
    return parts;
}

/// Outliers, looking again only at chunks whose extremes may be some; nothing when float sums cannot decide.
Result<std::optional<std::uint64_t>> outliers(OpContext& context, const Chunks& chunks, const Kernel& kernel,
                                              const std::vector<TensorStats>& parts, const TensorStats& total,
                                              const JobContext& job)
{
    const OutlierLimits limits = outlierLimits(total);
    ChunkList list{chunks, {}};
    for (std::uint64_t i = 0; i < parts.size(); ++i)
        if (parts[i].finite != 0 && limits.maybeOutside(parts[i]))
            list.picked.push_back(i);
    std::uint64_t sure = 0;
    std::uint64_t unsure = 0;
    if (list.picked.empty())
        return std::optional<std::uint64_t>(0);
    TileWork work = workOver(context, list, kernel, sizeof(OutliersRecord));
    work.passes = [&](std::span<Pass> passes, const Slice& slice) {
        passes[0] = passOver(kernel, slice);
        passes[0].tell({limits.sureBelow, limits.insideFrom, limits.insideTo, limits.sureAbove,
                        list.elements(slice.first, slice.count)});
        return std::size_t{1};
    };
    work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) -> Status {
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto record = recordAt<OutliersRecord>(output, i);
            const std::uint64_t chunk = list.picked[first + i];
            if (record.magic != kOutliersMagic || record.count != chunks.elements(chunk))
                return context.notWritten(kernel.row().name, count, i);
            sure += record.sure;
            unsure += record.unsure;
        }
        return {};
    };
    if (const Status done = context.tiles.run(work, JobContext{.stop = job.stop}); !done)
        return passOn(done);
    return unsure == 0 ? std::optional(sure) : std::nullopt;
}

}  // namespace

Result<TensorStats> statistics(OpContext& context, const TensorView& view, const JobContext& job)
{
    const auto type = storedType(view.dtype);
    if (!type)
        return fail(
            ErrorCode::UnsupportedType,
            fmt::format("{} has no kernel for statistics of {}", context.device.info().id, info(view.dtype).name));
    const Chunks chunks(view);
    if (chunks.count() == 0)
        return TensorStats{};
    const auto kernel = context.kernels.get(KernelId::Statistics, *type);
    if (!kernel)
        return passOn(kernel);
    const auto parts = chunkStatistics(context, chunks, **kernel, job);
    if (!parts)
        return passOn(parts);
    TensorStats total;
    for (const TensorStats& part : *parts)
        total = merged(total, part);
    if (!(total.m2 > 0))
        return total;
    const auto counter = context.kernels.get(KernelId::Outliers, *type);
    if (!counter)
        return passOn(counter);
    const auto found = outliers(context, chunks, **counter, *parts, total, job);
    if (!found)
        return passOn(found);
    if (!*found) {
        context.usedReference = true;
        return context.reference.statistics(view, {.stop = job.stop});
    }
    total.outliers = **found;
    return total;
}

}  // namespace sigmascope::gpu
