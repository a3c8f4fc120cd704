// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/Session.h"

#include <QTimer>
#include <QWidget>

class QComboBox;
class QLabel;
class QPushButton;
class QStackedWidget;
class QTableView;
class QToolButton;

namespace sigmascope::ui {

class ElidedLabel;
class FallbackModel;
class PlanDiffModel;
class SegmentedControl;

/// "What changed since": the layers whose plan differs from an earlier one, before and after, and what they add; and
/// beside it what the plan cannot do as asked.
class PlanDiff : public QWidget {
    Q_OBJECT

public:
    explicit PlanDiff(Session& session, QWidget* parent = nullptr);

    [[nodiscard]] QTableView* table() const { return m_table; }
    [[nodiscard]] QTableView* fallbackTable() const { return m_fallbackTable; }
    [[nodiscard]] QComboBox* since() const { return m_since; }
    [[nodiscard]] QPushButton* putBackButton() const { return m_putBack; }
    [[nodiscard]] QString summary() const;
    void showFallbacks();

protected:
    void showEvent(QShowEvent* event) override;

private:
    enum View { Changes, Fallbacks };
    void build();
    void refreshBaselines();
    void refresh();
    void showView(View view);
    void putBack();
    [[nodiscard]] Session::Since sinceShown() const;
    void selectRow(int row);

    Session& m_session;
    PlanDiffModel* m_model = nullptr;
    FallbackModel* m_fallbackModel = nullptr;
    SegmentedControl* m_view = nullptr;
    QComboBox* m_since = nullptr;
    ElidedLabel* m_summary = nullptr;
    QPushButton* m_putBack = nullptr;
    QStackedWidget* m_stack = nullptr;
    QTableView* m_table = nullptr;
    QTableView* m_fallbackTable = nullptr;
    QLabel* m_empty = nullptr;
    bool m_isStale = false;
    QTimer m_soon;  // one refresh for many changes
};

}  // namespace sigmascope::ui
