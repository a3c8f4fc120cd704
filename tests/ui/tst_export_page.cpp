// SPDX-License-Identifier: GPL-3.0-or-later
// The Export page by mouse and keys: what each runtime makes of the plan, files to the byte, checks, the command.
#include "QueueFixture.h"

#include "core/lowrank/CodedMatrices.h"
#include "core/plan/TargetGrids.h"
#include "ui/models/ExportMatrixModel.h"
#include "ui/panels/ExportOptions.h"
#include "ui/panels/ExportPage.h"
#include "ui/panels/ExportParts.h"
#include "ui/panels/PlanSettings.h"
#include "ui/session/ExportChoice.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/SegmentedControl.h"

#include <QAccessible>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDirIterator>
#include <QLabel>
#include <QLineEdit>
#include <QMessageBox>
#include <QSpinBox>
#include <QTableView>
#include <QToolButton>

#include <algorithm>
#include <filesystem>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::CheckRow;
using ui::ExportFit;
using ui::MainWindow;

class ExportPageTest : public QueueFixture {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { QVERIFY(openExport()); }
    void cleanup() { closeStudio(); }
    void ctrlELeadsHere();
    void everyTargetThatCanBeWrittenHasACardWithItsExactSize();
    void cardsAreChosenByMouseAndArrowKeys();
    void aPlanThatATargetCannotCarrySaysWhy();
    void theTableSaysWhatBecomesOfEachPart();
    void theCommandIsCopied();
    void writingGoesToTheQueueAndTheChecksPass();
    void everyTargetWritesTheFilesItAnnounced_data();
    void everyTargetWritesTheFilesItAnnounced();
    void existingFilesAreToldAndAskedAbout();
    void filesThatGoWithTheOldModelAreAskedAbout();
    void aFolderThatIsNotThereIsTold();
    void longNamesPushNothingOutOfView();
    void theNearestPlanIsOneClickAndOneStep_data();
    void theNearestPlanIsOneClickAndOneStep();
    void thePlanFollowsTheTarget();
    void sizesAreReadAsTheyAreWritten();
    void aSplitGgufComesInTheFilesItAnnounces();
    void foldersHaveALimitOfTheirOwn();
    void factorsHaveTheTypeThatIsChosen();
    void metadataComesFromATemplate();
    void theBudgetIsTheTargets();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    [[nodiscard]] bool openExport()
    {
        if (!openStudio())
            return false;
        m_window->showPage(MainWindow::Export);
        type(at(QStringLiteral("m.gguf")));
        return waitForOffers();
    }
    [[nodiscard]] ui::ExportPage& exportPage() const { return *m_window->exportPage(); }
    [[nodiscard]] QString fit(int row, int column) const
    {
        const auto found = static_cast<ExportFit>(
            exportPage().matrix()->model()->index(row, column).data(ui::ExportFitRole).toInt());
        return found == ExportFit::AsPlanned ? QStringLiteral("ok")
            : found == ExportFit::Changed    ? QStringLiteral("changed")
            : found == ExportFit::Lost       ? QStringLiteral("lost")
                                             : QStringLiteral("none");
    }
    [[nodiscard]] QString cellText(int row, int column) const
    {
        return exportPage().matrix()->model()->index(row, column).data().toString();
    }
    [[nodiscard]] QString check(const QString& title) const
    {
        for (const auto* row : exportPage().findChildren<CheckRow*>()) {
            if (row->findChild<QLabel*>()->text() == title && !row->isHidden())
                return QString::number(static_cast<int>(row->state())) + QLatin1Char(' ') + row->found();
        }
        return {};
    }
    [[nodiscard]] static QString passed(const QString& what)
    {
        return QString::number(static_cast<int>(CheckRow::State::Passed)) + what;
    }
    /// The offers of what is asked for now have come.
    bool waitForOffers() const
    {
        const auto* choice = m_window->findChild<ui::ExportChoice*>();
        return QTest::qWaitFor(
            [this, choice] {
                const ui::ExportOffer* offer = choice->offer();
                return offer != nullptr
                    && (!offer->sizes
                        || offer->sizes->outputs.front().path.string().starts_with(choice->output().toStdString()))
                    && !choice->isLooking();
            },
            10000);
    }
    /// vLLM and its kin take none of GGUF's types: a plan of the same layers that the target carries.
    void planFor(const QString& target) const
    {
        if (!needsFusedAlike(target.toStdString()))
            return;
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i) {
            if (!m_session->layer(i).keep)
                all.push_back(i);
        }
        const std::string grid = target == QStringLiteral("awq") ? "int4-g128-asym" : "int4-g128";
        m_session->edit(all, QStringLiteral("test"), [&grid](LayerPlan& plan) { plan.grid = grid; });
    }
    void type(const QString& path) const
    {
        QLineEdit* field = exportPage().outputField();
        field->setFocus();
        field->selectAll();
        QTest::keyClicks(field, path);
    }
};

