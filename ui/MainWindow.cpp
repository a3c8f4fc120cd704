// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/MainWindow.h"

#include "ui/panels/ComparePage.h"
#include "ui/panels/InspectPage.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/panels/LayerPanel.h"
#include "ui/panels/PlanDiff.h"
#include "ui/panels/PlanPage.h"
#include "ui/panels/RunPage.h"
#include "ui/panels/StartPage.h"
#include "ui/session/ExportChoice.h"
#include "ui/session/FallbackCosts.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/SessionStore.h"
#include "ui/session/Settings.h"
#include "ui/session/Text.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/PageStack.h"
#include "ui/widgets/StepBar.h"

#include <QApplication>
#include <QCloseEvent>
#include <QComboBox>
#include <QDockWidget>
#include <QFileDialog>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <QStatusBar>
#include <QTabWidget>
#include <QTimer>
#include <QToolBar>
#include <QToolButton>
#include <QTreeView>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

/// Steps in the bar, in their order; Start has none.
enum Step { InspectStep, PlanStep, QuantizeStep, ExportStep, CompareStep, StepCount };

QDockWidget* dock(const QString& name, const QString& title, DockTitle* bar, QWidget* content, QMainWindow* window)
{
    auto* made = new QDockWidget(title, window);
    made->setObjectName(name);
    made->setTitleBarWidget(bar);
    made->setWidget(content);
    made->setFeatures(QDockWidget::DockWidgetMovable | QDockWidget::DockWidgetFloatable | QDockWidget::DockWidgetClosable);
    return made;
}

}  // namespace

MainWindow::MainWindow(Session& session, const QString& samplePath, QWidget* parent)
    : QMainWindow(parent)
    , m_session(session)
    , m_samplePath(samplePath)
    , m_run(new RunController(session, this))
    , m_export(new ExportChoice(session, this))
{
    setAcceptDrops(true);
    setWindowTitle(tr("Sigmascope"));
    buildPages();
    buildDocks();
    buildStatusBar();
    buildStore();
    buildActions();
    connectSession();
    connectRun();
    setMinimumSize(px(1000), px(620));
    resize(px(1440), px(900));
    restoreGeometry(Settings::windowGeometry());
    restoreState(Settings::windowState(), kStateVersion);
    m_guideBar->hide();  // a state that was saved during the tour would show it
    showPage(Start);
    refreshDevice();
    refreshStatus();
    offerRecovery();
}

MainWindow::~MainWindow() = default;

