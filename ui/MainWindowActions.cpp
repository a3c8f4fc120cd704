// SPDX-License-Identifier: GPL-3.0-or-later
// Menus and keys of the window (ui.md §8, as far as there is something to act on).

#include "ui/MainWindow.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/PlanPage.h"
#include "ui/plots/EqualizerPlot.h"
#include "ui/panels/QueueTable.h"
#include "ui/panels/RunPage.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Settings.h"
#include "ui/session/Text.h"
#include "ui/widgets/StepBar.h"

#include <QAbstractButton>
#include <QAbstractSpinBox>
#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QKeyEvent>
#include <QLineEdit>
#include <QMenuBar>
#include <QStackedWidget>
#include <QTabWidget>

#include <algorithm>

namespace sigmascope::ui {

namespace {

bool isTyping()
{
    const QWidget* focus = QApplication::focusWidget();
    return qobject_cast<const QLineEdit*>(focus) != nullptr || qobject_cast<const QAbstractSpinBox*>(focus) != nullptr;
}

/// Space presses a focused button and opens a focused list.
bool takesSpace(const QWidget* focus)
{
    return qobject_cast<const QAbstractButton*>(focus) != nullptr || qobject_cast<const QComboBox*>(focus) != nullptr;
}

/// A single key that edits the selected layers: only where they can be seen.
bool isLayerKey(const QKeyEvent& key)
{
    const bool isPlain = (key.modifiers() & ~(Qt::ShiftModifier | Qt::KeypadModifier)) == Qt::NoModifier;
    switch (key.key()) {
    case Qt::Key_Space:
    case Qt::Key_M:
    case Qt::Key_Plus:
    case Qt::Key_Equal:
    case Qt::Key_Minus:
    case Qt::Key_Underscore: return isPlain;
    default: return isPlain && key.key() >= Qt::Key_2 && key.key() <= Qt::Key_8;
    }
}

Appearance appearanceOf(Settings::Appearance setting)
{
    return setting == Settings::Appearance::Dark ? Appearance::Dark
        : setting == Settings::Appearance::Light ? Appearance::Light
                                                 : Appearance::System;
}

}  // namespace

QAction* MainWindow::addAction(QMenu* menu, const QString& text, const QKeySequence& key, const QString& tip,
                               const std::function<void()>& run)
{
    QAction* action = menu->addAction(text, this, run);
    action->setShortcut(key);
    action->setStatusTip(tip);
    return action;
}

QAction* MainWindow::addLayerKey(QMenu* menu, const QString& text, const QList<QKeySequence>& keys, const QString& tip,
                                 const std::function<void()>& run)
{
    QAction* action = menu->addAction(text);
    action->setShortcuts(keys);
    action->setStatusTip(tip);
    // Qt offers a plain key to the focused field first (ShortcutOverride); what still arrives while typing is left alone.
    connect(action, &QAction::triggered, this, [run] {
        if (!isTyping())
            run();
    });
    return action;
}

bool MainWindow::eventFilter(QObject* watched, QEvent* event)
{
    if (event->type() == QEvent::ShortcutOverride) {
        const auto* key = static_cast<const QKeyEvent*>(event);
        const bool isOnButton = key->key() == Qt::Key_Space && key->modifiers() == Qt::NoModifier && takesSpace(QApplication::focusWidget());
        const bool showsLayers = m_pages->currentIndex() == Inspect || m_pages->currentIndex() == Plan;
        if (isOnButton || (!showsLayers && isLayerKey(*key))) {
            event->accept();
            return true;
        }
    }
    return QMainWindow::eventFilter(watched, event);
}

void MainWindow::buildActions()
{
    // What a field leaves of a key comes up to its window, which is the dock's own while that floats.
    for (QWidget* window : std::initializer_list<QWidget*>{this, m_layersDock, m_inspectorDock})
        window->installEventFilter(this);
    buildFileMenu();
    buildEditMenu();
    buildViewMenu();
    buildLayerMenu();
    buildPlanMenu();
    buildRunMenu();
    buildHelpMenu();
    buildGuide();
}

void MainWindow::buildFileMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&File"));
    addAction(menu, tr("Open file…"), QKeySequence(tr("Ctrl+O")), tr("Open safetensors, an index of shards, or GGUF"), [this] { openWithDialog(false); });
    addAction(menu, tr("Open folder…"), QKeySequence(tr("Ctrl+Shift+O")), tr("Open a model folder"), [this] { openWithDialog(true); });
    m_recentMenu = menu->addMenu(tr("Open recent"));
    refreshRecentMenu();
    buildDrops(menu);
    QAction* sample = addAction(menu, tr("Open the sample model"), {}, tr("A real 4-million-weight llama with its calibration"), [this] { openSample(); });
    sample->setEnabled(!m_samplePath.isEmpty());
    menu->addSeparator();
    buildSessionMenu(menu);
    menu->addSeparator();
    addAction(menu, tr("Import calibration…"), {}, tr("Take activation statistics from an importance matrix of llama.cpp"), [this] { importCalibration(); });
    QAction* openRecipe = addAction(menu, tr("Open recipe…"), {}, tr("Plan the model as a recipe file says, in one undo step"), [this] { openRecipeWithDialog(); });
    QAction* saveRecipe = addAction(menu, tr("Save recipe as…"), {}, tr("Write the plan as a recipe that gives it back"), [this] { saveRecipeWithDialog(); });
    for (QAction* action : {openRecipe, saveRecipe}) {
        action->setEnabled(m_session.isOpen());
        connect(&m_session, &Session::opened, action, [action] { action->setEnabled(true); });
        connect(&m_session, &Session::closed, action, [action] { action->setEnabled(false); });
    }
    addAction(menu, tr("Export"), QKeySequence(tr("Ctrl+E")), tr("Choose for which runtime and where the model is written; once more writes it"),
              [this] { showExport(); });
    menu->addSeparator();
    addAction(menu, tr("Close model"), QKeySequence(tr("Ctrl+W")), tr("Close the model and go to the start page"), [this] {
        if (m_run->isRunning()) {
            raiseMessage(tr("A run is working on this model. Stop it first (Shift+F5)"));
            return;
        }
        m_session.close();
        showPage(Start);
        setWindowTitle(tr("Sigmascope"));
        refreshStatus();
    });
    addAction(menu, tr("Quit"), QKeySequence(tr("Ctrl+Q")), tr("Leave Sigmascope"), [this] { close(); });
}

