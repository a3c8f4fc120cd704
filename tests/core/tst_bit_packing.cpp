// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/BitPacking.h"

#include <QTest>

#include <vector>

using namespace sigmascope;

class BitPackingTest : public QObject {
    Q_OBJECT

private slots:
    void codesComeBackAtEveryWidthAndLength();
    void firstCodeTakesTheLowestBits();
    void lastByteIsFilledUpWithZeros();
    void sizesAreWholeBytes();
};

void BitPackingTest::codesComeBackAtEveryWidthAndLength()
{
    for (int bits = 1; bits <= 8; ++bits) {
        for (std::size_t count = 0; count <= 33; ++count) {
            std::vector<std::uint8_t> codes(count);
            for (std::size_t i = 0; i < count; ++i)
                codes[i] = static_cast<std::uint8_t>((i * 37 + 11) & ((1U << bits) - 1U));
            std::vector<std::byte> packed(packedBytes(count, bits), std::byte{0xA5});
            packBits(codes, bits, packed);
            std::vector<std::uint8_t> back(count, 0xFF);
            unpackBits(packed, bits, back);
            QCOMPARE(back, codes);
        }
    }
}

void BitPackingTest::firstCodeTakesTheLowestBits()
{
    std::vector<std::byte> nibbles(2);
    packBits(std::vector<std::uint8_t>{0x1, 0x2, 0x3, 0x4}, 4, nibbles);
    QCOMPARE(nibbles, (std::vector{std::byte{0x21}, std::byte{0x43}}));

    // 001, 010, 011 from the low end: 11 010 001, then 0.
    std::vector<std::byte> threes(2);
    packBits(std::vector<std::uint8_t>{1, 2, 3}, 3, threes);
    QCOMPARE(threes, (std::vector{std::byte{0b11010001}, std::byte{0}}));
}

void BitPackingTest::lastByteIsFilledUpWithZeros()
{
    std::vector<std::byte> packed(1, std::byte{0xFF});
    packBits(std::vector<std::uint8_t>{3}, 2, packed);
    QCOMPARE(packed[0], std::byte{0x03});
}

void BitPackingTest::sizesAreWholeBytes()
{
    QCOMPARE(packedBytes(0, 4), std::size_t(0));
    QCOMPARE(packedBytes(1, 2), std::size_t(1));
    QCOMPARE(packedBytes(3, 3), std::size_t(2));
    QCOMPARE(packedBytes(5'000'000'000ULL, 4), std::size_t(2'500'000'000ULL));  // past 32-bit indices
}

QTEST_APPLESS_MAIN(BitPackingTest)
#include "tst_bit_packing.moc"
