// SPDX-License-Identifier: GPL-3.0-or-later
//
// Encoders of the block types of few or uneven levels: each instruction set's against the formats' rules, written here
// one weight at a time. (tests/interop asks ggml itself.)
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/compute/ops/LevelEncode.h"
#include "core/tensor/Decode.h"

#include <QTest>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;
using kernels::KernelTable;

namespace {

constexpr std::array kTypes{DType::MXFP4, DType::NVFP4, DType::TQ1_0,  DType::TQ2_0,
                            DType::Q1_0,  DType::Q2_0,  DType::IQ4_NL, DType::IQ4_XS};
constexpr std::array<int, 16> kLevels{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr std::array<float, 8> kE2M1{0, 0.5F, 1, 1.5F, 2, 3, 4, 6};

float largestOf(std::span<const float> x)
{
    float most = 0;
    for (const float v : x)
        most = std::max(most, std::fabs(v));
    return most;
}

void putHalf(std::uint8_t* to, float value)
{
    const std::uint16_t half = floatToF16(value);
    std::memcpy(to, &half, 2);
}

/// Nearest of the E2M1 values, the smaller of two equally near.
unsigned e2m1(float x, double unit)
{
    unsigned best = 0;
    for (unsigned i = 1; i < 8; ++i) {
        if (std::fabs(unit * double{kE2M1[i]} - std::fabs(double{x}))
            < std::fabs(unit * double{kE2M1[best]} - std::fabs(double{x})))
            best = i;
    }
    return best != 0 && x < 0 ? best + 8 : best;
}

void mxfp4(std::span<const float> x, std::uint8_t* out)
{
    const float most = largestOf(x);
    const int exponent = most > 0 ? std::max(0, static_cast<int>(std::floor(std::log2(most))) + 125) : 0;
    out[0] = static_cast<std::uint8_t>(exponent);
    for (std::size_t e = 0; e < 16; ++e) {
        const double unit = std::ldexp(1.0, exponent - 127);
        out[1 + e] = static_cast<std::uint8_t>(e2m1(x[e], unit) | e2m1(x[e + 16], unit) << 4);
    }
}

/// Nearest below the largest, half up; 448 in the top binade of the exponent.
std::uint8_t ue4m3(double x)
{
    if (x >= 248)  // the next after 240 is 256, whose exponent stands for the largest
        return 0x7E;
    if (x < 0x1p-6)
        return static_cast<std::uint8_t>(std::min(7.0, std::floor(x * 512 + 0.5)));
    int exponent = 0;
    const double mantissa = std::floor(std::frexp(x, &exponent) * 16 + 0.5);
    return static_cast<std::uint8_t>((exponent + 6) * 8 + static_cast<int>(mantissa) - 8);
}

void nvfp4(std::span<const float> x, std::uint8_t* out)
{
    for (std::size_t s = 0; s < 4; ++s) {
        const auto part = x.subspan(16 * s, 16);
        out[s] = ue4m3(double{largestOf(part) / 6.0F});
        const double unit = out[s] < 8 ? std::ldexp(out[s], -9) : std::ldexp(8 + out[s] % 8, out[s] / 8 - 10);
        for (std::size_t e = 0; e < 8; ++e)
            out[4 + 8 * s + e]
                = static_cast<std::uint8_t>(unit == 0 ? 0 : e2m1(part[e], unit) | e2m1(part[e + 8], unit) << 4);
    }
}

unsigned ternary(float x, float most)
{
    const float inverse = most > 0 ? 1 / most : 0;
    return std::isinf(inverse) ? 1U : static_cast<unsigned>(std::lround(x * inverse) + 1);
}

void tq1(std::span<const float> x, std::uint8_t* out)
{
    const float most = largestOf(x);
    putHalf(out + 52, most);
    const auto pack = [&](std::size_t from, std::size_t bytes, std::size_t digits, std::uint8_t* to) {
        for (std::size_t i = 0; i < bytes; ++i) {
            unsigned number = 0;
            for (std::size_t n = 0; n < 5; ++n)
                number = number * 3 + (n < digits ? ternary(x[from + n * bytes + i], most) : 0);
            to[i] = static_cast<std::uint8_t>(std::ceil(number * 256 / 243.0));
        }
    };
    pack(0, 32, 5, out);
    pack(160, 16, 5, out + 32);
    pack(240, 4, 4, out + 48);
}

void tq2(std::span<const float> x, std::uint8_t* out)
{
    const float most = largestOf(x);
    putHalf(out + 64, most);
    std::fill_n(out, 64, std::uint8_t{0});
    for (std::size_t e = 0; e < 256; ++e)
        out[32 * (e / 128) + e % 32]
            = static_cast<std::uint8_t>(out[32 * (e / 128) + e % 32] | ternary(x[e], most) << (2 * (e % 128 / 32)));
}

void q1(std::span<const float> x, std::uint8_t* out)
{
    float sum = 0;
    for (const float v : x)
        sum += std::fabs(v);
    putHalf(out, sum / 128);
    std::fill_n(out + 2, 16, std::uint8_t{0});
    for (std::size_t e = 0; e < 128; ++e)
        out[2 + e / 8] = static_cast<std::uint8_t>(out[2 + e / 8] | (x[e] >= 0 ? 1U : 0U) << (e % 8));
}

void q2(std::span<const float> x, std::uint8_t* out)
{
    const float most = largestOf(x);
    putHalf(out, most);
    std::fill_n(out + 2, 16, std::uint8_t{0});
    if (most > 0 && std::isinf(1 / most))
        return;
    for (std::size_t e = 0; e < 64; ++e)
        out[2 + e / 4] = static_cast<std::uint8_t>(out[2 + e / 4] | ternary(x[e], most) << (2 * (e % 4)));
}

unsigned nearestLevel(float x)
{
    unsigned index = 0;
    while (index < 15 && double{x} >= (kLevels[index] + kLevels[index + 1]) / 2.0)
        ++index;
    return index;
}

/// The search of scales for 32 weights.
float searched(std::span<const float> x, std::span<const float> weight)
{
    float extreme = 0;
    for (const float v : x)
        extreme = std::fabs(v) > std::fabs(extreme) ? v : extreme;
    if (std::fabs(extreme) < 1e-15F)
        return 0;
    float scale = 0;
    float best = 0;
    for (int attempt = -8; attempt <= 7; ++attempt) {
        const float inverse = attempt == -8 ? 1 / (extreme / 127) : static_cast<float>(attempt - 127) / extreme;
        float cross = 0;
        float square = 0;
        for (std::size_t e = 0; e < 32; ++e) {
            const auto level = static_cast<float>(kLevels[nearestLevel(inverse * x[e])]);
            const float w = weight[e];
            cross += w * level * x[e];
            square += w * level * level;
        }
        if (attempt == -8 || (square > 0 && cross * cross > best * square)) {
            scale = cross / square;
            best = scale * cross;
        }
    }
    return scale;
}

std::vector<float> weighed(std::span<const float> x, std::span<const float> importance)
{
    float sigma2 = 0;
    for (const float v : x)
        sigma2 += v * v;
    sigma2 *= 2.0F / static_cast<float>(x.size());
    std::vector<float> weight;
    for (std::size_t e = 0; e < x.size(); ++e)
        weight.push_back(importance.empty() ? x[e] * x[e] : importance[e] * std::sqrt(sigma2 + x[e] * x[e]));
    return weight;
}

void putLevels(std::span<const float> x, float scale, std::uint8_t* out)
{
    const float inverse = scale != 0 ? 1 / scale : 0;
    for (std::size_t e = 0; e < 16; ++e)
        out[e] = static_cast<std::uint8_t>(nearestLevel(inverse * x[e]) | nearestLevel(inverse * x[e + 16]) << 4);
}

void iq4Nl(std::span<const float> x, std::span<const float> importance, std::uint8_t* out)
{
    const float scale = searched(x, weighed(x, importance));
    putHalf(out, scale);
    putLevels(x, scale, out + 2);
}

void iq4Xs(std::span<const float> x, std::span<const float> importance, std::uint8_t* out)
{
    const auto weight = weighed(x, importance);
    std::array<float, 8> scales{};
    float extreme = 0;
    for (std::size_t run = 0; run < 8; ++run) {
        scales[run] = searched(x.subspan(32 * run, 32), std::span(weight).subspan(32 * run, 32));
        extreme = std::fabs(scales[run]) > std::fabs(extreme) ? scales[run] : extreme;
    }
    const float step = -extreme / 32;
    putHalf(out, step);
    std::fill_n(out + 2, 6, std::uint8_t{0});
    for (std::size_t run = 0; run < 8; ++run) {
        const float inverse = step != 0 ? 1 / step : 0;
        const int code = std::clamp(static_cast<int>(std::nearbyint(inverse * scales[run])), -32, 31);
        putLevels(x.subspan(32 * run, 32), step * static_cast<float>(code), out + 8 + 16 * run);
        const auto six = static_cast<unsigned>(code + 32);
        out[4 + run / 2] = static_cast<std::uint8_t>(out[4 + run / 2] | (six & 15U) << (4 * (run % 2)));
        out[2 + run / 4] = static_cast<std::uint8_t>(out[2 + run / 4] | (six >> 4) << (2 * (run % 4)));
    }
}

void referenceBlock(DType type, std::span<const float> x, std::span<const float> importance, std::uint8_t* out)
{
    switch (type) {
    case DType::MXFP4: return mxfp4(x, out);
    case DType::NVFP4: return nvfp4(x, out);
    case DType::TQ1_0: return tq1(x, out);
    case DType::TQ2_0: return tq2(x, out);
    case DType::Q1_0: return q1(x, out);
    case DType::Q2_0: return q2(x, out);
    case DType::IQ4_NL: return iq4Nl(x, importance, out);
    default: return iq4Xs(x, importance, out);
    }
}

std::vector<std::byte> reference(DType type, std::span<const float> weights, std::uint64_t cols,
                                 std::span<const float> importance)
{
    const std::size_t length = info(type).blockElements;
    const std::size_t bytes = info(type).blockBits / 8;
    std::vector<std::byte> out(weights.size() / length * bytes);
    for (std::size_t b = 0; b < weights.size() / length; ++b) {
        const auto part = importance.empty() ? importance : importance.subspan(b * length % cols, length);
        referenceBlock(type, weights.subspan(b * length, length), part,
                       reinterpret_cast<std::uint8_t*>(out.data() + b * bytes));
    }
    return out;
}

/// Runs of 32 of many kinds: Gaussian at several scales, heavy tails, ties, constants, zeros of both signs, one
/// outlier.
std::vector<float> assortedRows(std::size_t count)
{
    std::vector<float> values(count);
    fillNormal<float>(31, values);
    SplitMix64 random(32);
    for (std::size_t i = 0; i < count; ++i) {
        float& x = values[i];
        switch (i / 32 % 9) {
        case 0:
            x *= 0.02F;
            break;
        case 1:
            x *= std::ldexp(1.0F, static_cast<int>(i / 32 % 40) - 30);
            break;
        case 2:
            x = (random.next() & 1U) != 0 ? 3.0F : -3.0F;
            break;
        case 3:
            x = 0.7F;
            break;
        case 4:
            x = (random.next() & 1U) != 0 ? 0.0F : -0.0F;
            break;
        case 5:
            x = static_cast<float>(static_cast<int>(random.next() % 511) - 255) * 0.25F;
            break;
        case 6:
            x = x * x * x * 0.02F;
            break;
        case 7:
            x *= i % 32 == 11 ? -900.0F : 1e-3F;
            break;
        default:
            x *= 1e-7F;
            break;
        }
    }
    return values;
}

std::vector<float> someImportances(std::size_t cols)
{
    std::vector<float> values(cols);
    fillNormal<float>(33, values);
    for (std::size_t i = 0; i < cols; ++i)
        values[i] = i % 3 == 1 ? 0.0F : std::exp(values[i]);
    return values;
}

}  // namespace

class TestLevelEncoders : public QObject {
    Q_OBJECT

private:
    static std::vector<std::byte> coded(DType type, std::span<const float> weights, std::uint64_t cols,
                                        std::span<const float> importance, const KernelTable& table,
                                        std::string* note = nullptr)
    {
        std::vector<std::byte> out(weights.size() / info(type).blockElements * (info(type).blockBits / 8),
                                   std::byte{0xA5});
        const auto told
            = encodeLevels(type, weights, weights.size() / cols, cols, importance, out, {}, blockTableOf(table));
        if (!told)
            qFatal("%s", told.error().detail.c_str());
        if (note != nullptr)
            *note = *told;
        return out;
    }

