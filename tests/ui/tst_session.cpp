// SPDX-License-Identifier: GPL-3.0-or-later
#include "StudioFixture.h"

#include "core/project/Pipeline.h"
#include "ui/models/LayerFilter.h"
#include "ui/models/LayerTreeModel.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/session/RunController.h"
#include "ui/session/Settings.h"
#include "ui/session/Text.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>
#include <QFile>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

#include <cmath>

using namespace sigmascope;
using namespace sigmascope::test;

class SessionTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { isolateSettings(m_folder); }
    void init() { m_session = makeSession(); }
    void cleanup() { m_session.reset(); }

    void opensTheSampleWithItsCalibrationAndAPlan();
    void aFileThatIsNoModelIsRefusedInWords();
    void oneDragIsOneUndoStep();
    void aDragBackHomeLeavesNoStep();
    void ranksStayWithinTheMatrix();
    void changingBitsMakesThePreviewStaleAndRecomputesIt();
    void changingTheSolverMakesThePreviewStaleAndSearchesUnderTheMetric();
    void aSolverIsOneStepAndLeavesOutWhatHasNothingToChoose();
    void anotherGridThatLeavesTheSolverNothingTakesTheNearestCode();
    void theInspectorSaysWhyThereIsNoSolverToChoose();
    void theBudgetFollowsTheRankToTheByte();
    void eightBitFactorsCostWhatIsStored();
    void theInspectorSaysWhyEightBitsDoNotFit();
    void anEditOfManyLayersIsOneStep();
    void whatIsWrittenHasTheEstimatedSize();
    void cancelLeavesNoFile();
    void aPlanEditedAfterARunIsNoLongerMeasured();
    void filterTermsNarrowTheTree();
    void aWrongTermIsNamedAndTheListStays();
    void treeShowsWhatTheSessionKnows();
    void recentFilesKeepTheNewestFirst();
    void timeLeftIsSaidInRoundWords();

private:
    [[nodiscard]] std::vector<std::size_t> current() const { return {*m_session->current()}; }

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
};

void SessionTest::opensTheSampleWithItsCalibrationAndAPlan()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QCOMPARE(m_session->checkpoint()->tensors().size(), std::size_t(39));
    QVERIFY(m_session->calibration() != nullptr);
    const LayerPlan& plan = m_session->layer(*m_session->current());
    QVERIFY(!plan.keep);
    QCOMPARE(plan.preset, std::string("l2qer-w4"));
    QVERIFY(m_session->preview(*m_session->current())->es.has_value());
    QVERIFY(m_session->estimate().has_value());
}

void SessionTest::aFileThatIsNoModelIsRefusedInWords()
{
    const QString path = m_folder.filePath(QStringLiteral("no-model.gguf"));
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("PK\x03\x04 something else entirely, long enough to have a header");
    file.close();
    QSignalSpy failed(m_session.get(), &ui::Session::openFailed);
    m_session->open(path);
    QVERIFY(failed.wait(5000));
    QVERIFY(failed.front().at(1).toString().contains(QLatin1String("no-model.gguf")));
    QVERIFY(!m_session->isOpen());
}

void SessionTest::oneDragIsOneUndoStep()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const auto before = m_session->layer(current().front()).rank;
    const quint64 gesture = m_session->newGesture();
    for (const int rank : {40, 45, 50, 61})
        m_session->setRank(current(), rank, gesture);
    QCOMPARE(m_session->undoStack().count(), 1);
    QCOMPARE(m_session->layer(current().front()).rank, 61U);
    m_session->undoStack().undo();
    QCOMPARE(m_session->layer(current().front()).rank, before);
    m_session->undoStack().redo();
    QCOMPARE(m_session->layer(current().front()).rank, 61U);
}

void SessionTest::aDragBackHomeLeavesNoStep()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const int home = static_cast<int>(m_session->layer(current().front()).rank);
    const quint64 gesture = m_session->newGesture();
    for (const int rank : {home + 3, home + 9, home})
        m_session->setRank(current(), rank, gesture);
    QCOMPARE(m_session->undoStack().count(), 0);
}

void SessionTest::ranksStayWithinTheMatrix()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    m_session->setRank(current(), 1000000);
    QCOMPARE(static_cast<int>(m_session->layer(current().front()).rank), m_session->maxRank(current().front()));
    m_session->changeRank(current(), -2000000);
    QCOMPARE(m_session->layer(current().front()).rank, 0U);
}

