// SPDX-License-Identifier: GPL-3.0-or-later
// The Compare step through the window, with real mouse and keys.
#include "StudioFixture.h"

#include "ui/models/CompareModel.h"
#include "ui/panels/ComparePage.h"
#include "ui/panels/CompareTotals.h"
#include "ui/plots/ComparePlot.h"
#include "ui/session/RunController.h"
#include "ui/session/SessionStore.h"
#include "ui/session/Text.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/SegmentedControl.h"
#include "ui/widgets/StepBar.h"

#include <QClipboard>
#include <QComboBox>
#include <QHeaderView>
#include <QSignalSpy>
#include <QTableView>
#include <QToolButton>

#include <cmath>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::CompareModel;
using ui::ComparePage;
using ui::CompareTotals;

class ComparePageTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cleanupTestCase();

    void anEmptyPageSaysWhatToDo();
    void twoFinishedRunsAreComparedUnasked();
    void figuresAreThoseTheRunsMeasured();
    void theWorstLayerStandsFirstAndHeadersSort();
    void plotShowsBothErrorsInDepthOrder();
    void aClickInThePlotFindsTheRowAndTheCursorFollowsIt();
    void aClickOnTheLayerGoesToInspect();
    void keysOfThePlanDoNothingHere();
    void swappingTurnsTheVerdictRound();
    void weightErrorsCanBeComparedInstead();
    void twoModelsAreComparedWeightByWeight();
    void aRunAndAModelHaveNothingInCommon();
    void aSessionFileStandsOnASide();
    void aFileThatIsNoneIsAMessage();
    void plotAndTableAreCopiedAndSaved();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    void run(const char* name);
    [[nodiscard]] ComparePage& page() const { return *m_window->comparePage(); }
    [[nodiscard]] const ui::ComparisonResult& result() const { return *page().comparison().result(); }
    [[nodiscard]] CompareModel& model() const { return *qobject_cast<CompareModel*>(page().table()->model()); }
    [[nodiscard]] QString at(const char* name) const { return m_folder.filePath(QString::fromLatin1(name)); }
    [[nodiscard]] bool waitForResult() const
    {
        return QTest::qWaitFor([this] { return !page().comparison().isRunning(); }, 20000) && page().comparison().result() != nullptr;
    }
    /// Opens a list and takes the entry with these words, as a hand does.
    enum class By { Mouse, Signal };  // an opened list waits half a second for its mouse
    void take(ComparePage::Side side, const QString& words, By by = By::Signal) const;
    [[nodiscard]] QPoint cell(int row, CompareModel::Column column) const
    {
        const QModelIndex index = model().index(row, model().sectionOf(column));
        page().table()->scrollTo(index);
        return page().table()->visualRect(index).center();
    }

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void ComparePageTest::initTestCase()
{
    isolateSettings(m_folder);
    qputenv("XDG_STATE_HOME", m_folder.path().toUtf8());
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1440, 900);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    QVERIFY(openAndWait(*m_session, sampleFolder()));
}

void ComparePageTest::cleanupTestCase()
{
    m_window.reset();
    m_session.reset();
}

void ComparePageTest::run(const char* name)
{
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    m_window->runController().start(at(name), false);
    QVERIFY(finished.wait(60000));
}

void ComparePageTest::take(ComparePage::Side side, const QString& words, By by) const
{
    QComboBox* combo = page().sourceCombo(side);
    const int row = combo->findText(words, Qt::MatchContains);
    QVERIFY2(row >= 0, qPrintable(words));
    if (by == By::Signal) {
        combo->setCurrentIndex(row);
        emit combo->activated(row);
        return;
    }
    combo->showPopup();
    QAbstractItemView* list = combo->view();
    list->scrollTo(list->model()->index(row, 0));
    const QPoint point = list->visualRect(list->model()->index(row, 0)).center();
    QTest::qWait(QApplication::doubleClickInterval() + 50);  // the list ignores a release right after it opened
    QTest::mouseMove(list->viewport(), point);
    QTest::mouseClick(list->viewport(), Qt::LeftButton, {}, point);
    QCOMPARE(combo->currentIndex(), row);
}

void ComparePageTest::anEmptyPageSaysWhatToDo()
{
    QTest::keyClick(m_window.get(), Qt::Key_7, Qt::AltModifier);
    QVERIFY(page().isVisible());
    QVERIFY(page().plot()->message().contains(QStringLiteral("Choose two runs, or two models")));
    QVERIFY(!page().table()->isVisible());
    QCOMPARE(page().plot()->state(), ui::PlotFrame::State::Empty);
}

