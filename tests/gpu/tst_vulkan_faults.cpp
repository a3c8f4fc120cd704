// SPDX-License-Identifier: GPL-3.0-or-later
// What can go wrong on a device, made to go wrong: the answer is right all the same, and says who gave it.

#include "SoftwareDevice.h"

#include "core/base/Random.h"
#include "core/compute/DeviceLog.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

#include <algorithm>
#include <vector>

using namespace sigmascope;

namespace {

/// One piece of work with every kind of buffer: encode, sketch both ways, Gram.
struct Work {
    std::vector<float> weights;
    std::vector<std::byte> codes;
    std::vector<float> sketch;
    std::vector<double> gram;
    DeviceLog log;
    std::string error;

    static constexpr std::uint64_t kRows = 96;
    static constexpr std::uint64_t kCols = 128;
    static constexpr std::uint64_t kVectors = 4;

    Work()
        : weights(kRows * kCols)
        , sketch(kVectors * kCols)
        , gram(kVectors * kVectors)
    {
        fillNormal<float>(3, weights, 0.02);
    }
    void run(ComputeBackend& backend)
    {
        const JobContext job = log.listening({});
        const CodeFormat format{.groups = {4, 32, false}};
        codes.assign(kRows * format.rowBytes(kCols), std::byte{0});
        const auto sums = backend.encodeMeasured(format, weights, kRows, kCols, {}, codes, job);
        if (!sums)
            return failed(sums.error());
        const auto products = backend.products({weights, kRows, kCols, format, codes}, job);
        if (!products)
            return failed(products.error());
        std::vector<float> panel(kVectors * kRows);
        fillNormal<float>(4, panel);
        if (const Status done = (*products)->timesRows(panel, kVectors, sketch, job); !done)
            return failed(done.error());
        if (const Status done = (*products)->gram({sketch, kVectors, sketch, kVectors, kCols}, gram, job); !done)
            return failed(done.error());
    }
    void failed(const Error& e) { error = e.detail; }
};

/// Equal where the codes are concerned, close where products are: the CPU sums in another order.
bool agree(const Work& a, const Work& b)
{
    if (a.codes != b.codes)
        return false;
    for (std::size_t i = 0; i < a.sketch.size(); ++i)
        if (std::abs(a.sketch[i] - b.sketch[i]) > 1e-5F)
            return false;
    for (std::size_t i = 0; i < a.gram.size(); ++i)
        if (std::abs(a.gram[i] - b.gram[i]) > 1e-5 * std::abs(a.gram[0]))
            return false;
    return true;
}

}  // namespace

