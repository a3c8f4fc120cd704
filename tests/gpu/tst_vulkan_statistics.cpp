// SPDX-License-Identifier: GPL-3.0-or-later
#include "SoftwareDevice.h"

#include "core/base/Half.h"
#include "core/base/Random.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

struct Tensor {
    std::vector<std::byte> bytes;
    TensorView view;
};

/// Stored in the given type by rounding; one byte before the data, so that the view is unaligned.
Tensor stored(DType type, const std::vector<float>& values)
{
    Tensor tensor;
    const std::size_t size = info(type).blockBits / 8;
    tensor.bytes.resize(1 + values.size() * size);
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::byte* to = tensor.bytes.data() + 1 + i * size;
        const std::uint16_t half = type == DType::BF16 ? floatToBf16(values[i]) : floatToF16(values[i]);
        if (type == DType::F32)
            std::memcpy(to, &values[i], sizeof(float));
        else
            std::memcpy(to, &half, sizeof half);
    }
    tensor.view = {type, {values.size()}, std::span<const std::byte>(tensor.bytes).subspan(1)};
    return tensor;
}

std::vector<float> normal(std::size_t size, double scale, double mean = 0)
{
    std::vector<float> values(size);
    fillNormal<float>(size, values, scale);
    for (float& v : values)
        v = static_cast<float>(v + mean);
    return values;
}

/// Tolerance 1e-5: a sum's error is at most (32 + 7 additions + 6 roundings of a fourth power) * 2^-24 = 2.7e-6 of
/// the sum of magnitudes, and taking the pivot's distance out may magnify it by 1.4. Mean and third moment may
/// cancel, so their scale is what they are made of: the stddev, and sqrt(m2 m4) >= sum |d|^3.
void compare(const TensorStats& gpu, const TensorStats& cpu)
{
    constexpr double kTolerance = 1e-5;
    QCOMPARE(gpu.count, cpu.count);
    QCOMPARE(gpu.finite, cpu.finite);
    QCOMPARE(gpu.zeros, cpu.zeros);
    QCOMPARE(gpu.nan, cpu.nan);
    QCOMPARE(gpu.inf, cpu.inf);
    QCOMPARE(gpu.subnormal, cpu.subnormal);
    QCOMPARE(gpu.outliers, cpu.outliers);
    QCOMPARE(gpu.firstNonFinite.has_value(), cpu.firstNonFinite.has_value());
    QCOMPARE(gpu.firstNonFinite.value_or(0), cpu.firstNonFinite.value_or(0));
    QVERIFY2(gpu.min == cpu.min && gpu.max == cpu.max, "extremes are exact");
    const auto within = [&](const char* what, double a, double b, double scale) {
        QVERIFY2(std::fabs(a - b) <= kTolerance * scale,
                 qPrintable(QStringLiteral("%1: %2 on the device, %3 on the CPU, scale %4")
                                .arg(what)
                                .arg(a, 0, 'g', 12)
                                .arg(b, 0, 'g', 12)
                                .arg(scale)));
    };
    within("mean", gpu.mean, cpu.mean, cpu.stddev());
    within("m2", gpu.m2, cpu.m2, cpu.m2);
    within("m3", gpu.m3, cpu.m3, std::sqrt(cpu.m2) * std::sqrt(cpu.m4));
    within("m4", gpu.m4, cpu.m4, cpu.m4);
}

void addTypes(const char* name, const std::vector<float>& values)
{
    for (const DType type : {DType::F32, DType::BF16, DType::F16})
        QTest::addRow("%s %s", name, info(type).name.data()) << type << values << true;
}

}  // namespace

class VulkanStatistics : public QObject {
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

