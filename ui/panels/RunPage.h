// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QTimer>
#include <QWidget>

class QCheckBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QTableView;
class QVBoxLayout;

namespace sigmascope::ui {

class ElidedLabel;
class ExportChoice;
struct ExportOffer;
class ProgressLine;
class QueueTable;
class RunController;
class RunTableModel;
class Session;

/// Quantize: the queue of layers with pause and order, progress, the error of every layer as it finishes, what became
/// of a layer that failed; then the command that loads the files. What is written is chosen on the Export page.
class RunPage : public QWidget {
    Q_OBJECT

public:
    RunPage(Session& session, RunController& run, ExportChoice& choice, QWidget* parent = nullptr);

    void setOutput(const QString& path);
    [[nodiscard]] QString output() const;
    /// Starts, asks first if files would be replaced, or says what is wrong.
    void startOrExplain();
    [[nodiscard]] QTableView* table() const;
    [[nodiscard]] QueueTable* queue() const { return m_table; }
    [[nodiscard]] QPushButton* startButton() const { return m_start; }
    [[nodiscard]] QPushButton* pauseButton() const { return m_pause; }
    [[nodiscard]] QPushButton* retryButton() const { return m_retry; }
    [[nodiscard]] QString message() const;
    [[nodiscard]] QString summary() const;
    [[nodiscard]] QString loadCommand() const;

signals:
    /// To choose what is written, and where.
    void exportPageRequested();

protected:
    void showEvent(QShowEvent* event) override;

private:
    void buildTitle(QVBoxLayout* head);
    void buildAction(QVBoxLayout* head);
    void buildCommand(QVBoxLayout* head);
    QWidget* buildFailure();
    void connectSession();
    void connectRun();
    void refreshTarget();
    void refreshIdle();
    void refreshSummary();
    void summarySoon();
    void refreshFailure();
    /// An earlier run that was stopped may be continued: says how far it came.
    void offerResume();
    void askToReplace(const ExportOffer& offer);
    void begin(bool overwrite);
    void setRunning(bool isRunning);
    void tryAgain();
    void showFinished();
    void showFailed(const QString& text);
    void showMessage(const QString& glyph, const QString& text);

    Session& m_session;
    RunController& m_run;
    ExportChoice& m_choice;
    RunTableModel* m_model;
    QueueTable* m_table = nullptr;
    ElidedLabel* m_target = nullptr;
    QLabel* m_summary = nullptr;
    ElidedLabel* m_detail = nullptr;
    QCheckBox* m_resume = nullptr;
    QLabel* m_message = nullptr;
    ProgressLine* m_progress = nullptr;
    QPushButton* m_pause = nullptr;
    QPushButton* m_start = nullptr;
    QLineEdit* m_command = nullptr;
    QWidget* m_commandRow = nullptr;
    QWidget* m_failure = nullptr;
    QLabel* m_failedLayer = nullptr;
    ElidedLabel* m_failedWhy = nullptr;
    QPushButton* m_retry = nullptr;
    QString m_subject;
    QTimer m_summarySoon;  // at most one new summary a frame
    QTimer m_second;  // the time elapsed goes on while nothing else is told
    bool m_hasRun = false;
};

}  // namespace sigmascope::ui
