// SPDX-License-Identifier: GPL-3.0-or-later
// Rules, presets, recipe files and what changed, through the window, on the sample model.
#include "PlanFixture.h"

#include "ui/models/PlanDiffModel.h"
#include "ui/models/TypesModel.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/ModelMapPanel.h"
#include "ui/panels/PlanDiff.h"
#include "ui/panels/PlanSettings.h"
#include "ui/panels/RunPage.h"
#include "ui/session/RunController.h"
#include "ui/session/Text.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/SegmentedControl.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QLabel>
#include <QListView>
#include <QPushButton>
#include <QSpinBox>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::MainWindow;

class PlanRulesTest : public PlanFixture {
    Q_OBJECT

private slots:
    void initTestCase() { prepare(); }
    void init() { QVERIFY(openPlan()); }
    void cleanup() { closePlan(); }

    void aPresetAppliesAsOneStepAndSparesPins();
    void aRuleChangesItsLayersAndNoOthers();
    void aBadPatternKeepsTheOldOneAndSaysWhereItBreaks();
    void aRuleThatTheTargetCannotCarryIsRefused();
    void rulesMoveAndGo();
    void aRuleUnderTheCursorLightsItsLayers();
    void typesByHandStandBeforeTheRules();
    void patternsAreCountedWhileTheyAreTyped();
    void typesAreGgufsAlone();
    void aSavedRecipeGivesThePlanBack();
    void aBrokenRecipeFileChangesNothing();
    void theDiffSaysWhatChangedAndPutsItBack();
    void fallbacksAreListedWithTheirCost();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    /// Into the first row of the types by hand.
    void typeInto(int typeColumn, const QString& text) const
    {
        QTableView* table = page().rules()->typeTable();
        table->setFocus();
        table->setCurrentIndex(table->model()->index(0, typeColumn));
        QTest::keyClick(table, Qt::Key_Return);
        typeIntoEditor(table, text);
    }
};

void PlanRulesTest::aPresetAppliesAsOneStepAndSparesPins()
{
    m_session->setPinned({tensor(kDown1)}, true);
    m_session->setRank({tensor(kUp1)}, 3);
    const QuantizationPlan before = m_session->plan();
    const int steps = m_session->undoStack().count();
    QListView* list = page().rules()->presetList();
    const QModelIndexList rows
        = list->model()->match(list->model()->index(0, 0), Qt::DisplayRole, QStringLiteral("RTN, 8 bit"));
    QCOMPARE(rows.size(), 1);
    QVERIFY(afterRecipe([&] {
        list->setFocus();
        list->setCurrentIndex(rows.front());
        QTest::keyClick(list, Qt::Key_Return);
    }));
    QCOMPARE(plan(kUp1).grid, std::string("q8_0"));
    QCOMPARE(plan(kUp1).rank, 0U);
    QCOMPARE(plan(kDown1).grid, std::string("q4_0"));  // pinned
    QCOMPARE(m_session->undoStack().count(), steps + 1);
    m_session->undoStack().undo();
    QVERIFY(m_session->plan() == before);
    QCOMPARE(*m_session->recipe().recipe.defaults.preset, std::string("l2qer-w4"));
}

void PlanRulesTest::aRuleChangesItsLayersAndNoOthers()
{
    m_session->setRank({tensor(kUp1)}, 3);  // by hand: no rule's business
    addRule(kDown1, QStringLiteral("layers\\.[01]\\..*down"));
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Bits, QStringLiteral("8")); }));
    QCOMPARE(plan(kDown1).grid, std::string("q8_0"));
    QCOMPARE(plan(kDown2).grid, std::string("q4_0"));
    QCOMPARE(plan(kUp1).rank, 3U);
    QAbstractItemModel* model = page().rules()->table()->model();
    QCOMPARE(model->index(0, ui::RulesModel::Layers).data().toString(), QStringLiteral("2"));
    m_session->setPinned({tensor(kDown1)}, true);
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Rank, QStringLiteral("5")); }));
    QCOMPARE(plan("model.layers.0.mlp.down_proj.weight").rank, 5U);
    QCOMPARE(plan(kDown1).rank, 32U);  // pinned
    m_session->undoStack().undo();
    QCOMPARE(plan("model.layers.0.mlp.down_proj.weight").rank, 32U);
    QCOMPARE(model->index(0, ui::RulesModel::Rank).data().toString(), QStringLiteral("32"));
    // "keep" takes the layer out.
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Bits, QStringLiteral("keep")); }));
    QVERIFY(plan("model.layers.0.mlp.down_proj.weight").keep);
}

