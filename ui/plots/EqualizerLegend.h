// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QWidget>

#include <vector>

namespace sigmascope::ui {

struct EqualizerView;

/// What the marks of the Equalizer mean: colours of the widths in use, bracket, pin, measured and estimated error. What
/// does not fit is left out from the right.
class EqualizerLegend : public QWidget {
    Q_OBJECT

public:
    explicit EqualizerLegend(QWidget* parent = nullptr);

    void show(const EqualizerView& view, bool isFusedTogether);
    using QWidget::show;
    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    /// Paints, or only measures without a painter; returns the width used of @p room.
    int lay(QPainter* painter, int room) const;

    std::vector<int> m_widths;
    bool m_hasFused = false, m_isTogether = false, m_hasPins = false, m_hasMeasured = false, m_hasEstimated = false;
};

}  // namespace sigmascope::ui
