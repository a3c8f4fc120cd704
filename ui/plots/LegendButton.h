// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/Theme.h"

#include <QToolButton>

namespace sigmascope::ui {

/// Legend entry of a plot: a 20 px sample of the curve and its name; checked = drawn.
class LegendButton : public QToolButton {
    Q_OBJECT

public:
    enum class Sample { Line, ThinLine, Fill };

    LegendButton(Series series, const QString& text, QWidget* parent);
    void setSample(Sample sample);

    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    Series m_series;
    Sample m_sample = Sample::Line;
};

}  // namespace sigmascope::ui
