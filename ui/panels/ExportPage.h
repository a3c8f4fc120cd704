// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

class QButtonGroup;
class QGridLayout;
class QLabel;
class QLineEdit;
class QPushButton;
class QTableView;
class QVBoxLayout;

namespace sigmascope::ui {

class CheckRow;
class CommandText;
class ElidedLabel;
class ExportCard;
class ExportChoice;
class ExportMatrixModel;
class ExportOptions;
struct ExportOffer;
class RunController;
class Session;

/// Export by runtime: what each target makes of the plan and why, the files with their exact sizes, what is checked
/// before and after writing, and the command that loads them. Decides nothing and writes nothing itself.
class ExportPage : public QWidget {
    Q_OBJECT

public:
    ExportPage(Session& session, RunController& run, ExportChoice& choice, QWidget* parent = nullptr);

    [[nodiscard]] ExportCard* card(const QString& target) const;
    [[nodiscard]] QTableView* matrix() const { return m_matrix; }
    [[nodiscard]] QLineEdit* outputField() const { return m_output; }
    [[nodiscard]] QPushButton* writeButton() const { return m_write; }
    [[nodiscard]] QPushButton* copyButton() const { return m_copy; }
    [[nodiscard]] ExportOptions* options() const { return m_options; }
    /// Shown where the target refuses the plan and another would do.
    [[nodiscard]] QPushButton* nearestButton() const { return m_useNearest; }
    [[nodiscard]] QString nearestText() const;
    [[nodiscard]] QString notes() const;
    [[nodiscard]] QString command() const;
    [[nodiscard]] QString reasons() const;
    void focusOutput();

signals:
    void writeRequested();

protected:
    void showEvent(QShowEvent* event) override;

private:
    void buildCards(QVBoxLayout* page);
    QWidget* buildNearest();
    QWidget* buildFooter();
    void buildMatrix(QVBoxLayout* column);
    void connectSources();
    QWidget* buildCarries();
    QWidget* buildFiles();
    void addChecks(QVBoxLayout* column);
    void refresh();
    void showOffers();
    void showNearest();
    void showReasons();
    void showFiles();
    void showChecks();
    /// The one thing to do, or what stands in its way.
    void showObstacle(const ExportOffer& offer);
    void chooseOutput();

    Session& m_session;
    RunController& m_run;
    ExportChoice& m_choice;
    ExportMatrixModel* m_model;
    ElidedLabel* m_facts = nullptr;
    QButtonGroup* m_cards = nullptr;
    QTableView* m_matrix = nullptr;
    QWidget* m_nearest = nullptr;
    QLabel* m_nearestText = nullptr;
    QPushButton* m_useNearest = nullptr;
    QLabel* m_reasons = nullptr;
    QLabel* m_notes = nullptr;
    ElidedLabel* m_obstacle = nullptr;
    ExportOptions* m_options = nullptr;
    CommandText* m_command = nullptr;
    QPushButton* m_copy = nullptr;
    QLineEdit* m_output = nullptr;
    QGridLayout* m_files = nullptr;
    CheckRow *m_plan = nullptr, *m_folder = nullptr, *m_space = nullptr, *m_existing = nullptr, *m_earlier = nullptr;
    CheckRow *m_compared = nullptr, *m_sizes = nullptr, *m_renamed = nullptr;
    QPushButton* m_write = nullptr;
};

}  // namespace sigmascope::ui
