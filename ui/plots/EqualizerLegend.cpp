// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/EqualizerLegend.h"

#include "ui/Theme.h"
#include "ui/plots/EqualizerPlot.h"
#include "ui/widgets/SourceBadge.h"

#include <QPainter>

#include <algorithm>
#include <cmath>
#include <set>

namespace sigmascope::ui {

EqualizerLegend::EqualizerLegend(QWidget* parent)
    : QWidget(parent)
{
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
}

void EqualizerLegend::show(const EqualizerView& view, bool isFusedTogether)
{
    std::set<int> widths;
    m_hasFused = m_hasPins = m_hasMeasured = m_hasEstimated = false;
    m_isTogether = isFusedTogether;
    for (const EqualizerColumn& column : view.columns) {
        if (!column.isKept)
            widths.insert(static_cast<int>(std::lround(column.bits)));
        m_hasFused = m_hasFused || column.fused >= 0;
        m_hasPins = m_hasPins || column.isPinned;
        m_hasMeasured = m_hasMeasured || (column.hasError() && column.isMeasured);
        m_hasEstimated = m_hasEstimated || (column.hasError() && !column.isMeasured);
    }
    m_widths.assign(widths.begin(), widths.end());
    QStringList words;
    for (const int width : m_widths)
        words << tr("%1 bits").arg(width);
    setToolTip(tr("Bits: %1. An outline stands for a layer that is kept as stored. Error: a full bar is measured, a "
                  "faint one with "
                  "a cap is estimated, none is not known yet")
                   .arg(words.join(QStringLiteral(", "))));
    updateGeometry();
    update();
}

QSize EqualizerLegend::sizeHint() const
{
    return {lay(nullptr, 1 << 20), px(20)};
}

QSize EqualizerLegend::minimumSizeHint() const
{
    return {px(60), px(20)};
}

int EqualizerLegend::lay(QPainter* painter, int room) const
{
    const Theme& theme = Theme::current();
    const QFontMetrics caption(ui::font(FontRole::Caption)), mono(ui::font(FontRole::Mono));
    const int middle = px(10);
    int x = 0;
    const auto word = [&](const QString& text, const QFontMetrics& metrics, FontRole role) {
        if (painter != nullptr) {
            painter->setFont(ui::font(role));
            painter->setPen(theme.tx2);
            painter->drawText(QRect(x, 0, metrics.horizontalAdvance(text) + 1, px(20)),
                              Qt::AlignLeft | Qt::AlignVCenter, text);
        }
        x += metrics.horizontalAdvance(text);
    };
    if (!m_widths.empty())
        word(tr("Bits"), caption, FontRole::Caption);
    for (const int width : m_widths) {
        x += px(7);
        if (painter != nullptr)
            painter->fillRect(QRect(x, middle - px(4), px(8), px(8)), theme.bits(width));
        x += px(8) + px(4);
        word(QString::number(width), mono, FontRole::Mono);
    }
    // Each further entry as a whole, or not at all.
    const auto entry = [&](const QString& text, int glyph, const auto& paint) {
        const int wide = px(14) + glyph + px(5) + caption.horizontalAdvance(text);
        if (x + wide > room)
            return;
        x += px(14);
        if (painter != nullptr)
            paint(x);
        x += glyph + px(5);
        word(text, caption, FontRole::Caption);
    };
    const auto source = [&](Source kind) {
        entry(sourceWord(kind), px(10), [&, kind](int left) {
            const QRect bar(left, middle - px(5), px(8), px(10));
            QColor body = theme.seriesE;
            body.setAlphaF(0.42F);
            painter->fillRect(bar, kind == Source::Measured ? theme.seriesE : body);
            painter->fillRect(QRect(bar.left(), bar.top(), bar.width(), 2), theme.seriesE);
        });
    };
    if (m_hasMeasured)
        source(Source::Measured);
    if (m_hasEstimated)
        source(Source::Estimated);
    if (m_hasPins)
        entry(tr("pinned"), px(9),
              [&](int left) { paintEqualizerPin(*painter, QPoint(left + 4 * std::max(1, px(1)), middle + px(5))); });
    if (m_hasFused)
        entry(m_isTogether ? tr("fused, moves together") : tr("fused by some runtimes"), px(12), [&](int left) {
            const int top = middle - px(1), height = px(4);
            painter->fillRect(QRect(left, top, 1, height), theme.tx3);
            painter->fillRect(QRect(left + px(11), top, 1, height), theme.tx3);
            painter->fillRect(QRect(left, top + height, px(11) + 1, 1), theme.tx3);
        });
    return x;
}

void EqualizerLegend::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    // Against the right: the combo stands there.
    painter.translate(std::max(0, width() - lay(nullptr, width())), 0);
    lay(&painter, width());
}

}  // namespace sigmascope::ui
