// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/Statistics.h"

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <vector>

namespace sigmascope {

namespace {

using kernels::BlockStats;
using kernels::kBlockElements;
using kernels::KernelTable;

static_assert(kReductionChunk % kBlockElements == 0);
/// About a million elements, well under a millisecond of work.
constexpr std::size_t kChunksPerReport = 16;

TensorStats fromBlock(const BlockStats& block, std::uint64_t count)
{
    TensorStats stats;
    stats.count = count;
    stats.finite = block.finite;
    stats.zeros = block.zeros;
    stats.nan = block.nan;
    stats.inf = block.inf;
    stats.subnormal = block.subnormal;
    if (block.firstNonFinite >= 0)
        stats.firstNonFinite = static_cast<std::uint64_t>(block.firstNonFinite);
    stats.min = block.min;
    stats.max = block.max;
    stats.mean = block.mean;
    stats.m2 = block.m2;
    stats.m3 = block.m3;
    stats.m4 = block.m4;
    return stats;
}

bool isWide(DType type)
{
    return type == DType::F64 || type == DType::I64 || type == DType::U64 || type == DType::I32 || type == DType::U32;
}

template <class Stored>
void widen(std::span<const std::byte> in, std::span<double> out)
{
    for (std::size_t i = 0; i < out.size(); ++i) {
        Stored value{};
        std::memcpy(&value, in.data() + i * sizeof(Stored), sizeof(Stored));
        out[i] = static_cast<double>(value);
    }
}

/// Elements of a type that a float would round.
void decodeWide(DType type, std::span<const std::byte> in, std::span<double> out)
{
    switch (type) {
    case DType::I64: return widen<std::int64_t>(in, out);
    case DType::U64: return widen<std::uint64_t>(in, out);
    case DType::I32: return widen<std::int32_t>(in, out);
    case DType::U32: return widen<std::uint32_t>(in, out);
    default: return widen<double>(in, out);
    }
}

/// Two passes over one block of doubles.
TensorStats wideStats(std::span<const double> values)
{
    TensorStats stats;
    stats.count = values.size();
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double v = values[i];
        if (!std::isfinite(v)) {
            (std::isnan(v) ? stats.nan : stats.inf) += 1;
            stats.firstNonFinite = stats.firstNonFinite.value_or(i);
            continue;
        }
        stats.min = stats.finite == 0 ? v : std::min(stats.min, v);
        stats.max = stats.finite == 0 ? v : std::max(stats.max, v);
        stats.zeros += v == 0 ? 1U : 0U;
        stats.subnormal += std::fpclassify(v) == FP_SUBNORMAL ? 1U : 0U;
        ++stats.finite;
        sum += v / static_cast<double>(values.size());  // a plain sum of F64 may overflow
    }
    stats.min += 0.0;
    stats.max += 0.0;
    if (stats.finite == 0)
        return stats;
    stats.mean = sum * (static_cast<double>(values.size()) / static_cast<double>(stats.finite));
    if (stats.min == stats.max) {
        stats.mean = stats.min;
        return stats;
    }
    double left = 0;  // what rounding left in the mean
    for (const double v : values)
        left += std::isfinite(v) ? v - stats.mean : 0.0;
    stats.mean += left / static_cast<double>(stats.finite);
    for (const double v : values) {
        if (!std::isfinite(v))
            continue;
        const double d = v - stats.mean;
        stats.m2 += d * d;
        stats.m3 += d * d * d;
        stats.m4 += d * d * (d * d);
    }
    return stats;
}

/// Subnormal codes of the 8-bit floats: exponent field zero, mantissa not.
std::uint64_t subnormalBytes(DType type, std::span<const std::byte> codes)
{
    const unsigned exponent = type == DType::F8E4M3 ? 0x78U : 0x7CU;
    return static_cast<std::uint64_t>(std::ranges::count_if(codes, [&](std::byte code) {
        const auto bits = std::to_integer<unsigned>(code);
        return (bits & exponent) == 0 && (bits & 0x7FU & ~exponent) != 0;
    }));
}

/// Statistics of at most kBlockElements elements.
TensorStats blockStats(const TensorView& view, std::uint64_t first, std::size_t count, const KernelTable& table)
{
    const std::span<const std::byte> bytes = bytesOf(view, first, count);
    if (isWide(view.dtype)) {
        std::array<double, kBlockElements> values;
        decodeWide(view.dtype, bytes, std::span(values).first(count));
        return wideStats(std::span(values).first(count));
    }
    BlockStats block;
    switch (view.dtype) {
    case DType::F32: table.statsF32(bytes.data(), count, &block); return fromBlock(block, count);
    case DType::F16: table.statsF16(bytes.data(), count, &block); return fromBlock(block, count);
    case DType::BF16: table.statsBf16(bytes.data(), count, &block); return fromBlock(block, count);
    default: break;
    }
    std::array<float, kBlockElements> values;
    decode(view.dtype, bytes, std::span(values).first(count));
    table.statsF32(values.data(), count, &block);
    TensorStats stats = fromBlock(block, count);
    const bool eightBit = view.dtype == DType::F8E4M3 || view.dtype == DType::F8E5M2;
    stats.subnormal = eightBit ? subnormalBytes(view.dtype, bytes) : 0;
    return stats;
}

/// A tensor cut into chunks of kReductionChunk elements.
struct Chunks {
    std::uint64_t elements;

