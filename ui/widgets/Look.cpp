// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/Look.h"

#include "ui/Theme.h"
#include "ui/widgets/ElidedLabel.h"

#include <QAbstractButton>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QStyle>

namespace sigmascope::ui {
namespace {

/// Style sheets match dynamic properties only when they are polished anew.
void setLookProperty(QWidget* widget, const char* name, const QVariant& value)
{
    widget->setProperty(name, value);
    widget->style()->unpolish(widget);
    widget->style()->polish(widget);
    widget->update();
}

}  // namespace

void makePrimary(QAbstractButton* button)
{
    setPrimary(button, true);
}

void setPrimary(QAbstractButton* button, bool isPrimary)
{
    setLookProperty(button, "primary", isPrimary);
}

void setTextLevel(QWidget* label, TextLevel level)
{
    const char* name = level == TextLevel::Label ? "label" : level == TextLevel::Hint ? "hint" : "text";
    setLookProperty(label, "level", QLatin1String(name));
}

QLabel* sectionTitle(const QString& text, QWidget* parent)
{
    auto* label = new QLabel(text, parent);
    label->setFont(ui::font(FontRole::SectionTitle));
    return label;
}

QLabel* caption(const QString& text, QWidget* parent)
{
    auto* label = new QLabel(text, parent);
    label->setFont(ui::font(FontRole::Caption));
    setTextLevel(label, TextLevel::Hint);
    return label;
}

QFrame* hairline(QWidget* parent)
{
    auto* line = new QFrame(parent);
    line->setFixedHeight(1);
    line->setProperty("hairline", true);
    return line;
}

void setBadEdge(QWidget* field, bool isBad)
{
    if (field->property("badEdge").toBool() == isBad)
        return;
    field->setProperty("badEdge", isBad);
    field->update();
}

DockTitle::DockTitle(const QString& title, QWidget* parent)
    : QWidget(parent)
    , m_title(sectionTitle(title, this))
    , m_caption(new ElidedLabel({}, this))
    , m_right(caption({}, this))
{
    m_caption->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_caption, TextLevel::Hint);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(px(10), 0, px(12), 1);
    row->setSpacing(px(8));
    row->addWidget(m_title);
    row->addWidget(m_caption, 1);
    row->addWidget(m_right);
    setFixedHeight(px(28));
}

void DockTitle::setCaption(const QString& text)
{
    m_caption->setText(text);
}

void DockTitle::setRight(const QString& text)
{
    m_right->setText(text);
}

QSize DockTitle::sizeHint() const
{
    return {px(120), px(28)};
}

QSize DockTitle::minimumSizeHint() const
{
    return {px(60), px(28)};
}

void DockTitle::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.fillRect(rect(), theme.panel);
    painter.fillRect(QRect(0, height() - 1, width(), 1), theme.line);
}

}  // namespace sigmascope::ui