void PlanRulesTest::aBadPatternKeepsTheOldOneAndSaysWhereItBreaks()
{
    addRule(kDown1, QStringLiteral("down_proj"));
    const std::string before = m_session->recipe().recipe.rules.front().match;
    const int steps = m_session->undoStack().count();
    typeRule(0, ui::RulesModel::Pattern, QStringLiteral("mlp\\.(gate|up"));
    QCOMPARE(m_session->recipe().recipe.rules.front().match, before);
    QCOMPARE(m_session->undoStack().count(), steps);
    const QString message = page().rules()->message();
    QVERIFY2(message.contains(QStringLiteral("character 6")), qPrintable(message));
    QCOMPARE(page().rules()->table()->model()->index(0, 0).data().toString(), QString::fromStdString(before));
    typeRule(0, ui::RulesModel::Bits, QStringLiteral("nine"));
    QVERIFY(page().rules()->message().contains(QStringLiteral("“nine” is no width")));
    // The next good edit clears the message.
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Bits, QStringLiteral("5")); }));
    QVERIFY(page().rules()->message().isEmpty());
}

void PlanRulesTest::aRuleThatTheTargetCannotCarryIsRefused()
{
    addRule(kDown1, QStringLiteral("down_proj"));
    const QuantizationPlan before = m_session->plan();
    QSignalSpy refused(m_session.get(), &ui::Session::recipeRefused);
    typeRule(0, ui::RulesModel::Bits, QStringLiteral("int3-g128"));
    QVERIFY(!refused.isEmpty() || refused.wait(5000));
    QVERIFY2(page().rules()->message().contains(QStringLiteral("int3-g128")), qPrintable(page().rules()->message()));
    QVERIFY(m_session->plan() == before);
}

void PlanRulesTest::rulesMoveAndGo()
{
    addRule(kDown1, QStringLiteral("down_proj"));
    addRule(kUp1, QStringLiteral("proj"));  // above: everything is its own now
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Rank, QStringLiteral("1")); }));
    QCOMPARE(plan(kDown1).rank, 1U);
    QTableView* table = page().rules()->table();
    table->setFocus();
    table->setCurrentIndex(table->model()->index(1, 0));
    QVERIFY(afterRecipe([table] { QTest::keyClick(table, Qt::Key_Up, Qt::AltModifier); }));
    QCOMPARE(m_session->recipe().recipe.rules.front().match, std::string("down_proj"));
    QCOMPARE(plan(kDown1).rank, 32U);
    // The row that moved stays the one that keys go to.
    QCOMPARE(table->currentIndex().row(), 0);
    QVERIFY(afterRecipe([table] { QTest::keyClick(table, Qt::Key_Down, Qt::AltModifier); }));
    QVERIFY(afterRecipe([table] { QTest::keyClick(table, Qt::Key_Up, Qt::AltModifier); }));
    QCOMPARE(m_session->recipe().recipe.rules.front().match, std::string("down_proj"));
    table->setCurrentIndex(table->model()->index(1, 0));
    QVERIFY(afterRecipe([table] { QTest::keyClick(table, Qt::Key_Delete); }));
    QCOMPARE(table->currentIndex().row(), 0);
    QCOMPARE(m_session->recipe().recipe.rules.size(), std::size_t(1));
    QCOMPARE(plan(kUp1).rank, 32U);
}

void PlanRulesTest::aRuleUnderTheCursorLightsItsLayers()
{
    addRule(kDown1, QStringLiteral("down_proj"));
    QTableView* table = page().rules()->table();
    QTest::mouseMove(table->viewport(), QPoint(2, 2));
    QTest::mouseMove(table->viewport(), table->visualRect(table->model()->index(0, 0)).center());
    QTRY_COMPARE(plot().lit(), (std::vector<int>{7, 14, 21, 28}));
}