    [[nodiscard]] std::size_t count() const
    {
        return static_cast<std::size_t>((elements + kReductionChunk - 1) / kReductionChunk);
    }
    [[nodiscard]] std::uint64_t first(std::size_t chunk) const { return static_cast<std::uint64_t>(chunk) * kReductionChunk; }
    [[nodiscard]] std::size_t size(std::size_t chunk) const
    {
        return static_cast<std::size_t>(std::min<std::uint64_t>(kReductionChunk, elements - first(chunk)));
    }
};

/// Calls body(first element, count) for each block of one chunk.
template <class Body>
void forEachBlock(const Chunks& chunks, std::size_t chunk, Body body)
{
    const std::size_t size = chunks.size(chunk);
    for (std::size_t at = 0; at < size; at += kBlockElements)
        body(chunks.first(chunk) + at, std::min(kBlockElements, size - at));
}

/// What counts as an outlier: |x - mean| > limit.
struct Bounds {
    double mean, limit;
    [[nodiscard]] bool outside(double value) const { return std::fabs(value - mean) > limit; }
};

/// Keys (KernelTable.h: integers in the order of the floats) of the values that are no outliers.
struct KeyInterval {
    std::int64_t low, high;
};

/// Rounding is monotone, so these keys are one interval: both ends by bisection.
template <class ValueOfKey>
KeyInterval insideKeys(std::int64_t largestFinite, const Bounds& bounds, ValueOfKey valueOf)
{
    const std::int64_t smallestFinite = -largestFinite - 1;
    const auto firstWhere = [&](auto holds) {
        std::int64_t low = smallestFinite;
        std::int64_t high = largestFinite + 1;
        while (low < high) {
            const std::int64_t middle = low + (high - low) / 2;
            if (holds(valueOf(middle)))
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    };
    const std::int64_t low = firstWhere([&](double v) { return v >= bounds.mean || !bounds.outside(v); });
    const std::int64_t high = firstWhere([&](double v) { return v > bounds.mean && bounds.outside(v); }) - 1;
    return {low, high};
}

KeyInterval insideKeys(DType type, const Bounds& bounds)
{
    const auto code16 = [](std::int64_t key) {
        return static_cast<std::uint16_t>(key < 0 ? static_cast<std::uint64_t>(key) ^ 0x7FFFU : static_cast<std::uint64_t>(key));
    };
    switch (type) {
    case DType::BF16: return insideKeys(0x7F7F, bounds, [&](std::int64_t key) { return double{bf16ToFloat(code16(key))}; });
    case DType::F16: return insideKeys(0x7BFF, bounds, [&](std::int64_t key) { return double{f16ToFloat(code16(key))}; });
    default:
        return insideKeys(0x7F7FFFFF, bounds, [](std::int64_t key) {
            const auto bits = static_cast<std::uint32_t>(key);
            return double{std::bit_cast<float>(key < 0 ? bits ^ 0x7FFFFFFFU : bits)};
        });
    }
}

/// Outliers among one block's finite elements.
class OutlierCounter {
public:
    OutlierCounter(const TensorView& view, const Bounds& bounds, const KernelTable& table)
        : m_view(view), m_bounds(bounds), m_table(table), m_keys(insideKeys(view.dtype, bounds))
    {
    }

    /// Non-finite elements are counted too where `countsNonFinite()`: their keys lie beyond all others.
    [[nodiscard]] std::uint64_t count(std::uint64_t first, std::size_t n) const
    {
        const std::span<const std::byte> bytes = bytesOf(m_view, first, n);
        switch (m_view.dtype) {
        case DType::F16:
        case DType::BF16:
            return m_table.outside16(bytes.data(), n, static_cast<std::int16_t>(m_keys.low),
                                     static_cast<std::int16_t>(m_keys.high));
        case DType::F32:
            return m_table.outside32(bytes.data(), n, static_cast<std::int32_t>(m_keys.low),
                                     static_cast<std::int32_t>(m_keys.high));
        default: return countDecoded(bytes, n);
        }
    }
    [[nodiscard]] bool countsNonFinite() const
    {
        return m_view.dtype == DType::F32 || m_view.dtype == DType::F16 || m_view.dtype == DType::BF16;
    }

private:
    [[nodiscard]] std::uint64_t countDecoded(std::span<const std::byte> bytes, std::size_t n) const
    {
        std::array<double, kBlockElements> values;
        if (isWide(m_view.dtype)) {
            decodeWide(m_view.dtype, bytes, std::span(values).first(n));
        } else {
            std::array<float, kBlockElements> floats;
            decode(m_view.dtype, bytes, std::span(floats).first(n));
            std::copy_n(floats.begin(), n, values.begin());
        }
        return static_cast<std::uint64_t>(std::count_if(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n),
            [&](double v) { return std::isfinite(v) && m_bounds.outside(v); }));
    }

    const TensorView& m_view;
    Bounds m_bounds;
    const KernelTable& m_table;
    KeyInterval m_keys;
};

/// Reads again only the chunks whose extremes are outliers.
std::uint64_t outliers(const TensorView& view, const std::vector<TensorStats>& parts, const Bounds& bounds,
                       const JobContext& job, const KernelTable& table)
{
    std::vector<std::size_t> suspects;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].finite != 0 && (bounds.outside(parts[i].min) || bounds.outside(parts[i].max)))
            suspects.push_back(i);
    }
    const OutlierCounter counter(view, bounds, table);
    const Chunks chunks{view.elements()};
    std::atomic<std::uint64_t> total{0};
    parallelFor(suspects.size(), [&](std::size_t i) {
        if (job.cancelled())
            return;
        std::uint64_t found = 0;
        forEachBlock(chunks, suspects[i], [&](std::uint64_t first, std::size_t n) { found += counter.count(first, n); });
        const TensorStats& part = parts[suspects[i]];
        total += found - (counter.countsNonFinite() ? part.nan + part.inf : 0);
    });
    return total;
}

