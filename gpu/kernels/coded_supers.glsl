// SPDX-License-Identifier: GPL-3.0-or-later
// One element of the types of super-blocks of 256, of uneven and of few levels, as core/tensor/decoders has them.
// Included by coded.glsl.

// Elements of a block, as a power of two.
const uint kBlockShift = kKind < 7u || kKind == 12u || kKind == 14u ? 5u
    : kKind == 15u || kKind == 19u                                  ? 6u
    : kKind == 18u                                                  ? 7u
                                                                    : 8u;

const float kLevels[16] = float[](-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0,
                                  69.0, 89.0, 113.0);

// Two bits of codes that lie 32 apart in a byte, from byte `at` on.
uint codeOfTwoBits(uint at, uint j)
{
    return (codeByte(at + 32u * (j >> 7) + (j & 31u)) >> (2u * ((j >> 5) & 3u))) & 3u;
}

float scaledLess(float scale, uint code, float minimum)
{
    precise float scaled = scale * float(code);
    precise float value = scaled - minimum;
    return value;
}

float quantizedQ2K(uint at, uint j)
{
    const uint both = codeByte(at + (j >> 4));
    return scaledLess(codeHalf(at + 80u) * float(both & 15u), codeOfTwoBits(at + 16u, j),
                      codeHalf(at + 82u) * float(both >> 4));
}

float quantizedQ3K(uint at, uint j)
{
    const uint run = j >> 4;
    const uint low = run < 8u ? codeByte(at + 96u + run) & 15u : codeByte(at + 88u + run) >> 4;
    const uint high = (codeByte(at + 104u + (run & 3u)) >> (2u * (run >> 2))) & 3u;
    const uint third = (codeByte(at + (j & 31u)) >> (j >> 5)) & 1u;
    const float scale = codeHalf(at + 108u) * float(int(low | (high << 4)) - 32);
    return scale * float(int(codeOfTwoBits(at + 32u, j) | (third << 2)) - 4);
}

// Q4_K, and Q5_K with its fifth bits before the others.
float quantizedSixBits(uint at, uint j, bool fifthBit)
{
    const uint run = j >> 5;
    uint scale = codeByte(at + 4u + run) & 63u;
    uint minimum = codeByte(at + 8u + run) & 63u;
    if (run >= 4u) {
        const uint low = codeByte(at + 8u + run);
        scale = (low & 15u) | ((codeByte(at + run) >> 6) << 4);
        minimum = (low >> 4) | ((codeByte(at + 4u + run) >> 6) << 4);
    }
    const uint codesAt = at + (fifthBit ? 48u : 16u);
    uint code = (codeByte(codesAt + 32u * (j >> 6) + (j & 31u)) >> (4u * (run & 1u))) & 15u;
    if (fifthBit)
        code |= ((codeByte(at + 16u + (j & 31u)) >> run) & 1u) << 4;
    return scaledLess(codeHalf(at) * float(scale), code, codeHalf(at + 2u) * float(minimum));
}

float quantizedQ6K(uint at, uint j)
{
    const uint quarter = (j >> 5) & 3u;
    const uint low
        = (codeByte(at + 64u * (j >> 7) + 32u * (quarter & 1u) + (j & 31u)) >> (quarter < 2u ? 0u : 4u)) & 15u;
    const uint high = (codeByte(at + 128u + 32u * (j >> 7) + (j & 31u)) >> (2u * quarter)) & 3u;
    const float scale = codeHalf(at + 208u) * float(int(codeByte(at + 192u + (j >> 4)) << 24) >> 24);
    return scale * float(int(low | (high << 4)) - 32);
}

float quantizedIq4Nl(uint at, uint j)
{
    const uint pair = codeByte(at + 2u + (j & 15u));
    return codeHalf(at) * kLevels[(j & 16u) != 0u ? pair >> 4 : pair & 15u];
}

float quantizedIq4Xs(uint at, uint j)
{
    const uint run = j >> 5;
    const uint low = (codeByte(at + 4u + (run >> 1)) >> (4u * (run & 1u))) & 15u;
    const uint high = (codeByte(at + 2u + (run >> 2)) >> (2u * (run & 3u))) & 3u;
    const uint pair = codeByte(at + 8u + 16u * run + (j & 15u));
    const float scale = codeHalf(at) * float(int(low | (high << 4)) - 32);
    return scale * kLevels[(j & 16u) != 0u ? pair >> 4 : pair & 15u];
}

