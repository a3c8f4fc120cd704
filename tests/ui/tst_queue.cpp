// SPDX-License-Identifier: GPL-3.0-or-later
// The queue by mouse and keys: what waits is reordered, the run pauses, a layer fails and is tried again, the window is
// closed in the middle. Files are those of a run that nobody touched.
#include "QueueFixture.h"

#include "ui/panels/ExportPage.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/session/LatestJob.h"
#include "ui/session/Workers.h"
#include "ui/widgets/ElidedLabel.h"

#include <QAction>
#include <QCheckBox>
#include <QClipboard>
#include <QMenuBar>
#include <QMessageBox>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::MainWindow;
using ui::QueueState;
using ui::RunTableModel;

class QueueTest : public QueueFixture {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { QVERIFY(openStudio()); }
    void cleanup() { closeStudio(); }
    void everyLayerWaitsBeforeARun();
    void draggedRowsRunFirstAndTheBytesAreTheSame();
    void escapeLetsGoOfTheRows();
    void keysMoveTheSelectedRows();
    void anOrderChosenBeforehandIsKept();
    void theWindowPaintsWhileEveryWorkerIsHeld();
    void pauseAndResumeByClicks();
    void aPausedRunCanBeStoppedAndContinued();
    void aFailedLayerKeepsItsRowAndIsTriedAgain();
    void layersThatFailedAreTriedAgainAfterTheRun();
    void replacingIsAskedFor();
    void closingTheWindowAsksStopsSoonAndKeepsTheJournal();
    void thereIsOnePrimaryButton();
    void theErrorStandsBesideItsEstimate();
    void aModelQuantizedBeforeIsSaidToBe();
    void theWiderSearchShowsItsGain();
    void theCommandThatLoadsTheFilesIsCopied();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    [[nodiscard]] QMessageBox* box(const char* name) const
    {
        return m_window->findChild<QMessageBox*>(QString::fromLatin1(name));
    }
    [[nodiscard]] QStringList layersFrom(int row) const
    {
        QStringList names;
        for (; row < queue().model()->rowCount(); ++row)
            names << cell(row, RunTableModel::Layer);
        return names;
    }
};

void QueueTest::everyLayerWaitsBeforeARun()
{
    m_window->showPage(MainWindow::Run);
    QCOMPARE(queue().model()->rowCount(), static_cast<int>(m_session->checkpoint()->tensors().size()));
    QCOMPARE(rowsIn(QueueState::Waiting), queue().model()->rowCount());
    QCOMPARE(cell(0, RunTableModel::Order), QStringLiteral("1"));
    QTRY_VERIFY2(page().summary().contains(QStringLiteral("39")), qPrintable(page().summary()));
    QVERIFY(!page().pauseButton()->isVisible());
    QVERIFY(!page().retryButton()->isVisible());
    // What the plan says stands in the row, and follows it.
    const std::size_t down = m_session->checkpoint()->find("model.layers.0.mlp.down_proj.weight").value();
    m_session->setRank({down}, 7);
    const QStringList plans = [this] {
        QStringList all;
        for (int row = 0; row < queue().model()->rowCount(); ++row)
            all << cell(row, RunTableModel::PlanText);
        return all;
    }();
    QVERIFY2(plans.contains(QStringLiteral("Q4_0 + r 7")), qPrintable(plans.join(u'|')));
}

