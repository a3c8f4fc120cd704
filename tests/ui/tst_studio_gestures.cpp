// SPDX-License-Identifier: GPL-3.0-or-later
// What a hand does with the window beyond the main thread of tst_studio: dialogs, lists, selections, stopping.
#include "CutWords.h"
#include "StudioFixture.h"

#include "ui/models/LayerRoles.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/RunPage.h"
#include "ui/panels/StartPage.h"
#include "ui/panels/StartParts.h"
#include "ui/plots/DensityPlot.h"
#include "ui/session/RunController.h"
#include "ui/session/Settings.h"
#include "ui/session/Text.h"
#include "ui/widgets/SegmentedControl.h"

#include <QCheckBox>
#include <QAbstractItemView>
#include <QComboBox>
#include <QCryptographicHash>
#include <QDialogButtonBox>
#include <QFileDialog>
#include <QLineEdit>
#include <QPushButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTabWidget>
#include <QTreeView>
#include <QtEndian>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::MainWindow;

namespace {

/// One BF16 matrix of small random weights, as a checkpoint of its own.
void writeMatrix(const QString& path, quint64 rows, quint64 cols)
{
    const quint64 bytes = rows * cols * 2;
    QByteArray header = QStringLiteral(R"({"model.layers.0.mlp.down_proj.weight":{"dtype":"BF16","shape":[%1,%2],"data_offsets":[0,%3]}})")
                            .arg(rows).arg(cols).arg(bytes).toUtf8();
    header.append(QByteArray(7 - (header.size() + 7) % 8, ' '));
    QByteArray data(static_cast<qsizetype>(bytes), Qt::Uninitialized);
    quint32 state = 1;
    for (qsizetype i = 0; i + 1 < data.size(); i += 2) {
        state = state * 1664525U + 1013904223U;
        data[i] = static_cast<char>(state >> 24U);                               // the mantissa
        data[i + 1] = static_cast<char>(0x3CU | ((state >> 16U & 1U) << 7U));    // 2^-7 … 2^-6, either sign
    }
    QFile file(path);
    const auto length = qToLittleEndian(static_cast<quint64>(header.size()));
    if (!file.open(QIODevice::WriteOnly) || file.write(reinterpret_cast<const char*>(&length), 8) != 8
        || file.write(header) != header.size() || file.write(data) != data.size())
        qFatal("the matrix could not be written");
}

}  // namespace

class StudioGesturesTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();

    void theFileDialogOpensWhatIsChosen();
    void aRecentModelOpensByClickAndByEnter();
    void deleteTakesARecentModelOffTheList();
    void aFileStillBeingDownloadedIsOfferedAgain();
    void everyFieldEditsTheWholeSelectionInOneStep();
    void onlyTheNewestOfTwoQuickChangesIsShown();
    void stoppingMidRunLeavesNoModelAndContinuesToTheSameBytes();
    void aRowAndAGroupAreLookedAtByThemselves();
    void aFigurePastTheComputedValuesSaysSoEverywhere();
    void noWordIsCutOff_data();
    void noWordIsCutOff();

private:
    [[nodiscard]] std::size_t tensorNamed(const char* name) const { return m_session->checkpoint()->find(name).value(); }
    [[nodiscard]] QModelIndex indexOf(std::size_t tensor) const;
    void clickLayer(std::size_t tensor, Qt::KeyboardModifiers modifiers = {});
    void chooseInCombo(QComboBox* combo, const QString& id);
    bool openSample();
    bool waitForPreview();
    [[nodiscard]] QStringList filesIn(const QString& folder) const;

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<MainWindow> m_window;
};

