// SPDX-License-Identifier: GPL-3.0-or-later
//
// The block decoders against the formulas of formats.md §2.3, one element at a time: another shape of the same
// arithmetic than the decoders' loops. (tests/interop asks ggml itself.)

#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/compute/CodeCounts.h"
#include "core/compute/ops/Scan.h"
#include "core/compute/ops/Statistics.h"
#include "core/tensor/Decode.h"
#include "core/tensor/decoders/CodebookPoints.h"

#include <QTest>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

using namespace sigmascope;

namespace {

using Block = std::span<const std::byte>;

unsigned u8(Block b, std::size_t at)
{
    return std::to_integer<unsigned>(b[at]);
}

float f16(Block b, std::size_t at)
{
    return f16ToFloat(static_cast<std::uint16_t>(u8(b, at) | u8(b, at + 1) << 8));
}

float f(int value)
{
    return static_cast<float>(value);
}

float f(unsigned value)
{
    return static_cast<float>(value);
}

unsigned nibble(unsigned byte, bool high)
{
    return high ? byte >> 4 : byte & 15U;
}

float q2K(Block b, std::size_t e)
{
    const unsigned s = u8(b, e / 16);
    const unsigned q = (u8(b, 16 + 32 * (e / 128) + e % 32) >> (2 * (e % 128 / 32))) & 3U;
    return f16(b, 80) * f(s & 15U) * f(q) - f16(b, 82) * f(s >> 4);
}

float q3K(Block b, std::size_t e)
{
    const std::size_t k = e / 16;
    const unsigned lo = k < 8 ? u8(b, 96 + k) & 15U : u8(b, 96 + k - 8) >> 4;
    const unsigned hi = (u8(b, 96 + 8 + k % 4) >> (2 * (k / 4))) & 3U;
    const int sc = static_cast<int>(lo | hi << 4) - 32;
    const auto q2 = static_cast<int>((u8(b, 32 + 32 * (e / 128) + e % 32) >> (2 * (e % 128 / 32))) & 3U);
    const bool h = ((u8(b, e % 32) >> (e / 32)) & 1U) != 0;
    return f16(b, 108) * f(sc) * f(q2 - (h ? 0 : 4));
}

std::array<unsigned, 2> sixBitPair(Block s, std::size_t j)
{
    if (j < 4)
        return {u8(s, j) & 63U, u8(s, j + 4) & 63U};
    return {(u8(s, j + 4) & 15U) | (u8(s, j - 4) >> 6) << 4, (u8(s, j + 4) >> 4) | (u8(s, j) >> 6) << 4};
}

float q4K(Block b, std::size_t e)
{
    const std::size_t j = e / 32;
    const unsigned q = nibble(u8(b, 16 + 32 * (e / 64) + e % 32), j % 2 != 0);
    const auto [sc, m] = sixBitPair(b.subspan(4), j);
    return f16(b, 0) * f(sc) * f(q) - f16(b, 2) * f(m);
}

float q5K(Block b, std::size_t e)
{
    const std::size_t j = e / 32;
    const unsigned q
        = nibble(u8(b, 48 + 32 * (e / 64) + e % 32), j % 2 != 0) + 16 * ((u8(b, 16 + e % 32) >> j) & 1U);
    const auto [sc, m] = sixBitPair(b.subspan(4), j);
    return f16(b, 0) * f(sc) * f(q) - f16(b, 2) * f(m);
}

float q6K(Block b, std::size_t e)
{
    const std::size_t n = e / 128;
    const std::size_t s = e % 128 / 32;
    const std::size_t l = e % 32;
    const unsigned nib = nibble(u8(b, 64 * n + l + 32 * (s & 1U)), s >= 2);
    const unsigned hi = (u8(b, 128 + 32 * n + l) >> (2 * s)) & 3U;
    const auto sc = static_cast<std::int8_t>(b[192 + e / 16]);
    return f16(b, 208) * f(int{sc}) * f(static_cast<int>(nib | hi << 4) - 32);
}

constexpr std::array<int, 16> kNonLinear{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr std::array<float, 8> kE2M1{0, 0.5F, 1, 1.5F, 2, 3, 4, 6};

float e2m1(unsigned q)
{
    return (q & 8U) != 0 && (q & 7U) != 0 ? -kE2M1[q & 7U] : kE2M1[q & 7U];
}

float iq4Nl(Block b, std::size_t e)
{
    return f16(b, 0) * f(kNonLinear[nibble(u8(b, 2 + e % 16), e >= 16)]);
}

float iq4Xs(Block b, std::size_t e)
{
    const std::size_t run = e / 32;
    const unsigned high = u8(b, 2) | u8(b, 3) << 8;
    const unsigned ls = ((u8(b, 4 + run / 2) >> (4 * (run % 2))) & 15U) | ((high >> (2 * run)) & 3U) << 4;
    const unsigned q = nibble(u8(b, 8 + 16 * run + e % 16), e % 32 >= 16);
    return f16(b, 0) * f(static_cast<int>(ls) - 32) * f(kNonLinear[q]);
}

float mxfp4(Block b, std::size_t e)
{
    const unsigned q = nibble(u8(b, 1 + e % 16), e >= 16);
    return static_cast<float>(std::ldexp(double{e2m1(q)}, static_cast<int>(u8(b, 0)) - 127));
}

float nvfp4(Block b, std::size_t e)
{
    const unsigned scale = u8(b, e / 16);
    double s = 0;
    if (scale != 0x7F) {
        const double mantissa = scale & 7U;
        const auto exponent = static_cast<int>((scale >> 3) & 15U);
        s = exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(1 + mantissa / 8, exponent - 7);
    }
    const std::size_t at = 4 + 8 * (e / 16) + e % 8;
    return static_cast<float>(s * double{e2m1(nibble(u8(b, at), e % 16 >= 8))});
}

float tq1(Block b, std::size_t e)
{
    constexpr std::array<unsigned, 5> kPowers{1, 3, 9, 27, 81};
    const std::size_t at = e < 160 ? e % 32 : e < 240 ? 32 + (e - 160) % 16 : 48 + (e - 240) % 4;
    const std::size_t n = e < 160 ? e / 32 : e < 240 ? (e - 160) / 16 : (e - 240) / 4;
    const auto digit = static_cast<std::uint8_t>(u8(b, at) * kPowers[n]) * 3U >> 8;
    return f(static_cast<int>(digit) - 1) * f16(b, 52);
}

float tq2(Block b, std::size_t e)
{
    const unsigned q = (u8(b, 32 * (e / 128) + e % 32) >> (2 * (e % 128 / 32))) & 3U;
    return f(static_cast<int>(q) - 1) * f16(b, 64);
}

float q1(Block b, std::size_t e)
{
    return ((u8(b, 2 + e / 8) >> (e % 8)) & 1U) != 0 ? f16(b, 0) : -f16(b, 0);
}

float q2(Block b, std::size_t e)
{
    return f(static_cast<int>((u8(b, 2 + e / 4) >> (2 * (e % 4))) & 3U) - 1) * f16(b, 0);
}

/// Bit e % 8 of eight signs, the last of which makes the number of minus signs even.
bool isMinus(unsigned seven, std::size_t e)
{
    return e % 8 == 7 ? std::popcount(seven) % 2 != 0 : ((seven >> (e % 8)) & 1U) != 0;
}

float turned(float value, bool minus)
{
    return minus ? -value : value;
}

float iq2Xxs(Block b, std::size_t e)
{
    const std::size_t at = 2 + 8 * (e / 32);
    const std::size_t l = e % 32 / 8;
    const unsigned word = u8(b, at + 4) | u8(b, at + 5) << 8 | u8(b, at + 6) << 16 | u8(b, at + 7) << 24;
    const float scale = f16(b, 0) * (0.5F + f(word >> 28)) * 0.25F;
    return turned(scale * f(int{decoders::iq2XxsPoints()[u8(b, at + l)][e % 8]}), isMinus((word >> (7 * l)) & 127U, e));
}

float iq2Xs(Block b, std::size_t e)
{
    const unsigned code = u8(b, 2 + 2 * (e / 8)) | u8(b, 3 + 2 * (e / 8)) << 8;
    const unsigned s = nibble(u8(b, 66 + e / 32), e % 32 >= 16);
    const float scale = f16(b, 0) * (0.5F + f(s)) * 0.25F;
    return turned(scale * f(int{decoders::iq2XsPoints()[code % 512][e % 8]}), isMinus(code / 512, e));
}

float iq2S(Block b, std::size_t e)
{
    const unsigned code = u8(b, 2 + e / 8) + 256 * ((u8(b, 66 + e / 32) >> (2 * (e % 32 / 8))) & 3U);
    const unsigned s = nibble(u8(b, 74 + e / 32), e % 32 >= 16);
    const bool minus = ((u8(b, 34 + e / 8) >> (e % 8)) & 1U) != 0;
    return turned(f16(b, 0) * (0.5F + f(s)) * 0.25F * f(int{decoders::iq2SPoints()[code][e % 8]}), minus);
}

float iq3Xxs(Block b, std::size_t e)
{
    const std::size_t at = 66 + 4 * (e / 32);
    const unsigned word = u8(b, at) | u8(b, at + 1) << 8 | u8(b, at + 2) << 16 | u8(b, at + 3) << 24;
    const float scale = f16(b, 0) * (0.5F + f(word >> 28)) * 0.5F;
    const bool minus = isMinus((word >> (7 * (e % 32 / 8))) & 127U, e);
    return turned(scale * f(int{decoders::iq3XxsPoints()[u8(b, 2 + e / 4)][e % 4]}), minus);
}

float iq3S(Block b, std::size_t e)
{
    const unsigned code = u8(b, 2 + e / 4) + 256 * ((u8(b, 66 + e / 32) >> (e % 32 / 4)) & 1U);
    const unsigned s = nibble(u8(b, 106 + e / 64), e % 64 >= 32);
    const bool minus = ((u8(b, 74 + e / 8) >> (e % 8)) & 1U) != 0;
    return turned(f16(b, 0) * f(1 + 2 * s) * f(int{decoders::iq3SPoints()[code][e % 4]}), minus);
}

float iq1S(Block b, std::size_t e)
{
    const unsigned high = u8(b, 34 + 2 * (e / 32)) | u8(b, 35 + 2 * (e / 32)) << 8;
    const unsigned code = u8(b, 2 + e / 8) + 256 * ((high >> (3 * (e % 32 / 8))) & 7U);
    const float shift = high >= 0x8000U ? -0.125F : 0.125F;
    return f16(b, 0) * f(2 * ((high >> 12) & 7U) + 1) * (f(int{decoders::iq1Points()[code][e % 8]}) + shift);
}

float iq1M(Block b, std::size_t e)
{
    const auto words = b.subspan(48);
    unsigned d = 0;
    for (unsigned i = 0; i < 4; ++i)
        d |= (u8(words, 2 * i + 1) >> 4) << (4 * i);
    const unsigned word = u8(words, 2 * (e / 64)) | u8(words, 2 * (e / 64) + 1) << 8;
    const unsigned s = (word >> (3 * (e % 64 / 16))) & 7U;
    const unsigned high = nibble(u8(b, 32 + e / 16), e % 16 >= 8);
    const unsigned code = u8(b, e / 8) + 256 * (high & 7U);
    return f16ToFloat(static_cast<std::uint16_t>(d)) * f(2 * s + 1)
        * (f(int{decoders::iq1Points()[code][e % 8]}) + (high >= 8 ? -0.125F : 0.125F));
}

struct Formula {
    DType type;
    float (*element)(Block, std::size_t);
    std::vector<std::size_t> halves;  ///< where the block keeps its f16 numbers
};

const std::vector<Formula>& formulas()
{
    static const std::vector<Formula> all{
        {DType::Q2_K, q2K, {80, 82}}, {DType::Q3_K, q3K, {108}},    {DType::Q4_K, q4K, {0, 2}},
        {DType::Q5_K, q5K, {0, 2}},   {DType::Q6_K, q6K, {208}},    {DType::IQ4_NL, iq4Nl, {0}},
        {DType::IQ4_XS, iq4Xs, {0}},  {DType::MXFP4, mxfp4, {}},    {DType::NVFP4, nvfp4, {}},
        {DType::TQ1_0, tq1, {52}},    {DType::TQ2_0, tq2, {64}},    {DType::Q1_0, q1, {0}},
        {DType::Q2_0, q2, {0}},       {DType::IQ1_S, iq1S, {0}},    {DType::IQ1_M, iq1M, {}},
        {DType::IQ2_S, iq2S, {0}},    {DType::IQ2_XS, iq2Xs, {0}},  {DType::IQ2_XXS, iq2Xxs, {0}},
        {DType::IQ3_S, iq3S, {0}},    {DType::IQ3_XXS, iq3Xxs, {0}},
    };
    return all;
}

std::vector<std::byte> randomBytes(std::size_t count, std::uint64_t seed)
{
    std::vector<std::byte> bytes(count);
    SplitMix64 random(seed);
    for (std::byte& byte : bytes)
        byte = static_cast<std::byte>(random.next() >> 56);
    return bytes;
}

bool sameBits(float a, float b)
{
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

}  // namespace

class TestBlockDecoders : public QObject {
    Q_OBJECT

private:
    static void everyFormula()
    {
        QTest::addColumn<int>("row");
        for (std::size_t i = 0; i < formulas().size(); ++i)
            QTest::addRow("%s", std::string(info(formulas()[i].type).name).c_str()) << static_cast<int>(i);
    }

    static void compare(const Formula& formula, const std::vector<std::byte>& bytes)
    {
        const DTypeInfo& type = info(formula.type);
        const std::size_t blockBytes = type.blockBits / 8;
        std::vector<float> values(bytes.size() / blockBytes * type.blockElements);
        decode(formula.type, bytes, values);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::size_t block = i / type.blockElements;
            const float expected
                = formula.element(std::span(bytes).subspan(block * blockBytes, blockBytes), i % type.blockElements);
            if (!sameBits(values[i], expected))
                QFAIL(qPrintable(QString("element %1: %2, expected %3").arg(i).arg(values[i]).arg(expected)));
        }
    }

private slots:
    void anyBytesFollowTheFormula_data() { everyFormula(); }
    void anyBytesFollowTheFormula()
    {
        QFETCH(int, row);
        const Formula& formula = formulas()[static_cast<std::size_t>(row)];
        compare(formula, randomBytes(600 * info(formula.type).blockBits / 8, 21));
    }

    /// reliability 67.
    void oddScalesFollowTheFormulaToo_data() { everyFormula(); }
    void oddScalesFollowTheFormulaToo()
    {
        QFETCH(int, row);
        const Formula& formula = formulas()[static_cast<std::size_t>(row)];
        const std::size_t blockBytes = info(formula.type).blockBits / 8;
        for (const std::size_t at : formula.halves) {
            // NaN with either sign, quiet or not; infinities; zeros; subnormals; the largest.
            for (const std::uint16_t scale : {0x7E00, 0xFE01, 0x7C01, 0x7C00, 0xFC00, 0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF}) {
                auto bytes = randomBytes(8 * blockBytes, 5);
                for (std::size_t block = 0; block < 8; ++block)
                    std::memcpy(bytes.data() + block * blockBytes + at, &scale, 2);
                compare(formula, bytes);
            }
        }
    }

    /// The sizes of the codebooks are those of their indices; no point is listed twice.
    void codebooksFillTheirIndices()
    {
        const auto distinct = [](const auto& points) { return std::set(points.begin(), points.end()).size(); };
        QCOMPARE(distinct(decoders::iq2XxsPoints()), std::size_t{256});
        QCOMPARE(distinct(decoders::iq2XsPoints()), std::size_t{512});
        QCOMPARE(distinct(decoders::iq2SPoints()), std::size_t{1024});
        QCOMPARE(distinct(decoders::iq1Points()), std::size_t{2048});
        QCOMPARE(distinct(decoders::iq3XxsPoints()), std::size_t{256});
        QCOMPARE(distinct(decoders::iq3SPoints()), std::size_t{512});
        QCOMPARE(decoders::iq2XxsPoints().size(), std::size_t{256});
        QCOMPARE(decoders::iq2XsPoints().size(), std::size_t{512});
        QCOMPARE(decoders::iq2SPoints().size(), std::size_t{1024});
        QCOMPARE(decoders::iq1Points().size(), std::size_t{2048});
        QCOMPARE(decoders::iq3XxsPoints().size(), std::size_t{256});
        QCOMPARE(decoders::iq3SPoints().size(), std::size_t{512});
    }

    void nonFiniteBlocksAreCountedNotShown()
    {
        std::vector<std::byte> bytes(4 * 144, std::byte{0x11});
        const std::uint16_t nan = 0x7E00;
        std::memcpy(bytes.data() + 2 * 144, &nan, 2);
        const auto stats = statistics(TensorView{DType::Q4_K, {2, 512}, bytes}, {});
        QVERIFY(stats);
        QCOMPARE(stats->count, std::uint64_t{1024});
        QCOMPARE(stats->nan, std::uint64_t{256});
        QCOMPARE(stats->firstNonFinite, std::uint64_t{512});
        QVERIFY(std::isfinite(stats->mean) && std::isfinite(stats->max));
    }

    /// Whatever looks at values: each works on every type that has a decoder.
    void allAnalysesReadEveryDecodableType()
    {
        for (const DTypeInfo& type : allDTypes()) {
            if (!type.decodable || !type.quantized)
                continue;
            const std::uint64_t cols = 3 * type.blockElements;
            const auto bytes = randomBytes(5 * 3 * type.blockBits / 8, 7);
            const TensorView view{type.dtype, {5, cols}, bytes};
            const auto stats = statistics(view, {});
            QVERIFY2(stats, std::string(type.name).c_str());
            std::vector<float> values(5 * cols);
            QVERIFY(decodeRows(view, 0, 5, values));
            std::uint64_t finite = 0;
            for (const float value : values)
                finite += std::isfinite(value) ? 1U : 0U;
            QCOMPARE(stats->finite, finite);
            const auto scanned = scan(view, {});
            QVERIFY(scanned);
            QCOMPARE(scanned->finite, finite);
            const auto codes = codeCounts(view, {});
            QVERIFY(codes);
            std::uint64_t counted = 0;
            for (const std::uint64_t count : codes->counts)
                counted += count;
            QCOMPARE(counted, std::uint64_t{5 * cols});
        }
    }

    void rowsOfSuperBlocksAreCutOut()
    {
        const auto bytes = randomBytes(4 * 2 * 210, 3);
        const TensorView view{DType::Q6_K, {4, 512}, bytes};
        std::vector<float> all(4 * 512);
        std::vector<float> two(2 * 512);
        QVERIFY(decodeRows(view, 0, 4, all));
        QVERIFY(decodeRows(view, 1, 2, two));
        for (std::size_t i = 0; i < two.size(); ++i)
            QVERIFY(sameBits(two[i], all[512 + i]));
    }
};

QTEST_APPLESS_MAIN(TestBlockDecoders)
#include "tst_block_decoders.moc"
