// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/ModelMap.h"

#include "ui/Theme.h"

#include <QHelpEvent>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sigmascope::ui {
namespace {

constexpr std::array kWidths{2, 3, 4, 5, 6, 8};

}  // namespace

ModelMap::ModelMap(QWidget* parent)
    : QWidget(parent)
{
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAccessibleName(tr("Model map"));
}

void ModelMap::show(ModelMapView view)
{
    m_view = std::move(view);
    m_hovered.reset();
    if (m_current && (m_current->row >= m_view.rows.size() || m_current->column >= m_view.columns))
        m_current.reset();
    m_range.reset();
    for (const float value : m_view.values) {
        if (!std::isfinite(value))
            continue;
        m_range = m_range ? std::pair{std::min<double>(m_range->first, value), std::max<double>(m_range->second, value)}
                          : std::pair<double, double>{value, value};
    }
    arrange();
    emit readingChanged(reading());
}

void ModelMap::setCurrent(std::optional<Cell> cell)
{
    if (cell == m_current)
        return;
    m_current = cell;
    setAccessibleDescription(reading());
    emit readingChanged(reading());
    update();
}

float ModelMap::valueAt(Cell cell) const
{
    return m_view.values[static_cast<std::size_t>(cell.row) * static_cast<std::size_t>(m_view.columns)
                         + static_cast<std::size_t>(cell.column)];
}

QString ModelMap::textOf(Cell cell) const
{
    const float value = valueAt(cell);
    const QString text = std::isinf(value) ? tr("no such layer")
        : std::isnan(value)                ? tr("not known yet")
                                           : m_view.format(value);
    return tr("Block %1 · %2 · %3").arg(QString::number(cell.column), m_view.rows[cell.row], text);
}

QString ModelMap::reading() const
{
    const auto& cell = m_hovered ? m_hovered : m_current;
    return cell ? textOf(*cell) : QString();
}

int ModelMap::labelWidth() const
{
    const QFontMetrics metrics(ui::font(FontRole::Caption));
    int widest = px(20);
    for (const QString& row : m_view.rows)
        widest = std::max(widest, metrics.horizontalAdvance(row));
    return std::min(widest, px(90)) + px(10);
}

void ModelMap::arrange()
{
    const int rows = static_cast<int>(m_view.rows.size());
    const int left = labelWidth(), bottom = px(16);
    const int width = std::max(1, this->width() - left - px(4)), height = std::max(1, this->height() - bottom - px(2));
    m_pool = m_view.columns > width ? (m_view.columns + width - 1) / width : 1;
    const int drawn = m_view.columns == 0 ? 0 : (m_view.columns + m_pool - 1) / m_pool;
    m_cellWidth = drawn == 0 ? 1 : std::clamp(width / drawn, 1, px(56));
    m_cellHeight = rows == 0 ? 1 : std::clamp(height / rows, 2, px(30));
    m_area = QRect(left, px(1), drawn * m_cellWidth, rows * m_cellHeight);
    redraw();
}

QRgb ModelMap::colourOf(float value) const
{
    const Theme& theme = Theme::current();
    if (std::isinf(value))
        return theme.base.rgb();
    if (std::isnan(value) || !m_range)
        return theme.alt.rgb();
    if (m_view.colours == ModelMapView::Colours::Bits)
        return theme.bits(value).rgb();
    const auto scaled = [this](double x) { return m_view.isLogarithmic ? std::log(std::max(x, 1e-12)) : x; };
    const double low = scaled(m_range->first), high = scaled(m_range->second);
    return theme.heatAt(high > low ? (scaled(value) - low) / (high - low) : 0.5).rgb();
}

void ModelMap::redraw()
{
    const int rows = static_cast<int>(m_view.rows.size());
    const int drawn = m_view.columns == 0 ? 0 : (m_view.columns + m_pool - 1) / m_pool;
    m_image = QImage(std::max(1, drawn), std::max(1, rows), QImage::Format_RGB32);
    const bool isLeast = m_view.colours == ModelMapView::Colours::Bits;
    for (int row = 0; row < rows; ++row) {
        auto* line = reinterpret_cast<QRgb*>(m_image.scanLine(row));
        for (int column = 0; column < drawn; ++column) {
            float shown = std::numeric_limits<float>::infinity();
            for (int i = column * m_pool; i < std::min(m_view.columns, (column + 1) * m_pool); ++i) {
                const float value = valueAt({row, i});
                const bool replaces = std::isinf(shown) || (std::isnan(shown) && !std::isinf(value))
                    || (std::isfinite(value) && (isLeast ? value < shown : value > shown));
                if (replaces)
                    shown = value;
            }
            line[column] = colourOf(shown);
        }
    }
    update();
}

