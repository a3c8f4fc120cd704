// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/CompareTotals.h"

#include "ui/Theme.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SourceBadge.h"

#include <QHBoxLayout>
#include <QPainter>
#include <QVBoxLayout>

#include <cmath>

namespace sigmascope::ui {

namespace {

QString arrow(const QString& a, const QString& b)
{
    return a + QStringLiteral(" → ") + b;
}

QString sign(double value)
{
    return value > 0 ? QStringLiteral("+") : value < 0 ? QString(QChar(0x2212)) : QString();
}

QString changeOf(const std::optional<double>& a, const std::optional<double>& b)
{
    if (!a || !b || *a <= 0)
        return {};
    const double change = *b / *a - 1;
    return (change > 0 ? QStringLiteral("+") : QString()) + percent(change);
}

/// What stands on one side only, in words; empty if nothing does.
QString loneText(const ComparisonResult& result)
{
    QStringList parts;
    if (result.onlyA > 0)
        parts << CompareTotals::tr("%1 only in A").arg(wholeNumber(result.onlyA));
    if (result.onlyB > 0)
        parts << CompareTotals::tr("%1 only in B").arg(wholeNumber(result.onlyB));
    return parts.join(QStringLiteral(" · "));
}

}  // namespace

Verdict verdictOf(LayerVerdict verdict)
{
    switch (verdict) {
    case LayerVerdict::Better: return Verdict::Better;
    case LayerVerdict::Same: return Verdict::Same;
    case LayerVerdict::Changed: return Verdict::Changed;
    case LayerVerdict::Worse: return Verdict::Worse;
    }
    return Verdict::Same;
}

VerdictGlyph::VerdictGlyph(QWidget* parent)
    : QWidget(parent)
{
    setFixedSize(px(14), px(14));
}

void VerdictGlyph::setVerdict(std::optional<Verdict> verdict)
{
    m_verdict = verdict;
    setVisible(verdict.has_value());
    update();
}

void VerdictGlyph::paintEvent(QPaintEvent*)
{
    if (!m_verdict)
        return;
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    paintVerdict(painter, QRectF(1, 1, width() - 2, height() - 2), *m_verdict);
}

CompareTotals::CompareTotals(QWidget* parent)
    : QWidget(parent)
    , m_glyph(new VerdictGlyph(this))
{
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(px(16), px(6), px(16), px(8));
    row->setSpacing(px(28));
    addBlock(row, Judgement, 4);
    addBlock(row, Error, 4);
    addBlock(row, Bits, 3);
    addBlock(row, Size, 3);
    show(nullptr);
}

void CompareTotals::addBlock(QHBoxLayout* row, Figure figure, int stretch)
{
    Block& block = m_blocks[figure];
    block.title = new ElidedLabel;
    block.title->setFont(ui::font(FontRole::Caption));
    setTextLevel(block.title, TextLevel::Label);
    block.badge = new SourceBadge;
    block.value = new ElidedLabel;
    block.value->setFont(ui::font(FontRole::KeyFigure));
    block.note = new ElidedLabel;
    block.note->setFont(ui::font(FontRole::Caption));
    setTextLevel(block.note, TextLevel::Label);
    auto* head = new QHBoxLayout;
    head->setSpacing(px(8));
    head->addWidget(block.title, 0);
    head->addWidget(block.badge);
    head->addStretch(1);
    auto* line = new QHBoxLayout;
    line->setSpacing(px(8));
    if (figure == Judgement)
        line->addWidget(m_glyph);
    line->addWidget(block.value, 0);
    line->addWidget(block.note, 1);
    auto* column = new QVBoxLayout;
    column->setSpacing(px(2));
    column->addLayout(head);
    column->addLayout(line);
    row->addLayout(column, stretch);
}

void CompareTotals::fill(Figure figure, const QString& title, const QString& value, const QString& note,
                         const QString& explanation)
{
    Block& block = m_blocks[figure];
    block.title->setText(title);
    block.value->setText(value);
    block.note->setText(note);
    for (QWidget* widget : {static_cast<QWidget*>(block.title), static_cast<QWidget*>(block.value), static_cast<QWidget*>(block.note)})
        widget->setToolTip(explanation);
}

QString CompareTotals::text(Figure figure) const
{
    const Block& block = m_blocks[figure];
    return block.note->text().isEmpty() ? block.value->text() : block.value->text() + QStringLiteral(" · ") + block.note->text();
}

void CompareTotals::show(const ComparisonResult* result)
{
    const QString none = QStringLiteral("–");
    for (Block& block : m_blocks)
        block.badge->setSource(Source::None);
    m_glyph->setVerdict(std::nullopt);
    if (result == nullptr) {
        fill(Judgement, tr("Verdict"), none, {}, {});
        fill(Error, tr("Error of the layers"), none, {}, {});
        fill(Bits, tr("Bits per weight"), none, {}, {});
        fill(Size, tr("Size of the tensors"), none, {}, {});
        return;
    }
    showJudgement(*result);
    showError(*result);
    showSizes(*result);
    setAccessibleName(tr("Totals of the comparison"));
    setAccessibleDescription(text(Judgement));
}

void CompareTotals::showJudgement(const ComparisonResult& result)
{
    QStringList notes;
    if (!result.isOfRuns) {
        const bool isSame = result.differing == 0 && result.onlyA + result.onlyB == 0;
        m_glyph->setVerdict(isSame ? Verdict::Same : Verdict::Changed);
        const std::size_t both = result.layers.size() - result.onlyA - result.onlyB;
        fill(Judgement, tr("Verdict"),
             isSame ? tr("The same weights in all tensors")
                    : tr("%1 of %2 tensors differ").arg(wholeNumber(result.differing), wholeNumber(both)),
             loneText(result), tr("Tensors pair by name; a Hugging Face name meets its GGUF twin"));
        return;
    }
    if (!result.ratio) {
        fill(Judgement, tr("Verdict"), tr("Too few layers"), loneText(result),
             tr("A verdict takes four layers with an error above zero in both"));
        return;
    }
    const LayerVerdict verdict = result.ratio->verdict();
    m_glyph->setVerdict(verdictOf(verdict));
    notes << tr("error ×%1 (%2 to %3)").arg(number3(result.ratio->mean), number3(result.ratio->lower), number3(result.ratio->upper));
    if (const QString lone = loneText(result); !lone.isEmpty())
        notes << lone;
    fill(Judgement, tr("Verdict over %1 layers").arg(wholeNumber(result.ratio->layers)),
         verdict == LayerVerdict::Better      ? tr("B is better")
             : verdict == LayerVerdict::Worse ? tr("B is worse")
                                              : tr("No difference shown"),
         notes.join(QStringLiteral(" · ")),
         tr("Geometric mean of B's error over A's, with its 95 % interval over the layers.\n"
            "Better or worse is said only where the interval leaves 1 out.\n%1")
             .arg(notes.join(QStringLiteral(" · "))));
}

void CompareTotals::showError(const ComparisonResult& result)
{
    if (!result.isOfRuns) {
        fill(Error, tr("‖A − B‖ / ‖A‖, all tensors"), result.difference ? percent(*result.difference) : QStringLiteral("–"), {},
             tr("Over all compared tensors together, decoded"));
        if (result.difference)
            m_blocks[Error].badge->setSource(Source::Exact);
        return;
    }
    const bool isOutput = result.kind == ErrorKind::Output;
    const bool isKnown = result.a.error && result.b.error;
    QString note = changeOf(result.a.error, result.b.error);
    QString explanation = tr("Root mean square over the layers that either run quantized, by their weights");
    if (isOutput && result.hasOtherCalibration) {
        note = QStringLiteral("▲ ") + tr("other calibrations");
        explanation = tr("The runs weighted their errors by different calibrations: take the weight error to compare them.\n%1")
                          .arg(explanation);
    }
    fill(Error, isOutput ? tr("Output error, mean") : tr("Weight error, mean"),
         isKnown ? arrow(percent(*result.a.error), percent(*result.b.error)) : QStringLiteral("–"), note, explanation);
    if (isKnown)
        m_blocks[Error].badge->setSource(Source::Measured);
}

void CompareTotals::showSizes(const ComparisonResult& result)
{
    const QString reason = tr("The model of a session is not where it was: sizes are not known");
    const bool hasBits = result.a.bitsPerWeight && result.b.bitsPerWeight;
    const double bits = hasBits ? *result.b.bitsPerWeight - *result.a.bitsPerWeight : 0;
    fill(Bits, tr("Bits per weight"),
         hasBits ? arrow(decimals(*result.a.bitsPerWeight, 2), decimals(*result.b.bitsPerWeight, 2)) : QStringLiteral("–"),
         hasBits ? sign(bits) + decimals(std::abs(bits), 2) : QString(),
         hasBits ? tr("Codes, scales and stored factors of all tensors over all weights, without headers") : reason);
    const bool hasBytes = result.a.bytes && result.b.bytes;
    const double bytes = hasBytes ? static_cast<double>(*result.b.bytes) - static_cast<double>(*result.a.bytes) : 0;
    fill(Size, tr("Size of the tensors"),
         hasBytes ? arrow(fileSize(*result.a.bytes), fileSize(*result.b.bytes)) : QStringLiteral("–"),
         hasBytes ? sign(bytes) + fileSize(static_cast<Bytes>(std::abs(bytes))) : QString(),
         hasBytes ? tr("Bytes of all tensors as stored, without headers and padding") : reason);
    if (hasBits)
        m_blocks[Bits].badge->setSource(Source::Exact);
    if (hasBytes)
        m_blocks[Size].badge->setSource(Source::Exact);
}

}  // namespace sigmascope::ui