void PlanRulesTest::typesByHandStandBeforeTheRules()
{
    ui::RulesPanel& rules = *page().rules();
    addRule(kDown1, QStringLiteral("down_proj"));
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Bits, QStringLiteral("8")); }));
    QTest::mouseClick(rules.kindChoice()->button(ui::RulesPanel::Types), Qt::LeftButton);
    QTableView* types = rules.typeTable();
    QVERIFY(!types->isVisible() && !rules.table()->isVisible());
    clickColumn(column(kDown1));
    QVERIFY(afterRecipe([&rules] { QTest::mouseClick(rules.addButton(), Qt::LeftButton); }));
    QVERIFY(types->isVisible());
    QCOMPARE(types->model()->index(0, ui::TypesModel::Pattern).data().toString(), QStringLiteral("ffn_down\\.weight"));
    QCOMPARE(types->model()->index(0, ui::TypesModel::Tensors).data().toString(), QStringLiteral("4"));
    QVERIFY(afterRecipe([this] { typeInto(ui::TypesModel::Type, QStringLiteral("Q6_K")); }));
    QCOMPARE(plan(kDown1).grid, std::string("q6_k"));
    QCOMPARE(plan(kDown2).grid, std::string("q6_k"));
    QVERIFY(afterRecipe([this] { typeInto(ui::TypesModel::Pattern, QStringLiteral("blk\\.1\\..*down")); }));
    QCOMPARE(types->model()->index(0, ui::TypesModel::Tensors).data().toString(), QStringLiteral("1"));
    QCOMPARE(plan(kDown1).grid, std::string("q6_k"));
    QCOMPARE(plan(kDown2).grid, std::string("q8_0"));  // the rule again
    // What is none keeps the old, and is said.
    const auto before = m_session->recipe().recipe.types;
    typeInto(ui::TypesModel::Type, QStringLiteral("q9_k"));
    QVERIFY2(rules.message().contains(QStringLiteral("“q9_k” is no type")), qPrintable(rules.message()));
    typeInto(ui::TypesModel::Pattern, QStringLiteral("down("));
    QVERIFY2(rules.message().contains(QStringLiteral("breaks at character")), qPrintable(rules.message()));
    QVERIFY(m_session->recipe().recipe.types == before);
    // A row under the cursor lights its layers, Del takes it away, undo brings it back.
    types->setFocus();
    types->setCurrentIndex(types->model()->index(0, 0));
    QCOMPARE(plot().lit(), (std::vector<int>{column(kDown1)}));
    QVERIFY(afterRecipe([types] { QTest::keyClick(types, Qt::Key_Delete); }));
    QCOMPARE(plan(kDown1).grid, std::string("q8_0"));
    m_session->undoStack().undo();
    QCOMPARE(plan(kDown1).grid, std::string("q6_k"));
}

void PlanRulesTest::patternsAreCountedWhileTheyAreTyped()
{
    ui::RulesPanel& rules = *page().rules();
    addRule(kDown1, QStringLiteral("down_proj"));
    QTableView* table = rules.table();
    table->setFocus();
    table->setCurrentIndex(table->model()->index(0, ui::RulesModel::Pattern));
    QTest::keyClick(table, Qt::Key_Return);
    auto* field = table->findChild<QLineEdit*>();
    QVERIFY(field != nullptr);
    field->selectAll();
    QTest::keyClicks(field, QStringLiteral("mlp"));
    QTRY_COMPARE(rules.message(), QStringLiteral("Found in the names of 12 tensors"));
    QTest::keyClicks(field, QStringLiteral("x"));
    QTRY_COMPARE(rules.message(), QStringLiteral("Found in no tensor's name"));
    QTest::keyClicks(field, QStringLiteral("("));
    QVERIFY2(rules.message().contains(QStringLiteral("breaks at character 5")), qPrintable(rules.message()));
    QTest::keyClick(field, Qt::Key_Escape);  // what was wrong with it goes with it
    QTRY_VERIFY(rules.message().isEmpty());
}

void PlanRulesTest::typesAreGgufsAlone()
{
    ui::RulesPanel& rules = *page().rules();
    QTest::mouseClick(rules.kindChoice()->button(ui::RulesPanel::Types), Qt::LeftButton);
    QCOMPARE(rules.kindChoice()->value(), std::optional<int>(ui::RulesPanel::Types));
    m_session->setExportTarget("gptq");
    QCOMPARE(rules.kindChoice()->value(), std::optional<int>(ui::RulesPanel::Rules));
    QVERIFY(!rules.kindChoice()->button(ui::RulesPanel::Types)->isEnabled());
    QVERIFY(rules.kindChoice()->button(ui::RulesPanel::Types)->toolTip().contains(QStringLiteral("llama.cpp")));
    // Presets are the target's own.
    QAbstractItemModel* offered = rules.presetList()->model();
    QCOMPARE(offered->rowCount(), static_cast<int>(presets("gptq").size()));
    m_session->setExportTarget("gguf");
    QCOMPARE(offered->rowCount(), static_cast<int>(presets("gguf").size()));
}