void ComparePageTest::twoFinishedRunsAreComparedUnasked()
{
    const std::vector<std::size_t> planned = [this] {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i)
            if (!m_session->layer(i).keep)
                found.push_back(i);
        return found;
    }();
    QVERIFY(planned.size() > 8);
    m_session->setBits({planned[0]}, 8);
    run("a.gguf");
    QVERIFY(page().plot()->message().contains(QStringLiteral("One run has finished")));
    // The next one takes bits from one layer and gives them to two others.
    m_session->setBits({planned[0]}, 4);
    m_session->setBits({planned[1], planned[2]}, 8);
    run("b.gguf");
    QVERIFY(waitForResult());
    QCOMPARE(page().sourceCombo(ComparePage::A)->currentText().left(5), QStringLiteral("Run 1"));
    QCOMPARE(page().sourceCombo(ComparePage::B)->currentText().left(5), QStringLiteral("Run 2"));
    QVERIFY(page().table()->isVisible());
}

void ComparePageTest::figuresAreThoseTheRunsMeasured()
{
    const RunResult& b = *m_window->runController().lastResult();
    QCOMPARE(result().layers.size(), b.tensors.size());
    std::size_t compared = 0;
    for (const ui::ComparedLayer& layer : result().layers) {
        const auto tensor = std::ranges::find(b.tensors, layer.name, &TensorResult::name);
        QVERIFY(tensor != b.tensors.end());
        if (tensor->metricError)
            QCOMPARE(layer.b.error, *tensor->metricError);
        QCOMPARE(layer.b.bits, tensor->bitsPerWeight);
        if (layer.a.error > 0) {
            QCOMPARE(layer.difference, layer.b.error / layer.a.error - 1);
            ++compared;
        }
    }
    QVERIFY(compared > 8);
    // Totals count the tensors' own bytes: all files but header and padding.
    QVERIFY(result().b.bytes.has_value());
    QVERIFY(*result().b.bytes < b.writtenBytes && *result().b.bytes > b.writtenBytes / 2);
    QVERIFY(page().totals()->text(CompareTotals::Size).contains(ui::fileSize(*result().b.bytes)));
    QCOMPARE(result().kind, ErrorKind::Output);
}

void ComparePageTest::theWorstLayerStandsFirstAndHeadersSort()
{
    const auto differenceAt = [this](int row) { return result().layers[static_cast<std::size_t>(model().layerAt(row))].difference; };
    QVERIFY(differenceAt(0) > 0.5);  // the one that was given 4 bits for 8
    QCOMPARE(model().data(model().index(0, model().sectionOf(CompareModel::Verdict))).toString(), QStringLiteral("worse"));
    bool isPastNumbers = false;
    for (int row = 1; row < model().rowCount(); ++row) {
        isPastNumbers = isPastNumbers || std::isnan(differenceAt(row));
        QVERIFY(isPastNumbers ? std::isnan(differenceAt(row)) : differenceAt(row) <= differenceAt(row - 1));
    }
    QHeaderView* header = page().table()->horizontalHeader();
    const int section = model().sectionOf(CompareModel::Layer);
    const QPoint title(header->sectionViewportPosition(section) + 20, header->height() / 2);
    QTest::mouseClick(header->viewport(), Qt::LeftButton, {}, title);
    if (header->sortIndicatorOrder() == Qt::DescendingOrder)
        QTest::mouseClick(header->viewport(), Qt::LeftButton, {}, title);
    for (int row = 0; row < model().rowCount(); ++row)
        QCOMPARE(model().layerAt(row), row);  // depth order
    const int differences = model().sectionOf(CompareModel::Difference);
    header->setSortIndicator(differences, Qt::DescendingOrder);
    QVERIFY(differenceAt(0) > 0.5);
}

void ComparePageTest::plotShowsBothErrorsInDepthOrder()
{
    QTRY_COMPARE(page().plot()->state(), ui::PlotFrame::State::Ready);
    QTRY_VERIFY(page().plot()->pointsOfA() > 8);
    QCOMPARE(page().plot()->pointsOfA(), page().plot()->pointsOfB());
    std::tuple<int, int, int> last{-1, 0, 0};
    for (const ui::ComparedLayer& layer : result().layers) {
        QVERIFY(depthOf(layer.place) >= last);
        last = depthOf(layer.place);
    }
    // The log axis leaves out what has no error; the linear one shows it.
    const int before = page().plot()->pointsOfA();
    page().plot()->setFocus();
    QTest::keyClick(page().plot(), Qt::Key_L);
    QVERIFY(!page().plot()->isLogY());
    QTRY_VERIFY(page().plot()->pointsOfA() > before);
    QTest::keyClick(page().plot(), Qt::Key_L);
    QTRY_COMPARE(page().plot()->pointsOfA(), before);
}

