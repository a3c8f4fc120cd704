// SPDX-License-Identifier: GPL-3.0-or-later
// The studio in German, through every page: every text is found, nothing is cut, everything has a name and an order.
#include "StudioFixture.h"

#include "ui/Language.h"
#include "ui/dialogs/ShortcutSheet.h"
#include "ui/models/PlanDiffModel.h"
#include "ui/panels/GuidePanel.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/RunPage.h"
#include "ui/panels/StartPage.h"
#include "ui/session/Settings.h"
#include "ui/session/Text.h"

#include <QAbstractButton>
#include <QAbstractSpinBox>
#include <QAccessible>
#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QMenu>
#include <QMenuBar>
#include <QPushButton>
#include <QSet>
#include <QTabWidget>
#include <QToolButton>
#include <QTranslator>
#include <QTreeView>

#include <functional>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

/// Notes every text of ours that is asked for and has no German.
class Listener : public QTranslator {
public:
    bool load() { return m_german.load(QStringLiteral(":/i18n/sigmascope_de.qm")); }
    [[nodiscard]] QString translate(const char* context, const char* source, const char* comment, int n) const override
    {
        const QString found = m_german.translate(context, source, comment, n);
        const QByteArray from(context);
        if (found.isNull() && (from.startsWith("sigmascope") || from == "main"))
            missing.insert(QString::fromUtf8(from + ": " + source));
        ++asked;
        return found;
    }
    [[nodiscard]] bool isEmpty() const override { return false; }

    mutable QSet<QString> missing;
    mutable int asked = 0;

private:
    QTranslator m_german;
};

QStringList shortcutsOf(const QObject& window)
{
    QStringList keys;
    for (const QAction* action : window.findChildren<QAction*>()) {
        for (const QKeySequence& key : action->shortcuts())
            keys << key.toString(QKeySequence::PortableText);
    }
    keys.sort();
    return keys;
}

QString nameOf(QWidget* widget)
{
    const QAccessibleInterface* face = QAccessible::queryAccessibleInterface(widget);
    return face == nullptr ? QString() : face->text(QAccessible::Name);
}

/// Parts that Qt makes within its own widgets: their owner speaks for them.
bool isInner(const QWidget* widget)
{
    const QWidget* parent = widget->parentWidget();
    return widget->objectName().startsWith(QLatin1String("qt_")) || qobject_cast<const QComboBox*>(parent) != nullptr
        || qobject_cast<const QAbstractSpinBox*>(parent) != nullptr || widget->inherits("QComboBoxPrivateContainer")
        || (parent != nullptr && parent->inherits("QComboBoxPrivateContainer")) || widget->inherits("QLineEditIconButton");
}

QString pathOf(const QWidget* widget)
{
    QString path;
    for (const QWidget* at = widget; at != nullptr && !at->isWindow(); at = at->parentWidget())
        path.prepend(QLatin1Char('/') + QString::fromLatin1(at->metaObject()->className()).section(QLatin1Char(':'), -1));
    return path + QStringLiteral(" “") + widget->objectName() + QStringLiteral("”");
}

}  // namespace

class TranslationTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cleanupTestCase();

    void desktopsFirstKnownLanguageIsTaken();
    void chosenLanguageIsKept();
    void everyTextOfEveryPageIsGerman();
    void numbersFollowTheLanguage();
    void filesSpeakNoLanguage();
    void qtsOwnWordsAreGerman();
    void keysAreTheSameInBothLanguages();
    void nothingIsCutAt1280x720();
    void everyFocusableWidgetHasAName();
    void tabOrderFollowsReadingOrder();

private:
    /// Shows each page and tab in turn.
    void onEveryPage(const std::function<void(const QString& page)>& look);
    void save(const QString& page);

    QTemporaryDir m_folder;
    Listener m_listener;
    QStringList m_englishKeys;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void TranslationTest::initTestCase()
{
    QVERIFY(m_folder.isValid());
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
    {
        const auto session = makeSession();
        m_englishKeys = shortcutsOf(ui::MainWindow(*session, sampleFolder()));
    }
    ui::Settings::setLanguage(QStringLiteral("de"));
    ui::installLanguage(*qApp, ui::Settings::language());
    QVERIFY(m_listener.load());
    QVERIFY(QCoreApplication::installTranslator(&m_listener));
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    m_session->importCalibration(sampleFolder() + QStringLiteral("/imatrix.gguf"));
    QVERIFY(QTest::qWaitFor([&] { return m_session->calibration() != nullptr && m_session->isPreviewCurrent(*m_session->current()); }, 30000));
}