void QueueTest::draggedRowsRunFirstAndTheBytesAreTheSame()
{
    QVERIFY(writeUndisturbed());
    std::vector<std::size_t> came;
    std::vector<std::size_t> file;
    connect(&run(), &ui::RunController::layersKnown, this,
            [&file](const std::vector<std::size_t>& tensors) { file = tensors; });
    connect(&run(), &ui::RunController::layerFinished, this,
            [&came](const TensorResult& result) { came.push_back(result.tensor); });
    QVERIFY(startHeld(at(QStringLiteral("dragged.gguf"))));
    const auto begun = static_cast<std::size_t>(firstWaiting());
    const int first = firstWaiting();
    const QString wanted = cell(first + 9, RunTableModel::Layer);
    const QString second = cell(first, RunTableModel::Layer);
    // To the place before the first that waits; from there upwards nothing can be dropped.
    drag(middleOf(first + 9), middleOf(first) - QPoint(0, 8));
    QVERIFY(queue().isDragging());
    QCOMPARE(cell(first, RunTableModel::Layer), second);  // nothing moves before the hand lets go
    release(middleOf(first) - QPoint(0, 8));
    QVERIFY(!queue().isDragging());
    QCOMPARE(cell(first, RunTableModel::Layer), wanted);
    QCOMPARE(cell(first + 1, RunTableModel::Layer), second);
    QSignalSpy finished(&run(), &ui::RunController::finished);
    m_gate.open();
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QCOMPARE(came.size(), m_session->checkpoint()->tensors().size());
    QVERIFY(came != file && std::ranges::is_permutation(came, file));
    const std::size_t next = came[begun];
    QCOMPARE(ui::layerTitle(m_session->topology().place(next), QString::fromStdString(m_session->tensor(next).name)),
             wanted);
    QVERIFY(isLikeUndisturbed(QStringLiteral("dragged")));
    // What is told of the run is in the file's order again.
    QVERIFY(std::ranges::equal(run().lastResult()->tensors, file, {}, &TensorResult::tensor));
}

void QueueTest::escapeLetsGoOfTheRows()
{
    m_window->showPage(MainWindow::Run);
    const QStringList before = layersFrom(0);
    drag(middleOf(8), middleOf(2));
    QVERIFY(queue().isDragging());
    QTest::keyClick(&queue(), Qt::Key_Escape);
    QVERIFY(!queue().isDragging());
    release(middleOf(2));
    QCOMPARE(layersFrom(0), before);
}

void QueueTest::keysMoveTheSelectedRows()
{
    QVERIFY(startHeld(at(QStringLiteral("keys.gguf"))));
    const int first = firstWaiting();
    const QStringList before = layersFrom(first);
    queue().setFocus();
    QTest::mouseClick(queue().viewport(), Qt::LeftButton, {}, middleOf(first + 3));
    QTest::mouseClick(queue().viewport(), Qt::LeftButton, Qt::ShiftModifier, middleOf(first + 4));
    QTest::keyClick(&queue(), Qt::Key_Up, Qt::AltModifier);
    QCOMPARE(layersFrom(first).mid(0, 6),
             (QStringList{before[0], before[1], before[3], before[4], before[2], before[5]}));
    QTest::keyClick(&queue(), Qt::Key_Down, Qt::AltModifier);
    QCOMPARE(layersFrom(first), before);
    QTest::keyClick(&queue(), Qt::Key_Home, Qt::AltModifier);
    QCOMPARE(layersFrom(first).mid(0, 5), (QStringList{before[3], before[4], before[0], before[1], before[2]}));
    QCOMPARE(queue().selectedModelRows(), (std::vector<int>{first, first + 1}));
    // The same by the menu: every one of them is there.
    QAction* down = queue().moveActions().at(1);
    QVERIFY(std::ranges::any_of(m_window->menuBar()->actions(), [down](const QAction* menu) {
        return menu->menu() != nullptr && menu->menu()->actions().contains(down);
    }));
    QVERIFY(down->isEnabled());
    down->trigger();
    QCOMPARE(layersFrom(first).mid(0, 3), (QStringList{before[0], before[3], before[4]}));
    // A layer that is done, or worked on, stays where it is.
    QTest::mouseClick(queue().viewport(), Qt::LeftButton, {}, middleOf(first - 1));
    QVERIFY(!down->isEnabled());
    QTest::keyClick(&queue(), Qt::Key_Home, Qt::AltModifier);
    QCOMPARE(state(first - 1), QStringLiteral("codes"));
    QSignalSpy cancelled(&run(), &ui::RunController::cancelled);
    QTest::keyClick(m_window.get(), Qt::Key_F5, Qt::ShiftModifier);
    QVERIFY(cancelled.wait(20000));
}