void PlanRulesTest::aSavedRecipeGivesThePlanBack()
{
    addRule(kDown1, QStringLiteral("down_proj"));
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Bits, QStringLiteral("8")); }));
    m_session->setRank({tensor(kUp1)}, 3);
    m_session->setPinned({tensor(kUp1)}, true);
    m_session->setKeep({tensor(kGate1)}, true);
    const QuantizationPlan before = m_session->plan();
    const QString path = m_folder.filePath(QStringLiteral("recipe.json"));
    QSignalSpy saved(m_session.get(), &ui::Session::recipeSaved);
    m_session->saveRecipe(path);
    QVERIFY(!saved.isEmpty() || saved.wait(5000));
    QFile file(path);
    QVERIFY(file.open(QIODevice::ReadOnly));
    const QJsonObject json = QJsonDocument::fromJson(file.readAll()).object();
    QCOMPARE(json.value(QStringLiteral("rules")).toArray().last().toObject().value(QStringLiteral("match")).toString(),
             QStringLiteral("down_proj"));
    QCOMPARE(json.value(QStringLiteral("pins")).toArray().size(), 1);

    // Something else entirely, then the recipe: one step, the same plan.
    QVERIFY(afterRecipe([this] { m_session->applyPreset(QStringLiteral("rtn-w8")); }));
    m_session->setPinned({tensor(kUp1)}, false);
    QVERIFY(!(m_session->plan() == before));
    const int steps = m_session->undoStack().count();
    QVERIFY(afterRecipe([&, this] { m_session->openRecipe(path); }));
    for (std::size_t i = 0; i < before.layers.size(); ++i) {
        // Of a kept layer only the pin is stored.
        LayerPlan expected = before.layers[i], found = m_session->layer(i);
        for (LayerPlan* plan : {&expected, &found})
            *plan = plan->keep ? LayerPlan{.pinned = plan->pinned} : *plan;
        QCOMPARE(found, expected);
    }
    QCOMPARE(m_session->undoStack().count(), steps + 1);
}

void PlanRulesTest::aBrokenRecipeFileChangesNothing()
{
    const QString path = m_folder.filePath(QStringLiteral("broken.json"));
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(R"({"schema":1,"rules":[{"match":"(","bits":8}]})");
    file.close();
    const QuantizationPlan before = m_session->plan();
    QSignalSpy raised(m_session.get(), &ui::Session::messageRaised);
    m_session->openRecipe(path);
    QVERIFY(!raised.isEmpty() || raised.wait(5000));
    QVERIFY2(raised[0][0].toString().contains(path), qPrintable(raised[0][0].toString()));
    QVERIFY(m_session->plan() == before);
    QCOMPARE(m_session->undoStack().count(), 0);
}

void PlanRulesTest::theDiffSaysWhatChangedAndPutsItBack()
{
    QTableView* table = page().diff()->table();
    QVERIFY(!table->isVisible());
    m_session->chooseBits({tensor(kGate1), tensor(kUp1)}, 8);
    m_session->setRank({tensor(kDown2)}, 16);
    QTRY_COMPARE(table->model()->rowCount(), 2);
    const auto cell
        = [table](int row, int modelColumn) { return table->model()->index(row, modelColumn).data().toString(); };
    // Layers of a block that changed alike share a row; the largest change of size stands first.
    QCOMPARE(cell(0, ui::PlanDiffModel::Block), QStringLiteral("1"));
    QCOMPARE(cell(0, ui::PlanDiffModel::Layers), QStringLiteral("gate_proj + up_proj"));
    QCOMPARE(cell(0, ui::PlanDiffModel::Bits), QStringLiteral("4 → 8"));
    QCOMPARE(cell(0, ui::PlanDiffModel::Rank), QStringLiteral("32"));
    QCOMPARE(cell(1, ui::PlanDiffModel::Rank), QStringLiteral("32 → 16"));
    // 2 matrices of 256 × 768 from 18 to 34 bytes a block of 32.
    QCOMPARE(cell(0, ui::PlanDiffModel::MiB), QStringLiteral("+0.19"));
    QVERIFY(page().diff()->summary().contains(QStringLiteral("3")));
    QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, table->visualRect(table->model()->index(0, 1)).center());
    QCOMPARE(
        m_session->selection(),
        (std::vector<std::size_t>{std::min(tensor(kGate1), tensor(kUp1)), std::max(tensor(kGate1), tensor(kUp1))}));
    QTest::mouseClick(page().diff()->putBackButton(), Qt::LeftButton);
    QCOMPARE(plan(kGate1).grid, std::string("q4_0"));
    QCOMPARE(plan(kDown2).rank, 16U);
    QTRY_COMPARE(table->model()->rowCount(), 1);
    // Another baseline: what the preset left.
    QVERIFY(afterRecipe([this] { m_session->applyPreset(QStringLiteral("rtn-w5")); }));
    QComboBox* since = page().diff()->since();
    QTRY_COMPARE(since->count(), 2);
    since->setCurrentIndex(1);
    emit since->activated(1);
    QCOMPARE(table->model()->rowCount(), 0);
    since->setCurrentIndex(0);
    emit since->activated(0);
    QVERIFY(table->model()->rowCount() >= 4);
}

