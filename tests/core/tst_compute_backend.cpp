// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ComputeBackend.h"
#include "core/base/Random.h"
#include "core/compute/ops/BlockEncode.h"

#include <QTest>

#include <cstring>
#include <vector>

using namespace sigmascope;

namespace {

/// A device that answers what it is told to, and counts how often it was asked.
class FakeDevice final : public ComputeBackend {
public:
    struct Script {
        bool supported = true;
        std::optional<ErrorCode> error;
        int asked = 0;
    };
    explicit FakeDevice(Script& script) : m_script(script) {}

    [[nodiscard]] DeviceInfo device() const override { return {"fake:0", "Fake", "discrete", 1, "1.0", true, ""}; }
    [[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext&) override
    {
        ++m_script.asked;
        if (m_script.error)
            return fail(*m_script.error, "as told");
        TensorStats stats;
        stats.count = view.elements();
        stats.max = -1;  // no CPU would say so
        return stats;
    }
    [[nodiscard]] Status encode(DType, std::span<const float>, std::uint64_t, std::uint64_t, std::span<std::byte> out,
                                const JobContext&) override
    {
        ++m_script.asked;
        if (m_script.error)
            return fail(*m_script.error, "as told");
        std::ranges::fill(out, std::byte{0xEE});
        return {};
    }
    [[nodiscard]] bool supports(Op, DType) const override { return m_script.supported; }
    [[nodiscard]] std::string deviceFor(Op, DType) const override { return "fake:0"; }
    [[nodiscard]] std::vector<std::string> diagnostics() const override { return {"a message"}; }

private:
    Script& m_script;
};

struct Pair {
    FakeDevice::Script script;
    std::unique_ptr<ComputeBackend> backend = makeFallbackBackend(std::make_unique<FakeDevice>(script), makeCpuBackend());
};

const std::vector<float>& weights()
{
    static const std::vector<float> values = [] {
        std::vector<float> drawn(100 * 64);
        fillNormal<float>(8, drawn);
        return drawn;
    }();
    return values;
}

TensorView view()
{
    return {DType::F32, {100, 64}, std::as_bytes(std::span(weights()))};
}

}  // namespace

class TestComputeBackend : public QObject {
    Q_OBJECT

private slots:
    void theCpuNamesItself()
    {
        const DeviceInfo device = makeCpuBackend()->device();
        QCOMPARE(device.id, std::string("cpu"));
        QCOMPARE(device.kind, std::string("cpu"));
        QVERIFY(!device.name.empty());
        QVERIFY(device.memoryBytes > (1U << 20));
        QCOMPARE(device.driver, std::string(simdLevel()));
        QVERIFY(device.usable);
    }

    void theCpuSaysWhatItCan()
    {
        const auto cpu = makeCpuBackend();
        QVERIFY(cpu->supports(Op::Statistics, DType::BF16));
        QVERIFY(cpu->supports(Op::Encode, DType::Q5_1));
        QVERIFY(!cpu->supports(Op::Encode, DType::IQ2_XXS));
        QVERIFY(cpu->supports(Op::Statistics, DType::Q4_K));
        QVERIFY(!cpu->supports(Op::Statistics, DType::Q8_K));
        QCOMPARE(cpu->deviceFor(Op::Encode, DType::Q4_0), std::string("cpu"));
        QVERIFY(cpu->diagnostics().empty());
        QCOMPARE(cpu->fallbackCount(), std::size_t{0});
    }

    void theCpuEncodesAndMeasures()
    {
        const auto cpu = makeCpuBackend();
        std::vector<std::byte> out(200 * 18);
        std::vector<std::byte> expected(200 * 18);
        QVERIFY(cpu->encode(DType::Q4_0, weights(), 100, 64, out, {}).has_value());
        QVERIFY(encodeBlocks(DType::Q4_0, weights(), 100, 64, expected, {}).has_value());
        QCOMPARE(out, expected);
        const auto stats = cpu->statistics(view(), {});
        QVERIFY(stats.has_value());
        QCOMPARE(stats->count, std::uint64_t{6400});
        QVERIFY(std::fabs(stats->stddev() - 1) < 0.05);
    }

