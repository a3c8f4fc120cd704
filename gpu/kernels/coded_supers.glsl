// SPDX-License-Identifier: GPL-3.0-or-later
// One element of the types of super-blocks of 256 and of the uneven levels, as core/tensor/decoders has them. Included
// by coded.glsl.

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

// @pre kKind is one of those that codedKind() in KernelTable.cpp has from 7 on.
float quantizedSuper(uint base, uint col)
{
    const uint block = col >> 8;
    const uint j = col & 255u;
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
        return quantizedIq4Nl(base + (col >> 5) * 18u, col & 31u);
    default:
        return quantizedIq4Xs(base + block * 136u, j);
    }
}