QRect ModelMap::cellRect(Cell cell) const
{
    return {m_area.left() + cell.column / m_pool * m_cellWidth, m_area.top() + cell.row * m_cellHeight, m_cellWidth,
            m_cellHeight};
}

std::optional<ModelMap::Cell> ModelMap::cellAt(const QPoint& position) const
{
    if (!m_area.contains(position))
        return std::nullopt;
    const Cell cell{(position.y() - m_area.top()) / m_cellHeight,
                    std::min(m_view.columns - 1, (position.x() - m_area.left()) / m_cellWidth * m_pool)};
    return cell;
}

QSize ModelMap::sizeHint() const
{
    return {px(360), px(18) + px(14) * std::max(4, static_cast<int>(m_view.rows.size()))};
}

QSize ModelMap::minimumSizeHint() const
{
    return {px(180), px(18) + px(9) * std::max(4, static_cast<int>(m_view.rows.size()))};
}

void ModelMap::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.setFont(ui::font(FontRole::Caption));
    if (m_view.rows.isEmpty() || m_view.columns == 0) {
        painter.setPen(theme.tx2);
        painter.drawText(rect(), Qt::AlignCenter, tr("This model has no blocks"));
        return;
    }
    painter.setRenderHint(QPainter::SmoothPixmapTransform, false);
    painter.drawImage(m_area, m_image);
    // A seam tells equal neighbours apart, as long as it leaves a cell to see.
    for (int x = m_area.left() + m_cellWidth; m_cellWidth >= 4 && x <= m_area.right(); x += m_cellWidth)
        painter.fillRect(QRect(x - 1, m_area.top(), 1, m_area.height()), theme.base);
    for (int y = m_area.top() + m_cellHeight; m_cellHeight >= 4 && y <= m_area.bottom() + 1; y += m_cellHeight)
        painter.fillRect(QRect(m_area.left(), y - 1, m_area.width(), 1), theme.base);
    painter.setPen(theme.tx2);
    const QFontMetrics metrics = painter.fontMetrics();
    for (int row = 0; row < m_view.rows.size(); ++row) {
        const QRect label(0, m_area.top() + row * m_cellHeight, m_area.left() - px(8), m_cellHeight);
        // Rows thinner than their words are named every so often.
        const int stride = std::max(
            1, (metrics.height() - px(3)) / m_cellHeight + (m_cellHeight < metrics.height() - px(3) ? 1 : 0));
        if (row % stride == 0)
            painter.drawText(label.adjusted(0, -px(4), 0, px(4)), Qt::AlignLeft | Qt::AlignVCenter,
                             metrics.elidedText(m_view.rows[row], Qt::ElideMiddle, label.width()));
    }
    painter.setFont(ui::font(FontRole::MonoAxis));
    int free = 0;
    for (int column = 0; column < m_view.columns; ++column) {
        const QString text = QString::number(column);
        const QRect cell = cellRect({0, column});
        const int width = painter.fontMetrics().horizontalAdvance(text);
        const int stride = m_view.columns <= 16 ? 1 : m_view.columns <= 48 ? 8 : (m_view.columns / 6 + 7) / 8 * 8;
        if ((column % stride != 0 && column != m_view.columns - 1) || cell.center().x() - width / 2 < free)
            continue;
        painter.drawText(QRect(cell.center().x() - width, m_area.bottom() + px(2), 2 * width, px(14)), Qt::AlignCenter,
                         text);
        free = cell.center().x() + width / 2 + px(8);
    }
    painter.setBrush(Qt::NoBrush);
    const auto outline = [&](Cell cell, const QColor& colour) {
        painter.setPen(QPen(theme.base, 1));
        painter.drawRect(cellRect(cell).adjusted(0, 0, -2, -2));
        painter.setPen(QPen(colour, 1));
        painter.drawRect(cellRect(cell).adjusted(-1, -1, -1, -1));
    };
    if (m_hovered)
        outline(*m_hovered, theme.tx2);
    if (m_current)
        outline(*m_current, hasFocus() ? theme.acc : theme.ink);
}

void ModelMap::choose(Cell cell)
{
    if (m_view.rows.isEmpty() || m_view.columns == 0)
        return;
    cell = {std::clamp(cell.row, 0, static_cast<int>(m_view.rows.size()) - 1),
            std::clamp(cell.column, 0, m_view.columns - 1)};
    setCurrent(cell);
    if (!std::isinf(valueAt(cell)))
        emit cellChosen(cell.row, cell.column);
}

void ModelMap::hover(std::optional<Cell> cell)
{
    if (cell == m_hovered)
        return;
    m_hovered = cell;
    emit readingChanged(reading());
    update();
}