void ComparePageTest::aClickInThePlotFindsTheRowAndTheCursorFollowsIt()
{
    const int layer = model().layerAt(0);
    const QPoint point = page().plot()->positionOf(layer);
    QTest::mouseMove(page().plot()->canvas(), point);
    QTRY_COMPARE(page().plot()->cursorLayer(), std::optional(layer));
    QVERIFY(page().plot()->readout().contains(QStringLiteral("A ")));
    QTest::mouseClick(page().plot()->canvas(), Qt::LeftButton, {}, page().plot()->positionOf(model().layerAt(2)));
    QCOMPARE(page().table()->currentIndex().row(), 2);
    QTest::keyClick(page().table(), Qt::Key_Down);
    QCOMPARE(page().plot()->cursorLayer(), std::optional(model().layerAt(3)));
}

void ComparePageTest::aClickOnTheLayerGoesToInspect()
{
    const std::string name = result().layers[static_cast<std::size_t>(model().layerAt(1))].name;
    // Elsewhere in the row a click only selects it.
    QTest::mouseClick(page().table()->viewport(), Qt::LeftButton, {}, cell(1, CompareModel::BitsA));
    QVERIFY(page().isVisible());
    QTest::mouseClick(page().table()->viewport(), Qt::LeftButton, {}, cell(1, CompareModel::Layer));
    QVERIFY(!page().isVisible());
    QVERIFY(m_session->current().has_value());
    QCOMPARE(m_session->tensor(*m_session->current()).name, name);
    QTest::keyClick(m_window.get(), Qt::Key_7, Qt::AltModifier);
    QVERIFY(page().isVisible());
}

void ComparePageTest::keysOfThePlanDoNothingHere()
{
    const QuantizationPlan before = m_session->plan();
    page().table()->setFocus();
    for (const Qt::Key key : {Qt::Key_Space, Qt::Key_8, Qt::Key_M, Qt::Key_Plus, Qt::Key_Minus})
        QTest::keyClick(page().table(), key);
    QVERIFY(m_session->plan() == before);
}

void ComparePageTest::swappingTurnsTheVerdictRound()
{
    const double before = result().ratio->mean;
    QTest::mouseClick(page().swapButton(), Qt::LeftButton);
    QVERIFY(waitForResult());
    QVERIFY(std::abs(result().ratio->mean * before - 1) < 1e-12);
    QCOMPARE(page().sourceCombo(ComparePage::A)->currentText().left(5), QStringLiteral("Run 2"));
    QTest::mouseClick(page().swapButton(), Qt::LeftButton);
    QVERIFY(waitForResult());
    QVERIFY(page().totals()->verdict().has_value());
    QVERIFY(!page().totals()->text(CompareTotals::Judgement).isEmpty());
}

void ComparePageTest::weightErrorsCanBeComparedInstead()
{
    QTest::mouseClick(page().errorControl()->button(static_cast<int>(ErrorKind::Weight)), Qt::LeftButton);
    QVERIFY(waitForResult());
    QCOMPARE(result().kind, ErrorKind::Weight);
    QTest::mouseClick(page().errorControl()->button(static_cast<int>(ErrorKind::Output)), Qt::LeftButton);
    QVERIFY(waitForResult());
    QCOMPARE(result().kind, ErrorKind::Output);
}

void ComparePageTest::twoModelsAreComparedWeightByWeight()
{
    take(ComparePage::A, QStringLiteral("the open model"), By::Mouse);
    take(ComparePage::B, QStringLiteral("a.gguf, written by run 1"), By::Mouse);
    QVERIFY(waitForResult());
    QVERIFY(!result().isOfRuns);
    QVERIFY(result().difference.value_or(0) > 0.001);
    QVERIFY(!page().errorControl()->isVisible());
    QCOMPARE(model().sectionOf(CompareModel::ErrorA), -1);
    QTRY_VERIFY(page().plot()->pointsOfA() > 8);
    QCOMPARE(page().plot()->pointsOfB(), 0);
    // A model against itself: no figure, and no empty frame either (reliability item 109).
    take(ComparePage::B, QStringLiteral("the open model"));
    QVERIFY(waitForResult());
    QCOMPARE(result().differing, std::size_t(0));
    QVERIFY(page().plot()->message().contains(QStringLiteral("the same weights")));
    QCOMPARE(page().totals()->verdict(), std::optional(ui::Verdict::Same));
}

void ComparePageTest::aRunAndAModelHaveNothingInCommon()
{
    take(ComparePage::B, QStringLiteral("Run 1"));
    QVERIFY(page().comparison().result() == nullptr);
    QVERIFY(page().plot()->message().contains(QStringLiteral("no figure in common")));
    QVERIFY(!page().table()->isVisible());
}

