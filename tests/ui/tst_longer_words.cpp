// SPDX-License-Identifier: GPL-3.0-or-later
// The studio in words that are 40 % longer than ours, as some languages are: labels elide or wrap, nothing is cut.
#include "CutWords.h"
#include "StudioFixture.h"

#include "ui/panels/InspectPage.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/widgets/SegmentedControl.h"

#include <QDockWidget>
#include <QScrollArea>
#include <QTabWidget>
#include <QTranslator>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

/// Every text of ours with 40 % of itself behind it.
class LongerWords : public QTranslator {
public:
    [[nodiscard]] QString translate(const char* context, const char* source, const char*, int) const override
    {
        const QByteArray from(context);
        const QString words = QString::fromUtf8(source);
        // Keys are no words, nor is a number with its unit.
        if (!from.startsWith("sigmascope") || words.startsWith(QLatin1String("Ctrl")) || words.startsWith(QLatin1String("Alt"))
            || words.startsWith(QLatin1String("Shift")) || words.size() < 3)
            return {};
        return words + QLatin1Char(' ') + QString(qRound(0.4 * static_cast<double>(words.size())), QLatin1Char('e'));
    }
    [[nodiscard]] bool isEmpty() const override { return false; }
};

}  // namespace

class LongerWordsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cleanupTestCase();
    void theWordsReallyAreLonger();
    void inspectorCutsNothing_data();
    void inspectorCutsNothing();
    void inspectorOfSeveralLayersCutsNothing();

private:
    [[nodiscard]] QStringList cutInInspector() const;
    void save(const QString& name) const;

    QTemporaryDir m_folder;
    LongerWords m_words;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void LongerWordsTest::initTestCase()
{
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Light);
    QVERIFY(QCoreApplication::installTranslator(&m_words));
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    m_window->showPage(ui::MainWindow::Inspect);
}

void LongerWordsTest::cleanupTestCase()
{
    m_window.reset();
    m_session.reset();
    QCoreApplication::removeTranslator(&m_words);
}

void LongerWordsTest::theWordsReallyAreLonger()
{
    QCOMPARE(m_window->inspectPage()->tabs()->tabText(0), QStringLiteral("Density eee"));
}

QStringList LongerWordsTest::cutInInspector() const
{
    QStringList cut = cutWords(*m_window->inspector());
    // What sticks out of the panel is cut by its edge: it does not scroll sideways.
    const QWidget* panel = m_window->inspector()->findChild<QScrollArea*>()->viewport();
    for (const QWidget* part : m_window->inspector()->findChildren<QWidget*>()) {
        if (!part->isVisible() || !panel->isAncestorOf(part))
            continue;
        const int right = part->mapTo(panel, QPoint(part->width(), 0)).x();
        if (right > panel->width() + 1)
            cut << QStringLiteral("%1 “%2” ends at %3 of %4")
                       .arg(QString::fromLatin1(part->metaObject()->className()), part->accessibleName())
                       .arg(right)
                       .arg(panel->width());
    }
    return cut;
}

void LongerWordsTest::save(const QString& name) const
{
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    QVERIFY(m_window->grab().save(folder.filePath(QStringLiteral("longer-%1.png").arg(name))));
}

void LongerWordsTest::inspectorCutsNothing_data()
{
    QTest::addColumn<int>("width");
    QTest::addColumn<QSize>("window");
    QTest::newRow("narrowest") << 288 << QSize(1280, 720);
    QTest::newRow("usual") << 312 << QSize(1600, 900);
}

void LongerWordsTest::inspectorCutsNothing()
{
    QFETCH(int, width);
    QFETCH(QSize, window);
    m_window->resize(window);
    QTest::qWait(50);
    auto* dock = m_window->findChild<QDockWidget*>(QStringLiteral("inspector"));
    m_window->resizeDocks({dock}, {ui::px(width)}, Qt::Horizontal);
    QTest::qWait(50);
    QCOMPARE(dock->width(), ui::px(width));
    const QStringList cut = cutInInspector();
    save(QStringLiteral("inspector-%1").arg(width));
    QVERIFY2(cut.isEmpty(), qPrintable(cut.join(QLatin1Char('\n'))));
    // A plan that must be explained: a grid that the target cannot carry.
    const std::size_t layer = *m_session->current();
    m_session->setFamily({layer}, QStringLiteral("int-g128"));
    QTest::qWait(50);
    const QStringList more = cutInInspector();
    QVERIFY2(more.isEmpty(), qPrintable(more.join(QLatin1Char('\n'))));
    m_session->undoStack().undo();
}

void LongerWordsTest::inspectorOfSeveralLayersCutsNothing()
{
    const std::size_t layer = *m_session->current();
    m_session->setBits({layer}, 8);
    m_session->select({layer, layer + 1, layer + 2, layer + 3}, layer);
    QTest::qWait(50);
    const QStringList cut = cutInInspector();
    save(QStringLiteral("inspector-mixed"));
    QVERIFY2(cut.isEmpty(), qPrintable(cut.join(QLatin1Char('\n'))));
}

QTEST_MAIN(LongerWordsTest)
#include "tst_longer_words.moc"
