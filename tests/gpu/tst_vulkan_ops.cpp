// SPDX-License-Identifier: GPL-3.0-or-later
// Ops on lavapipe against the CPU reference, on shapes around the kernels' tiles, and on a device whose bindings are
// so small that every tensor is cut.

#include "SoftwareDevice.h"

#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/compute/ops/ClipReach.h"
#include "core/grid/Grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

std::vector<float> normal(std::size_t size, double scale = 0.02)
{
    std::vector<float> values(size);
    fillNormal<float>(size + 3, values, scale);
    return values;
}

/// Magnitudes over eight decades, some zeros, constant stretches.
std::vector<float> uneven(std::size_t size)
{
    auto values = normal(size, 1.0);
    for (std::size_t i = 0; i < size; ++i) {
        values[i] *= std::exp2(static_cast<float>(i / 64 % 27) - 20.0F);
        if (i / 64 % 11 == 5)
            values[i] = 0;
        if (i / 64 % 11 == 7)
            values[i] = 0.25F;
    }
    return values;
}

/// Values half-way between codes for symmetric scales that are powers of two.
std::vector<float> ties(std::size_t size)
{
    std::vector<float> values(size);
    for (std::size_t i = 0; i < size; ++i)
        values[i] = static_cast<float>(static_cast<int>(i * 13 % 57) - 28) * 0.25F;
    for (std::size_t i = 0; i < size; i += 32)
        values[i] = i % 64 == 0 ? 7.0F : -7.0F;
    return values;
}

std::vector<std::byte> stored(DType type, std::size_t elements)
{
    std::vector<std::byte> bytes(elements / info(type).blockElements * (info(type).blockBits / 8));
    SplitMix64 random(elements);
    for (std::byte& byte : bytes)
        byte = static_cast<std::byte>(random.next());
    return bytes;
}

bool isClose(double a, double b, double relative)
{
    return std::fabs(a - b) <= relative * std::max(std::fabs(a), std::fabs(b));
}

}  // namespace

