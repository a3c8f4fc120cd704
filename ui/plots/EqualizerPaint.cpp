// SPDX-License-Identifier: GPL-3.0-or-later
// Painting, copying and saving of the Equalizer.
#include "ui/Theme.h"
#include "ui/plots/EqualizerLayout.h"
#include "ui/plots/EqualizerPlot.h"
#include "ui/text/Numbers.h"
#include "ui/widgets/Exportable.h"

#include <QContextMenuEvent>
#include <QLocale>
#include <QMenu>
#include <QPainter>
#include <QPainterPath>
#include <QSvgGenerator>

#include <algorithm>
#include <array>
#include <cmath>

namespace sigmascope::ui {
namespace {

/// Runs of consecutive numbers.
template <class Use>
void forRuns(const std::vector<int>& sorted, const Use& use)
{
    for (std::size_t i = 0; i < sorted.size();) {
        std::size_t end = i + 1;
        while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1)
            ++end;
        use(sorted[i], sorted[end - 1]);
        i = end;
    }
}

/// "20", "0.5": ends of the error axis are 1, 2 or 5 of some decade.
QString endLabel(double error)
{
    return QLocale().toString(100 * error, 'g', 2);
}

QColor mixed(const QColor& a, const QColor& b, double share)
{
    const auto part = [share](int x, int y) { return static_cast<int>(std::lround(x * share + y * (1 - share))); };
    return {part(a.red(), b.red()), part(a.green(), b.green()), part(a.blue(), b.blue())};
}

}  // namespace

void paintEqualizerPin(QPainter& painter, const QPoint& tip)
{
    const int unit = std::max(1, px(1));
    const auto bar = [&](int left, int top, int width, int height) {
        painter.fillRect(QRect(tip.x() + left * unit, tip.y() + top * unit, width * unit, height * unit),
                         Theme::current().ink);
    };
    bar(-3, -10, 7, 2);
    bar(-2, -8, 5, 3);
    bar(-4, -5, 9, 2);
    bar(0, -3, 1, 3);
}

void EqualizerPlot::paintSelection(QPainter& painter) const
{
    const Theme& theme = Theme::current();
    const QRect area = m_layout->plotArea();
    const int top = area.top() - px(2), bottom = m_layout->error().bottom() + 1;
    const auto band = [&](int first, int last) {
        const int left = m_layout->slotLeft(first) - 1;
        return QRect(left, top, m_layout->slotLeft(last) + m_layout->pitch() + 1 - left, bottom - top);
    };
    forRuns(m_lit, [&](int first, int last) { painter.fillRect(band(first, last), theme.seln); });
    QColor fill = theme.sel;
    fill.setAlphaF(0.55F);
    forRuns(m_range.empty() ? m_selection : m_range, [&](int first, int last) {
        const QRect rect = band(first, last);
        painter.fillRect(rect, fill);
        painter.fillRect(QRect(rect.left(), rect.top(), 1, rect.height()), theme.acc);
        painter.fillRect(QRect(rect.right(), rect.top(), 1, rect.height()), theme.acc);
    });
}