void QueueTest::anOrderChosenBeforehandIsKept()
{
    m_window->showPage(MainWindow::Run);
    page().setOutput(at(QStringLiteral("before.gguf")));
    QTest::mouseClick(queue().viewport(), Qt::LeftButton, {}, middleOf(12));
    const QString wanted = cell(12, RunTableModel::Layer);
    QTest::keyClick(&queue(), Qt::Key_Home, Qt::AltModifier);
    QCOMPARE(cell(0, RunTableModel::Layer), wanted);
    QSignalSpy finished(&run(), &ui::RunController::finished);
    QSignalSpy layers(&run(), &ui::RunController::layerFinished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    const auto first = layers.front().front().value<TensorResult>();
    QCOMPARE(ui::layerTitle(m_session->topology().place(first.tensor), QString::fromStdString(first.name)), wanted);
    QCOMPARE(cell(0, RunTableModel::Layer), wanted);
}

// Qt paints large fills on its global pool and waits for it: no job may stand there.
void QueueTest::theWindowPaintsWhileEveryWorkerIsHeld()
{
    std::atomic<bool> go = false;
    std::atomic<int> held = 0;
    const int count = ui::workers().maxThreadCount();
    std::vector<std::unique_ptr<ui::LatestJob<int>>> jobs;
    for (int i = 0; i < count; ++i)
        jobs.emplace_back(std::make_unique<ui::LatestJob<int>>())->start(
            [&](const JobContext&) -> Result<int> {
                ++held;
                while (!go)
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                return 0;
            },
            [](const Result<int>&) {});
    QVERIFY(QTest::qWaitFor([&] { return held == count; }, 20000));
    QCOMPARE(QThreadPool::globalInstance()->activeThreadCount(), 0);
    QVERIFY(!m_window->grab().isNull());
    go = true;
    QVERIFY(QTest::qWaitFor([] { return ui::workers().activeThreadCount() == 0; }, 20000));
}

void QueueTest::pauseAndResumeByClicks()
{
    QVERIFY(writeUndisturbed());
    QVERIFY(startHeld(at(QStringLiteral("paused.gguf"))));
    QVERIFY(page().pauseButton()->isVisible());
    click(page().pauseButton());
    QVERIFY(run().isPaused());
    QCOMPARE(page().pauseButton()->text(), QStringLiteral("Resume"));
    m_gate.open();  // the layer under way may end, no other begins
    const int begun = firstWaiting();
    QVERIFY(QTest::qWaitFor([&] { return rowsIn(QueueState::Running) == 0; }, 20000));
    QTest::qWait(200);
    QCOMPARE(firstWaiting(), begun);
    QCOMPARE(rowsIn(QueueState::Waiting), queue().model()->rowCount() - begun);
    QTRY_VERIFY2(page().summary().startsWith(QStringLiteral("Paused after %1 of 39").arg(begun)),
                  qPrintable(page().summary()));
    QVERIFY(run().isRunning());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().pauseButton());
    QCOMPARE(page().pauseButton()->text(), QStringLiteral("Pause"));
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(!page().pauseButton()->isVisible());
    QVERIFY(isLikeUndisturbed(QStringLiteral("paused")));
    QCOMPARE(rowsIn(QueueState::Waiting), 0);
}

void QueueTest::aPausedRunCanBeStoppedAndContinued()
{
    QVERIFY(writeUndisturbed());
    QVERIFY(startHeld(at(QStringLiteral("stopped.gguf"))));
    QTest::keyClick(m_window.get(), Qt::Key_F5, Qt::ControlModifier);
    QVERIFY(run().isPaused());
    m_gate.open();
    QVERIFY(QTest::qWaitFor([&] { return rowsIn(QueueState::Running) == 0; }, 20000));
    QSignalSpy cancelled(&run(), &ui::RunController::cancelled);
    click(page().startButton());  // Stop
    QVERIFY(cancelled.wait(1000));
    auto* resume = page().findChild<QCheckBox*>(QStringLiteral("resume"));
    QVERIFY(resume->isVisible() && resume->isChecked());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(rowsIn(QueueState::Done) == queue().model()->rowCount());
    QCOMPARE(state(0), QStringLiteral("done before"));
    QVERIFY(isLikeUndisturbed(QStringLiteral("stopped")));
}