void TranslationTest::cleanupTestCase()
{
    m_window.reset();
    m_session.reset();
    QCoreApplication::removeTranslator(&m_listener);
}

void TranslationTest::onEveryPage(const std::function<void(const QString&)>& look)
{
    m_window->showPage(ui::MainWindow::Inspect);
    QTabWidget* tabs = m_window->inspectPage()->tabs();
    for (int tab = 0; tab < tabs->count(); ++tab) {
        tabs->setCurrentIndex(tab);
        QTest::qWait(150);
        look(QStringLiteral("inspect-%1").arg(tab));
    }
    m_window->showPage(ui::MainWindow::Plan);
    QTest::qWait(150);
    look(QStringLiteral("plan"));
    m_window->runPage()->setOutput(m_folder.filePath(QStringLiteral("de.gguf")));
    m_window->showPage(ui::MainWindow::Run);
    QTest::qWait(50);
    look(QStringLiteral("run"));
    m_window->showPage(ui::MainWindow::Start);
    m_window->guide()->start();
    QTest::qWait(100);
    look(QStringLiteral("start"));
    m_window->guide()->leave();
}

void TranslationTest::save(const QString& page)
{
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    QVERIFY(m_window->grab().save(folder.filePath(QStringLiteral("de-%1.png").arg(page))));
}

void TranslationTest::desktopsFirstKnownLanguageIsTaken()
{
    using L = QStringList;
    QCOMPARE(ui::bestLanguage(L{QStringLiteral("fr-FR"), QStringLiteral("de-AT"), QStringLiteral("en")}), QStringLiteral("de"));
    QCOMPARE(ui::bestLanguage(L{QStringLiteral("en-US"), QStringLiteral("de")}), QStringLiteral("en"));
    QCOMPARE(ui::bestLanguage(L{QStringLiteral("C")}), QStringLiteral("en"));
    QCOMPARE(ui::bestLanguage(L{}), QStringLiteral("en"));
}

void TranslationTest::chosenLanguageIsKept()
{
    QMenu* menu = nullptr;
    for (QMenu* candidate : m_window->findChildren<QMenu*>()) {
        if (candidate->title() == QStringLiteral("Sprache"))
            menu = candidate;
    }
    QVERIFY(menu != nullptr);
    QCOMPARE(menu->actions().size(), 3);
    QVERIFY(menu->actions().at(2)->isChecked());
    menu->actions().at(1)->trigger();
    QCOMPARE(ui::Settings::language(), QStringLiteral("en"));
    menu->actions().at(2)->trigger();
    QCOMPARE(ui::Settings::language(), QStringLiteral("de"));
}

void TranslationTest::everyTextOfEveryPageIsGerman()
{
    m_listener.missing.clear();
    {
        const auto session = makeSession();
        const ui::MainWindow another(*session, sampleFolder());
    }
    for (int code = 0; code <= static_cast<int>(ErrorCode::Internal); ++code)
        QVERIFY(!ui::titleOf(static_cast<ErrorCode>(code)).isEmpty());
    onEveryPage([this](const QString& page) { save(page); });
    const ui::ShortcutSheet sheet(ui::shortcutsOf(*m_window->menuBar()) + ui::focusShortcuts());
    QVERIFY(m_listener.asked > 500);
    QVERIFY2(m_listener.missing.isEmpty(), qPrintable(QStringList(m_listener.missing.begin(), m_listener.missing.end()).join(QLatin1Char('\n'))));
    QCOMPARE(m_window->inspectPage()->tabs()->tabText(1), QStringLiteral("Spektrum"));
    QCOMPARE(ui::titleOf(ErrorCode::WouldOverwrite), QStringLiteral("Die Datei existiert"));
}

void TranslationTest::numbersFollowTheLanguage()
{
    QCOMPARE(ui::decimals(1234.5, 2), QStringLiteral("1.234,50"));
}

void TranslationTest::filesSpeakNoLanguage()
{
    const std::size_t tensor = *m_session->current();
    m_session->setKeep({tensor}, true);
    ui::PlanDiffModel changes(*m_session);
    changes.refresh(ui::Session::Since::Opening);
    QVERIFY2(changes.index(0, ui::PlanDiffModel::Bits).data().toString().contains(QStringLiteral("unverändert")),
             qPrintable(changes.index(0, ui::PlanDiffModel::Bits).data().toString()));
    QVERIFY2(changes.asCsv().contains(QStringLiteral("4 → kept")), qPrintable(changes.asCsv()));
    m_session->undoStack().undo();
}