void ExportPageTest::ctrlELeadsHere()
{
    m_window->showPage(MainWindow::Inspect);
    QTest::keyClick(m_window.get(), Qt::Key_E, Qt::ControlModifier);
    QVERIFY(exportPage().isVisible());
    QVERIFY(exportPage().outputField()->hasFocus());
    m_window->showPage(MainWindow::Inspect);
    QTest::keyClick(m_window.get(), Qt::Key_6, Qt::AltModifier);
    QVERIFY(exportPage().isVisible());
    // Once more writes what is shown.
    QVERIFY(waitForOffers());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    QTest::keyClick(m_window.get(), Qt::Key_E, Qt::ControlModifier);
    QVERIFY(run().isRunning());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(QFile::exists(at(QStringLiteral("m.gguf"))));
    QFile::remove(at(QStringLiteral("m.gguf")));
    QFile::remove(at(QStringLiteral("m-lora.gguf")));
}

void ExportPageTest::everyTargetThatCanBeWrittenHasACardWithItsExactSize()
{
    QCOMPARE(exportPage().findChildren<ui::ExportCard*>().size(), static_cast<qsizetype>(exporters().size()));
    for (const ExporterRow& row : exporters()) {
        const QString id = QString::fromUtf8(row.id.data(), static_cast<qsizetype>(row.id.size()));
        ExportRequest request = m_session->exportRequest(id == QStringLiteral("gguf")
                                                             ? at(QStringLiteral("m.gguf"))
                                                             : m_window->findChild<ui::ExportChoice*>()->outputOf(id),
                                                         false);
        request.plan.target = row.id;
        const auto sizes = row.estimate(request);
        QCOMPARE(sizes.has_value(), !needsFusedAlike(row.id));
        if (!sizes) {
            QCOMPARE(exportPage().card(id)->verdict(), QStringLiteral("cannot carry this plan"));
            continue;
        }
        QCOMPARE(exportPage().card(id)->sizeText(), ui::fileSize(sizes->total));
        QVERIFY(!exportPage().card(id)->verdict().isEmpty());
    }
    QCOMPARE(exportPage().card(QStringLiteral("gguf"))->verdict(), QStringLiteral("carries the whole plan"));
    QVERIFY(exportPage().card(QStringLiteral("gguf"))->isChecked());
}

void ExportPageTest::cardsAreChosenByMouseAndArrowKeys()
{
    const QString command = exportPage().command();
    click(exportPage().card(QStringLiteral("bf16")));
    QVERIFY(exportPage().card(QStringLiteral("bf16"))->isChecked());
    QVERIFY(exportPage().outputField()->text().endsWith(QStringLiteral("-bf16")));
    QVERIFY(waitForOffers());
    QVERIFY2(exportPage().command().contains(QStringLiteral("transformers")), qPrintable(exportPage().command()));
    exportPage().card(QStringLiteral("bf16"))->setFocus();
    QTest::keyClick(exportPage().card(QStringLiteral("bf16")), Qt::Key_Right);
    QVERIFY(exportPage().card(QStringLiteral("research"))->isChecked());
    QVERIFY(exportPage().card(QStringLiteral("research"))->hasFocus());
    QTest::keyClick(exportPage().card(QStringLiteral("research")), Qt::Key_Left);
    QTest::keyClick(exportPage().card(QStringLiteral("bf16")), Qt::Key_Left);
    QVERIFY(exportPage().card(QStringLiteral("awq"))->isChecked());
    QTest::keyClick(exportPage().card(QStringLiteral("awq")), Qt::Key_Up);
    QVERIFY(exportPage().card(QStringLiteral("gguf"))->isChecked());
    // Every target keeps its own name.
    QCOMPARE(exportPage().outputField()->text(), at(QStringLiteral("m.gguf")));
    QCOMPARE(exportPage().command(), command);
    QAccessibleInterface* accessible = QAccessible::queryAccessibleInterface(exportPage().card(QStringLiteral("gguf")));
    QCOMPARE(accessible->role(), QAccessible::RadioButton);
    QCOMPARE(accessible->text(QAccessible::Name), QStringLiteral("llama.cpp"));
}