void MainWindow::refreshRecentMenu()
{
    m_recentMenu->clear();
    for (const QString& path : Settings::recentFiles()) {
        QAction* action = m_recentMenu->addAction(path, this, [this, path] { openPath(path); });
        action->setEnabled(QFileInfo::exists(path));
    }
    m_recentMenu->setEnabled(!m_recentMenu->isEmpty());
}

void MainWindow::buildEditMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Edit"));
    QAction* undo = m_session.undoStack().createUndoAction(this, tr("Undo"));
    undo->setShortcut(QKeySequence(tr("Ctrl+Z")));
    undo->setIcon(icon(QStringLiteral("undo")));
    QAction* redo = m_session.undoStack().createRedoAction(this, tr("Redo"));
    redo->setShortcut(QKeySequence(tr("Ctrl+Shift+Z")));
    redo->setIcon(icon(QStringLiteral("redo")));
    menu->addActions({undo, redo});
    menu->addSeparator();
    addAction(menu, tr("Find a layer"), QKeySequence(tr("Ctrl+F")), tr("Filter the layers"), [this] {
        showPage(Inspect);
        m_layers->focusFilter();
    });
    addAction(menu, tr("Next region"), QKeySequence(tr("F6")), tr("Move the focus: layers, plot, inspector"), [this] { cycleRegion(1); });
    addAction(menu, tr("Previous region"), QKeySequence(tr("Shift+F6")), tr("Move the focus back"), [this] { cycleRegion(-1); });
    m_steps->addRight(undo);
    m_steps->addRight(redo);
}

void MainWindow::buildViewMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&View"));
    QMenu* look = menu->addMenu(tr("Appearance"));
    auto* group = new QActionGroup(this);
    const QList<std::pair<QString, Settings::Appearance>> choices{
        {tr("System"), Settings::Appearance::System}, {tr("Dark"), Settings::Appearance::Dark}, {tr("Light"), Settings::Appearance::Light}};
    for (const auto& [text, choice] : choices) {
        QAction* action = look->addAction(text, this, [this, setting = choice] {
            Settings::setAppearance(setting);
            setAppearance(appearanceOf(setting));
        });
        action->setCheckable(true);
        action->setChecked(choice == Settings::appearance());
        group->addAction(action);
    }
    buildLanguageMenu(menu);
    menu->addSeparator();
    menu->addAction(m_layersDock->toggleViewAction());
    menu->addAction(m_inspectorDock->toggleViewAction());
    addAction(menu, tr("Reset layout"), {}, tr("Put the docks back where they were"), [this] {
        restoreState(m_defaultState, 1);
        showPage(static_cast<Page>(m_pages->currentIndex()));
        resetDockWidths();
    });
    menu->addSeparator();
    addAction(menu, tr("Next tab"), QKeySequence(tr("Ctrl+Tab")), tr("Density, Spectrum, Statistics"), [this] {
        m_inspect->tabs()->setCurrentIndex((m_inspect->tabs()->currentIndex() + 1) % m_inspect->tabs()->count());
    });
    addAction(menu, tr("Previous tab"), QKeySequence(tr("Ctrl+Shift+Tab")), tr("Density, Spectrum, Statistics"), [this] {
        const int count = m_inspect->tabs()->count();
        m_inspect->tabs()->setCurrentIndex((m_inspect->tabs()->currentIndex() + count - 1) % count);
    });
}