void MainWindow::buildPages()
{
    m_steps = new StepBar(this);
    m_steps->addStep(tr("Inspect"))->setShortcut(QKeySequence(tr("Alt+1")));
    m_steps->addStep(tr("Plan"))->setShortcut(QKeySequence(tr("Alt+2")));
    m_steps->addStep(tr("Quantize"))->setShortcut(QKeySequence(tr("Alt+3")));
    m_steps->addStep(tr("Export"))->setShortcut(QKeySequence(tr("Alt+6")));
    m_steps->addStep(tr("Compare"))->setShortcut(QKeySequence(tr("Alt+7")));
    addToolBar(m_steps);
    connect(m_steps, &StepBar::stepChosen, this, [this](int step) { showPage(static_cast<Page>(step + Inspect)); });

    m_start = new StartPage(!m_samplePath.isEmpty());
    m_inspect = new InspectPage(m_session);
    m_plan = new PlanPage(m_session);
    m_runPage = new RunPage(m_session, *m_run, *m_export);
    m_compare = new ComparePage(m_session, *m_run);
    m_pages = new PageStack;
    m_pages->addWidget(m_start);
    m_pages->addWidget(m_inspect);
    m_pages->addWidget(m_plan);
    m_pages->addWidget(m_runPage);
    buildExport();
    m_pages->addWidget(m_compare);
    m_budget = new BudgetStrip;
    m_fallbackCosts = new FallbackCosts(m_session, this);

    m_messageBar = new QWidget;
    m_messageText = new ElidedLabel;
    m_messageText->setObjectName(QStringLiteral("messageText"));
    auto* close = new QToolButton;
    close->setIcon(icon(QStringLiteral("close")));
    close->setAutoRaise(true);
    close->setToolTip(tr("Dismiss"));
    close->setAccessibleName(tr("Dismiss"));
    connect(close, &QToolButton::clicked, m_messageBar, &QWidget::hide);
    auto* bar = new QHBoxLayout(m_messageBar);
    bar->setContentsMargins(px(12), px(4), px(6), px(4));
    bar->addWidget(m_messageText, 1);
    m_recheck = new QPushButton(tr("Re-check"));
    m_recheck->setObjectName(QStringLiteral("recheckOpen"));
    m_recheck->setToolTip(tr("Opens the model again: a download may have gone on. The plan starts anew"));
    connect(m_recheck, &QPushButton::clicked, this, [this] { openPath(m_session.path()); });
    bar->addWidget(m_recheck);
    bar->addWidget(close);
    m_messageBar->hide();

    auto* central = new QWidget;
    auto* layout = new QVBoxLayout(central);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_messageBar);
    layout->addWidget(m_pages, 1);
    setCentralWidget(central);

    connect(m_start, &StartPage::openFileRequested, this, [this] { openWithDialog(false); });
    connect(m_start, &StartPage::openFolderRequested, this, [this] { openWithDialog(true); });
    connect(m_start, &StartPage::sampleRequested, this, &MainWindow::openSample);
    connect(m_start, &StartPage::pathChosen, this, &MainWindow::openPath);
    connect(m_start, &StartPage::cancelRequested, this, [this] {
        m_session.cancelOpen();
        m_start->showIdle();
    });
}

void MainWindow::buildDocks()
{
    m_layers = new LayerPanel(m_session);
    m_layersTitle = new DockTitle(tr("Layers"));
    m_layersDock = dock(QStringLiteral("layers"), tr("Layers"), m_layersTitle, m_layers, this);
    m_inspector = new InspectorPanel(m_session);
    m_inspectorTitle = new DockTitle(tr("Inspector"));
    m_inspectorDock = dock(QStringLiteral("inspector"), tr("Inspector"), m_inspectorTitle, m_inspector, this);
    m_layersDock->setMinimumWidth(px(290));
    m_inspectorDock->setMinimumWidth(px(288));
    addDockWidget(Qt::LeftDockWidgetArea, m_layersDock);
    addDockWidget(Qt::RightDockWidgetArea, m_inspectorDock);
    // The budget runs under everything, docks included.
    auto* budgetDock = new QDockWidget(tr("Budget"), this);
    budgetDock->setObjectName(QStringLiteral("budget"));
    budgetDock->setTitleBarWidget(new QWidget(budgetDock));
    budgetDock->setFeatures(QDockWidget::NoDockWidgetFeatures);
    budgetDock->setWidget(m_budget);
    addDockWidget(Qt::BottomDockWidgetArea, budgetDock);
    setCorner(Qt::BottomLeftCorner, Qt::BottomDockWidgetArea);
    setCorner(Qt::BottomRightCorner, Qt::BottomDockWidgetArea);
    m_defaultState = saveState(kStateVersion);
    connect(m_layers, &LayerPanel::summaryChanged, m_layersTitle, &DockTitle::setCaption);
    connect(m_inspector, &InspectorPanel::captionChanged, m_inspectorTitle, &DockTitle::setRight);
    connect(m_budget, &BudgetStrip::fallbacksClicked, this, [this] {
        showPage(Plan);
        m_plan->diff()->showFallbacks();
    });
}

