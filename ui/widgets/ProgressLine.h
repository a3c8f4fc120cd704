// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QProgressBar>

namespace sigmascope::ui {

/// A progress bar that is painted with the next frame: setValue() of its base paints at once, and with it all else that
/// waits to be painted in the window.
class ProgressLine : public QProgressBar {
public:
    using QProgressBar::QProgressBar;

    void setValueSoon(int value)
    {
        if (value == this->value())
            return;
        setUpdatesEnabled(false);
        setValue(value);
        setUpdatesEnabled(true);
    }
};

}  // namespace sigmascope::ui
