// SPDX-License-Identifier: GPL-3.0-or-later
// The whole thread through the window, with real mouse and keyboard.
#include "StudioFixture.h"

#include "core/checkpoint/Checkpoint.h"
#include "ui/models/RunTableModel.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/RunPage.h"
#include "ui/panels/StartPage.h"
#include "ui/plots/DensityPlot.h"
#include "ui/plots/SpectrumPlot.h"
#include "ui/session/RunController.h"
#include "ui/session/Text.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/SegmentedControl.h"

#include <QDir>
#include <QDockWidget>
#include <QFile>
#include <QLineEdit>
#include <QMimeData>
#include <QPushButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTabWidget>
#include <QTableView>
#include <QToolButton>
#include <QTreeView>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::MainWindow;

class StudioTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();

    void theSampleOpensWithOneClick();
    void draggingTheMarkerReachesTheAdapterFile();
    void escapeDuringADragRestoresTheRank();
    void fieldSliderAndMarkerShowOneValue();
    void keysSetBitsRankAndPin();
    void severalSelectedLayersAreEditedTogether();
    void changingOneWeightChangesTheNumbersShown();
    void otherPagesLeaveTheDocksTheirWidths();
    void aFileDroppedOnTheWindowOpens();
    void aMissingFileSaysSo();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    /// Presses at the grip, moves to a rank in steps as a hand does, without letting go.
    void dragMarkerTo(int rank);
    void releaseMarkerAt(int rank);
    [[nodiscard]] std::size_t tensorNamed(const char* name) const;
    void clickLayer(std::size_t tensor, Qt::KeyboardModifiers modifiers = {});
    bool waitForPreview();

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<MainWindow> m_window;
};

void StudioTest::initTestCase()
{
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

void StudioTest::init()
{
    m_session = makeSession();
    m_window = std::make_unique<MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
}

void StudioTest::cleanup()
{
    m_window.reset();
    m_session.reset();
}

bool StudioTest::waitForPreview()
{
    return QTest::qWaitFor([this] { return m_session->isOpen() && m_session->current() && m_session->isPreviewCurrent(*m_session->current()); }, 30000);
}

std::size_t StudioTest::tensorNamed(const char* name) const
{
    return m_session->checkpoint()->find(name).value();
}

void StudioTest::clickLayer(std::size_t tensor, Qt::KeyboardModifiers modifiers)
{
    QTreeView* tree = m_window->layerPanel()->tree();
    const QString name = QString::fromStdString(m_session->tensor(tensor).name);
    // Find the row by what the user sees of it: its tooltip is the tensor's own name.
    const QModelIndexList found = tree->model()->match(tree->model()->index(0, 0), Qt::ToolTipRole, name, 1, Qt::MatchStartsWith | Qt::MatchRecursive);
    QVERIFY(!found.isEmpty());
    tree->scrollTo(found.front());
    QTest::mouseClick(tree->viewport(), Qt::LeftButton, modifiers, tree->visualRect(found.front()).center());
}

void StudioTest::dragMarkerTo(int rank)
{
    ui::SpectrumPlot* plot = m_window->inspectPage()->spectrum();
    const QPoint grip = plot->markerPosition();
    const QPoint target = plot->positionOfRank(rank);
    QWidget* canvas = plot->childAt(grip);
    QVERIFY(canvas != nullptr);
    const auto local = [&](const QPoint& p) { return canvas->mapFrom(plot, p); };
    QTest::mousePress(canvas, Qt::LeftButton, {}, local(grip));
    for (int step = 1; step <= 8; ++step) {
        const QPoint at(grip.x() + (target.x() - grip.x()) * step / 8, grip.y());
        QTest::mouseMove(canvas, local(at));
        QCoreApplication::processEvents();
    }
}

void StudioTest::releaseMarkerAt(int rank)
{
    ui::SpectrumPlot* plot = m_window->inspectPage()->spectrum();
    const QPoint at(plot->positionOfRank(rank).x(), plot->markerPosition().y());
    QWidget* canvas = plot->childAt(plot->markerPosition());
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, canvas->mapFrom(plot, at));
}

