// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/Decode.h"

#include "core/base/Half.h"

#include <array>
#include <cassert>
#include <cstring>
#include <fmt/format.h>

namespace sigmascope {

namespace {

template <class T>
T loadAt(const std::byte* from)
{
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

/// One stored element each: `convert` turns the stored type into a float.
template <class Stored, class Convert>
void decodeEach(const std::byte* in, std::span<float> out, Convert convert)
{
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = convert(loadAt<Stored>(in + i * sizeof(Stored)));
}

template <class Stored>
void decodeNumbers(const std::byte* in, std::span<float> out)
{
    decodeEach<Stored>(in, out, [](Stored value) { return static_cast<float>(value); });
}

/// f16ToFloat without its branches, so that the loop becomes vector code: the exponent is moved by an
/// addition, and a subnormal is repaired by an exact float subtraction. Same bits as f16ToFloat for all
/// 65,536 codes (tst_half).
float f16Branchless(std::uint16_t bits)
{
    constexpr std::uint32_t kExponent = 0x0F800000U;  // five exponent bits, in place
    constexpr float kSmallestNormal = 0x1.0p-14F;
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
    const std::uint32_t shifted = static_cast<std::uint32_t>(bits & 0x7FFFU) << 13;
    const std::uint32_t exponent = shifted & kExponent;
    const std::uint32_t normal = shifted + (112U << 23);
    const std::uint32_t quiet = shifted > kExponent ? 1U << 22 : 0U;
    const std::uint32_t special = (normal + (112U << 23)) | quiet;
    const auto subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(normal + (1U << 23)) - kSmallestNormal);
    const std::uint32_t finite = exponent == 0 ? subnormal : normal;
    return std::bit_cast<float>(sign | (exponent == kExponent ? special : finite));
}

std::array<float, 256> tableOf(float (*convert)(std::uint8_t))
{
    std::array<float, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i)
        table[i] = convert(static_cast<std::uint8_t>(i));
    return table;
}

// GGUF blocks of 32 (formats.md §2.3): element e < 16 is the low nibble of byte e, element e + 16 its high one.
constexpr std::size_t kBlock = 32;
constexpr std::size_t kHalfBlock = 16;

void decodeQ8_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 34;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = f16ToFloat(loadAt<std::uint16_t>(in));
        float* to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kBlock; ++e)
            to[e] = static_cast<float>(loadAt<std::int8_t>(in + 2 + e)) * d;
    }
}

void decodeQ4_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 18;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = f16ToFloat(loadAt<std::uint16_t>(in));
        float* to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kHalfBlock; ++e) {
            const int pair = loadAt<std::uint8_t>(in + 2 + e);
            to[e] = static_cast<float>((pair & 15) - 8) * d;
            to[e + kHalfBlock] = static_cast<float>((pair >> 4) - 8) * d;
        }
    }
}

void decodeQ4_1(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 20;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = f16ToFloat(loadAt<std::uint16_t>(in));
        const float m = f16ToFloat(loadAt<std::uint16_t>(in + 2));
        float* to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kHalfBlock; ++e) {
            const int pair = loadAt<std::uint8_t>(in + 4 + e);
            to[e] = static_cast<float>(pair & 15) * d + m;
            to[e + kHalfBlock] = static_cast<float>(pair >> 4) * d + m;
        }
    }
}

/// The fifth bits of a block: bit e of `high` belongs to element e.
int fiveBits(int nibble, std::uint32_t high, std::size_t e)
{
    return nibble | static_cast<int>((high >> e) & 1U) << 4;
}

void decodeQ5_0(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 22;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = f16ToFloat(loadAt<std::uint16_t>(in));
        const auto high = loadAt<std::uint32_t>(in + 2);
        float* to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kHalfBlock; ++e) {
            const int pair = loadAt<std::uint8_t>(in + 6 + e);
            to[e] = static_cast<float>(fiveBits(pair & 15, high, e) - 16) * d;
            to[e + kHalfBlock] = static_cast<float>(fiveBits(pair >> 4, high, e + kHalfBlock) - 16) * d;
        }
    }
}

