// SPDX-License-Identifier: GPL-3.0-or-later
// Float operations that Vulkan does not promise to round correctly, done in integers: reciprocal and the
// conversion to half. With exact products and sums ("precise": no contraction) the codes are then the same
// bytes as the CPU's on every device that rounds to nearest even.

// Blocks whose largest magnitude is not zero but below 2^-100 are left to the host: a device may flush
// subnormals, and the reciprocal of the scale may overflow.
const uint kTinyBelow = 27u << 23;
const uint kInfinity = 0x7F800000u;

// Bits of header.x, read by the host; header.y is how many blocks were done: zero if the kernel did not run.
const uint kMetTiny = 1u;
const uint kMetTrouble = 2u;  // not finite, or a scale beyond half: the CPU reference words the error

// Bits of 1/d. @pre d is normal and so is 1/d. A tie cannot occur: 2^48 = m (2q + 1) has no solution for a
// mantissa m that is no power of two.
uint reciprocalBits(uint d)
{
    const uint sign = d & 0x80000000u;
    const uint exponent = (d >> 23) & 0xFFu;
    const uint mantissa = (d & 0x7FFFFFu) | 0x800000u;
    if (mantissa == 0x800000u)
        return sign | ((254u - exponent) << 23);
    uint rest = 0x800000u;
    uint quotient = 0u;  // of 2^47 by the mantissa: 24 bits
    for (int i = 0; i < 24; ++i) {
        rest <<= 1;
        quotient <<= 1;
        if (rest >= mantissa) {
            rest -= mantissa;
            quotient |= 1u;
        }
    }
    if (2u * rest > mantissa)
        ++quotient;
    return sign | (((253u - exponent) << 23) + (quotient - 0x800000u));
}

// Binary16 code of a finite float, ties to even, overflow to infinity: floatToF16 of core/base/Half.h.
uint floatBitsToHalf(uint bits)
{
    const uint sign = (bits >> 16) & 0x8000u;
    const uint magnitude = bits & 0x7FFFFFFFu;
    if (magnitude >= 0x47800000u)
        return sign | 0x7C00u;
    if (magnitude < 0x33000000u)
        return sign;
    if (magnitude < 0x38800000u) {
        const uint shift = 126u - (magnitude >> 23);
        const uint mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
        const uint kept = mantissa >> shift;
        const uint rest = mantissa & ((1u << shift) - 1u);
        const uint middle = 1u << (shift - 1u);
        return sign | (kept + (rest > middle || (rest == middle && (kept & 1u) != 0u) ? 1u : 0u));
    }
    return sign | ((magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13);
}

// a / b, correctly rounded. @pre finite; b is normal. A quotient below 2^-126, or of a subnormal, is 0; one beyond the
// floats infinite. The device's own quotient of the mantissas is off by a few units at most; what it leaves is exact
// in 32 bits, and a tie cannot occur.
float quotient(float a, float b)
{
    const uint bitsA = floatBitsToUint(a);
    const uint bitsB = floatBitsToUint(b);
    const uint sign = (bitsA ^ bitsB) & 0x80000000u;
    const uint exponentA = (bitsA >> 23) & 0xFFu;
    if (exponentA == 0u)
        return uintBitsToFloat(sign);
    const uint numerator = (bitsA & 0x7FFFFFu) | 0x800000u;
    const uint divisor = (bitsB & 0x7FFFFFu) | 0x800000u;
    const bool isLess = numerator < divisor;
    const int exponent = int(exponentA) - int((bitsB >> 23) & 0xFFu) + (isLess ? 126 : 127);
    if (exponent <= 0 || exponent >= 255)
        return uintBitsToFloat(sign | (exponent <= 0 ? 0u : 0x7F800000u));
    uint found = uint(float(numerator) / float(divisor) * (isLess ? 16777216.0 : 8388608.0));
    int rest = int((numerator << (isLess ? 24 : 23)) - found * divisor);
    while (rest < 0) {
        rest += int(divisor);
        --found;
    }
    while (rest >= int(divisor)) {
        rest -= int(divisor);
        ++found;
    }
    if (2 * rest > int(divisor))
        ++found;
    return uintBitsToFloat(sign | ((uint(exponent) << 23) + (found - 0x800000u)));
}

// Square root, correctly rounded. @pre finite, not negative; 0 of subnormals. As quotient().
float root(float x)
{
    const uint bits = floatBitsToUint(x);
    const uint exponent = bits >> 23;
    if (exponent == 0u)
        return 0.0;
    const uint mantissa = (bits & 0x7FFFFFu) | 0x800000u;
    const bool isEven = (exponent & 1u) != 0u;  // without its bias
    uint found = uint(sqrt(float(mantissa) * (isEven ? 8388608.0 : 16777216.0)));
    int rest = int((mantissa << (isEven ? 23 : 24)) - found * found);
    while (rest < 0) {
        rest += int(2u * found - 1u);
        --found;
    }
    while (rest > int(2u * found)) {
        rest -= int(2u * found + 1u);
        ++found;
    }
    if (rest > int(found))
        ++found;
    return uintBitsToFloat((((exponent + 127u) >> 1) << 23) + (found - 0x800000u));
}