void MainWindow::buildStatusBar()
{
    m_facts = new QLabel;
    m_jobText = new QLabel;
    m_jobStop = new QToolButton;
    m_jobStop->setIcon(icon(QStringLiteral("close")));
    m_jobStop->setAutoRaise(true);
    m_jobStop->setToolTip(tr("Stop"));
    m_jobStop->setAccessibleName(tr("Stop"));
    m_jobStop->hide();
    m_device = new QComboBox;
    m_device->setAccessibleName(tr("Compute device"));
    m_device->setSizeAdjustPolicy(QComboBox::AdjustToContents);
    m_device->addItem(tr("Automatic"), QStringLiteral("auto"));
    for (const DeviceInfo& device : m_session.devices()) {
        const QString id = QString::fromStdString(device.id);
        const QString name = QString::fromStdString(device.name);
        m_device->addItem(device.id == "cpu" ? tr("CPU") : tr("%1 · Vulkan").arg(name.section(QLatin1Char('('), 0, 0).trimmed()), id);
        m_device->setItemData(m_device->count() - 1, QString::fromStdString(device.reason.empty() ? device.name : device.name + ": " + device.reason), Qt::ToolTipRole);
    }
    m_fallbackOps = new QLabel;
    for (QLabel* label : {m_facts, m_jobText, m_fallbackOps})
        setTextLevel(label, TextLevel::Label);
    statusBar()->setSizeGripEnabled(false);
    statusBar()->setContentsMargins(px(10), 0, px(8), 0);
    statusBar()->addWidget(m_facts, 1);
    statusBar()->addPermanentWidget(m_jobText);
    statusBar()->addPermanentWidget(m_jobStop);
    statusBar()->addPermanentWidget(m_device);
    statusBar()->addPermanentWidget(m_fallbackOps);
    connect(m_jobStop, &QToolButton::clicked, m_run, &RunController::cancel);
    connect(m_device, &QComboBox::activated, this, [this](int row) {
        const QString id = m_device->itemData(row).toString();
        if (m_session.setDevice(id))
            Settings::setDevice(id);
        refreshDevice();
    });
}

void MainWindow::connectSession()
{
    connect(&m_session, &Session::openStarted, this, [this](const QString& path) {
        m_messageBar->hide();
        m_start->showOpening(path, 0, {});
    });
    connect(&m_session, &Session::openProgress, this,
            [this](const QString& path, double fraction, const QString& what) { m_start->showOpening(path, fraction, what); });
    connect(&m_session, &Session::opened, this, [this] {
        Settings::addRecentFile(m_session.path());
        m_start->refreshRecent();
        m_start->showIdle();
        refreshRecentMenu();
        setWindowTitle(tr("%1 — Sigmascope").arg(m_session.name()));
        m_steps->setStepState(QuantizeStep, StepState::None);
        refreshBudget();
        refreshStatus();
        showPage(Inspect);
    });
    connect(&m_session, &Session::openedIncomplete, this, &MainWindow::offerRecheck);
    connect(&m_session, &Session::openFailed, this, [this](const QString& path, const QString& text, bool mayGrow) {
        m_start->showFailure(path, text, mayGrow);
        if (m_pages->currentIndex() != Start)
            raiseMessage(text);
    });
    connect(&m_session, &Session::messageRaised, this, &MainWindow::raiseMessage);
    connectBudget();
    connect(m_budget, &BudgetStrip::contextChosen, &m_session, &Session::setContext);
    connect(&m_session, &Session::recipeSaved, this, [this](const QString& path) {
        showMessage(QStringLiteral("✓"), tr("Recipe saved as %1").arg(path));
    });
    connect(m_plan, &PlanPage::messageRaised, this, &MainWindow::raiseMessage);
    connect(m_compare, &ComparePage::messageRaised, this, &MainWindow::raiseMessage);
    connect(m_compare, &ComparePage::layerChosen, this, &MainWindow::inspectLayer);
    connect(&m_session, &Session::calibrationChanged, this, [this] {
        refreshBudget();
        refreshStatus();
    });
    connect(&m_session, &Session::deviceChanged, this, &MainWindow::refreshDevice);
    connect(&m_session, &Session::analysisChanged, this, [this] { m_fallbackOps->setText(tr("%1 ops on CPU").arg(m_session.backend()->fallbackCount())); });
    for (const auto* table : findChildren<TableExport*>()) {
        connect(table, &TableExport::saved, this,
                [this](const QString& path) { showMessage(QStringLiteral("✓"), tr("Saved %1").arg(path)); });
        connect(table, &TableExport::saveFailed, this,
                [this](const QString& path) { raiseMessage(tr("%1 could not be written").arg(path)); });
    }
}

