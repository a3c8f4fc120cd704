// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/widgets/BudgetStrip.h"

#include "ui/Theme.h"
#include "ui/text/Numbers.h"
#include "ui/widgets/LayerDelegate.h"

#include <QAbstractButton>
#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QPixmap>
#include <QSpinBox>
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

/// A plan that its target refuses has no size.
QString sizeText(const BudgetView& view)
{
    return view.fileBytes > 0 ? fileSize(view.fileBytes) : QStringLiteral("–");
}

QString bitsText(const BudgetView& view)
{
    return view.fileBytes > 0 ? decimals(view.bitsPerWeight, 2) : QStringLiteral("–");
}

bool isOver(const BudgetView& view)
{
    return view.targetBytes && view.fileBytes > *view.targetBytes;
}

quint64 distance(const BudgetView& view)
{
    return isOver(view) ? view.fileBytes - *view.targetBytes : *view.targetBytes - view.fileBytes;
}

/// "+1.20 MB", "−340 kB"; empty for what changes no size.
QString signedSize(double bytes)
{
    if (std::fabs(bytes) < 0.5)
        return {};
    return (bytes < 0 ? QString(QChar(0x2212)) : QStringLiteral("+")) + fileSize(static_cast<quint64>(std::llround(std::fabs(bytes))));
}

QString countText(int fallbacks)
{
    return fallbacks == 1 ? BudgetStrip::tr("1 fallback") : BudgetStrip::tr("%1 fallbacks").arg(QLocale().toString(fallbacks));
}

constexpr int kMostTokens = 1 << 24;

/// Takes clicks and keys over figures that the strip paints itself.
class FigureButton : public QAbstractButton {
public:
    using QAbstractButton::QAbstractButton;

protected:
    void paintEvent(QPaintEvent*) override
    {
        if (!hasFocus())
            return;
        QPainter painter(this);
        painter.setPen(QPen(Theme::current().acc, 2));
        painter.setRenderHint(QPainter::Antialiasing);
        painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), px(3), px(3));
    }
};

}  // namespace

BudgetStrip::BudgetStrip(QWidget* parent)
    : QWidget(parent)
{
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setFont(ui::font(FontRole::Body));
    setAccessibleName(tr("Byte budget"));
    setMouseTracking(true);
    m_context = new QSpinBox(this);
    m_context->setObjectName(QStringLiteral("budgetContext"));
    m_context->setRange(1, kMostTokens);
    m_context->setSingleStep(1024);
    m_context->setGroupSeparatorShown(true);
    m_context->setButtonSymbols(QAbstractSpinBox::NoButtons);
    m_context->setKeyboardTracking(false);
    m_context->setAlignment(Qt::AlignRight);
    m_context->setFont(ui::font(FontRole::MonoAxis));
    m_context->setAccessibleName(tr("Context length, tokens"));
    m_context->setToolTip(tr("Memory at this many tokens: the weights as planned and F16 keys and values, without a runtime's own buffers"));
    m_context->hide();
    m_fallbackButton = new FigureButton(this);
    m_fallbackButton->setObjectName(QStringLiteral("budgetFallbacks"));
    m_fallbackButton->setFocusPolicy(Qt::TabFocus);
    m_fallbackButton->setCursor(Qt::PointingHandCursor);
    m_fallbackButton->hide();
    connect(m_context, &QSpinBox::valueChanged, this, [this](int tokens) {
        if (tokens != shownContext())
            emit contextChosen(static_cast<quint64>(tokens));
    });
    connect(m_fallbackButton, &QAbstractButton::clicked, this, &BudgetStrip::fallbacksClicked);
}

void BudgetStrip::show(const BudgetView& view)
{
    m_view = view;
    setAccessibleDescription(tr("File size %1, %2 bits per weight")
                                 .arg(sizeText(view), bitsText(view)));
    if (view.memoryContext > 0)
        m_context->setValue(shownContext());
    const QString cost = signedSize(view.fallbackBytes);
    m_fallbackButton->setAccessibleName(cost.isEmpty() ? countText(view.fallbacks) : countText(view.fallbacks) + QLatin1Char(' ') + cost);
    m_fallbackButton->setToolTip(view.fallbackText);
    layOut();
    update();
}

int BudgetStrip::shownContext() const
{
    return static_cast<int>(std::clamp<quint64>(m_view.memoryContext, 1, kMostTokens));
}

