// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/LatestJob.h"

#include <QWidget>

#include <vector>

class QLabel;
class QListView;
class QStandardItemModel;
class QTableView;
class QToolButton;

namespace sigmascope::ui {

class RulesModel;
class SegmentedControl;
class Session;
class TypesModel;

/// Rules by name pattern or GGUF types by hand, editable in place, and the target's presets below; what is refused is
/// said between them, and how many tensors a pattern finds while it is typed.
class RulesPanel : public QWidget {
    Q_OBJECT

public:
    explicit RulesPanel(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] QTableView* table() const { return m_table; }
    [[nodiscard]] QTableView* typeTable() const { return m_types; }
    /// Of the two the one that is shown.
    [[nodiscard]] QTableView* shownTable() const;
    enum Kind { Rules, Types };
    [[nodiscard]] SegmentedControl* kindChoice() const { return m_kind; }
    [[nodiscard]] QListView* presetList() const { return m_presets; }
    [[nodiscard]] QToolButton* addButton() const { return m_add; }
    /// What was refused last, or what the pattern that is being typed finds; empty when the last edit was taken.
    [[nodiscard]] QString message() const;

signals:
    /// Layers that the rule under the cursor decides; empty when there is none.
    void layersPointedAt(const std::vector<std::size_t>& tensors);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void buildTables();
    void styleTable(QTableView* table, int pattern, const QString& name);
    void buildRules();
    void connectRules();
    void buildPresets();
    void fillPresets();
    void showKind();
    void showMessage(const QString& text);
    void refuse(const QString& why);
    void selectEdited();
    void patternTyped(const QString& pattern, bool isType);
    void pointAt(int row);
    void addRow();
    void removeRow(int row);
    void moveRow(int row, int by);
    void refreshPresets();
    void applyPreset(const QModelIndex& index);
    void refreshButtons();
    void fitTables();

    Session& m_session;
    RulesModel* m_model = nullptr;
    TypesModel* m_typesModel = nullptr;
    SegmentedControl* m_kind = nullptr;
    QTableView* m_table = nullptr;
    QTableView* m_types = nullptr;
    QLabel* m_message = nullptr;
    QLabel* m_empty = nullptr;
    QToolButton* m_add = nullptr;
    QToolButton* m_remove = nullptr;
    QToolButton* m_up = nullptr;
    QToolButton* m_down = nullptr;
    QListView* m_presets = nullptr;
    QStandardItemModel* m_presetModel = nullptr;
    int m_edited = -1;  // row of the edit that is under way; -1: none
    LatestJob<std::size_t> m_countJob;
};

}  // namespace sigmascope::ui
