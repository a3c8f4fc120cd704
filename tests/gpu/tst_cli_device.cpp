// SPDX-License-Identifier: GPL-3.0-or-later
// The built program on a Vulkan device: named in every result, and the file is the CPU's to the byte.

#include "SoftwareDevice.h"

#include "cli/CliRun.h"

#include <QFile>
#include <QTemporaryDir>
#include <QtTest>

using namespace sigmascope::test;

class CliDevice : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_software = softwareDevice();
        QVERIFY2(m_software >= 0, "a software Vulkan device (lavapipe) is needed");
        QVERIFY(m_folder.isValid());
    }

    void quantizeNamesTheDeviceAndWritesTheCpusBytes()
    {
        const QString id = QStringLiteral("vulkan:%1").arg(m_software);
        const CliRun gpu = quantizeOn(id);
        QVERIFY2(!gpu.crashed && gpu.exitCode == 0, gpu.err.constData());
        QVERIFY2(!gpu.err.contains("alidation"), gpu.err.constData());
        const CliRun cpu = quantizeOn(QStringLiteral("cpu"));
        QVERIFY2(!cpu.crashed && cpu.exitCode == 0, cpu.err.constData());

        QCOMPARE(devicesOf(cpu), QStringList{QStringLiteral("cpu")});
        QCOMPARE(devicesOf(gpu), QStringList{id});
        const QByteArray expected = bytesOf(QStringLiteral("cpu"));
        QVERIFY(!expected.isEmpty());
        QVERIFY2(bytesOf(id) == expected, "the file differs from the CPU's");
    }

    /// Encode, residual sketch and Gram of every layer: one that ran elsewhere would be named.
    void everyLayerIsCorrectedOnTheDevice()
    {
        const QString id = QStringLiteral("vulkan:%1").arg(m_software);
        QFile recipe(m_folder.filePath(QStringLiteral("recipe.json")));
        QVERIFY(recipe.open(QIODevice::WriteOnly));
        recipe.write(R"({"schema":1,"target":"gguf","default":{"preset":"l2qer-w4","rank":2}})");
        recipe.close();
        const CliRun run
            = cli({QStringLiteral("quantize"), sampleFolder(), QStringLiteral("--recipe"), recipe.fileName(),
                   QStringLiteral("--calibration"), sampleImatrix(), QStringLiteral("--to"), QStringLiteral("gguf"),
                   QStringLiteral("-o"), pathFor(QStringLiteral("corrected")), QStringLiteral("--device"), id,
                   QStringLiteral("--json")},
                  {{QStringLiteral("SIGMASCOPE_VK_VALIDATION"), QStringLiteral("1")}});
        QVERIFY2(!run.crashed && run.exitCode == 0, run.err.constData());
        QVERIFY2(!run.err.contains("alidation"), run.err.constData());
        QCOMPARE(devicesOf(run), QStringList{id});
        int corrected = 0;
        for (const QJsonValue& tensor : run.json()[u"tensors"].toArray()) {
            const QJsonObject object = tensor.toObject();
            if (object[u"rank"].toInt() == 0)
                continue;
            ++corrected;
            QVERIFY2(object[u"fallback"].isNull(), qPrintable(object[u"fallback"].toString()));
            QCOMPARE(object[u"device"].toString(), id);
        }
        QVERIFY(corrected >= 28);
    }

    /// Encode of every type of super-blocks, residual sketch and Gram: no op of a layer may fall back, and the codes
    /// are the CPU's.
    void superBlocksAreCodedAndCorrectedOnTheDevice_data()
    {
        QTest::addColumn<QString>("solver");
        QTest::newRow("nearest") << QStringLiteral("nearest");
        QTest::newRow("by importances") << QStringLiteral("imatrix");
    }
    void superBlocksAreCodedAndCorrectedOnTheDevice()
    {
        QFETCH(QString, solver);
        const QString id = QStringLiteral("vulkan:%1").arg(m_software);
        QFile recipe(m_folder.filePath(QStringLiteral("supers.json")));
        QVERIFY(recipe.open(QIODevice::WriteOnly | QIODevice::Truncate));
        recipe.write(QStringLiteral(R"({"schema":1,"target":"gguf",
            "default":{"grid":"q4_k","rank":1,"solver":"%1","metric":"rms"},
            "rules":[{"match":"q_proj","grid":"q6_k"},{"match":"k_proj","grid":"q3_k"},{"match":"v_proj","grid":"q2_k"},
                     {"match":"o_proj","grid":"iq4_xs"},{"match":"up_proj","grid":"q5_k"},
                     {"match":"layers\\.[1-3]\\.","skip":true}]})")
                         .arg(solver)
                         .toUtf8());
        recipe.close();
        const auto run = [&](const QString& device) {
            return cli({QStringLiteral("quantize"), sampleFolder(), QStringLiteral("--recipe"), recipe.fileName(),
                        QStringLiteral("--calibration"), sampleImatrix(), QStringLiteral("--to"),
                        QStringLiteral("gguf"), QStringLiteral("-o"), pathFor(device), QStringLiteral("--device"),
                        device, QStringLiteral("--overwrite"), QStringLiteral("--json")},
                       {{QStringLiteral("SIGMASCOPE_VK_VALIDATION"), QStringLiteral("1")}});
        };
        const CliRun gpu = run(id);
        QVERIFY2(!gpu.crashed && gpu.exitCode == 0, gpu.err.constData());
        QVERIFY2(!gpu.err.contains("alidation"), gpu.err.constData());
        QStringList grids;
        for (const QJsonValue& tensor : gpu.json()[u"tensors"].toArray()) {
            const QJsonObject object = tensor.toObject();
            if (object[u"rank"].toInt() == 0)
                continue;
            QVERIFY2(object[u"fallback"].isNull(), qPrintable(object[u"fallback"].toString()));
            QCOMPARE(object[u"device"].toString(), id);
            if (!grids.contains(object[u"grid"].toString()))
                grids.append(object[u"grid"].toString());
        }
        QCOMPARE(grids.size(), 6);
        const CliRun cpu = run(QStringLiteral("cpu"));
        QVERIFY2(!cpu.crashed && cpu.exitCode == 0, cpu.err.constData());
        QVERIFY(!bytesOf(id).isEmpty());
        QVERIFY2(bytesOf(id) == bytesOf(QStringLiteral("cpu")), "the model differs from the CPU's");
    }

    void aSoftwareDeviceIsTakenOnlyWhenAskedFor()
    {
        const auto automatic = quantizeOn(QStringLiteral("auto"));
        QVERIFY2(automatic.exitCode == 0, automatic.err.constData());
        const int best = sigmascope::bestVulkanDevice();
        QCOMPARE(devicesOf(automatic),
                 QStringList{best < 0 ? QStringLiteral("cpu") : QStringLiteral("vulkan:%1").arg(best)});
    }

    void withoutAGpuTheCpuWorksAndSaysWhy_data()
    {
        QTest::addColumn<QString>("variable");
        QTest::addColumn<QString>("value");
        QTest::addColumn<QString>("reason");
        // Not a library: the loader is found and cannot be opened.
        for (const char* name : {"libvulkan.so.1", "libvulkan.so"}) {
            QFile library(m_folder.filePath(QLatin1String(name)));
            QVERIFY(library.open(QIODevice::WriteOnly));
        }
        QTest::newRow("no loader") << "LD_LIBRARY_PATH" << m_folder.path() << "no Vulkan loader";
        QTest::newRow("no driver") << "VK_ICD_FILENAMES" << "/nonexistent/driver.json" << "no Vulkan driver";
        QTest::newRow("driver denied") << "SIGMASCOPE_VK_DENY" << "llvmpipe" << "denied by SIGMASCOPE_VK_DENY=llvmpipe";
    }

    /// reliability 96.
    void withoutAGpuTheCpuWorksAndSaysWhy()
    {
        QFETCH(QString, variable);
        QFETCH(QString, value);
        QFETCH(QString, reason);
        if (sigmascope::bestVulkanDevice() >= 0 && variable == QLatin1String("SIGMASCOPE_VK_DENY"))
            value = QStringLiteral("a");  // in every name there is
        std::map<QString, QString> environment{{variable, value}};
        if (variable == QLatin1String("VK_ICD_FILENAMES"))
            environment.emplace(QStringLiteral("VK_DRIVER_FILES"), value);  // its newer name
        const CliRun list = cli({QStringLiteral("devices"), QStringLiteral("--json")}, environment);
        QCOMPARE(list.exitCode, 0);
        const QJsonArray devices = list.json()[u"devices"].toArray();
        QVERIFY(!devices.isEmpty());
        QVERIFY2(list.out.contains(reason.left(16).toUtf8()), list.out.constData());
        for (const QJsonValue& device : devices) {
            const bool isCpu = device.toObject()[u"id"].toString() == QLatin1String("cpu");
            QCOMPARE(device.toObject()[u"usable"].toBool(), isCpu);
        }
        const auto quantized = [&](const char* device) {
            return cli({QStringLiteral("quantize"), sampleFolder(), QStringLiteral("--preset"),
                        QStringLiteral("rtn-w4"), QStringLiteral("--to"), QStringLiteral("gguf"),
                        QStringLiteral("-o"), pathFor(QStringLiteral("without")), QStringLiteral("--device"), QLatin1String(device),
                        QStringLiteral("--overwrite"), QStringLiteral("--json")},
                       environment);
        };
        const CliRun automatic = quantized("auto");
        QVERIFY2(automatic.exitCode == 0, automatic.err.constData());
        QCOMPARE(devicesOf(automatic), QStringList{QStringLiteral("cpu")});
        // Asked for by name, it is an error that says why.
        const CliRun named = quantized("vulkan");
        QCOMPARE(named.exitCode, 1);
        QVERIFY2(named.err.contains(reason.left(16).toUtf8()), named.err.constData());
    }

    void devicesListsItWithTheReason()
    {
        const CliRun run = cli({QStringLiteral("devices"), QStringLiteral("--json")});
        QCOMPARE(run.exitCode, 0);
        const QString id = QStringLiteral("vulkan:%1").arg(m_software);
        for (const QJsonValue& device : run.json()[u"devices"].toArray()) {
            if (device.toObject()[u"id"].toString() != id)
                continue;
            QCOMPARE(device.toObject()[u"kind"].toString(), QStringLiteral("software"));
            QVERIFY(device.toObject()[u"reason"].toString().contains(QStringLiteral("software")));
            return;
        }
        QFAIL("the device is not listed");
    }

