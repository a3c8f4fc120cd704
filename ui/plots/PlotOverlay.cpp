// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/PlotOverlay.h"

#include "ui/Theme.h"
#include "ui/widgets/LayerDelegate.h"

#include <QPainter>

#include <algorithm>

namespace sigmascope::ui {

PlotOverlay::PlotOverlay(QWidget* parent)
    : QWidget(parent)
{
    setAttribute(Qt::WA_TransparentForMouseEvents);
    m_delay.setSingleShot(true);
    m_delay.setInterval(150);
    connect(&m_delay, &QTimer::timeout, this, qOverload<>(&QWidget::update));
}

void PlotOverlay::set(Kind kind, const QString& first, const QString& second, const QString& link)
{
    m_kind = kind;
    m_first = first;
    m_second = second;
    m_link = link;
    m_linkRect = {};
    if (kind != Kind::Loading)
        m_delay.stop();
    update();
}

void PlotOverlay::showSentence(const QString& text)
{
    set(Kind::Sentence, text, {}, {});
}

void PlotOverlay::showLoading(const QString& what)
{
    if (m_kind != Kind::Loading)
        m_delay.start();
    m_progress = -1;
    set(Kind::Loading, what, {}, {});
}

void PlotOverlay::setProgress(double share)
{
    m_progress = share;
    if (m_kind == Kind::Loading)
        update();
}

void PlotOverlay::showFailure(const QString& what, const QString& where, const QString& link)
{
    set(Kind::Failure, what, where, link);
}

void PlotOverlay::clear()
{
    set(Kind::None, {}, {}, {});
}

QString PlotOverlay::text() const
{
    return m_second.isEmpty() ? m_first : m_first + QLatin1Char('\n') + m_second;
}

void PlotOverlay::setArea(const QRect& area)
{
    m_area = area;
}

void PlotOverlay::paintEvent(QPaintEvent*)
{
    if (m_kind == Kind::None || (m_kind == Kind::Loading && m_delay.isActive()))
        return;
    const Theme& theme = Theme::current();
    QPainter painter(this);
    const QRect area = m_area.isValid() ? m_area : rect();
    const int line = px(22);
    const int wanted = m_kind == Kind::Loading ? 2 : 1 + (m_second.isEmpty() ? 0 : 1) + (m_link.isEmpty() ? 0 : 1);
    QRect row(area.left(), area.center().y() - wanted * line / 2, area.width(), line);

    painter.setFont(ui::font(m_kind == Kind::Failure ? FontRole::BodyStrong : FontRole::Body));
    QString first = m_first;
    if (m_kind == Kind::Failure)
        first = painter.fontMetrics().elidedText(first, Qt::ElideRight, area.width() - px(40));
    // A quiet ground behind the words, so that an old curve does not run through them.
    const int textWidth = painter.fontMetrics().horizontalAdvance(first) + px(24);
    if (m_kind != Kind::Sentence) {
        QColor veil = theme.base;
        veil.setAlphaF(0.86F);
        const int width = std::max(textWidth, px(150)) + px(24);
        painter.fillRect(QRect(area.center().x() - width / 2, row.top() - px(8), width, wanted * line + px(16)), veil);
    }
    painter.setPen(m_kind == Kind::Failure ? theme.tx : theme.tx2);
    painter.drawText(row, Qt::AlignCenter, first);
    if (m_kind == Kind::Failure) {
        const int side = px(12);
        painter.save();
        painter.setRenderHint(QPainter::Antialiasing);
        paintVerdict(painter,
                     QRectF(area.center().x() - textWidth / 2.0 - px(4), row.center().y() - side / 2.0, side, side),
                     Verdict::Worse);
        painter.restore();
    }
    row.translate(0, line);
    if (m_kind == Kind::Loading) {
        const int width = px(120);
        const QPoint at(area.center().x() - width / 2, row.top() + px(4));
        paintProgressBar(painter, at, std::clamp(m_progress, 0.0, 1.0), width);
        return;
    }
    painter.setFont(ui::font(FontRole::Caption));
    if (!m_second.isEmpty()) {
        painter.setPen(theme.tx2);
        painter.drawText(row, Qt::AlignCenter,
                         painter.fontMetrics().elidedText(m_second, Qt::ElideMiddle, area.width() - px(24)));
        row.translate(0, line);
    }
    if (!m_link.isEmpty()) {
        painter.setPen(theme.acc);
        painter.drawText(row, Qt::AlignCenter, m_link, &m_linkRect);
    }
}

}  // namespace sigmascope::ui
