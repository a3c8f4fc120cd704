// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QString>
#include <QStringList>

namespace sigmascope::ui {

/// What the studio remembers between starts. Anything unreadable counts as absent: a broken settings file is
/// never fatal. Kept apart from documents.
class Settings {
public:
    enum class Appearance { System, Dark, Light };

    [[nodiscard]] static QStringList recentFiles();
    static void addRecentFile(const QString& path);
    static void removeRecentFile(const QString& path);

    [[nodiscard]] static Appearance appearance();
    static void setAppearance(Appearance appearance);

    [[nodiscard]] static QByteArray windowGeometry();
    [[nodiscard]] static QByteArray windowState();
    static void setWindow(const QByteArray& geometry, const QByteArray& state);

    /// Code of the chosen language; empty = the desktop's.
    [[nodiscard]] static QString language();
    static void setLanguage(const QString& code);

    /// Step of the tour that is to be done next; 0 = from the start.
    [[nodiscard]] static int guideStep();
    static void setGuideStep(int step);

    [[nodiscard]] static QString device();
    static void setDevice(const QString& id);
};

}  // namespace sigmascope::ui
