// SPDX-License-Identifier: GPL-3.0-or-later
// The Result section of the inspector: what is known of the current layer, and where it is known from.

#include "ui/Theme.h"
#include "ui/panels/InspectorPanel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"

#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QVBoxLayout>

#include <algorithm>

namespace sigmascope::ui {

InspectorPanel::ResultRow& InspectorPanel::addResult(QGridLayout* grid, const QString& key, const QString& name,
                                                     const QString& explanation)
{
    ResultRow row{key, new ElidedLabel(name), new QLabel, new SourceBadge, {}, Source::None};
    setTextLevel(row.name, TextLevel::Label);
    row.value->setFont(ui::font(FontRole::Mono));
    row.value->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    row.value->setTextInteractionFlags(Qt::TextSelectableByMouse);
    for (QWidget* widget : {static_cast<QWidget*>(row.name), static_cast<QWidget*>(row.value), static_cast<QWidget*>(row.badge)})
        widget->setToolTip(explanation);
    const int at = grid->rowCount();
    grid->addWidget(row.name, at, 0);
    grid->addWidget(row.value, at, 1);
    grid->addWidget(row.badge, at, 2);
    m_results.push_back(row);
    return m_results.back();
}

void InspectorPanel::buildResult(QVBoxLayout* layout)
{
    layout->addWidget(sectionTitle(tr("Result"), this));
    auto* grid = new QGridLayout;
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(px(8));
    grid->setVerticalSpacing(px(4));
    grid->setColumnStretch(1, 1);
    grid->setColumnMinimumWidth(2, px(84));
    addResult(grid, QStringLiteral("output-error"), tr("Output error"),
              tr("‖(W − Q − LR)·S‖ / ‖W·S‖ with S the activation RMS of each input channel"));
    addResult(grid, QStringLiteral("rank-0"), tr("At rank 0"), tr("The same error without the low-rank correction"));
    addResult(grid, QStringLiteral("search-gain"), tr("Search gain"),
              tr("How far the wider search left the error before correction below that of ggml's own search"));
    addResult(grid, QStringLiteral("weight-error"), tr("Weight error"), tr("‖W − Q − LR‖ / ‖W‖"));
    addResult(grid, QStringLiteral("size"), tr("Size"), tr("Codes, scales and stored factors of this layer"));
    addResult(grid, QStringLiteral("bits"), tr("Bits per weight"), tr("8 · size / weights: every byte of scales and factors counts"));
    addResult(grid, QStringLiteral("lqer-bits"), tr("As LQER counts"),
              tr("The same bits divided by weights and factor values together, as the LQER paper's tables do"));
    layout->addLayout(grid);
}

InspectorPanel::ResultRow& InspectorPanel::result(const QString& key)
{
    return *std::ranges::find(m_results, key, &ResultRow::key);
}

QString InspectorPanel::resultText(const QString& key) const
{
    return std::ranges::find(m_results, key, &ResultRow::key)->value->text();
}

void InspectorPanel::refreshResult()
{
    fillResult();
    for (ResultRow& row : m_results) {
        row.value->setText(row.text.isEmpty() ? QStringLiteral("–") : row.text);
        row.badge->setSource(row.text.isEmpty() ? Source::None : row.source);
        // Few plans search wider: no line for all others.
        if (row.key == QLatin1String("search-gain")) {
            for (QWidget* widget : {static_cast<QWidget*>(row.name), static_cast<QWidget*>(row.value), static_cast<QWidget*>(row.badge)})
                widget->setVisible(!row.text.isEmpty());
        }
    }
}

void InspectorPanel::fillResult()
{
    for (ResultRow& row : m_results)
        row.text.clear();
    if (!m_session.isOpen() || !m_session.current() || layers().size() != 1)
        return;
    const std::size_t index = *m_session.current();
    if (!m_session.isPlannable(index))
        return;
    const auto show = [this](const char* key, const QString& value, Source source) {
        ResultRow& row = result(QLatin1String(key));
        row.text = value;
        row.source = source;
    };
    const LayerPlan& plan = m_session.layer(index);
    show("size", tensorSize(m_session.plannedBytes(index)), Source::Exact);
    show("bits", QLocale().toString(m_session.plannedBits(index), 'f', 2), Source::Exact);
    if (plan.keep)
        return;
    const TensorInfo& tensor = m_session.tensor(index);
    const std::uint64_t cols = tensor.shape.back();
    const std::uint64_t rows = tensor.elements() / cols;
    const auto grid = findGrid(plan.grid);
    if (grid && (*grid)->accepts(cols)) {
        const double codeBits = 8.0 * static_cast<double>((*grid)->rowBytes(cols)) / static_cast<double>(cols);
        const double factorBits = sigmascope::factorBits(plan.factors);
        show("lqer-bits", QLocale().toString(publishedLqerBits(codeBits, factorBits, rows, cols, plan.rank), 'f', 2), Source::Exact);
    }
    const TensorResult* measured = m_session.measured(index);
    const LayerPreview* preview = m_session.isPreviewCurrent(index) ? m_session.preview(index) : nullptr;
    const bool isPlain = preview != nullptr ? preview->metric.isPlain() : measured != nullptr && !measured->metricError;
    if (measured != nullptr) {
        if (measured->metricError)
            show("output-error", percent(*measured->metricError), Source::Measured);
        if (measured->weightError)
            show("weight-error", percent(*measured->weightError), Source::Measured);
        if (const auto uncorrected = measured->metricError ? measured->metricErrorRank0 : measured->weightErrorRank0)
            show("rank-0", percent(*uncorrected), Source::Measured);
        if (measured->searchGain)
            show("search-gain", percent(*measured->searchGain), Source::Measured);
    } else if (preview != nullptr && !preview->shownError().isEmpty()) {
        // Past the computed singular values an error is at most that of the last one.
        const auto left = [&plan](const ErrorSpectrum& error) {
            return bounded(percent(error.errorAtRank(plan.rank)), plan.rank > error.maxRank());
        };
        if (!isPlain)
            show("output-error", left(preview->outputError), Source::Estimated);
        // The plain error of a correction fitted to activations is known only once it is made.
        if (isPlain || plan.rank == 0)
            show("weight-error", left(preview->weightError), isPlain && plan.rank > 0 ? Source::Estimated : Source::Measured);
        show("rank-0", percent(preview->shownError().errorAtRank(0)), Source::Measured);
    }
    if (isPlain)
        result(QStringLiteral("output-error")).value->setToolTip(tr("Needs calibration: File ▸ Import calibration…"));
}

}  // namespace sigmascope::ui
