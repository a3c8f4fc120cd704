// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding to super-blocks on lavapipe against the CPU, byte for byte: with and without importances, on shapes around a
// workgroup, on values that only the CPU can do, and on a device whose bindings cut every matrix.

#include "SoftwareDevice.h"

#include "core/base/Random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

constexpr DType kTypes[] = {DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_XS};

std::vector<float> normal(std::size_t size, double scale = 0.02)
{
    std::vector<float> values(size);
    fillNormal<float>(size + 11, values, scale);
    return values;
}

/// Normal times the square of another normal: a few weights far out in every super-block.
std::vector<float> heavyTailed(std::size_t size)
{
    auto values = normal(size, 0.02);
    const auto tails = normal(size + 256, 1.0);
    for (std::size_t i = 0; i < size; ++i)
        values[i] *= tails[i] * tails[i];
    return values;
}

/// Runs of zeros, of one value, of two values, of values of one sign; single weights among zeros.
std::vector<float> plainRuns(std::size_t size)
{
    auto values = normal(size, 0.5);
    for (std::size_t i = 0; i < size; ++i) {
        const std::size_t kind = i / 32 % 7;
        if (kind == 0)
            values[i] = i % 3 == 0 ? -0.0F : 0.0F;
        if (kind == 1)
            values[i] = i / 256 % 2 == 0 ? 0.25F : -0.75F;
        if (kind == 2)
            values[i] = i % 2 == 0 ? 1.0F : -0.5F;
        if (kind == 3)
            values[i] = std::fabs(values[i]);
        if (kind == 4)
            values[i] = -std::fabs(values[i]);
        if (kind == 5)
            values[i] = i % 32 == 9 ? -0.125F : 0.0F;
    }
    return values;
}

/// Mean squares over six decades; some zero, some runs of 32 and some of 256 zero throughout.
std::vector<float> importances(std::size_t cols)
{
    auto values = normal(cols, 1.0);
    for (std::size_t i = 0; i < cols; ++i) {
        values[i] = values[i] * values[i] * std::exp2(static_cast<float>(i % 20) - 12.0F);
        if (i % 13 == 5 || i / 32 % 8 == 3 || i / 256 == 1)
            values[i] = 0;
    }
    return values;
}

std::vector<std::byte> room(DType type, std::size_t elements)
{
    return std::vector<std::byte>(elements / 256 * (info(type).blockBits / 8), std::byte{0xA5});
}

/// Where the first difference is; empty if there is none.
QString difference(DType type, const std::vector<std::byte>& found, const std::vector<std::byte>& expected)
{
    if (found == expected)
        return {};
    const auto at
        = static_cast<std::size_t>(std::mismatch(found.begin(), found.end(), expected.begin()).first - found.begin());
    std::size_t supers = 0;
    const std::size_t bytes = info(type).blockBits / 8;
    for (std::size_t i = 0; i + bytes <= found.size(); i += bytes)
        supers += std::memcmp(found.data() + i, expected.data() + i, bytes) == 0 ? 0 : 1;
    return QStringLiteral("super-block %1, byte %2: %3 on the device, %4 on the CPU; %5 of %6 super-blocks differ")
        .arg(at / bytes)
        .arg(at % bytes)
        .arg(int(found[at]))
        .arg(int(expected[at]))
        .arg(supers)
        .arg(found.size() / bytes);
}

}  // namespace