void QueueTest::aFailedLayerKeepsItsRowAndIsTriedAgain()
{
    QVERIFY(writeUndisturbed());
    const std::size_t gate = m_session->checkpoint()->find("model.layers.0.mlp.gate_proj.weight").value();
    QVERIFY(startHeld(at(QStringLiteral("failed.gguf"))));
    // Now that the run holds its first layer no preview can take the failure.
    m_gate.failingRows = m_session->tensor(gate).shape.front();
    m_gate.failures = 1;
    QSignalSpy failed(&run(), &ui::RunController::layerFailed);
    while (failed.isEmpty()) {
        m_gate.letPass(1);
        QTest::qWait(20);
    }
    QCOMPARE(rowsIn(QueueState::Failed), 1);
    QVERIFY(page().retryButton()->isVisible());
    QTRY_VERIFY2(page().summary().contains(QStringLiteral("1 failed")), qPrintable(page().summary()));
    const auto texts = page().findChildren<ui::ElidedLabel*>();
    QVERIFY(std::ranges::any_of(texts, [](const ui::ElidedLabel* label) {
        return label->isVisible()
            && label->text().contains(QStringLiteral("not enough memory to quantize this tensor"));
    }));
    click(page().retryButton());
    QCOMPARE(rowsIn(QueueState::Failed), 0);
    QVERIFY(!page().retryButton()->isVisible());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    m_gate.open();
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(isLikeUndisturbed(QStringLiteral("failed")));
}

void QueueTest::layersThatFailedAreTriedAgainAfterTheRun()
{
    QVERIFY(writeUndisturbed());
    const std::size_t gate = m_session->checkpoint()->find("model.layers.0.mlp.gate_proj.weight").value();
    QSignalSpy failed(&run(), &ui::RunController::failed);
    QVERIFY(startHeld(at(QStringLiteral("later.gguf"))));
    m_gate.failingRows = m_session->tensor(gate).shape.front();
    m_gate.failures = 2;
    m_gate.open();
    QVERIFY(failed.wait(60000));
    QCOMPARE(rowsIn(QueueState::Failed), 2);
    QVERIFY2(page().message().contains(QStringLiteral("2 layers failed")), qPrintable(page().message()));
    QVERIFY(!QFile::exists(at(QStringLiteral("later.gguf"))));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().retryButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QCOMPARE(rowsIn(QueueState::Done), queue().model()->rowCount());
    QVERIFY(isLikeUndisturbed(QStringLiteral("later")));
}

void QueueTest::replacingIsAskedFor()
{
    m_window->showPage(MainWindow::Run);
    const QString path = at(QStringLiteral("there.gguf"));
    QFile there(path);
    QVERIFY(there.open(QIODevice::WriteOnly) && there.write("mine") == 4);
    there.close();
    page().setOutput(path);
    click(page().startButton());
    QVERIFY(box("confirmReplace") != nullptr && !run().isRunning());
    click(box("confirmReplace")->findChild<QPushButton*>(QStringLiteral("cancelReplace")));
    QTRY_VERIFY(box("confirmReplace") == nullptr);
    QVERIFY(!run().isRunning());
    QCOMPARE(QFileInfo(path).size(), qint64(4));

    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    click(box("confirmReplace")->findChild<QPushButton*>(QStringLiteral("keepBoth")));
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QCOMPARE(page().output(), at(QStringLiteral("there-2.gguf")));
    QVERIFY(QFile::exists(page().output()));
    QCOMPARE(QFileInfo(path).size(), qint64(4));

    page().setOutput(path);
    click(page().startButton());
    QTRY_VERIFY(box("confirmReplace") != nullptr);
    click(box("confirmReplace")->findChild<QPushButton*>(QStringLiteral("replace")));
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(digest(path) == digest(at(QStringLiteral("there-2.gguf"))));
}

/// Item 105.
void QueueTest::closingTheWindowAsksStopsSoonAndKeepsTheJournal()
{
    const QString output = at(QStringLiteral("closed.gguf"));
    QVERIFY(startHeld(output));
    m_gate.letPass(3);
    QVERIFY(QTest::qWaitFor([&] { return rowsIn(QueueState::Done) >= 4 && rowsIn(QueueState::Running) == 1; }, 20000));
    QTest::keyClick(m_window.get(), Qt::Key_Q, Qt::ControlModifier);
    QVERIFY(m_window->isVisible() && run().isRunning());
    QVERIFY(box("confirmClose") != nullptr && box("confirmClose")->isVisible());
    click(box("confirmClose")->findChild<QPushButton*>(QStringLiteral("keepRunning")));
    QTRY_VERIFY(box("confirmClose") == nullptr);
    QVERIFY(m_window->isVisible() && run().isRunning());

    m_window->close();
    QVERIFY(m_window->isVisible());
    QElapsedTimer clock;
    clock.start();
    click(box("confirmClose")->findChild<QPushButton*>(QStringLiteral("stopAndClose")));
    QTRY_VERIFY_WITH_TIMEOUT(!m_window->isVisible(), 2000);
    QVERIFY2(clock.elapsed() < 1000, qPrintable(QString::number(clock.elapsed())));
    QVERIFY(!QFile::exists(output));
    QTRY_VERIFY(!run().isRunning());
    const auto kept = unfinishedRunAt(ui::toPath(output));
    QVERIFY(kept && *kept);
    QVERIFY((*kept)->finished >= 4);
    // And the next window continues it.
    closeStudio();
    QVERIFY(openStudio());
    m_window->showPage(MainWindow::Run);
    page().setOutput(output);
    QVERIFY(page().findChild<QCheckBox*>(QStringLiteral("resume"))->isVisible());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(QFile::exists(output));
    // Without a run nothing is asked.
    m_window->close();
    QVERIFY(!m_window->isVisible());
}

