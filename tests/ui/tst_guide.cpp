// SPDX-License-Identifier: GPL-3.0-or-later
// The tour through the real window with mouse and keys, and the sheet of shortcuts.
#include "StudioFixture.h"

#include "ui/dialogs/ShortcutSheet.h"
#include "ui/panels/GuidePanel.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/RunPage.h"
#include "ui/panels/StartPage.h"
#include "ui/plots/SpectrumPlot.h"
#include "ui/session/RunController.h"
#include "ui/session/Settings.h"
#include "ui/widgets/SegmentedControl.h"

#include <QAction>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QMenuBar>
#include <QPushButton>
#include <QSignalSpy>
#include <QTabWidget>
#include <QToolButton>
#include <QTreeView>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::GuidePanel;

class GuideTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();

    void tourFollowsWhatTheUserReallyDoes();
    void escapeLeavesTheTourAndTheNextStartGoesOn();
    void escapeOfADragStaysWithTheDrag();
    void closingTheModelLeadsBackToTheFirstStep();
    void ringFollowsToTheButtonThatLeadsThere();
    void ringLetsTheMouseThrough();
    void sheetListsEveryShortcutOfTheMenus();
    void sheetIsNarrowedByKeyAndByWord();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    void click(QWidget* widget) { QTest::mouseClick(widget, Qt::LeftButton, {}, widget->rect().center()); }
    [[nodiscard]] GuidePanel* guide() const { return m_window->guide(); }
    [[nodiscard]] ui::SpectrumPlot* spectrum() const { return m_window->inspectPage()->spectrum(); }
    [[nodiscard]] bool ringSurrounds(QWidget* widget) const;
    void openSampleByMouse();
    void clickAnotherLayer();
    void pressMarkerAndMoveTo(int rank);
    void releaseMarkerAt(int rank);
    [[nodiscard]] ui::ShortcutSheet* openSheet();

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void GuideTest::initTestCase()
{
    QVERIFY(m_folder.isValid());
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

void GuideTest::init()
{
    ui::Settings::setGuideStep(0);
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
}

void GuideTest::cleanup()
{
    m_window.reset();
    m_session.reset();
}

bool GuideTest::ringSurrounds(QWidget* widget) const
{
    return QTest::qWaitFor([&] {
        const QRect place(widget->mapTo(m_window.get(), QPoint(0, 0)), widget->size());
        const QRect ring = guide()->ringRect();
        return !ring.isEmpty() && ring.contains(place.intersected(m_window->rect().adjusted(4, 4, -4, -4)))
            && ring.width() <= place.width() + 12 && ring.height() <= place.height() + 12;
    }, 3000);
}

void GuideTest::openSampleByMouse()
{
    click(m_window->startPage()->sampleButton());
    QVERIFY(QTest::qWaitFor([&] { return m_session->current() && m_session->isPreviewCurrent(*m_session->current()); }, 30000));
}

void GuideTest::clickAnotherLayer()
{
    QTreeView* tree = m_window->layerPanel()->tree();
    const QString name = QStringLiteral("model.layers.2.mlp.down_proj.weight");
    const auto found = tree->model()->match(tree->model()->index(0, 0), Qt::ToolTipRole, name, 1, Qt::MatchStartsWith | Qt::MatchRecursive);
    QVERIFY(!found.isEmpty());
    tree->scrollTo(found.front());
    QTest::mouseClick(tree->viewport(), Qt::LeftButton, {}, tree->visualRect(found.front()).center());
    QVERIFY(QTest::qWaitFor([&] { return m_session->isPreviewCurrent(*m_session->current()); }, 30000));
}

void GuideTest::pressMarkerAndMoveTo(int rank)
{
    const QPoint grip = spectrum()->markerPosition();
    QWidget* canvas = spectrum()->childAt(grip);
    QVERIFY(canvas != nullptr);
    QTest::mousePress(canvas, Qt::LeftButton, {}, canvas->mapFrom(spectrum(), grip));
    const int target = spectrum()->positionOfRank(rank).x();
    for (int i = 1; i <= 6; ++i)
        QTest::mouseMove(canvas, canvas->mapFrom(spectrum(), QPoint(grip.x() + (target - grip.x()) * i / 6, grip.y())));
}

void GuideTest::releaseMarkerAt(int rank)
{
    const QPoint at(spectrum()->positionOfRank(rank).x(), spectrum()->markerPosition().y());
    QWidget* canvas = spectrum()->childAt(spectrum()->markerPosition());
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, canvas->mapFrom(spectrum(), at));
}

