// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Style.h"

#include "ui/Theme.h"

#include <QAbstractItemView>
#include <QAbstractSpinBox>
#include <QComboBox>
#include <QHeaderView>
#include <QLineEdit>
#include <QPainter>
#include <QScrollArea>
#include <QStyleFactory>
#include <QStyleOption>

#include <algorithm>

namespace sigmascope::ui {
namespace {

enum class Ground { Button, Input };

/// Ground, border and focus ring of everything that takes input.
void paintField(QPainter& painter, const QRect& rect, QStyle::State state, Ground ground, bool isBad = false)
{
    const Theme& theme = Theme::current();
    const bool isEnabled = state.testFlag(QStyle::State_Enabled);
    const bool isFocused = isEnabled && state.testFlag(QStyle::State_HasFocus);
    QColor fill = ground == Ground::Input ? theme.base : theme.field;
    if (ground == Ground::Button && isEnabled) {
        if (state.testFlag(QStyle::State_Sunken) || state.testFlag(QStyle::State_On))
            fill = theme.seln;
        else if (state.testFlag(QStyle::State_MouseOver))
            fill = theme.isDark ? fill.lighter(115) : theme.panel;
    }
    const QColor border = isBad ? theme.bad : isFocused ? theme.acc : isEnabled ? theme.edge : theme.line;
    const double width = isFocused ? 2.0 : 1.0;
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(border, width));
    painter.setBrush(isEnabled ? fill : theme.panel);
    const double inset = width / 2;
    painter.drawRoundedRect(QRectF(rect).adjusted(inset, inset, -inset, -inset), 3, 3);
    painter.restore();
}

bool isBad(const QWidget* widget)
{
    return widget != nullptr && widget->property("badEdge").toBool();
}

void paintCheckMark(QPainter& painter, const QRectF& box, const QColor& colour)
{
    painter.setPen(QPen(colour, box.width() * 0.12, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
    const auto at
        = [&](double x, double y) { return QPointF(box.left() + x * box.width(), box.top() + y * box.height()); };
    painter.drawPolyline(QPolygonF{at(0.24, 0.52), at(0.43, 0.71), at(0.77, 0.31)});
}

void paintIndicator(QPainter& painter, const QStyleOption& option, bool isRadio)
{
    const Theme& theme = Theme::current();
    const bool isEnabled = option.state.testFlag(QStyle::State_Enabled);
    const bool isOn = option.state.testFlag(QStyle::State_On);
    const bool isMixed = option.state.testFlag(QStyle::State_NoChange);
    const bool isFocused = option.state.testFlag(QStyle::State_HasFocus);
    const QRectF box = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -0.5);
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    const bool isFilled = (isOn || isMixed) && isEnabled;
    painter.setPen(QPen(isFocused ? theme.acc : isFilled ? theme.accbg : isEnabled ? theme.edge : theme.line, 1));
    painter.setBrush(isFilled ? theme.accbg : theme.base);
    if (isRadio)
        painter.drawEllipse(box);
    else
        painter.drawRoundedRect(box, 3, 3);
    const QColor mark = isEnabled ? theme.acctx : theme.dis;
    if (isMixed) {
        painter.setPen(QPen(mark, 1.6));
        painter.drawLine(QPointF(box.left() + box.width() * 0.28, box.center().y()),
                         QPointF(box.right() - box.width() * 0.28, box.center().y()));
    } else if (isOn && isRadio) {
        painter.setPen(Qt::NoPen);
        painter.setBrush(mark);
        const double r = box.width() * 0.2;
        painter.drawEllipse(box.center(), r, r);
    } else if (isOn) {
        paintCheckMark(painter, box, mark);
    }
    painter.restore();
}

void paintScrollBar(QPainter& painter, const QStyleOptionSlider& option, const QRect& slider)
{
    const Theme& theme = Theme::current();
    painter.fillRect(option.rect, option.palette.color(QPalette::Base));
    if (option.maximum <= option.minimum)
        return;
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(Qt::NoPen);
    const bool isActive = option.state.testFlag(QStyle::State_MouseOver) || option.state.testFlag(QStyle::State_Sunken);
    painter.setBrush(isActive ? theme.edge : theme.line2);
    const QRectF thumb = QRectF(slider).adjusted(2, 2, -2, -2);
    const double radius = std::min(thumb.width(), thumb.height()) / 2;
    painter.drawRoundedRect(thumb, radius, radius);
    painter.restore();
}

void paintCombo(QPainter& painter, const QStyleOptionComboBox& option, const QWidget* widget)
{
    const Theme& theme = Theme::current();
    paintField(painter, option.rect, option.state, option.editable ? Ground::Input : Ground::Button, isBad(widget));
    const int size = px(14);
    const QRect box(option.rect.right() - px(6) - size, option.rect.center().y() - size / 2, size, size);
    const bool isEnabled = option.state.testFlag(QStyle::State_Enabled);
    paintChevron(painter, box, Qt::DownArrow, isEnabled ? theme.tx2 : theme.dis);
}

}  // namespace

void paintChevron(QPainter& painter, const QRectF& rect, Qt::ArrowType direction, const QColor& colour)
{
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colour, 1.3, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
    painter.translate(rect.center());
    painter.rotate(direction == Qt::RightArrow ? -90 : direction == Qt::UpArrow ? 180 : 0);
    const double s = rect.width() / 14;
    painter.drawPolyline(QPolygonF{QPointF(-3.4 * s, -1.7 * s), QPointF(0, 1.7 * s), QPointF(3.4 * s, -1.7 * s)});
    painter.restore();
}

Style::Style()
    : QProxyStyle(QStyleFactory::create(QStringLiteral("Fusion")))
{
}

void Style::drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                          const QWidget* widget) const
{
    const Theme& theme = Theme::current();
    switch (element) {
    case PE_IndicatorDockWidgetResizeHandle:
        painter->fillRect(option->rect, theme.line);
        return;
    case PE_PanelButtonCommand:
        paintField(*painter, option->rect, option->state, Ground::Button);
        return;
    case PE_PanelLineEdit:
        if (const auto* frame = qstyleoption_cast<const QStyleOptionFrame*>(option); frame && frame->lineWidth > 0)
            paintField(*painter, option->rect, option->state, Ground::Input, isBad(widget));
        else
            painter->fillRect(option->rect.adjusted(1, 1, -1, -1), option->palette.base());
        return;
    case PE_FrameLineEdit:
    case PE_FrameStatusBarItem:
    case PE_FrameFocusRect:
    case PE_IndicatorTabClose:
        if (element == PE_FrameFocusRect && qobject_cast<const QAbstractItemView*>(widget)) {
            painter->setPen(theme.acc);
            painter->setBrush(Qt::NoBrush);
            painter->drawRect(option->rect.adjusted(0, 0, -1, -1));
        }
        return;
    case PE_IndicatorCheckBox:
    case PE_IndicatorItemViewItemCheck:
        paintIndicator(*painter, *option, false);
        return;
    case PE_IndicatorRadioButton:
        paintIndicator(*painter, *option, true);
        return;
    case PE_IndicatorBranch:
        if (option->state.testFlag(State_Children)) {
            const int size = std::min(option->rect.width(), px(12));
            QRect box(0, 0, size, size);
            box.moveCenter(option->rect.center());
            paintChevron(*painter, box, option->state.testFlag(State_Open) ? Qt::DownArrow : Qt::RightArrow, theme.tx2);
        }
        return;
    case PE_PanelStatusBar:
    case PE_PanelToolBar:
        painter->fillRect(option->rect, theme.win);
        return;
    default:
        QProxyStyle::drawPrimitive(element, option, painter, widget);
    }
}

