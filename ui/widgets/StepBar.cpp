// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/StepBar.h"

#include "ui/Theme.h"
#include "ui/widgets/LayerDelegate.h"
#include "ui/widgets/Look.h"

#include <QActionGroup>
#include <QIcon>
#include <QPainter>
#include <QToolButton>

namespace sigmascope::ui {
namespace {

/// ✓ or ▲ behind a step's name, painted in the theme current at the time it is shown.
QIcon stateIcon(StepState state)
{
    if (state != StepState::Done && state != StepState::Stale)
        return {};
    const int side = px(14);
    QPixmap pixmap(2 * side, 2 * side);
    pixmap.setDevicePixelRatio(2);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    painter.setRenderHint(QPainter::Antialiasing);
    paintVerdict(painter, QRectF(1, 1, side - 2, side - 2),
                 state == StepState::Done ? Verdict::Better : Verdict::Changed);
    return QIcon(pixmap);
}

}  // namespace

StepBar::StepBar(QWidget* parent)
    : QToolBar(parent)
    , m_group(new QActionGroup(this))
{
    setObjectName(QStringLiteral("stepBar"));
    setMovable(false);
    setFloatable(false);
    setContextMenuPolicy(Qt::PreventContextMenu);
    setIconSize({px(14), px(14)});
    setFixedHeight(px(34));
    setWindowTitle(tr("Steps"));
    m_group->setExclusive(true);
    auto* stretch = new QWidget(this);
    stretch->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    m_stretch = addWidget(stretch);
    connect(m_group, &QActionGroup::triggered, this,
            [this](QAction* action) { emit stepChosen(static_cast<int>(m_steps.indexOf(action))); });
}

QAction* StepBar::addStep(const QString& name)
{
    auto* action = new QAction(name, this);
    action->setCheckable(true);
    m_group->addAction(action);
    insertAction(m_stretch, action);
    if (auto* button = qobject_cast<QToolButton*>(widgetForAction(action))) {
        button->setProperty("stepButton", true);
        button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
        button->setFocusPolicy(Qt::TabFocus);
        // The checked step is semi-bold: room for it is kept, so that the others do not move.
        QFont strong = button->font();
        strong.setWeight(QFont::DemiBold);
        button->setMinimumWidth(QFontMetrics(strong).horizontalAdvance(name) + px(28));
    }
    m_steps.append(action);
    if (m_steps.size() == 1)
        action->setChecked(true);
    return action;
}

void StepBar::setCurrentStep(int index)
{
    if (QAction* action = step(index))
        action->setChecked(true);
}

int StepBar::currentStep() const
{
    return static_cast<int>(m_steps.indexOf(m_group->checkedAction()));
}

void StepBar::setStepState(int index, StepState state, const QString& progress)
{
    QAction* action = step(index);
    auto* button = action != nullptr ? qobject_cast<QToolButton*>(widgetForAction(action)) : nullptr;
    if (button == nullptr)
        return;
    const QString name = action->text().section(QLatin1Char('\t'), 0, 0);
    const QString text = state == StepState::Running && !progress.isEmpty() ? tr("%1 %2").arg(name, progress) : name;
    // A run tells its progress thirty times a second, and every change here lays the bar out anew.
    if (button->property("stepState") == static_cast<int>(state) && button->text() == text)
        return;
    if (button->property("stepState") != static_cast<int>(state))
        action->setIcon(stateIcon(state));
    button->setProperty("stepState", static_cast<int>(state));
    button->setText(text);
    // Behind the name, as the design has it: the icon stands on the trailing side.
    button->setLayoutDirection(Qt::RightToLeft);
    QFont strong = button->font();
    strong.setWeight(QFont::DemiBold);
    button->setMinimumWidth(QFontMetrics(strong).horizontalAdvance(button->text()) + px(28)
                            + (action->icon().isNull() ? 0 : px(18)));
}

void StepBar::addRight(QAction* action, bool primary)
{
    addAction(action);
    auto* button = qobject_cast<QToolButton*>(widgetForAction(action));
    if (button == nullptr)
        return;
    const bool isIconOnly = !action->icon().isNull() && !primary;
    button->setToolButtonStyle(isIconOnly ? Qt::ToolButtonIconOnly : Qt::ToolButtonTextOnly);
    button->setFocusPolicy(Qt::TabFocus);
    if (primary)
        makePrimary(button);
    else
        button->setProperty("framed", !isIconOnly);
    if (!isIconOnly)
        button->setFixedHeight(px(24));
    // A gap of 8 between actions.
    auto* gap = new QWidget(this);
    gap->setFixedWidth(px(8));
    insertWidget(action, gap);
}

}  // namespace sigmascope::ui
