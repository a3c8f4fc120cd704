// SPDX-License-Identifier: GPL-3.0-or-later
// One element of E = W - Q, from weights and codes as they lie in memory. Included after the bindings
//   0 weights[], 1 codes[] (both uint)
// and push constants with a member `m` of type Matrix.
#extension GL_GOOGLE_include_directive : require
#include "half.glsl"

layout(constant_id = 0) const uint kKind = 0u;  // codedKind() in KernelTable.cpp

// Addresses in bytes. A row of codes begins at codeBase + row * codeStride; of INT groups the zero points follow at
// zerosAt, the codes at codesAt.
struct Matrix {
    uint cols;
    uint weightBase;  // in words
    uint weightStride;  // in words
    uint codeBase, codeStride;
    uint bits;
    uint asymmetric;
    uint group;
    uint zerosAt, codesAt;
};

uint codeByte(uint at)
{
    return (codes[at >> 2] >> ((at & 3u) * 8u)) & 0xFFu;
}

float codeHalf(uint at)  // at an even address
{
    return uintBitsToFloat(halfToFloatBits((codes[at >> 2] >> ((at & 2u) * 8u)) & 0xFFFFu));
}

// Up to 8 bits at a bit of the stream that begins at byte `base`.
uint codeBits(uint base, uint bit, uint count)
{
    const uint at = base + (bit >> 3);
    const uint shift = (at & 3u) * 8u + (bit & 7u);
    uint value = codes[at >> 2] >> shift;
    if (shift + count > 32u)
        value |= codes[(at >> 2) + 1u] << (32u - shift);
    return value & ((1u << count) - 1u);
}

// Five-bit codes keep their upper bits in a word of their own, at any even address.
uint upperBit(uint at, uint j)
{
    return (codeByte(at + (j >> 3)) >> (j & 7u)) & 1u;
}

#include "coded_supers.glsl"

float quantized(Matrix m, uint row, uint col)
{
    const uint base = m.codeBase + row * m.codeStride;
    if (kKind >= 7u)
        return quantizedSuper(base, col);
    if (kKind == 3u) {
        const uint g = col / m.group;
        const int zero = m.asymmetric != 0u ? int(codeBits(base + m.zerosAt, g * m.bits, m.bits))
                                            : int((1u << (m.bits - 1u)) - 1u);
        const int code = int(codeBits(base + m.codesAt, col * m.bits, m.bits));
        return codeHalf(base + 2u * g) * float(code - zero);
    }
    const uint block = col >> 5;
    const uint j = col & 31u;
    const uint low = j & 15u;
    const uint nibbleShift = j < 16u ? 0u : 4u;
    if (kKind == 1u) {
        const uint at = base + block * 34u;
        return codeHalf(at) * float(int(codeByte(at + 2u + j) << 24) >> 24);
    }
    if (kKind == 2u) {
        const uint at = base + block * 18u;
        return codeHalf(at) * float(int((codeByte(at + 2u + low) >> nibbleShift) & 15u) - 8);
    }
    if (kKind == 4u) {
        const uint at = base + block * 20u;
        precise float scaled = codeHalf(at) * float((codeByte(at + 4u + low) >> nibbleShift) & 15u);
        precise float value = scaled + codeHalf(at + 2u);
        return value;
    }
    if (kKind == 5u) {
        const uint at = base + block * 22u;
        const uint code = ((codeByte(at + 6u + low) >> nibbleShift) & 15u) | (upperBit(at + 2u, j) << 4);
        return codeHalf(at) * float(int(code) - 16);
    }
    if (kKind == 6u) {
        const uint at = base + block * 24u;
        const uint code = ((codeByte(at + 8u + low) >> nibbleShift) & 15u) | (upperBit(at + 4u, j) << 4);
        precise float scaled = codeHalf(at) * float(code);
        precise float value = scaled + codeHalf(at + 2u);
        return value;
    }
    return 0.0;
}

float weight(Matrix m, uint row, uint col)
{
    return uintBitsToFloat(weights[m.weightBase + row * m.weightStride + col]);
}

float residual(Matrix m, uint row, uint col)
{
    precise float e = weight(m, row, col) - quantized(m, row, col);
    return e;
}
