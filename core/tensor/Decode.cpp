// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/Decode.h"

#include "core/base/Clones.h"
#include "core/base/Half.h"
#include "core/tensor/decoders/Decoders.h"

#include <algorithm>
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

SIGMASCOPE_CLONES void decodeF16(const std::byte* in, std::span<float> out)
{
    decodeEach<std::uint16_t>(in, out, f16Branchless);
}

SIGMASCOPE_CLONES void decodeBf16(const std::byte* in, std::span<float> out)
{
    decodeEach<std::uint16_t>(in, out, bf16ToFloat);
}

std::array<float, 256> tableOf(float (*convert)(std::uint8_t))
{
    std::array<float, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i)
        table[i] = convert(static_cast<std::uint8_t>(i));
    return table;
}

struct BlockDecoder {
    DType type;
    decoders::Decoder decode;
};

/// Every GGUF block type whose row in DType.cpp says that it is decodable (tst_decode holds the two together).
constexpr std::array kBlockDecoders{
    BlockDecoder{DType::Q4_0, decoders::q4_0},     BlockDecoder{DType::Q4_1, decoders::q4_1},
    BlockDecoder{DType::Q5_0, decoders::q5_0},     BlockDecoder{DType::Q5_1, decoders::q5_1},
    BlockDecoder{DType::Q8_0, decoders::q8_0},     BlockDecoder{DType::Q2_K, decoders::q2_K},
    BlockDecoder{DType::Q3_K, decoders::q3_K},     BlockDecoder{DType::Q4_K, decoders::q4_K},
    BlockDecoder{DType::Q5_K, decoders::q5_K},     BlockDecoder{DType::Q6_K, decoders::q6_K},
    BlockDecoder{DType::IQ4_NL, decoders::iq4_NL}, BlockDecoder{DType::IQ4_XS, decoders::iq4_XS},
    BlockDecoder{DType::MXFP4, decoders::mxfp4},   BlockDecoder{DType::NVFP4, decoders::nvfp4},
    BlockDecoder{DType::TQ1_0, decoders::tq1_0},   BlockDecoder{DType::TQ2_0, decoders::tq2_0},
    BlockDecoder{DType::Q1_0, decoders::q1_0},     BlockDecoder{DType::Q2_0, decoders::q2_0},
    BlockDecoder{DType::IQ1_S, decoders::iq1_S},   BlockDecoder{DType::IQ1_M, decoders::iq1_M},
    BlockDecoder{DType::IQ2_S, decoders::iq2_S},   BlockDecoder{DType::IQ2_XXS, decoders::iq2_XXS},
    BlockDecoder{DType::IQ3_S, decoders::iq3_S},   BlockDecoder{DType::IQ3_XXS, decoders::iq3_XXS},
    BlockDecoder{DType::IQ2_XS, decoders::iq2_XS},
};

void decodeBlocks(DType dtype, const std::byte* in, std::span<float> out)
{
    const auto* const row = std::ranges::find(kBlockDecoders, dtype, &BlockDecoder::type);
    assert(row != kBlockDecoders.end() && "decode() of a type that is not decodable");
    row->decode(in, out);
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
    case DType::F16: return decodeF16(from, out);
    case DType::BF16: return decodeBf16(from, out);
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

std::span<const std::byte> bytesOf(const TensorView& view, std::uint64_t first, std::uint64_t count)
{
    const DTypeInfo& type = info(view.dtype);
    const std::uint64_t blockBytes = type.blockBits / 8;
    return view.bytes.subspan(first / type.blockElements * blockBytes, count / type.blockElements * blockBytes);
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