void StudioTest::theSampleOpensWithOneClick()
{
    auto* button = m_window->startPage()->findChild<QPushButton*>(QStringLiteral("sample"));
    QTest::mouseClick(button, Qt::LeftButton);
    QVERIFY(waitForPreview());
    QVERIFY(m_window->inspectPage()->isVisible());
    QCOMPARE(m_window->budget()->view().fileBytes, quint64(m_session->estimate()->total));
    QCOMPARE(m_window->windowTitle(), QStringLiteral("sample — Sigmascope"));
}

void StudioTest::draggingTheMarkerReachesTheAdapterFile()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    const std::size_t tensor = tensorNamed("model.layers.2.mlp.down_proj.weight");
    clickLayer(tensor);
    QVERIFY(waitForPreview());
    QCOMPARE(m_session->current(), std::optional(tensor));
    const auto before = m_session->layer(tensor).rank;

    const quint64 bytesBefore = m_window->budget()->view().fileBytes;
    const QString errorBefore = m_window->inspector()->resultText(QStringLiteral("output-error"));
    dragMarkerTo(96);
    // Still held: everything follows already, with no recomputation.
    QVERIFY(!m_session->isAnalysing());
    QVERIFY(m_window->budget()->view().fileBytes > bytesBefore);
    QVERIFY(m_window->inspector()->resultText(QStringLiteral("output-error")) != errorBefore);
    releaseMarkerAt(96);
    const unsigned rank = m_session->layer(tensor).rank;
    QVERIFY2(rank > before && std::abs(static_cast<int>(rank) - 96) <= 2, qPrintable(QString::number(rank)));
    QCOMPARE(m_window->inspectPage()->spectrum()->markerRank(), static_cast<int>(rank));
    QCOMPARE(m_session->undoStack().count(), 1);
    QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier);
    QCOMPARE(m_session->layer(tensor).rank, before);
    QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    QCOMPARE(m_session->layer(tensor).rank, rank);

    const QString output = m_folder.filePath(QStringLiteral("dragged.gguf"));
    m_window->runPage()->setOutput(output);
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    QSignalSpy layers(&m_window->runController(), &ui::RunController::layerFinished);
    QTest::keyClick(m_window.get(), Qt::Key_F5);
    QVERIFY(m_window->runPage()->isVisible());
    QVERIFY2(finished.wait(60000), qPrintable(m_window->runPage()->message()));

    const auto adapter = Checkpoint::open(ui::toPath(m_folder.filePath(QStringLiteral("dragged-lora.gguf"))));
    QVERIFY(adapter.has_value());
    const auto factor = (*adapter)->find("blk.2.ffn_down.weight.lora_a");
    QVERIFY(factor.has_value());
    QCOMPARE((*adapter)->tensors()[*factor].shape.front(), std::uint64_t(rank));

    // Every layer's error came as it finished, and the table says what the run measured.
    QVERIFY(layers.count() >= 1);
    const RunResult& result = *m_window->runController().lastResult();
    const QAbstractItemModel* table = m_window->runPage()->table()->model();
    QCOMPARE(table->rowCount(), static_cast<int>(result.tensors.size()));
    for (int row = 0; row < table->rowCount(); ++row) {
        const auto& measured = result.tensors[static_cast<std::size_t>(row)];
        if (measured.metricError)
            QCOMPARE(table->index(row, ui::RunTableModel::OutputError).data().toString().trimmed(), QLocale().toString(100 * *measured.metricError, 'f', 2));
    }
    QVERIFY(m_window->runPage()->loadCommand().contains(QLatin1String("dragged-lora.gguf")));
    QVERIFY(m_session->shownError(tensor)->isMeasured);
}

void StudioTest::escapeDuringADragRestoresTheRank()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    const std::size_t tensor = *m_session->current();
    const auto before = m_session->layer(tensor).rank;
    dragMarkerTo(4);
    QVERIFY(m_session->layer(tensor).rank != before);
    QTest::keyClick(m_window->inspectPage()->spectrum(), Qt::Key_Escape);
    QCOMPARE(m_session->layer(tensor).rank, before);
    QCOMPARE(m_session->undoStack().count(), 0);
    releaseMarkerAt(4);
    QCOMPARE(m_session->layer(tensor).rank, before);
}