private:
    [[nodiscard]] QString pathFor(const QString& device) const
    {
        return m_folder.filePath(QString(device).replace(QLatin1Char(':'), QLatin1Char('-')) + QStringLiteral(".gguf"));
    }
    [[nodiscard]] CliRun quantizeOn(const QString& device) const
    {
        return cli({QStringLiteral("quantize"), sampleFolder(), QStringLiteral("--preset"), QStringLiteral("rtn-w4"),
                    QStringLiteral("--to"), QStringLiteral("gguf"), QStringLiteral("-o"), pathFor(device),
                    QStringLiteral("--device"), device, QStringLiteral("--json")},
                   {{QStringLiteral("SIGMASCOPE_VK_VALIDATION"), QStringLiteral("1")}});
    }
    [[nodiscard]] QByteArray bytesOf(const QString& device) const
    {
        QFile file(pathFor(device));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
    /// The distinct devices that quantized a tensor.
    static QStringList devicesOf(const CliRun& run)
    {
        QStringList devices;
        for (const QJsonValue& tensor : run.json()[u"tensors"].toArray()) {
            const QString device = tensor.toObject()[u"device"].toString();
            if (!device.isEmpty() && !devices.contains(device))
                devices.append(device);
        }
        return devices;
    }

    QTemporaryDir m_folder;
    int m_software = -1;
};

QTEST_GUILESS_MAIN(CliDevice)
#include "tst_cli_device.moc"
