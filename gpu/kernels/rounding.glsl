// SPDX-License-Identifier: GPL-3.0-or-later

// w / scale rounded to the nearest integer, ties to even, clamped to +-limit; as if the quotient were exact.
// @pre scale is a half above 0, limit < 2^13; products and differences of floats are rounded correctly.
//
// The quotient itself may be off by some units in its last place, so the integer by one. The distance of w from
// n * scale tells: n * scale has at most 24 bits, and w - n * scale is exact (Sterbenz) since they are within a factor
// of two, or n is 0.
int nearestCode(float w, float scale, float limit)
{
    const float rough = w / scale;
    if (rough > limit)
        return int(limit);
    if (rough < -limit)
        return -int(limit);
    const float n = roundEven(rough);
    precise float product = n * scale;
    precise float left = w - product;
    const float middle = 0.5 * scale;
    const int code = int(n);
    if (left > middle)
        return code + 1;
    if (left < -middle)
        return code - 1;
    if ((code & 1) != 0) {
        if (left == middle)
            return code + 1;
        if (left == -middle)
            return code - 1;
    }
    return code;
}