void ExportPageTest::aPlanThatATargetCannotCarrySaysWhy()
{
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i) {
        if (!m_session->layer(i).keep)
            all.push_back(i);
    }
    m_session->edit(all, QStringLiteral("test"), [](LayerPlan& plan) { plan.grid = "int4-g32"; });
    QTRY_COMPARE(exportPage().card(QStringLiteral("gguf"))->verdict(), QStringLiteral("cannot carry this plan"));
    QVERIFY(!exportPage().writeButton()->isEnabled());
    const QString why = QStringLiteral("GGUF has no type for the grid int4-g32; the nearest is q4_0");
    QVERIFY2(exportPage().writeButton()->toolTip().contains(why), qPrintable(exportPage().writeButton()->toolTip()));
    QVERIFY2(exportPage().reasons().contains(why) && exportPage().reasons().contains(QStringLiteral("27 more tensors")),
             qPrintable(exportPage().reasons()));
    QCOMPARE(fit(0, 1), QStringLiteral("lost"));
    QCOMPARE(cellText(0, 1), QStringLiteral("28 layers not possible"));
    QCOMPARE(fit(0, 2), QStringLiteral("ok"));  // compressed-tensors and gptq, but awq has no symmetric codes
    QCOMPARE(fit(0, 3), QStringLiteral("ok"));
    QCOMPARE(fit(0, 4), QStringLiteral("lost"));
    QCOMPARE(fit(0, 6), QStringLiteral("ok"));
    QVERIFY(check(QStringLiteral("Plan")).startsWith(QString::number(static_cast<int>(CheckRow::State::Failed))));
    // Nothing is claimed of files that are not known.
    for (const char* unknown : {"Free space", "Existing files"})
        QVERIFY(check(QLatin1String(unknown)).startsWith(QString::number(static_cast<int>(CheckRow::State::Pending))));
    // The run says the same sentence, and nothing is written.
    QSignalSpy started(&run(), &ui::RunController::started);
    QTest::keyClick(m_window.get(), Qt::Key_F5);
    QVERIFY2(page().message().contains(why), qPrintable(page().message()));
    QCOMPARE(started.count(), 0);
    m_window->showPage(MainWindow::Export);
    click(exportPage().card(QStringLiteral("research")));
    type(at(QStringLiteral("carried")));
    QTRY_VERIFY(exportPage().writeButton()->isEnabled());
}

void ExportPageTest::theTableSaysWhatBecomesOfEachPart()
{
    const QAbstractItemModel* table = exportPage().matrix()->model();
    QCOMPARE(table->rowCount(), 6);
    QCOMPARE(table->columnCount(), 7);
    QCOMPARE(cellText(0, 0), QStringLiteral("Quantized layers"));
    QCOMPARE(table->index(0, 0).data(ui::ExportDetailRole).toString(), QStringLiteral("Q4_0 × 28"));
    QCOMPARE(table->index(1, 0).data(ui::ExportDetailRole).toString(), QStringLiteral("28 layers, rank 32"));
    QCOMPARE(cellText(1, 1), QStringLiteral("Adapter, scale 1"));
    QCOMPARE(cellText(0, 2), QStringLiteral("28 layers not possible"));
    QCOMPARE(cellText(1, 5), QStringLiteral("Added to the weights"));
    QCOMPARE(fit(1, 5), QStringLiteral("changed"));
    QCOMPARE(cellText(0, 5), QStringLiteral("Decoded to BF16"));
    QCOMPARE(cellText(0, 6), QStringLiteral("Exact codes"));
    QVERIFY(!table->index(0, 5).data(Qt::ToolTipRole).toString().isEmpty());
    QVERIFY(table->index(3, 1).data(ui::ExportChosenRole).toBool());
    QVERIFY(!table->index(3, 2).data(ui::ExportChosenRole).toBool());
    // It follows the plan.
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i)
        all.push_back(i);
    m_session->setRank(all, 0);
    QTRY_COMPARE(cellText(1, 1), QStringLiteral("None in this plan"));
    QCOMPARE(fit(1, 2), QStringLiteral("none"));
}

