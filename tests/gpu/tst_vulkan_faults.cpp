// SPDX-License-Identifier: GPL-3.0-or-later
// What can go wrong on a device, made to go wrong: the answer is right all the same, and says who gave it.

#include "SoftwareDevice.h"

#include "core/base/Random.h"
#include "core/compute/DeviceLog.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>

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
        auto gpu = validatedBackend();
        QVERIFY2(gpu, "a software Vulkan device (lavapipe) is needed");
        m_id = QString::fromStdString(gpu->device().id);
        m_expected.run(*gpu);
        QCOMPARE(m_expected.error, std::string());
        QCOMPARE(QString::fromStdString(m_expected.log.summary()), m_id);
    }

    /// Item 97: memory that fails at any one allocation makes smaller slices; memory that stays away makes the CPU
    /// do it.
    void everyAllocationMayFail_data()
    {
        QTest::addColumn<quint64>("at");
        QTest::addColumn<bool>("forGood");
        for (const quint64 at : {1U, 2U, 4U})
            for (const bool forGood : {false, true})
                QTest::addRow("allocation %d%s", int(at), forGood ? " and all after it" : "") << at << forGood;
    }
    void everyAllocationMayFail()
    {
        QFETCH(quint64, at);
        QFETCH(bool, forGood);
        runAndCompare({.failsAllocationAt = at, .keepsFailing = forGood});
        if (!forGood)
            QCOMPARE(m_summary, m_id);
        if (forGood && at == 1) {
            QCOMPARE(m_summary, QStringLiteral("cpu"));
            QVERIFY2(m_reasons.contains(QStringLiteral("out of memory")), qPrintable(m_reasons));
        }
    }

    /// Item 98: a device that is lost once is opened again and goes on; lost again, the CPU takes the rest.
    void everySubmissionMayLoseTheDevice_data()
    {
        QTest::addColumn<quint64>("at");
        QTest::addColumn<bool>("forGood");
        for (const quint64 at : {1U, 3U, 5U})
            for (const bool forGood : {false, true})
                QTest::addRow("submission %d%s", int(at), forGood ? " and all after it" : "") << at << forGood;
    }
    void everySubmissionMayLoseTheDevice()
    {
        QFETCH(quint64, at);
        QFETCH(bool, forGood);
        runAndCompare({.losesDeviceAt = at, .staysLost = forGood});
        if (!forGood) {
            QCOMPARE(m_summary, m_id);
        } else {
            QVERIFY2(m_summary.contains(QStringLiteral("cpu")), qPrintable(m_summary));
            QVERIFY2(m_reasons.contains(QStringLiteral("lost")), qPrintable(m_reasons));
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

    /// Item 99: a driver that resets itself without a word leaves a slice unwritten.
    void everyDispatchMayBeSwallowed_data()
    {
        QTest::addColumn<quint64>("at");
        QTest::addColumn<bool>("forGood");
        for (const quint64 at : {1U, 3U, 5U})  // scales, error sums, Gram
            for (const bool forGood : {false, true})
                QTest::addRow("dispatch %d%s", int(at), forGood ? " and all after it" : "") << at << forGood;
    }
    void everyDispatchMayBeSwallowed()
    {
        QFETCH(quint64, at);
        QFETCH(bool, forGood);
        runAndCompare({.skipsDispatchAt = at, .keepsFailing = forGood});
        if (!forGood) {
            QCOMPARE(m_summary, m_id);
        } else {
            QVERIFY2(m_summary.contains(QStringLiteral("cpu")), qPrintable(m_summary));
            QVERIFY2(m_reasons.contains(QStringLiteral(" of ")), qPrintable(m_reasons));
        }
    }

    /// Item 100: wrong values are noticed where the CPU looks.
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
    void runAndCompare(const VulkanLimits& limits)
    {
        const auto both = makeFallbackBackend(validatedBackend(limits), makeCpuBackend());
        Work work;
        work.run(*both);
        m_summary = QString::fromStdString(work.log.summary());
        m_reasons = QString::fromStdString(work.log.reasons());
        QCOMPARE(work.error, std::string());
        QVERIFY(agree(work, m_expected));
        QCOMPARE(validationMessages(*both), QString());
    }

    QString m_id;
    QString m_summary;
    QString m_reasons;
    Work m_expected;
};

QTEST_GUILESS_MAIN(VulkanFaults)
#include "tst_vulkan_faults.moc"