void ComparePageTest::aSessionFileStandsOnASide()
{
    QSignalSpy saved(m_window->store(), &ui::SessionStore::saved);
    m_window->store()->save(at("kept.sgms"));
    QTRY_COMPARE(saved.count(), 1);
    take(ComparePage::A, QStringLiteral("Run 1"));
    page().choose(ComparePage::B, at("kept.sgms"));
    QVERIFY(waitForResult());
    QVERIFY(result().isOfRuns);
    QVERIFY(result().b.bytes.has_value());
    // What the session measured is the second run.
    for (const ui::ComparedLayer& layer : result().layers) {
        const auto& run = m_window->runController().lastResult()->tensors;
        const auto tensor = std::ranges::find(run, layer.name, &TensorResult::name);
        if (!layer.isOnOneSide && tensor->metricError)
            QCOMPARE(layer.b.error, *tensor->metricError);
    }
    QCOMPARE(page().sourceCombo(ComparePage::B)->currentText(), QStringLiteral("kept.sgms"));
}

void ComparePageTest::aFileThatIsNoneIsAMessage()
{
    QFile file(at("broken.sgms"));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("nothing of the kind");
    file.close();
    page().choose(ComparePage::B, at("broken.sgms"));
    QVERIFY(QTest::qWaitFor([this] { return page().comparison().error().has_value(); }, 10000));
    QCOMPARE(page().plot()->state(), ui::PlotFrame::State::Failed);
    QVERIFY(page().plot()->message().contains(QStringLiteral("broken.sgms")));
    take(ComparePage::B, QStringLiteral("Run 2"));
    QVERIFY(waitForResult());
    QTRY_COMPARE(page().plot()->state(), ui::PlotFrame::State::Ready);
}

void ComparePageTest::plotAndTableAreCopiedAndSaved()
{
    page().table()->setFocus();
    page().table()->selectRow(0);
    QTest::keyClick(page().table(), Qt::Key_C, Qt::ControlModifier | Qt::ShiftModifier);
    const QStringList lines = QApplication::clipboard()->text().split(QLatin1Char('\n'));
    QVERIFY(lines.first().startsWith(QStringLiteral("verdict,layer,error_A,error_B,change")));
    QCOMPARE(lines.size(), model().rowCount() + 2);
    QCOMPARE(lines[1].section(QLatin1Char(','), 0, 0), QStringLiteral("worse"));
    for (const char* name : {"plot.png", "plot.svg", "plot.csv"}) {
        QVERIFY(page().plot()->saveAs(at(name)));
        QVERIFY(QFileInfo(at(name)).size() > 500);
    }
    QFile csv(at("plot.csv"));
    QVERIFY(csv.open(QIODevice::ReadOnly));
    QVERIFY(csv.readAll().contains("place,layer,error_A,error_B,change"));
}

void ComparePageTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<int>("appearance");
    QTest::addColumn<QSize>("size");
    QTest::newRow("dark") << static_cast<int>(ui::Appearance::Dark) << QSize(1440, 900);
    QTest::newRow("light") << static_cast<int>(ui::Appearance::Light) << QSize(1440, 900);
    QTest::newRow("dark-min") << static_cast<int>(ui::Appearance::Dark) << QSize(1280, 720);
    QTest::newRow("light-min") << static_cast<int>(ui::Appearance::Light) << QSize(1280, 720);
}

void ComparePageTest::screenshotsOfBothThemes()
{
    QFETCH(int, appearance);
    QFETCH(QSize, size);
    ui::applyTheme(*qApp, static_cast<ui::Appearance>(appearance));
    m_window->resize(size);
    take(ComparePage::A, QStringLiteral("Run 1"));
    take(ComparePage::B, QStringLiteral("Run 2"));
    QVERIFY(waitForResult());
    page().plot()->goTo(model().layerAt(0));
    QTest::qWait(120);
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    QVERIFY(m_window->grab().save(folder.filePath(QStringLiteral("compare-runs-%1.png").arg(QString::fromLatin1(QTest::currentDataTag())))));
    take(ComparePage::A, QStringLiteral("the open model"));
    take(ComparePage::B, QStringLiteral("b.gguf, written by run 2"));
    QVERIFY(waitForResult());
    QTest::qWait(120);
    QVERIFY(m_window->grab().save(folder.filePath(QStringLiteral("compare-models-%1.png").arg(QString::fromLatin1(QTest::currentDataTag())))));
    QCOMPARE(m_window->size(), size);
}

QTEST_MAIN(ComparePageTest)
#include "tst_compare_page.moc"
