// SPDX-License-Identifier: GPL-3.0-or-later
#include "SoftwareDevice.h"

#include "gpu/Buffer.h"
#include "gpu/Device.h"

#include "core/base/Random.h"

#include <QFile>
#include <QScopeGuard>
#include <QTemporaryDir>

#include <algorithm>
#include <optional>
#include <thread>
#include <vector>

using namespace sigmascope;

namespace {

std::vector<float> normal(std::size_t size)
{
    std::vector<float> values(size);
    fillNormal<float>(7, values, 0.02);
    return values;
}

TensorView viewOf(const std::vector<float>& values)
{
    return {DType::F32, {values.size()}, std::as_bytes(std::span<const float>(values))};
}

QByteArray logged(const QString& path)
{
    QFile file(path);
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

/// Hides every driver from the loader for as long as it lives.
class NoDrivers {
public:
    NoDrivers()
    {
        for (const char* name : {"VK_ICD_FILENAMES", "VK_DRIVER_FILES"}) {
            m_before.emplace_back(name, qEnvironmentVariableIsSet(name) ? std::optional(qgetenv(name)) : std::nullopt);
            qputenv(name, "/nonexistent/driver.json");
        }
    }
    ~NoDrivers()
    {
        for (const auto& [name, value] : m_before)
            if (value)
                qputenv(name, *value);
            else
                qunsetenv(name);
    }
    NoDrivers(const NoDrivers&) = delete;
    NoDrivers& operator=(const NoDrivers&) = delete;

private:
    std::vector<std::pair<const char*, std::optional<QByteArray>>> m_before;
};

}  // namespace

class VulkanDevice : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { qputenv("SIGMASCOPE_VK_VALIDATION", "1"); }

    void listsDevicesBestFirst()
    {
        const auto devices = listVulkanDevices();
        QVERIFY2(!devices.empty(), "lavapipe is needed");
        const std::vector<std::string> order{"discrete", "integrated", "virtual", "software"};
        std::ptrdiff_t rank = 0;
        for (std::size_t i = 0; i < devices.size(); ++i) {
            QCOMPARE(devices[i].id, "vulkan:" + std::to_string(i));
            QVERIFY(!devices[i].name.empty());
            QVERIFY(devices[i].memoryBytes > 0);
            const auto kind = std::find(order.begin(), order.end(), devices[i].kind);
            QVERIFY2(kind != order.end(), devices[i].kind.c_str());
            QVERIFY(kind - order.begin() >= rank);
            rank = kind - order.begin();
        }
    }

    void aSoftwareDeviceIsNotChosenByItself()
    {
        const int software = softwareDevice();
        QVERIFY2(software >= 0, "lavapipe is needed");
        const DeviceInfo device = listVulkanDevices()[static_cast<std::size_t>(software)];
        QVERIFY(device.usable);
        QVERIFY2(device.reason.find("software") != std::string::npos, device.reason.c_str());
        const int best = bestVulkanDevice();
        QVERIFY(best != software);
        if (best >= 0)
            QVERIFY(listVulkanDevices()[static_cast<std::size_t>(best)].kind != "software");
    }

    void anUnknownIndexIsUnavailable_data()
    {
        QTest::addColumn<int>("index");
        QTest::newRow("negative") << -1;
        QTest::newRow("beyond") << 99;
    }
    void anUnknownIndexIsUnavailable()
    {
        QFETCH(int, index);
        const auto backend = makeVulkanBackend(index);
        QVERIFY(!backend);
        QCOMPARE(backend.error().code, ErrorCode::DeviceUnavailable);
        QVERIFY2(backend.error().detail.find("vulkan:" + std::to_string(index)) != std::string::npos,
                 backend.error().detail.c_str());
    }

    void withoutDriversNothingIsListedAndTheReasonIsTold()
    {
        const NoDrivers hidden;
        QVERIFY(listVulkanDevices().empty());
        QCOMPARE(bestVulkanDevice(), -1);
        const auto backend = makeVulkanBackend(0);
        QVERIFY(!backend);
        QCOMPARE(backend.error().code, ErrorCode::DeviceUnavailable);
        QVERIFY2(backend.error().detail.find("driver") != std::string::npos, backend.error().detail.c_str());
    }