void BudgetStrip::setCompact(bool compact)
{
    if (m_isCompact == compact)
        return;
    m_isCompact = compact;
    updateGeometry();
    layOut();
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

std::vector<BudgetStrip::Column> BudgetStrip::columns() const
{
    using Kind = Column::Kind;
    std::vector<Column> columns;
    if (m_view.targetBytes)
        columns.push_back({Kind::Target, isOver(m_view) ? tr("Over target") : tr("Under target"), fileSize(distance(m_view)), {},
                           m_view.sizeSource, isOver(m_view) ? Verdict::Worse : Verdict::Same, {}});
    columns.push_back({Kind::Bits, tr("Bits per weight"), bitsText(m_view), tr("bpw, all overhead"), m_view.sizeSource,
                       Verdict::Same, {}});
    if (m_view.outputError)
        columns.push_back({Kind::Error, errorTitle(), number3(100 * *m_view.outputError), QStringLiteral("%"),
                           m_view.errorSource, Verdict::Same, {}});
    if (m_view.memoryBytes)
        columns.push_back({Kind::Memory, tr("Memory at", "so many tokens"), tensorSize(*m_view.memoryBytes), {}, Source::Estimated,
                           Verdict::Same, {}});
    columns.push_back({Kind::Fallbacks, tr("Fallbacks"), QLocale().toString(m_view.fallbacks), signedSize(m_view.fallbackBytes), Source::Exact,
                       m_view.fallbacks > 0 ? Verdict::Changed : Verdict::Same, {}});
    return columns;
}

int BudgetStrip::widthOf(const Column& column) const
{
    const QFontMetrics caption(ui::font(FontRole::Caption)), key(ui::font(FontRole::KeyFigure));
    int first = caption.horizontalAdvance(column.title);
    if (column.kind == Column::Kind::Memory)
        first += px(12) + m_context->width() + caption.horizontalAdvance(tr("tokens"));
    if (column.source != Source::None)
        first += px(18) + caption.horizontalAdvance(sourceWord(column.source));
    const int glyph = column.verdict == Verdict::Same ? 0 : px(17);
    const int unit = column.unit.isEmpty() ? 0 : px(4) + caption.horizontalAdvance(column.unit);
    return std::max(first, glyph + key.horizontalAdvance(column.value) + unit);
}

/// Of the file size and its target.
int BudgetStrip::leftWidth() const
{
    const QFontMetrics caption(ui::font(FontRole::Caption)), key(ui::font(FontRole::KeyFigure));
    const int head = caption.horizontalAdvance(tr("File size")) + px(18) + caption.horizontalAdvance(sourceWord(m_view.sizeSource));
    int size = key.horizontalAdvance(sizeText(m_view));
    if (m_view.targetBytes)
        size += px(4) + caption.horizontalAdvance(tr("of %1 target").arg(fileSize(*m_view.targetBytes)));
    return std::max(head, size);
}

void BudgetStrip::layOut()
{
    if (m_isCompact) {
        m_context->hide();
        QPixmap nothing(1, 1);
        QPainter painter(&nothing);
        compactLine(painter, false);
    } else {
        layOutFull();
    }
    m_fallbackButton->setVisible(m_view.fallbacks > 0 && !m_fallbackButton->size().isEmpty());
}

void BudgetStrip::layOutFull()
{
    m_context->setFixedSize(px(74), px(20));
    QRect button;
    m_columns = columns();
    for (Column& column : m_columns)
        column.width = widthOf(column);  // text is measured once: a drag comes here at every step
    const int gap = px(28), left = px(12) + leftWidth() + px(24);
    const auto needed = [&] {
        int wide = 0;
        for (const Column& column : m_columns)
            wide += column.width + gap;
        return wide;
    };
    // The bar keeps its room; what gives way is in the tooltip.
    for (const Column::Kind kind : {Column::Kind::Memory, Column::Kind::Error, Column::Kind::Target}) {
        if (left + px(180) + needed() > width())
            std::erase_if(m_columns, [kind](const Column& column) { return column.kind == kind; });
    }
    int x = width() - px(16);
    for (auto it = m_columns.rbegin(); it != m_columns.rend(); ++it) {
        x -= it->width;
        it->rect = QRect(x, 0, it->width, height());
        if (it->kind == Column::Kind::Memory) {
            const QFontMetrics caption(ui::font(FontRole::Caption));
            m_context->move(x + caption.horizontalAdvance(it->title) + px(6), px(22) - px(14));
        } else if (it->kind == Column::Kind::Fallbacks) {
            button = it->rect.adjusted(-px(6), px(4), px(6), -px(4));
        }
        x -= gap;
    }
    m_fallbackButton->setGeometry(button);
    m_context->setVisible(std::ranges::find(m_columns, Column::Kind::Memory, &Column::kind) != m_columns.end());
    m_bar = QRect(left, px(17), std::max(px(80), x - left), px(9));
}

void BudgetStrip::paintColumn(QPainter& painter, const Column& column) const
{
    const Theme& theme = Theme::current();
    const QColor value = m_view.isRecomputing ? theme.tx3 : theme.tx;
    const int top = px(22), bottom = px(44), x = column.rect.left();
    Line title(painter, x, top);
    title.text(column.title, FontRole::Caption, theme.tx2);
    if (column.kind == Column::Kind::Memory)
        Line(painter, m_context->geometry().right() + px(6), top).text(tr("tokens"), FontRole::Caption, theme.tx2)
            .gap(6).source(column.source).text(sourceWord(column.source), FontRole::Caption, theme.tx2);
    else if (column.source != Source::None)
        title.gap(6).source(column.source).text(sourceWord(column.source), FontRole::Caption, theme.tx2);
    int from = x;
    if (column.verdict != Verdict::Same) {
        paintVerdict(painter, QRectF(x, bottom - px(11), px(12), px(12)), column.verdict);
        from += px(17);
    }
    Line figure(painter, from, bottom);
    figure.text(column.value, FontRole::KeyFigure, value);
    if (!column.unit.isEmpty())
        figure.gap(4).text(column.unit, FontRole::Caption, theme.tx2);
}

void BudgetStrip::paintFull(QPainter& painter)
{
    const Theme& theme = Theme::current();
    const int top = px(22), bottom = px(44);
    Line head(painter, px(12), top);
    head.text(tr("File size"), FontRole::Caption, theme.tx2).gap(6).source(m_view.sizeSource)
        .text(sourceWord(m_view.sizeSource), FontRole::Caption, theme.tx2);
    Line size(painter, px(12), bottom);
    size.text(sizeText(m_view), FontRole::KeyFigure, m_view.isRecomputing ? theme.tx3 : theme.tx);
    if (m_view.targetBytes)
        size.gap(4).text(tr("of %1 target").arg(fileSize(*m_view.targetBytes)), FontRole::Caption, theme.tx2);
    for (const Column& column : m_columns)
        paintColumn(painter, column);
    if (!m_view.refusal.isEmpty()) {
        paintRefusal(painter);
        return;
    }
    paintBar(painter, m_bar);
    paintLegend(painter, QRect(m_bar.left(), px(32), m_bar.width(), px(20)));
}

void BudgetStrip::compactLine(QPainter& painter, bool isDrawn)
{
    const Theme& theme = Theme::current();
    const QColor value = m_view.isRecomputing ? theme.tx3 : theme.tx;
    const int baseline = height() / 2 + px(5);
    painter.setOpacity(isDrawn ? 1 : 0);
    Line line(painter, px(12), baseline);
    line.text(sizeText(m_view), FontRole::KeyFigure, value).gap(4);
    if (m_view.targetBytes)
        line.text(tr("of %1").arg(fileSize(*m_view.targetBytes)), FontRole::Caption, theme.tx2).gap(4);
    line.source(m_view.sizeSource).gap(14);
    const QFontMetrics caption(ui::font(FontRole::Caption));
    const int bar = m_view.refusal.isEmpty()
        ? std::clamp(width() / 5, px(100), px(260))
        : std::min(px(20) + caption.horizontalAdvance(m_view.refusal), width() / 2);
    m_bar = QRect(line.x(), height() / 2 - px(4), bar, px(8));
    if (isDrawn && !m_view.refusal.isEmpty())
        paintRefusal(painter);
    else if (isDrawn)
        paintBar(painter, m_bar);
    Line rest(painter, m_bar.right() + px(24), baseline);
    if (m_view.targetBytes) {
        if (isOver(m_view)) {
            paintVerdict(painter, QRectF(rest.x(), baseline - px(11), px(12), px(12)), Verdict::Worse);
            rest.gap(17);
        }
        rest.text(isOver(m_view) ? tr("Over target %1").arg(fileSize(distance(m_view))) : tr("%1 under").arg(fileSize(distance(m_view))),
                  FontRole::Caption, theme.tx2)
            .gap(4).source(m_view.sizeSource).gap(14);
    }
    rest.text(bitsText(m_view), FontRole::KeyFigure, value).gap(4)
        .text(tr("bpw"), FontRole::Caption, theme.tx2).gap(4).source(m_view.sizeSource).gap(14);
    if (m_view.outputError)
        rest.text(number3(100 * *m_view.outputError), FontRole::KeyFigure, value).gap(4)
            .text(m_view.isWeightError ? tr("% weight error") : tr("% output error"), FontRole::Caption, theme.tx2).gap(4)
            .source(m_view.errorSource).gap(14);
    const QString memory = memoryText();
    const int needed = QFontMetrics(ui::font(FontRole::Caption)).horizontalAdvance(memory) + px(30) + fallbackWidth();
    m_hasCompactMemory = !memory.isEmpty() && rest.x() + needed <= width() - px(12);
    if (m_hasCompactMemory)
        rest.text(memory, FontRole::Caption, theme.tx2).gap(4).source(Source::Estimated).gap(14);
    const int from = rest.x();
    if (m_view.fallbacks > 0) {
        paintVerdict(painter, QRectF(from, baseline - px(11), px(12), px(12)), Verdict::Changed);
        rest.gap(17);
    }
    rest.text(countText(m_view.fallbacks), FontRole::Caption, theme.tx2);
    if (const QString cost = signedSize(m_view.fallbackBytes); !cost.isEmpty())
        rest.gap(4).text(cost, FontRole::Caption, theme.tx2).gap(4).source(Source::Exact);
    m_fallbackButton->setGeometry(QRect(from - px(6), px(3), rest.x() - from + px(12), height() - px(6)));
}

QString BudgetStrip::errorTitle() const
{
    return m_view.isWeightError ? tr("Weight error, mean") : tr("Output error, mean");
}

QString BudgetStrip::memoryText() const
{
    return m_view.memoryBytes ? tr("%1 of memory at %2 tokens", "compact strip")
                                    .arg(tensorSize(*m_view.memoryBytes), QLocale().toString(m_view.memoryContext))
                              : QString();
}

int BudgetStrip::fallbackWidth() const
{
    const QString cost = signedSize(m_view.fallbackBytes);
    return QFontMetrics(ui::font(FontRole::Caption)).horizontalAdvance(countText(m_view.fallbacks) + cost)
        + (m_view.fallbacks > 0 ? px(17) : 0) + (cost.isEmpty() ? 0 : px(20));
}

QStringList BudgetStrip::figures() const
{
    QStringList words{tr("File size") + QLatin1Char(' ') + sizeText(m_view)};
    if (!m_view.refusal.isEmpty())
        words << m_view.refusal;
    std::vector<Column> shown = m_isCompact ? columns() : m_columns;
    if (m_isCompact && !m_hasCompactMemory)
        std::erase_if(shown, [](const Column& column) { return column.kind == Column::Kind::Memory; });
    for (const Column& column : shown)
        words << QStringList{column.title, column.value, column.unit}.join(QLatin1Char(' ')).trimmed();
    return words;
}

void BudgetStrip::paintEvent(QPaintEvent*)
{
    const Theme& theme = Theme::current();
    QPainter painter(this);
    painter.fillRect(rect(), theme.panel);
    painter.fillRect(QRect(0, 0, width(), 1), theme.line);
    if (m_isCompact)
        compactLine(painter, true);
    else
        paintFull(painter);
}

void BudgetStrip::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    layOut();
    update();
}

