// SPDX-License-Identifier: GPL-3.0-or-later
// Which device works, and what is asked of one.

#include "SoftwareDevice.h"

#include "gpu/DeviceChoice.h"
#include "gpu/Instance.h"
#include "gpu/KernelTable.h"

#include <QFile>
#include <QScopeGuard>
#include <QTemporaryDir>

#include <set>
#include <vector>

using namespace sigmascope;

namespace {

DeviceInfo deviceOf(const char* kind, const char* name, Bytes memory, bool usable = true)
{
    DeviceInfo device;
    device.kind = kind;
    device.name = name;
    device.memoryBytes = memory;
    device.driver = "Vulkan 1.3, test 1";
    device.usable = usable;
    return device;
}

}  // namespace

class VulkanChoice : public QObject {
    Q_OBJECT

private slots:
    /// reliability 103: the first of two is tiny.
    void ofSeveralGpusOfOneKindTheFastestIsTaken()
    {
        const std::vector<DeviceInfo> two{deviceOf("discrete", "tiny", Bytes{8} << 30),
                                          deviceOf("discrete", "strong", Bytes{8} << 30)};
        const std::vector<double> speeds{10, 300};
        QCOMPARE(chooseDevice(two, [&](std::size_t i) { return std::optional(speeds[i]); }), 1);
        // One that cannot do the work is not taken, and neither is nothing when none could.
        QCOMPARE(chooseDevice(two, [](std::size_t i) { return i == 0 ? std::optional(1.0) : std::nullopt; }), 0);
        QCOMPARE(chooseDevice(two, [](std::size_t) { return std::optional<double>(); }), 0);
    }

    void theKindDecidesFirstAndOneAloneIsNotMeasured()
    {
        int asked = 0;
        const auto speed = [&](std::size_t) {
            ++asked;
            return std::optional(1.0);
        };
        const auto choose = [&](std::vector<DeviceInfo> devices) { return chooseDevice(devices, speed); };
        QCOMPARE(choose({deviceOf("discrete", "a", 1), deviceOf("integrated", "b", 2)}), 0);
        QCOMPARE(choose({deviceOf("discrete", "denied", 1, false), deviceOf("integrated", "b", 2)}), 1);
        QCOMPARE(choose({deviceOf("software", "a", 1)}), -1);
        QCOMPARE(choose({deviceOf("discrete", "denied", 1, false)}), -1);
        QCOMPARE(choose({}), -1);
        QCOMPARE(asked, 0);
    }

    /// reliability 103: remembered, by device and driver; 92: a damaged file is as good as none.
    void speedsAreRememberedByDeviceAndDriver()
    {
        QTemporaryDir folder;
        const std::filesystem::path file = std::filesystem::path(folder.path().toStdString()) / "new" / "device-speeds";
        const DeviceInfo device = deviceOf("discrete", "odd\nname", 7);
        DeviceInfo newer = device;
        newer.driver = "Vulkan 1.3, test 2";
        {
            DeviceSpeeds speeds(file);
            QVERIFY(!speeds.of(device));
            speeds.remember(device, 123.456);
            speeds.remember(newer, 0.1);
        }
        QCOMPARE(DeviceSpeeds(file).of(device), std::optional(123.456));
        QCOMPARE(DeviceSpeeds(file).of(newer), std::optional(0.1));
        DeviceInfo other = device;
        other.memoryBytes = 8;
        QVERIFY(!DeviceSpeeds(file).of(other));

        QFile damaged(QString::fromStdString(file.string()));
        QVERIFY(damaged.open(QIODevice::ReadOnly));
        const QByteArray whole = damaged.readAll();
        damaged.close();
        const auto rewritten = [&](const QByteArray& bytes) {
            damaged.open(QIODevice::WriteOnly | QIODevice::Truncate);
            damaged.write(bytes);
            damaged.close();
            return DeviceSpeeds(file).of(device);
        };
        for (const char* number : {"-5", "nan", "inf", "0", "1e999", "x", ""})
            QVERIFY2(!rewritten(QByteArray(whole).replace("123.456", number)), number);
        QVERIFY(!rewritten("another program's\n" + whole));
        QVERIFY(!rewritten(QByteArray(1 << 20, 'x')));
        QVERIFY(!rewritten(whole.left(40)));
        QCOMPARE(rewritten(whole), std::optional(123.456));
        // Where nothing can be kept it is known until the program ends.
        DeviceSpeeds nowhere("/proc/sigmascope/speeds");
        nowhere.remember(device, 2);
        QCOMPARE(nowhere.of(device), std::optional(2.0));
    }