void PlanRulesTest::fallbacksAreListedWithTheirCost()
{
    const QString folder = copySample(m_folder.filePath(QStringLiteral("uncalibrated")));
    for (const char* name : {"imatrix.gguf", "imatrix.dat"})
        QVERIFY(QFile::remove(QDir(folder).filePath(QLatin1String(name))));
    m_window->openPath(folder);
    QVERIFY(QTest::qWaitFor([&] { return m_session->path() == folder; }, 10000));
    m_window->showPage(MainWindow::Plan);
    QVERIFY(m_session->fallbacks().empty());
    QVERIFY(afterRecipe([this] { m_session->applyPreset(QStringLiteral("l2qer-w4")); }));
    // Without calibration every corrected layer follows the plain metric, and that is said before the run.
    QCOMPARE(m_session->fallbacks().size(), std::size_t(28));
    QCOMPARE(m_window->budget()->view().fallbacks, 28);
    page().diff()->showFallbacks();
    QTRY_COMPARE(page().diff()->fallbackTable()->model()->rowCount(), 28);
    QVERIFY(!page().diff()->fallbackTable()->model()->index(0, ui::FallbackModel::Detail).data().toString().isEmpty());
    m_session->undoStack().undo();
    QVERIFY(m_session->fallbacks().empty());
}

void PlanRulesTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::newRow("dark") << true;
    QTest::newRow("light") << false;
}

void PlanRulesTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    const QString suffix = QStringLiteral("-%1-%2.png")
                               .arg(dark ? QStringLiteral("dark") : QStringLiteral("light"))
                               .arg(qApp->devicePixelRatio());
    const auto keep = [&](const char* name) {
        QTest::qWait(250);
        QVERIFY(m_window->grab().save(folder.filePath(QLatin1String(name) + suffix)));
    };
    QVERIFY(QTest::qWaitFor([this] {
        const auto& columns = plot().view().columns;
        return std::ranges::count_if(columns, [](const auto& c) { return c.hasError(); }) == 28;
    }, 60000));
    keep("plan-fresh");
    m_session->setTarget(2'800'000);
    addRule(kDown1, QStringLiteral("layers\\.(0|3)\\..*down_proj"));
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Bits, QStringLiteral("8")); }));
    addRule(kGate1, QStringLiteral("(gate|up)_proj"));
    QVERIFY(afterRecipe([this] { typeRule(0, ui::RulesModel::Rank, QStringLiteral("16")); }));
    m_session->setPinned({tensor(kDown2)}, true);
    drag(ground(column(kQ1)), ground(column("model.layers.2.self_attn.v_proj.weight")));
    release(ground(column("model.layers.2.self_attn.v_proj.weight")));
    hover(ground(column(kDown2)));
    QCOMPARE(plot().hovered(), std::optional(column(kDown2)));
    keep("plan");
    for (const auto* label : page().findChildren<QLabel*>()) {
        if (label->isVisible() && !label->wordWrap() && !label->text().isEmpty())
            QVERIFY2(label->width() + 1 >= label->sizeHint().width() - 2 * label->margin(), qPrintable(label->text()));
    }
    m_window->resize(1280, 720);
    keep("plan-1280");
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

QTEST_MAIN(PlanRulesTest)
#include "tst_plan_rules.moc"