void GuideTest::tourFollowsWhatTheUserReallyDoes()
{
    QSignalSpy steps(guide(), &GuidePanel::stepChanged);
    QVERIFY(!guide()->isVisible());
    click(m_window->startPage()->findChild<QToolButton*>(QStringLiteral("tour")));
    QVERIFY(guide()->isVisible());
    QCOMPARE(guide()->step(), GuidePanel::OpenSample);
    QVERIFY(ringSurrounds(m_window->startPage()->sampleButton()));

    openSampleByMouse();
    QCOMPARE(guide()->step(), GuidePanel::PickLayer);
    QVERIFY(ringSurrounds(m_window->layerPanel()->tree()));

    clickAnotherLayer();
    QCOMPARE(guide()->step(), GuidePanel::DragRank);
    m_window->inspectPage()->tabs()->setCurrentWidget(spectrum());
    QVERIFY(ringSurrounds(spectrum()));

    pressMarkerAndMoveTo(96);
    releaseMarkerAt(96);
    QTRY_COMPARE_WITH_TIMEOUT(guide()->step(), GuidePanel::ChangeBits, 5000);
    QVERIFY(ringSurrounds(m_window->inspector()->bitsControl()));

    QToolButton* eight = m_window->inspector()->bitsControl()->button(8);
    QVERIFY(eight->isEnabled());
    click(eight);
    QTRY_COMPARE_WITH_TIMEOUT(guide()->step(), GuidePanel::Quantize, 5000);

    m_window->runPage()->setOutput(m_folder.filePath(QStringLiteral("tour.gguf")));
    m_window->showPage(ui::MainWindow::Run);
    QVERIFY(ringSurrounds(m_window->runPage()->startButton()));
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    click(m_window->runPage()->startButton());
    QVERIFY(m_window->runController().isRunning());
    QCOMPARE(guide()->step(), GuidePanel::Quantize);
    QVERIFY2(finished.wait(60000), qPrintable(m_window->runPage()->message()));
    QCOMPARE(guide()->step(), GuidePanel::Finished);
    QVERIFY(QFileInfo::exists(m_folder.filePath(QStringLiteral("tour.gguf"))));
    QCOMPARE(steps.count(), GuidePanel::kSteps + 1);

    click(guide()->findChild<QPushButton*>(QStringLiteral("guideSkip")));
    QVERIFY(!guide()->isUnderWay());
    QVERIFY(!guide()->isVisible());
    QVERIFY(guide()->ringRect().isEmpty());
    QCOMPARE(ui::Settings::guideStep(), 0);
}

void GuideTest::escapeLeavesTheTourAndTheNextStartGoesOn()
{
    guide()->start();
    openSampleByMouse();
    clickAnotherLayer();
    QCOMPARE(guide()->step(), GuidePanel::DragRank);
    m_window->layerPanel()->focusTree();
    QTest::keyClick(m_window->layerPanel()->tree(), Qt::Key_Escape);
    QVERIFY(!guide()->isUnderWay());
    QVERIFY(guide()->ringRect().isEmpty());

    // Another start of the program.
    cleanup();
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    guide()->start();
    QCOMPARE(guide()->step(), GuidePanel::OpenSample);
    openSampleByMouse();
    QCOMPARE(guide()->step(), GuidePanel::DragRank);
    click(guide()->closeButton());
    QVERIFY(!guide()->isUnderWay());
}

void GuideTest::escapeOfADragStaysWithTheDrag()
{
    guide()->start();
    openSampleByMouse();
    clickAnotherLayer();
    m_window->inspectPage()->tabs()->setCurrentWidget(spectrum());
    const auto before = m_session->layer(*m_session->current()).rank;
    pressMarkerAndMoveTo(4);
    QVERIFY(m_session->layer(*m_session->current()).rank != before);
    QTest::keyClick(spectrum(), Qt::Key_Escape);
    releaseMarkerAt(4);
    QCOMPARE(m_session->layer(*m_session->current()).rank, before);
    QVERIFY(guide()->isUnderWay());
    // What was given up does not count as done.
    QTest::qWait(600);
    QCOMPARE(guide()->step(), GuidePanel::DragRank);
}

void GuideTest::closingTheModelLeadsBackToTheFirstStep()
{
    guide()->start();
    openSampleByMouse();
    clickAnotherLayer();
    QTest::keyClick(m_window.get(), Qt::Key_W, Qt::ControlModifier);
    QVERIFY(!m_session->isOpen());
    QCOMPARE(guide()->step(), GuidePanel::OpenSample);
    QVERIFY(ringSurrounds(m_window->startPage()->sampleButton()));
}