void ExportPageTest::theCommandIsCopied()
{
    QVERIFY(exportPage().command().contains(at(QStringLiteral("m.gguf"))));
    QVERIFY(exportPage().command().contains(QStringLiteral("--lora")));
    QGuiApplication::clipboard()->clear();
    click(exportPage().copyButton());
    QCOMPARE(QGuiApplication::clipboard()->text(), exportPage().command());
}

void ExportPageTest::writingGoesToTheQueueAndTheChecksPass()
{
    QCOMPARE(exportPage().writeButton()->text(), QStringLiteral("Write 2 files"));
    QVERIFY(check(QStringLiteral("Plan")).startsWith(passed({})));
    QVERIFY(check(QStringLiteral("Free space")).startsWith(passed({})));
    QCOMPARE(check(QStringLiteral("Existing files")), passed(QStringLiteral(" nothing is replaced")));
    QVERIFY(check(QStringLiteral("Re-read and compare"))
                .startsWith(QString::number(static_cast<int>(CheckRow::State::Pending))));
    QVERIFY(check(QStringLiteral("Unfinished run")).isEmpty());
    const QString command = exportPage().command();
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(exportPage().writeButton());
    QVERIFY(run().isRunning());
    QVERIFY(page().isVisible());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QCOMPARE(page().loadCommand(), command);
    m_window->showPage(MainWindow::Export);
    QTRY_VERIFY(check(QStringLiteral("Re-read and compare")).startsWith(passed({})));
    QCOMPARE(check(QStringLiteral("Sizes as announced")),
             passed(QLatin1Char(' ') + ui::fileSize(run().lastResult()->writtenBytes)));
    QFile::remove(at(QStringLiteral("m.gguf")));
    QFile::remove(at(QStringLiteral("m-lora.gguf")));
}

void ExportPageTest::everyTargetWritesTheFilesItAnnounced_data()
{
    QTest::addColumn<QString>("target");
    for (const ExporterRow& row : exporters())
        QTest::newRow(row.id.data()) << QString::fromUtf8(row.id.data(), static_cast<qsizetype>(row.id.size()));
}