/// One reading, chunk by chunk. Cancelled: whatever was finished, which the caller drops.
std::vector<TensorStats> chunkStats(const TensorView& view, const JobContext& job, const KernelTable& table)
{
    const Chunks chunks{view.elements()};
    std::vector<TensorStats> parts(chunks.count());
    std::atomic<std::size_t> done{0};
    parallelFor(parts.size(), [&](std::size_t chunk) {
        if (job.cancelled())
            return;
        forEachBlock(chunks, chunk, [&](std::uint64_t first, std::size_t n) {
            parts[chunk] = merged(parts[chunk], blockStats(view, first, n, table));
        });
        const std::size_t finished = ++done;
        if (finished % kChunksPerReport == 0 || finished == parts.size())
            job.report(static_cast<double>(finished) / static_cast<double>(parts.size()));
    });
    return parts;
}

TensorStats joined(const std::vector<TensorStats>& parts)
{
    TensorStats total;
    for (const TensorStats& part : parts)
        total = merged(total, part);
    return total;
}

Status decodable(DType type)
{
    if (info(type).decodable)
        return {};
    return fail(ErrorCode::UnsupportedType,
                fmt::format("no statistics of {} values: they cannot be decoded by this version", info(type).name));
}

}  // namespace

Result<TensorStats> moments(const TensorView& view, const JobContext& job, const KernelTable& table)
{
    if (const Status known = decodable(view.dtype); !known)
        return passOn(known);
    const std::vector<TensorStats> parts = chunkStats(view, job, table);
    if (job.cancelled())
        return cancelledError();
    return joined(parts);
}

Result<TensorStats> statistics(const TensorView& view, const JobContext& job, const KernelTable& table)
{
    if (const Status known = decodable(view.dtype); !known)
        return passOn(known);
    const std::vector<TensorStats> parts = chunkStats(view, job, table);
    if (job.cancelled())
        return cancelledError();
    TensorStats total = joined(parts);
    if (total.m2 > 0)
        total.outliers = outliers(view, parts, Bounds{total.mean, 6 * total.stddev()}, job, table);
    if (job.cancelled())
        return cancelledError();
    return total;
}

}  // namespace sigmascope