class VulkanFaults : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        QVERIFY(m_cache.isValid());
        auto gpu = validatedBackend({.cacheFolder = cache(), .counts = &m_counts});
        QVERIFY2(gpu, "a software Vulkan device (lavapipe) is needed");
        m_id = QString::fromStdString(gpu->device().id);
        m_expected.run(*gpu);
        QCOMPARE(m_expected.error, std::string());
        QCOMPARE(QString::fromStdString(m_expected.log.summary()), m_id);
        qInfo("%s", qPrintable(QStringLiteral("%1 allocations, %2 submissions, %3 dispatches")
                                   .arg(m_counts.allocations).arg(m_counts.submissions).arg(m_counts.dispatches)));
    }

    /// reliability 97: memory that fails at any one allocation makes smaller slices; memory that stays away makes the
    /// CPU do it. reliability 104: so does memory that others hold.
    void everyAllocationMayFail_data() { onceOrForGood(); }
    void everyAllocationMayFail()
    {
        QFETCH(bool, forGood);
        QVERIFY(m_counts.allocations > 0);
        for (quint64 at = 1; at <= m_counts.allocations; at += forGood ? halfOf(m_counts.allocations) : 1) {
            runAndCompare({.failsAllocationAt = at, .keepsFailing = forGood}, at);
            if (QTest::currentTestFailed())
                return;
            if (!forGood)
                QCOMPARE(m_summary, m_id);
            if (forGood && at == 1) {
                QCOMPARE(m_summary, QStringLiteral("cpu"));
                QVERIFY2(m_reasons.contains(QStringLiteral("out of memory")), qPrintable(m_reasons));
            }
        }
    }

    /// reliability 98: a device that is lost once is opened again and goes on; lost again, the CPU takes the rest.
    /// reliability 101: what a suspended laptop, an unplugged device or another console do arrives as such a loss.
    void everySubmissionMayLoseTheDevice_data() { onceOrForGood(); }
    void everySubmissionMayLoseTheDevice()
    {
        QFETCH(bool, forGood);
        QVERIFY(m_counts.submissions > 3);
        for (quint64 at = 1; at <= m_counts.submissions; at += forGood ? halfOf(m_counts.submissions) : 1) {
            runAndCompare({.losesDeviceAt = at, .staysLost = forGood}, at);
            if (QTest::currentTestFailed())
                return;
            if (!forGood) {
                QCOMPARE(m_summary, m_id);
            } else {
                QVERIFY2(m_summary.contains(QStringLiteral("cpu")), qPrintable(m_summary));
                QVERIFY2(m_reasons.contains(QStringLiteral("lost")), qPrintable(m_reasons));
            }
        }
    }

    void aDeviceLostTwiceAnswersNoMore()
    {
        const auto backend = validatedBackend({.losesDeviceAt = 2, .staysLost = true});
        QVERIFY(backend);
        Work work;
        work.run(*backend);
        QVERIFY2(work.error.find("lost") != std::string::npos, work.error.c_str());
        work.error.clear();
        work.run(*backend);
        QVERIFY2(work.error.find("not used any more") != std::string::npos, work.error.c_str());
        QCOMPARE(validationMessages(*backend), QString());
    }

    /// reliability 99: a driver that resets itself without a word leaves a slice unwritten.
    void everyDispatchMayBeSwallowed_data() { onceOrForGood(); }
    void everyDispatchMayBeSwallowed()
    {
        QFETCH(bool, forGood);
        QVERIFY(m_counts.dispatches > 3);
        for (quint64 at = 1; at <= m_counts.dispatches; at += forGood ? halfOf(m_counts.dispatches) : 1) {
            runAndCompare({.skipsDispatchAt = at, .keepsFailing = forGood}, at);
            if (QTest::currentTestFailed())
                return;
            if (!forGood) {
                QCOMPARE(m_summary, m_id);
            } else {
                QVERIFY2(m_summary.contains(QStringLiteral("cpu")), qPrintable(m_summary));
                QVERIFY2(m_reasons.contains(QStringLiteral(" of ")), qPrintable(m_reasons));
            }
        }
    }

    /// reliability 100: wrong values are noticed where the CPU looks.
    void wrongValuesAreNoticed_data()
    {
        QTest::addColumn<bool>("forGood");
        QTest::newRow("once") << false;
        QTest::newRow("always") << true;
    }
    void wrongValuesAreNoticed()
    {
        QFETCH(bool, forGood);
        runAndCompare({.spoilsResultAt = 1, .keepsFailing = forGood});
        QCOMPARE(m_summary, forGood ? QStringLiteral("cpu") : m_id);
        if (forGood)
            QVERIFY2(m_reasons.contains(QStringLiteral("wrong result")), qPrintable(m_reasons));
    }

    void compiledPipelinesAreKept()
    {
        QTemporaryDir folder;
        const std::filesystem::path path(folder.path().toStdString());
        for (int run = 0; run < 2; ++run) {
            const auto backend = validatedBackend({.cacheFolder = path});
            QVERIFY(backend);
            Work work;
            work.run(*backend);
            QCOMPARE(work.error, std::string());
            QCOMPARE(validationMessages(*backend), QString());
        }
        QCOMPARE(QDir(folder.path()).entryList(QDir::Files).size(), 1);
    }

    void aDamagedOrForeignCacheIsIgnored_data()
    {
        QTest::addColumn<int>("damage");
        QTest::newRow("cut short") << 0;
        QTest::newRow("a byte flipped") << 1;
        QTest::newRow("another device's") << 2;
        QTest::newRow("empty") << 3;
        QTest::newRow("a folder in its place") << 4;
    }
    void aDamagedOrForeignCacheIsIgnored()
    {
        QFETCH(int, damage);
        QTemporaryDir folder;
        const std::filesystem::path path(folder.path().toStdString());
        {
            Work work;
            work.run(*validatedBackend({.cacheFolder = path}));
        }
        const QStringList files = QDir(folder.path()).entryList(QDir::Files);
        QCOMPARE(files.size(), 1);
        QFile file(folder.filePath(files.front()));
        QVERIFY(file.open(QIODevice::ReadWrite));
        QByteArray bytes = file.readAll();
        QVERIFY(bytes.size() >= 64);  // our header and the driver's
        if (damage == 0)
            bytes.chop(7);
        if (damage == 1)
            bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        if (damage == 2)
            bytes[8] = static_cast<char>(bytes[8] ^ 1);
        if (damage == 3)
            bytes.clear();
        file.resize(0);
        file.seek(0);
        file.write(bytes);
        file.close();
        if (damage == 4) {
            QVERIFY(file.remove());
            QVERIFY(QDir(folder.path()).mkdir(files.front()));
        }
        const auto backend = validatedBackend({.cacheFolder = path});
        QVERIFY(backend);
        Work work;
        work.run(*backend);
        QCOMPARE(work.error, std::string());
        QVERIFY(agree(work, m_expected));
        QCOMPARE(validationMessages(*backend), QString());
    }

private:
    static void onceOrForGood()
    {
        QTest::addColumn<bool>("forGood");
        QTest::newRow("once") << false;
        QTest::newRow("and all after it") << true;
    }
    /// What stays broken is the same from there on: a few beginnings show it.
    static quint64 halfOf(quint64 count) { return std::max<quint64>(1, count / 2); }
    /// Kernels are compiled once for all runs.
    [[nodiscard]] std::filesystem::path cache() const { return m_cache.path().toStdString(); }

    void runAndCompare(VulkanLimits limits, quint64 at = 1)
    {
        limits.cacheFolder = cache();
        const auto both = makeFallbackBackend(validatedBackend(limits), makeCpuBackend());
        Work work;
        work.run(*both);
        m_summary = QString::fromStdString(work.log.summary());
        m_reasons = QString::fromStdString(work.log.reasons());
        QCOMPARE(work.error, std::string());
        QVERIFY2(agree(work, m_expected), qPrintable(QStringLiteral("fault at %1").arg(at)));
        QCOMPARE(validationMessages(*both), QString());
    }

    QTemporaryDir m_cache;
    VulkanCounts m_counts;  // of an undisturbed run
    QString m_id;
    QString m_summary;
    QString m_reasons;
    Work m_expected;
};

QTEST_GUILESS_MAIN(VulkanFaults)
#include "tst_vulkan_faults.moc"
