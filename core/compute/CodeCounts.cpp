// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/CodeCounts.h"

#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace sigmascope {

namespace {

/// Tables that neighbouring elements count into in turn: a run of one code would otherwise wait for the store
/// of its own counter. Not more than two, so that the counters in use stay in the first-level cache (weights
/// use some 2,500 codes).
constexpr std::size_t kTables = 2;
constexpr std::size_t kDecodeBlock = 8192;
/// 32-bit counters are added to the 64-bit ones before the fullest possible one overflows.
constexpr std::uint64_t kFlushAfter = 1ULL << 31;

/// One thread's counters.
class Counter {
public:
    explicit Counter(std::size_t codes) : m_codes(codes), m_tables(kTables * codes), m_total(codes) {}

    void count16(const std::byte* in, std::size_t n)
    {
        std::uint32_t* const even = m_tables.data();
        std::uint32_t* const odd = even + m_codes;
        constexpr std::size_t kUnrolled = 8;
        std::size_t i = 0;
        for (; i + kUnrolled <= n; i += kUnrolled) {
#pragma GCC unroll 8
            for (std::size_t k = 0; k < kUnrolled; ++k)
                ++(k % 2 == 0 ? even : odd)[codeAt(in, i + k)];
        }
        for (; i < n; ++i)
            ++even[codeAt(in, i)];
        counted(n);
    }

    void count8(const std::byte* in, std::size_t n)
    {
        for (std::size_t i = 0; i < n; ++i)
            ++m_tables[(i % kTables) * m_codes + std::to_integer<std::size_t>(in[i])];
        counted(n);
    }

    /// Upper halves of floats.
    void countFloats(std::span<const float> values)
    {
        for (std::size_t i = 0; i < values.size(); ++i)
            ++m_tables[(i % kTables) * m_codes + (std::bit_cast<std::uint32_t>(values[i]) >> 16)];
        counted(values.size());
    }

    void addTo(std::vector<std::uint64_t>& counts)
    {
        flush();
        for (std::size_t code = 0; code < m_codes; ++code)
            counts[code] += m_total[code];
    }

private:
    static std::uint16_t codeAt(const std::byte* in, std::size_t element)
    {
        std::uint16_t code = 0;
        std::memcpy(&code, in + element * sizeof(code), sizeof(code));
        return code;
    }
    void counted(std::size_t n)
    {
        m_sinceFlush += n;
        if (m_sinceFlush >= kFlushAfter)
            flush();
    }
    void flush()
    {
        for (std::size_t table = 0; table < kTables; ++table) {
            for (std::size_t code = 0; code < m_codes; ++code)
                m_total[code] += m_tables[table * m_codes + code];
        }
        std::ranges::fill(m_tables, 0U);
        m_sinceFlush = 0;
    }

    std::size_t m_codes;
    std::vector<std::uint32_t> m_tables;
    std::vector<std::uint64_t> m_total;
    std::uint64_t m_sinceFlush = 0;
};

bool isSixteenBitFloat(DType type)
{
    return type == DType::BF16 || type == DType::F16;
}

bool isEightBitFloat(DType type)
{
    return type == DType::F8E4M3 || type == DType::F8E5M2;
}

void countChunk(const TensorView& view, std::uint64_t first, std::size_t n, Counter& counter)
{
    const DTypeInfo& type = info(view.dtype);
    const std::uint64_t blockBytes = type.blockBits / 8;
    const auto bytesFrom = [&](std::uint64_t element) {
        return view.bytes.subspan(element / type.blockElements * blockBytes);
    };
    if (isSixteenBitFloat(view.dtype))
        return counter.count16(bytesFrom(first).data(), n);
    if (isEightBitFloat(view.dtype))
        return counter.count8(bytesFrom(first).data(), n);
    std::array<float, kDecodeBlock> values;
    for (std::size_t at = 0; at < n; at += kDecodeBlock) {
        const auto part = std::span(values).first(std::min(kDecodeBlock, n - at));
        decode(view.dtype, bytesFrom(first + at).first(part.size() / type.blockElements * blockBytes), part);
        counter.countFloats(part);
    }
}

}  // namespace

Result<CodeCounts> codeCounts(const TensorView& view, const JobContext& job)
{
    if (!info(view.dtype).decodable)
        return fail(ErrorCode::UnsupportedType, fmt::format("no histogram of {} values: they cannot be decoded by this version",
                                                            info(view.dtype).name));
    CodeCounts result;
    result.exactCodes = isSixteenBitFloat(view.dtype) || isEightBitFloat(view.dtype);
    result.codeType = result.exactCodes ? view.dtype : DType::BF16;
    result.counts.assign(isEightBitFloat(view.dtype) ? 256 : 65536, 0);

    // Integer counts: which thread counts which chunk makes no difference. One set of tables a thread.
    const std::uint64_t elements = view.elements();
    const auto chunks = static_cast<std::size_t>((elements + kReductionChunk - 1) / kReductionChunk);
    const std::size_t workers = std::min(chunks, static_cast<std::size_t>(threadCount()));
    std::vector<Counter> counters(workers, Counter(result.counts.size()));
    std::atomic<std::size_t> next{0};
    parallelFor(workers, [&](std::size_t worker) {
        for (std::size_t chunk = next++; chunk < chunks && !job.cancelled(); chunk = next++) {
            const std::uint64_t first = static_cast<std::uint64_t>(chunk) * kReductionChunk;
            const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kReductionChunk, elements - first));
            countChunk(view, first, n, counters[worker]);
        }
    });
    if (job.cancelled())
        return cancelledError();
    for (Counter& counter : counters)
        counter.addTo(result.counts);
    return result;
}

float codeValue(DType codeType, std::uint32_t code)
{
    switch (codeType) {
    case DType::F16: return f16ToFloat(static_cast<std::uint16_t>(code));
    case DType::F8E4M3: return f8e4m3ToFloat(static_cast<std::uint8_t>(code));
    case DType::F8E5M2: return f8e5m2ToFloat(static_cast<std::uint8_t>(code));
    default: return bf16ToFloat(static_cast<std::uint16_t>(code));
    }
}

std::uint64_t outliersFrom(const CodeCounts& codes, const TensorStats& stats)
{
    const double limit = 6 * stats.stddev();
    std::uint64_t outliers = 0;
    for (std::size_t code = 0; code < codes.counts.size(); ++code) {
        const double value = codeValue(codes.codeType, static_cast<std::uint32_t>(code));
        if (std::isfinite(value) && std::fabs(value - stats.mean) > limit)
            outliers += codes.counts[code];
    }
    return stats.m2 > 0 ? outliers : 0;
}

}  // namespace sigmascope
