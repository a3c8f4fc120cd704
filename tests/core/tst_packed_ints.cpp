// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/PackedInts.h"

#include <QTest>

#include <array>
#include <cstring>
#include <vector>

using namespace sigmascope;

namespace {

using Codes = std::vector<std::uint8_t>;
using Words = std::vector<std::uint32_t>;

Codes someCodes(std::size_t count, int bits)
{
    Codes codes(count);
    std::uint32_t state = 12345;
    for (std::uint8_t& code : codes) {
        state = state * 1664525U + 1013904223U;
        code = static_cast<std::uint8_t>((state >> 16U) & ((1U << static_cast<unsigned>(bits)) - 1U));
    }
    return codes;
}

Words packed(const Codes& codes, std::uint64_t rows, std::uint64_t cols, const PackedLayout& layout)
{
    Words words(*checkedElementCount(packedShape(layout, rows, cols)), 0xDEADBEEFU);
    const Status done = packInts(codes, rows, cols, layout, std::as_writable_bytes(std::span(words)));
    return done ? words : Words{};
}

}  // namespace

class PackedIntsTest : public QObject {
    Q_OBJECT

private slots:
    void codesComeBackFromEveryLayoutWidthAndSize();
    void compressedTensorsPacksAlongInputsFromTheLowestBits();
    void compressedTensorsLeavesSpareBitsOfThreeBitWordsEmpty();
    void compressedTensorsPacksZeroPointsAlongOutputs();
    void gptqPacksInputsIntoWordsWhoseRowsAreOutputs();
    void gptqThreeBitsCrossWordsAsPublished();
    void awqInterleavesOutputs();
    void wordsNeedNotBeAligned();
    void spareBitsAreNotReadIntoCodes();
    void refusesWhatDoesNotFit();
};

void PackedIntsTest::codesComeBackFromEveryLayoutWidthAndSize()
{
    for (int bits = 1; bits <= 8; ++bits) {
        for (const WordFill fill : {WordFill::WholeCodes, WordFill::Stream, WordFill::Awq}) {
            if (fill == WordFill::Awq && bits != 4)
                continue;
            for (const WordsAlong along : {WordsAlong::Row, WordsAlong::Column}) {
                for (const bool transposed : {false, true}) {
                    for (const auto& [rows, cols] : std::vector<std::array<std::size_t, 2>>{
                             {1, 1}, {3, 7}, {65, 33}, {32, 96}, {130, 10}, {0, 8}, {5, 0}}) {
                        const PackedLayout layout{bits, fill, along, transposed};
                        const Codes codes = someCodes(rows * cols, bits);
                        const Words words = packed(codes, rows, cols, layout);
                        Codes back(codes.size(), 0xFF);
                        QVERIFY(unpackInts(std::as_bytes(std::span(words)), rows, cols, layout, back));
                        QCOMPARE(back, codes);
                    }
                }
            }
        }
    }
}

void PackedIntsTest::compressedTensorsPacksAlongInputsFromTheLowestBits()
{
    const PackedLayout four = compressedTensorsCodes(4);
    QCOMPARE(packedShape(four, 2, 9), (Shape{2, 2}));
    QCOMPARE(packed({0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 14, 13, 12, 11, 10, 9, 8, 7}, 2, 9, four),
             (Words{0x76543210U, 0x8U, 0x89ABCDEFU, 0x7U}));
    QCOMPARE(packed({0x11, 0x22, 0x33, 0x44, 0xFF}, 1, 5, compressedTensorsCodes(8)), (Words{0x44332211U, 0xFFU}));
}

void PackedIntsTest::compressedTensorsLeavesSpareBitsOfThreeBitWordsEmpty()
{
    // Ten codes of 7 fill 30 bits, the eleventh begins the next word.
    QCOMPARE(packed(Codes(11, 7), 1, 11, compressedTensorsCodes(3)), (Words{0x3FFFFFFFU, 0x7U}));
}

void PackedIntsTest::compressedTensorsPacksZeroPointsAlongOutputs()
{
    // Nine outputs of two groups: [2 × 2] words, a column of outputs each.
    Codes zeros;
    for (std::uint8_t out = 0; out < 9; ++out) {
        zeros.push_back(out);
        zeros.push_back(static_cast<std::uint8_t>(15 - out));
    }
    QCOMPARE(packedShape(compressedTensorsZeros(4), 9, 2), (Shape{2, 2}));
    QCOMPARE(packed(zeros, 9, 2, compressedTensorsZeros(4)), (Words{0x76543210U, 0x89ABCDEFU, 0x8U, 0x7U}));
}

void PackedIntsTest::gptqPacksInputsIntoWordsWhoseRowsAreOutputs()
{
    // Two outputs of 16 inputs: qweight is [2 × 2], word r of output o holds its inputs 8 r … 8 r + 7.
    Codes codes;
    for (std::uint8_t i = 0; i < 16; ++i)
        codes.push_back(i);
    for (std::uint8_t i = 0; i < 16; ++i)
        codes.push_back(static_cast<std::uint8_t>(15 - i));
    QCOMPARE(packed(codes, 2, 16, gptqCodes(4)), (Words{0x76543210U, 0x89ABCDEFU, 0xFEDCBA98U, 0x01234567U}));
    // Zero points of 8 outputs and two groups: [groups × 1].
    QCOMPARE(packed({0, 8, 1, 8, 2, 8, 3, 8, 4, 8, 5, 8, 6, 8, 7, 8}, 8, 2, gptqZeros(4)),
             (Words{0x76543210U, 0x88888888U}));
    QCOMPARE(packed(Codes(16, 1), 1, 16, gptqCodes(2)), (Words{0x55555555U}));
}

