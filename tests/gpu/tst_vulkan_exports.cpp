// SPDX-License-Identifier: GPL-3.0-or-later
// reliability 101 to 104 of what is written: whatever a device does while it codes, every target gets the bytes that the
// CPU gives alone. (Each op by itself, at every call: tst_vulkan_faults.)

#include "SoftwareDevice.h"
#include "support/ResumeFixture.h"

using namespace sigmascope;
using namespace sigmascope::test;

class VulkanExports : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void initTestCase() { QVERIFY2(softwareDevice() >= 0, "a software Vulkan device (lavapipe) is needed"); }
    void aFailingDeviceChangesNoByte_data() { everyTarget(); }
    void aFailingDeviceChangesNoByte();

private:
    QTemporaryDir m_cache{scratch()};  // kernels are compiled once for all runs
};

void VulkanExports::aFailingDeviceChangesNoByte()
{
    QFETCH(QString, target);
    useTarget(target);
    makeModel();
    const auto undisturbed = run(plan(0));
    QVERIFY2(undisturbed, undisturbed ? "" : undisturbed.error().detail.c_str());
    const auto expected = files();
    const auto device = [&](VulkanLimits limits) {
        limits.cacheFolder = m_cache.path().toStdString();
        m_backend = makeFallbackBackend(validatedBackend(limits), makeCpuBackend());
        return m_backend != nullptr;
    };
    VulkanCounts counts;
    const std::vector<std::pair<const char*, VulkanLimits>> faults{
        {"sound", {.counts = &counts}},
        {"101 suspended or unplugged: lost for good", {.losesDeviceAt = 3, .staysLost = true}},
        {"102 wrong results for good", {.spoilsResultAt = 1, .keepsFailing = true}},
        {"104 others hold the memory", {.failsAllocationAt = 1, .keepsFailing = true}},
    };
    for (const auto& [what, limits] : faults) {
        clear();
        QVERIFY(device(limits));
        bool ranThere = false;
        bool ranHere = false;
        JobContext job;
        job.ran = [&](std::string_view, std::string_view id, std::string_view) {
            ranThere = ranThere || id.starts_with("vulkan");
            ranHere = ranHere || id == "cpu";
        };
        const auto result = run(plan(0), Unfinished::Refuse, job);
        QVERIFY2(result, result ? what : result.error().detail.c_str());
        QVERIFY2(files() == expected, what);
        QCOMPARE(validationMessages(*m_backend), QString());
        if (limits.keepsFailing || limits.staysLost)
            QVERIFY2(ranHere, what);
        else
            QVERIFY2(ranThere, what);
        if (std::string_view(what) == "sound")
            QVERIFY2(counts.submissions > 3, "the faults below would never be met");
    }
}

QTEST_GUILESS_MAIN(VulkanExports)
#include "tst_vulkan_exports.moc"
