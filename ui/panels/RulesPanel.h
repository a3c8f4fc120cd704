// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include <vector>

class QLabel;
class QListView;
class QStandardItemModel;
class QTableView;
class QToolButton;

namespace sigmascope::ui {

class ElidedLabel;
class RulesModel;
class Session;

/// Rules by name pattern, editable in place, and the presets below; what is refused is said between them.
class RulesPanel : public QWidget {
    Q_OBJECT

public:
    explicit RulesPanel(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] QTableView* table() const { return m_table; }
    [[nodiscard]] QListView* presetList() const { return m_presets; }
    [[nodiscard]] QToolButton* addButton() const { return m_add; }
    /// What was refused last; empty when the last edit was taken.
    [[nodiscard]] QString message() const;

signals:
    /// Layers that the rule under the cursor decides; empty when there is none.
    void layersPointedAt(const std::vector<std::size_t>& tensors);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void buildTable();
    void buildRules();
    void buildPresets();
    void showMessage(const QString& text);
    void pointAt(int row);
    void refreshPresets();
    void applyPreset(const QModelIndex& index);
    void refreshButtons();
    void fitTable();

    Session& m_session;
    RulesModel* m_model = nullptr;
    QTableView* m_table = nullptr;
    QLabel* m_message = nullptr;
    QLabel* m_empty = nullptr;
    QToolButton* m_add = nullptr;
    QToolButton* m_remove = nullptr;
    QToolButton* m_up = nullptr;
    QToolButton* m_down = nullptr;
    QListView* m_presets = nullptr;
    QStandardItemModel* m_presetModel = nullptr;
};

}  // namespace sigmascope::ui
