// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/analysis/Histogram.h"
#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/compute/ops/Statistics.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

using namespace sigmascope;

namespace {

template <class T>
std::vector<std::byte> bytesOf(const std::vector<T>& values)
{
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

std::vector<std::uint16_t> weights(std::size_t n)
{
    std::vector<float> values(n);
    fillNormal<float>(3, values, 0.05);
    std::vector<std::uint16_t> codes(n);
    for (std::size_t i = 0; i < n; ++i)
        codes[i] = floatToBf16(values[i]);
    return codes;
}

CodeCounts countsOf(const std::vector<std::uint16_t>& codes, DType type = DType::BF16)
{
    const auto bytes = bytesOf(codes);
    return *codeCounts(TensorView{type, {codes.size()}, bytes}, {});
}

std::uint64_t sum(const std::vector<std::uint64_t>& counts)
{
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace

class TestHistogram : public QObject {
    Q_OBJECT

private slots:
    void everyCodeIsCountedExactly()
    {
        std::vector<std::uint16_t> codes;
        for (unsigned code = 0; code < 65536; ++code)
            codes.insert(codes.end(), 1 + code % 5, static_cast<std::uint16_t>(code));
        for (const DType type : {DType::BF16, DType::F16}) {
            const CodeCounts counts = countsOf(codes, type);
            QVERIFY(counts.exactCodes);
            QCOMPARE(counts.codeType, type);
            QCOMPARE(counts.counts.size(), std::size_t{65536});
            for (unsigned code = 0; code < 65536; ++code)
                QCOMPARE(counts.counts[code], std::uint64_t{1} + code % 5);
        }
    }

    void threadCountDoesNotChangeACount()
    {
        const auto codes = weights(400003);
        const int before = threadCount();
        setThreadCount(1);
        const CodeCounts one = countsOf(codes);
        setThreadCount(5);
        const CodeCounts five = countsOf(codes);
        setThreadCount(before);
        QCOMPARE(one.counts, five.counts);
        QCOMPARE(sum(one.counts), std::uint64_t{400003});
    }

    void eightBitFloatsUse256Codes()
    {
        const std::vector<std::uint8_t> codes{0, 0x38, 0x38, 0xB8, 0x7F};
        const auto bytes = bytesOf(codes);
        const auto counts = codeCounts(TensorView{DType::F8E4M3, {5}, bytes}, {});
        QVERIFY(counts.has_value());
        QCOMPARE(counts->counts.size(), std::size_t{256});
        QCOMPARE(counts->counts[0x38], std::uint64_t{2});
        QCOMPARE(codeValue(DType::F8E4M3, 0x38), 1.0F);
        const Histogram histogram = binned(*counts, -1, 1, 3);
        QCOMPARE(histogram.counts, (std::vector<std::uint64_t>{1, 1, 2}));
        QCOMPARE(histogram.nonFinite, std::uint64_t{1});
    }

    void widerTypesAreCountedByTheirUpperHalfAndSaySo()
    {
        const std::vector<float> values{1.0F, 1.0F + 0x1p-20F, -2.5F, std::numeric_limits<float>::infinity()};
        const auto bytes = bytesOf(values);
        const auto counts = codeCounts(TensorView{DType::F32, {4}, bytes}, {});
        QVERIFY(counts.has_value());
        QVERIFY(!counts->exactCodes);
        QCOMPARE(counts->counts[0x3F80], std::uint64_t{2});
        QCOMPARE(counts->counts[0xC020], std::uint64_t{1});
        const Histogram histogram = binned(*counts, -3, 3, 2);
        QVERIFY(!histogram.exact);
        QCOMPARE(histogram.counts, (std::vector<std::uint64_t>{1, 2}));
        QCOMPARE(histogram.nonFinite, std::uint64_t{1});
    }

    void everyElementIsBinnedOnceAtEveryBinCount()
    {
        const auto codes = weights(50000);
        const CodeCounts counts = countsOf(codes);
        for (const std::size_t bins : {1U, 2U, 7U, 100U, 4096U}) {
            const Histogram histogram = binned(counts, -0.1, 0.1, bins);
            std::vector<std::uint64_t> expected(bins);
            std::uint64_t below = 0;
            std::uint64_t above = 0;
            for (const std::uint16_t code : codes) {
                const double v = bf16ToFloat(code);
                below += v < -0.1 ? 1U : 0U;
                above += v > 0.1 ? 1U : 0U;
                if (v < -0.1 || v > 0.1)
                    continue;
                // Found by comparing with the edges, not by dividing.
                std::size_t bin = 0;
                const auto edge = [&](std::size_t b) {
                    const double share = static_cast<double>(b) / static_cast<double>(bins);
                    return -0.1 * (1 - share) + 0.1 * share;
                };
                std::size_t high = bins;
                while (high - bin > 1) {
                    const std::size_t middle = (bin + high) / 2;
                    (v < edge(middle) ? high : bin) = middle;
                }
                ++expected[bin];
            }
            QCOMPARE(histogram.counts, expected);
            QCOMPARE(histogram.below, below);
            QCOMPARE(histogram.above, above);
        }
    }

    void theLastBinIsClosedAndTheOthersAreNot()
    {
        const CodeCounts counts = countsOf({0x0000, 0x3F00, 0x3F80});  // 0, 0.5, 1
        QCOMPARE(binned(counts, 0, 1, 2).counts, (std::vector<std::uint64_t>{1, 2}));
        QCOMPARE(binned(counts, 0, 1, 1).counts, (std::vector<std::uint64_t>{3}));
        QCOMPARE(binned(counts, 0.25, 0.75, 4).counts, (std::vector<std::uint64_t>{0, 0, 1, 0}));
        QCOMPARE(binned(counts, 0.25, 0.75, 4).below, std::uint64_t{1});
        QCOMPARE(binned(counts, 0.25, 0.75, 4).above, std::uint64_t{1});
    }

    void aRangeOfOneValueIsOneBin()
    {
        const CodeCounts counts = countsOf({0x3F80, 0x3F80, 0x4000, 0xBF80});
        const Histogram histogram = binned(counts, 1, 1, 50);
        QCOMPARE(histogram.counts, (std::vector<std::uint64_t>{2}));
        QCOMPARE(histogram.below, std::uint64_t{1});
        QCOMPARE(histogram.above, std::uint64_t{1});
    }

    void theWholeRangeOfTheTypeDoesNotOverflow()
    {
        const CodeCounts counts = countsOf({0x7F7F, 0xFF7F, 0x0000, 0x7F80, 0xFFC0});
        const double max = bf16ToFloat(0x7F7F);
        QCOMPARE(binned(counts, -max, max, 3).counts, (std::vector<std::uint64_t>{1, 1, 1}));
        QCOMPARE(binned(counts, -1.7e308, 1.7e308, 3).counts, (std::vector<std::uint64_t>{0, 3, 0}));
        QCOMPARE(binned(counts, -max, max, 3).nonFinite, std::uint64_t{2});
    }

    void outliersFromCodesEqualThoseOfTheSecondReading()
    {
        auto codes = weights(300000);
        for (std::size_t i = 0; i < 40; ++i)
            codes[i * 7001] = floatToBf16(i % 2 == 0 ? 0.9F : -0.7F);
        codes[5] = 0x7F80;  // an infinity is no outlier
        const auto bytes = bytesOf(codes);
        const TensorView view{DType::BF16, {codes.size()}, bytes};
        const auto stats = statistics(view, {});
        QVERIFY(stats.has_value());
        QVERIFY(stats->outliers >= 40);
        QCOMPARE(outliersFrom(countsOf(codes), *stats), stats->outliers);
    }

    void undecodableTypesAreRefused()
    {
        const std::vector<std::byte> bytes(292);
        QCOMPARE(codeCounts(TensorView{DType::Q8_K, {256}, bytes}, {}).error().code, ErrorCode::UnsupportedType);
    }
};

QTEST_APPLESS_MAIN(TestHistogram)
#include "tst_histogram.moc"