void EqualizerPlot::paintAxes(QPainter& painter) const
{
    const Theme& theme = Theme::current();
    painter.setFont(ui::font(FontRole::MonoAxis));
    const int ascent = painter.fontMetrics().ascent();
    const auto line = [&](const QRect& rect, int y, const QString& label) {
        painter.fillRect(QRect(rect.left(), y, rect.width(), 1), theme.grid);
        painter.setPen(theme.tx2);
        painter.drawText(QRect(0, y - ascent, rect.left() - px(9), 2 * ascent), Qt::AlignRight | Qt::AlignVCenter,
                         label);
    };
    const QRect& rank = m_layout->rank();
    line(rank, rank.bottom(), QStringLiteral("0"));
    int last = rank.bottom();
    for (int value = 4; value <= m_layout->rankTop(); value *= 2) {
        const int y = m_layout->yOfRank(value);
        // Even octaves first: 4, 16, 64 …; those between only where there is room for all.
        const bool isEven = std::lround(std::log2(value)) % 2 == 0;
        const int spacing = m_layout->yOfRank(64) - m_layout->yOfRank(128);
        if ((!isEven && spacing < px(16)) || last - y < px(14) || y - rank.top() < px(2))
            continue;
        line(rank, y, wholeNumber(static_cast<std::uint64_t>(value)));
        last = y;
    }
    for (const int value : {2, 4, 6, 8})
        line(m_layout->bits(), m_layout->yOfBits(value), QString::number(value));
    const QRect& error = m_layout->error();
    line(error, error.top(), endLabel(m_layout->errorHigh()));
    line(error, error.bottom(), endLabel(m_layout->errorLow()));
    for (const QRect& rect : {rank, m_layout->bits(), error})
        painter.fillRect(QRect(rect.left(), rect.bottom() + 1, rect.width(), 1), theme.line2);

    painter.setFont(ui::font(FontRole::Caption));
    painter.setPen(theme.tx2);
    const std::array<std::pair<const QRect*, QString>, 3> names{
        {{&rank, tr("Rank")}, {&m_layout->bits(), tr("Bits")}, {&error, tr("Error, %")}}};
    for (const auto& [rect, name] : names) {
        painter.save();
        painter.translate(px(9), rect->center().y());
        painter.rotate(-90);
        const int length = painter.fontMetrics().horizontalAdvance(name);
        painter.drawText(-length / 2, painter.fontMetrics().ascent() / 2, name);
        painter.restore();
    }
}

void EqualizerPlot::paintColumn(QPainter& painter, int index) const
{
    const Theme& theme = Theme::current();
    const EqualizerColumn& column = m_view.columns[static_cast<std::size_t>(index)];
    const int left = m_layout->barLeft(index), width = m_layout->barWidth();
    const QRect& bits = m_layout->bits();
    const int top = m_layout->yOfBits(column.isKept ? kBitsTop : column.bits);
    if (column.isKept) {
        // Kept as stored: an outline, quiet, beyond the axis of codes.
        painter.setPen(theme.line2);
        painter.drawRect(QRect(left, top, width - 1, bits.bottom() - top));
    } else {
        painter.fillRect(QRect(left, top, width, bits.bottom() + 1 - top), theme.bits(column.bits));
    }
    if (column.isPinned)
        paintEqualizerPin(painter, QPoint(left + width / 2, std::max(top - px(2), bits.top() + px(10))));
    if (column.isKept)
        return;
    const QRect& rank = m_layout->rank();
    const int centre = left + width / 2, y = m_layout->yOfRank(column.rank);
    if (column.rank > 0)
        painter.fillRect(QRect(centre, y, 1, rank.bottom() + 1 - y), theme.line2);
    const bool isSelectedTick = isSelected(index);
    const int head = std::clamp(m_layout->pitch() - 1, 3, px(7)) | 1;
    // Ink can be dragged; what cannot be corrected shows no tick.
    if (column.maxRank > 0)
        painter.fillRect(QRect(centre - head / 2, y - (column.rank > 0 ? 1 : 0), head, std::max(2, px(3))),
                         column.rank == 0 ? theme.tx3 : isSelectedTick ? theme.ink : theme.tx2);
    if (!column.hasError())
        return;
    const QRect& error = m_layout->error();
    const int errorTop = m_layout->yOfError(column.error);
    const QRect bar(left, errorTop, width, error.bottom() + 1 - errorTop);
    // Measured: solid. Estimated: a cap of the same height over a faint body.
    painter.fillRect(bar, column.isMeasured ? theme.seriesE : mixed(theme.seriesE, theme.base, 0.42));
    if (!column.isMeasured)
        painter.fillRect(QRect(left, errorTop, width, std::min(2, bar.height())), theme.seriesE);
}