class VulkanSupers : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_gpu = validatedBackend();
        QVERIFY2(m_gpu, "a software Vulkan device (lavapipe) is needed");
        m_cpu = makeCpuBackend();
    }
    void cleanupTestCase()
    {
        QVERIFY(m_gpu);
        QCOMPARE(validationMessages(*m_gpu), QString());
    }

    void bytesAreTheCpus_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<std::vector<float>>("weights");
        QTest::addColumn<quint64>("rows");
        QTest::addColumn<bool>("onDevice");
        for (const DType type : kTypes) {
            const auto row = [type](const char* name, const std::vector<float>& weights, quint64 rows, bool onDevice) {
                QTest::addRow("%s %s", info(type).name.data(), name) << type << weights << rows << onDevice;
            };
            row("one super-block", normal(256), 1, true);
            row("a workgroup and one, in rows", normal(std::size_t{256} * 5), 5, true);
            row("a prime of super-blocks", normal(std::size_t{256} * 97, 0.005), 1, true);
            row("heavy tails", heavyTailed(std::size_t{256} * 30), 10, true);
            row("zeros, constants, one sign", plainRuns(std::size_t{256} * 63), 7, true);
            row("nothing but zeros", std::vector<float>(std::size_t{256} * 3), 3, true);
            row("subnormals, by the CPU", normal(std::size_t{256} * 3, 1e-41), 3, false);
            row("tiny, by the CPU", normal(std::size_t{256} * 9, 1e-9), 3, false);
            row("large, by the CPU", normal(std::size_t{256} * 3, 3e5), 3, false);
        }
    }
    void bytesAreTheCpus()
    {
        QFETCH(DType, type);
        QFETCH(std::vector<float>, weights);
        QFETCH(quint64, rows);
        QFETCH(bool, onDevice);
        const std::size_t before = m_gpu->fallbackCount();
        auto found = room(type, weights.size());
        auto expected = room(type, weights.size());
        const Status done = m_gpu->encode(type, weights, rows, weights.size() / rows, found, {});
        QVERIFY2(done, done ? "" : done.error().detail.c_str());
        QVERIFY(m_cpu->encode(type, weights, rows, weights.size() / rows, expected, {}));
        QCOMPARE(difference(type, found, expected), QString());
        QCOMPARE(m_gpu->fallbackCount(), before + (onDevice ? 0 : 1));
    }

    void bytesByImportanceAreTheCpus_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<std::vector<float>>("weights");
        QTest::addColumn<std::vector<float>>("importance");
        QTest::addColumn<bool>("onDevice");
        for (const DType type : kTypes) {
            const auto row = [type](const char* name, const std::vector<float>& weights,
                                    const std::vector<float>& importance, bool onDevice) {
                QTest::addRow("%s %s", info(type).name.data(), name) << type << weights << importance << onDevice;
            };
            auto squares = normal(768, 1.0);
            for (float& value : squares)
                value = value * value + 0.01F;
            row("mean squares", normal(std::size_t{768} * 31), squares, true);
            row("one super-block", normal(256), std::vector<float>(256, 1.0F), true);
            row("heavy tails, zeros among them", heavyTailed(std::size_t{1280} * 7), importances(1280), true);
            row("zeros, constants, one sign", plainRuns(std::size_t{512} * 31), importances(512), true);
            std::vector<float> tiny = squares;
            for (float& value : tiny)
                value *= 1e-30F;
            row("next to nothing, by the CPU", normal(std::size_t{768} * 3), tiny, false);
        }
    }
    void bytesByImportanceAreTheCpus()
    {
        QFETCH(DType, type);
        QFETCH(std::vector<float>, weights);
        QFETCH(std::vector<float>, importance);
        QFETCH(bool, onDevice);
        const std::uint64_t cols = importance.size();
        const std::size_t before = m_gpu->fallbackCount();
        auto found = room(type, weights.size());
        auto expected = room(type, weights.size());
        const auto noted = m_gpu->encodeWeighted(type, weights, weights.size() / cols, cols, importance, found, {});
        QVERIFY2(noted, noted ? "" : noted.error().detail.c_str());
        const auto words = m_cpu->encodeWeighted(type, weights, weights.size() / cols, cols, importance, expected, {});
        QVERIFY(words);
        QCOMPARE(difference(type, found, expected), QString());
        QCOMPARE(*noted, *words);
        if (onDevice)
            QCOMPARE(m_gpu->fallbackCount(), before);
        else
            QCOMPARE(m_gpu->fallbackCount(), before + 1);
    }

    void slicesDoNotChangeTheBytes()
    {
        const auto narrow = validatedBackend({.bindingBytes = 17000});
        QVERIFY(narrow);
        const auto weights = normal(std::size_t{768} * 37, 0.1);
        const auto importance = importances(768);
        for (const DType type : kTypes) {
            auto found = room(type, weights.size());
            auto expected = room(type, weights.size());
            QVERIFY(narrow->encode(type, weights, 37, 768, found, {}));
            QVERIFY(m_cpu->encode(type, weights, 37, 768, expected, {}));
            QCOMPARE(difference(type, found, expected), QString());
            QVERIFY(narrow->encodeWeighted(type, weights, 37, 768, importance, found, {}));
            QVERIFY(m_cpu->encodeWeighted(type, weights, 37, 768, importance, expected, {}));
            QCOMPARE(difference(type, found, expected), QString());
        }
        QCOMPARE(validationMessages(*narrow), QString());
    }

    /// What only the CPU can do lies among what the device did, and both are in the sums.
    void sumsAndBytesOfOneVisitAreTheCpus_data()
    {
        QTest::addColumn<DType>("type");
        for (const DType type : kTypes)
            QTest::newRow(info(type).name.data()) << type;
    }
    void sumsAndBytesOfOneVisitAreTheCpus()
    {
        QFETCH(DType, type);
        const std::uint64_t rows = 11;
        const std::uint64_t cols = 1280;
        auto weights = heavyTailed(rows * cols);
        std::fill_n(weights.begin() + 3 * cols + 256, 256, 3e-12F);
        std::vector<float> scale(cols, 0.5F);
        scale[7] = 0;
        const CodeFormat format{.block = type};
        for (const auto& s : {std::vector<float>{}, scale}) {
            auto found = room(type, weights.size());
            auto expected = room(type, weights.size());
            const auto sums = m_gpu->encodeMeasured(format, weights, rows, cols, s, found, {});
            QVERIFY2(sums, sums ? "" : sums.error().detail.c_str());
            const auto reference = m_cpu->encodeMeasured(format, weights, rows, cols, s, expected, {});
            QVERIFY(reference);
            QCOMPARE(difference(type, found, expected), QString());
            QVERIFY(std::fabs(sums->residual - reference->residual) <= 4e-6 * reference->residual);
            QVERIFY(std::fabs(sums->scaledResidual - reference->scaledResidual) <= 4e-6 * reference->scaledResidual);
            QVERIFY(std::fabs(sums->weight - reference->weight) <= 4e-6 * reference->weight);
        }
    }

    void errorsAreTheCpus_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<float>("bad");
        QTest::addColumn<int>("code");
        for (const DType type : kTypes) {
            const char* name = info(type).name.data();
            QTest::addRow("%s NaN", name)
                << type << std::numeric_limits<float>::quiet_NaN() << int(ErrorCode::NonFinite);
            QTest::addRow("%s Inf", name)
                << type << -std::numeric_limits<float>::infinity() << int(ErrorCode::NonFinite);
            QTest::addRow("%s scale beyond half", name) << type << 3e9F << int(ErrorCode::ScaleOutOfRange);
        }
    }
    void errorsAreTheCpus()
    {
        QFETCH(DType, type);
        QFETCH(float, bad);
        QFETCH(int, code);
        auto weights = normal(std::size_t{512} * 6);
        weights[1234] = bad;
        auto out = room(type, weights.size());
        const Status gpu = m_gpu->encode(type, weights, 6, 512, out, {});
        const Status cpu = m_cpu->encode(type, weights, 6, 512, out, {});
        QVERIFY(!gpu);
        QVERIFY(!cpu);
        QCOMPARE(int(gpu.error().code), code);
        QCOMPARE(gpu.error().detail, cpu.error().detail);
        const std::vector<float> equal(512, 1.0F);
        const auto byImportance = m_gpu->encodeWeighted(type, weights, 6, 512, equal, out, {});
        const auto expected = m_cpu->encodeWeighted(type, weights, 6, 512, equal, out, {});
        QVERIFY(!byImportance);
        QVERIFY(!expected);
        QCOMPARE(byImportance.error().detail, expected.error().detail);
    }

    void rowsThatDoNotFitAreRefusedAsByTheCpu()
    {
        const auto weights = normal(std::size_t{288} * 2);
        std::vector<std::byte> out(1);
        const Status gpu = m_gpu->encode(DType::Q4_K, weights, 2, 288, out, {});
        const Status cpu = m_cpu->encode(DType::Q4_K, weights, 2, 288, out, {});
        QVERIFY(!gpu);
        QCOMPARE(gpu.error().code, ErrorCode::ShapeMismatch);
        QCOMPARE(gpu.error().detail, cpu.error().detail);
    }

    void stopsBetweenSlices()
    {
        const auto weights = normal(std::size_t{1} << 20);
        auto out = room(DType::Q4_K, weights.size());
        std::stop_source source;
        JobContext job{.stop = source.get_token()};
        job.progress = [&](double, std::string_view) { source.request_stop(); };
        const Status done = m_gpu->encode(DType::Q4_K, weights, 1, weights.size(), out, job);
        QVERIFY(!done);
        QCOMPARE(done.error().code, ErrorCode::Cancelled);
    }

    void typesWithoutAKernelGoToTheCpuAndSaySo()
    {
        const auto both = makeFallbackBackend(validatedBackend(), makeCpuBackend());
        QVERIFY(m_gpu->supports(Op::EncodeWeighted, DType::IQ4_XS));
        QVERIFY(!m_gpu->supports(Op::EncodeWeighted, DType::Q4_0));
        const auto weights = normal(512);
        const std::vector<float> importance(512, 1.0F);
        std::vector<std::byte> found(512 / 32 * 18);
        std::vector<std::byte> expected(found.size());
        std::string why;
        JobContext job;
        job.ran = [&](std::string_view op, std::string_view device, std::string_view reason) {
            why = std::string(op) + "@" + std::string(device) + ": " + std::string(reason);
        };
        QVERIFY(both->encodeWeighted(DType::Q4_0, weights, 1, 512, importance, found, job));
        QVERIFY(m_cpu->encodeWeighted(DType::Q4_0, weights, 1, 512, importance, expected, {}));
        QCOMPARE(found, expected);
        QCOMPARE(why, "encode@cpu: " + m_gpu->device().id + " has no encode of Q4_0");
        QCOMPARE(both->fallbackCount(), std::size_t{1});
    }

private:
    std::unique_ptr<ComputeBackend> m_gpu;
    std::unique_ptr<ComputeBackend> m_cpu;
};

QTEST_GUILESS_MAIN(VulkanSupers)
#include "tst_vulkan_supers.moc"
