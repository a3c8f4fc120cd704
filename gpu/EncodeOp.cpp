// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/EncodeOp.h"

#include "gpu/SuperEncodeOp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace sigmascope::gpu {

namespace {

constexpr std::uint64_t kBlock = 32;
constexpr Bytes kPairInput = 2 * kBlock * sizeof(float);
constexpr Bytes kHeader = 16;
constexpr std::uint64_t kSpotBlocks = 64;

// Bits of the header's first word, as in exact.glsl.
constexpr std::uint32_t kMetTiny = 1;
constexpr std::uint32_t kMetTrouble = 2;
constexpr float kTinyBelow = 0x1p-100F;

/// One encode: what its slices share.
class Encode {
public:
    Encode(OpContext& context, const Kernel& kernel, DType type, std::span<const float> weights,
           std::span<std::byte> out)
        : m_context(context)
        , m_kernel(kernel)
        , m_type(type)
        , m_weights(weights)
        , m_out(out)
        , m_blockBytes(info(type).blockBits / 8)
    {
    }

    [[nodiscard]] TileWork work()
    {
        TileWork work;
        work.units = (blocks() + 1) / 2;
        work.inputPerUnit = kPairInput;
        work.outputPerUnit = 2 * m_blockBytes;
        work.outputHeader = kHeader;
        work.maxUnits = std::uint64_t{m_context.device.maxWorkgroups()} * m_kernel.row().workgroup;
        work.subject = m_kernel.row().name;
        work.fill = [this](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
            const auto part = m_weights.subspan(2 * first * kBlock, blocksOf(first, count) * kBlock);
            std::memcpy(upload.data(), part.data(), part.size_bytes());
            return Bytes{part.size_bytes()};
        };
        work.passes = [this](std::span<Pass> passes, const Slice& slice) {
            Pass& pass = passes[0];
            pass.kernel = &m_kernel;
            pass.buffers = {slice.input, slice.output};
            pass.tell({static_cast<std::uint32_t>(blocksOf(slice.first, slice.count))});
            const std::uint32_t workgroup = m_kernel.row().workgroup;
            pass.groupsX = static_cast<std::uint32_t>((slice.count + workgroup - 1) / workgroup);
            return std::size_t{1};
        };
        work.take = [this](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) {
            return take(output, 2 * first, blocksOf(first, count));
        };
        return work;
    }
    /// A block was met that is an error: the reference words it.
    [[nodiscard]] bool metTrouble() const { return m_metTrouble; }

private:
    [[nodiscard]] std::uint64_t blocks() const { return m_weights.size() / kBlock; }
    [[nodiscard]] std::uint64_t blocksOf(std::uint64_t first, std::uint64_t count) const
    {
        return std::min(2 * count, blocks() - 2 * first);
    }

    [[nodiscard]] Status take(std::span<const std::byte> output, std::uint64_t first, std::uint64_t count)
    {
        std::array<std::uint32_t, 2> header{};
        std::memcpy(header.data(), output.data(), sizeof header);
        if (header[1] != count)
            return m_context.notWritten(m_kernel.row().name, count, header[1]);
        std::memcpy(m_out.data() + first * m_blockBytes, output.data() + kHeader, count * m_blockBytes);
        m_metTrouble = m_metTrouble || (header[0] & kMetTrouble) != 0;
        return (header[0] & kMetTiny) != 0 ? encodeTiny(first, count) : Status{};
    }

    [[nodiscard]] Status encodeTiny(std::uint64_t first, std::uint64_t count)
    {
        for (std::uint64_t block = first; block < first + count; ++block) {
            const auto in = m_weights.subspan(block * kBlock, kBlock);
            float largest = 0;
            for (const float w : in)
                largest = std::max(largest, std::fabs(w));
            if (largest == 0 || largest >= kTinyBelow)
                continue;
            const auto to = m_out.subspan(block * m_blockBytes, m_blockBytes);
            if (const Status done = m_context.reference.encode(m_type, in, 1, kBlock, to, {}); !done)
                return done;
            m_context.usedReference = true;
        }
        return {};
    }

    OpContext& m_context;
    const Kernel& m_kernel;
    DType m_type;
    std::span<const float> m_weights;
    std::span<std::byte> m_out;
    Bytes m_blockBytes;
    bool m_metTrouble = false;
};

}  // namespace

Status encode(OpContext& context, DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
              std::span<std::byte> out, const JobContext& job)
{
    if (superKernel(type, false)) {
        const auto done = encodeSupers(context, type, weights, rows, cols, {}, out, job);
        return done ? Status() : passOn(done);
    }
    const auto id = encodeKernel(type);
    if (!id)
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} has no kernel for encoding to {}", context.device.info().id, info(type).name));
    const bool fits = cols % kBlock == 0 && weights.size() == rows * cols
        && out.size() == weights.size() / kBlock * (info(type).blockBits / 8);
    if (!fits)  // the reference words the error
        return context.reference.encode(type, weights, rows, cols, out, job);
    if (weights.empty())
        return {};
    const auto kernel = context.kernels.get(*id);
    if (!kernel)
        return passOn(kernel);
    Encode slices(context, **kernel, type, weights, out);
    if (const Status done = context.tiles.run(slices.work(), job); !done)
        return done;
    if (slices.metTrouble()) {
        context.usedReference = true;
        return context.reference.encode(type, weights, rows, cols, out, {.stop = job.stop});
    }
    return spotCheckCodes(context, CodeFormat{.block = type}, weights, rows, cols, out);
}

Status spotCheckCodes(OpContext& context, const CodeFormat& format, std::span<const float> weights, std::uint64_t rows,
                      std::uint64_t cols, std::span<const std::byte> out)
{
    // Blocks stand on their own: some of them are as good as a row, which may be the whole matrix.
    const std::uint64_t length = format.block ? std::min<std::uint64_t>(cols, kSpotBlocks * kBlock) : cols;
    const std::uint64_t spots = format.block ? weights.size() / length : rows;
    const std::uint64_t spot = spotOf(weights.size(), spots);
    const std::uint64_t bytes = format.rowBytes(length);
    std::vector<std::byte> expected(bytes);
    const auto done
        = context.reference.encodeMeasured(format, weights.subspan(spot * length, length), 1, length, {}, expected, {});
    if (!done)
        return passOn(done);
    const auto found = out.subspan(spot * bytes, bytes);
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
        wrong += found[i] == expected[i] ? 0U : 1U;
    // A search may settle on another super-block where a device's arithmetic is not exact and two scales are as good.
    const auto super = format.block ? superKernel(*format.block, false) : std::nullopt;
    if (wrong > (super ? super->bytes : bytes / 1000))
        return context.wrongResult("encode",
                                   fmt::format("element {}: {} of {} bytes differ", spot * length, wrong, bytes));
    return {};
}

}  // namespace sigmascope::gpu
