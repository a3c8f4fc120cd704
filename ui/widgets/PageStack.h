// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QStackedWidget>

namespace sigmascope::ui {

/// Pages that take the room they are given. A stack usually asks every page, wrapped text and all, how high it would like
/// to be at this width, and does so again whenever one word in the window changes.
class PageStack : public QStackedWidget {
public:
    using QStackedWidget::QStackedWidget;

    [[nodiscard]] bool hasHeightForWidth() const override { return false; }
    [[nodiscard]] int heightForWidth(int) const override { return -1; }
};

}  // namespace sigmascope::ui