class VulkanOps : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_gpu = validatedBackend();
        QVERIFY2(m_gpu, "a software Vulkan device (lavapipe) is needed");
        m_cpu = makeCpuBackend();
        m_narrow = validatedBackend({.bindingBytes = 48 << 10});
        QVERIFY(m_narrow);
    }
    void cleanupTestCase()
    {
        QCOMPARE(validationMessages(*m_gpu), QString());
        QCOMPARE(validationMessages(*m_narrow), QString());
    }

    void groupsAreTheGridsBytes_data()
    {
        QTest::addColumn<int>("bits");
        QTest::addColumn<quint64>("group");
        QTest::addColumn<bool>("asymmetric");
        for (const int bits : {2, 3, 4, 5, 6, 8})
            for (const quint64 group : {32U, 64U, 128U, 0U})
                for (const bool asymmetric : {false, true})
                    QTest::addRow("int%d g%d %s", bits, int(group), asymmetric ? "asym" : "sym")
                        << bits << group << asymmetric;
    }
    void groupsAreTheGridsBytes()
    {
        QFETCH(int, bits);
        QFETCH(quint64, group);
        QFETCH(bool, asymmetric);
        const CodeFormat format{.groups = {bits, group, asymmetric}};
        const auto grid = findGrid(format.id());
        QVERIFY(grid);
        // 1, subgroup - 1, a group and one, tile + 1, a prime, a wide row; and past the narrow device's bindings.
        struct Shape {
            std::uint64_t rows, cols;
        };
        for (const Shape shape : {Shape{1, 1}, {3, 7}, {5, 33}, {2, 65}, {1, 1031}, {67, 257}}) {
            const std::size_t n = shape.rows * shape.cols;
            for (const auto& weights : {normal(n), uneven(n), ties(n)}) {
                std::vector<std::byte> expected(shape.rows * (*grid)->rowBytes(shape.cols));
                QVERIFY((*grid)->encode(weights, shape.rows, shape.cols, expected));
                std::vector<std::byte> reference(expected.size(), std::byte{0xA5});
                QVERIFY(m_cpu->encodeMeasured(format, weights, shape.rows, shape.cols, {}, reference, {}));
                QVERIFY2(reference == expected, "the CPU reference is not the grid");
                for (ComputeBackend* device : {m_gpu.get(), m_narrow.get()}) {
                    std::vector<std::byte> found(expected.size(), std::byte{0xA5});
                    const auto sums = device->encodeMeasured(format, weights, shape.rows, shape.cols, {}, found, {});
                    QVERIFY2(sums, sums ? "" : sums.error().detail.c_str());
                    QVERIFY2(found == expected, qPrintable(QStringLiteral("%1 x %2").arg(shape.rows).arg(shape.cols)));
                }
            }
        }
    }

    /// Sums of float squares, at most 8 + 7 of them one after the other: 16 eps = 1e-6, and products round twice.
    void errorSumsAreTheCpus_data()
    {
        QTest::addColumn<QString>("format");
        for (const char* format : {"none", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "int4-g128", "int3-g32-asym", "q2_k", "q3_k",
                                   "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "mxfp4", "nvfp4", "tq1_0", "tq2_0"})
            QTest::newRow(format) << QString::fromLatin1(format);
    }
    void errorSumsAreTheCpus()
    {
        QFETCH(QString, format);
        const std::uint64_t rows = 37;
        const auto block = formatOf(format).value_or(CodeFormat{}).block;
        const std::uint64_t cols = block && info(*block).blockElements > 32 ? 1280 : 1056;
        const auto weights = normal(rows * cols);
        std::vector<float> scale(cols);
        for (std::size_t i = 0; i < cols; ++i)
            scale[i] = i % 7 == 3 ? 0.0F : 0.1F + static_cast<float>(i % 13);
        ResidualSource source{weights, rows, cols, formatOf(format), {}};
        std::vector<std::byte> codes;
        if (source.format) {
            codes.resize(rows * source.format->rowBytes(cols));
            QVERIFY(m_cpu->encodeMeasured(*source.format, weights, rows, cols, {}, codes, {}));
            source.codes = codes;
        }
        for (const std::span<const float> s : {std::span<const float>(), std::span<const float>(scale)}) {
            const auto expected = m_cpu->errorSums(source, s, {});
            QVERIFY(expected);
            for (ComputeBackend* device : {m_gpu.get(), m_narrow.get()}) {
                const auto found = device->errorSums(source, s, {});
                QVERIFY2(found, found ? "" : found.error().detail.c_str());
                constexpr double kTolerance = 4e-6;
                QVERIFY(isClose(found->residual, expected->residual, kTolerance));
                QVERIFY(isClose(found->scaledResidual, expected->scaledResidual, kTolerance));
                QVERIFY(isClose(found->weight, expected->weight, kTolerance));
                QVERIFY(isClose(found->scaledWeight, expected->scaledWeight, kTolerance));
            }
        }
    }

    void encodingMeasuresWhatItLeaves_data()
    {
        QTest::addColumn<QString>("format");
        QTest::newRow("q4_0") << QStringLiteral("q4_0");
        QTest::newRow("q8_0") << QStringLiteral("q8_0");
        QTest::newRow("int4") << QStringLiteral("int4-g64-asym");
    }
    void encodingMeasuresWhatItLeaves()
    {
        QFETCH(QString, format);
        const CodeFormat coded = *formatOf(format);
        const std::uint64_t rows = 41;
        const std::uint64_t cols = 32 * 33;  // an odd number of blocks a row
        const auto weights = normal(rows * cols);
        const auto scale = normal(cols, 1.0);
        std::vector<std::byte> expected(rows * coded.rowBytes(cols));
        const auto sums = m_cpu->encodeMeasured(coded, weights, rows, cols, scale, expected, {});
        QVERIFY(sums);
        for (ComputeBackend* device : {m_gpu.get(), m_narrow.get()}) {
            const std::size_t before = device->fallbackCount();
            std::vector<std::byte> codes(expected.size(), std::byte{0xA5});
            const auto found = device->encodeMeasured(coded, weights, rows, cols, scale, codes, {});
            QVERIFY2(found, found ? "" : found.error().detail.c_str());
            QVERIFY(codes == expected);
            QVERIFY(isClose(found->residual, sums->residual, 4e-6));
            QVERIFY(isClose(found->scaledResidual, sums->scaledResidual, 4e-6));
            QCOMPARE(device->fallbackCount(), before);
        }
    }

    /// What floats cannot tell is done by the reference, and counted.
    void oddValuesGiveTheCpusCodesAndSums_data()
    {
        QTest::addColumn<float>("value");
        QTest::newRow("subnormal") << 1e-41F;
        QTest::newRow("tiny") << 1e-33F;
        QTest::newRow("beside large ones") << -1e-12F;
    }
    void oddValuesGiveTheCpusCodesAndSums()
    {
        QFETCH(float, value);
        auto weights = normal(9 * 96);
        for (float& w : weights)
            w = std::fabs(w);
        std::fill(weights.begin() + 96, weights.begin() + 128, value);
        weights[300] = value;
        for (const char* id : {"q4_0", "int4-g32", "int4-g32-asym"}) {
            const CodeFormat format = *formatOf(QString::fromLatin1(id));
            std::vector<std::byte> expected(9 * format.rowBytes(96));
            std::vector<std::byte> found(expected.size());
            const auto cpu = m_cpu->encodeMeasured(format, weights, 9, 96, {}, expected, {});
            const auto gpu = m_gpu->encodeMeasured(format, weights, 9, 96, {}, found, {});
            QVERIFY(cpu);
            QVERIFY2(gpu, gpu ? "" : gpu.error().detail.c_str());
            QVERIFY2(found == expected, id);
            QVERIFY(isClose(gpu->residual, cpu->residual, 4e-6));
        }
    }

    void errorsOfGroupsAreTheCpus_data()
    {
        QTest::addColumn<float>("bad");
        QTest::newRow("NaN") << std::numeric_limits<float>::quiet_NaN();
        QTest::newRow("Inf") << -std::numeric_limits<float>::infinity();
        QTest::newRow("scale beyond half") << 1e9F;
    }
    void errorsOfGroupsAreTheCpus()
    {
        QFETCH(float, bad);
        auto weights = normal(3200);
        weights[1234] = bad;
        const CodeFormat format{.groups = {4, 64, false}};
        std::vector<std::byte> out(10 * format.rowBytes(320));
        const auto gpu = m_gpu->encodeMeasured(format, weights, 10, 320, {}, out, {});
        const auto cpu = m_cpu->encodeMeasured(format, weights, 10, 320, {}, out, {});
        QVERIFY(!gpu);
        QVERIFY(!cpu);
        QCOMPARE(gpu.error().code, cpu.error().code);
        QCOMPARE(gpu.error().detail, cpu.error().detail);
    }

    void decodingIsTheCpusToTheBit_data()
    {
        QTest::addColumn<DType>("type");
        for (const DType type :
             {DType::F32, DType::BF16, DType::F16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1,
              DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS,
              DType::MXFP4, DType::NVFP4, DType::TQ1_0, DType::TQ2_0, DType::Q1_0, DType::Q2_0})
            QTest::addRow("%s", info(type).name.data()) << type;
    }
    void decodingIsTheCpusToTheBit()
    {
        QFETCH(DType, type);
        const std::uint64_t block = info(type).blockElements;
        for (const std::uint64_t blocks : {std::uint64_t{1}, std::uint64_t{7}, 257 / block + 1, 31337 / block}) {
            const std::uint64_t n = blocks * block;
            const auto bytes = stored(type, n);  // any bits: infinities and NaN of every kind among them
            const TensorView view{type, {n}, bytes};
            std::vector<float> expected(n);
            QVERIFY(m_cpu->decode(view, expected, {}));
            for (ComputeBackend* device : {m_gpu.get(), m_narrow.get()}) {
                std::vector<float> found(n, 1.0F);
                const Status done = device->decode(view, found, {});
                QVERIFY2(done, done ? "" : done.error().detail.c_str());
                for (std::size_t i = 0; i < n; ++i) {
                    // NaN out of arithmetic may differ in bits between devices; one that is stored may not.
                    const bool bothNan = block > 1 && std::isnan(found[i]) && std::isnan(expected[i]);
                    QVERIFY2(
                        bothNan || std::bit_cast<std::uint32_t>(found[i]) == std::bit_cast<std::uint32_t>(expected[i]),
                        qPrintable(QStringLiteral("%1 of %2: %3, %4").arg(i).arg(n).arg(found[i]).arg(expected[i])));
                }
            }
        }
    }

    void histogramsAreExact_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<quint64>("elements");
        for (const DType type : {DType::F32, DType::BF16, DType::F16})
            for (const quint64 elements : {1U, 7U, 32769U, 131101U})
                QTest::addRow("%s %d", info(type).name.data(), int(elements)) << type << elements;
    }
    void histogramsAreExact()
    {
        QFETCH(DType, type);
        QFETCH(quint64, elements);
        const auto bytes = stored(type, elements);
        const TensorView view{type, {elements}, bytes};
        const auto expected = m_cpu->histogram(view, {});
        QVERIFY(expected);
        const auto found = m_gpu->histogram(view, {});
        QVERIFY2(found, found ? "" : found.error().detail.c_str());
        QVERIFY(found->counts == expected->counts);
        QCOMPARE(found->codeType, expected->codeType);
        QCOMPARE(found->exactCodes, expected->exactCodes);

        for (const std::vector<float>& edges :
             {std::vector<float>{0.0F}, std::vector<float>{-1e30F, -1.0F, -0.0F, 1e-40F, 1.0F, 1.0F, 65504.0F}}) {
            const auto bins = m_cpu->binned(view, edges, {});
            QVERIFY(bins);
            for (ComputeBackend* device : {m_gpu.get(), m_narrow.get()}) {
                const auto there = device->binned(view, edges, {});
                QVERIFY2(there, there ? "" : there.error().detail.c_str());
                QVERIFY(*there == *bins);
            }
        }
    }

    /// The choice itself may differ at near ties (float sums, scales rounded from float products); what it leaves
    /// over the whole matrix is within 1e-4 of the reference's, and never more than the full range leaves.
    void clipSearchLeavesAsLittleAsTheCpus_data()
    {
        QTest::addColumn<int>("bits");
        QTest::addColumn<quint64>("group");
        QTest::addColumn<bool>("asymmetric");
        QTest::addColumn<bool>("scaled");
        QTest::newRow("int4 g32") << 4 << quint64{32} << false << false;
        QTest::newRow("int4 g128 asym, metric") << 4 << quint64{128} << true << true;
        QTest::newRow("int3 g64, metric") << 3 << quint64{64} << false << true;
        QTest::newRow("int2 row asym") << 2 << quint64{0} << true << false;
    }
    void clipSearchLeavesAsLittleAsTheCpus()
    {
        QFETCH(int, bits);
        QFETCH(quint64, group);
        QFETCH(bool, asymmetric);
        QFETCH(bool, scaled);
        const GroupFormat format{bits, group, asymmetric};
        for (const auto& [rows, cols] :
             {std::pair<std::uint64_t, std::uint64_t>{1, 1}, {3, 31}, {67, 257}, {5, 1031}}) {
            const auto weights = normal(rows * cols);
            auto scale = normal(scaled ? cols : 0, 1.0);
            for (float& s : scale)
                s = std::fabs(s);
            const auto expected = m_cpu->clipReaches(format, weights, rows, cols, scale, {});
            QVERIFY(expected);
            for (ComputeBackend* device : {m_gpu.get(), m_narrow.get()}) {
                const auto found = device->clipReaches(format, weights, rows, cols, scale, {});
                QVERIFY2(found, found ? "" : found.error().detail.c_str());
                QCOMPARE(found->size(), expected->size());
                const std::uint64_t groups = format.groups(cols);
                std::array<double, 3> left{};
                for (std::size_t i = 0; i < found->size(); ++i) {
                    const std::uint64_t begin = i % groups * format.groupLength(cols);
                    const std::uint64_t count = std::min(format.groupLength(cols), cols - begin);
                    const auto values = std::span(weights).subspan(i / groups * cols + begin, count);
                    const auto s
                        = scaled ? std::span<const float>(scale).subspan(begin, count) : std::span<const float>();
                    left[0] += clippedLoss(format, values, s, (*found)[i]);
                    left[1] += clippedLoss(format, values, s, (*expected)[i]);
                    left[2] += clippedLoss(format, values, s, kReachParts);
                }
                QVERIFY2(left[0] <= left[1] * 1.0001 + 1e-30,
                         qPrintable(QStringLiteral("%1 x %2: %3, %4").arg(rows).arg(cols).arg(left[0]).arg(left[1])));
                QVERIFY(left[0] <= left[2] * (1 + 1e-6));
                if (cols > 1)
                    QVERIFY2(left[1] < left[2], "there is nothing to gain: the test looks at nothing");
            }
        }
    }

    void everyOpSaysWhereItRan()
    {
        const auto weights = normal(64 * 64);
        const TensorView view{DType::F32, {weights.size()}, std::as_bytes(std::span<const float>(weights))};
        std::vector<std::string> told;
        JobContext job;
        job.ran = [&](std::string_view op, std::string_view device, std::string_view why) {
            told.push_back(std::string(op) + "@" + std::string(device) + std::string(why));
        };
        std::vector<float> out(weights.size());
        QVERIFY(m_gpu->histogram(view, job));
        QVERIFY(m_gpu->decode(view, out, job));
        const std::string id = m_gpu->device().id;
        QCOMPARE(told, (std::vector<std::string>{"histogram@" + id, "decode@" + id}));
    }

private:
    static std::optional<CodeFormat> formatOf(const QString& id)
    {
        if (id == QStringLiteral("none"))
            return std::nullopt;
        for (const DType type : {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q2_K, DType::Q3_K,
                                 DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4,
                                 DType::NVFP4, DType::TQ1_0, DType::TQ2_0})
            if (id == QString::fromUtf8(info(type).name.data()).toLower())
                return CodeFormat{.block = type};
        const QStringList parts = id.mid(3).split(QLatin1Char('-'));
        return CodeFormat{.groups = {parts[0].toInt(), parts[1].mid(1).toULongLong(), parts.size() > 2}};
    }

    std::unique_ptr<ComputeBackend> m_gpu;
    std::unique_ptr<ComputeBackend> m_narrow;
    std::unique_ptr<ComputeBackend> m_cpu;
};

QTEST_GUILESS_MAIN(VulkanOps)
#include "tst_vulkan_ops.moc"