void Style::drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                        const QWidget* widget) const
{
    const Theme& theme = Theme::current();
    switch (element) {
    case CE_Splitter:
        painter->fillRect(option->rect, theme.line);
        return;
    case CE_ToolBar:
    case CE_MenuBarEmptyArea:
        painter->fillRect(option->rect, theme.win);
        return;
    case CE_MenuBarItem: {
        const auto* item = qstyleoption_cast<const QStyleOptionMenuItem*>(option);
        if (item == nullptr)
            break;
        const bool isOn = item->state.testFlag(State_Selected) && item->state.testFlag(State_Enabled);
        painter->fillRect(item->rect, isOn ? theme.seln : theme.win);
        painter->setPen(item->state.testFlag(State_Enabled) ? theme.tx : theme.dis);
        painter->drawText(item->rect, Qt::AlignCenter | Qt::TextShowMnemonic | Qt::TextSingleLine, item->text);
        return;
    }
    case CE_HeaderSection:
    case CE_HeaderEmptyArea:
        painter->fillRect(option->rect, theme.base);
        painter->fillRect(QRect(option->rect.left(), option->rect.bottom(), option->rect.width(), 1), theme.line);
        return;
    case CE_HeaderLabel:
        if (const auto* header = qstyleoption_cast<const QStyleOptionHeader*>(option)) {
            QStyleOptionHeader muted = *header;
            muted.palette.setColor(QPalette::ButtonText, theme.tx2);
            muted.palette.setColor(QPalette::WindowText, theme.tx2);
            muted.state &= ~State_On;
            QProxyStyle::drawControl(element, &muted, painter, widget);
            return;
        }
        break;
    default:
        break;
    }
    QProxyStyle::drawControl(element, option, painter, widget);
}

