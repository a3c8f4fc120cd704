// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace sigmascope;

namespace {

/// IEEE value of a small float format from its definition, as an independent truth.
double byDefinition(unsigned code, int exponentBits, int mantissaBits, int bias)
{
    const unsigned mantissa = code & ((1U << mantissaBits) - 1);
    const unsigned exponent = (code >> mantissaBits) & ((1U << exponentBits) - 1);
    const bool negative = (code >> (mantissaBits + exponentBits)) != 0;
    const double fraction = std::ldexp(static_cast<double>(mantissa), -mantissaBits);
    const double magnitude = exponent == 0 ? std::ldexp(fraction, 1 - bias)
                                           : std::ldexp(1 + fraction, static_cast<int>(exponent) - bias);
    return negative ? -magnitude : magnitude;
}

}  // namespace

class TestHalf : public QObject {
    Q_OBJECT

private slots:
    void everyF16CodeHasItsIeeeValue()
    {
        for (unsigned code = 0; code < 65536; ++code) {
            const float value = f16ToFloat(static_cast<std::uint16_t>(code));
            if ((code & 0x7C00U) != 0x7C00U)
                QCOMPARE(static_cast<double>(value), byDefinition(code, 5, 10, 15));
            else if ((code & 0x3FFU) == 0)
                QCOMPARE(value, (code & 0x8000U) != 0 ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity());
            else
                QVERIFY(std::isnan(value));
        }
    }

    void everyF16CodeSurvivesARoundTrip()
    {
        for (unsigned code = 0; code < 65536; ++code) {
            const auto half = static_cast<std::uint16_t>(code);
            const bool isNan = (code & 0x7C00U) == 0x7C00U && (code & 0x3FFU) != 0;
            const auto expected = static_cast<std::uint16_t>(isNan ? code | 0x200U : code);
            QCOMPARE(floatToF16(f16ToFloat(half)), expected);
        }
    }

    void halfwayBetweenTwoF16ValuesRoundsToTheEvenOne()
    {
        for (unsigned code = 0; code < 0x7BFF; ++code) {
            const float low = f16ToFloat(static_cast<std::uint16_t>(code));
            const float high = f16ToFloat(static_cast<std::uint16_t>(code + 1));
            const float middle = 0.5F * low + 0.5F * high;
            const unsigned even = (code & 1U) == 0 ? code : code + 1;
            QCOMPARE(unsigned{floatToF16(middle)}, even);
            QCOMPARE(unsigned{floatToF16(std::nextafter(middle, 0.0F))}, code);
            QCOMPARE(unsigned{floatToF16(std::nextafter(middle, 1e9F))}, code + 1);
            QCOMPARE(unsigned{floatToF16(-middle)}, even | 0x8000U);
        }
    }

    void f16OverflowsToInfinityFrom65520On()
    {
        QCOMPARE(floatToF16(65504.0F), std::uint16_t{0x7BFF});
        QCOMPARE(floatToF16(std::nextafter(65520.0F, 0.0F)), std::uint16_t{0x7BFF});
        QCOMPARE(floatToF16(65520.0F), std::uint16_t{0x7C00});
        QCOMPARE(floatToF16(-1e30F), std::uint16_t{0xFC00});
        QCOMPARE(floatToF16(std::numeric_limits<float>::infinity()), std::uint16_t{0x7C00});
    }

    void f16OfANanIsAQuietNan()
    {
        QCOMPARE(floatToF16(std::bit_cast<float>(0x7F800001U)) & 0x7E00, 0x7E00);
        QCOMPARE(floatToF16(std::bit_cast<float>(0xFFC00000U)), std::uint16_t{0xFE00});
    }

    void everyBf16CodeIsTheUpperHalfOfItsFloat()
    {
        for (unsigned code = 0; code < 65536; ++code) {
            const float value = bf16ToFloat(static_cast<std::uint16_t>(code));
            QCOMPARE(std::bit_cast<std::uint32_t>(value), code << 16);
            const bool isNan = (code & 0x7FFFU) > 0x7F80U;
            QCOMPARE(unsigned{floatToBf16(value)}, isNan ? code | 0x40U : code);
        }
    }

    void bf16RoundsToNearestEven()
    {
        QCOMPARE(floatToBf16(std::bit_cast<float>(0x3F808000U)), std::uint16_t{0x3F80});  // tie, even stays
        QCOMPARE(floatToBf16(std::bit_cast<float>(0x3F818000U)), std::uint16_t{0x3F82});  // tie, odd goes up
        QCOMPARE(floatToBf16(std::bit_cast<float>(0x3F808001U)), std::uint16_t{0x3F81});
        QCOMPARE(floatToBf16(std::numeric_limits<float>::max()), std::uint16_t{0x7F80});  // rounds to infinity
    }

    void everyF8CodeHasItsOcpValue()
    {
        for (unsigned code = 0; code < 256; ++code) {
            const float e4m3 = f8e4m3ToFloat(static_cast<std::uint8_t>(code));
            if ((code & 0x7FU) == 0x7FU)
                QVERIFY(std::isnan(e4m3));
            else
                QCOMPARE(static_cast<double>(e4m3), byDefinition(code, 4, 3, 7));
            const float e5m2 = f8e5m2ToFloat(static_cast<std::uint8_t>(code));
            if ((code & 0x7CU) != 0x7CU)
                QCOMPARE(static_cast<double>(e5m2), byDefinition(code, 5, 2, 15));
            else
                QCOMPARE(std::isnan(e5m2), (code & 3U) != 0);
        }
        QCOMPARE(f8e4m3ToFloat(0x7E), 448.0F);
        QCOMPARE(f8e5m2ToFloat(0x7B), 57344.0F);
    }
};

QTEST_APPLESS_MAIN(TestHalf)
#include "tst_half.moc"
