// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/LayerDelegate.h"

#include "ui/Theme.h"
#include "ui/models/LayerRoles.h"

#include <QApplication>
#include <QHeaderView>
#include <QIcon>
#include <QPainter>
#include <QTreeView>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
namespace {

constexpr int kPips = 8;
constexpr double kBarFrom = 0.006, kBarTo = 0.16;  // 0.6 % to 16 %, log

int barWidth()
{
    return px(30);
}

int pipsWidth()
{
    return kPips * px(4) + (kPips - 1) * px(1);
}

QColor textColour(const QStyleOptionViewItem& option, const QModelIndex& index)
{
    const Theme& theme = Theme::current();
    if (!option.state.testFlag(QStyle::State_Enabled))
        return theme.dis;
    const bool isSelected = option.state.testFlag(QStyle::State_Selected);
    if (index.data(IsBlockRole).toBool() || !index.data(IsPlannedRole).toBool())
        return isSelected && option.state.testFlag(QStyle::State_Active) ? theme.tx : theme.tx2;
    return theme.tx;
}

void paintGround(QPainter& painter, const QStyleOptionViewItem& option, const QModelIndex& index)
{
    const Theme& theme = Theme::current();
    if (option.state.testFlag(QStyle::State_Selected))
        painter.fillRect(option.rect, option.state.testFlag(QStyle::State_Active) ? theme.sel : theme.seln);
    else if (index.data(FlashRole).toBool())
        painter.fillRect(option.rect, theme.seln);
}

/// Keyboard focus is an outline of the row: its parts of this cell.
void paintFocus(QPainter& painter, const QStyleOptionViewItem& option, const QModelIndex& index)
{
    const auto* view = qobject_cast<const QTreeView*>(option.widget);
    if (view == nullptr || !view->hasFocus() || view->currentIndex().row() != index.row()
        || view->currentIndex().parent() != index.parent())
        return;
    const QHeaderView* header = view->header();
    int first = -1, last = -1;
    for (int visual = 0; visual < header->count(); ++visual) {
        const int logical = header->logicalIndex(visual);
        if (header->isSectionHidden(logical))
            continue;
        first = first < 0 ? logical : first;
        last = logical;
    }
    painter.setPen(QPen(Theme::current().acc, 1));
    const QRect r = option.rect.adjusted(0, 0, -1, -1);
    painter.drawLine(r.topLeft(), r.topRight());
    painter.drawLine(r.bottomLeft(), r.bottomRight());
    if (index.column() == first)
        painter.drawLine(r.topLeft(), r.bottomLeft());
    if (index.column() == last)
        painter.drawLine(r.topRight(), r.bottomRight());
}

void paintName(QPainter& painter, const QStyleOptionViewItem& option, const QModelIndex& index)
{
    const Theme& theme = Theme::current();
    QRect rect = option.rect.adjusted(px(4), 0, -px(4), 0);
    const int side = px(14);
    const auto glyph = [&](int x) { return QRect(x, rect.center().y() - side / 2 + 1, side, side); };
    if (!index.data(FailureRole).toString().isEmpty()) {
        paintVerdict(painter, QRectF(glyph(rect.left())).adjusted(1, 1, -1, -1), Verdict::Worse);
        rect.setLeft(rect.left() + side + px(2));
    }
    const bool isPinned = index.data(PinnedRole).toBool();
    const bool hasWarning = !index.data(WarningRole).toString().isEmpty();
    const int glyphs = (isPinned ? 1 : 0) + (hasWarning ? 1 : 0);
    QRect text = rect;
    text.setRight(rect.right() - glyphs * (side + px(2)));
    const QString name
        = option.fontMetrics.elidedText(index.data(Qt::DisplayRole).toString(), Qt::ElideMiddle, text.width());
    painter.setFont(option.font);
    painter.setPen(textColour(option, index));
    painter.drawText(text, Qt::AlignLeft | Qt::AlignVCenter, name);
    int x = text.left() + option.fontMetrics.horizontalAdvance(name) + px(5);
    if (isPinned) {
        icon(QStringLiteral("pin")).paint(&painter, glyph(x));
        x += side + px(2);
    }
    if (hasWarning) {
        const QRectF box = QRectF(glyph(x)).adjusted(1, 1, -1, -1);
        painter.save();
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(QPen(theme.warn, 1.3, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
        painter.drawPolygon(QPolygonF{QPointF(box.center().x(), box.top()), box.bottomRight(), box.bottomLeft()});
        painter.drawLine(QPointF(box.center().x(), box.top() + box.height() * 0.38),
                         QPointF(box.center().x(), box.top() + box.height() * 0.62));
        painter.drawPoint(QPointF(box.center().x(), box.bottom() - box.height() * 0.18));
        painter.restore();
    }
}

}  // namespace

void paintPips(QPainter& painter, const QPoint& topLeft, double bits)
{
    const Theme& theme = Theme::current();
    const QColor colour = theme.bits(bits);
    const double filled = std::min<double>(bits, kPips);
    const int width = px(4), height = px(9), gap = px(1);
    for (int i = 0; i < kPips; ++i) {
        const QRect cell(topLeft.x() + i * (width + gap), topLeft.y(), width, height);
        const int part = qRound(width * std::clamp(filled - i, 0.0, 1.0));
        painter.fillRect(cell, theme.line);
        if (part > 0)
            painter.fillRect(QRect(cell.left(), cell.top(), part, height), colour);
    }
}

void paintErrorBar(QPainter& painter, const QPoint& topLeft, double error)
{
    const Theme& theme = Theme::current();
    const int width = barWidth(), height = px(3);
    painter.fillRect(QRect(topLeft.x(), topLeft.y(), width, height), theme.line);
    if (!(error > 0))
        return;
    const double share = std::log(error / kBarFrom) / std::log(kBarTo / kBarFrom);
    const int part = std::clamp(qRound(width * share), 1, width);
    painter.fillRect(QRect(topLeft.x(), topLeft.y(), part, height), theme.seriesE);
}

void paintProgressBar(QPainter& painter, const QPoint& topLeft, double share, int width)
{
    const Theme& theme = Theme::current();
    const int full = width > 0 ? width : px(84);
    painter.fillRect(QRect(topLeft.x(), topLeft.y(), full, px(3)), theme.line);
    painter.fillRect(QRect(topLeft.x(), topLeft.y(), qRound(full * std::clamp(share, 0.0, 1.0)), px(3)), theme.acc);
}

void paintVerdict(QPainter& painter, const QRectF& rect, Verdict verdict)
{
    const Theme& theme = Theme::current();
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    const auto at
        = [&](double x, double y) { return QPointF(rect.left() + x * rect.width(), rect.top() + y * rect.height()); };
    const double pen = std::max(1.3, rect.width() * 0.14);
    const auto stroke = [&](const QColor& colour) {
        painter.setPen(QPen(colour, pen, Qt::SolidLine, Qt::RoundCap, Qt::RoundJoin));
        painter.setBrush(Qt::NoBrush);
    };
    switch (verdict) {
    case Verdict::Better:
        stroke(theme.ok);
        painter.drawPolyline(QPolygonF{at(0.18, 0.54), at(0.42, 0.76), at(0.84, 0.28)});
        break;
    case Verdict::Same:
        stroke(theme.tx2);
        for (const double y : {0.4, 0.66})
            painter.drawPolyline(
                QPolygonF{at(0.18, y + 0.04), at(0.36, y - 0.04), at(0.62, y + 0.04), at(0.82, y - 0.04)});
        break;
    case Verdict::Changed:
        painter.setPen(Qt::NoPen);
        painter.setBrush(theme.warn);
        painter.drawPolygon(QPolygonF{at(0.5, 0.12), at(0.96, 0.9), at(0.04, 0.9)});
        break;
    case Verdict::Worse:
        stroke(theme.bad);
        painter.drawLine(at(0.24, 0.24), at(0.76, 0.76));
        painter.drawLine(at(0.76, 0.24), at(0.24, 0.76));
        break;
    }
    painter.restore();
}

void LayerDelegate::paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    QStyleOptionViewItem cell = option;
    initStyleOption(&cell, index);
    painter->save();
    painter->setClipRect(option.rect);
    paintGround(*painter, cell, index);
    const bool isPlanned = index.data(IsPlannedRole).toBool();
    const QColor colour = textColour(cell, index);
    const int middle = cell.rect.center().y() + 1;
    painter->setFont(font(FontRole::Mono));
    painter->setPen(colour);
    const QRect padded = cell.rect.adjusted(px(4), 0, -px(6), 0);
    const auto figure = [&](const QRect& rect) {
        painter->drawText(rect, Qt::AlignRight | Qt::AlignVCenter, index.data(Qt::DisplayRole).toString());
    };
    switch (index.column()) {
    case LayerName:
        paintName(*painter, cell, index);
        break;
    case LayerPips:
        if (isPlanned)
            paintPips(*painter, {cell.rect.left() + px(4), middle - px(9) / 2 - 1}, index.data(BitsRole).toDouble());
        break;
    case LayerError:
        if (const QVariant error = index.data(ErrorRole); error.isValid()) {
            figure(padded.adjusted(0, 0, -barWidth() - px(6), 0));
            paintErrorBar(*painter, {padded.right() - barWidth() + 1, middle - px(3) / 2 - 1}, error.toDouble());
        } else {
            figure(padded.adjusted(0, 0, -barWidth() - px(6), 0));
        }
        break;
    case LayerBits:
    case LayerRank:
    case LayerMiB:
        figure(padded);
        break;
    default:
        painter->drawText(padded, Qt::AlignLeft | Qt::AlignVCenter,
                          QFontMetrics(painter->font())
                              .elidedText(index.data(Qt::DisplayRole).toString(), Qt::ElideRight, padded.width()));
    }
    paintFocus(*painter, cell, index);
    painter->restore();
}

QSize LayerDelegate::sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const
{
    return {std::max(QStyledItemDelegate::sizeHint(option, index).width(), columnWidth(index.column())), px(22)};
}

int LayerDelegate::columnWidth(int column)
{
    const QFontMetrics mono(font(FontRole::Mono));
    const auto digits = [&](int count) { return mono.horizontalAdvance(QLatin1Char('0')) * count + px(10); };
    switch (column) {
    case LayerName:
        return px(132);
    case LayerPips:
        return pipsWidth() + px(8);
    case LayerBits:
        return digits(4);
    case LayerRank:
        return digits(5);
    case LayerError:
        return digits(5) + barWidth() + px(6);
    case LayerMiB:
        return digits(6);
    default:
        return px(110);
    }
}

}  // namespace sigmascope::ui