void decodeQ5_1(const std::byte* in, std::span<float> out)
{
    constexpr std::size_t kSize = 24;
    for (std::size_t b = 0; b < out.size() / kBlock; ++b, in += kSize) {
        const float d = f16ToFloat(loadAt<std::uint16_t>(in));
        const float m = f16ToFloat(loadAt<std::uint16_t>(in + 2));
        const auto high = loadAt<std::uint32_t>(in + 4);
        float* to = out.data() + b * kBlock;
        for (std::size_t e = 0; e < kHalfBlock; ++e) {
            const int pair = loadAt<std::uint8_t>(in + 8 + e);
            to[e] = static_cast<float>(fiveBits(pair & 15, high, e)) * d + m;
            to[e + kHalfBlock] = static_cast<float>(fiveBits(pair >> 4, high, e + kHalfBlock)) * d + m;
        }
    }
}

void decodeBlocks(DType dtype, const std::byte* in, std::span<float> out)
{
    switch (dtype) {
    case DType::Q8_0: return decodeQ8_0(in, out);
    case DType::Q4_0: return decodeQ4_0(in, out);
    case DType::Q4_1: return decodeQ4_1(in, out);
    case DType::Q5_0: return decodeQ5_0(in, out);
    case DType::Q5_1: return decodeQ5_1(in, out);
    default: assert(false && "decode() of a type that is not decodable");
    }
}

void decodeEightBit(const std::array<float, 256>& table, const std::byte* in, std::span<float> out)
{
    decodeEach<std::uint8_t>(in, out, [&](std::uint8_t code) { return table[code]; });
}

}  // namespace

void decode(DType dtype, std::span<const std::byte> in, std::span<float> out)
{
    static const std::array<float, 256> e4m3 = tableOf(f8e4m3ToFloat);
    static const std::array<float, 256> e5m2 = tableOf(f8e5m2ToFloat);
    assert(info(dtype).decodable);
    assert(in.size() == out.size() / info(dtype).blockElements * (info(dtype).blockBits / 8));
    const std::byte* from = in.data();
    switch (dtype) {
    case DType::F64: return decodeNumbers<double>(from, out);
    case DType::F32:
        if (!out.empty())
            std::memcpy(out.data(), from, out.size_bytes());
        return;
    case DType::F16: return decodeEach<std::uint16_t>(from, out, f16Branchless);
    case DType::BF16: return decodeEach<std::uint16_t>(from, out, bf16ToFloat);
    case DType::F8E4M3: return decodeEightBit(e4m3, from, out);
    case DType::F8E5M2: return decodeEightBit(e5m2, from, out);
    case DType::I64: return decodeNumbers<std::int64_t>(from, out);
    case DType::I32: return decodeNumbers<std::int32_t>(from, out);
    case DType::I16: return decodeNumbers<std::int16_t>(from, out);
    case DType::I8: return decodeNumbers<std::int8_t>(from, out);
    case DType::U64: return decodeNumbers<std::uint64_t>(from, out);
    case DType::U32: return decodeNumbers<std::uint32_t>(from, out);
    case DType::U16: return decodeNumbers<std::uint16_t>(from, out);
    case DType::U8: return decodeNumbers<std::uint8_t>(from, out);
    // Any non-zero byte is true: a file may hold what no writer of booleans would write.
    case DType::Bool: return decodeEach<std::uint8_t>(from, out, [](std::uint8_t v) { return v != 0 ? 1.0F : 0.0F; });
    default: return decodeBlocks(dtype, from, out);
    }
}

Status decodeRows(const TensorView& view, std::uint64_t first, std::uint64_t count, std::span<float> out)
{
    if (!info(view.dtype).decodable)
        return fail(ErrorCode::UnsupportedType,
                    fmt::format("{} values cannot be decoded by this version", info(view.dtype).name));
    assert(first + count <= view.rows());
    assert(out.size() == count * view.cols());
    const Bytes rowBytes = view.rowBytes();
    decode(view.dtype, view.bytes.subspan(first * rowBytes, count * rowBytes), out);
    return {};
}

}  // namespace sigmascope