void ExportPageTest::everyTargetWritesTheFilesItAnnounced()
{
    QFETCH(QString, target);
    planFor(target);
    click(exportPage().card(target));
    const QString output
        = at(target == QStringLiteral("gguf") ? QStringLiteral("each.gguf") : QStringLiteral("each-") + target);
    type(output);
    QVERIFY(waitForOffers());
    const std::vector<OutputFile> announced = m_window->findChild<ui::ExportChoice*>()->offer()->sizes->outputs;
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(exportPage().writeButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    for (const OutputFile& file : announced)
        QCOMPARE(std::filesystem::file_size(file.path), file.bytes);
    if (target != QStringLiteral("gguf")) {
        qsizetype files = 0;
        for (QDirIterator it(output, QDir::Files, QDirIterator::Subdirectories); it.hasNext(); ++files)
            it.next();
        QCOMPARE(files, static_cast<qsizetype>(announced.size()));
    }
    const auto written = Checkpoint::open(ui::toPath(output), {.coded = &codedFormats()});
    QVERIFY2(written.has_value(), written ? "" : written.error().detail.c_str());
    QCOMPARE((*written)->tensors().size(), m_session->checkpoint()->tensors().size());
    // Errors of a copy that was rounded once more are not this plan's.
    const std::size_t down = m_session->checkpoint()->find("model.layers.0.mlp.down_proj.weight").value();
    QCOMPARE(m_session->measured(down) != nullptr, target != QStringLiteral("bf16"));
}

void ExportPageTest::existingFilesAreToldAndAskedAbout()
{
    const QString path = at(QStringLiteral("old.gguf"));
    QFile old(path);
    QVERIFY(old.open(QIODevice::WriteOnly) && old.write("old") == 3);
    old.close();
    type(path);
    QTRY_VERIFY2(
        check(QStringLiteral("Existing files"))
            .startsWith(QString::number(static_cast<int>(CheckRow::State::Notable)) + QStringLiteral(" 1 replaced")),
        qPrintable(check(QStringLiteral("Existing files"))));
    click(exportPage().writeButton());
    auto* box = m_window->findChild<QMessageBox*>(QStringLiteral("confirmReplace"));
    QVERIFY(box != nullptr && !run().isRunning());
    QVERIFY(exportPage().isVisible());
    QTest::keyClick(box, Qt::Key_Escape);
    QTRY_VERIFY(m_window->findChild<QMessageBox*>(QStringLiteral("confirmReplace")) == nullptr);
    QVERIFY(!run().isRunning());
    QCOMPARE(QFileInfo(path).size(), qint64(3));
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(exportPage().writeButton());
    click(m_window->findChild<QMessageBox*>(QStringLiteral("confirmReplace"))
              ->findChild<QPushButton*>(QStringLiteral("replace")));
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QVERIFY(QFileInfo(path).size() > 1000000);
}

void ExportPageTest::filesThatGoWithTheOldModelAreAskedAbout()
{
    const auto replaced = [this](int count) {
        return check(QStringLiteral("Existing files"))
            .startsWith(QStringLiteral("%1 %2 replaced").arg(static_cast<int>(CheckRow::State::Notable)).arg(count));
    };
    type(at(QStringLiteral("goes.gguf")));
    QVERIFY(waitForOffers());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(exportPage().writeButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    m_window->showPage(MainWindow::Export);
    QTRY_VERIFY2(replaced(2), qPrintable(check(QStringLiteral("Existing files"))));
    // Without a correction the adapter of the old model would be taken for the new one's.
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i)
        all.push_back(i);
    m_session->setRank(all, 0);
    QTRY_COMPARE(exportPage().writeButton()->text(), QStringLiteral("Write 1 file"));
    QVERIFY2(replaced(2), qPrintable(check(QStringLiteral("Existing files"))));
    // In two files it is the model in one that goes.
    exportPage().options()->tensorsField()->setValue(30);
    QTRY_COMPARE(exportPage().writeButton()->text(), QStringLiteral("Write 2 files"));
    QVERIFY2(replaced(2), qPrintable(check(QStringLiteral("Existing files"))));
    click(exportPage().writeButton());
    click(m_window->findChild<QMessageBox*>(QStringLiteral("confirmReplace"))
              ->findChild<QPushButton*>(QStringLiteral("replace")));
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    QCOMPARE(QDir(m_folder.path()).entryList({QStringLiteral("goes*")}, QDir::Files, QDir::Name),
             (QStringList{QStringLiteral("goes-00001-of-00002.gguf"), QStringLiteral("goes-00002-of-00002.gguf")}));
}

void ExportPageTest::theNearestPlanIsOneClickAndOneStep_data()
{
    everyTargetWritesTheFilesItAnnounced_data();
}

void ExportPageTest::theNearestPlanIsOneClickAndOneStep()
{
    QFETCH(QString, target);
    // Neither GGUF nor AWQ has these, and one of the siblings differs.
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i) {
        if (!m_session->layer(i).keep)
            all.push_back(i);
    }
    m_session->edit(all, QStringLiteral("test"), [](LayerPlan& plan) { plan.grid = "int5-g64"; });
    const std::size_t q = m_session->checkpoint()->find("model.layers.1.self_attn.q_proj.weight").value();
    m_session->edit({q}, QStringLiteral("test"), [](LayerPlan& plan) { plan.grid = "q6_k"; });
    click(exportPage().card(target));
    const bool isRefused = target != QStringLiteral("bf16") && target != QStringLiteral("research");
    QTRY_COMPARE(exportPage().card(target)->verdict() == QStringLiteral("cannot carry this plan"), isRefused);
    if (!isRefused) {
        QVERIFY(exportPage().nearestButton()->isHidden() || !exportPage().nearestButton()->isVisible());
        return;
    }
    QTRY_VERIFY(exportPage().nearestButton()->isVisible());
    QVERIFY2(exportPage().nearestText().contains(QStringLiteral(" instead of int5-g64, "))
                 && exportPage().nearestText().contains(QStringLiteral(" layers: ")),
             qPrintable(exportPage().nearestText()));
    QVERIFY(!exportPage().writeButton()->isEnabled());
    const QuantizationPlan before = m_session->plan();
    const int steps = m_session->undoStack().count();
    click(exportPage().nearestButton());
    QCOMPARE(m_session->undoStack().count(), steps + 1);
    QTRY_VERIFY2(exportPage().writeButton()->isEnabled(), qPrintable(exportPage().writeButton()->toolTip()));
    QVERIFY(!exportPage().nearestButton()->isVisible());
    m_session->undoStack().undo();
    QVERIFY(m_session->plan() == before);
}