void StudioGesturesTest::initTestCase()
{
    isolateSettings(m_folder);
    QCoreApplication::setAttribute(Qt::AA_DontUseNativeDialogs);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

void StudioGesturesTest::init()
{
    QSettings().clear();
    m_session = makeSession();
    m_window = std::make_unique<MainWindow>(*m_session, sampleFolder());
    m_window->resize(1280, 720);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
}

void StudioGesturesTest::cleanup()
{
    m_window.reset();
    m_session.reset();
}

bool StudioGesturesTest::waitForPreview()
{
    return QTest::qWaitFor(
        [this] { return m_session->isOpen() && m_session->current() && m_session->isPreviewCurrent(*m_session->current()); }, 30000);
}

bool StudioGesturesTest::openSample()
{
    m_window->openSample();
    return waitForPreview();
}

/// A layer's row in the panel at the left.
QModelIndex StudioGesturesTest::indexOf(std::size_t tensor) const
{
    const QAbstractItemModel* model = m_window->layerPanel()->tree()->model();
    const QString name = QString::fromStdString(m_session->tensor(tensor).name);
    const QModelIndexList found
        = model->match(model->index(0, 0), Qt::ToolTipRole, name, 1, Qt::MatchStartsWith | Qt::MatchRecursive);
    return found.isEmpty() ? QModelIndex() : found.front();
}

void StudioGesturesTest::clickLayer(std::size_t tensor, Qt::KeyboardModifiers modifiers)
{
    QTreeView* tree = m_window->layerPanel()->tree();
    const QModelIndex row = indexOf(tensor);
    QVERIFY(row.isValid());
    tree->scrollTo(row);
    QTest::mouseClick(tree->viewport(), Qt::LeftButton, modifiers, tree->visualRect(row).center());
}

/// By keyboard, entry after entry, as a hand without a mouse.
void StudioGesturesTest::chooseInCombo(QComboBox* combo, const QString& id)
{
    const int row = combo->findData(id);
    QVERIFY2(row >= 0, qPrintable(id));
    combo->setFocus();
    QTest::keyClick(combo, Qt::Key_Space);
    QTRY_VERIFY(combo->view()->isVisible());
    QTest::keyClick(combo->view(), Qt::Key_Home);
    for (int i = 0; i < row; ++i)
        QTest::keyClick(combo->view(), Qt::Key_Down);
    QTest::keyClick(combo->view(), Qt::Key_Return);
}

QStringList StudioGesturesTest::filesIn(const QString& folder) const
{
    return QDir(folder).entryList(QDir::Files | QDir::Hidden | QDir::System, QDir::Name);
}

void StudioGesturesTest::theFileDialogOpensWhatIsChosen()
{
    QTest::keyClick(m_window.get(), Qt::Key_O, Qt::ControlModifier);
    QFileDialog* dialog = nullptr;
    QTRY_VERIFY((dialog = m_window->findChild<QFileDialog*>()) != nullptr && dialog->isVisible());
    auto* name = dialog->findChild<QLineEdit*>(QStringLiteral("fileNameEdit"));
    QVERIFY(name != nullptr);
    dialog->setDirectory(sampleFolder());
    dialog->selectFile(QStringLiteral("model.safetensors"));
    QCOMPARE(name->text(), QStringLiteral("model.safetensors"));
    const auto* buttons = dialog->findChild<QDialogButtonBox*>();
    QVERIFY(buttons != nullptr);
    QPushButton* open = buttons->button(QDialogButtonBox::Open);
    QTRY_VERIFY(open != nullptr && open->isEnabled());
    QTest::mouseClick(open, Qt::LeftButton);
    QTRY_VERIFY2(m_session->isOpen(), "the model did not open");
    QVERIFY(waitForPreview());
    QCOMPARE(m_session->path(), sampleFolder() + QStringLiteral("/model.safetensors"));
}

void StudioGesturesTest::aRecentModelOpensByClickAndByEnter()
{
    QVERIFY(openSample());
    for (const bool byKey : {false, true}) {
        QTest::keyClick(m_window.get(), Qt::Key_W, Qt::ControlModifier);
        QVERIFY(!m_session->isOpen());
        ui::RecentRow* row = nullptr;
        QTRY_VERIFY((row = m_window->startPage()->findChild<ui::RecentRow*>()) != nullptr && row->isVisible());
        QCOMPARE(row->path(), sampleFolder());
        if (byKey) {
            row->setFocus();
            QTest::keyClick(row, Qt::Key_Return);
        } else {
            QTest::mouseClick(row, Qt::LeftButton);
        }
        QVERIFY(waitForPreview());
        QCOMPARE(m_session->path(), sampleFolder());
    }
}

void StudioGesturesTest::deleteTakesARecentModelOffTheList()
{
    ui::Settings::addRecentFile(QStringLiteral("/models/gone"));
    ui::Settings::addRecentFile(sampleFolder());
    m_window->startPage()->refreshRecent();
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    auto rows = m_window->startPage()->findChildren<ui::RecentRow*>();
    QCOMPARE(rows.size(), 2);
    QVERIFY(rows[1]->accessibleName().contains(QLatin1String("no longer there")));
    rows[1]->setFocus();
    QTest::keyClick(rows[1], Qt::Key_Delete);
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    QCOMPARE(m_window->startPage()->findChildren<ui::RecentRow*>().size(), 1);
    QCOMPARE(ui::Settings::recentFiles(), QStringList{sampleFolder()});
}

void StudioGesturesTest::aFileStillBeingDownloadedIsOfferedAgain()
{
    QFile whole(sampleFolder() + QStringLiteral("/model.safetensors"));
    QVERIFY(whole.open(QIODevice::ReadOnly));
    const QByteArray bytes = whole.readAll();
    const QString path = m_folder.filePath(QStringLiteral("growing.safetensors"));
    QFile growing(path);
    QVERIFY(growing.open(QIODevice::WriteOnly));
    growing.write(bytes.left(bytes.size() / 2));
    growing.close();

    QSignalSpy failed(m_session.get(), &ui::Session::openFailed);
    m_window->openPath(path);
    QVERIFY(failed.wait(10000));
    QVERIFY2(m_window->startPage()->message().contains(
                 QStringLiteral("incomplete, %1 of %2 bytes").arg(bytes.size() / 2).arg(bytes.size())),
             qPrintable(m_window->startPage()->message()));
    QPushButton* recheck = m_window->startPage()->recheckButton();
    QVERIFY(recheck->isVisible());
    QTest::mouseClick(recheck, Qt::LeftButton);  // nothing has come since
    QVERIFY(failed.wait(10000));
    QVERIFY(recheck->isVisible());

    QVERIFY(growing.open(QIODevice::WriteOnly | QIODevice::Append));
    growing.write(bytes.mid(bytes.size() / 2));
    growing.close();
    QTest::mouseClick(recheck, Qt::LeftButton);
    QVERIFY(waitForPreview());
    QCOMPARE(m_session->path(), path);
    QVERIFY(!recheck->isVisible());
}

void StudioGesturesTest::everyFieldEditsTheWholeSelectionInOneStep()
{
    QVERIFY(openSample());
    const std::vector<std::size_t> layers{tensorNamed("model.layers.0.mlp.up_proj.weight"),
                                          tensorNamed("model.layers.0.mlp.gate_proj.weight"),
                                          tensorNamed("model.layers.2.self_attn.q_proj.weight")};
    clickLayer(layers[0]);
    clickLayer(layers[1], Qt::ControlModifier);
    clickLayer(layers[2], Qt::ControlModifier);
    QCOMPARE(m_session->selection().size(), std::size_t(3));
    const auto plansBefore = m_session->plansOf(layers);
    int steps = 0;
    const auto expect = [&](const char* what, const auto& holds) {
        QVERIFY2(m_session->undoStack().count() == ++steps, what);
        for (const std::size_t layer : layers)
            QVERIFY2(holds(m_session->layer(layer)), what);
    };

    chooseInCombo(m_window->inspector()->findChild<QComboBox*>(QStringLiteral("method")), QStringLiteral("rtn-w4"));
    expect("method", [](const LayerPlan& plan) { return plan.preset == "rtn-w4" && plan.rank == 0; });
    chooseInCombo(m_window->inspector()->gridCombo(), QStringLiteral("int-g64"));
    expect("grid", [](const LayerPlan& plan) { return plan.grid == "int4-g64"; });
    QTest::mouseClick(m_window->inspector()->bitsControl()->button(3), Qt::LeftButton);
    expect("bits", [](const LayerPlan& plan) { return plan.grid == "int3-g64"; });
    QSpinBox* rank = m_window->inspector()->rankField();
    rank->setFocus();
    rank->selectAll();
    QTest::keyClicks(rank, QStringLiteral("24"));
    QTest::keyClick(rank, Qt::Key_Return);
    expect("rank", [](const LayerPlan& plan) { return plan.rank == 24; });

    for (int i = 0; i < steps; ++i)
        QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier);
    QVERIFY(m_session->plansOf(layers) == plansBefore);
    for (int i = 0; i < steps; ++i)
        QTest::keyClick(m_window.get(), Qt::Key_Z, Qt::ControlModifier | Qt::ShiftModifier);
    QCOMPARE(m_session->layer(layers[2]).grid, std::string("int3-g64"));
    QCOMPARE(m_session->layer(layers[2]).rank, 24U);
}

