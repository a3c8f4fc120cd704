// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/MatrixAnalysis.h"

#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"
#include "ui/session/Session.h"

namespace sigmascope::ui {

std::optional<MatrixSubject> currentSubject(const Session& session)
{
    if (!session.isOpen() || !session.current())
        return std::nullopt;
    const std::size_t tensor = *session.current();
    MatrixSubject subject{.checkpoint = session.checkpoint(), .calibration = session.calibration(), .tensor = tensor};
    const LayerPlan& plan = session.layer(tensor);
    if (session.isPlannable(tensor) && !plan.keep) {
        subject.grid = plan.grid;
        subject.metric = plan.metric;
        subject.solver = plan.solver;
    }
    const ValueAnalysis* values = session.values(tensor);
    subject.isFinite = values == nullptr || values->stats.nan + values->stats.inf == 0;
    return subject;
}

Result<MatrixRows> matrixRows(const MatrixSubject& subject)
{
    const auto view = subject.checkpoint->view(subject.tensor);
    if (!view)
        return passOn(view);
    const std::string& name = subject.checkpoint->tensors()[subject.tensor].name;
    if (view->elements() == 0)
        return fail(ErrorCode::ShapeMismatch, {subject.checkpoint->path().string(), name, {}},
                    "the tensor holds no elements");
    MatrixRows matrix{.rows = view->rows(), .cols = view->cols()};
    matrix.weights
        = [checkpoint = subject.checkpoint, view = *view](std::uint64_t first, std::span<float> out) -> Status {
        return decodeRows(view, first, out.size() / view.cols(), out);
    };
    if (subject.grid.empty() || !subject.isFinite)
        return matrix;
    const auto grid = findGrid(subject.grid);
    if (!grid)
        return passOn(grid);
    if (!(*grid)->accepts(matrix.cols))
        return matrix;
    const Metric metric = metricFor(subject.metric, subject.calibration.get(), name, matrix.cols);
    matrix.scale = metric.scale;
    matrix.residual = [grid = *grid, solver = &solverFor(subject.solver, **grid), metric,
                       cols = matrix.cols](std::span<const float> weights, std::span<float> residual) -> Status {
        const std::uint64_t rows = weights.size() / cols;
        const auto solution
            = solver->solve({.weights = weights, .rows = rows, .cols = cols, .grid = grid, .metric = &metric}, {});
        if (!solution)
            return passOn(solution);
        grid->decode(solution->quantized.codes, rows, cols, residual);
        for (std::size_t i = 0; i < residual.size(); ++i)
            residual[i] = weights[i] - residual[i];
        return {};
    };
    return matrix;
}

std::vector<double> activationScale(const MatrixSubject& subject)
{
    const TensorInfo& tensor = subject.checkpoint->tensors()[subject.tensor];
    if (tensor.shape.empty())
        return {};
    const Metric metric
        = metricFor(MetricKind::DiagonalRms, subject.calibration.get(), tensor.name, tensor.shape.back());
    return {metric.scale.begin(), metric.scale.end()};
}

std::string plainReason(const MatrixSubject& subject)
{
    const TensorInfo& tensor = subject.checkpoint->tensors()[subject.tensor];
    if (tensor.shape.empty())
        return {};
    return metricFor(subject.metric, subject.calibration.get(), tensor.name, tensor.shape.back()).note;
}

}  // namespace sigmascope::ui