void EqualizerPlot::paintBrackets(QPainter& painter, int from, int to) const
{
    const Theme& theme = Theme::current();
    const int y = m_layout->bits().bottom() + px(4), height = px(4);
    const int lit = m_hovered ? m_view.columns[static_cast<std::size_t>(*m_hovered)].fused : -1;
    for (int i = from; i < to;) {
        const int fused = m_view.columns[static_cast<std::size_t>(i)].fused;
        int end = i + 1;
        while (end < to && fused >= 0 && m_view.columns[static_cast<std::size_t>(end)].fused == fused)
            ++end;
        if (fused >= 0 && end - i > 1) {
            const int left = m_layout->barLeft(i), right = m_layout->barLeft(end - 1) + m_layout->barWidth() - 1;
            const QColor& colour = fused == lit ? theme.ink : theme.tx3;
            painter.fillRect(QRect(left, y, 1, height), colour);
            painter.fillRect(QRect(right, y, 1, height), colour);
            painter.fillRect(QRect(left, y + height, right - left + 1, 1), colour);
        }
        i = end;
    }
}

void EqualizerPlot::paintColumns(QPainter& painter) const
{
    const auto [from, to] = m_layout->visible();
    painter.save();
    painter.setClipRect(m_layout->plotArea().adjusted(-px(4), -px(6), px(4), px(12)));
    paintSelection(painter);
    for (int i = from; i < to; ++i)
        paintColumn(painter, i);
    paintBrackets(painter, from, to);
    painter.restore();
}

void EqualizerPlot::paintGroupLabels(QPainter& painter) const
{
    const Theme& theme = Theme::current();
    const auto [from, to] = m_layout->visible();
    const int top = m_layout->error().bottom() + px(4), height = px(16);
    painter.setFont(ui::font(FontRole::MonoAxis));
    const QFontMetrics metrics = painter.fontMetrics();
    int free = m_layout->rank().left() - px(12);
    for (int i = from; i < to;) {
        const int group = m_view.columns[static_cast<std::size_t>(i)].group;
        int end = i + 1;
        bool isChosen = isSelected(i);
        while (end < to && m_view.columns[static_cast<std::size_t>(end)].group == group) {
            isChosen = isChosen || isSelected(end);
            ++end;
        }
        const QString& label = m_view.groups[static_cast<std::size_t>(group)];
        const int centre = (m_layout->barLeft(i) + m_layout->barLeft(end - 1) + m_layout->barWidth()) / 2;
        const int width = metrics.horizontalAdvance(label);
        if (centre - width / 2 >= free && centre + width / 2 < this->width()) {
            painter.setPen(isChosen ? theme.tx : theme.tx2);
            QFont face = ui::font(FontRole::MonoAxis);
            face.setBold(isChosen);
            painter.setFont(face);
            painter.drawText(QRect(centre - width, top, 2 * width, height), Qt::AlignCenter, label);
            free = centre + width / 2 + px(8);
        }
        i = end;
    }
    painter.setFont(ui::font(FontRole::Caption));
    painter.setPen(theme.tx2);
    const QRect line(m_layout->rank().left(), top + height, m_layout->rank().width(), px(17));
    painter.drawText(line, Qt::AlignCenter,
                     painter.fontMetrics().elidedText(m_view.axisName, Qt::ElideRight, line.width()));
}

void EqualizerPlot::paintOverview(QPainter& painter) const
{
    const QRect& band = m_layout->overview();
    if (band.isEmpty() || m_view.columns.empty())
        return;
    const Theme& theme = Theme::current();
    // One pixel column stands for many layers: it shows the fewest bits among them, where the risk is.
    const auto count = static_cast<std::int64_t>(m_view.columns.size());
    for (int x = 0; x < band.width(); ++x) {
        const std::int64_t first = count * x / band.width();
        const std::int64_t last = std::max(first + 1, count * (x + 1) / band.width());
        double least = 16;
        for (std::int64_t i = first; i < last; ++i) {
            const EqualizerColumn& column = m_view.columns[static_cast<std::size_t>(i)];
            least = std::min(least, column.isKept ? 16.0 : column.bits);
        }
        painter.fillRect(QRect(band.left() + x, band.top(), 1, band.height()), theme.bits(least));
    }
    const auto at = [&](int content) {
        return band.left() + static_cast<int>(std::int64_t{band.width()} * content / m_layout->contentWidth());
    };
    const int left = at(m_layout->scroll());
    const int right = std::max(left + px(6), at(m_layout->scroll() + m_layout->rank().width()));
    painter.setPen(QPen(theme.ink, 1));
    painter.setBrush(Qt::NoBrush);
    painter.drawRect(QRect(left, band.top() - 2, right - left, band.height() + 3));
}