void StudioTest::fieldSliderAndMarkerShowOneValue()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    QSpinBox* field = m_window->inspector()->rankField();
    field->setFocus();
    field->selectAll();
    QTest::keyClicks(field, QStringLiteral("57"));
    QTest::keyClick(field, Qt::Key_Return);
    QCOMPARE(m_session->layer(*m_session->current()).rank, 57U);
    QCOMPARE(m_window->inspectPage()->spectrum()->markerRank(), 57);
    QCOMPARE(m_session->undoStack().count(), 1);
}

void StudioTest::keysSetBitsRankAndPin()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    const std::size_t tensor = *m_session->current();
    const unsigned rank = m_session->layer(tensor).rank;
    m_window->layerPanel()->focusTree();
    QTest::keyClick(m_window->layerPanel()->tree(), Qt::Key_8);
    QCOMPARE(m_session->layer(tensor).grid, std::string("q8_0"));
    QTest::keyClick(m_window->layerPanel()->tree(), Qt::Key_Plus);
    QTest::keyClick(m_window->layerPanel()->tree(), Qt::Key_Plus);
    QCOMPARE(m_session->layer(tensor).rank, rank + 2);
    QCOMPARE(m_session->undoStack().count(), 2);
    QTest::keyClick(m_window->layerPanel()->tree(), Qt::Key_Space);
    QVERIFY(m_session->layer(tensor).pinned);
    // In a field the same keys are text.
    m_window->layerPanel()->focusFilter();
    QTest::keyClicks(m_window->layerPanel()->filterField(), QStringLiteral("5 m"));
    QCOMPARE(m_window->layerPanel()->filterField()->text(), QStringLiteral("5 m"));
    QCOMPARE(m_session->layer(tensor).grid, std::string("q8_0"));
    QVERIFY(!m_session->layer(tensor).keep);
}

void StudioTest::severalSelectedLayersAreEditedTogether()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    const std::size_t up = tensorNamed("model.layers.1.mlp.up_proj.weight");
    const std::size_t gate = tensorNamed("model.layers.1.mlp.gate_proj.weight");
    clickLayer(up);
    clickLayer(gate, Qt::ControlModifier);
    QCOMPARE(m_session->selection().size(), std::size_t(2));
    QToolButton* five = m_window->inspector()->bitsControl()->button(5);
    QVERIFY(five != nullptr && five->isEnabled());
    QTest::mouseClick(five, Qt::LeftButton);
    QCOMPARE(m_session->layer(up).grid, std::string("q5_0"));
    QCOMPARE(m_session->layer(gate).grid, std::string("q5_0"));
    QCOMPARE(m_session->undoStack().count(), 1);
}

void StudioTest::changingOneWeightChangesTheNumbersShown()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    const std::size_t tensor = *m_session->current();
    const QString errorBefore = m_window->inspector()->resultText(QStringLiteral("output-error"));
    const double maxBefore = m_session->values(tensor)->stats.max;
    const TensorInfo& info_ = m_session->tensor(tensor);
    const auto offset = static_cast<qint64>(info_.offset);

    const QString copy = copySample(m_folder.filePath(QStringLiteral("changed")));
    QFile file(QDir(copy).filePath(QStringLiteral("model.safetensors")));
    QVERIFY(file.open(QIODevice::ReadWrite));
    QVERIFY(file.seek(offset));
    const char loud[] = {0x00, 0x42};  // BF16 32.0, far beyond the layer's other weights
    QCOMPARE(file.write(loud, 2), qint64(2));
    file.close();

    m_window->openPath(copy);
    QVERIFY(QTest::qWaitFor([&] { return m_session->path() == copy; }, 10000));
    QVERIFY(waitForPreview());
    QCOMPARE(m_session->values(tensor)->stats.max, 32.0);
    QVERIFY(maxBefore < 2.0);
    const QString errorAfter = m_window->inspector()->resultText(QStringLiteral("output-error"));
    QVERIFY2(errorAfter != errorBefore, qPrintable(errorBefore + QLatin1Char(' ') + errorAfter));
}