    void theFirstDeviceAnswersWhereItCan()
    {
        Pair pair;
        const auto stats = pair.backend->statistics(view(), {});
        QVERIFY(stats.has_value());
        QCOMPARE(stats->max, -1.0);
        QCOMPARE(pair.backend->fallbackCount(), std::size_t{0});
        QCOMPARE(pair.backend->deviceFor(Op::Statistics, DType::F32), std::string("fake:0"));
        QCOMPARE(pair.backend->device().id, std::string("fake:0"));
        QCOMPARE(pair.backend->diagnostics(), std::vector<std::string>{"a message"});
    }

    void whatTheFirstDoesNotSupportRunsOnTheSecondWithoutAsking()
    {
        Pair pair;
        pair.script.supported = false;
        std::vector<std::byte> out(200 * 18);
        QVERIFY(pair.backend->encode(DType::Q4_0, weights(), 100, 64, out, {}).has_value());
        QVERIFY(out[0] != std::byte{0xEE} || out[1] != std::byte{0xEE});
        QCOMPARE(pair.script.asked, 0);
        QCOMPARE(pair.backend->fallbackCount(), std::size_t{1});
        QCOMPARE(pair.backend->deviceFor(Op::Encode, DType::Q4_0), std::string("cpu"));
        QVERIFY(!pair.backend->supports(Op::Encode, DType::Q4_0));
    }

    void outOfMemoryFallsBackButAsksAgain()
    {
        Pair pair;
        pair.script.error = ErrorCode::OutOfMemory;
        for (int i = 1; i <= 2; ++i) {
            const auto stats = pair.backend->statistics(view(), {});
            QVERIFY(stats.has_value());
            QVERIFY(stats->max > 0);
            QCOMPARE(pair.script.asked, i);
            QCOMPARE(pair.backend->fallbackCount(), static_cast<std::size_t>(i));
        }
    }

    void aFailedDeviceIsNotAskedAgain()
    {
        Pair pair;
        pair.script.error = ErrorCode::DeviceFailed;
        QVERIFY(pair.backend->statistics(view(), {}).has_value());
        QCOMPARE(pair.script.asked, 1);
        pair.script.error.reset();
        std::vector<std::byte> out(200 * 18);
        QVERIFY(pair.backend->encode(DType::Q4_0, weights(), 100, 64, out, {}).has_value());
        QCOMPARE(pair.script.asked, 1);
        QCOMPARE(pair.backend->fallbackCount(), std::size_t{2});
        QCOMPARE(pair.backend->deviceFor(Op::Statistics, DType::F32), std::string("cpu"));
        QVERIFY(!pair.backend->device().usable);
        QVERIFY(!pair.backend->device().reason.empty());
    }

    void errorsOfTheDataAreAnswersAndDoNotFallBack()
    {
        for (const ErrorCode code : {ErrorCode::NonFinite, ErrorCode::ScaleOutOfRange, ErrorCode::Cancelled}) {
            Pair pair;
            pair.script.error = code;
            std::vector<std::byte> out(200 * 18);
            const Status status = pair.backend->encode(DType::Q4_0, weights(), 100, 64, out, {});
            QVERIFY(!status);
            QCOMPARE(status.error().code, code);
            QCOMPARE(pair.backend->fallbackCount(), std::size_t{0});
        }
    }

    void anUnsupportedTypeFoundLateFallsBack()
    {
        Pair pair;
        pair.script.error = ErrorCode::UnsupportedType;
        QVERIFY(pair.backend->statistics(view(), {}).has_value());
        QCOMPARE(pair.backend->fallbackCount(), std::size_t{1});
        QCOMPARE(pair.backend->deviceFor(Op::Statistics, DType::F32), std::string("fake:0"));
    }
};

QTEST_APPLESS_MAIN(TestComputeBackend)
#include "tst_compute_backend.moc"