    static void everyType()
    {
        QTest::addColumn<int>("type");
        for (const DType type : kTypes)
            QTest::addRow("%s", std::string(info(type).name).c_str()) << static_cast<int>(type);
    }

private slots:
    void everyInstructionSetWritesWhatTheRulesSay_data() { everyType(); }
    void everyInstructionSetWritesWhatTheRulesSay()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        for (const std::uint64_t rows : {1, 7, 40}) {  // few blocks, and more than fill the lanes
            const std::uint64_t cols = 1280;
            const auto weights = assortedRows(rows * cols);
            const auto importance = someImportances(cols);
            for (const bool isWeighted : {false, true}) {
                const auto given = isWeighted ? std::span<const float>(importance) : std::span<const float>();
                const auto expected = reference(dtype, weights, cols, given);
                for (const KernelTable* table : usableKernelTables()) {
                    std::string note;
                    QVERIFY2(coded(dtype, weights, cols, given, *table, &note) == expected, table->level);
                    QCOMPARE(note, std::string());
                }
            }
            std::vector<std::byte> plain(rows * cols / info(dtype).blockElements * (info(dtype).blockBits / 8));
            QVERIFY(encodeBlocks(dtype, weights, rows, cols, plain, {}));
            QVERIFY(plain == reference(dtype, weights, cols, {}));
        }
    }

