// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/Theme.h"

#include <QList>
#include <QMainWindow>
#include <QPointer>
#include <QStringList>
#include <QTimer>

#include <functional>
#include <optional>

class QAction;
class QComboBox;
class QDockWidget;
class QLabel;
class QMenu;
class QPushButton;
class QStackedWidget;
class QToolBar;
class QToolButton;

namespace sigmascope {
struct SizeEstimate;
}

namespace sigmascope::ui {

class BudgetStrip;
class ComparePage;
class DockTitle;
class ElidedLabel;
class FallbackCosts;
class GuidePanel;
class InspectorPanel;
class InspectPage;
class LayerPanel;
class PlanPage;
class ExportChoice;
class ExportPage;
class RunController;
class RunPage;
class Session;
class SessionStore;
class ShortcutSheet;
class StartPage;
class StepBar;
struct GuideTarget;

/// The window: steps over pages, docks for layers and inspector, budget and status below. Wires intents of the
/// panels to the session; decides nothing itself.
class MainWindow : public QMainWindow {
    Q_OBJECT

public:
    enum Page { Start, Inspect, Plan, Run, Export, Compare };

    /// @param samplePath  folder of the bundled model; empty if it is not installed.
    MainWindow(Session& session, const QString& samplePath, QWidget* parent = nullptr);
    ~MainWindow() override;

    void openPath(const QString& path);
    void openSample();
    void showPage(Page page);
    void setAppearance(Appearance appearance);

    [[nodiscard]] InspectPage* inspectPage() const { return m_inspect; }
    [[nodiscard]] InspectorPanel* inspector() const { return m_inspector; }
    [[nodiscard]] LayerPanel* layerPanel() const { return m_layers; }
    [[nodiscard]] PlanPage* planPage() const { return m_plan; }
    [[nodiscard]] RunPage* runPage() const { return m_runPage; }
    [[nodiscard]] ExportPage* exportPage() const { return m_exportPage; }
    [[nodiscard]] ComparePage* comparePage() const { return m_compare; }
    [[nodiscard]] StartPage* startPage() const { return m_start; }
    [[nodiscard]] BudgetStrip* budget() const { return m_budget; }
    [[nodiscard]] SessionStore* store() const { return m_store; }
    [[nodiscard]] RunController& runController() { return *m_run; }
    [[nodiscard]] GuidePanel* guide() const { return m_guide; }

protected:
    void closeEvent(QCloseEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    static constexpr int kStateVersion = 1;  // of docks and bars, as saved
    void buildPages();
    void buildDocks();
    void buildStatusBar();
    void buildActions();
    void buildFileMenu();
    void buildEditMenu();
    void buildViewMenu();
    void buildLayerMenu();
    void buildPlanMenu();
    void buildRunMenu();
    void buildHelpMenu();
    void buildLanguageMenu(QMenu* view);
    void buildGuide();
    /// Where a step of the tour points on the page that is shown.
    [[nodiscard]] GuideTarget guideTarget(int step) const;
    void showShortcuts();
    void connectSession();
    void connectRun();
    // The budget strip (MainWindowBudget.cpp)
    void connectBudget();
    /// Sizes are known frame by frame.
    [[nodiscard]] bool isOneGguf() const;
    [[nodiscard]] const SizeEstimate* budgetSizes() const;
    void refreshBudget();
    void refreshMeanError();
    void refreshStatus();
    void refreshDevice();
    void refreshRecentMenu();
    /// Goes to a layer in Inspect; a name of the other format finds its twin.
    void inspectLayer(const QString& name);
    /// Something went wrong, or waits for an answer.
    void raiseMessage(const QString& text);
    /// @param glyph  of the message's kind; empty for none.
    void showMessage(const QString& glyph, const QString& text);
    /// A message whose cause may have passed: with a button that opens the model again.
    void offerRecheck(const QString& text);
    void openWithDialog(bool folder);
    // Session files (MainWindowSession.cpp)
    void buildStore();
    void buildSessionMenu(QMenu* menu);
    void saveSession(bool underNewName);
    void openSessionWithDialog();
    void offerRecovery();
    /// False, and the user is told, while a run works on the open model.
    [[nodiscard]] bool isFreeToOpen();
    [[nodiscard]] QByteArray viewState() const;
    void applyViewState(const QByteArray& state);
    // What is dropped (MainWindowDrop.cpp)
    void buildDrops(QMenu* menu);
    void openNext();
    void offerNext();
    void openRecipeWithDialog();
    void saveReportWithDialog();
    void saveRecipeWithDialog();
    void importCalibration();
    // The run (MainWindowRun.cpp)
    void buildExport();
    void showExport();
    void confirmClose();
    void stopAndClose();
    void startRun();
    void stepRank(int by);
    void cycleRegion(int by);
    void fitLayout();
    void resetDockWidths();
    void restoreDockWidths();
    QAction* addAction(QMenu* menu, const QString& text, const QKeySequence& key, const QString& tip, const std::function<void()>& run);
    /// A single key that acts on layers only while a tree, table or plot has the focus.
    QAction* addLayerKey(QMenu* menu, const QString& text, const QList<QKeySequence>& keys, const QString& tip, const std::function<void()>& run);

    Session& m_session;
    QString m_samplePath;
    RunController* m_run = nullptr;
    ExportChoice* m_export = nullptr;
    ExportPage* m_exportPage = nullptr;
    StepBar* m_steps = nullptr;
    QStackedWidget* m_pages = nullptr;
    StartPage* m_start = nullptr;
    InspectPage* m_inspect = nullptr;
    PlanPage* m_plan = nullptr;
    RunPage* m_runPage = nullptr;
    ComparePage* m_compare = nullptr;
    BudgetStrip* m_budget = nullptr;
    FallbackCosts* m_fallbackCosts = nullptr;
    QWidget* m_messageBar = nullptr;
    ElidedLabel* m_messageText = nullptr;
    QPushButton* m_recheck = nullptr;
    QPushButton* m_recover = nullptr;
    QPushButton* m_discard = nullptr;
    SessionStore* m_store = nullptr;
    QPushButton* m_nextButton = nullptr;
    QAction* m_openNext = nullptr;
    QStringList m_waiting;  // dropped, in their order
    QString m_abandoned;  // copy of a session that is offered
    QDockWidget* m_layersDock = nullptr;
    QDockWidget* m_inspectorDock = nullptr;
    DockTitle* m_layersTitle = nullptr;
    DockTitle* m_inspectorTitle = nullptr;
    LayerPanel* m_layers = nullptr;
    InspectorPanel* m_inspector = nullptr;
    GuidePanel* m_guide = nullptr;
    QToolBar* m_guideBar = nullptr;
    QPointer<ShortcutSheet> m_sheet;
    QMenu* m_recentMenu = nullptr;
    QLabel* m_facts = nullptr;
    QLabel* m_jobText = nullptr;
    QToolButton* m_jobStop = nullptr;
    QComboBox* m_device = nullptr;
    QLabel* m_fallbackOps = nullptr;
    QByteArray m_defaultState;
    quint64 m_keyGesture = 0;
    QTimer m_errorSoon;
    std::optional<double> m_meanError;  // of the plan's layers; absent while one is not known
    bool m_isErrorMeasured = false;
    QAction* m_runInBar = nullptr;  // the steps' primary, but for pages with one of their own
    bool m_isClosing = false;       // the run was told to stop, or is given up
    bool m_hasLaidOut = false;
    QList<int> m_dockWidths;  // of layers and inspector, while another page hides them
    bool m_areDocksWaiting = false;  // for these widths
    bool m_isNarrow = false;
};

}  // namespace sigmascope::ui