void SessionTest::changingBitsMakesThePreviewStaleAndRecomputesIt()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = current().front();
    const double at4 = m_session->preview(tensor)->shownError().errorAtRank(0);
    m_session->setBits(current(), 8);
    QVERIFY(!m_session->isPreviewCurrent(tensor));
    QVERIFY(!m_session->shownError(tensor).has_value());
    QTRY_VERIFY_WITH_TIMEOUT(m_session->isPreviewCurrent(tensor), 30000);
    const double at8 = m_session->preview(tensor)->shownError().errorAtRank(0);
    QVERIFY2(at8 < at4 / 8, "four more bits divide the error by about sixteen");
}

void SessionTest::changingTheSolverMakesThePreviewStaleAndSearchesUnderTheMetric()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = current().front();
    const double nearest = m_session->preview(tensor)->shownError().errorAtRank(0);
    m_session->setSolver(current(), QStringLiteral("clip-search"));
    QVERIFY(!m_session->isPreviewCurrent(tensor));
    QVERIFY(!m_session->shownError(tensor).has_value());
    QTRY_VERIFY_WITH_TIMEOUT(m_session->isPreviewCurrent(tensor), 30000);
    const double searched = m_session->preview(tensor)->shownError().errorAtRank(0);
    QVERIFY2(searched < 0.99 * nearest, qPrintable(QStringLiteral("%1 of %2").arg(searched).arg(nearest)));
    // A run that corrects nothing measures the very error that was foretold.
    m_session->setRank(current(), 0);
    ui::RunController run(*m_session);
    QSignalSpy finished(&run, &ui::RunController::finished);
    run.start(m_folder.filePath(QStringLiteral("searched.gguf")), false);
    QVERIFY(finished.wait(60000));
    const double measured = m_session->shownError(tensor)->value;
    QVERIFY2(std::fabs(measured - searched) < 1e-6 * searched,
             qPrintable(QStringLiteral("%1 %2").arg(measured).arg(searched)));
}

void SessionTest::aSolverIsOneStepAndLeavesOutWhatHasNothingToChoose()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    std::vector<std::size_t> layers;
    for (std::size_t i = 0; i < m_session->checkpoint()->tensors().size(); ++i) {
        if (!m_session->layer(i).keep)
            layers.push_back(i);
    }
    m_session->setFamily({layers.front()}, QStringLiteral("q4_1"));
    m_session->setKeep({layers.back()}, true);
    m_session->undoStack().clear();
    m_session->setSolver(layers, QStringLiteral("clip-search"));
    QCOMPARE(m_session->undoStack().count(), 1);
    for (const std::size_t i : layers) {
        const bool isSearched = i != layers.front() && i != layers.back();
        QCOMPARE(m_session->layer(i).solver, std::string(isSearched ? "clip-search" : "nearest"));
    }
    m_session->undoStack().undo();
    for (const std::size_t i : layers)
        QCOMPARE(m_session->layer(i).solver, std::string("nearest"));
}

void SessionTest::anotherGridThatLeavesTheSolverNothingTakesTheNearestCode()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = current().front();
    m_session->setSolver(current(), QStringLiteral("clip-search"));
    m_session->setBits(current(), 8);
    QCOMPARE(m_session->layer(tensor).solver, std::string("clip-search"));
    m_session->setFamily(current(), QStringLiteral("q4_1"));
    QCOMPARE(m_session->layer(tensor).solver, std::string("nearest"));
    m_session->undoStack().undo();
    QCOMPARE(m_session->layer(tensor).solver, std::string("clip-search"));
    m_session->setPreset(current(), QStringLiteral("rtn-w4"));
    QCOMPARE(m_session->layer(tensor).solver, std::string("nearest"));
}

void SessionTest::theInspectorSaysWhyThereIsNoSolverToChoose()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    ui::InspectorPanel panel(*m_session);
    QComboBox* solver = panel.solverCombo();
    QVERIFY(solver->isEnabled());
    const int searching = solver->findData(QStringLiteral("clip-search"));
    emit solver->activated(searching);
    QCOMPARE(m_session->layer(current().front()).solver, std::string("clip-search"));
    QCOMPARE(solver->currentIndex(), searching);
    m_session->setFamily(current(), QStringLiteral("nf-g64-dq"));
    QVERIFY(!solver->isEnabled());
    QVERIFY(solver->toolTip().contains(QStringLiteral("no range")));
    QCOMPARE(solver->currentData().toString(), QStringLiteral("nearest"));
}

void SessionTest::theBudgetFollowsTheRankToTheByte()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = current().front();
    const Bytes factors = m_session->estimate()->factors;
    const auto rank = m_session->layer(tensor).rank;
    m_session->setRank(current(), static_cast<int>(rank) + 5);
    const Shape& shape = m_session->tensor(tensor).shape;
    QCOMPARE(m_session->estimate()->factors - factors, Bytes(5 * 2 * (shape[0] + shape[1])));
}

