// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/models/ExportMatrixModel.h"

#include "ui/Theme.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Counted.h"
#include "ui/text/Csv.h"

#include <QCoreApplication>

#include <algorithm>
#include <map>

namespace sigmascope::ui {

namespace {

/// The context is what lupdate takes for a free function: its namespace.
QString tr(const char* text, const char* disambiguation = nullptr)
{
    return QCoreApplication::translate("sigmascope::ui", text, disambiguation);
}

QString titleOf(PlanPart part)
{
    switch (part) {
    case PlanPart::Codes:
        return tr("Quantized layers");
    case PlanPart::Correction:
        return tr("Correction");
    case PlanPart::Factors:
        return tr("Factors");
    case PlanPart::Kept:
        return tr("Kept tensors");
    case PlanPart::Tokenizer:
        return tr("Tokenizer");
    case PlanPart::Recipe:
        return tr("Recipe and seed");
    }
    return {};
}

ExportFit fitOf(const CarriedPart& part)
{
    switch (part.carriage) {
    case Carriage::None:
        return ExportFit::Nothing;
    case Carriage::Refused:
        return ExportFit::Lost;
    case Carriage::Folded:
        return part.part == PlanPart::Factors ? ExportFit::Nothing : ExportFit::Changed;
    case Carriage::Widened:
    case Carriage::Decoded:
    case Carriage::Left:
        return ExportFit::Changed;
    case Carriage::Exact:
    case Carriage::Adapter:
    case Carriage::Inside:
    case Carriage::Copied:
    case Carriage::Converted:
        return ExportFit::AsPlanned;
    }
    return ExportFit::Nothing;
}

QString cellText(const CarriedPart& part)
{
    switch (part.carriage) {
    case Carriage::None:
        return tr("None in this plan");
    case Carriage::Exact:
        return part.part == PlanPart::Kept ? tr("As stored")
            : part.part == PlanPart::Codes ? tr("Exact codes")
                                           : tr("As planned");
    case Carriage::Adapter:
        return tr("Adapter, scale 1");
    case Carriage::Inside:
        return part.part == PlanPart::Correction ? tr("Stored beside the codes") : tr("Inside the file");
    case Carriage::Copied:
        return tr("Copied beside");
    case Carriage::Converted:
        return tr("Norms as F32");
    case Carriage::Widened:
        return counted(part.changed, tr("1 layer widened"), tr("%1 layers widened"));
    case Carriage::Decoded:
        return tr("Decoded to BF16");
    case Carriage::Folded:
        return part.part == PlanPart::Factors ? tr("Not needed") : tr("Added to the weights");
    case Carriage::Left:
        return tr("Not written");
    case Carriage::Refused:
        return counted(part.changed, tr("1 layer not possible"), tr("%1 layers not possible"));
    }
    return {};
}

QString nameOf(FactorType type)
{
    switch (type) {
    case FactorType::F32:
        return QStringLiteral("F32");
    case FactorType::F16:
        return QStringLiteral("F16");
    case FactorType::BF16:
        return QStringLiteral("BF16");
    case FactorType::Q8_0:
        return QStringLiteral("Q8_0");
    case FactorType::I8:
        return QStringLiteral("INT8");
    }
    return {};
}

QString listed(const std::map<QString, int>& counts)
{
    QStringList words;
    for (const auto& [word, count] : counts)
        words << tr("%1 × %2", "grid or type, how many").arg(word).arg(count);
    constexpr qsizetype kMost = 3;
    if (words.size() > kMost)
        words = words.mid(0, kMost) << QStringLiteral("…");
    return words.join(QStringLiteral(", "));
}

}  // namespace

QString runtimeTitle(const ExporterRow& exporter)
{
    if (exporter.id == "research")
        return tr("Research");
    return QString::fromUtf8(exporter.runtime.data(), static_cast<qsizetype>(exporter.runtime.size()));
}

QString containerTitle(const ExportOffer& offer)
{
    const bool hasAdapter = offer.sizes
        && std::ranges::any_of(offer.sizes->outputs, [](const OutputFile& output) { return output.kind == "adapter"; });
    if (offer.exporter->id == "gguf")
        return hasAdapter ? tr("GGUF + LoRA adapter") : tr("GGUF");
    if (offer.exporter->id == "research")
        return tr("Safetensors container");
    if (!offer.exporter->holdsCodes)
        return tr("BF16 safetensors, dequantized");
    return hasAdapter ? tr("Safetensors + PEFT adapter") : tr("Safetensors, quantized");
}

ExportFit verdictFit(const ExportOffer& offer)
{
    if (!offer.verdict.refusals.empty())
        return ExportFit::Lost;
    ExportFit worst = ExportFit::AsPlanned;
    for (const CarriedPart& part : offer.verdict.parts)
        worst = std::max(worst, fitOf(part));
    return worst;
}

QString verdictText(const ExportOffer& offer)
{
    const ExportFit fit = verdictFit(offer);
    if (fit == ExportFit::Lost)
        return tr("cannot carry this plan");
    if (!offer.exporter->holdsCodes)
        return tr("decoded again, as large as BF16");
    if (fit == ExportFit::Changed) {
        const auto changes = std::ranges::count_if(
            offer.verdict.parts, [](const CarriedPart& part) { return fitOf(part) == ExportFit::Changed; });
        return counted(static_cast<std::uint64_t>(changes), tr("1 change"), tr("%1 changes"));
    }
    return offer.exporter->id == "research" ? tr("carries all, no runtime reads it") : tr("carries the whole plan");
}

QStringList reasonsOf(const ExportOffer& offer, int count)
{
    QStringList reasons;
    if (const auto refusal = refusalOf(offer.verdict))
        reasons << QString::fromStdString(refusal->detail);
    for (const ExportFit fit : {ExportFit::Lost, ExportFit::Changed}) {
        for (const CarriedPart& part : offer.verdict.parts) {
            const QString reason = QString::fromStdString(part.reason);
            const bool isTold
                = std::ranges::any_of(reasons, [&reason](const QString& told) { return told.contains(reason); });
            if (fitOf(part) == fit && !reason.isEmpty() && !isTold)
                reasons << reason;
        }
    }
    return reasons.mid(0, count);
}

ExportMatrixModel::ExportMatrixModel(Session& session, QObject* parent)
    : QAbstractTableModel(parent)
    , m_session(session)
{
}

QString ExportMatrixModel::detailOf(PlanPart part) const
{
    std::map<QString, int> grids;
    std::map<QString, int> factors;
    std::uint64_t kept = 0;
    std::uint64_t corrected = 0;
    std::uint32_t lowest = UINT32_MAX;
    std::uint32_t highest = 0;
    for (const LayerPlan& layer : m_session.plan().layers) {
        kept += layer.keep ? 1 : 0;
        if (layer.keep)
            continue;
        ++grids[QString::fromStdString(layer.grid).toUpper()];
        if (layer.rank == 0)
            continue;
        ++corrected;
        lowest = std::min(lowest, layer.rank);
        highest = std::max(highest, layer.rank);
        ++factors[nameOf(layer.factors)];
    }
    switch (part) {
    case PlanPart::Codes:
        return grids.empty() ? tr("none") : listed(grids);
    case PlanPart::Correction:
        return corrected == 0   ? tr("none")
            : lowest == highest ? counted(corrected, tr("1 layer, rank %2"), tr("%1 layers, rank %2")).arg(lowest)
                                : tr("%1 layers, rank %2 to %3").arg(wholeNumber(corrected)).arg(lowest).arg(highest);
    case PlanPart::Factors:
        return factors.empty() ? tr("none") : listed(factors);
    case PlanPart::Kept:
        return counted(kept, tr("1 tensor"), tr("%1 tensors"));
    case PlanPart::Tokenizer:
        return tr("from the model");
    case PlanPart::Recipe:
        return tr("repeats this export");
    }
    return {};
}

void ExportMatrixModel::show(const std::vector<ExportOffer>& offers, const QString& chosen)
{
    beginResetModel();
    m_targets.clear();
    m_rows.clear();
    m_chosen = -1;
    for (const ExportOffer& offer : offers) {
        if (chosen == QLatin1String(offer.exporter->id.data(), static_cast<qsizetype>(offer.exporter->id.size())))
            m_chosen = static_cast<int>(m_targets.size()) + 1;
        m_targets.push_back(runtimeTitle(*offer.exporter));
    }
    for (const PlanPart part : {PlanPart::Codes, PlanPart::Correction, PlanPart::Factors, PlanPart::Kept,
                                PlanPart::Tokenizer, PlanPart::Recipe}) {
        if (offers.empty())
            break;
        Row row{titleOf(part), detailOf(part), {}};
        for (const ExportOffer& offer : offers) {
            const CarriedPart& carried = partIn(offer.verdict, part);
            row.cells.push_back({cellText(carried), QString::fromStdString(carried.reason), fitOf(carried)});
        }
        m_rows.push_back(std::move(row));
    }
    endResetModel();
}

QString ExportMatrixModel::asCsv() const
{
    QStringList header{QStringLiteral("part")};
    for (const QString& target : m_targets)
        header << csvField(target);
    QString csv = header.join(QLatin1Char(',')) + QLatin1Char('\n');
    for (const Row& row : m_rows) {
        QStringList fields{csvField(row.title)};
        for (const Cell& cell : row.cells)
            fields << csvField(cell.text);
        csv += fields.join(QLatin1Char(',')) + QLatin1Char('\n');
    }
    return csv;
}

int ExportMatrixModel::rowCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_rows.size());
}