void ModelMap::mousePressEvent(QMouseEvent* event)
{
    const auto cell = cellAt(event->position().toPoint());
    if (event->button() == Qt::LeftButton && cell)
        choose(*cell);
}

void ModelMap::mouseMoveEvent(QMouseEvent* event)
{
    hover(cellAt(event->position().toPoint()));
}

void ModelMap::leaveEvent(QEvent*)
{
    hover(std::nullopt);
}

bool ModelMap::event(QEvent* event)
{
    if (event->type() == QEvent::ShortcutOverride) {
        const int key = static_cast<QKeyEvent*>(event)->key();
        if (key == Qt::Key_Left || key == Qt::Key_Right || key == Qt::Key_Up || key == Qt::Key_Down) {
            event->accept();
            return true;
        }
    }
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const auto cell = cellAt(help->pos());
        QToolTip::showText(help->globalPos(), cell ? textOf(*cell) : QString(), this);
        return true;
    }
    return QWidget::event(event);
}

void ModelMap::keyPressEvent(QKeyEvent* event)
{
    Cell cell = m_current.value_or(Cell{});
    switch (event->key()) {
    case Qt::Key_Left: --cell.column; break;
    case Qt::Key_Right: ++cell.column; break;
    case Qt::Key_Up: --cell.row; break;
    case Qt::Key_Down: ++cell.row; break;
    case Qt::Key_Home: cell.column = 0; break;
    case Qt::Key_End: cell.column = m_view.columns - 1; break;
    default: QWidget::keyPressEvent(event); return;
    }
    choose(m_current ? cell : Cell{});
}

QString ModelMap::dataAsCsv() const
{
    QString csv = QStringLiteral("role");
    for (int column = 0; column < m_view.columns; ++column)
        csv += QStringLiteral(",%1").arg(column);
    csv += QLatin1Char('\n');
    for (int row = 0; row < m_view.rows.size(); ++row) {
        csv += QLatin1Char('"') + QString(m_view.rows[row]).replace(QLatin1Char('"'), QStringLiteral("\"\""))
            + QLatin1Char('"');
        for (int column = 0; column < m_view.columns; ++column) {
            const float value = valueAt({row, column});
            csv += QLatin1Char(',')
                + (std::isfinite(value) ? QString::number(static_cast<double>(value), 'g', 9) : QString());
        }
        csv += QLatin1Char('\n');
    }
    return csv;
}

void ModelMap::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    arrange();
}

void ModelMap::changeEvent(QEvent* event)
{
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::FontChange)
        arrange();
    QWidget::changeEvent(event);
}

ModelMapLegend::ModelMapLegend(QWidget* parent)
    : QWidget(parent)
{
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

void ModelMapLegend::show(const ModelMapView& view, const std::optional<std::pair<double, double>>& range)
{
    m_colours = view.colours;
    m_low = range ? view.format(range->first) : QString();
    m_high = range ? view.format(range->second) : QString();
    updateGeometry();
    update();
}

QSize ModelMapLegend::sizeHint() const
{
    const QFontMetrics mono(ui::font(FontRole::MonoAxis));
    if (m_colours == ModelMapView::Colours::Bits)
        return {static_cast<int>(kWidths.size())
                    * (px(9) + px(4) + mono.horizontalAdvance(QStringLiteral("8")) + px(6)),
                px(16)};
    if (m_low.isEmpty())
        return {0, px(16)};
    return {mono.horizontalAdvance(m_low) + mono.horizontalAdvance(m_high) + px(12) + 6 * px(11), px(16)};
}

void ModelMapLegend::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.setFont(ui::font(FontRole::MonoAxis));
    painter.setPen(theme.tx2);
    const QFontMetrics metrics = painter.fontMetrics();
    const auto word = [&](int x, const QString& text) {
        painter.drawText(QRect(x, 0, metrics.horizontalAdvance(text) + 1, height()), Qt::AlignVCenter | Qt::AlignLeft,
                         text);
        return x + metrics.horizontalAdvance(text);
    };
    int x = 0;
    const int top = (height() - px(9)) / 2;
    if (m_colours == ModelMapView::Colours::Bits) {
        for (const int width : kWidths) {
            painter.fillRect(QRect(x, top, px(9), px(9)), theme.bits(width));
            x = word(x + px(9) + px(4), QString::number(width)) + px(6);
        }
        return;
    }
    if (m_low.isEmpty())
        return;
    x = word(0, m_low) + px(6);
    for (const QColor& colour : theme.heat) {
        painter.fillRect(QRect(x, top, px(10), px(9)), colour);
        x += px(11);
    }
    word(x + px(5), m_high);
}

}  // namespace sigmascope::ui