void MainWindow::refreshStatus()
{
    if (!m_session.isOpen()) {
        m_facts->clear();
        return;
    }
    const Checkpoint& checkpoint = *m_session.checkpoint();
    const QString calibration = m_session.calibration() == nullptr
        ? tr("no calibration")
        : tr("calibration %1").arg(fromPath(m_session.calibration()->path.filename()));
    m_facts->setText(tr("%1 tensors · %2 weights · %3 · %4")
                         .arg(QLocale().toString(static_cast<qulonglong>(checkpoint.tensors().size())),
                              QLocale().toString(static_cast<qulonglong>(checkpoint.totalElements())),
                              fileSize(checkpoint.totalBytes()), calibration));
}

void MainWindow::refreshDevice()
{
    const int row = m_device->findData(m_session.deviceId());
    if (row >= 0)
        m_device->setCurrentIndex(row);
    m_device->setToolTip(QString::fromStdString(m_session.backend()->device().name));
    m_fallbackOps->setText(tr("%1 ops on CPU").arg(m_session.backend()->fallbackCount()));
    m_fallbackOps->setVisible(m_session.deviceId() != QLatin1String("cpu"));
}

void MainWindow::raiseMessage(const QString& text)
{
    showMessage(QStringLiteral("▲"), text);
}

void MainWindow::showMessage(const QString& glyph, const QString& text)
{
    m_messageText->setText(glyph.isEmpty() ? text : glyph + QLatin1Char(' ') + text);
    m_recheck->hide();
    m_recover->hide();
    m_discard->hide();
    m_nextButton->setVisible(!m_waiting.isEmpty());  // an offer that another message does not take away
    m_messageBar->show();
}

void MainWindow::offerRecheck(const QString& text)
{
    raiseMessage(text);
    m_recheck->show();
}

void MainWindow::showPage(Page page)
{
    if (page != Start && !m_session.isOpen())
        page = Start;
    // A page that wants more room takes it from the docks before they go.
    const bool wasInspect = m_hasLaidOut && m_layersDock->isVisible() && m_inspectorDock->isVisible();
    if (wasInspect && !m_areDocksWaiting)
        m_dockWidths = {m_layersDock->width(), m_inspectorDock->width()};
    m_pages->setCurrentIndex(page);
    const bool hasModel = page != Start;
    m_layersDock->setVisible(page == Inspect);
    m_inspectorDock->setVisible(page == Inspect);
    findChild<QDockWidget*>(QStringLiteral("budget"))->setVisible(hasModel);
    m_steps->setVisible(true);
    m_runInBar->setVisible(page != Run && page != Export);
    for (int step = 0; step < StepCount; ++step)
        m_steps->step(step)->setEnabled(m_session.isOpen());
    if (hasModel)
        m_steps->setCurrentStep(page - Inspect);
    fitLayout();
    if (page == Inspect && !m_hasLaidOut) {
        // Docks take a wanted width only once they are shown.
        m_hasLaidOut = true;
        if (Settings::windowState().isEmpty())
            QTimer::singleShot(0, this, &MainWindow::resetDockWidths);
    } else if (page == Inspect && !wasInspect) {
        m_areDocksWaiting = true;
        QTimer::singleShot(0, this, &MainWindow::restoreDockWidths);
    }
}