    void agreesWithTheCpuOnOddSizes_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<std::vector<float>>("values");
        QTest::addColumn<bool>("onDevice");
        // 1; around a 16-byte load and a subgroup; around a workgroup; a chunk and one more; primes; several slices
        for (const std::size_t size :
             {1U, 3U, 7U, 9U, 31U, 127U, 129U, 1025U, 16383U, 16384U, 16385U, 65537U, 1000003U})
            addTypes(qPrintable(QString::number(size)), normal(size, 0.02));
    }
    void agreesWithTheCpuOnOddSizes() { agrees(); }

    void agreesWithTheCpuOnHardValues_data()
    {
        QTest::addColumn<DType>("type");
        QTest::addColumn<std::vector<float>>("values");
        QTest::addColumn<bool>("onDevice");
        constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
        constexpr float kInf = std::numeric_limits<float>::infinity();
        auto values = normal(40000, 1.0);
        for (std::size_t i = 17; i < values.size(); i += 97)
            values[i] = std::array{kNan, kInf, -kInf, 0.0F, -0.0F, 1e-40F, -3e-8F}[i % 7];
        addTypes("non-finite, zero and subnormal", values);
        addTypes("only NaN", std::vector<float>(20000, kNan));
        addTypes("constant", std::vector<float>(50000, 0.7F));
        addTypes("far from zero", normal(40000, 0.25, 1000.0));
        addTypes("one huge among small", [] {
            auto v = normal(40000, 1e-3);
            v[20001] = 60000.0F;
            return v;
        }());
        auto tails = normal(100003, 0.02);
        for (std::size_t i = 5; i < tails.size(); i += 501)
            tails[i] *= 30.0F;
        addTypes("heavy tails", tails);

        QTest::newRow("subnormal F16") << DType::F16 << normal(20000, 1e-6) << true;
        QTest::newRow("subnormal BF16, by the CPU") << DType::BF16 << normal(16000, 3e-39) << false;
        QTest::newRow("subnormal F32, by the CPU") << DType::F32 << normal(16000, 3e-39) << false;
        QTest::newRow("1e38 F32") << DType::F32 << normal(40000, 5e37) << true;
        QTest::newRow("1e38 BF16") << DType::BF16 << normal(40000, 5e37) << true;
        QTest::newRow("1e-30 F32") << DType::F32 << normal(40000, 1e-30) << true;
        QTest::newRow("1e-28 BF16") << DType::BF16 << normal(40000, 1e-28) << true;
        std::vector<float> close(30011);
        for (std::size_t i = 0; i < close.size(); ++i)
            close[i] = 1.0F + static_cast<float>(i % 3) * 0x1p-23F;
        // A float cannot hold a pivot between neighbours.
        QTest::newRow("three neighbouring F32, by the CPU") << DType::F32 << close << false;
    }
    void agreesWithTheCpuOnHardValues() { agrees(); }

    /// Subnormals are all a kernel may flush: the CPU does those chunks, and says so.
    void countsWhatTheCpuDid()
    {
        const auto gpu = validatedBackend();
        QVERIFY(gpu);
        const Tensor tiny = stored(DType::F32, normal(20000, 3e-39));
        QVERIFY(gpu->statistics(tiny.view, {}));
        QCOMPARE(gpu->fallbackCount(), std::size_t{1});
        const Tensor usual = stored(DType::F32, normal(20000, 0.02));
        QVERIFY(gpu->statistics(usual.view, {}));
        QCOMPARE(gpu->fallbackCount(), std::size_t{1});
    }

    /// Two in 72 elements are 1 or -1, as many of each, the rest 0: 1 is 6 stddev to the last bit, and no float sum can
    /// tell.
    void anElementAtTheOutlierLimitIsDecidedByTheCpu()
    {
        const auto gpu = validatedBackend();
        QVERIFY(gpu);
        std::vector<float> values(72 * 700);
        for (std::size_t i = 0; i < values.size(); i += 72)
            values[i + 3] = i % 144 == 0 ? 1.0F : -1.0F;
        for (std::size_t i = 36; i < values.size(); i += 72)
            values[i] = i % 144 == 36 ? -1.0F : 1.0F;
        const Tensor tensor = stored(DType::BF16, values);
        const auto stats = gpu->statistics(tensor.view, {});
        QVERIFY(stats);
        QCOMPARE(stats->outliers, makeCpuBackend()->statistics(tensor.view, {})->outliers);
        QCOMPARE(gpu->fallbackCount(), std::size_t{1});
        // Twice as far out it is an outlier beyond doubt, and the device decides.
        for (float& v : values)
            v *= v == 1.0F && &v - values.data() < 20000 ? 2.0F : 1.0F;
        const Tensor clear = stored(DType::BF16, values);
        const auto decided = gpu->statistics(clear.view, {});
        QVERIFY(decided);
        QVERIFY(decided->outliers > 0);
        QCOMPARE(decided->outliers, makeCpuBackend()->statistics(clear.view, {})->outliers);
        QCOMPARE(gpu->fallbackCount(), std::size_t{1});
    }

    /// 134 MB, past lavapipe's binding limit of 128 MiB.
    void goesPastTheBindingLimit()
    {
        const std::vector<float> pattern = normal(1000003, 0.02);
        std::vector<float> values((std::size_t{32} << 20) + 4099);
        for (std::size_t i = 0; i < values.size(); ++i)
            values[i] = pattern[i % pattern.size()];
        const TensorView view{DType::F32, {values.size()}, std::as_bytes(std::span<const float>(values))};
        const auto gpu = m_gpu->statistics(view, {});
        QVERIFY2(gpu, gpu ? "" : gpu.error().detail.c_str());
        const auto cpu = makeCpuBackend()->statistics(view, {});
        QVERIFY(cpu);
        compare(*gpu, *cpu);
    }

    void slicesDoNotChangeTheBits()
    {
        const Tensor tensor = stored(DType::BF16, normal(400009, 0.5));
        const auto whole = m_gpu->statistics(tensor.view, {});
        const auto narrow = validatedBackend({.bindingBytes = 70000});  // two chunks of BF16 a slice
        QVERIFY(whole);
        QVERIFY(narrow);
        const auto cut = narrow->statistics(tensor.view, {});
        QVERIFY2(cut, cut ? "" : cut.error().detail.c_str());
        QCOMPARE(std::memcmp(&cut->mean, &whole->mean, sizeof(double)), 0);
        QCOMPARE(std::memcmp(&cut->m2, &whole->m2, sizeof(double)), 0);
        QCOMPARE(std::memcmp(&cut->m3, &whole->m3, sizeof(double)), 0);
        QCOMPARE(std::memcmp(&cut->m4, &whole->m4, sizeof(double)), 0);
        QCOMPARE(cut->outliers, whole->outliers);
        QCOMPARE(validationMessages(*narrow), QString());
    }

    void emptyTensorHasEmptyStatistics()
    {
        const auto stats = m_gpu->statistics({DType::BF16, {0, 5}, {}}, {});
        QVERIFY(stats);
        QCOMPARE(stats->count, std::uint64_t{0});
        QVERIFY(!stats->firstNonFinite);
    }

    void refusesTypesWithoutKernel()
    {
        const std::vector<std::byte> bytes(34);
        const auto stats = m_gpu->statistics({DType::Q8_0, {32}, bytes}, {});
        QVERIFY(!stats);
        QCOMPARE(stats.error().code, ErrorCode::UnsupportedType);
        QVERIFY(stats.error().detail.find("Q8_0") != std::string::npos);
        QVERIFY(!m_gpu->supports(Op::Statistics, DType::Q8_0));
        QVERIFY(m_gpu->supports(Op::Statistics, DType::BF16));
    }

    void stopsBetweenSlices()
    {
        const Tensor tensor = stored(DType::F32, normal(std::size_t{8} << 20, 1.0));
        std::stop_source source;
        JobContext job{.stop = source.get_token()};
        int reports = 0;
        job.progress = [&](double, std::string_view) {
            ++reports;
            source.request_stop();
        };
        const auto stats = m_gpu->statistics(tensor.view, job);
        QVERIFY(!stats);
        QCOMPARE(stats.error().code, ErrorCode::Cancelled);
        QCOMPARE(reports, 1);
        QVERIFY(m_gpu->statistics(tensor.view, {}));  // and works again
    }

private:
    void agrees()
    {
        QFETCH(DType, type);
        QFETCH(std::vector<float>, values);
        QFETCH(bool, onDevice);
        const Tensor tensor = stored(type, values);
        const std::size_t before = m_gpu->fallbackCount();
        const auto gpu = m_gpu->statistics(tensor.view, {});
        QVERIFY2(gpu, gpu ? "" : gpu.error().detail.c_str());
        const auto cpu = makeCpuBackend()->statistics(tensor.view, {});
        QVERIFY(cpu);
        compare(*gpu, *cpu);
        QCOMPARE(m_gpu->fallbackCount(), before + (onDevice ? 0 : 1));
    }

    std::unique_ptr<ComputeBackend> m_gpu;
};

QTEST_GUILESS_MAIN(VulkanStatistics)
#include "tst_vulkan_statistics.moc"
