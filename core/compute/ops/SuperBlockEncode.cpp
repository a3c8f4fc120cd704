// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/SuperBlockEncode.h"

#include "core/base/Parallel.h"
#include "core/compute/ops/Importances.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>

namespace sigmascope {

namespace {

using kernels::SearchTable;
using kernels::SuperBlocks;
using SuperBlockEncoder = unsigned (*)(const SuperBlocks&, std::uint8_t*);

constexpr std::uint64_t kSuper = 256;

SuperBlockEncoder superBlockEncoderOf(DType type, const SearchTable& table)
{
    switch (type) {
    case DType::Q2_K:
        return table.encodeQ2_K;
    case DType::Q3_K:
        return table.encodeQ3_K;
    case DType::Q4_K:
        return table.encodeQ4_K;
    case DType::Q5_K:
        return table.encodeQ5_K;
    case DType::Q6_K:
        return table.encodeQ6_K;
    default:
        return nullptr;
    }
}

/// One matrix while it is coded.
class Encoding {
public:
    Encoding(DType type, const SearchTable& table, std::span<const float> weights, std::uint64_t cols,
             std::span<const float> importance, std::span<std::byte> out)
        : m_encode(superBlockEncoderOf(type, table))
        , m_weights(weights)
        , m_importance(importance)
        , m_out(out)
        , m_perRow(cols / kSuper)
        , m_bytes(info(type).blockBits / 8)
    {
    }

    [[nodiscard]] std::uint64_t count() const { return m_weights.size() / kSuper; }
    [[nodiscard]] std::uint64_t unweighed() const { return m_unweighed; }

    /// EncodeTrouble of these super-blocks; where it comes of the importances, they are coded without.
    unsigned encode(std::uint64_t first, std::uint64_t n)
    {
        const unsigned trouble = attempt(first, n, m_importance);
        if ((trouble & kernels::kNonFiniteInput) != 0 || trouble == 0 || m_importance.empty())
            return trouble;
        unsigned left = 0;
        for (std::uint64_t block = first; block < first + n; ++block) {
            if (attempt(block, 1, m_importance) == 0)
                continue;
            left |= attempt(block, 1, {});
            ++m_unweighed;
        }
        return left;
    }

    /// The first super-block whose scale does not fit.
    [[nodiscard]] std::uint64_t firstTroubled() const
    {
        std::array<std::uint8_t, 256> scratch{};
        std::uint64_t block = 0;
        while (block + 1 < count()
               && m_encode({m_weights.data() + block * kSuper, 1, nullptr, 0, m_perRow}, scratch.data()) == 0)
            ++block;
        return block;
    }

private:
    unsigned attempt(std::uint64_t first, std::uint64_t n, std::span<const float> importance) const
    {
        return m_encode({m_weights.data() + first * kSuper, static_cast<std::size_t>(n),
                         importance.empty() ? nullptr : importance.data(), static_cast<std::size_t>(first % m_perRow),
                         static_cast<std::size_t>(m_perRow)},
                        reinterpret_cast<std::uint8_t*>(m_out.data() + first * m_bytes));
    }

    SuperBlockEncoder m_encode;
    std::span<const float> m_weights, m_importance;
    std::span<std::byte> m_out;
    std::uint64_t m_perRow, m_bytes;
    std::atomic<std::uint64_t> m_unweighed{0};
};

}  // namespace

bool hasSuperBlockEncoder(DType type)
{
    return superBlockEncoderOf(type, kernels::kKernelsSearchScalar) != nullptr;
}

Result<std::string> encodeSuperBlocks(DType type, std::span<const float> weights, [[maybe_unused]] std::uint64_t rows,
                                      std::uint64_t cols, std::span<const float> importance, std::span<std::byte> out,
                                      const JobContext& job, const SearchTable& table)
{
    if (!hasSuperBlockEncoder(type))
        return fail(ErrorCode::UnsupportedType, fmt::format("there is no encoder of {}", info(type).name));
    if (cols % kSuper != 0 || cols == 0)
        return fail(ErrorCode::ShapeMismatch,
                    fmt::format("rows of {} values do not fill whole {} blocks of 256", cols, info(type).name));
    assert(weights.size() == rows * cols && (importance.empty() || importance.size() == cols));
    assert(out.size() == weights.size() / kSuper * (info(type).blockBits / 8));

    const Importances importances = usableImportances(importance, kSuper);
    Encoding encoding(type, table, weights, cols, importances.values, out);
    // Super-blocks are coded on their own, so tasks need not respect rows: long and short rows cut alike.
    constexpr std::uint64_t kTask = kReductionChunk / kSuper;
    std::atomic<unsigned> trouble{0};
    parallelFor(static_cast<std::size_t>((encoding.count() + kTask - 1) / kTask), [&](std::size_t task) {
        if (job.cancelled() || (trouble.load(std::memory_order_relaxed) & kernels::kNonFiniteInput) != 0)
            return;
        const std::uint64_t first = static_cast<std::uint64_t>(task) * kTask;
        trouble |= encoding.encode(first, std::min(kTask, encoding.count() - first));
    });
    if (job.cancelled())
        return cancelledError();
    // A NaN explains a bad scale, so it is named first; a finite tensor can still have spoilt one.
    if ((trouble & kernels::kNonFiniteInput) != 0)
        return passOn(nonFiniteWeights(weights, cols));
    if ((trouble & kernels::kScaleOverflow) != 0) {
        const std::uint64_t block = encoding.firstTroubled();
        const auto [low, high] = std::ranges::minmax(weights.subspan(block * kSuper, kSuper));
        return fail(
            ErrorCode::ScaleOutOfRange,
            fmt::format(
                "the scale of a {} block is beyond f16's 65504: values from {} to {} at row {}, columns {} to {}",
                info(type).name, low, high, block * kSuper / cols, block * kSuper % cols,
                block * kSuper % cols + kSuper - 1));
    }
    return importances.inWords(encoding.unweighed(), encoding.count());
}

}  // namespace sigmascope