void StudioGesturesTest::onlyTheNewestOfTwoQuickChangesIsShown()
{
    QVERIFY(openSample());
    const std::size_t tensor = *m_session->current();
    std::vector<std::string> shown;
    connect(m_session.get(), &ui::Session::analysisChanged, this, [&](std::size_t changed) {
        if (changed == tensor && (shown.empty() || shown.back() != m_session->preview(tensor)->grid))
            shown.push_back(m_session->preview(tensor)->grid);
    });
    // Both within one turn of the event loop: the first request has no time to end.
    QTest::mouseClick(m_window->inspector()->bitsControl()->button(8), Qt::LeftButton);
    QTest::mouseClick(m_window->inspector()->bitsControl()->button(5), Qt::LeftButton);
    QVERIFY(waitForPreview());
    QTest::qWait(300);  // a late answer would come now
    QCOMPARE(m_session->preview(tensor)->grid, std::string("q5_0"));
    QCOMPARE(shown.back(), std::string("q5_0"));
    QVERIFY2(std::ranges::find(shown, std::string("q8_0")) == shown.end(), "the voided request was shown");
}

void StudioGesturesTest::stoppingMidRunLeavesNoModelAndContinuesToTheSameBytes()
{
    QVERIFY(openSample());
    const auto digest = [](const QString& path) {
        QFile file(path);
        return file.open(QIODevice::ReadOnly) ? QCryptographicHash::hash(file.readAll(), QCryptographicHash::Sha256) : QByteArray();
    };
    QVERIFY(QDir(m_folder.path()).mkpath(QStringLiteral("whole")) && QDir(m_folder.path()).mkpath(QStringLiteral("stopped")));
    ui::RunController& run = m_window->runController();
    ui::RunPage* page = m_window->runPage();
    m_window->showPage(MainWindow::Run);
    QSignalSpy finished(&run, &ui::RunController::finished);
    QSignalSpy cancelled(&run, &ui::RunController::cancelled);
    page->setOutput(m_folder.filePath(QStringLiteral("whole/m.gguf")));
    QTest::mouseClick(page->startButton(), Qt::LeftButton);
    QVERIFY2(finished.wait(60000), qPrintable(page->message()));

    page->setOutput(m_folder.filePath(QStringLiteral("stopped/m.gguf")));
    // The third layer has just been finished: the hand stops the run there.
    int layers = 0;
    const auto connection = connect(&run, &ui::RunController::layerFinished, this, [&](const TensorResult&) {
        if (++layers == 3)
            QTest::mouseClick(page->startButton(), Qt::LeftButton);
    });
    QTest::mouseClick(page->startButton(), Qt::LeftButton);
    QVERIFY2(cancelled.wait(60000), qPrintable(page->message()));
    disconnect(connection);
    QVERIFY(!run.isRunning());
    const QStringList left = filesIn(m_folder.filePath(QStringLiteral("stopped")));
    QVERIFY2(!left.contains(QStringLiteral("m.gguf")) && !left.contains(QStringLiteral("m-lora.gguf")), qPrintable(left.join(u' ')));

    auto* resume = page->findChild<QCheckBox*>(QStringLiteral("resume"));
    QVERIFY(resume->isVisible() && resume->isChecked());
    QTest::mouseClick(page->startButton(), Qt::LeftButton);
    QVERIFY2(finished.wait(60000), qPrintable(page->message()));
    QCOMPARE(filesIn(m_folder.filePath(QStringLiteral("stopped"))), filesIn(m_folder.filePath(QStringLiteral("whole"))));
    for (const QString& name : {QStringLiteral("m.gguf"), QStringLiteral("m-lora.gguf")}) {
        const QByteArray truth = digest(m_folder.filePath(QStringLiteral("whole/") + name));
        QVERIFY(!truth.isEmpty());
        QCOMPARE(digest(m_folder.filePath(QStringLiteral("stopped/") + name)), truth);
    }
}

