// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/compute/CodeCounts.h"
#include "core/compute/ops/Scan.h"
#include "core/compute/ops/Statistics.h"
#include "core/tensor/Decode.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
// Sums of at most 512 addends a lane with relative error 2^-53 each, then a tree: under 1e-12; the fourth power
// about a mean that is itself rounded loses a few bits more.
constexpr double kTolerance = 1e-10;

/// A tensor that owns its bytes.
struct Stored {
    std::vector<std::byte> bytes;
    TensorView view;

    Stored(DType type, Shape shape, std::vector<std::byte> data) : bytes(std::move(data)), view{type, std::move(shape), bytes} {}
};

template <class T>
std::vector<std::byte> bytesOf(const std::vector<T>& values)
{
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    if (!bytes.empty())
        std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

Stored stored(DType type, const std::vector<float>& values)
{
    if (type == DType::F32)
        return {type, {values.size()}, bytesOf(values)};
    std::vector<std::uint16_t> codes(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        codes[i] = type == DType::F16 ? floatToF16(values[i]) : floatToBf16(values[i]);
    return {type, {values.size()}, bytesOf(codes)};
}

std::vector<float> gaussian(std::size_t n, double scale = 0.02, std::uint64_t seed = 1)
{
    std::vector<float> values(n);
    fillNormal<float>(seed, values, scale);
    return values;
}

/// Moments of what is stored, two passes in long double.
struct Reference {
    std::uint64_t finite = 0, zeros = 0, nan = 0, inf = 0, outliers = 0;
    long double min = 0, max = 0, mean = 0, m2 = 0, m3 = 0, m4 = 0;

    explicit Reference(const TensorView& view)
    {
        std::vector<float> values(view.elements());
        decode(view.dtype, view.bytes, values);
        for (const float v : values) {
            nan += std::isnan(v) ? 1U : 0U;
            inf += std::isinf(v) ? 1U : 0U;
            if (!std::isfinite(v))
                continue;
            zeros += v == 0 ? 1U : 0U;
            min = finite == 0 ? v : std::min<long double>(min, v);
            max = finite == 0 ? v : std::max<long double>(max, v);
            mean += v;
            ++finite;
        }
        mean /= static_cast<long double>(finite);
        for (const float v : values) {
            if (!std::isfinite(v))
                continue;
            const long double d = v - mean;
            m2 += d * d;
            m3 += d * d * d;
            m4 += d * d * d * d;
        }
        const long double limit = 6 * std::sqrt(m2 / static_cast<long double>(finite));
        for (const float v : values)
            outliers += std::isfinite(v) && std::fabs(v - mean) > limit ? 1U : 0U;
    }
};

void compareWithReference(const TensorView& view, const TensorStats& stats)
{
    const Reference truth(view);
    QCOMPARE(stats.count, view.elements());
    QCOMPARE(stats.finite, truth.finite);
    QCOMPARE(stats.zeros, truth.zeros);
    QCOMPARE(stats.nan, truth.nan);
    QCOMPARE(stats.inf, truth.inf);
    QCOMPARE(stats.outliers, truth.outliers);
    QCOMPARE(stats.min, static_cast<double>(truth.min));
    QCOMPARE(stats.max, static_cast<double>(truth.max));
    const auto n = static_cast<double>(truth.finite);
    const double sigma = std::sqrt(static_cast<double>(truth.m2) / n);
    const auto near = [](double found, long double expected, double scale) {
        return std::fabs(found - static_cast<double>(expected)) <= kTolerance * scale;
    };
    QVERIFY(near(stats.mean, truth.mean, std::fmax(sigma, std::fabs(stats.mean))));
    QVERIFY(near(stats.m2, truth.m2, static_cast<double>(truth.m2)));
    QVERIFY(near(stats.m3, truth.m3, n * sigma * sigma * sigma * std::fmax(1.0, std::sqrt(static_cast<double>(truth.m4) / n) / (sigma * sigma))));
    QVERIFY(near(stats.m4, truth.m4, static_cast<double>(truth.m4)));
}

}  // namespace

Q_DECLARE_METATYPE(std::vector<float>)

class TestTensorStats : public QObject {
    Q_OBJECT

private slots:
    void momentsAgreeWithLongDouble_data()
    {
        QTest::addColumn<std::vector<float>>("values");
        QTest::newRow("weights") << gaussian(300001);
        std::vector<float> heavy = gaussian(200000);
        for (std::size_t i = 0; i < heavy.size(); i += 97)
            heavy[i] *= 30;
        QTest::newRow("heavy tails") << heavy;
        std::vector<float> shifted = gaussian(131072, 0.01);
        for (float& v : shifted)
            v += 1.0F;
        QTest::newRow("a norm weight near 1") << shifted;
        std::vector<float> outlier = gaussian(70000, 1e-5);
        outlier[0] = 1000.0F;
        outlier[69999] = -3000.0F;
        QTest::newRow("outlier first and last") << outlier;
        std::vector<float> trend(100000);
        for (std::size_t i = 0; i < trend.size(); ++i)
            trend[i] = static_cast<float>(i) * 1e-3F;
        QTest::newRow("a ramp, every block with another mean") << trend;
        std::vector<float> negative = gaussian(9000, 0.3);
        for (float& v : negative)
            v = -std::fabs(v) - 1e-3F;
        QTest::newRow("all negative") << negative;
        QTest::newRow("17 elements") << gaussian(17);
        QTest::newRow("2 elements") << std::vector<float>{-1.0F, 2.0F};
    }

    void momentsAgreeWithLongDouble()
    {
        QFETCH(std::vector<float>, values);
        for (const DType type : {DType::F32, DType::BF16, DType::F16}) {
            const Stored tensor = stored(type, values);
            const auto stats = statistics(tensor.view, {});
            QVERIFY(stats.has_value());
            compareWithReference(tensor.view, *stats);
        }
    }

    void oneHugeOutlierBesideTinyValuesIsExact()
    {
        std::vector<float> values(100000, 1e-5F);
        values[50000] = 1e38F;
        const Stored tensor = stored(DType::F32, values);
        const auto stats = statistics(tensor.view, {});
        QVERIFY(stats.has_value());
        compareWithReference(tensor.view, *stats);
        QCOMPARE(stats->outliers, std::uint64_t{1});
    }

    void constantTensorsHaveNoVarianceAndNoKurtosis()
    {
        for (const float value : {0.1F, -7.0F, 3e38F, 0.0F, -0.0F, 1e-42F}) {
            const Stored tensor = stored(DType::F32, std::vector<float>(70001, value));
            const auto stats = statistics(tensor.view, {});
            QVERIFY(stats.has_value());
            QCOMPARE(stats->mean, static_cast<double>(value));
            QCOMPARE(stats->m2, 0.0);
            QCOMPARE(stats->m4, 0.0);
            QVERIFY(!stats->kurtosis());
            QCOMPARE(stats->outliers, std::uint64_t{0});
            QVERIFY(!std::signbit(stats->min) || value < 0);
        }
    }

    void nonFiniteValuesAreCountedAndLeaveTheMomentsAlone()
    {
        for (const DType type : {DType::F32, DType::BF16, DType::F16}) {
            std::vector<float> values = gaussian(150000);
            const Stored clean = stored(type, values);
            const auto without = statistics(clean.view, {});
            values.insert(values.begin() + 66000, {kNan, -kNan, kInf, -kInf, kInf});
            const Stored dirty = stored(type, values);
            const auto with = statistics(dirty.view, {});
            QVERIFY(with.has_value() && without.has_value());
            QCOMPARE(with->nan, std::uint64_t{2});
            QCOMPARE(with->inf, std::uint64_t{3});
            QCOMPARE(with->firstNonFinite, std::uint64_t{66000});
            QVERIFY(!without->firstNonFinite);
            compareWithReference(dirty.view, *with);
            QVERIFY(std::fabs(with->m4 - without->m4) <= 1e-12 * without->m4);
        }
    }

    void aTensorOfNothingButNansHasNoMoments()
    {
        const Stored tensor = stored(DType::BF16, std::vector<float>(10000, kNan));
        const auto stats = statistics(tensor.view, {});
        QVERIFY(stats.has_value());
        QCOMPARE(stats->nan, std::uint64_t{10000});
        QCOMPARE(stats->finite, std::uint64_t{0});
        QCOMPARE(stats->firstNonFinite, std::uint64_t{0});
        QCOMPARE(stats->min, 0.0);
        QCOMPARE(stats->variance(), 0.0);
        QVERIFY(!stats->kurtosis());
    }

    void zerosOfBothSignsAndSubnormalsOfTheStoredTypeAreCounted()
    {
        const std::vector<std::uint16_t> codes{0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x0400, 0x3F80};
        const Stored bf16{DType::BF16, {codes.size()}, bytesOf(codes)};
        const Stored f16{DType::F16, {codes.size()}, bytesOf(codes)};
        const Stored f8{DType::F8E4M3, {6}, bytesOf<std::uint8_t>({0x00, 0x80, 0x01, 0x87, 0x08, 0x38})};
        const auto b = statistics(bf16.view, {});
        const auto h = statistics(f16.view, {});
        const auto e = statistics(f8.view, {});
        QVERIFY(b && h && e);
        QCOMPARE(b->zeros, std::uint64_t{2});
        QCOMPARE(b->subnormal, std::uint64_t{2});   // 0001, 807F
        QCOMPARE(h->subnormal, std::uint64_t{3});   // and 0080
        QCOMPARE(e->zeros, std::uint64_t{2});
        QCOMPARE(e->subnormal, std::uint64_t{2});   // 01, 87
    }

    void wideTypesAreReducedWithoutRoundingToFloat()
    {
        const Stored f64{DType::F64, {4}, bytesOf<double>({1.0, 1.0 + 0x1p-40, 1.0 - 0x1p-40, 1.0})};
        const auto stats = statistics(f64.view, {});
        QVERIFY(stats.has_value());
        QCOMPARE(stats->max, 1.0 + 0x1p-40);
        QCOMPARE(stats->m2, 2 * 0x1p-80);
        const Stored i32{DType::I32, {2}, bytesOf<std::int32_t>({16777217, -16777217})};
        const auto integers = statistics(i32.view, {});
        QVERIFY(integers.has_value());
        QCOMPARE(integers->max, 16777217.0);
        QCOMPARE(integers->mean, 0.0);
    }

    void blockFormatsAreMeasuredAsDecoded()
    {
        std::vector<std::byte> blocks(4096 * 18);
        SplitMix64 random(9);
        for (std::byte& b : blocks)
            b = static_cast<std::byte>(random.next() & 0xFFU);
        for (std::size_t i = 0; i < 4096; ++i) {
            const std::uint16_t scale = floatToF16(static_cast<float>(random.uniform()) - 0.5F);
            std::memcpy(blocks.data() + i * 18, &scale, sizeof(scale));
        }
        const Stored tensor{DType::Q4_0, {4096, 32}, blocks};
        const auto stats = statistics(tensor.view, {});
        QVERIFY(stats.has_value());
        compareWithReference(tensor.view, *stats);
    }

    void threadCountDoesNotChangeABit()
    {
        const Stored tensor = stored(DType::BF16, gaussian(700000));
        const int before = threadCount();
        setThreadCount(1);
        const auto one = statistics(tensor.view, {});
        setThreadCount(7);
        const auto seven = statistics(tensor.view, {});
        setThreadCount(before);
        QVERIFY(one && seven);
        QCOMPARE(std::memcmp(&one->mean, &seven->mean, 4 * sizeof(double)), 0);
        QCOMPARE(one->outliers, seven->outliers);
    }

    void unalignedTensorsGiveTheSameBits()
    {
        const Stored aligned = stored(DType::BF16, gaussian(50000));
        std::vector<std::byte> moved(aligned.bytes.size() + 1);
        std::memcpy(moved.data() + 1, aligned.bytes.data(), aligned.bytes.size());
        const auto a = statistics(aligned.view, {});
        const auto b = statistics(TensorView{DType::BF16, {50000}, std::span<const std::byte>(moved).subspan(1)}, {});
        QVERIFY(a && b);
        QCOMPARE(a->m4, b->m4);
        QCOMPARE(a->mean, b->mean);
    }

    void emptyTensorsHaveZeroOfEverything()
    {
        const Stored tensor{DType::F16, {0, 64}, {}};
        const auto stats = statistics(tensor.view, {});
        QVERIFY(stats.has_value());
        QCOMPARE(stats->count, std::uint64_t{0});
        QVERIFY(!stats->kurtosis());
    }

    void mergedPartsEqualTheWhole()
    {
        const std::vector<float> values = gaussian(5000, 2.0);
        const Stored whole = stored(DType::F32, values);
        const Stored head = stored(DType::F32, {values.begin(), values.begin() + 1234});
        std::vector<float> rest(values.begin() + 1234, values.end());
        const Stored tail = stored(DType::F32, rest);
        const TensorStats joint = merged(*moments(head.view, {}), *moments(tail.view, {}));
        const auto expected = moments(whole.view, {});
        QVERIFY(std::fabs(joint.m2 - expected->m2) <= 1e-12 * expected->m2);
        QVERIFY(std::fabs(joint.m4 - expected->m4) <= 1e-12 * expected->m4);
        QVERIFY(std::fabs(joint.mean - expected->mean) <= 1e-13);
        rest[7] = kNan;
        const Stored broken = stored(DType::F32, rest);
        QCOMPARE(merged(*moments(head.view, {}), *moments(broken.view, {})).firstNonFinite, std::uint64_t{1241});
        QCOMPARE(merged(TensorStats{}, *expected).m4, expected->m4);
    }

    void scanAgreesWithStatistics()
    {
        for (const DType type : {DType::F32, DType::BF16, DType::F16}) {
            std::vector<float> values = gaussian(123457);
            values[100] = kNan;
            const Stored tensor = stored(type, values);
            const auto sums = scan(tensor.view, {});
            const auto stats = statistics(tensor.view, {});
            QVERIFY(sums && stats);
            QCOMPARE(sums->count, stats->count);
            QCOMPARE(sums->finite, stats->finite);
            QCOMPARE(sums->min, stats->min);
            QCOMPARE(sums->max, stats->max);
            QVERIFY(std::fabs(sums->sumOfSquares - stats->energy()) <= 1e-12 * stats->energy());
            QVERIFY(std::fabs(sums->sum - stats->mean * static_cast<double>(stats->finite)) <= 1e-10 * stats->stddev() * 123457);
        }
    }

    void aStoppedJobAnswersCancelled()
    {
        const Stored tensor = stored(DType::BF16, gaussian(200000));
        std::stop_source stop;
        stop.request_stop();
        const JobContext job{stop.get_token(), {}};
        QCOMPARE(statistics(tensor.view, job).error().code, ErrorCode::Cancelled);
        QCOMPARE(scan(tensor.view, job).error().code, ErrorCode::Cancelled);
        QCOMPARE(codeCounts(tensor.view, job).error().code, ErrorCode::Cancelled);
    }

    void typesThatCannotBeDecodedAreRefused()
    {
        const Stored tensor{DType::Unknown, {256}, std::vector<std::byte>(256)};
        QCOMPARE(statistics(tensor.view, {}).error().code, ErrorCode::UnsupportedType);
        QCOMPARE(scan(tensor.view, {}).error().code, ErrorCode::UnsupportedType);
    }
};

QTEST_APPLESS_MAIN(TestTensorStats)
#include "tst_tensor_stats.moc"