void MainWindow::buildLayerMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Layer"));
    QMenu* bits = menu->addMenu(tr("Bits"));
    for (const int width : {2, 3, 4, 5, 6, 8})
        addLayerKey(bits, tr("%1 bits").arg(width), {QKeySequence(QString::number(width))}, tr("Set the bits of the selected layers"),
                    [this, width] { m_session.setBits(m_session.selection(), width); });
    addLayerKey(menu, tr("Raise rank"), {QKeySequence(tr("+")), QKeySequence(tr("="))}, tr("Rank of the selected layers up by 1"), [this] { stepRank(1); });
    addLayerKey(menu, tr("Lower rank"), {QKeySequence(tr("-"))}, tr("Rank of the selected layers down by 1"), [this] { stepRank(-1); });
    addLayerKey(menu, tr("Raise rank by 8"), {QKeySequence(tr("Shift++"))}, tr("Rank of the selected layers up by 8"), [this] { stepRank(8); });
    addLayerKey(menu, tr("Lower rank by 8"), {QKeySequence(tr("Shift+-")), QKeySequence(tr("_"))}, tr("Rank of the selected layers down by 8"), [this] { stepRank(-8); });
    menu->addSeparator();
    addLayerKey(menu, tr("Pin"), {QKeySequence(tr("Space"))}, tr("Presets and range gestures leave a pinned layer as it is"), [this] {
        if (m_session.current())
            m_session.setPinned(m_session.selection(), !m_session.layer(*m_session.current()).pinned);
    });
    addLayerKey(menu, tr("Keep as stored"), {QKeySequence(tr("M"))}, tr("Leave the selected layers as they are stored"), [this] {
        if (m_session.current())
            m_session.setKeep(m_session.selection(), !m_session.layer(*m_session.current()).keep);
    });
}

void MainWindow::buildPlanMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Plan"));
    addAction(menu, tr("Equalizer"), {}, tr("Bits and rank of all layers in depth order"), [this] {
        showPage(Plan);
        m_plan->focusEqualizer();
    });
    QMenu* presetMenu = menu->addMenu(tr("Apply preset"));
    for (const Preset& preset : presets()) {
        const QString id = QString::fromUtf8(preset.id.data(), static_cast<int>(preset.id.size()));
        QAction* apply = addAction(presetMenu, titleOf(preset), {}, tr("Plan every layer but the pinned ones like this"),
                                   [this, id] { m_session.applyPreset(id); });
        connect(&m_session, &Session::exportTargetChanged, apply, [this, apply, id = preset.id] {
            const auto carried = presets(m_session.exportTarget());
            apply->setEnabled(std::ranges::find(carried, id, &Preset::id) != carried.end());
        });
    }
    menu->addSeparator();
    addAction(menu, tr("Copy Equalizer as image"), {}, tr("Copy the picture to the clipboard"),
              [this] { QApplication::clipboard()->setImage(m_plan->equalizer()->image()); });
    addAction(menu, tr("Copy Equalizer as CSV"), {}, tr("Copy bits, rank and error of every layer"),
              [this] { QApplication::clipboard()->setText(m_plan->equalizer()->dataAsCsv()); });
    addAction(menu, tr("Reset zoom of the Equalizer"), {}, tr("All layers, as far as they fit"), [this] { m_plan->equalizer()->resetZoom(); });
    menu->setEnabled(m_session.isOpen());
    connect(&m_session, &Session::opened, menu, [menu] { menu->setEnabled(true); });
    connect(&m_session, &Session::closed, menu, [menu] { menu->setEnabled(false); });
}