void PackedIntsTest::gptqThreeBitsCrossWordsAsPublished()
{
    const Codes codes = someCodes(32, 3);
    // The packing loop of the GPTQ code, word by word: 10 codes, one split 2 + 1, 10 codes, one split 1 + 2, 10 codes.
    Words expected(3, 0);
    for (unsigned j = 0; j < 10; ++j) {
        expected[0] |= static_cast<std::uint32_t>(codes[j]) << (3 * j);
        expected[1] |= static_cast<std::uint32_t>(codes[11 + j]) << (3 * j + 1);
        expected[2] |= static_cast<std::uint32_t>(codes[22 + j]) << (3 * j + 2);
    }
    expected[0] |= static_cast<std::uint32_t>(codes[10]) << 30U;
    expected[1] |= (static_cast<std::uint32_t>(codes[10]) >> 2U) & 1U;
    expected[1] |= static_cast<std::uint32_t>(codes[21]) << 31U;
    expected[2] |= (static_cast<std::uint32_t>(codes[21]) >> 1U) & 3U;
    QCOMPARE(packed(codes, 1, 32, gptqCodes(3)), expected);
    QCOMPARE(packed(codes, 32, 1, gptqZeros(3)), expected);
}

void PackedIntsTest::awqInterleavesOutputs()
{
    // One input, eight outputs 0 … 7: nibbles from the lowest are outputs 0 2 4 6 1 3 5 7.
    QCOMPARE(packed({0, 1, 2, 3, 4, 5, 6, 7}, 8, 1, awqCodes()), (Words{0x75316420U}));
    // 16 outputs of 3 inputs: [3 × 2].
    QCOMPARE(packedShape(awqCodes(), 16, 3), (Shape{3, 2}));
    Codes codes(16 * 3, 0);
    codes[1 * 3 + 2] = 9;  // output 1, input 2: nibble 4 of word [2, 0]
    codes[15 * 3 + 0] = 10;  // output 15, input 0: nibble 7 of word [0, 1]
    QCOMPARE(packed(codes, 16, 3, awqCodes()), (Words{0, 0xA0000000U, 0, 0, 0x00090000U, 0}));
}

void PackedIntsTest::wordsNeedNotBeAligned()
{
    const Codes codes = someCodes(64, 4);
    const Words words = packed(codes, 8, 8, gptqCodes(4));
    std::vector<std::byte> shifted(1 + 4 * words.size());
    std::memcpy(shifted.data() + 1, words.data(), 4 * words.size());
    Codes back(64);
    QVERIFY(unpackInts(std::span(shifted).subspan(1), 8, 8, gptqCodes(4), back));
    QCOMPARE(back, codes);
}

void PackedIntsTest::spareBitsAreNotReadIntoCodes()
{
    const Words words{0xFFFFFFFFU, 0xFFFFFFF8U};
    Codes back(11);
    QVERIFY(unpackInts(std::as_bytes(std::span(words)), 1, 11, compressedTensorsCodes(3), back));
    Codes expected(11, 7);
    expected[10] = 0;
    QCOMPARE(back, expected);
}

void PackedIntsTest::refusesWhatDoesNotFit()
{
    std::array<std::byte, 8> words{};
    Codes codes(8, 1);
    const auto codeOf = [](const Status& status) { return status ? ErrorCode::Cancelled : status.error().code; };
    QCOMPARE(codeOf(packInts(codes, 1, 8, compressedTensorsCodes(4), words)), ErrorCode::ShapeMismatch);
    QCOMPARE(codeOf(unpackInts(words, 1, 8, compressedTensorsCodes(4), codes)), ErrorCode::ShapeMismatch);
    QCOMPARE(codeOf(unpackInts(words, 1, 16, compressedTensorsCodes(4), codes)), ErrorCode::ShapeMismatch);
    // Products that wrap to the very sizes at hand.
    QCOMPARE(codeOf(unpackInts({}, std::uint64_t{1} << 62U, 16, compressedTensorsCodes(4), {})),
             ErrorCode::ShapeMismatch);
    QCOMPARE(codeOf(unpackInts(words, 1, 16, {.bits = 9}, codes)), ErrorCode::InvalidOption);
    QCOMPARE(codeOf(unpackInts(words, 1, 16, {.bits = 0}, codes)), ErrorCode::InvalidOption);
    QCOMPARE(codeOf(unpackInts(words, 1, 16, {.bits = 8, .fill = WordFill::Awq}, codes)), ErrorCode::InvalidOption);
    codes[5] = 16;
    const Status wide = packInts(codes, 1, 8, compressedTensorsCodes(4), std::span(words).first(4));
    QCOMPARE(codeOf(wide), ErrorCode::NotRepresentable);
    QVERIFY(wide.error().detail.find("element 5") != std::string::npos);
}

QTEST_APPLESS_MAIN(PackedIntsTest)
#include "tst_packed_ints.moc"