int ExportMatrixModel::columnCount(const QModelIndex& parent) const
{
    return parent.isValid() ? 0 : static_cast<int>(m_targets.size()) + 1;
}

QVariant ExportMatrixModel::data(const QModelIndex& index, int role) const
{
    if (!index.isValid())
        return {};
    const Row& row = m_rows[static_cast<std::size_t>(index.row())];
    if (role == ExportChosenRole)
        return index.column() == m_chosen;
    if (index.column() == 0) {
        if (role == Qt::DisplayRole)
            return row.title;
        if (role == ExportDetailRole || role == Qt::ToolTipRole)
            return row.detail;
        return role == Qt::AccessibleTextRole ? QVariant(row.title + QLatin1String(": ") + row.detail) : QVariant();
    }
    const Cell& cell = row.cells[static_cast<std::size_t>(index.column()) - 1];
    switch (role) {
    case Qt::DisplayRole:
        return cell.text;
    case Qt::ToolTipRole:
        return cell.tip.isEmpty() ? cell.text : cell.tip;
    case ExportFitRole:
        return static_cast<int>(cell.fit);
    default:
        return {};
    }
}

QVariant ExportMatrixModel::headerData(int section, Qt::Orientation orientation, int role) const
{
    if (orientation != Qt::Horizontal)
        return {};
    if (role == Qt::TextAlignmentRole)
        return QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    if (role == Qt::FontRole && section == m_chosen) {
        QFont chosen = ui::font(FontRole::Caption);
        chosen.setWeight(QFont::DemiBold);
        return chosen;
    }
    if (role != Qt::DisplayRole)
        return {};
    return section == 0 ? tr("In the plan") : m_targets[static_cast<std::size_t>(section) - 1];
}

}  // namespace sigmascope::ui