void MainWindow::buildRunMenu()
{
    QMenu* menu = menuBar()->addMenu(tr("&Run"));
    QAction* run = addAction(menu, tr("Quantize"), QKeySequence(tr("F5")), tr("Quantize and export the model"), [this] { startRun(); });
    QAction* pause = addAction(menu, tr("Pause"), QKeySequence(tr("Ctrl+F5")), tr("Wait once the present layer is done, or go on"),
                               [this] { m_run->isPaused() ? m_run->resume() : m_run->pause(); });
    pause->setObjectName(QStringLiteral("pauseRun"));
    pause->setEnabled(false);
    connect(m_run, &RunController::pausedChanged, pause, [pause](bool isPaused) { pause->setText(isPaused ? tr("Resume") : tr("Pause")); });
    connect(m_run, &RunController::started, pause, [pause] {
        pause->setText(tr("Pause"));
        pause->setEnabled(true);
    });
    for (const auto signal : {&RunController::finished, &RunController::cancelled})
        connect(m_run, signal, pause, [pause] { pause->setEnabled(false); });
    connect(m_run, &RunController::failed, pause, [pause] { pause->setEnabled(false); });
    addAction(menu, tr("Stop"), QKeySequence(tr("Shift+F5")), tr("Stop the run; finished layers are kept for it to be continued"),
              [this] { m_run->cancel(); });
    menu->addSeparator();
    for (QAction* move : m_runPage->queue()->moveActions())
        menu->addAction(move);
    menu->addSeparator();
    QAction* report = addAction(menu, tr("Save report…"), {}, tr("Write the last run's errors, files and recipe as one HTML page or PDF"),
                                [this] { saveReportWithDialog(); });
    const auto refreshReport = [this, report] { report->setEnabled(m_run->lastResult().has_value()); };
    refreshReport();
    for (const auto signal : {&RunController::started, &RunController::finished, &RunController::cancelled})
        connect(m_run, signal, report, refreshReport);
    connect(m_run, &RunController::failed, report, refreshReport);
    connect(&m_session, &Session::closed, report, [report] { report->setEnabled(false); });
    connect(m_run, &RunController::reportSaved, this, [this](const QString& path) {
        showMessage(QStringLiteral("✓"), tr("Report written: %1").arg(path));
    });
    m_runInBar = new QAction(run->text(), this);
    m_runInBar->setObjectName(QStringLiteral("run"));
    m_runInBar->setStatusTip(run->statusTip());
    m_runInBar->setToolTip(tr("%1 (%2)", "action, its key").arg(run->text(), run->shortcut().toString(QKeySequence::NativeText)));
    connect(m_runInBar, &QAction::triggered, run, &QAction::trigger);
    for (QAction* action : {run, m_runInBar}) {
        action->setEnabled(false);
        connect(&m_session, &Session::opened, action, [action] { action->setEnabled(true); });
        connect(&m_session, &Session::closed, action, [action] { action->setEnabled(false); });
    }
    m_steps->addRight(m_runInBar, true);
}

void MainWindow::saveReportWithDialog()
{
    auto* dialog = new QFileDialog(this, tr("Save the report"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(QStringLiteral("html"));
    dialog->setNameFilters({tr("Web page (*.html)"), tr("PDF (*.pdf)")});
    connect(dialog, &QFileDialog::filterSelected, dialog, [dialog](const QString& filter) {
        dialog->setDefaultSuffix(filter.contains(QLatin1String("*.pdf")) ? QStringLiteral("pdf") : QStringLiteral("html"));
    });
    dialog->selectFile(m_session.name() + QStringLiteral("-report"));
    connect(dialog, &QFileDialog::fileSelected, m_run, [this](const QString& path) {
        if (m_run->lastResult())  // the model may have been closed meanwhile
            m_run->saveReport(path);
    });
    dialog->open();
}

void MainWindow::openRecipeWithDialog()
{
    auto* dialog = new QFileDialog(this, tr("Open a recipe"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilters({tr("Recipes (*.json)"), tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, &m_session, &Session::openRecipe);
    dialog->open();
}

void MainWindow::saveRecipeWithDialog()
{
    auto* dialog = new QFileDialog(this, tr("Save the recipe"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(QStringLiteral("json"));
    dialog->setNameFilters({tr("Recipes (*.json)"), tr("All files (*)")});
    dialog->selectFile(m_session.name() + QStringLiteral("-recipe.json"));
    connect(dialog, &QFileDialog::fileSelected, &m_session, &Session::saveRecipe);
    dialog->open();
}

}  // namespace sigmascope::ui