    void aDeviceIsMeasuredByWork()
    {
        const auto speed = measureVulkanDevice(softwareDevice());
        QVERIFY(speed && *speed > 0);
        QVERIFY(!measureVulkanDevice(99));
    }

    /// reliability 103: the user can pin either; a second driver makes a second device.
    void eitherOfTwoDevicesCanBePinned()
    {
        const QString driver = QStringLiteral("/usr/share/vulkan/icd.d/lvp_icd.x86_64.json");
        QVERIFY2(QFile::exists(driver), "lavapipe's driver file is needed");
        QTemporaryDir folder;
        const QString twin = folder.filePath(QStringLiteral("twin_icd.json"));
        QVERIFY(QFile::copy(driver, twin));
        const QByteArray both = driver.toUtf8() + ':' + twin.toUtf8();
        qputenv("VK_ICD_FILENAMES", both);
        qputenv("VK_DRIVER_FILES", both);
        const auto restore = qScopeGuard([] {
            qunsetenv("VK_ICD_FILENAMES");
            qunsetenv("VK_DRIVER_FILES");
        });
        const auto devices = listVulkanDevices();
        QCOMPARE(devices.size(), std::size_t{2});
        for (int i = 0; i < 2; ++i) {
            const auto backend = makeVulkanBackend(i, {.cacheFolder = std::filesystem::path()});
            QVERIFY2(backend, backend ? "" : backend.error().detail.c_str());
            QCOMPARE((*backend)->device().id, "vulkan:" + std::to_string(i));
        }
    }

    /// reliability 96: what a device lacks is named; nothing else is asked of it.
    void devicesWithoutNeededFeaturesSayWhat()
    {
        QCOMPARE(gpu::missingFeature(VK_API_VERSION_1_0, true), std::string("needs Vulkan 1.1"));
        QCOMPARE(gpu::missingFeature(VK_API_VERSION_1_1, false), std::string("has no compute queue"));
        QCOMPARE(gpu::missingFeature(VK_API_VERSION_1_1, true), std::string());
    }

    /// reliability 102: no kernel asks for cooperative matrices, so none of their slow or wrong implementations is met.
    /// One that does needs a self-test of speed and accuracy at its first use, kept by driver, before this list grows.
    void kernelsAskForNoCooperativeMatrices()
    {
        constexpr std::uint32_t kCapability = 17;  // OpCapability
        constexpr std::uint32_t kShader = 1;
        for (const gpu::KernelRow& row : gpu::kernelTable()) {
            QVERIFY(row.spirv.size() > 5 && row.spirv[0] == 0x07230203);
            std::set<std::uint32_t> capabilities;
            for (std::size_t at = 5; at < row.spirv.size() && (row.spirv[at] & 0xFFFF) == kCapability;
                 at += row.spirv[at] >> 16)
                capabilities.insert(row.spirv[at + 1]);
            QVERIFY2(capabilities.contains(kShader), row.name.data());
            for (const std::uint32_t matrix : {5357U, 6022U, 5430U})  // CooperativeMatrix: NV, KHR, NV's reductions
                QVERIFY2(!capabilities.contains(matrix), row.name.data());
        }
    }
};

QTEST_GUILESS_MAIN(VulkanChoice)
#include "tst_vulkan_choice.moc"
