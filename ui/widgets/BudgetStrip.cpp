// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/BudgetStrip.h"

#include "ui/Theme.h"
#include "ui/text/Numbers.h"
#include "ui/widgets/LayerDelegate.h"

#include <QHelpEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace sigmascope::ui {
namespace {

/// Runs of text on one baseline, each in its own font and colour; remembers how far it came.
class Line {
public:
    Line(QPainter& painter, int x, int baseline)
        : m_painter(painter)
        , m_x(x)
        , m_baseline(baseline)
    {
    }
    Line& text(const QString& words, FontRole role, const QColor& colour)
    {
        m_painter.setFont(font(role));
        m_painter.setPen(colour);
        m_painter.drawText(m_x, m_baseline, words);
        m_x += m_painter.fontMetrics().horizontalAdvance(words);
        return *this;
    }
    Line& gap(int n)
    {
        m_x += px(n);
        return *this;
    }
    Line& source(Source source)
    {
        paintSourceGlyph(m_painter, QRectF(m_x, m_baseline - px(10), px(9), px(12)), source, Theme::current().tx2);
        m_x += px(12);
        return *this;
    }
    [[nodiscard]] int x() const { return m_x; }

private:
    QPainter& m_painter;
    int m_x, m_baseline;
};

QString overUnder(const BudgetView& view)
{
    const bool isOver = view.fileBytes > *view.targetBytes;
    const quint64 by = isOver ? view.fileBytes - *view.targetBytes : *view.targetBytes - view.fileBytes;
    return isOver ? BudgetStrip::tr("Over target") + QLatin1Char(' ') + fileSize(by) : fileSize(by);
}

}  // namespace

BudgetStrip::BudgetStrip(QWidget* parent)
    : QWidget(parent)
{
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setFont(ui::font(FontRole::Body));
    setAccessibleName(tr("Byte budget"));
    setMouseTracking(true);
}

void BudgetStrip::show(const BudgetView& view)
{
    m_view = view;
    setAccessibleDescription(tr("File size %1, %2 bits per weight")
                                 .arg(fileSize(view.fileBytes), QLocale().toString(view.bitsPerWeight, 'f', 2)));
    update();
}

void BudgetStrip::setCompact(bool compact)
{
    if (m_isCompact == compact)
        return;
    m_isCompact = compact;
    updateGeometry();
    update();
}

QSize BudgetStrip::sizeHint() const
{
    return {px(800), px(m_isCompact ? 32 : 60)};
}

QSize BudgetStrip::minimumSizeHint() const
{
    return {px(480), px(m_isCompact ? 32 : 60)};
}

void BudgetStrip::paintBar(QPainter& painter, const QRect& bar) const
{
    const Theme& theme = Theme::current();
    const quint64 target = m_view.targetBytes.value_or(0);
    // Room past the flag, so that "over" can be seen.
    const double full = std::max(static_cast<double>(m_view.fileBytes), static_cast<double>(target) * 1.08);
    if (full <= 0)
        return;
    const auto at = [&](double bytes) { return bar.left() + qRound(bar.width() * std::min(1.0, bytes / full)); };
    painter.fillRect(QRect(bar.left(), bar.center().y(), bar.width(), 1), theme.line);
    const std::pair<quint64, QColor> parts[] = {
        {m_view.codeBytes, theme.tx3}, {m_view.factorBytes, theme.seriesQLR}, {m_view.keptBytes, theme.line2}};
    double from = 0;
    for (const auto& [bytes, colour] : parts) {
        const double to = from + static_cast<double>(bytes);
        int left = at(from);
        if (left > bar.left() && bytes > 0)
            left += 1;  // a seam of one pixel tells neighbours apart without colour
        // A part that exists is seen, however small.
        const int right = bytes > 0 ? std::max(at(to), left + 2) : left;
        painter.fillRect(QRect(left, bar.top(), right - left, bar.height()), colour);
        from = to;
    }
    if (target == 0)
        return;
    const int flag = at(static_cast<double>(target));
    if (m_view.fileBytes > target) {
        const QRect past(flag, bar.top(), at(static_cast<double>(m_view.fileBytes)) - flag, bar.height());
        painter.fillRect(past, theme.panel);
        painter.fillRect(past, QBrush(theme.bad, Qt::BDiagPattern));
    }
    painter.fillRect(QRect(flag, bar.top() - px(6), 2, bar.height() + px(10)), theme.ink);
    painter.fillRect(QRect(flag - px(3), bar.top() - px(6), px(6) + 2, px(4)), theme.ink);
}

