// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QProgressBar>

namespace sigmascope::ui {

/// A progress bar that is painted with the next frame: setValue() of its base paints at once, and with it all else that
/// waits to be painted in the window. It paints itself: under a style sheet Qt asks no style for a bar.
class ProgressLine : public QProgressBar {
public:
    using QProgressBar::QProgressBar;

    void setValueSoon(int value);

protected:
    void paintEvent(QPaintEvent* event) override;
};

}  // namespace sigmascope::ui