    void importancesChangeTheBytesOfTheTypesThatWeighThem_data() { everyType(); }
    void importancesChangeTheBytesOfTheTypesThatWeighThem()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        const auto weights = assortedRows(4 * 512);
        const auto importance = someImportances(512);
        const bool differs
            = coded(dtype, weights, 512, importance, kernelTable()) != coded(dtype, weights, 512, {}, kernelTable());
        QCOMPARE(differs, weighsImportance(dtype));
    }

    /// Nothing is known of such columns: they count like the others of their run, and it is told.
    void columnsWithoutImportanceCountLikeTheOthers()
    {
        const std::uint64_t cols = 512;
        std::vector<float> weights(8 * cols);
        fillNormal<float>(5, weights, 0.02);
        auto given = someImportances(cols);
        std::fill_n(given.begin() + 64, 32, 0.0F);
        given[130] = std::numeric_limits<float>::quiet_NaN();
        given[200] = -1;
        auto equal = given;
        // A factor common to a run moves no scale but for roundings, and a power of two not even those.
        std::fill_n(equal.begin() + 64, 32, 4.0F);
        for (const std::size_t at : {130U, 200U}) {
            double sum = 0;
            for (std::size_t i = at / 32 * 32; i < at / 32 * 32 + 32; ++i)
                sum += i != at ? double{given[i]} : 0.0;
            equal[at] = static_cast<float>(sum / 31);
        }
        for (const DType type : {DType::IQ4_NL, DType::IQ4_XS}) {
            std::string note;
            const auto codes = coded(type, weights, cols, given, kernelTable(), &note);
            QCOMPARE(
                note,
                std::string(
                    "calibration of 3 of 16 runs of 32 columns is zero or not finite: coded as equally important"));
            std::vector<float> values(weights.size());
            decode(type, codes, values);
            for (std::size_t i = 0; i < values.size(); i += 32)
                QVERIFY(std::ranges::any_of(std::span(values).subspan(i, 32), [](float v) { return v != 0; }));
            QVERIFY(codes == coded(type, weights, cols, equal, kernelTable()));
        }
    }

    void sumsThatOverflowLeaveTheImportancesOut()
    {
        const auto weights = assortedRows(2 * 256);
        const std::vector<float> given(256, 3e38F);
        for (const DType type : {DType::IQ4_NL, DType::IQ4_XS}) {
            for (const KernelTable* table : usableKernelTables()) {
                std::string note;
                const auto codes = coded(type, weights, 256, given, *table, &note);
                QVERIFY2(note.find("overflow") != std::string::npos, note.c_str());
                std::vector<float> values(weights.size());
                decode(type, codes, values);
                QVERIFY(std::ranges::all_of(values, [](float v) { return std::isfinite(v); }));
            }
        }
    }

    /// 2^-133 is less than a quarter of the smallest step.
    void theSmallestFloatsTakeTheSmallestExponent()
    {
        std::vector<float> weights(32, 0x1p-133F);
        weights[3] = -0x1p-127F;
        const auto codes = coded(DType::MXFP4, weights, 32, {}, kernelTable());
        QCOMPARE(codes[0], std::byte{0});
        std::vector<float> values(32);
        decode(DType::MXFP4, codes, values);
        QCOMPARE(values[3], -0x1p-127F);
        QCOMPARE(values[4], 0.0F);
    }

    void valuesBeyondNvfp4TakeItsOutermostLevel()
    {
        std::vector<float> weights(64, 1e30F);
        weights[5] = -3e38F;
        weights[6] = 1;
        const auto codes = coded(DType::NVFP4, weights, 64, {}, kernelTable());
        std::vector<float> values(64);
        decode(DType::NVFP4, codes, values);
        QCOMPARE(values[0], 2688.0F);
        QCOMPARE(values[5], -2688.0F);
        QCOMPARE(values[6], 0.0F);
    }

    void wrongRowsAreRefused_data() { everyType(); }
    void wrongRowsAreRefused()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        std::vector<float> weights(2 * 256, 0.5F);
        std::vector<std::byte> out(2 * 256 / info(dtype).blockElements * (info(dtype).blockBits / 8));
        QCOMPARE(encodeLevels(dtype, weights, 2, 80, {}, out, {}).error().code, ErrorCode::ShapeMismatch);
        weights[256 + 40] = std::numeric_limits<float>::infinity();
        const auto bad = encodeLevels(dtype, weights, 2, 256, {}, out, {});
        QCOMPARE(bad.error().code, ErrorCode::NonFinite);
        QVERIFY(bad.error().detail.find("1, first at row 1, column 40") != std::string::npos);
        if (dtype == DType::MXFP4 || dtype == DType::NVFP4)
            return;  // their scales reach as far as floats do, or end at 448
        std::fill(weights.begin() + 256, weights.end(), 3e38F);
        const auto huge = encodeLevels(dtype, weights, 2, 256, {}, out, {});
        QVERIFY(!huge);
        QCOMPARE(huge.error().code, ErrorCode::ScaleOutOfRange);
        QVERIFY2(huge.error().detail.find("row 1, columns 0 to") != std::string::npos, huge.error().detail.c_str());
    }

    void otherTypesAreNotCoded()
    {
        std::vector<float> weights(256);
        std::vector<std::byte> out(50);
        QCOMPARE(encodeLevels(DType::IQ1_S, weights, 1, 256, {}, out, {}).error().code, ErrorCode::UnsupportedType);
        QVERIFY(!hasLevelEncoder(DType::Q4_0) && !hasLevelEncoder(DType::IQ2_XXS));
    }
};

QTEST_APPLESS_MAIN(TestLevelEncoders)
#include "tst_level_encoders.moc"