void ExportPageTest::thePlanFollowsTheTarget()
{
    const std::size_t down = m_session->checkpoint()->find("model.layers.0.mlp.down_proj.weight").value();
    const auto presetsOffered = [this] {
        return m_window->findChild<QComboBox*>(QStringLiteral("method"))->findData(QStringLiteral("gguf-q4_k_m")) >= 0;
    };
    const QCheckBox* fused = m_window->findChild<ui::PlanSettings*>()->fusedBox();
    QVERIFY(presetsOffered());
    QVERIFY(fused->isEnabled() && !fused->isChecked());
    QCOMPARE(m_session->widthsOf(down), (std::vector<int>{1, 2, 3, 4, 5, 6, 8}));
    click(exportPage().card(QStringLiteral("compressed-tensors")));
    QVERIFY(!fused->isEnabled() && fused->isChecked());
    click(exportPage().card(QStringLiteral("gguf")));
    QVERIFY(fused->isEnabled() && !fused->isChecked());
    click(exportPage().card(QStringLiteral("compressed-tensors")));
    QVERIFY(!presetsOffered());
    QCOMPARE(m_session->widthsOf(down), (std::vector<int>{4, 8}));
    m_session->chooseBits({down}, 8);
    QCOMPARE(m_session->layer(down).grid, std::string("int8-g128"));
    // A recipe that is saved now is one for this target, whatever the rules were made for.
    QSignalSpy saved(m_session.get(), &ui::Session::recipeSaved);
    m_session->saveRecipe(at(QStringLiteral("packed.json")));
    QVERIFY(!saved.isEmpty() || saved.wait(5000));
    QFile file(at(QStringLiteral("packed.json")));
    QVERIFY(file.open(QIODevice::ReadOnly) && file.readAll().contains("\"target\": \"compressed-tensors\""));
    // Undo is of the plan; the target stays.
    m_session->undoStack().undo();
    QCOMPARE(m_session->exportTarget(), std::string("compressed-tensors"));
    QVERIFY(exportPage().card(QStringLiteral("compressed-tensors"))->isChecked());
    // Another model begins with llama.cpp, on every page.
    m_window->openSample();
    QTRY_COMPARE(m_session->exportTarget(), std::string("gguf"));
    QTRY_VERIFY(presetsOffered());
}

