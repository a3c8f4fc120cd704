// SPDX-License-Identifier: GPL-3.0-or-later
#include "SoftwareDevice.h"

#include "core/base/Random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

std::vector<float> normal(std::size_t size, double scale)
{
    std::vector<float> values(size);
    fillNormal<float>(size, values, scale);
    return values;
}

/// Any mantissa, exponents from 2^low to 2^high, alike within a block.
std::vector<float> anyMantissa(std::size_t blocks, int low, int high)
{
    SplitMix64 random(42);
    std::vector<float> values(blocks * 32);
    for (std::size_t b = 0; b < blocks; ++b) {
        const auto top
            = static_cast<std::uint64_t>(low + 127) + random.next() % static_cast<std::uint64_t>(high - low + 1);
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint64_t bits = random.next();
            const std::uint64_t exponent = top - std::min<std::uint64_t>((bits >> 24) % 6, top);
            values[b * 32 + i] = std::bit_cast<float>(
                static_cast<std::uint32_t>((bits >> 63) << 31 | exponent << 23 | (bits & 0x7FFFFF)));
        }
    }
    return values;
}

/// Extremes of both signs in either order, values half-way between codes, zeros of both signs.
std::vector<float> ties()
{
    std::vector<float> values(64 * 32);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t block = i / 32;
        values[i] = static_cast<float>(static_cast<int>((i * 7 + block) % 33) - 16) * 0.5F;
        if (block % 4 == 3)
            values[i] = i % 2 == 0 ? 0.0F : -0.0F;
        if (block % 4 == 2)
            values[i] = static_cast<float>(static_cast<int>((i + block) % 255) - 127) + (i % 3 == 0 ? 0.5F : 0.0F);
    }
    return values;
}

std::vector<std::byte> encoded(ComputeBackend& backend, DType type, const std::vector<float>& weights,
                               std::uint64_t rows, QString* error)
{
    std::vector<std::byte> out(weights.size() / 32 * (info(type).blockBits / 8), std::byte{0xA5});
    const Status done = backend.encode(type, weights, rows, weights.size() / rows, out, {});
    if (!done)
        *error = QString::fromStdString(done.error().detail);
    return out;
}

}  // namespace