void TranslationTest::qtsOwnWordsAreGerman()
{
    QCOMPARE(QCoreApplication::translate("QPlatformTheme", "Cancel"), QStringLiteral("Abbrechen"));
    QCOMPARE(QKeySequence(Qt::CTRL | Qt::Key_O).toString(QKeySequence::NativeText), QStringLiteral("Strg+O"));
}

void TranslationTest::keysAreTheSameInBothLanguages()
{
    QVERIFY(m_englishKeys.size() > 25);
    const auto session = makeSession();
    QCOMPARE(shortcutsOf(ui::MainWindow(*session, sampleFolder())), m_englishKeys);
}

void TranslationTest::nothingIsCutAt1280x720()
{
    QStringList cut;
    onEveryPage([&](const QString& page) {
        for (QWidget* widget : m_window->findChildren<QWidget*>()) {
            if (!widget->isVisible() || widget->visibleRegion().isEmpty() || isInner(widget))
                continue;
            const auto* label = qobject_cast<QLabel*>(widget);
            const auto* button = qobject_cast<QAbstractButton*>(widget);
            const bool isWordy = button != nullptr && (button->inherits("QToolButton") || button->inherits("QPushButton") || button->inherits("QCheckBox"));
            const auto* tool = qobject_cast<QToolButton*>(widget);
            if (tool != nullptr && tool->toolButtonStyle() == Qt::ToolButtonIconOnly && !tool->icon().isNull())
                continue;
            if ((label == nullptr || label->text().isEmpty()) && (!isWordy || button->text().isEmpty()))
                continue;
            const bool wraps = label != nullptr && label->wordWrap();
            const int needed = wraps ? label->heightForWidth(label->width()) : label != nullptr ? widget->minimumSizeHint().width() : button->fontMetrics().horizontalAdvance(button->text());
            const int given = wraps ? label->height() : widget->width();
            if (given < needed)
                cut << QStringLiteral("%1: “%2” has %3 of %4").arg(page, label != nullptr ? label->text() : button->text()).arg(given).arg(needed);
        }
    });
    QVERIFY2(cut.isEmpty(), qPrintable(cut.join(QLatin1Char('\n'))));
}

void TranslationTest::everyFocusableWidgetHasAName()
{
    QSet<QString> nameless;
    int named = 0;
    onEveryPage([&](const QString&) {
        for (QWidget* widget : m_window->findChildren<QWidget*>()) {
            if (widget->focusPolicy() == Qt::NoFocus || !widget->isVisible() || isInner(widget))
                continue;
            const auto* label = qobject_cast<QLabel*>(widget);
            if (label != nullptr && label->text().isEmpty())
                continue;
            if (nameOf(widget).trimmed().isEmpty())
                nameless.insert(pathOf(widget));
            else
                ++named;
        }
    });
    QVERIFY(named > 50);
    QVERIFY2(nameless.isEmpty(), qPrintable(QStringList(nameless.begin(), nameless.end()).join(QLatin1Char('\n'))));
}

/// Within a panel the Tab key goes down, and right within a line; it never goes back up.
void TranslationTest::tabOrderFollowsReadingOrder()
{
    QStringList back;
    int moves = 0;
    onEveryPage([&](const QString& page) {
        QWidget* last = nullptr;
        QWidget* first = m_window.get();
        for (QWidget* at = first->nextInFocusChain(); at != first; at = at->nextInFocusChain()) {
            if (!at->isVisible() || !at->isEnabled() || (at->focusPolicy() & Qt::TabFocus) == 0 || isInner(at) || at->visibleRegion().isEmpty())
                continue;
            if (last != nullptr && last->parentWidget() == at->parentWidget()) {
                const QRect before = last->geometry(), now = at->geometry();
                const bool isSameLine = now.top() < before.bottom() && before.top() < now.bottom();
                if (isSameLine ? now.left() < before.left() : now.top() < before.top())
                    back << page + QStringLiteral(": from ") + pathOf(last) + QStringLiteral(" to ") + pathOf(at);
                ++moves;
            }
            last = at;
        }
    });
    QVERIFY(moves > 10);
    QVERIFY2(back.isEmpty(), qPrintable(back.join(QLatin1Char('\n'))));
}

QTEST_MAIN(TranslationTest)
#include "tst_translation.moc"