void ExportPageTest::sizesAreReadAsTheyAreWritten()
{
    using ui::ExportOptions;
    QCOMPARE(ExportOptions::parsedSize(QStringLiteral("2 GB")), std::optional<Bytes>(2'000'000'000));
    QCOMPARE(ExportOptions::parsedSize(QStringLiteral(" 500mb")), std::optional<Bytes>(500'000'000));
    QCOMPARE(ExportOptions::parsedSize(QStringLiteral("1.5")), std::optional<Bytes>(1'500'000'000));
    QCOMPARE(ExportOptions::parsedSize(QStringLiteral("no limit")), std::optional<Bytes>(0));
    QCOMPARE(ExportOptions::parsedSize({}), std::optional<Bytes>(0));
    for (const char* bad : {"two GB", "-1 GB", "0", "1e30 GB", "GB", "nan", "inf GB"})
        QVERIFY2(!ExportOptions::parsedSize(QString::fromLatin1(bad)), bad);
}

void ExportPageTest::aSplitGgufComesInTheFilesItAnnounces()
{
    type(at(QStringLiteral("parts.gguf")));
    QLineEdit* field = exportPage().options()->sizeField()->lineEdit();
    field->setFocus();
    field->selectAll();
    QTest::keyClicks(field, QStringLiteral("1.5 MB"));
    QTest::keyClick(field, Qt::Key_Return);
    QTRY_VERIFY2(exportPage().writeButton()->text() == QStringLiteral("Write 4 files"),
                 qPrintable(exportPage().writeButton()->text()));
    QVERIFY2(exportPage().command().contains(QStringLiteral("parts-00001-of-00003.gguf")),
             qPrintable(exportPage().command()));
    keepPicture(QStringLiteral("export-split"));
    // What is no size is said, and changes nothing.
    field->selectAll();
    QTest::keyClicks(field, QStringLiteral("much"));
    QTest::keyClick(field, Qt::Key_Return);
    QVERIFY(exportPage().options()->sizeField()->toolTip().contains(QStringLiteral("“much” is no size")));
    QCOMPARE(exportPage().writeButton()->text(), QStringLiteral("Write 4 files"));
    const std::vector<OutputFile> announced = m_window->findChild<ui::ExportChoice*>()->offer()->sizes->outputs;
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(exportPage().writeButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    for (const OutputFile& part : announced) {
        QCOMPARE(std::filesystem::file_size(part.path), part.bytes);
        QVERIFY(part.bytes <= 1'500'000 || part.kind == "adapter");
    }
    const auto written = Checkpoint::open(announced.front().path);
    QVERIFY(written.has_value());
    QCOMPARE((*written)->shardCount(), std::size_t(3));
}

void ExportPageTest::foldersHaveALimitOfTheirOwn()
{
    click(exportPage().card(QStringLiteral("research")));
    type(at(QStringLiteral("parts-research")));
    QVERIFY(waitForOffers());
    const auto weights = [this] {
        const auto& outputs = m_window->findChild<ui::ExportChoice*>()->offer()->sizes->outputs;
        return std::ranges::count(outputs, "model", &OutputFile::kind);
    };
    QCOMPARE(weights(), 1);
    QVERIFY(!exportPage().options()->tensorsField()->isVisible());
    QLineEdit* field = exportPage().options()->sizeField()->lineEdit();
    QCOMPARE(field->text().simplified(), QStringLiteral("5 GB"));
    field->setFocus();
    field->selectAll();
    QTest::keyClicks(field, QStringLiteral("2MB"));
    QTest::keyClick(field, Qt::Key_Return);
    QTRY_VERIFY(waitForOffers() && weights() > 1);
    click(exportPage().card(QStringLiteral("gguf")));
    QCOMPARE(field->text(), QStringLiteral("no limit"));
}

void ExportPageTest::factorsHaveTheTypeThatIsChosen()
{
    const auto adapter = [this] {
        const auto& outputs = m_window->findChild<ui::ExportChoice*>()->offer()->sizes->outputs;
        const auto found = std::ranges::find(outputs, "adapter", &OutputFile::kind);
        return found == outputs.end() ? Bytes(0) : found->bytes;
    };
    ui::SegmentedControl* factors = exportPage().options()->factorChoice();
    QCOMPARE(factors->value(), std::optional<int>(16));
    const Bytes half = adapter();
    const int steps = m_session->undoStack().count();
    click(factors->button(8));
    QCOMPARE(m_session->undoStack().count(), steps + 1);
    QTRY_VERIFY(adapter() < half * 6 / 10);
    QCOMPARE(factors->value(), std::optional<int>(8));
    click(factors->button(32));
    QTRY_VERIFY(adapter() > half * 19 / 10);
    m_session->undoStack().undo();
    QTRY_COMPARE(factors->value(), std::optional<int>(8));
    click(exportPage().card(QStringLiteral("gptq")));
    QVERIFY(!factors->button(8)->isEnabled());
    click(exportPage().card(QStringLiteral("bf16")));
    QVERIFY(!factors->isVisible());
}

void ExportPageTest::metadataComesFromATemplate()
{
    type(at(QStringLiteral("template.gguf")));
    QVERIFY(waitForOffers());
    QSignalSpy finished(&run(), &ui::RunController::finished);
    click(exportPage().writeButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    m_window->showPage(MainWindow::Export);
    QCOMPARE(exportPage().options()->metadata(), QStringLiteral("from the model"));
    QVERIFY(!exportPage().options()->dropTemplateButton()->isVisible());
    // Something else is refused by name, and nothing changes.
    QSignalSpy refused(m_session.get(), &ui::Session::templateRefused);
    m_session->importTemplate(sampleFolder() + QStringLiteral("/config.json"));
    QVERIFY(!refused.isEmpty() || refused.wait(5000));
    QVERIFY2(exportPage().options()->message().contains(QStringLiteral("config.json")),
             qPrintable(exportPage().options()->message()));
    QVERIFY(m_session->templateGguf() == nullptr);
    QSignalSpy changed(m_session.get(), &ui::Session::templateChanged);
    m_session->importTemplate(at(QStringLiteral("template.gguf")));
    QVERIFY(!changed.isEmpty() || changed.wait(5000));
    QCOMPARE(exportPage().options()->metadata(), QStringLiteral("template.gguf"));
    QVERIFY(exportPage().options()->message().isEmpty());
    QVERIFY(m_session->estimate().has_value());
    type(at(QStringLiteral("templated.gguf")));
    QVERIFY(waitForOffers());
    QCOMPARE(m_window->findChild<ui::ExportChoice*>()->request(false).templateGguf, m_session->templateGguf());
    click(exportPage().writeButton());
    QVERIFY2(finished.wait(60000), qPrintable(page().message()));
    m_window->showPage(MainWindow::Export);
    click(exportPage().options()->dropTemplateButton());
    QVERIFY(m_session->templateGguf() == nullptr);
    QCOMPARE(exportPage().options()->metadata(), QStringLiteral("from the model"));
}

void ExportPageTest::theBudgetIsTheTargets()
{
    const auto* strip = m_window->findChild<ui::BudgetStrip*>();
    QCOMPARE(strip->view().fileBytes, m_session->estimate()->total);
    click(exportPage().card(QStringLiteral("bf16")));
    const auto* choice = m_window->findChild<ui::ExportChoice*>();
    QTRY_COMPARE(strip->view().fileBytes, choice->offer()->sizes->total);
    QVERIFY(strip->view().fileBytes > m_session->estimate()->total);
    QTRY_VERIFY(!strip->view().isRecomputing);
    QVERIFY(strip->view().refusal.isEmpty());
    // Without a size the strip says why.
    click(exportPage().card(QStringLiteral("awq")));
    QTRY_COMPARE(strip->view().refusal, QStringLiteral("vLLM (AWQ) cannot carry this plan; see Export"));
    QCOMPARE(strip->view().fileBytes, quint64(0));
}

void ExportPageTest::aFolderThatIsNotThereIsTold()
{
    type(at(QStringLiteral("nowhere/m.gguf")));
    QTRY_COMPARE(check(QStringLiteral("Folder")),
                 QString::number(static_cast<int>(CheckRow::State::Failed)) + QStringLiteral(" does not exist"));
    QVERIFY(!exportPage().writeButton()->isEnabled());
    QVERIFY(exportPage().writeButton()->toolTip().contains(QStringLiteral("nowhere")));
    type(at(QStringLiteral("m.gguf")));
    QTRY_VERIFY(exportPage().writeButton()->isEnabled());
}

void ExportPageTest::longNamesPushNothingOutOfView()
{
    m_window->resize(1280, 720);
    type(at(QString(180, QLatin1Char('n')) + QStringLiteral(".gguf")));
    QVERIFY(waitForOffers());
    QVERIFY(exportPage().command().contains(QString(180, QLatin1Char('n'))));
    QTest::qWait(1);
    const std::vector<const QWidget*> parts{exportPage().outputField(), exportPage().matrix(), exportPage().copyButton(),
                                            exportPage().card(QStringLiteral("research"))};
    for (const QWidget* part : parts)
        QVERIFY2(part->mapTo(&exportPage(), QPoint(part->width(), 0)).x() <= exportPage().width(),
                 part->metaObject()->className());
}

void ExportPageTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::addColumn<QSize>("size");
    QTest::newRow("light 1440") << false << QSize(1440, 900);
    QTest::newRow("dark 1280") << true << QSize(1280, 720);
}

void ExportPageTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    QFETCH(QSize, size);
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    m_window->resize(size);
    const QString suffix
        = QStringLiteral("-%1-%2").arg(dark ? QStringLiteral("dark") : QStringLiteral("light")).arg(size.width());
    keepPicture(QStringLiteral("export") + suffix);
    click(exportPage().card(QStringLiteral("bf16")));
    type(at(QStringLiteral("copy")));
    QVERIFY(waitForOffers());
    keepPicture(QStringLiteral("export-bf16") + suffix);
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < m_session->plan().layers.size(); ++i) {
        if (!m_session->layer(i).keep)
            all.push_back(i);
    }
    m_session->edit(all, QStringLiteral("test"), [](LayerPlan& plan) { plan.grid = "int4-g32"; });
    click(exportPage().card(QStringLiteral("gguf")));
    QTRY_COMPARE(exportPage().card(QStringLiteral("gguf"))->verdict(), QStringLiteral("cannot carry this plan"));
    keepPicture(QStringLiteral("export-refused") + suffix);
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

QTEST_MAIN(ExportPageTest)
#include "tst_export_page.moc"