void EqualizerPlot::paintBase(QPainter& painter) const
{
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.fillRect(rect(), Theme::current().base);
    paintAxes(painter);
    if (m_view.columns.empty()) {
        painter.setFont(ui::font(FontRole::Body));
        painter.setPen(Theme::current().tx2);
        painter.drawText(m_layout->plotArea(), Qt::AlignCenter, tr("Open a model to plan its layers"));
        return;
    }
    paintColumns(painter);
    paintGroupLabels(painter);
    paintOverview(painter);
}

void EqualizerPlot::paintBubble(QPainter& painter) const
{
    if (m_bubble.title.isEmpty() || !m_hovered)
        return;
    const Theme& theme = Theme::current();
    const QFontMetrics strong(ui::font(FontRole::BodyStrong)), mono(ui::font(FontRole::Mono));
    const int width = px(22)
        + std::max(strong.horizontalAdvance(m_bubble.title) + px(28) + mono.horizontalAdvance(m_bubble.right),
                   mono.horizontalAdvance(m_bubble.line));
    const QRect area = m_layout->plotArea();
    const int anchor = m_layout->barLeft(*m_hovered);
    int left = anchor + m_layout->barWidth() + px(12);
    if (left + width > area.right())
        left = anchor - px(12) - width;
    left = std::clamp(left, area.left(), std::max(area.left(), area.right() - width));
    // Between the rank ticks' upper room and the bars: where the least is drawn.
    const QRect box(left, m_layout->rank().top() + px(8), width, px(46));
    painter.setRenderHint(QPainter::Antialiasing, true);
    painter.setPen(QPen(theme.line2, 1));
    painter.setBrush(theme.field);
    painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3);
    const QRect inner = box.adjusted(px(11), px(5), -px(11), -px(5));
    const QRect first(inner.left(), inner.top(), inner.width(), inner.height() / 2);
    painter.setFont(ui::font(FontRole::BodyStrong));
    painter.setPen(theme.tx);
    painter.drawText(first, Qt::AlignLeft | Qt::AlignVCenter, m_bubble.title);
    painter.setFont(ui::font(FontRole::Mono));
    painter.setPen(theme.tx2);
    painter.drawText(first, Qt::AlignRight | Qt::AlignVCenter, m_bubble.right);
    painter.setPen(theme.tx);
    painter.drawText(first.translated(0, inner.height() / 2), Qt::AlignLeft | Qt::AlignVCenter, m_bubble.line);
}

void EqualizerPlot::paintOverlay(QPainter& painter) const
{
    const Theme& theme = Theme::current();
    painter.setRenderHint(QPainter::Antialiasing, false);
    painter.setBrush(Qt::NoBrush);
    const auto outline = [&](int column, const QColor& colour) {
        const QPoint top = barTop(column);
        const int left = m_layout->barLeft(column);
        painter.setPen(QPen(colour, 1));
        painter.drawRect(
            QRect(left - 1, top.y() - 1, m_layout->barWidth() + 1, m_layout->bits().bottom() + 1 - top.y()));
        if (m_view.columns[static_cast<std::size_t>(column)].maxRank > 0) {
            const int head = px(7) | 1;
            painter.fillRect(QRect(left + m_layout->barWidth() / 2 - head / 2, tick(column).y() - 1, head, px(4)),
                             colour);
        }
    };
    painter.save();
    painter.setClipRect(m_layout->plotArea().adjusted(-px(4), -px(6), px(4), px(12)));
    if (hasFocus() && m_current)
        outline(*m_current, theme.acc);
    if (m_hovered) {
        for (const int mate : matesOf(*m_hovered)) {
            if (mate != *m_hovered && m_view.columns[static_cast<std::size_t>(mate)].fused >= 0 && m_isFusedTogether)
                outline(mate, theme.tx2);
        }
        paintBrackets(painter, m_layout->visible().first, m_layout->visible().second);
        outline(*m_hovered, theme.ink);
    }
    painter.restore();
    paintBubble(painter);
    if (hasFocus()) {
        painter.setRenderHint(QPainter::Antialiasing, false);
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(theme.acc, 1));
        painter.drawRect(rect().adjusted(0, 0, -1, -1));
    }
}

