// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include <vector>

class QCheckBox;
class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QSpinBox;
class QVBoxLayout;

namespace sigmascope::ui {

class ElidedLabel;
class SegmentedControl;
class Session;

/// Bits and rank of the selection, whether fused layers move together, and what the plan is to fit: target size and
/// context length. Pinned layers of a selection of several stay.
class PlanSettings : public QWidget {
    Q_OBJECT

public:
    explicit PlanSettings(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] SegmentedControl* bitsControl() const { return m_bits; }
    [[nodiscard]] QLineEdit* rankField() const { return m_rank; }
    [[nodiscard]] QCheckBox* fusedBox() const { return m_fused; }
    [[nodiscard]] QLineEdit* targetField() const { return m_target; }
    [[nodiscard]] QComboBox* targetUnit() const { return m_unit; }
    [[nodiscard]] QSpinBox* contextField() const { return m_context; }
    [[nodiscard]] bool isFusedTogether() const;

signals:
    void fusedTogetherChanged(bool together);

private:
    void build();
    void buildSelection(QVBoxLayout* column);
    void buildBudget(QVBoxLayout* column);
    void refresh();
    void refreshBits(const std::vector<std::size_t>& layers);
    void refreshRank(const std::vector<std::size_t>& layers);
    void refreshTarget();
    void targetEdited();
    void showTarget();
    void rankEdited();
    void stepRank(int by);
    /// The selection as an edit reaches it.
    [[nodiscard]] std::vector<std::size_t> reached() const;

    Session& m_session;
    ElidedLabel* m_caption = nullptr;
    SegmentedControl* m_bits = nullptr;
    QLineEdit* m_rank = nullptr;
    QPushButton* m_less = nullptr;
    QPushButton* m_more = nullptr;
    QCheckBox* m_fused = nullptr;
    bool m_wasFused = false;  // before a target asked for it
    QLineEdit* m_target = nullptr;
    QComboBox* m_unit = nullptr;
    QSpinBox* m_context = nullptr;
    QLabel* m_targetNote = nullptr;
    quint64 m_gesture = 0;
};

/// "1 layer", "35 layers".
[[nodiscard]] QString layerCount(std::size_t count);
/// "blocks 10–14, 35 layers", "block 12 · down_proj": what of the model is selected.
[[nodiscard]] QString selectionText(const Session& session);

}  // namespace sigmascope::ui