    /// The zero of the other tests means something: the layer is there, and a mistake arrives.
    void aMistakeIsSeenByTheValidationLayer()
    {
        auto device = gpu::Device::create(softwareDevice(), true, m_faults);
        QVERIFY2(device, device ? "" : device.error().detail.c_str());
        QVERIFY2((*device)->isValidating(), "the validation layer is needed");
        QCOMPARE((*device)->messages().size(), std::size_t{0});
        VkBufferCreateInfo wrong{};
        wrong.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;  // of no size and no use
        VkBuffer buffer = VK_NULL_HANDLE;
        const VolkDeviceTable& api = (*device)->api();
        if (api.vkCreateBuffer((*device)->handle(), &wrong, nullptr, &buffer) == VK_SUCCESS)
            api.vkDestroyBuffer((*device)->handle(), buffer, nullptr);
        QVERIFY((*device)->messages().size() >= 2);
    }

    /// What is still alive when its device goes can only be heard after the backend is gone: from the layer's own log.
    void nothingOutlivesItsDevice()
    {
        QTemporaryDir folder;
        const QString log = folder.filePath(QStringLiteral("layer.log"));
        QFile settings(folder.filePath(QStringLiteral("vk_layer_settings.txt")));
        QVERIFY(settings.open(QIODevice::WriteOnly));
        settings.write("khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG\n"
                       "khronos_validation.report_flags = error,warn,perf\n"
                       "khronos_validation.log_filename = "
                       + log.toUtf8() + "\n");
        settings.close();
        qputenv("VK_LAYER_SETTINGS_PATH", settings.fileName().toUtf8());
        const auto restore = qScopeGuard([] { qunsetenv("VK_LAYER_SETTINGS_PATH"); });

        const auto values = normal(100000);
        std::vector<std::byte> codes(values.size() / 32 * 18);
        auto backend = validatedBackend();
        QVERIFY(backend);
        QVERIFY(backend->statistics(viewOf(values), {}));
        QVERIFY(backend->encode(DType::Q4_0, values, 1, values.size(), codes, {}));
        backend.reset();
        QCOMPARE(logged(log), QByteArray());

        // A buffer that its device does not wait for is heard of, so the silence above means something.
        auto device = gpu::Device::create(softwareDevice(), true, m_faults);
        QVERIFY(device);
        VkBufferCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
        info.size = 64;
        info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
        VkBuffer forgotten = VK_NULL_HANDLE;
        QCOMPARE((*device)->api().vkCreateBuffer((*device)->handle(), &info, nullptr, &forgotten), VK_SUCCESS);
        device->reset();
        QVERIFY2(logged(log).contains("vkDestroyDevice"), logged(log).constData());
    }

    /// reliability 96: a driver that nobody should compute with is named with the reason.
    void aDeniedDriverIsListedWithTheReasonAndNotUsed()
    {
        qputenv("SIGMASCOPE_VK_DENY", "llvmpipe");
        const auto restore = qScopeGuard([] { qunsetenv("SIGMASCOPE_VK_DENY"); });
        const auto devices = listVulkanDevices();
        const auto denied = std::find_if(devices.begin(), devices.end(),
                                         [](const DeviceInfo& device) { return device.kind == "software"; });
        QVERIFY(denied != devices.end());
        QVERIFY(!denied->usable);
        QVERIFY2(denied->reason.find("SIGMASCOPE_VK_DENY") != std::string::npos, denied->reason.c_str());
        const auto backend = makeVulkanBackend(static_cast<int>(denied - devices.begin()));
        QVERIFY(!backend);
        QCOMPARE(backend.error().code, ErrorCode::DeviceUnavailable);
        QVERIFY2(backend.error().detail.find("denied") != std::string::npos, backend.error().detail.c_str());
    }