void QueueTest::thereIsOnePrimaryButton()
{
    const auto primaries = [this] {
        int count = 0;
        for (const auto* button : m_window->findChildren<QAbstractButton*>())
            count += button->isVisible() && button->property("primary").toBool() ? 1 : 0;
        return count;
    };
    for (const auto shown : {MainWindow::Inspect, MainWindow::Run, MainWindow::Export}) {
        m_window->showPage(shown);
        QTest::qWait(20);
        QCOMPARE(primaries(), 1);
    }
    QVERIFY(startHeld(at(QStringLiteral("primary.gguf"))));
    QCOMPARE(primaries(), 0);  // pausing and stopping are not what one is led to
    QSignalSpy cancelled(&run(), &ui::RunController::cancelled);
    click(page().startButton());
    QVERIFY(cancelled.wait(20000));
    QCOMPARE(primaries(), 1);
}

void QueueTest::theErrorStandsBesideItsEstimate()
{
    const std::size_t down = m_session->checkpoint()->find("model.layers.0.mlp.down_proj.weight").value();
    m_session->select({down}, down);
    QVERIFY(QTest::qWaitFor([&] { return m_session->isPreviewCurrent(down) && m_session->shownError(down); }, 30000));
    const double estimate = m_session->shownError(down)->value;
    m_window->showPage(MainWindow::Run);
    page().setOutput(at(QStringLiteral("errors.gguf")));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    int row = 0;
    while (queue().model()->index(row, RunTableModel::Layer).data(Qt::ToolTipRole).toString()
           != QStringLiteral("model.layers.0.mlp.down_proj.weight"))
        ++row;
    const auto measured = run().lastResult()->tensors[static_cast<std::size_t>(row)].metricError;
    QVERIFY(measured.has_value());
    const double percent = 100 * (*measured / estimate - 1);
    QCOMPARE(cell(row, RunTableModel::Deviation),
             (percent >= 0 ? QStringLiteral("+") : QString()) + ui::decimals(percent, 1));
    QVERIFY2(std::abs(percent) < 20, qPrintable(QString::number(percent)));
}

void QueueTest::aModelQuantizedBeforeIsSaidToBe()
{
    QVERIFY(writeUndisturbed());
    QVERIFY(!page().message().contains(QStringLiteral("quantized before")));
    m_window->openPath(at(QStringLiteral("undisturbed.gguf")));
    QVERIFY(QTest::qWaitFor(
        [this] { return m_session->isOpen() && m_session->checkpoint()->format() == CheckpointFormat::Gguf; }, 30000));
    m_window->showPage(MainWindow::Run);
    page().setOutput(at(QStringLiteral("again.gguf")));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    const QString expected = QStringLiteral("28 of 28 layers were quantized before (Q4_0): errors are the loss added to that");
    QVERIFY2(page().message().contains(expected), qPrintable(page().message()));
    // It is said before the run too.
    m_window->showPage(MainWindow::Export);
    QTRY_VERIFY2(m_window->exportPage()->notes().contains(expected), qPrintable(m_window->exportPage()->notes()));
}

