// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QCheckBox;
class QGridLayout;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QTableView;
class QVBoxLayout;

namespace sigmascope::ui {

class RunController;
class RunTableModel;
class Session;

/// Quantize and export: files to be written with their exact sizes, checks, progress, and the error of every layer as
/// it finishes; then the command that loads the files.
class RunPage : public QWidget {
    Q_OBJECT

public:
    RunPage(Session& session, RunController& run, QWidget* parent = nullptr);

    void setOutput(const QString& path);
    [[nodiscard]] QString output() const;
    /// Starts if the checks pass, else says what is wrong.
    void startOrExplain();
    void focusOutput();
    [[nodiscard]] QTableView* table() const { return m_table; }
    [[nodiscard]] QPushButton* startButton() const { return m_start; }
    [[nodiscard]] QString message() const;
    [[nodiscard]] QString loadCommand() const;

protected:
    void showEvent(QShowEvent* event) override;

private:
    void buildTitle(QVBoxLayout* head);
    void buildForm(QVBoxLayout* head);
    void buildAction(QVBoxLayout* head);
    void buildCommand(QVBoxLayout* head);
    void buildTable();
    void connectSession();
    void connectRun();
    void chooseOutput();
    void suggestOutput();
    void refreshFiles();
    /// An earlier run that was stopped may be continued: says how far it came.
    void offerResume();
    /// Fills the list of files to be written; true if one of them exists.
    bool listFiles();
    /// Empty if a run may start, else why not.
    [[nodiscard]] QString obstacle() const;
    void showProgress(double fraction, const QString& subject);
    void showFinished();
    void showMessage(const QString& glyph, const QString& text);

    Session& m_session;
    RunController& m_run;
    RunTableModel* m_model = nullptr;
    QLineEdit* m_output = nullptr;
    QCheckBox* m_replace = nullptr;
    QCheckBox* m_resume = nullptr;
    QGridLayout* m_files = nullptr;
    QLabel* m_check = nullptr;
    QLabel* m_message = nullptr;
    QProgressBar* m_progress = nullptr;
    QPushButton* m_start = nullptr;
    QTableView* m_table = nullptr;
    QLabel* m_empty = nullptr;
    QLineEdit* m_command = nullptr;
    QWidget* m_commandRow = nullptr;
    bool m_isSuggested = true;
};

}  // namespace sigmascope::ui
