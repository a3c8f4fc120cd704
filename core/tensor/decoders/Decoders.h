// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What Decode.cpp builds its table from. Included by it and by the decoders themselves only.
//
// Each turns out.size() / blockElements whole GGUF blocks into floats: layouts as formats.md §2.3 has them, products and
// sums in the order of ggml's to_float, so that the bits are the same for every byte a file may hold. Any input is
// fine: a scale that is NaN or infinite gives what arithmetic on it gives.
//
// The loops over a run are vector code where the compiler makes it: `to` must not alias the codes, and g++ unrolls 16
// steps into single instructions before it looks for vectors unless it is told not to unroll.

#include "core/base/Clones.h"
#include "core/base/Half.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sigmascope::decoders {

inline constexpr std::size_t kSuper = 256;  // elements of a super-block

using Decoder = void (*)(const std::byte* in, std::span<float> out);

// Blocks32.cpp: one scale, or scale and minimum, for 32 elements
void q4_0(const std::byte* in, std::span<float> out);
void q4_1(const std::byte* in, std::span<float> out);
void q5_0(const std::byte* in, std::span<float> out);
void q5_1(const std::byte* in, std::span<float> out);
void q8_0(const std::byte* in, std::span<float> out);
// KQuants.cpp: super-blocks of 256 with coded scales
void q2_K(const std::byte* in, std::span<float> out);
void q3_K(const std::byte* in, std::span<float> out);
void q4_K(const std::byte* in, std::span<float> out);
void q5_K(const std::byte* in, std::span<float> out);
void q6_K(const std::byte* in, std::span<float> out);
// LevelTables.cpp: four bits that index a table of levels
void iq4_NL(const std::byte* in, std::span<float> out);
void iq4_XS(const std::byte* in, std::span<float> out);
void mxfp4(const std::byte* in, std::span<float> out);
void nvfp4(const std::byte* in, std::span<float> out);
// FewLevels.cpp: one or two bits, or base-3 digits
void tq1_0(const std::byte* in, std::span<float> out);
void tq2_0(const std::byte* in, std::span<float> out);
void q1_0(const std::byte* in, std::span<float> out);
void q2_0(const std::byte* in, std::span<float> out);
// Codebooks.cpp: codes of four or eight elements at once
void iq1_S(const std::byte* in, std::span<float> out);
void iq1_M(const std::byte* in, std::span<float> out);
void iq2_XXS(const std::byte* in, std::span<float> out);
void iq2_XS(const std::byte* in, std::span<float> out);
void iq2_S(const std::byte* in, std::span<float> out);
void iq3_XXS(const std::byte* in, std::span<float> out);
void iq3_S(const std::byte* in, std::span<float> out);

inline unsigned byteAt(const std::byte* in, std::size_t at)
{
    return std::to_integer<unsigned>(in[at]);
}

inline float halfAt(const std::byte* in)
{
    std::uint16_t bits = 0;
    std::memcpy(&bits, in, sizeof bits);
    return f16ToFloat(bits);
}

}  // namespace sigmascope::decoders