class VulkanEncode : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_gpu = validatedBackend();
        QVERIFY2(m_gpu, "a software Vulkan device (lavapipe) is needed");
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
        for (const DType type : {DType::Q4_0, DType::Q8_0}) {
            const auto row
                = [type](const char* name, const std::vector<float>& weights, quint64 rows = 1, bool onDevice = true) {
                      QTest::addRow("%s %s", info(type).name.data(), name) << type << weights << rows << onDevice;
                  };
            row("one block", normal(32, 0.02));
            row("odd number of blocks", normal(32 * 7, 0.02), 7);
            row("a workgroup less a pair", normal(32 * 126, 0.02), 2);
            row("a workgroup and a block", normal(32 * 129, 0.02), 3);
            row("a prime of blocks", normal(std::size_t{32} * 31337, 0.02));
            row("ties and zeros", ties());
            row("any mantissa", anyMantissa(20000, -90, 15));
            row("scales that vanish as halves", anyMantissa(3000, -60, -20));
            row("below 2^-100, by the CPU", anyMantissa(500, -126, -101), 1, false);
            row("subnormals, by the CPU", normal(3200, 1e-41), 1, false);
        }
    }
    void bytesAreTheCpus()
    {
        QFETCH(DType, type);
        QFETCH(std::vector<float>, weights);
        QFETCH(quint64, rows);
        QFETCH(bool, onDevice);
        const std::size_t before = m_gpu->fallbackCount();
        QString error;
        const auto gpu = encoded(*m_gpu, type, weights, rows, &error);
        QCOMPARE(error, QString());
        const auto cpu = encoded(*makeCpuBackend(), type, weights, rows, &error);
        QCOMPARE(error, QString());
        const std::size_t block = info(type).blockBits / 8;
        const auto differs
            = static_cast<std::size_t>(std::mismatch(gpu.begin(), gpu.end(), cpu.begin()).first - gpu.begin());
        if (differs < gpu.size())
            QFAIL(qPrintable(QStringLiteral("block %1, byte %2: %3 on the device, %4 on the CPU")
                                 .arg(differs / block)
                                 .arg(differs % block)
                                 .arg(int(gpu[differs]))
                                 .arg(int(cpu[differs]))));
        QCOMPARE(m_gpu->fallbackCount(), before + (onDevice ? 0 : 1));
    }

    void slicesDoNotChangeTheBytes_data()
    {
        QTest::addColumn<DType>("type");
        QTest::newRow("Q4_0") << DType::Q4_0;
        QTest::newRow("Q8_0") << DType::Q8_0;
    }
    void slicesDoNotChangeTheBytes()
    {
        QFETCH(DType, type);
        const auto narrow = validatedBackend({.bindingBytes = 5000});
        QVERIFY(narrow);
        const auto weights = normal(32 * 1001, 0.1);
        QString error;
        QCOMPARE(encoded(*narrow, type, weights, 1, &error), encoded(*m_gpu, type, weights, 1, &error));
        QCOMPARE(error, QString());
        QCOMPARE(validationMessages(*narrow), QString());
    }

    void errorsAreTheCpus_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<float>("bad");
        QTest::addColumn<int>("code");
        for (const DType type : {DType::Q4_0, DType::Q8_0}) {
            const char* name = info(type).name.data();
            QTest::addRow("%s NaN", name)
                << type << std::numeric_limits<float>::quiet_NaN() << int(ErrorCode::NonFinite);
            QTest::addRow("%s Inf", name)
                << type << -std::numeric_limits<float>::infinity() << int(ErrorCode::NonFinite);
            QTest::addRow("%s scale beyond half", name) << type << 1e9F << int(ErrorCode::ScaleOutOfRange);
        }
    }
    void errorsAreTheCpus()
    {
        QFETCH(DType, type);
        QFETCH(float, bad);
        QFETCH(int, code);
        auto weights = normal(3200, 0.02);
        weights[1234] = bad;
        std::vector<std::byte> out(100 * (info(type).blockBits / 8));
        const Status gpu = m_gpu->encode(type, weights, 10, 320, out, {});
        const Status cpu = makeCpuBackend()->encode(type, weights, 10, 320, out, {});
        QVERIFY(!gpu);
        QVERIFY(!cpu);
        QCOMPARE(int(gpu.error().code), code);
        QCOMPARE(gpu.error().detail, cpu.error().detail);
    }

    void refusesTypesWithoutKernel()
    {
        const auto weights = normal(256, 1.0);
        std::vector<std::byte> out(256 / 32 * 20);
        const Status done = m_gpu->encode(DType::Q4_1, weights, 1, 256, out, {});
        QVERIFY(!done);
        QCOMPARE(done.error().code, ErrorCode::UnsupportedType);
        QVERIFY(!m_gpu->supports(Op::Encode, DType::Q4_1));
        QVERIFY(m_gpu->supports(Op::Encode, DType::Q4_0));
    }

    void stopsBetweenSlices()
    {
        const auto weights = normal(std::size_t{6} << 20, 0.02);
        std::vector<std::byte> out(weights.size() / 32 * 18);
        std::stop_source source;
        JobContext job{.stop = source.get_token()};
        job.progress = [&](double, std::string_view) { source.request_stop(); };
        const Status done = m_gpu->encode(DType::Q4_0, weights, 1, weights.size(), out, job);
        QVERIFY(!done);
        QCOMPARE(done.error().code, ErrorCode::Cancelled);
    }

    void whatItLacksRunsOnTheCpuAndSaysSo()
    {
        const auto both = makeFallbackBackend(validatedBackend(), makeCpuBackend());
        QCOMPARE(both->deviceFor(Op::Encode, DType::Q4_0), m_gpu->device().id);
        QCOMPARE(both->deviceFor(Op::Encode, DType::Q5_1), std::string("cpu"));
        const auto weights = normal(320, 1.0);
        QString error;
        const auto there = encoded(*both, DType::Q5_1, weights, 1, &error);
        QCOMPARE(there, encoded(*makeCpuBackend(), DType::Q5_1, weights, 1, &error));
        QCOMPARE(error, QString());
        QCOMPARE(both->fallbackCount(), std::size_t{1});
    }

private:
    std::unique_ptr<ComputeBackend> m_gpu;
};

QTEST_GUILESS_MAIN(VulkanEncode)
#include "tst_vulkan_encode.moc"