void QueueTest::theWiderSearchShowsItsGain()
{
    const std::size_t down = m_session->checkpoint()->find("model.layers.0.mlp.down_proj.weight").value();
    const std::size_t gate = m_session->checkpoint()->find("model.layers.0.mlp.gate_proj.weight").value();
    std::vector<std::size_t> others;
    for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i) {
        if (i != down && i != gate)
            others.push_back(i);
    }
    m_session->setKeep(others, true);
    m_session->setRank({down, gate}, 0);
    m_session->setSolver({down}, QStringLiteral("wide"));
    QCOMPARE(m_session->layer(down).solver, std::string("wide"));
    const auto* inspector = m_window->findChild<ui::InspectorPanel*>();
    m_session->select({down}, down);
    const auto badge = [inspector] {
        const auto labels = inspector->findChildren<ui::ElidedLabel*>();
        const auto found
            = std::ranges::find(labels, QStringLiteral("Search gain"), [](const ui::ElidedLabel* l) { return l->text(); });
        return found != labels.end() && (*found)->isVisible();
    };
    QVERIFY(inspector->isVisible() && !badge());  // not known before the run
    m_window->showPage(MainWindow::Run);
    page().setOutput(at(QStringLiteral("wide.gguf")));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    m_window->showPage(MainWindow::Inspect);
    m_session->select({gate}, gate);
    QVERIFY(!badge());
    m_session->select({down}, down);
    QVERIFY(badge());
    const TensorResult* result = m_session->measured(down);
    QVERIFY(result != nullptr && result->searchGain && *result->searchGain > 0);
    QCOMPARE(inspector->resultText(QStringLiteral("search-gain")), ui::percent(*result->searchGain));
    // Another plan, and it is not its gain any more.
    m_session->setSolver({down}, QStringLiteral("nearest"));
    QVERIFY(!badge());
}

void QueueTest::theCommandThatLoadsTheFilesIsCopied()
{
    auto* copy = page().findChild<QPushButton*>(QStringLiteral("copyLoad"));
    QVERIFY(copy != nullptr && !copy->isVisible());
    m_window->showPage(MainWindow::Run);
    page().setOutput(at(QStringLiteral("load.gguf")));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().startButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY2(page().message().contains(QStringLiteral("read back and compared")), qPrintable(page().message()));
    QVERIFY(copy->isVisible());
    click(copy);
    QVERIFY2(QGuiApplication::clipboard()->text().startsWith(QStringLiteral("llama-cli -m ")),
             qPrintable(QGuiApplication::clipboard()->text()));
    QCOMPARE(QGuiApplication::clipboard()->text(), page().loadCommand());
}

void QueueTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::addColumn<QSize>("size");
    QTest::newRow("dark 1440") << true << QSize(1440, 900);
    QTest::newRow("light 1280") << false << QSize(1280, 720);
}

void QueueTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    QFETCH(QSize, size);
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    m_window->resize(size);
    const QString suffix
        = QStringLiteral("-%1-%2").arg(dark ? QStringLiteral("dark") : QStringLiteral("light")).arg(size.width());
    m_window->showPage(MainWindow::Run);
    page().setOutput(at(QStringLiteral("picture%1.gguf").arg(size.width())));
    keepPicture(QStringLiteral("queue-waiting") + suffix);
    const std::size_t gate = m_session->checkpoint()->find("model.layers.0.mlp.gate_proj.weight").value();
    QVERIFY(startHeld(page().output()));
    m_gate.failingRows = m_session->tensor(gate).shape.front();
    m_gate.failures = 1;
    m_gate.letPass(9);
    QVERIFY(QTest::qWaitFor([&] { return rowsIn(QueueState::Done) >= 10 && rowsIn(QueueState::Running) == 1; }, 20000));
    drag(middleOf(firstWaiting() + 4), middleOf(firstWaiting() + 1));
    keepPicture(QStringLiteral("queue-dragging") + suffix);
    QTest::keyClick(&queue(), Qt::Key_Escape);
    release(middleOf(firstWaiting() + 1));
    click(page().pauseButton());
    keepPicture(QStringLiteral("queue-paused") + suffix);
    click(page().pauseButton());
    m_window->close();
    QVERIFY(box("confirmClose") != nullptr);
    QVERIFY(box("confirmClose")
                ->grab()
                .save(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots/queue-close%1.png").arg(suffix)));
    click(box("confirmClose")->findChild<QPushButton*>(QStringLiteral("keepRunning")));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(page().retryButton());
    m_gate.open();
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    keepPicture(QStringLiteral("queue-done") + suffix);
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

QTEST_MAIN(QueueTest)
#include "tst_queue.moc"
