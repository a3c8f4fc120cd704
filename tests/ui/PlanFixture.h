// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The Plan page of the sample model in a window, and the hands to use it.
#include "StudioFixture.h"

#include "ui/models/RulesModel.h"
#include "ui/panels/PlanPage.h"
#include "ui/panels/RulesPanel.h"
#include "ui/plots/EqualizerLayout.h"

#include <QLineEdit>
#include <QMouseEvent>
#include <QSignalSpy>
#include <QTableView>
#include <QToolButton>

namespace sigmascope::test {

inline constexpr const char* kDown1 = "model.layers.1.mlp.down_proj.weight";
inline constexpr const char* kDown2 = "model.layers.2.mlp.down_proj.weight";
inline constexpr const char* kGate1 = "model.layers.1.mlp.gate_proj.weight";
inline constexpr const char* kUp1 = "model.layers.1.mlp.up_proj.weight";
inline constexpr const char* kQ1 = "model.layers.1.self_attn.q_proj.weight";
inline constexpr const char* kK1 = "model.layers.1.self_attn.k_proj.weight";

/// Base of the tests: one window a test, the Plan page shown.
class PlanFixture : public QObject {
protected:
    void prepare()
    {
        isolateSettings(m_folder);
        ui::installFonts();
        ui::applyTheme(*qApp, ui::Appearance::Dark);
    }
    [[nodiscard]] bool openPlan()
    {
        m_session = makeSession();
        m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
        m_window->resize(1440, 900);
        m_window->show();
        if (!QTest::qWaitForWindowExposed(m_window.get()))
            return false;
        m_window->openSample();
        if (!QTest::qWaitFor([this] { return m_session->isOpen(); }, 30000))
            return false;
        m_window->showPage(ui::MainWindow::Plan);
        QTest::qWait(1);
        return page().isVisible();
    }
    void closePlan()
    {
        m_window.reset();
        m_session.reset();
    }
    [[nodiscard]] ui::PlanPage& page() const { return *m_window->planPage(); }
    [[nodiscard]] ui::EqualizerPlot& plot() const { return *page().equalizer(); }
    [[nodiscard]] std::size_t tensor(const char* name) const { return m_session->checkpoint()->find(name).value(); }
    [[nodiscard]] int column(const char* name) const { return page().columns().indexOf(tensor(name)); }
    [[nodiscard]] const LayerPlan& plan(const char* name) const { return m_session->layer(tensor(name)); }
    void move(const QPoint& to) const
    {
        QMouseEvent event(QEvent::MouseMove, to, plot().mapToGlobal(to), Qt::NoButton, Qt::LeftButton, {});
        QCoreApplication::sendEvent(&plot(), &event);
    }
    void hover(const QPoint& at) const
    {
        // Sent straight: the offscreen platform has no pointer beyond its small screen.
        QMouseEvent event(QEvent::MouseMove, at, plot().mapToGlobal(at), Qt::NoButton, Qt::NoButton, {});
        QCoreApplication::sendEvent(&plot(), &event);
    }
    void press(const QPoint& at) const { QTest::mousePress(&plot(), Qt::LeftButton, {}, at); }
    void release(const QPoint& at) const { QTest::mouseRelease(&plot(), Qt::LeftButton, {}, at); }
    void drag(const QPoint& from, const QPoint& to) const
    {
        press(from);
        for (int step = 1; step <= 6; ++step)
            move(from + (to - from) * step / 6);
    }
    [[nodiscard]] QPoint ground(int index) const
    {
        return {plot().barTop(index).x(), plot().geometryOf().bits().top() + 3};
    }
    void clickColumn(int index) const { QTest::mouseClick(&plot(), Qt::LeftButton, {}, ground(index)); }
    /// Into the cell that is being edited.
    static void typeIntoEditor(QTableView* table, const QString& text)
    {
        auto* field = table->findChild<QLineEdit*>();
        QVERIFY(field != nullptr);
        field->selectAll();
        QTest::keyClicks(field, text);
        QTest::keyClick(field, Qt::Key_Return);
        QTest::qWait(1);  // the editor goes
    }
    /// Types into a cell of the rules as a person does.
    void typeRule(int row, int ruleColumn, const QString& text) const
    {
        QTableView* table = page().rules()->table();
        const QModelIndex index = table->model()->index(row, ruleColumn);
        QVERIFY(index.isValid());
        QTest::mouseClick(table->viewport(), Qt::LeftButton, {}, table->visualRect(index).center());
        QTest::mouseDClick(table->viewport(), Qt::LeftButton, {}, table->visualRect(index).center());
        typeIntoEditor(table, text);
    }
    /// Does something and waits for its recipe.
    template <class Do>
    bool afterRecipe(const Do& act) const
    {
        QSignalSpy changed(m_session.get(), &ui::Session::recipeChanged);
        act();
        return !changed.isEmpty() || changed.wait(5000);
    }
    void addRule(const char* name, const QString& pattern) const
    {
        clickColumn(column(name));
        QVERIFY(afterRecipe([this] { QTest::mouseClick(page().rules()->addButton(), Qt::LeftButton); }));
        QVERIFY(afterRecipe([&, this] { typeRule(0, ui::RulesModel::Pattern, pattern); }));
    }

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

}  // namespace sigmascope::test