void StudioTest::otherPagesLeaveTheDocksTheirWidths()
{
    m_window->openSample();
    QVERIFY(waitForPreview());
    QTest::qWait(1);  // docks take their first widths as soon as they are shown
    auto* dock = m_window->findChild<QDockWidget*>(QStringLiteral("inspector"));
    m_window->resizeDocks({dock}, {ui::px(300)}, Qt::Horizontal);
    QTRY_COMPARE(dock->width(), ui::px(300));
    for (const MainWindow::Page other : {MainWindow::Export, MainWindow::Plan}) {
        m_window->showPage(other);
        QVERIFY(!dock->isVisible());
        m_window->showPage(MainWindow::Inspect);
        QTest::qWait(50);
        QCOMPARE(dock->width(), ui::px(300));
    }
}

void StudioTest::aFileDroppedOnTheWindowOpens()
{
    QMimeData data;
    data.setUrls({QUrl::fromLocalFile(sampleFolder() + QStringLiteral("/model.safetensors"))});
    QDragEnterEvent enter(QPoint(100, 100), Qt::CopyAction, &data, Qt::LeftButton, {});
    QCoreApplication::sendEvent(m_window.get(), &enter);
    QVERIFY(enter.isAccepted());
    QDropEvent drop(QPointF(100, 100), Qt::CopyAction, &data, Qt::LeftButton, {});
    QCoreApplication::sendEvent(m_window.get(), &drop);
    QVERIFY(waitForPreview());
}

void StudioTest::aMissingFileSaysSo()
{
    QSignalSpy failed(m_session.get(), &ui::Session::openFailed);
    m_window->openPath(QStringLiteral("/nowhere/at/all.safetensors"));
    QVERIFY(failed.wait(5000));
    QVERIFY(m_window->startPage()->message().contains(QLatin1String("/nowhere/at/all.safetensors")));
}

void StudioTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::newRow("dark") << true;
    QTest::newRow("light") << false;
}

/// Kept for people to look at; what is asserted is structure: nothing empty, nothing cut.
void StudioTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    const QString suffix = QStringLiteral("-%1-%2.png").arg(dark ? QStringLiteral("dark") : QStringLiteral("light")).arg(qApp->devicePixelRatio());
    const auto keep = [&](const char* name) {
        QTest::qWait(250);  // queued replots
        QVERIFY(m_window->grab().save(folder.filePath(QLatin1String(name) + suffix)));
    };
    keep("start");
    m_window->openSample();
    QVERIFY(waitForPreview());
    clickLayer(tensorNamed("model.layers.1.mlp.down_proj.weight"));
    QVERIFY(waitForPreview());
    QTabWidget* tabs = m_window->inspectPage()->tabs();
    keep("spectrum");
    QVERIFY(m_window->inspectPage()->spectrum()->isSeriesDrawn(ui::Series::ES));
    tabs->setCurrentIndex(0);
    keep("density");
    QCOMPARE(m_window->inspectPage()->density()->levelCount(), 16);
    tabs->setCurrentIndex(tabs->count() - 1);
    keep("statistics");
    tabs->setCurrentIndex(1);
    m_window->runPage()->setOutput(m_folder.filePath(QStringLiteral("shot%1.gguf").arg(dark)));
    QSignalSpy finished(&m_window->runController(), &ui::RunController::finished);
    QTest::keyClick(m_window.get(), Qt::Key_F5);
    QVERIFY(finished.wait(60000));
    keep("quantize");
    m_window->resize(1440, 900);
    keep("quantize-1440");
    m_window->showPage(MainWindow::Inspect);
    keep("spectrum-1440");
    tabs->setCurrentIndex(0);
    keep("density-1440");
    QVERIFY(!m_window->inspectPage()->density()->errorLabels().isEmpty());
    for (const auto* label : m_window->inspector()->findChildren<QLabel*>()) {
        if (label->isVisible() && !label->wordWrap() && !label->text().isEmpty())
            QVERIFY2(label->width() + 1 >= label->sizeHint().width() - 2 * label->margin(), qPrintable(label->text()));
    }
}

QTEST_MAIN(StudioTest)
#include "tst_studio.moc"