void EqualizerPlot::paintEvent(QPaintEvent*)
{
    const qreal ratio = devicePixelRatioF();
    const QSize wanted = size() * ratio;
    if (m_isBaseStale || m_base.size() != wanted) {
        if (m_base.size() != wanted)
            m_base = QPixmap(wanted);
        m_base.setDevicePixelRatio(ratio);
        QPainter base(&m_base);
        paintBase(base);
        m_isBaseStale = false;
    }
    QPainter painter(this);
    painter.drawPixmap(0, 0, m_base);
    paintOverlay(painter);
}

QImage EqualizerPlot::image() const
{
    QImage picture(size() * 2, QImage::Format_RGB32);
    picture.setDevicePixelRatio(2);
    QPainter painter(&picture);
    paintBase(painter);
    return picture;
}

QString EqualizerPlot::dataAsCsv() const
{
    QString csv = QStringLiteral("tensor,group,kept,bits,rank,relative_error,measured,pinned\n");
    for (const EqualizerColumn& column : m_view.columns) {
        csv += QStringLiteral("%1,\"%2\",%3,%4,%5,%6,%7,%8\n")
                   .arg(column.tensor)
                   .arg(QString(m_view.groups[static_cast<std::size_t>(column.group)])
                            .replace(QLatin1Char('"'), QStringLiteral("\"\"")))
                   .arg(column.isKept ? 1 : 0)
                   .arg(column.isKept ? QString() : QString::number(column.bits))
                   .arg(column.rank)
                   .arg(column.hasError() ? QString::number(static_cast<double>(column.error), 'g', 9) : QString())
                   .arg(column.isMeasured ? 1 : 0)
                   .arg(column.isPinned ? 1 : 0);
    }
    return csv;
}

Exportable EqualizerPlot::exportable() const
{
    return {.name = QStringLiteral("equalizer"),
            .image = [this] { return image(); },
            .drawing =
                [this](QSvgGenerator& generator) {
                    generator.setSize(size());
                    generator.setViewBox(rect());
                    QPainter painter(&generator);
                    paintBase(painter);
                },
            .csv = [this] { return dataAsCsv(); }};
}

bool EqualizerPlot::saveAs(const QString& path)
{
    const bool done = saveExported(exportable(), path);
    if (!done)
        emit saveFailed(path);
    return done;
}

void EqualizerPlot::openContextMenu(const QPoint& globalPosition)
{
    auto* menu = new QMenu(this);
    menu->setAttribute(Qt::WA_DeleteOnClose);
    menu->addAction(tr("Copy image"), this, [this] { copyExportedImage(exportable()); });
    menu->addAction(tr("Copy data"), this, [this] { copyExportedData(exportable()); });
    menu->addSeparator();
    for (const QString& suffix : {QStringLiteral("png"), QStringLiteral("svg"), QStringLiteral("csv")})
        menu->addAction(tr("Save as %1…").arg(suffix.toUpper()), this, [this, suffix] {
            const SaveOutcome outcome = saveExportedByDialog(this, exportable(), suffix);
            if (!outcome.path.isEmpty() && !outcome.isWritten)
                emit saveFailed(outcome.path);
        });
    menu->addSeparator();
    menu->addAction(tr("Reset zoom"), this, &EqualizerPlot::resetZoom);
    menu->popup(globalPosition);
}

void EqualizerPlot::contextMenuEvent(QContextMenuEvent* event)
{
    openContextMenu(event->reason() == QContextMenuEvent::Keyboard ? mapToGlobal(rect().center()) : event->globalPos());
}

}  // namespace sigmascope::ui
