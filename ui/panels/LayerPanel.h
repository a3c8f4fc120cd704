// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include <vector>

class QLabel;
class QLineEdit;
class QTreeView;

namespace sigmascope::ui {

class LayerFilter;
class LayerTreeModel;
class ModelMapPanel;
class Session;

/// Filter and tree of the layers; its selection is the session's.
class LayerPanel : public QWidget {
    Q_OBJECT

public:
    explicit LayerPanel(Session& session, QWidget* parent = nullptr);

    void focusFilter();
    void focusTree();
    [[nodiscard]] ModelMapPanel* modelMap() const { return m_map; }
    [[nodiscard]] QTreeView* tree() const { return m_tree; }
    [[nodiscard]] QLineEdit* filterField() const { return m_filterField; }
    /// "28 in plan · 12 other tensors"
    [[nodiscard]] QString summary() const;
    /// Columns that give way in a narrow window: MiB first, then the pips.
    void setNarrow(bool narrow);
    /// The model map gives way in a low window: only its title stays.
    void setLow(bool low);

signals:
    void summaryChanged(const QString& text);

private:
    void filterEdited(const QString& text);
    void selectionEdited();
    void showSelection();
    void modelOpened();

    Session& m_session;
    LayerTreeModel* m_model = nullptr;
    LayerFilter* m_filter = nullptr;
    QLineEdit* m_filterField = nullptr;
    QLabel* m_filterError = nullptr;
    QTreeView* m_tree = nullptr;
    ModelMapPanel* m_map = nullptr;
    bool m_isShowing = false;
    std::vector<int> m_openBlocks;  // rows of the model that were open when the filter began
    bool m_isLow = false;
};

}  // namespace sigmascope::ui
