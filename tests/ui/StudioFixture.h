// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/ComputeBackend.h"
#include "ui/MainWindow.h"
#include "ui/Theme.h"
#include "ui/session/Session.h"

#include <QApplication>
#include <QDir>
#include <QSettings>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include <memory>

namespace sigmascope::test {

inline QString sampleFolder()
{
    return QStringLiteral(SIGMASCOPE_SOURCE_DIR "/resources/sample");
}

/// Settings of a test never meet the user's.
inline void isolateSettings(const QTemporaryDir& folder)
{
    QStandardPaths::setTestModeEnabled(true);
    QSettings::setPath(QSettings::NativeFormat, QSettings::UserScope, folder.path());
    QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, folder.path());
    QCoreApplication::setOrganizationName(QStringLiteral("sigmascope-test"));
    QCoreApplication::setApplicationName(QStringLiteral("sigmascope-test"));
    QSettings().clear();
}

inline std::unique_ptr<ui::Session> makeSession()
{
    std::vector<DeviceInfo> devices{makeCpuBackend()->device()};
    return std::make_unique<ui::Session>([](std::string_view) -> Result<std::unique_ptr<ComputeBackend>> { return makeCpuBackend(); },
                                         devices);
}

/// A copy of the sample model that a test may change.
inline QString copySample(const QString& folder)
{
    QDir().mkpath(folder);
    const QDir sample(sampleFolder());
    for (const QString& name : sample.entryList(QDir::Files)) {
        const QString target = QDir(folder).filePath(name);
        QFile::copy(sample.filePath(name), target);
        QFile::setPermissions(target, QFileDevice::ReadOwner | QFileDevice::WriteOwner);
    }
    return folder;
}

/// Opens a model and waits until the preview of its first layer is there.
inline bool openAndWait(ui::Session& session, const QString& path)
{
    session.open(path);
    return QTest::qWaitFor([&] { return session.isOpen() && session.current() && session.isPreviewCurrent(*session.current()); }, 30000);
}

}  // namespace sigmascope::test
