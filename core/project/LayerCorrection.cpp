// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/LayerCorrection.h"

#include "core/base/Parallel.h"
#include "core/solve/CodeFormatOf.h"

#include <functional>
#include <mutex>

namespace sigmascope {

namespace {

/// lowRank() on a thread that is left behind when the job is cancelled: its eigen-solvers cannot be interrupted.
Result<LowRankCorrection> correctionOf(const std::shared_ptr<FloatBuffer>& residual, std::uint64_t rows,
                                       std::uint64_t cols, const Metric& metric, std::size_t rank, std::uint64_t seed,
                                       const JobContext& job)
{
    // All that the work touches, so that it may outlive this call.
    struct Work {
        std::shared_ptr<FloatBuffer> residual;
        std::vector<float> scale;
        std::mutex mutex;
        std::function<void(double, std::string_view)> progress;  // taken away when nobody listens any more
        Result<LowRankCorrection> correction = cancelledError();
    };
    const auto work = std::make_shared<Work>();
    work->residual = residual;
    work->scale = metric.scale;
    work->progress = job.progress;
    const bool done = runAbandonable(job.stop, [work, rows, cols, rank, seed, stop = job.stop] {
        const JobContext inside{.stop = stop, .progress = [&work](double fraction, std::string_view subject) {
                                    const std::scoped_lock lock(work->mutex);
                                    if (work->progress)
                                        work->progress(fraction, subject);
                                }};
        work->correction = lowRank({work->residual->span(), rows, cols, work->scale}, rank, {.seed = seed}, inside);
    });
    if (done)
        return std::move(work->correction);
    const std::scoped_lock lock(work->mutex);
    work->progress = nullptr;
    return cancelledError();
}

/// Products with E on the backend's device, E being formed there from weights and codes; sent as values where the
/// device cannot read the codes. Null on a CPU, whose products are core/lowrank's own, and where a device has none.
Result<std::unique_ptr<MatrixProducts>> deviceProducts(ComputeBackend& backend, std::span<const float> weights,
                                                       std::span<const float> residual,
                                                       const QuantizedTensor& quantized, const JobContext& job)
{
    if (backend.device().kind == "cpu")
        return nullptr;
    const auto format = codeFormatOf(*quantized.grid);
    const bool isReadable = format && backend.supports(Op::Sketch, askedType(format));
    auto products
        = backend.products(isReadable ? ResidualSource{weights, quantized.rows, quantized.cols, format, quantized.codes}
                                      : ResidualSource{residual, quantized.rows, quantized.cols, std::nullopt, {}},
                           job);
    if (!products && products.error().code == ErrorCode::UnsupportedType)
        return nullptr;
    return products;
}

/// On a device the work stays on this thread: products are cut into short slices and no eigenproblem is larger than
/// the basis, so a cancel is seen soon, and nothing may outlive the device.
Result<LowRankCorrection> correctionOnDevice(MatrixProducts& products, const FloatBuffer& residual,
                                             const QuantizedTensor& quantized, const Metric& metric, std::size_t rank,
                                             std::uint64_t seed, const JobContext& job)
{
    const ScaledMatrix matrix{residual.span(), quantized.rows, quantized.cols, metric.scale, &products};
    return lowRank(matrix, rank, {.seed = seed}, job);
}

}  // namespace

Result<LowRankCorrection> correctLayer(const CorrectionProblem& problem, ComputeBackend& backend, const JobContext& job)
{
    const QuantizedTensor& quantized = problem.quantized;
    const auto products = deviceProducts(backend, problem.weights, problem.residual->span(), quantized, job);
    if (!products)
        return passOn(products);
    return *products == nullptr
        ? correctionOf(problem.residual, quantized.rows, quantized.cols, problem.metric, problem.rank, problem.seed,
                       job)
        : correctionOnDevice(**products, *problem.residual, quantized, problem.metric, problem.rank, problem.seed, job);
}

}  // namespace sigmascope
