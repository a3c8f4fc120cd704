// SPDX-License-Identifier: GPL-3.0-or-later
// Help of the window: the shortcut sheet, the tour and where its steps point, the choice of language.

#include "ui/Language.h"
#include "ui/MainWindow.h"
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
#include "ui/widgets/StepBar.h"

#include <QActionGroup>
#include <QLineEdit>
#include <QMenuBar>
#include <QPushButton>
#include <QTabBar>
#include <QTabWidget>
#include <QToolBar>
#include <QTreeView>

namespace sigmascope::ui {

void MainWindow::buildHelpMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Help"));
    addAction(menu, tr("Keyboard shortcuts"), QKeySequence(tr("Ctrl+?")), tr("All keys on one page"), [this] { showShortcuts(); });
    QAction* tour = addAction(menu, tr("Guided tour"), {}, tr("Five steps on the sample model, from opening to the finished file"),
                              [this] { m_guide->start(); });
    tour->setEnabled(!m_samplePath.isEmpty());
}

void MainWindow::buildLanguageMenu(QMenu* view)
{
    QMenu* menu = view->addMenu(tr("Language"));
    auto* group = new QActionGroup(this);
    QList<LanguageChoice> choices = languages();
    choices.prepend({QString(), tr("System")});
    for (const LanguageChoice& choice : choices) {
        QAction* action = menu->addAction(choice.name, this, [this, code = choice.code] {
            if (code == Settings::language())
                return;
            Settings::setLanguage(code);
            showMessage({}, tr("The language changes at the next start of the program"));
        });
        action->setStatusTip(tr("Takes effect at the next start"));
        action->setCheckable(true);
        action->setChecked(choice.code == Settings::language());
        group->addAction(action);
    }
}

void MainWindow::buildGuide()
{
    m_guide = new GuidePanel(m_session, *m_run, m_samplePath);
    m_guideBar = new QToolBar(tr("Guided tour"), this);
    m_guideBar->setObjectName(QStringLiteral("guideBar"));
    m_guideBar->setMovable(false);
    m_guideBar->setFloatable(false);
    m_guideBar->setContextMenuPolicy(Qt::PreventContextMenu);
    m_guideBar->toggleViewAction()->setVisible(false);
    m_guideBar->addWidget(m_guide);
    addToolBarBreak();
    addToolBar(m_guideBar);
    m_guideBar->hide();
    m_guide->setTargets([this](int step) { return guideTarget(step); });
    connect(m_guide, &GuidePanel::started, m_guideBar, &QWidget::show);
    connect(m_guide, &GuidePanel::left, m_guideBar, &QWidget::hide);
    connect(m_start, &StartPage::tourRequested, m_guide, &GuidePanel::start);
}

GuideTarget MainWindow::guideTarget(int step) const
{
    const auto stepButton = [this](int index) { return GuideTarget{m_steps->widgetForAction(m_steps->step(index))}; };
    const auto firstVisible = [](const QList<GuideTarget>& places) {
        for (const GuideTarget& place : places) {
            if (place.widget != nullptr && place.widget->isVisible())
                return place;
        }
        return GuideTarget{};
    };
    QTabBar* tabs = m_inspect->tabs()->tabBar();
    const GuideTarget spectrumTab{tabs, tabs->tabRect(m_inspect->tabs()->indexOf(m_inspect->spectrum()))};
    const GuideTarget fileMenu{menuBar(), menuBar()->actionGeometry(menuBar()->actions().constFirst())};
    switch (step) {
    case GuidePanel::OpenSample: return firstVisible({{m_start->sampleButton()}, fileMenu});
    case GuidePanel::PickLayer: return firstVisible({{m_layers->tree()}, stepButton(0)});
    case GuidePanel::DragRank: return firstVisible({{m_inspect->spectrum()}, spectrumTab, stepButton(0)});
    case GuidePanel::ChangeBits: return firstVisible({{m_inspector->bitsControl()}, stepButton(0)});
    case GuidePanel::Quantize:
        return firstVisible({{m_runPage->startButton()}, {m_steps->widgetForAction(findChild<QAction*>(QStringLiteral("run")))}});
    default: return {};
    }
}

void MainWindow::showShortcuts()
{
    if (m_sheet == nullptr) {
        QList<ShortcutGroup> groups = shortcutsOf(*menuBar());
        QList<QAction*> steps;
        for (int i = 0; m_steps->step(i) != nullptr; ++i)
            steps << m_steps->step(i);
        groups.append(shortcutsOf(tr("Steps"), steps));
        groups.append(focusShortcuts());
        m_sheet = new ShortcutSheet(groups, this);
    }
    m_sheet->show();
    m_sheet->raise();
    m_sheet->activateWindow();
    m_sheet->filterField()->setFocus();
}

}  // namespace sigmascope::ui