void GuideTest::ringFollowsToTheButtonThatLeadsThere()
{
    guide()->start();
    openSampleByMouse();
    m_window->showPage(ui::MainWindow::Plan);
    // The tree is out of sight: the ring is around a button of the step bar.
    QVERIFY(QTest::qWaitFor([&] { return !guide()->ringRect().isEmpty() && guide()->ringRect().height() < 60; }, 3000));
    m_window->showPage(ui::MainWindow::Inspect);
    QVERIFY(ringSurrounds(m_window->layerPanel()->tree()));
    m_window->resize(1400, 800);
    QVERIFY(ringSurrounds(m_window->layerPanel()->tree()));
}

void GuideTest::ringLetsTheMouseThrough()
{
    guide()->start();
    QVERIFY(ringSurrounds(m_window->startPage()->sampleButton()));
    const QPoint middle = guide()->ringRect().center();
    QCOMPARE(m_window->childAt(middle), static_cast<QWidget*>(m_window->startPage()->sampleButton()));
}

ui::ShortcutSheet* GuideTest::openSheet()
{
    QTest::keyClick(m_window.get(), Qt::Key_Question, Qt::ControlModifier);
    auto* sheet = m_window->findChild<ui::ShortcutSheet*>();
    return sheet != nullptr && QTest::qWaitForWindowExposed(sheet) ? sheet : nullptr;
}

void GuideTest::sheetListsEveryShortcutOfTheMenus()
{
    ui::ShortcutSheet* sheet = openSheet();
    QVERIFY(sheet != nullptr);
    QVERIFY(!sheet->isModal());
    const QStringList lines = sheet->shown();
    int listed = 0;
    QList<QAction*> actions = m_window->menuBar()->actions();
    for (qsizetype i = 0; i < actions.size(); ++i) {
        const QAction* action = actions[i];
        if (action->menu<QMenu*>() != nullptr)
            actions.append(action->menu<QMenu*>()->actions());
        if (action->shortcut().isEmpty())
            continue;
        const QString keys = action->shortcut().toString(QKeySequence::NativeText);
        const QString what = QString(action->text()).remove(QLatin1Char('&')).remove(QStringLiteral("…"));
        const bool isListed = std::any_of(lines.begin(), lines.end(), [&](const QString& line) { return line.startsWith(keys) && line.endsWith(what); });
        QVERIFY2(isListed, qPrintable(keys + QStringLiteral(": ") + what));
        ++listed;
    }
    QVERIFY(listed > 25);
    QVERIFY(lines.filter(QStringLiteral("Rank up · down")).size() == 1);
    // Nothing is cut.
    for (const QLabel* label : sheet->findChildren<QLabel*>())
        QVERIFY2(!label->isVisible() || label->width() >= label->sizeHint().width(), qPrintable(label->text()));
    // The same key again raises the same sheet.
    QTest::keyClick(m_window.get(), Qt::Key_Question, Qt::ControlModifier);
    QCOMPARE(m_window->findChildren<ui::ShortcutSheet*>().size(), 1);
    QTest::keyClick(sheet, Qt::Key_Escape);
    QTRY_VERIFY(m_window->findChild<ui::ShortcutSheet*>() == nullptr);
}

void GuideTest::sheetIsNarrowedByKeyAndByWord()
{
    ui::ShortcutSheet* sheet = openSheet();
    QVERIFY(sheet != nullptr);
    const auto all = sheet->shown().size();
    QTest::keyClicks(sheet->filterField(), QStringLiteral("undo"));
    QCOMPARE(sheet->shown(), QStringList{QStringLiteral("Ctrl+Z: Undo")});
    sheet->filterField()->clear();
    QTest::keyClicks(sheet->filterField(), QStringLiteral("F5"));
    QCOMPARE(sheet->shown().size(), 3);  // run, stop, pause
    sheet->filterField()->clear();
    QCOMPARE(sheet->shown().size(), all);
}

void GuideTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::newRow("dark") << true;
    QTest::newRow("light") << false;
}

void GuideTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    const auto save = [&](QWidget* widget, const QString& name) {
        const QPixmap picture = widget->grab();
        return !picture.isNull() && picture.save(folder.filePath(name + (dark ? QStringLiteral("-dark.png") : QStringLiteral("-light.png"))));
    };
    guide()->start();
    QVERIFY(ringSurrounds(m_window->startPage()->sampleButton()));
    QVERIFY(save(m_window.get(), QStringLiteral("guide-start")));
    openSampleByMouse();
    clickAnotherLayer();
    m_window->inspectPage()->tabs()->setCurrentWidget(spectrum());
    QVERIFY(ringSurrounds(spectrum()));
    QVERIFY(save(m_window.get(), QStringLiteral("guide-rank")));
    ui::ShortcutSheet* sheet = openSheet();
    QVERIFY(sheet != nullptr);
    QVERIFY(save(sheet, QStringLiteral("shortcuts")));
}

QTEST_MAIN(GuideTest)
#include "tst_guide.moc"
