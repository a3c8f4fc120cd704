// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/SuperEncodeOp.h"

#include "gpu/EncodeOp.h"
#include "gpu/Operand.h"

#include "core/compute/ops/Importances.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace sigmascope::gpu {

namespace {

constexpr Bytes kHeader = 16;
/// Bit of the header's first word, as in exact.glsl: some super-block is marked.
constexpr std::uint32_t kMetMarked = 1;
constexpr std::uint16_t kMarked = 0x7E00;
/// A search takes a thousand operations a weight: the first slice is short until its time is known.
constexpr std::uint64_t kFirstUnits = 64;
constexpr std::uint64_t kSpotSupers = 8;

bool isMarked(std::span<const std::byte> super, const SuperKernel& kernel)
{
    std::uint16_t half = 0;
    std::memcpy(&half, super.data() + kernel.scaleAt, sizeof half);
    return half == kMarked;
}

/// Super-blocks of one row by the reference. False if it refuses them, or has something to say.
Result<bool> byReference(const OpContext& context, const SuperEncode& encode, std::uint64_t first, std::uint64_t count,
                         std::span<std::byte> out)
{
    const auto weights = encode.weights.subspan(first * kSuper, count * kSuper);
    const auto isOfWeights = [](const Error& error) {
        return error.code == ErrorCode::NonFinite || error.code == ErrorCode::ScaleOutOfRange;
    };
    if (encode.importance.empty()) {
        const Status done = context.reference.encode(encode.type, weights, 1, count * kSuper, out, {});
        if (!done && !isOfWeights(done.error()))
            return passOn(done);
        return done.has_value();
    }
    const std::uint64_t place = first * kSuper % encode.cols;
    const auto noted = context.reference.encodeWeighted(encode.type, weights, 1, count * kSuper,
                                                        encode.importance.subspan(place, count * kSuper), out, {});
    if (!noted && !isOfWeights(noted.error()))
        return passOn(noted);
    return noted && noted->empty();
}

/// Some super-blocks of a row again, and whether they are the device's.
Status spotCheckSupers(const OpContext& context, const SuperKernel& kernel, const SuperEncode& encode)
{
    const std::uint64_t perRow = encode.cols / kSuper;
    const std::uint64_t length = std::min(perRow, kSpotSupers);
    const std::uint64_t row = spotOf(encode.weights.size(), encode.count() / perRow);
    const std::uint64_t first = row * perRow + spotOf(encode.weights.size() + 1, perRow - length + 1);
    std::vector<std::byte> expected(length * kernel.bytes);
    const auto done = byReference(context, encode, first, length, expected);
    if (!done)
        return passOn(done);
    const auto found = encode.out.subspan(first * kernel.bytes, expected.size());
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
        wrong += found[i] == expected[i] ? 0U : 1U;
    // One super-block may be another where a device's arithmetic is not exact and two scales are as good.
    if (wrong > kernel.bytes)
        return context.wrongResult(
            "encode", fmt::format("element {}: {} of {} bytes differ", first * kSuper, wrong, expected.size()));
    return {};
}

TileWork workOf(OpContext& context, const Kernel& kernel, const SuperKernel& how, const Buffer& importance,
                SuperEncode& encode)
{
    const std::uint64_t group = how.perWorkgroup;
    const auto supersOf = [&encode, group](std::uint64_t first, std::uint64_t count) {
        return std::min(count * group, encode.count() - first * group);
    };
    TileWork work;
    work.units = (encode.count() + group - 1) / group;
    work.inputPerUnit = group * kSuper * sizeof(float);
    work.outputPerUnit = group * how.bytes;
    work.outputHeader = kHeader;
    work.maxUnits = context.device.maxWorkgroups();
    work.firstUnits = kFirstUnits;
    work.subject = kernel.row().name;
    work.fill = [&encode, group, supersOf](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
        const auto part = encode.weights.subspan(first * group * kSuper, supersOf(first, count) * kSuper);
        std::memcpy(upload.data(), part.data(), part.size_bytes());
        return Bytes{part.size_bytes()};
    };
    work.passes = [&, group, supersOf](std::span<Pass> passes, const Slice& slice) {
        const std::uint64_t perRow = encode.cols / kSuper;
        passes[0].kernel = &kernel;
        passes[0].buffers = {slice.input, slice.output, &importance};
        passes[0].tell({static_cast<std::uint32_t>(supersOf(slice.first, slice.count)),
                        static_cast<std::uint32_t>(slice.first * group % perRow), static_cast<std::uint32_t>(perRow)});
        passes[0].groupsX = static_cast<std::uint32_t>(slice.count);
        return std::size_t{1};
    };
    work.take
        = [&, group, supersOf](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) -> Status {
        const std::uint64_t supers = supersOf(first, count);
        std::array<std::uint32_t, 2> header{};
        std::memcpy(header.data(), output.data(), sizeof header);
        if (header[1] != supers)
            return context.notWritten(kernel.row().name, supers, header[1]);
        std::memcpy(encode.out.data() + first * group * how.bytes, output.data() + kHeader, supers * how.bytes);
        return (header[0] & kMetMarked) != 0 ? redoMarked(context, how, encode, first * group, supers) : Status{};
    };
    return work;
}

}  // namespace