    void unfinishedDriversAreOnTheDenyList()
    {
        const VkConformanceVersion tested{1, 3, 1, 1};
        QCOMPARE(gpu::denialReason({VK_DRIVER_ID_MESA_LLVMPIPE, "llvmpipe", tested, true}, "any"), std::string());
        QVERIFY(!gpu::denialReason({VK_DRIVER_ID_MESA_DOZEN, "Dozen", tested, true}, "any").empty());
        QVERIFY(!gpu::denialReason({VK_DRIVER_ID_MESA_RADV, "radv", {0, 0, 0, 0}, true}, "any").empty());
        // Drivers of Vulkan 1.1 do not say whether they are conformant.
        QCOMPARE(gpu::denialReason({VkDriverId{}, "", {0, 0, 0, 0}, false}, "any"), std::string());
    }

    void piecesOfOneAllocationDoNotOverlapAndAreJoinedAgain()
    {
        auto device = gpu::Device::create(softwareDevice(), true, m_faults);
        QVERIFY(device);
        {
            gpu::MemoryPool pool(**device);
            std::vector<gpu::Buffer> buffers;
            for (std::size_t i = 0; i < 40; ++i) {
                auto made = pool.create(1 + i * 1237, gpu::MemoryUse::Upload);
                QVERIFY(made);
                std::fill(made->mapped().begin(), made->mapped().end(), std::byte(i));
                buffers.push_back(std::move(*made));
            }
            for (std::size_t i = 0; i < buffers.size(); ++i)
                for (const std::byte value : buffers[i].mapped())
                    QCOMPARE(value, std::byte(i));
            const Bytes allocated = pool.allocated();
            buffers.clear();
            // Whole again: a buffer as large as the allocation fits in it.
            auto whole = pool.create(allocated, gpu::MemoryUse::Upload);
            QVERIFY(whole);
            QCOMPARE(pool.allocated(), allocated);
        }
        QCOMPARE((*device)->messages().size(), std::size_t{0});
    }

    /// reliability 104: what others hold of the memory is as good as not there.
    void littleMemoryMakesSmallSlicesWithTheSameResult()
    {
        const auto values = normal(2000003);
        const auto usual = validatedBackend();
        const auto poor = validatedBackend({.memoryBytes = Bytes{3} << 20});
        QVERIFY(usual && poor);
        const auto expected = usual->statistics(viewOf(values), {});
        const auto found = poor->statistics(viewOf(values), {});
        QVERIFY(expected);
        QVERIFY2(found, found ? "" : found.error().detail.c_str());
        QCOMPARE(found->m4, expected->m4);
        QCOMPARE(found->outliers, expected->outliers);
        QCOMPARE(validationMessages(*poor), QString());
    }

    void noMemoryIsAnErrorAndTheCpuTakesOver()
    {
        const auto values = normal(100000);
        auto broke = validatedBackend({.memoryBytes = 1000});
        QVERIFY(broke);
        const auto stats = broke->statistics(viewOf(values), {});
        QVERIFY(!stats);
        QCOMPARE(stats.error().code, ErrorCode::OutOfMemory);
        QCOMPARE(validationMessages(*broke), QString());
        const auto both = makeFallbackBackend(std::move(broke), makeCpuBackend());
        const auto rescued = both->statistics(viewOf(values), {});
        QVERIFY(rescued);
        QCOMPARE(rescued->m2, makeCpuBackend()->statistics(viewOf(values), {})->m2);
    }

    void twoThreadsTakeTurns()
    {
        const auto values = normal(300000);
        const auto backend = validatedBackend();
        QVERIFY(backend);
        const auto expected = backend->statistics(viewOf(values), {});
        QVERIFY(expected);
        std::vector<double> found(2);
        {
            std::vector<std::jthread> threads;
            for (double& m2 : found)
                threads.emplace_back([&] {
                    const auto stats = backend->statistics(viewOf(values), {});
                    m2 = stats ? stats->m2 : -1;
                });
        }
        QCOMPARE(found[0], expected->m2);
        QCOMPARE(found[1], expected->m2);
        QCOMPARE(validationMessages(*backend), QString());
    }

private:
    gpu::Faults m_faults{VulkanLimits{}};
};

QTEST_GUILESS_MAIN(VulkanDevice)
#include "tst_vulkan_device.moc"