void StudioGesturesTest::aRowAndAGroupAreLookedAtByThemselves()
{
    QVERIFY(openSample());
    m_window->inspectPage()->tabs()->setCurrentIndex(0);
    ui::DensityPlot* plot = m_window->inspectPage()->density();
    const std::size_t tensor = *m_session->current();
    const std::uint64_t all = m_session->tensor(tensor).elements();
    QCOMPARE(plot->axis(), ui::DensityPlot::Axis::Scaled);
    QTRY_COMPARE(plot->countInView() + plot->countOutsideView(), all);
    auto* parts = plot->findChild<ui::SegmentedControl*>();
    QTest::mouseClick(parts->button(static_cast<int>(ui::DensityPart::Row)), Qt::LeftButton);
    QTRY_COMPARE(plot->countInView() + plot->countOutsideView(), m_session->tensor(tensor).shape.back());
    QTest::mouseClick(parts->button(static_cast<int>(ui::DensityPart::Group)), Qt::LeftButton);
    QTRY_COMPARE(plot->countInView() + plot->countOutsideView(), std::uint64_t(32));
    // What one group shows is a part of the whole; its largest weight stands on the lowest code of Q4_0.
    QCOMPARE(m_session->density()->elements, std::uint64_t(32));
    QVERIFY(std::fabs(m_session->density()->min + 8) < 0.02);
    QTest::mouseClick(parts->button(static_cast<int>(ui::DensityPart::Tensor)), Qt::LeftButton);
    QTRY_COMPARE(plot->countInView() + plot->countOutsideView(), all);
    QVERIFY(std::fabs(plot->errorShareInView().value_or(0) - 100) < 1e-9);
    QCOMPARE(plot->errorLabels().size(), 2);
}