void Style::drawComplexControl(ComplexControl control, const QStyleOptionComplex* option, QPainter* painter,
                               const QWidget* widget) const
{
    if (control == CC_ScrollBar) {
        if (const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option)) {
            paintScrollBar(*painter, *bar, subControlRect(control, option, SC_ScrollBarSlider, widget));
            return;
        }
    }
    if (control == CC_ComboBox) {
        if (const auto* combo = qstyleoption_cast<const QStyleOptionComboBox*>(option)) {
            paintCombo(*painter, *combo, widget);
            return;
        }
    }
    if (control == CC_SpinBox) {
        paintField(*painter, option->rect, option->state, Ground::Input, isBad(widget));
        return;
    }
    QProxyStyle::drawComplexControl(control, option, painter, widget);
}

QRect Style::subControlRect(ComplexControl control, const QStyleOptionComplex* option, SubControl part,
                            const QWidget* widget) const
{
    if (control == CC_SpinBox) {  // no arrow buttons: the field is the control, the wheel and keys step it
        if (part == SC_SpinBoxEditField)
            return option->rect.adjusted(px(4), 2, -px(4), -2);
        return part == SC_SpinBoxFrame ? option->rect : QRect();
    }
    if (control == CC_ComboBox && part == SC_ComboBoxEditField) {
        const auto* combo = qstyleoption_cast<const QStyleOptionComboBox*>(option);
        const int inset = combo != nullptr && combo->editable ? px(4) : px(6);  // its line edit adds the rest
        return visualRect(option->direction, option->rect, option->rect.adjusted(inset, 1, -px(22), -1));
    }
    if (control == CC_ScrollBar) {
        const auto* bar = qstyleoption_cast<const QStyleOptionSlider*>(option);
        if (bar == nullptr)
            return {};
        const bool isHorizontal = bar->orientation == Qt::Horizontal;
        const int length = isHorizontal ? bar->rect.width() : bar->rect.height();
        const int range = bar->maximum - bar->minimum;
        int thumb = length;
        if (range > 0)
            thumb = std::clamp(static_cast<int>(static_cast<qint64>(length) * bar->pageStep / (range + bar->pageStep)),
                               std::min(px(28), length), length);
        const int start
            = sliderPositionFromValue(bar->minimum, bar->maximum, bar->sliderPosition, length - thumb, bar->upsideDown);
        const auto slice = [&](int from, int size) {
            const QRect r
                = isHorizontal ? QRect(from, 0, size, bar->rect.height()) : QRect(0, from, bar->rect.width(), size);
            return visualRect(bar->direction, bar->rect, r);
        };
        switch (part) {
        case SC_ScrollBarSlider:
            return slice(start, thumb);
        case SC_ScrollBarGroove:
            return slice(0, length);
        case SC_ScrollBarSubPage:
            return slice(0, start);
        case SC_ScrollBarAddPage:
            return slice(start + thumb, length - start - thumb);
        default:
            return {};
        }
    }
    return QProxyStyle::subControlRect(control, option, part, widget);
}

