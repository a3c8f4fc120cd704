// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStackedWidget>

namespace sigmascope::ui {

/// Pages that take the room they are given. A stack usually asks every page, wrapped text and all, how high it would like
/// to be at this width, and does so again whenever one word in the window changes; and it is never narrower than its widest
/// page, though that one may be shown without the docks that stand beside another.
class PageStack : public QStackedWidget {
public:
    explicit PageStack(QWidget* parent = nullptr)
        : QStackedWidget(parent)
    {
        connect(this, &QStackedWidget::currentChanged, this, [this] { updateGeometry(); });
    }

    [[nodiscard]] QSize minimumSizeHint() const override
    {
        return currentWidget() != nullptr ? currentWidget()->minimumSizeHint() : QSize(0, 0);
    }
    [[nodiscard]] bool hasHeightForWidth() const override { return false; }
    [[nodiscard]] int heightForWidth(int) const override { return -1; }
};

}  // namespace sigmascope::ui