void StudioGesturesTest::aFigurePastTheComputedValuesSaysSoEverywhere()
{
    // Larger than what is solved whole: only the leading singular values are known.
    const QString path = m_folder.filePath(QStringLiteral("large.safetensors"));
    writeMatrix(path, 1152, 1088);
    m_window->openPath(path);
    QVERIFY(waitForPreview());
    const std::size_t tensor = *m_session->current();
    const auto computed = static_cast<int>(m_session->preview(tensor)->shownError().maxRank());
    QVERIFY(computed < m_session->maxRank(tensor));
    const auto figures = [&] {
        return QStringList{m_window->inspector()->resultText(QStringLiteral("weight-error")),
                           indexOf(tensor).siblingAtColumn(ui::LayerError).data().toString()};
    };
    m_session->setRank({tensor}, computed);
    for (const QString& figure : figures())
        QVERIFY2(!figure.isEmpty() && figure.front().isDigit(), qPrintable(figure));
    m_session->setRank({tensor}, computed + 1);
    QVERIFY(m_session->shownError(tensor)->isUpperBound);
    for (const QString& figure : figures())
        QVERIFY2(figure.startsWith(u'≤'), qPrintable(figure));
}

void StudioGesturesTest::noWordIsCutOff_data()
{
    QTest::addColumn<bool>("dark");
    QTest::addColumn<QSize>("size");
    // Words are as wide in either theme, and only narrower windows cut more. The longest translation has a test of its
    // own (tst_translation).
    QTest::newRow("dark 1280") << true << QSize(1280, 720);
    QTest::newRow("light 1440") << false << QSize(1440, 900);
}

void StudioGesturesTest::noWordIsCutOff()
{
    QFETCH(bool, dark);
    QFETCH(QSize, size);
    cleanup();
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    m_session = makeSession();
    m_window = std::make_unique<MainWindow>(*m_session, sampleFolder());
    m_window->resize(size);
    m_window->show();
    QTest::qWait(50);
    QStringList cut = cutWords(*m_window);
    QVERIFY(openSample());
    for (int tab = 0; tab < m_window->inspectPage()->tabs()->count(); ++tab) {
        m_window->inspectPage()->tabs()->setCurrentIndex(tab);
        QTest::qWait(50);
        cut += cutWords(*m_window);
    }
    m_window->showPage(MainWindow::Run);
    QTest::qWait(50);
    cut += cutWords(*m_window);
    ui::applyTheme(*qApp, ui::Appearance::Dark);
    QVERIFY2(cut.isEmpty(), qPrintable(cut.join(QStringLiteral(" | "))));
}

QTEST_MAIN(StudioGesturesTest)
#include "tst_studio_gestures.moc"
