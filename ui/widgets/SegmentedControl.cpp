// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/SegmentedControl.h"

#include "ui/Theme.h"
#include "ui/widgets/Look.h"

#include <QButtonGroup>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QToolButton>
#include <QVBoxLayout>

namespace sigmascope::ui {

SegmentedControl::SegmentedControl(Mode mode, QWidget* parent)
    : QWidget(parent)
    , m_mode(mode)
    , m_group(new QButtonGroup(this))
    , m_row(new QHBoxLayout)
    , m_mixed(caption({}, this))
{
    m_row->setSpacing(0);
    m_row->setContentsMargins(0, 0, 0, 0);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(px(2));
    column->addLayout(m_row);
    column->addWidget(m_mixed);
    m_mixed->hide();
    m_group->setExclusive(false);  // exclusive groups cannot show a mixed selection: done by hand
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(m_group, &QButtonGroup::idClicked, this, &SegmentedControl::clicked);
}

void SegmentedControl::setSegments(const QList<Segment>& segments)
{
    if (segments == m_segments)
        return;
    m_segments = segments;
    const QList<int> before = values();
    const auto old = m_group->buttons();
    for (QAbstractButton* button : old) {
        m_group->removeButton(button);
        delete button;
    }
    for (qsizetype i = 0; i < segments.size(); ++i) {
        const Segment& segment = segments[i];
        auto* button = new QToolButton(this);
        button->setText(segment.text);
        button->setCheckable(true);
        button->setEnabled(segment.isEnabled);
        button->setToolTip(segment.reason);
        button->setAccessibleName(accessibleName().isEmpty() ? segment.text
                                                             : accessibleName() + QLatin1Char(' ') + segment.text);
        button->setProperty("segment", true);
        button->setProperty("many", m_mode == Mode::AnyOfMany);
        const char* edge = segments.size() == 1 ? "only"
            : i == 0                            ? "first"
            : i + 1 == segments.size()          ? "last"
                                                : "middle";
        button->setProperty("edge", QLatin1String(edge));
        QFont strong = QWidget::font();
        strong.setWeight(QFont::DemiBold);
        button->setMinimumWidth(QFontMetrics(strong).horizontalAdvance(segment.text) + px(8));
        button->setFixedHeight(px(24));
        button->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
        button->setFocusPolicy(Qt::TabFocus);
        button->installEventFilter(this);
        m_group->addButton(button, segment.value);
        m_row->addWidget(button, std::max<int>(2, static_cast<int>(segment.text.size())));
    }
    setValues(before);
}

QToolButton* SegmentedControl::button(int value) const
{
    return qobject_cast<QToolButton*>(m_group->button(value));
}

void SegmentedControl::setValue(std::optional<int> value)
{
    setValues(value ? QList<int>{*value} : QList<int>{});
}

std::optional<int> SegmentedControl::value() const
{
    const QList<int> all = values();
    return all.size() == 1 ? std::optional<int>(all.constFirst()) : std::nullopt;
}

void SegmentedControl::setValues(const QList<int>& values)
{
    const auto buttons = m_group->buttons();
    for (QAbstractButton* button : buttons)
        button->setChecked(values.contains(m_group->id(button)));
}

QList<int> SegmentedControl::values() const
{
    QList<int> result;
    const auto buttons = m_group->buttons();
    for (QAbstractButton* button : buttons)
        if (button->isChecked())
            result.append(m_group->id(button));
    return result;
}

void SegmentedControl::setMixedText(const QString& text)
{
    m_mixed->setText(text);
    m_mixed->setVisible(!text.isEmpty());
}

void SegmentedControl::clicked(int value)
{
    if (m_mode == Mode::OneOfMany) {
        setValue(value);
        emit valueChosen(value);
    } else {
        emit valuesChosen(values());
    }
}

void SegmentedControl::moveBy(int step)
{
    const auto buttons = m_group->buttons();
    qsizetype from = -1;  // the focused one, else the checked one
    for (qsizetype i = 0; i < buttons.size(); ++i)
        if (buttons[i]->hasFocus() || (from < 0 && buttons[i]->isChecked()))
            from = i;
    for (qsizetype i = from + step; i >= 0 && i < buttons.size(); i += step) {
        if (!buttons[i]->isEnabled())
            continue;
        buttons[i]->setFocus(Qt::TabFocusReason);
        if (m_mode == Mode::OneOfMany)
            clicked(m_group->id(buttons[i]));
        return;
    }
}

bool SegmentedControl::chooseDigit(const QString& digit)
{
    const auto buttons = m_group->buttons();
    for (QAbstractButton* button : buttons)
        if (!digit.isEmpty() && button->text() == digit && button->isEnabled()) {
            button->setFocus(Qt::TabFocusReason);
            button->click();
            return true;
        }
    return false;
}

void SegmentedControl::keyPressEvent(QKeyEvent* event)
{
    const bool isPlain = (event->modifiers() & ~Qt::KeypadModifier) == Qt::NoModifier;
    if (event->key() == Qt::Key_Left)
        moveBy(layoutDirection() == Qt::RightToLeft ? 1 : -1);
    else if (event->key() == Qt::Key_Right)
        moveBy(layoutDirection() == Qt::RightToLeft ? -1 : 1);
    else if (!isPlain || event->text().size() != 1 || !event->text().at(0).isDigit() || !chooseDigit(event->text()))
        QWidget::keyPressEvent(event);
}

bool SegmentedControl::eventFilter(QObject* watched, QEvent* event)
{
    // A tool button keeps the arrow keys for itself; they move within the control.
    if (event->type() == QEvent::KeyPress) {
        auto* key = static_cast<QKeyEvent*>(event);
        if (key->key() == Qt::Key_Left || key->key() == Qt::Key_Right) {
            keyPressEvent(key);
            return true;
        }
    }
    return QWidget::eventFilter(watched, event);
}

}  // namespace sigmascope::ui