void BudgetStrip::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    const bool isBuilt = m_context != nullptr && m_fallbackButton != nullptr;
    if (isBuilt && (event->type() == QEvent::FontChange || event->type() == QEvent::PaletteChange))
        layOut();
}

QString BudgetStrip::toolTipText() const
{
    if (!m_view.refusal.isEmpty())
        return m_view.refusal;
    QStringList lines{tr("Codes and scales %1").arg(fileSize(m_view.codeBytes)), tr("Low-rank factors %1").arg(fileSize(m_view.factorBytes)),
                      tr("Kept as they are %1").arg(fileSize(m_view.keptBytes))};
    if (m_view.targetBytes)
        lines += isOver(m_view) ? tr("Over target %1").arg(fileSize(distance(m_view))) : tr("Under target %1").arg(fileSize(distance(m_view)));
    if (m_view.memoryBytes)
        lines += tr("%1 of memory at %2 tokens: weights and F16 keys and values")
                     .arg(tensorSize(*m_view.memoryBytes), QLocale().toString(m_view.memoryContext));
    if (m_view.outputError)
        lines += tr("%1: %2 over the planned layers, %3", "error, mean: 6.5 %, measured")
                     .arg(errorTitle(), percent(*m_view.outputError), sourceWord(m_view.errorSource));
    lines += tr("%1 bits per weight, all overhead").arg(decimals(m_view.bitsPerWeight, 3));
    return lines.join(QLatin1Char('\n'));
}

bool BudgetStrip::event(QEvent* event)
{
    if (event->type() != QEvent::ToolTip)
        return QWidget::event(event);
    QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(), toolTipText(), this);
    return true;
}

}  // namespace sigmascope::ui
