// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/DecodeOp.h"

#include "core/tensor/Decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace sigmascope::gpu {

namespace {

constexpr Bytes kHeader = 16;
/// Elements of one unit: whole blocks of every type, whose bytes are whole words.
constexpr std::uint64_t kUnit = 256;

Status spotCheck(const OpContext& context, const TensorView& view, std::span<const float> out)
{
    const std::uint64_t elements = info(view.dtype).blockElements;
    const std::uint64_t bytes = info(view.dtype).blockBits / 8;
    const std::uint64_t block = spotOf(out.size(), out.size() / elements);
    std::vector<float> expected(elements);
    sigmascope::decode(view.dtype, view.bytes.subspan(block * bytes, bytes), expected);
    if (std::memcmp(expected.data(), out.data() + block * elements, elements * sizeof(float)) != 0)
        return context.wrongResult("decode", fmt::format("element {}", block * elements));
    return {};
}

}  // namespace

bool canDecode(DType type)
{
    return storedType(type) || codedKind(type);
}

Status decode(OpContext& context, const TensorView& view, std::span<float> out, const JobContext& job)
{
    if (!canDecode(view.dtype))
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} has no kernel for decoding {}", context.device.info().id, info(view.dtype).name));
    if (out.empty())
        return {};
    const DTypeInfo& type = info(view.dtype);
    const std::uint64_t unitBytes = kUnit / type.blockElements * (type.blockBits / 8);
    const auto kernel = context.kernels.get(KernelId::Decode, codedKind(view.dtype).value_or(0));
    if (!kernel)
        return passOn(kernel);
    const auto elements = [&](std::uint64_t first, std::uint64_t count) {
        return std::min<std::uint64_t>(count * kUnit, out.size() - first * kUnit);
    };
    TileWork work;
    work.units = (out.size() + kUnit - 1) / kUnit;
    work.inputPerUnit = unitBytes;
    work.outputHeader = kHeader;
    work.outputPerUnit = kUnit * sizeof(float);
    work.maxUnits = context.device.maxWorkgroups();
    work.subject = (*kernel)->row().name;
    work.fill = [&](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
        const auto part = view.bytes.subspan(first * unitBytes);
        const auto taken = part.first(std::min<std::uint64_t>(part.size(), count * unitBytes));
        std::memcpy(upload.data(), taken.data(), taken.size());
        return alignUp(taken.size(), 4);
    };
    work.passes = [&](std::span<Pass> passes, const Slice& slice) {
        passes[0].kernel = *kernel;
        passes[0].buffers = {slice.input, slice.output};
        passes[0].tell({static_cast<std::uint32_t>(elements(slice.first, slice.count)), type.blockBits / 8U,
                        storedType(view.dtype).value_or(0)});
        passes[0].groupsX = static_cast<std::uint32_t>(slice.count);
        return std::size_t{1};
    };
    work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) -> Status {
        std::uint32_t done = 0;
        std::memcpy(&done, output.data(), sizeof done);
        if (done != count)
            return context.notWritten((*kernel)->row().name, count, done);
        std::memcpy(out.data() + first * kUnit, output.data() + kHeader, elements(first, count) * sizeof(float));
        return {};
    };
    if (const Status done = context.tiles.run(work, job); !done)
        return done;
    return spotCheck(context, view, out);
}

}  // namespace sigmascope::gpu