void SessionTest::eightBitFactorsCostWhatIsStored()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = current().front();
    const Shape& shape = m_session->tensor(tensor).shape;
    m_session->setRank(current(), 64);
    const Bytes codes = m_session->plannedBytes(tensor) - Bytes(64 * 2 * (shape[0] + shape[1]));
    m_session->setFactors(current(), FactorType::Q8_0);
    // 32 codes and one scale of 2 bytes to a block.
    QCOMPARE(m_session->plannedBytes(tensor) - codes, Bytes(64 * 34 * (shape[0] + shape[1]) / 32));
    QCOMPARE(m_session->bytesPerRank(tensor) * 64, static_cast<double>(m_session->plannedBytes(tensor) - codes));
    m_session->setRank(current(), 63);
    QCOMPARE(m_session->bytesPerRank(tensor) * 63, static_cast<double>(63 * 2 * (shape[0] + shape[1])));
}

void SessionTest::theInspectorSaysWhyEightBitsDoNotFit()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    ui::InspectorPanel panel(*m_session);
    m_session->setRank(current(), 40);
    const QToolButton* eight = panel.factorsControl()->button(8);
    QVERIFY(!eight->isEnabled());
    QVERIFY(eight->toolTip().contains(QStringLiteral("multiples of 32")));
    m_session->setRank(current(), 64);
    eight = panel.factorsControl()->button(8);
    QVERIFY(eight->isEnabled());
    emit panel.factorsControl()->valueChosen(8);
    QCOMPARE(m_session->layer(current().front()).factors, FactorType::Q8_0);
    QCOMPARE(panel.factorsControl()->value(), std::optional(8));
    // Metric and factors change at once: neither hides the other.
    m_session->edit(current(), QStringLiteral("both"), [](LayerPlan& plan) {
        plan.metric = MetricKind::Plain;
        plan.factors = FactorType::F16;
    });
    m_session->edit(current(), QStringLiteral("both"), [](LayerPlan& plan) {
        plan.metric = static_cast<MetricKind>(static_cast<int>(MetricKind::Plain) + 1);
        plan.factors = FactorType::F32;
    });
    QCOMPARE(panel.factorsControl()->value(), std::optional(32));
}

void SessionTest::anEditOfManyLayersIsOneStep()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    std::vector<std::size_t> layers;
    for (std::size_t i = 0; i < m_session->checkpoint()->tensors().size(); ++i) {
        if (!m_session->layer(i).keep)
            layers.push_back(i);
    }
    QCOMPARE(layers.size(), std::size_t(28));
    m_session->setBits(layers, 5);
    QCOMPARE(m_session->undoStack().count(), 1);
    for (const std::size_t i : layers)
        QCOMPARE((*findGrid(m_session->layer(i).grid))->bits(), 5);
    m_session->undoStack().undo();
    for (const std::size_t i : layers)
        QCOMPARE((*findGrid(m_session->layer(i).grid))->bits(), 4);
}

void SessionTest::whatIsWrittenHasTheEstimatedSize()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    ui::RunController run(*m_session);
    QSignalSpy finished(&run, &ui::RunController::finished);
    const QString path = m_folder.filePath(QStringLiteral("sized.gguf"));
    const Bytes expected = m_session->estimate()->total;
    run.start(path, false);
    QVERIFY(finished.wait(60000));
    QCOMPARE(run.lastResult()->writtenBytes, expected);
    Bytes onDisk = 0;
    for (const OutputFile& file : run.lastResult()->outputs)
        onDisk += static_cast<Bytes>(QFileInfo(ui::fromPath(file.path)).size());
    QCOMPARE(onDisk, expected);
}

void SessionTest::cancelLeavesNoFile()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    ui::RunController run(*m_session);
    QSignalSpy cancelled(&run, &ui::RunController::cancelled);
    QDir(m_folder.path()).mkdir(QStringLiteral("cancelled"));
    const QString path = m_folder.filePath(QStringLiteral("cancelled/model.gguf"));
    run.start(path, false);
    run.cancel();
    QVERIFY(cancelled.wait(5000));
    QVERIFY(!run.isRunning());
    // The job sees its stop token within 100 ms and takes its temporary file with it.
    QTRY_VERIFY_WITH_TIMEOUT(QDir(m_folder.filePath(QStringLiteral("cancelled"))).isEmpty(QDir::Files | QDir::Hidden), 5000);
}