int Style::pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const
{
    switch (metric) {
    case PM_SplitterWidth:
    case PM_DockWidgetSeparatorExtent:
        return 1;  // Qt itself widens the hit area of a 1 px separator to 5
    case PM_ScrollBarExtent:
        return px(10);
    case PM_ScrollBarSliderMin:
        return px(28);
    case PM_IndicatorWidth:
    case PM_IndicatorHeight:
    case PM_ExclusiveIndicatorWidth:
    case PM_ExclusiveIndicatorHeight:
        return px(14);
    case PM_SmallIconSize:
    case PM_ButtonIconSize:
    case PM_ToolBarIconSize:
        return px(14);
    case PM_ButtonShiftHorizontal:
    case PM_ButtonShiftVertical:
    case PM_DockWidgetFrameWidth:
    case PM_ToolBarFrameWidth:
    case PM_MenuBarPanelWidth:
        return 0;
    case PM_ToolBarItemSpacing:
        return 0;
    case PM_TreeViewIndentation:
        return px(14);
    case PM_LayoutHorizontalSpacing:
    case PM_LayoutVerticalSpacing:
        return px(6);
    default:
        return QProxyStyle::pixelMetric(metric, option, widget);
    }
}

int Style::styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget, QStyleHintReturn* data) const
{
    switch (hint) {
    case SH_Widget_Animation_Duration:
    case SH_ScrollBar_Transient:
    case SH_ComboBox_Popup:
    case SH_EtchDisabledText:
    case SH_DitherDisabledText:
        return 0;
    case SH_ItemView_ShowDecorationSelected:
    case SH_ScrollView_FrameOnlyAroundContents:
        return 1;
    case SH_ItemView_ActivateItemOnSingleClick:
        return 0;
    default:
        return QProxyStyle::styleHint(hint, option, widget, data);
    }
}

QSize Style::sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& size,
                              const QWidget* widget) const
{
    QSize result = QProxyStyle::sizeFromContents(type, option, size, widget);
    switch (type) {
    case CT_PushButton:
        return {std::max(size.width() + px(22), px(64)), px(24)};
    case CT_ComboBox:
        return {result.width() + px(14), px(24)};
    case CT_LineEdit:
    case CT_SpinBox:
        return {result.width(), px(24)};
    case CT_HeaderSection:
        return {result.width(), px(22)};
    case CT_MenuBarItem:
        return {size.width() + px(16), px(26)};
    case CT_ItemViewItem:
        return {result.width(), std::max(result.height(), px(22))};
    default:
        return result;
    }
}

void Style::polish(QWidget* widget)
{
    // Lines instead of boxes: regions are told apart by ground and hairline, never by a frame.
    if (auto* view = qobject_cast<QAbstractScrollArea*>(widget);
        view && view->frameStyle() == (QFrame::StyledPanel | QFrame::Sunken))
        view->setFrameShape(QFrame::NoFrame);
    if (auto* edit = qobject_cast<QLineEdit*>(widget);
        edit && edit->textMargins().isNull() && !qobject_cast<QAbstractSpinBox*>(edit->parentWidget())
        && !qobject_cast<QComboBox*>(edit->parentWidget()))
        edit->setTextMargins(px(4), 0, px(4), 0);
    if (auto* header = qobject_cast<QHeaderView*>(widget))
        header->setFont(font(FontRole::Caption));
    QProxyStyle::polish(widget);
}

}  // namespace sigmascope::ui
