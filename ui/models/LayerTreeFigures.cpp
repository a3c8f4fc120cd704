// SPDX-License-Identifier: GPL-3.0-or-later
// The numbers of the layer list without their rows: what filters, sorts and the CSV take.
#include "ui/models/LayerTreeModel.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"

#include <cmath>

namespace sigmascope::ui {

LayerTreeModel::Figures LayerTreeModel::figures(std::size_t tensor) const
{
    const LayerPlan& plan = m_session.layer(tensor);
    Figures figures{.bits = m_planned[tensor].bits,
                    .rank = plan.keep ? -1.0 : plan.rank,
                    .bytes = m_planned[tensor].bytes,
                    .isPinned = plan.pinned,
                    .hasWarning = m_session.tensor(tensor).state != TensorState::Ok || m_fallbackOf.contains(tensor)};
    figures.error = m_planned[tensor].error;
    if (!figures.hasWarning && (m_session.values(tensor) != nullptr || m_session.preview(tensor) != nullptr))
        figures.hasWarning = !warningOf(tensor).isEmpty();
    return figures;
}

LayerTreeModel::Figures LayerTreeModel::figuresOfTop(int row) const
{
    const TopLevel& top = m_top[static_cast<std::size_t>(row)];
    if (top.tensor)
        return figures(*top.tensor);
    if (top.figures)
        return *top.figures;
    Figures mean{.bits = 0, .rank = 0, .error = 0};
    double elements = 0, planned = 0;
    for (const std::size_t tensor : top.members) {
        mean.bytes += m_planned[tensor].bytes;
        const LayerPlan& plan = m_session.layer(tensor);
        if (plan.keep)
            continue;
        const auto count = static_cast<double>(m_session.tensor(tensor).elements());
        elements += count;
        planned += 1;
        mean.bits += count * m_planned[tensor].bits;
        mean.rank += plan.rank;
        // Only a block whose layers are all known has a mean: a mean of some would jump as others arrive.
        const double error = m_planned[tensor].error;
        mean.error = mean.error < 0 || error < 0 ? -1 : mean.error + count * error * error;
    }
    if (elements == 0) {
        top.figures = Figures{.bits = 0, .rank = -1, .error = -1, .bytes = mean.bytes};
        return *top.figures;
    }
    mean.bits /= elements;
    mean.rank /= planned;
    mean.error = mean.error < 0 ? -1 : std::sqrt(mean.error / elements);
    top.figures = mean;
    return mean;
}

QString LayerTreeModel::asCsv(const std::vector<std::size_t>& tensors) const
{
    QString csv = QStringLiteral("tensor,block,role,shape,dtype,plan,bits,rank,relative_error,error_source,bytes,pinned,warning\n");
    for (const std::size_t tensor : tensors) {
        const TensorInfo& stored = m_session.tensor(tensor);
        const TensorPlace& place = m_session.topology().place(tensor);
        const LayerPlan& plan = m_session.layer(tensor);
        const auto error = m_session.shownError(tensor);
        QStringList shape;
        for (const std::uint64_t length : stored.shape)
            shape += QString::number(length);
        const QStringList fields{
            csvField(QString::fromStdString(stored.name)),
            place.block < 0 ? QString() : QString::number(place.block),
            QString::fromUtf8(id(place.role).data(), static_cast<qsizetype>(id(place.role).size())),
            shape.join(QLatin1Char('x')),
            csvField(typeText(stored)),
            plan.keep ? QStringLiteral("kept") : csvField(QString::fromStdString(plan.grid)),
            csvNumber(m_planned[tensor].bits),
            plan.keep ? QString() : QString::number(plan.rank),
            error ? csvNumber(error->value) : QString(),
            !error ? QString() : error->isMeasured ? QStringLiteral("measured") : QStringLiteral("estimated"),
            QString::number(m_planned[tensor].bytes),
            plan.pinned ? QStringLiteral("yes") : QString(),
            csvField(warningOf(tensor)),
        };
        csv += fields.join(QLatin1Char(',')) + QLatin1Char('\n');
    }
    return csv;
}

}  // namespace sigmascope::ui