/// Docks that are hidden forget their widths.
void MainWindow::restoreDockWidths()
{
    m_areDocksWaiting = false;
    const QList<QDockWidget*> docks{m_layersDock, m_inspectorDock};
    for (qsizetype i = 0; i < m_dockWidths.size(); ++i) {
        if (docks[i]->isVisible() && !docks[i]->isFloating())
            resizeDocks({docks[i]}, {m_dockWidths[i]}, Qt::Horizontal);
    }
}

void MainWindow::resetDockWidths()
{
    const bool narrow = width() < px(1360);
    m_dockWidths = {px(narrow ? 320 : 392), px(narrow ? 296 : 312)};
    restoreDockWidths();
}

void MainWindow::setAppearance(Appearance appearance)
{
    applyTheme(*qApp, appearance);
}

void MainWindow::fitLayout()
{
    m_budget->setCompact(height() < px(760));
    const bool narrow = width() < px(1360);
    m_layers->setNarrow(narrow);
    m_layers->setLow(height() < px(800));
    // The docks follow when columns give way or come back, not on every pixel: their widths are the user's otherwise.
    if (m_hasLaidOut && narrow != m_isNarrow)
        QTimer::singleShot(0, this, &MainWindow::resetDockWidths);
    m_isNarrow = narrow;
}

void MainWindow::resizeEvent(QResizeEvent* event)
{
    QMainWindow::resizeEvent(event);
    fitLayout();
}

void MainWindow::openPath(const QString& path)
{
    if (!isFreeToOpen())
        return;
    if (SessionStore::isSessionFile(path))
        m_store->open(path);
    else
        m_session.open(path);
}

void MainWindow::openSample()
{
    if (!m_samplePath.isEmpty())
        openPath(m_samplePath);
}

void MainWindow::openWithDialog(bool folder)
{
    auto* dialog = new QFileDialog(this, folder ? tr("Open a model folder") : tr("Open a model"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    if (folder) {
        dialog->setFileMode(QFileDialog::Directory);
        dialog->setOption(QFileDialog::ShowDirsOnly);
    } else {
        dialog->setFileMode(QFileDialog::ExistingFile);
        dialog->setNameFilters({tr("Models (*.safetensors *.index.json *.gguf)"), tr("All files (*)")});
    }
    connect(dialog, &QFileDialog::fileSelected, this, &MainWindow::openPath);
    dialog->open();
}

void MainWindow::importCalibration()
{
    auto* dialog = new QFileDialog(this, tr("Import an importance matrix"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilters({tr("Importance matrix (*.gguf *.dat)"), tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, &m_session, &Session::importCalibration);
    dialog->open();
}

void MainWindow::stepRank(int by)
{
    // One undo step while the keys keep coming.
    if (m_keyGesture == 0)
        m_keyGesture = m_session.newGesture();
    m_session.changeRank(m_session.selection(), by, m_keyGesture);
    const quint64 gesture = m_keyGesture;
    QTimer::singleShot(800, this, [this, gesture] {
        if (m_keyGesture == gesture)
            m_keyGesture = 0;
    });
}

void MainWindow::cycleRegion(int by)
{
    const QList<QWidget*> regions = m_pages->currentIndex() == Plan
        ? m_plan->regions()
        : m_pages->currentIndex() == Compare
        ? m_compare->regions()
        : QList<QWidget*>{m_layers->tree(), m_inspect->tabs()->currentWidget(), m_inspector->rankField()};
    qsizetype current = 0;
    for (qsizetype i = 0; i < regions.size(); ++i) {
        if (regions[i]->hasFocus() || regions[i]->isAncestorOf(QApplication::focusWidget()))
            current = i;
    }
    regions[(current + by + regions.size()) % regions.size()]->setFocus(Qt::ShortcutFocusReason);
}

}  // namespace sigmascope::ui
