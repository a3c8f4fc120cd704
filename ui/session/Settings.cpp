// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/Settings.h"

#include <QSettings>

namespace sigmascope::ui {

namespace {

constexpr int kMostRecent = 10;
const QString kRecent = QStringLiteral("recentFiles");
const QString kAppearance = QStringLiteral("appearance");
const QString kGeometry = QStringLiteral("window/geometry");
const QString kState = QStringLiteral("window/state");
const QString kLanguage = QStringLiteral("language");
const QString kGuideStep = QStringLiteral("guideStep");
const QString kDevice = QStringLiteral("device");

}  // namespace

QStringList Settings::recentFiles()
{
    return QSettings().value(kRecent).toStringList().mid(0, kMostRecent);
}

void Settings::addRecentFile(const QString& path)
{
    QStringList files = recentFiles();
    files.removeAll(path);
    files.prepend(path);
    QSettings().setValue(kRecent, files.mid(0, kMostRecent));
}

void Settings::removeRecentFile(const QString& path)
{
    QStringList files = recentFiles();
    files.removeAll(path);
    QSettings().setValue(kRecent, files);
}

Settings::Appearance Settings::appearance()
{
    const QString value = QSettings().value(kAppearance).toString();
    return value == QLatin1String("dark") ? Appearance::Dark : value == QLatin1String("light") ? Appearance::Light : Appearance::System;
}

void Settings::setAppearance(Appearance appearance)
{
    QSettings().setValue(kAppearance,
                         appearance == Appearance::Dark        ? QStringLiteral("dark")
                             : appearance == Appearance::Light ? QStringLiteral("light")
                                                               : QStringLiteral("system"));
}

QByteArray Settings::windowGeometry()
{
    return QSettings().value(kGeometry).toByteArray();
}

QByteArray Settings::windowState()
{
    return QSettings().value(kState).toByteArray();
}

void Settings::setWindow(const QByteArray& geometry, const QByteArray& state)
{
    QSettings().setValue(kGeometry, geometry);
    QSettings().setValue(kState, state);
}

QString Settings::language()
{
    return QSettings().value(kLanguage).toString();
}

void Settings::setLanguage(const QString& code)
{
    QSettings().setValue(kLanguage, code);
}

int Settings::guideStep()
{
    return QSettings().value(kGuideStep, 0).toInt();
}

void Settings::setGuideStep(int step)
{
    QSettings().setValue(kGuideStep, step);
}

QString Settings::device()
{
    return QSettings().value(kDevice, QStringLiteral("auto")).toString();
}

void Settings::setDevice(const QString& id)
{
    QSettings().setValue(kDevice, id);
}

}  // namespace sigmascope::ui
