// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Language.h"

#include <QCoreApplication>
#include <QLibraryInfo>
#include <QLocale>
#include <QTranslator>

#include <algorithm>

// Q_INIT_RESOURCE must not stand inside a namespace.
static void initialiseTranslations()
{
    Q_INIT_RESOURCE(i18n);
}

namespace sigmascope::ui {

QList<LanguageChoice> languages()
{
    return {{QStringLiteral("en"), QStringLiteral("English")}, {QStringLiteral("de"), QStringLiteral("Deutsch")}};
}

QString bestLanguage(const QStringList& wanted)
{
    const QList<LanguageChoice> known = languages();
    for (const QString& tag : wanted) {
        const QString code = tag.section(QLatin1Char('-'), 0, 0).section(QLatin1Char('_'), 0, 0).toLower();
        if (std::any_of(known.begin(), known.end(), [&code](const LanguageChoice& choice) { return choice.code == code; }))
            return code;
    }
    return QStringLiteral("en");
}

void installLanguage(QCoreApplication& application, const QString& code)
{
    initialiseTranslations();
    const QList<LanguageChoice> known = languages();
    const bool isChosen = std::any_of(known.begin(), known.end(), [&code](const LanguageChoice& choice) { return choice.code == code; });
    const QString language = isChosen ? code : bestLanguage(QLocale::system().uiLanguages());
    if (isChosen && QLocale::system().language() != QLocale(language).language())
        QLocale::setDefault(QLocale(language));

    // English too: its file holds the plural forms.
    auto* own = new QTranslator(&application);
    if (own->load(QStringLiteral(":/i18n/sigmascope_%1.qm").arg(language)))
        QCoreApplication::installTranslator(own);
    auto* qt = new QTranslator(&application);
    if (qt->load(QStringLiteral("qtbase_") + language, QLibraryInfo::path(QLibraryInfo::TranslationsPath)))
        QCoreApplication::installTranslator(qt);
}

}  // namespace sigmascope::ui
