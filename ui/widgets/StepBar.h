// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QList>
#include <QString>
#include <QToolBar>

class QAction;
class QActionGroup;

namespace sigmascope::ui {

enum class StepState { None, Done, Running, Stale };

/// The steps left, the page's actions right, one primary. Not movable; steps are checkable and exclusive.
class StepBar : public QToolBar {
    Q_OBJECT

public:
    explicit StepBar(QWidget* parent = nullptr);

    /// Adds a step; its index is the order of calls.
    QAction* addStep(const QString& name);
    [[nodiscard]] QAction* step(int index) const { return m_steps.value(index); }
    void setCurrentStep(int index);
    [[nodiscard]] int currentStep() const;
    /// ✓, "67 %" or ▲ beside the name.
    void setStepState(int index, StepState state, const QString& progress = {});
    /// Adds an action right of the stretch, in order. A primary one is filled and shows its shortcut.
    void addRight(QAction* action, bool primary = false);

signals:
    void stepChosen(int index);

private:
    QActionGroup* m_group = nullptr;
    QAction* m_stretch = nullptr;
    QList<QAction*> m_steps;
};

}  // namespace sigmascope::ui