// E2M1, doubled; 8 is +0.
float doubledE2m1(uint code)
{
    const uint low = code & 7u;
    const uint magnitude = low < 4u ? low : low < 6u ? 2u * low - 4u : 4u * low - 16u;
    return (code & 8u) != 0u && magnitude != 0u ? -float(magnitude) : float(magnitude);
}

// A power of two times the level, by integers: a device may flush subnormals.
float quantizedMxfp4(uint at, uint j)
{
    const uint pair = codeByte(at + 1u + (j & 15u));
    const uint level = floatBitsToUint(doubledE2m1((j & 16u) != 0u ? pair >> 4 : pair & 15u));
    const uint sign = level & 0x80000000u;
    if ((level & 0x7FFFFFFFu) == 0u)
        return uintBitsToFloat(sign);
    const int exponent = int((level >> 23) & 0xFFu) + int(codeByte(at)) - 128;
    if (exponent >= 255)
        return uintBitsToFloat(sign | 0x7F800000u);
    if (exponent <= 0)
        return uintBitsToFloat(sign | (((level & 0x7FFFFFu) | 0x800000u) >> uint(1 - exponent)));
    return uintBitsToFloat(sign | (uint(exponent) << 23) | (level & 0x7FFFFFu));
}

float quantizedNvfp4(uint at, uint j)
{
    const uint run = j >> 4;
    const uint pair = codeByte(at + 4u + 8u * run + (j & 7u));
    const uint code = codeByte(at + run);
    const uint mantissa = code & 7u;
    const uint exponent = (code >> 3) & 15u;
    float scale = 0.0;
    if (code != 0x7Fu)
        scale = exponent == 0u ? float(mantissa) * 0.0009765625  // 2^-10
                               : float(8u + mantissa) * uintBitsToFloat((exponent + 116u) << 23);
    return scale * doubledE2m1((j & 8u) != 0u ? pair >> 4 : pair & 15u);
}

// Base-3 digits, five in a byte; the last four bytes have four.
float quantizedTq1(uint at, uint j)
{
    const uint byte = j < 160u ? j & 31u : j < 240u ? 32u + ((j - 160u) & 15u) : 48u + (j & 3u);
    const uint digit = j < 160u ? j >> 5 : j < 240u ? (j - 160u) >> 4 : (j - 240u) >> 2;
    uint power = 1u;
    for (uint n = 0u; n < digit; ++n)
        power *= 3u;
    const uint turned = (codeByte(at + byte) * power) & 255u;
    return float(int((turned * 3u) >> 8) - 1) * codeHalf(at + 52u);
}

float quantizedFewLevels(uint at, uint j)
{
    if (kKind == 18u) {
        const float scale = codeHalf(at);
        return ((codeByte(at + 2u + (j >> 3)) >> (j & 7u)) & 1u) != 0u ? scale : -scale;
    }
    const bool isTq2 = kKind == 17u;
    const uint code = isTq2 ? codeOfTwoBits(at, j) : (codeByte(at + 2u + (j >> 2)) >> (2u * (j & 3u))) & 3u;
    return float(int(code) - 1) * codeHalf(isTq2 ? at + 64u : at);
}

// @pre kKind is one of those that codedKind() in KernelTable.cpp has from 7 on.
float quantizedSuper(uint base, uint col)
{
    const uint block = col >> kBlockShift;
    const uint j = col & ((1u << kBlockShift) - 1u);
    switch (kKind) {
    case 7u:
        return quantizedQ2K(base + block * 84u, j);
    case 8u:
        return quantizedQ3K(base + block * 110u, j);
    case 9u:
        return quantizedSixBits(base + block * 144u, j, false);
    case 10u:
        return quantizedSixBits(base + block * 176u, j, true);
    case 11u:
        return quantizedQ6K(base + block * 210u, j);
    case 12u:
        return quantizedIq4Nl(base + block * 18u, j);
    case 13u:
        return quantizedIq4Xs(base + block * 136u, j);
    case 14u:
        return quantizedMxfp4(base + block * 17u, j);
    case 15u:
        return quantizedNvfp4(base + block * 36u, j);
    case 16u:
        return quantizedTq1(base + block * 54u, j);
    case 17u:
        return quantizedFewLevels(base + block * 66u, j);
    default:
        return quantizedFewLevels(base + block * 18u, j);
    }
}