void BudgetStrip::paintLegend(QPainter& painter, QRect area) const
{
    const Theme& theme = Theme::current();
    const std::pair<QString, std::pair<quint64, QColor>> entries[] = {
        {tr("Codes + scales"), {m_view.codeBytes, theme.tx3}},
        {tr("Factors"), {m_view.factorBytes, theme.seriesQLR}},
        {tr("Embeddings, kept"), {m_view.keptBytes, theme.line2}},
    };
    int x = area.left();
    const QFontMetrics caption(ui::font(FontRole::Caption)), mono(ui::font(FontRole::MonoAxis));
    for (const auto& [name, entry] : entries) {
        const QString size = fileSize(entry.first);
        const int width = px(11) + caption.horizontalAdvance(name) + px(6) + mono.horizontalAdvance(size);
        if (x + width > area.right())
            return;  // no room: the bar itself remains
        painter.fillRect(QRect(x, area.center().y() - px(3), px(7), px(7)), entry.second);
        Line line(painter, x + px(11), area.center().y() + px(4));
        line.text(name, FontRole::Caption, theme.tx2).gap(6).text(size, FontRole::MonoAxis, theme.tx2);
        x = line.x() + px(12);
    }
}

void BudgetStrip::paintFull(QPainter& painter)
{
    const Theme& theme = Theme::current();
    const QColor value = m_view.isRecomputing ? theme.tx3 : theme.tx;
    const int top = px(22), bottom = px(44);
    Line head(painter, px(12), top);
    head.text(tr("File size"), FontRole::Caption, theme.tx2).gap(6).source(m_view.sizeSource)
        .text(sourceWord(m_view.sizeSource), FontRole::Caption, theme.tx2);
    Line size(painter, px(12), bottom);
    size.text(fileSize(m_view.fileBytes), FontRole::KeyFigure, value);
    if (m_view.targetBytes)
        size.gap(4).text(tr("of %1 target").arg(fileSize(*m_view.targetBytes)), FontRole::Caption, theme.tx2);

    // Columns from the right: what is there is measured first, the bar takes the rest.
    struct Column {
        QString title, value, unit;
        Source source = Source::None;
        Verdict verdict = Verdict::Same;
    };
    std::vector<Column> columns;
    if (m_view.targetBytes)
        columns.push_back(
            {m_view.fileBytes > *m_view.targetBytes ? tr("Over target") : tr("Under target"),
             fileSize(m_view.fileBytes > *m_view.targetBytes ? m_view.fileBytes - *m_view.targetBytes
                                                                 : *m_view.targetBytes - m_view.fileBytes),
             {},
             Source::None,
             m_view.fileBytes > *m_view.targetBytes ? Verdict::Worse : Verdict::Same});
    columns.push_back({tr("Bits per weight"), decimals(m_view.bitsPerWeight, 2), tr("bpw, all overhead"),
                       m_view.sizeSource});
    if (m_view.outputError)
        columns.push_back({tr("Output error, mean"), number3(100 * *m_view.outputError), QStringLiteral("%"),
                           m_view.errorSource});
    if (m_view.memoryBytes)
        columns.push_back({tr("Memory at %1 tokens").arg(QLocale().toString(m_view.memoryContext)), tensorSize(*m_view.memoryBytes), {},
                           Source::Estimated});
    columns.push_back({tr("Fallbacks"), QLocale().toString(m_view.fallbacks), m_view.fallbackText, Source::None,
                       m_view.fallbacks > 0 ? Verdict::Changed : Verdict::Same});
    const QFontMetrics caption(ui::font(FontRole::Caption)), key(ui::font(FontRole::KeyFigure));
    int x = width() - px(16);
    m_fallbackRect = {};
    for (auto it = columns.rbegin(); it != columns.rend(); ++it) {
        const int glyph = it->verdict == Verdict::Same ? 0 : px(17);
        const int first = caption.horizontalAdvance(it->title)
            + (it->source == Source::None ? 0 : px(18) + caption.horizontalAdvance(sourceWord(it->source)));
        const int unit = it->unit.isEmpty() ? 0 : px(4) + std::min(caption.horizontalAdvance(it->unit), px(150));
        const int wide = std::max(first, glyph + key.horizontalAdvance(it->value) + unit);
        if (x - wide < size.x() + px(180))
            continue;  // the bar keeps its room; a column that does not fit is in the tooltip
        x -= wide;
        Line title(painter, x, top);
        title.text(it->title, FontRole::Caption, theme.tx2);
        if (it->source != Source::None)
            title.gap(6).source(it->source).text(sourceWord(it->source), FontRole::Caption, theme.tx2);
        if (glyph > 0)
            paintVerdict(painter, QRectF(x, bottom - px(11), px(12), px(12)), it->verdict);
        Line figure(painter, x + glyph, bottom);
        figure.text(it->value, FontRole::KeyFigure, value);
        if (!it->unit.isEmpty())
            figure.gap(4).text(caption.elidedText(it->unit, Qt::ElideRight, px(150)), FontRole::Caption, theme.tx2);
        if (it == columns.rbegin())
            m_fallbackRect = QRect(x, 0, wide, height());
        x -= px(28);
    }
    const int left = std::max(size.x(), head.x()) + px(24);
    const QRect bar(left, px(17), std::max(px(80), x - left), px(9));
    paintBar(painter, bar);
    paintLegend(painter, QRect(left, px(32), bar.width(), px(20)));
}