std::optional<SuperKernel> superKernel(DType type, bool weighted)
{
    const auto make = [&](KernelId id, std::uint32_t kind, std::uint64_t perWorkgroup, Bytes scaleAt) {
        return SuperKernel{id, 2 * kind + (weighted ? 1U : 0U), perWorkgroup, info(type).blockBits / 8U, scaleAt};
    };
    switch (type) {
    case DType::Q2_K:
        return make(KernelId::EncodeAffine, 0, 2, 80);
    case DType::Q4_K:
        return make(KernelId::EncodeAffine, 1, 4, 0);
    case DType::Q5_K:
        return make(KernelId::EncodeAffine, 2, 4, 0);
    case DType::Q3_K:
        return make(KernelId::EncodeSymmetric, 3, 2, 108);
    case DType::Q6_K:
        return make(KernelId::EncodeSymmetric, 4, 2, 208);
    case DType::IQ4_XS:
        return make(KernelId::EncodeLevels, 5, 4, 0);
    default:
        return std::nullopt;
    }
}

Status redoMarked(OpContext& context, const SuperKernel& kernel, SuperEncode& encode, std::uint64_t first,
                  std::uint64_t count)
{
    const std::uint64_t perRow = encode.cols / kSuper;
    const auto marked
        = [&](std::uint64_t super) { return isMarked(encode.out.subspan(super * kernel.bytes, kernel.bytes), kernel); };
    for (std::uint64_t super = first; super < first + count && !encode.metTrouble;) {
        if (!marked(super)) {
            ++super;
            continue;
        }
        const std::uint64_t rowEnd = std::min(first + count, (super / perRow + 1) * perRow);
        std::uint64_t end = super + 1;
        while (end < rowEnd && marked(end))
            ++end;
        const auto done = byReference(context, encode, super, end - super,
                                      encode.out.subspan(super * kernel.bytes, (end - super) * kernel.bytes));
        if (!done)
            return passOn(done);
        context.usedReference = true;
        encode.metTrouble = !*done;
        super = end;
    }
    return {};
}

Result<std::string> encodeSupers(OpContext& context, DType type, std::span<const float> weights, std::uint64_t rows,
                                 std::uint64_t cols, std::span<const float> importance, std::span<std::byte> out,
                                 const JobContext& job)
{
    const auto wholly = [&]() -> Result<std::string> {
        const JobContext quiet{.stop = job.stop};
        if (!importance.empty())
            return context.reference.encodeWeighted(type, weights, rows, cols, importance, out, quiet);
        if (const Status done = context.reference.encode(type, weights, rows, cols, out, quiet); !done)
            return passOn(done);
        return std::string();
    };
    const auto how = superKernel(type, !importance.empty());
    if (!how)
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} has no kernel for encoding to {}", context.device.info().id, info(type).name));
    const bool fits = cols % kSuper == 0 && weights.size() == rows * cols
        && out.size() == weights.size() / kSuper * how->bytes && (importance.empty() || importance.size() == cols);
    if (!fits)  // the reference words the error
        return wholly();
    if (weights.empty())
        return std::string();
    const auto kernel = context.kernels.get(how->id, how->constant);
    if (!kernel)
        return passOn(kernel);
    // Runs of columns that share an importance's fate: blocks of 32 of IQ4_XS, whole super-blocks of the others.
    const Importances usable = usableImportances(importance, type == DType::IQ4_XS ? 32 : kSuper);
    constexpr float kNone = 1;
    const auto onDevice = uploaded(
        context, std::as_bytes(importance.empty() ? std::span(&kNone, 1) : std::span<const float>(usable.values)), job);
    if (!onDevice)
        return passOn(onDevice);
    SuperEncode encode{type, weights, cols, usable.values, out};
    if (const Status done = context.tiles.run(workOf(context, **kernel, *how, *onDevice, encode), job); !done)
        return passOn(done);
    if (encode.metTrouble)
        return wholly();
    if (const Status right = spotCheckSupers(context, *how, encode); !right)
        return passOn(right);
    return usable.inWords(0, encode.count());
}

}  // namespace sigmascope::gpu