void SessionTest::aPlanEditedAfterARunIsNoLongerMeasured()
{
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    ui::RunController run(*m_session);
    QSignalSpy finished(&run, &ui::RunController::finished);
    run.start(m_folder.filePath(QStringLiteral("edited.gguf")), false);
    QVERIFY(finished.wait(60000));
    const std::size_t tensor = current().front();
    QVERIFY(m_session->measured(tensor) != nullptr);
    QVERIFY(m_session->shownError(tensor)->isMeasured);
    // The estimate before the run and the measurement after differ by the rounding of the factors alone.
    const double measured = m_session->shownError(tensor)->value;
    const double estimated = m_session->preview(tensor)->shownError().errorAtRank(m_session->layer(tensor).rank);
    QVERIFY2(std::fabs(measured - estimated) < 0.01 * estimated, qPrintable(QStringLiteral("%1 %2").arg(measured).arg(estimated)));
    m_session->setRank(current(), 3);
    QVERIFY(m_session->measured(tensor) == nullptr);
    QVERIFY(!m_session->shownError(tensor)->isMeasured);
    m_session->undoStack().undo();
    QVERIFY(m_session->measured(tensor) != nullptr);
}

void SessionTest::filterTermsNarrowTheTree()
{
    ui::LayerTreeModel model(*m_session);
    ui::LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const auto leaves = [&] {
        int count = 0;
        for (int row = 0; row < filter.rowCount(); ++row) {
            const QModelIndex top = filter.index(row, 0);
            count += filter.rowCount(top) == 0 ? 1 : filter.rowCount(top);
        }
        return count;
    };
    QCOMPARE(leaves(), 39);
    QVERIFY(!filter.setText(QStringLiteral("role:down")));
    QCOMPARE(leaves(), 4);
    QVERIFY(!filter.setText(QStringLiteral("role:proj bits<=4")));
    QCOMPARE(leaves(), 28);
    QVERIFY(!filter.setText(QStringLiteral("layers.2")));
    QCOMPARE(leaves(), 9);
    QVERIFY(!filter.setText(QStringLiteral("changed")));
    QCOMPARE(leaves(), 0);
    m_session->setPinned(current(), true);
    QVERIFY(!filter.setText(QStringLiteral("pinned")));
    QCOMPARE(leaves(), 1);
}

void SessionTest::aWrongTermIsNamedAndTheListStays()
{
    ui::LayerTreeModel model(*m_session);
    ui::LayerFilter filter(model);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const int rows = filter.rowCount();
    const auto wrong = filter.setText(QStringLiteral("bits<four"));
    QVERIFY(wrong.has_value());
    QCOMPARE(*wrong, QStringLiteral("bits<four"));
    QCOMPARE(filter.rowCount(), rows);
}

void SessionTest::treeShowsWhatTheSessionKnows()
{
    ui::LayerTreeModel model(*m_session);
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    const std::size_t tensor = current().front();
    const QModelIndex row = model.indexOf(tensor);
    QCOMPARE(model.tensorAt(row), std::optional(tensor));
    const double shown = row.data(ui::ErrorRole).toDouble();
    QCOMPARE(shown, m_session->shownError(tensor)->value);
    QCOMPARE(row.siblingAtColumn(ui::LayerRank).data().toString(), QString::number(m_session->layer(tensor).rank));
    QSignalSpy changed(&model, &QAbstractItemModel::dataChanged);
    m_session->setRank(current(), 7);
    QVERIFY(changed.count() >= 1);
    QCOMPARE(row.siblingAtColumn(ui::LayerRank).data().toString(), QStringLiteral("7"));
    QCOMPARE(row.data(ui::BytesRole).toULongLong(), qulonglong(m_session->plannedBytes(tensor)));
}

void SessionTest::recentFilesKeepTheNewestFirst()
{
    for (int i = 0; i < 14; ++i)
        ui::Settings::addRecentFile(QStringLiteral("/models/%1").arg(i));
    ui::Settings::addRecentFile(QStringLiteral("/models/9"));
    QCOMPARE(ui::Settings::recentFiles().size(), 10);
    QCOMPARE(ui::Settings::recentFiles().at(0), QStringLiteral("/models/9"));
    QCOMPARE(ui::Settings::recentFiles().at(1), QStringLiteral("/models/13"));
    QCOMPARE(ui::Settings::recentFiles().count(QStringLiteral("/models/9")), 1);
}

void SessionTest::timeLeftIsSaidInRoundWords()
{
    QCOMPARE(ui::timeLeft(0.02, 100), QString());
    QCOMPARE(ui::timeLeft(0.5, 40), QStringLiteral("about 40 s left"));
    QCOMPARE(ui::timeLeft(0.5, 120), QStringLiteral("about 2 min left"));
    QCOMPARE(ui::timeLeft(1, 120), QString());
}

QTEST_MAIN(SessionTest)
#include "tst_session.moc"
