// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/widgets/ModelMap.h"

#include <QTimer>
#include <QWidget>

#include <array>
#include <vector>

class QComboBox;
class QLabel;
class QToolButton;

namespace sigmascope::ui {

class ElidedLabel;
class Session;

/// The model map with its title, the column shown, and the scale. A cell leads to its layer.
class ModelMapPanel : public QWidget {
    Q_OBJECT

public:
    enum class Value { Error, Bits, Rank, Bytes };

    explicit ModelMapPanel(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] ModelMap* map() const { return m_map; }
    [[nodiscard]] QComboBox* valueChoice() const { return m_choice; }
    /// Only the title stays (windows under 800 high); a click on it unfolds.
    void setFolded(bool folded);
    [[nodiscard]] bool isFolded() const { return m_isFolded; }
    /// Without the fold button, for a page where the map has a place of its own.
    void setFoldable(bool foldable);

protected:
    void showEvent(QShowEvent* event) override;

private:
    void rebuild();
    void refresh();
    void showSelection();
    void chooseCell(int row, int column);
    [[nodiscard]] float valueOf(std::size_t tensor, Value value) const;

    Session& m_session;
    ModelMap* m_map = nullptr;
    ModelMapLegend* m_legend = nullptr;
    QComboBox* m_choice = nullptr;
    QToolButton* m_fold = nullptr;
    ElidedLabel* m_reading = nullptr;
    QTimer m_soon;
    bool m_isFolded = false;
    bool m_isStale = false;
    std::vector<int> m_roleRow;                      // row of each role id, -1: none
    QStringList m_rows;
    int m_blocks = 0;
    std::vector<std::vector<std::size_t>> m_cells;   // tensors of each cell
};

}  // namespace sigmascope::ui