void BudgetStrip::paintCompact(QPainter& painter)
{
    const Theme& theme = Theme::current();
    const QColor value = m_view.isRecomputing ? theme.tx3 : theme.tx;
    const int baseline = height() / 2 + px(5);
    Line line(painter, px(12), baseline);
    line.text(fileSize(m_view.fileBytes), FontRole::KeyFigure, value);
    if (m_view.targetBytes)
        line.gap(4).text(tr("of %1").arg(fileSize(*m_view.targetBytes)), FontRole::Caption, theme.tx2);
    line.gap(18);
    const QRect bar(line.x(), height() / 2 - px(4), std::clamp(width() / 5, px(100), px(260)), px(8));
    paintBar(painter, bar);
    Line rest(painter, bar.right() + px(24), baseline);
    if (m_view.targetBytes)
        rest.text(m_view.fileBytes > *m_view.targetBytes ? overUnder(m_view) : tr("%1 under").arg(overUnder(m_view)),
                  FontRole::Caption, theme.tx2)
            .gap(20);
    rest.text(decimals(m_view.bitsPerWeight, 2), FontRole::KeyFigure, value).gap(4)
        .text(tr("bpw"), FontRole::Caption, theme.tx2).gap(20);
    if (m_view.outputError)
        rest.text(number3(100 * *m_view.outputError), FontRole::KeyFigure, value).gap(4)
            .text(tr("% output error"), FontRole::Caption, theme.tx2).gap(6).source(m_view.errorSource)
            .text(sourceWord(m_view.errorSource), FontRole::Caption, theme.tx2).gap(20);
    const int from = rest.x();
    if (m_view.fallbacks > 0) {
        paintVerdict(painter, QRectF(from, baseline - px(11), px(12), px(12)), Verdict::Changed);
        rest.gap(17);
    }
    rest.text(m_view.fallbacks == 1 ? tr("1 fallback") : tr("%1 fallbacks").arg(QLocale().toString(m_view.fallbacks)),
              FontRole::Caption, theme.tx2);
    m_fallbackRect = QRect(from, 0, rest.x() - from, height());
}

void BudgetStrip::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.fillRect(rect(), theme.panel);
    painter.fillRect(QRect(0, 0, width(), 1), theme.line);
    if (m_isCompact)
        paintCompact(painter);
    else
        paintFull(painter);
}

void BudgetStrip::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    update();
}

void BudgetStrip::mouseReleaseEvent(QMouseEvent* event)
{
    if (event->button() == Qt::LeftButton && m_fallbackRect.contains(event->position().toPoint())
        && m_view.fallbacks > 0)
        emit fallbacksClicked();
}

bool BudgetStrip::event(QEvent* event)
{
    if (event->type() != QEvent::ToolTip)
        return QWidget::event(event);
    const auto* help = static_cast<QHelpEvent*>(event);
    QStringList lines;
    if (m_fallbackRect.contains(help->pos()) && !m_view.fallbackText.isEmpty()) {
        lines += m_view.fallbackText;
    } else {
        lines += tr("Codes and scales %1").arg(fileSize(m_view.codeBytes));
        lines += tr("Low-rank factors %1").arg(fileSize(m_view.factorBytes));
        lines += tr("Kept as they are %1").arg(fileSize(m_view.keptBytes));
        if (m_view.memoryBytes)
            lines += tr("%1 of memory at %2 tokens: weights and F16 keys and values")
                         .arg(tensorSize(*m_view.memoryBytes), QLocale().toString(m_view.memoryContext));
        lines += tr("%1 bits per weight, all overhead").arg(decimals(m_view.bitsPerWeight, 3));
    }
    QToolTip::showText(help->globalPos(), lines.join(QLatin1Char('\n')), this);
    return true;
}

}  // namespace sigmascope::ui
