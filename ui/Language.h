// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QList>
#include <QString>

class QCoreApplication;

namespace sigmascope::ui {

struct LanguageChoice {
    QString code;  ///< "de"
    QString name;  ///< in the language itself: whoever looks for it reads that
};

/// Languages that every sentence of the studio exists in.
[[nodiscard]] QList<LanguageChoice> languages();

/// The first of @p wanted ("de-AT", "fr") that is among languages(); English if none is.
[[nodiscard]] QString bestLanguage(const QStringList& wanted);

/// Words of the program and of Qt's own dialogs. Call once, after the application and before the first widget or text.
/// @param code  one of languages(); anything else means the desktop's. A chosen language that is not the desktop's brings
///              its way of writing numbers along.
void installLanguage(QCoreApplication& application, const QString& code);

}  // namespace sigmascope::ui
