// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/lowrank/Decompositions.h"

#include "core/base/Parallel.h"
#include "core/tensor/Blas.h"

#include <memory>
#include <utility>

namespace sigmascope {

namespace {

/// Multiplications that no thread is worth: some five milliseconds.
constexpr double kShort = 1e8;

/// @param work  owns all it touches.
template <class Value, class Work>
Result<Value> abandonable(double multiplications, const JobContext& job, Work work)
{
    if (job.cancelled())
        return cancelledError();
    if (multiplications < kShort)
        return work();
    const auto result = std::make_shared<Result<Value>>(cancelledError());
    if (!runAbandonable(job.stop, [result, work = std::move(work)]() mutable { *result = work(); }))
        return cancelledError();
    return std::move(*result);
}

}  // namespace

Result<SymmetricEigen> symmetricEigen(MatrixD matrix, bool withVectors, const JobContext& job)
{
    const auto n = static_cast<std::size_t>(matrix.rows());
    const double side = static_cast<double>(n);
    const double multiplications = (withVectors ? 4.0 : 0.7) * side * side * side;
    return abandonable<SymmetricEigen>(multiplications, job, [matrix = std::move(matrix), n, withVectors]() mutable -> Result<SymmetricEigen> {
        SymmetricEigen found;
        found.values.resize(n);
        if (Status done = blas::symmetricEigen(n, matrix.data(), n, found.values, withVectors); !done)
            return passOn(done);
        if (withVectors)
            found.vectors = std::move(matrix);
        return found;
    });
}

Result<OrthonormalRows> orthonormalRows(MatrixF panel, bool withTriangle, const JobContext& job)
{
    const auto rows = static_cast<std::size_t>(panel.rows());
    const auto cols = static_cast<std::size_t>(panel.cols());
    const double multiplications = 2.0 * static_cast<double>(rows) * static_cast<double>(rows) * static_cast<double>(cols);
    return abandonable<OrthonormalRows>(multiplications, job, [panel = std::move(panel), rows, cols, withTriangle]() mutable -> Result<OrthonormalRows> {
        OrthonormalRows found;
        if (withTriangle)
            found.triangle.resize(panel.rows(), panel.rows());
        const std::span<float> triangle(found.triangle.data(), static_cast<std::size_t>(found.triangle.size()));
        if (Status done = blas::orthonormalizeRows(rows, cols, panel.data(), cols, triangle); !done)
            return passOn(done);
        found.rows = std::move(panel);
        return found;
    });
}

}  // namespace sigmascope
