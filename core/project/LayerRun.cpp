// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/LayerRun.h"

#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/compute/DeviceLog.h"
#include "core/solve/CodeFormatOf.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <new>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string lowerCase(std::string_view text)
{
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    return lower;
}

constexpr std::uint64_t kRowsTogether = 32;  // packed weights share words among so many rows

std::uint64_t rowsPerTask(std::uint64_t cols)
{
    return std::max<std::uint64_t>(1, kReductionChunk / std::max<std::uint64_t>(1, cols));
}

/// A matrix whose rows @p read gives, many at a time.
template <class Read>
Result<FloatBuffer> gatheredRows(std::uint64_t rows, std::uint64_t cols, const JobContext& job, const Read& read)
{
    FloatBuffer values(rows * cols);
    const std::uint64_t step = (rowsPerTask(cols) + kRowsTogether - 1) / kRowsTogether * kRowsTogether;
    std::mutex mutex;
    Status status;
    parallelFor((rows + step - 1) / step, [&](std::size_t task) {
        if (job.cancelled())
            return;
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, rows - first);
        if (auto done = read(first, count, values.span().subspan(first * cols, count * cols)); !done) {
            const std::scoped_lock lock(mutex);
            status = std::move(done);
        }
    });
    if (job.cancelled())
        return cancelledError();
    if (!status)
        return passOn(status);
    return values;
}

Result<FloatBuffer> decodedPacked(const Checkpoint& checkpoint, std::size_t tensor, const JobContext& job)
{
    const Shape& shape = checkpoint.tensors()[tensor].shape;
    return gatheredRows(shape[0], shape[1], job, [&](std::uint64_t first, std::uint64_t count, std::span<float> out) {
        return checkpoint.readPackedRows(tensor, first, count, out);
    });
}

/// F64 is the one kept type that is not copied bit for bit: GGUF runtimes read no F64 weights.
double roundingErrorToFloat(std::span<const std::byte> bytes)
{
    double lost = 0;
    double energy = 0;
    for (std::size_t at = 0; at + sizeof(double) <= bytes.size(); at += sizeof(double)) {
        double value = 0;
        std::memcpy(&value, bytes.data() + at, sizeof value);
        if (!std::isfinite(value))
            continue;
        const double difference = value - static_cast<double>(static_cast<float>(value));
        lost += difference * difference;
        energy += value * value;
    }
    return energy > 0 ? std::sqrt(lost / energy) : 0;
}

Result<LayerOutcome> keepLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                               const Imatrix* calibration)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const auto view = checkpoint.view(tensor);
    // A type nobody here knows has no view, but its bytes can be copied by a target that carries it.
    const bool isOpaque = source.dtype == DType::Unknown && source.state == TensorState::Ok;
    if (!view && !isOpaque)
        return passOn(view);
    const DType stored = keptType(checkpoint, tensor);
    LayerOutcome outcome;
    outcome.layer.tensor = tensor;
    outcome.result = {.tensor = tensor, .name = source.name, .method = "keep"};
    outcome.result.grid = lowerCase(isOpaque ? source.typeName() : info(stored).name);
    if (const std::uint64_t elements = source.elements(); elements != 0) {
        const Bytes bytes
            = stored == source.dtype && source.unknownDtype.empty() ? source.bytes : checkedByteSize(stored, source.shape).value_or(source.bytes);
        outcome.result.bitsPerWeight = 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
    }
    outcome.result.publishedBits = outcome.result.bitsPerWeight;
    if (stored == source.dtype || info(source.dtype).decodable)
        outcome.result.weightError
            = source.dtype == DType::F64 && stored == DType::F32 ? roundingErrorToFloat(view->bytes) : 0.0;
    const std::uint64_t cols = source.shape.empty() ? 1 : source.shape.back();
    if (outcome.result.weightError == 0.0 && !reportingMetric(plan, calibration, source.name, cols).isPlain())
        outcome.result.metricError = 0.0;
    outcome.result.weightErrorRank0 = outcome.result.weightError;
    outcome.result.metricErrorRank0 = outcome.result.metricError;
    return outcome;
}

struct Measured {
    std::optional<double> weightError{};
    std::optional<double> metricError{};
};

Measured measured(std::span<const float> weights, std::span<const float> residual, const QuantizedTensor& quantized,
                  const StoredFactors* factors, const Metric& metric, const JobContext& job)
{
    const ScaledMatrix w{weights, quantized.rows, quantized.cols, metric.scale};
    const ScaledMatrix e{residual, quantized.rows, quantized.cols, metric.scale};
    const ReconstructionError error = reconstructionError(w, e, factors, metric, job.stop);
    Measured result;
    if (std::isfinite(error.weightError))
        result.weightError = error.weightError;
    if (error.metricError && std::isfinite(*error.metricError))
        result.metricError = error.metricError;
    return result;
}

void fillBits(TensorResult& result, const QuantizedTensor& quantized, const StoredFactors* factors)
{
    const auto elements = static_cast<double>(quantized.rows) * static_cast<double>(quantized.cols);
    const Bytes stored = factors == nullptr ? 0 : factors->bytes();
    result.bitsPerWeight = 8.0 * static_cast<double>(quantized.codes.size() + stored) / elements;
    result.rank = factors == nullptr ? 0 : static_cast<std::uint32_t>(factors->rank);
    // Per stored value, scales included, as LQER counts its exponents.
    const double values = result.rank * static_cast<double>(quantized.rows + quantized.cols);
    result.publishedBits = publishedLqerBits(quantized.bitsPerWeight(),
                                             values > 0 ? 8.0 * static_cast<double>(stored) / values : 16.0,
                                             quantized.rows, quantized.cols, result.rank);
}

/// A failure that more memory or another try would not mend, and that leaves the codes as good as they are.
bool isOfThisCorrection(const Error& error)
{
    return error.code == ErrorCode::NonFinite || error.code == ErrorCode::NotConverged;
}

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
        std::function<void(double, std::string_view)> progress; // taken away when nobody listens any more
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
    auto products = backend.products(
        isReadable ? ResidualSource{weights, quantized.rows, quantized.cols, format, quantized.codes}
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

Result<LayerOutcome> codeLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                               const Imatrix* calibration, std::uint64_t seed, ComputeBackend& backend,
                               const JobContext& job)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    // The rows of a packed weight are decoded straight to where they are needed: its view would be one more copy.
    const bool isPacked = checkpoint.packed(tensor) != nullptr;
    const auto view = isPacked ? TensorView{.dtype = source.dtype, .shape = source.shape} : checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    const auto grid = findGrid(plan.grid);
    if (!grid)
        return failIn(checkpoint, tensor, grid.error());
    const std::uint64_t rows = view->rows();
    const std::uint64_t cols = view->cols();
    if (rows == 0 || cols == 0 || !(*grid)->accepts(cols))
        return failIn(checkpoint, tensor,
                      {ErrorCode::NotRepresentable, fmt::format("{} cannot code rows of {} values", plan.grid, cols)});
    const auto weights = isPacked ? decodedPacked(checkpoint, tensor, job) : decodedTensor(*view, job);
    if (!weights)
        return isPacked ? passOn(weights) : failIn(checkpoint, tensor, weights.error());

    const Metric metric = metricFor(plan.metric, calibration, source.name, cols);
    const Solver* solver = findSolver(plan.solver);
    if (solver == nullptr)
        return failIn(checkpoint, tensor, {ErrorCode::InvalidOption, "no solver '" + escaped(plan.solver) + "'"});
    DeviceLog devices;
    const JobContext logged = devices.listening(job);
    // Of one layer only the correction takes long enough to report.
    auto solution = solver->solve(
        {.weights = weights->span(), .rows = rows, .cols = cols, .grid = *grid, .metric = &metric, .backend = &backend},
        {.stop = logged.stop, .ran = logged.ran});
    if (!solution)
        return failIn(checkpoint, tensor, solution.error());

    LayerOutcome outcome;
    const auto residual = std::make_shared<FloatBuffer>(residualOf(weights->span(), solution->quantized, job));
    if (plan.rank > 0) {
        const auto products
            = deviceProducts(backend, weights->span(), residual->span(), solution->quantized, logged);
        if (!products)
            return failIn(checkpoint, tensor, products.error());
        const std::uint64_t ownSeed = seedFor(seed, source.name);
        const auto correction = *products == nullptr
            ? correctionOf(residual, rows, cols, metric, plan.rank, ownSeed, job)
            : correctionOnDevice(**products, *residual, solution->quantized, metric, plan.rank, ownSeed, logged);
        if (!correction && !isOfThisCorrection(correction.error()))
            return failIn(checkpoint, tensor, correction.error());
        if (!correction) {
            outcome.correctionFailed = true;
            outcome.result.fallback = "no correction: " + correction.error().detail;
        } else if (correction->rank() > 0) {
            // The exporter has laid out the planned rank: a residual of smaller rank is completed with zeros.
            outcome.layer.factors = storeFactors(*correction, plan.factors, plan.rank);
        }
    }
    const StoredFactors* factors = outcome.layer.factors ? &*outcome.layer.factors : nullptr;
    const Metric reporting = reportingMetric(plan, calibration, source.name, cols);
    const Measured before
        = measured(weights->span(), residual->span(), solution->quantized, nullptr, reporting, job);
    const Measured after = factors == nullptr
        ? before
        : measured(weights->span(), residual->span(), solution->quantized, factors, reporting, job);
    if (job.cancelled())
        return cancelledError();

    const std::string failure = outcome.result.fallback;
    TensorResult& result = outcome.result;
    result = {.tensor = tensor, .name = source.name, .preset = plan.preset, .grid = plan.grid};
    result.method = methodOf(plan, metric);
    fillBits(result, solution->quantized, factors);
    result.weightError = after.weightError;
    result.metricError = after.metricError;
    result.weightErrorRank0 = before.weightError;
    result.metricErrorRank0 = before.metricError;
    result.searchGain = solution->searchGain;
    const std::string ran = devices.summary();
    result.device = ran.empty() ? solution->device : ran;
    if (plan.rank > 0 || usesMetric(plan))
        result.fallback = failure.empty() ? metric.note : failure;
    for (const std::string& more : {solution->note, devices.reasons()}) {
        if (!more.empty())
            result.fallback += (result.fallback.empty() ? "" : "; ") + more;
    }
    outcome.layer.tensor = tensor;
    outcome.layer.quantized = std::move(solution->quantized);
    return outcome;
}

} // namespace

Result<FloatBuffer> decodedTensor(const TensorView& view, const JobContext& job)
{
    return gatheredRows(view.rows(), view.cols(), job, [&](std::uint64_t first, std::uint64_t count, std::span<float> out) {
        return decodeRows(view, first, count, out);
    });
}

FloatBuffer residualOf(std::span<const float> weights, const QuantizedTensor& quantized, const JobContext& job)
{
    FloatBuffer residual(weights.size());
    const std::uint64_t cols = quantized.cols;
    const std::uint64_t step = rowsPerTask(cols);
    const std::size_t rowBytes = quantized.grid->rowBytes(cols);
    parallelFor((quantized.rows + step - 1) / step, [&](std::size_t task) {
        if (job.cancelled())
            return;
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, quantized.rows - first);
        const auto part = residual.span().subspan(first * cols, count * cols);
        quantized.grid->decode(std::span(quantized.codes).subspan(first * rowBytes, count * rowBytes), count, cols,
                               part);
        const auto original = weights.subspan(first * cols, count * cols);
        for (std::size_t i = 0; i < part.size(); ++i)
            part[i] = original[i] - part[i];
    });
    return residual;
}

void releasePages(const Checkpoint& checkpoint, std::size_t tensor)
{
    if (const PackedMatrix* const matrix = checkpoint.packed(tensor)) {
        for (const LayoutPart& part : matrix->parts)
            checkpoint.shard(part.shard)->release(part.offset, part.bytes);
        return;
    }
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const MappedFile* file = source.shard < checkpoint.shardCount() ? checkpoint.shard(source.shard) : nullptr;
    if (file != nullptr)
        file->release(source.offset, source.bytes);
}

tl::unexpected<Error> failIn(const Checkpoint& checkpoint, std::size_t tensor, const Error& error)
{
    if (error.code == ErrorCode::Cancelled)
        return tl::unexpected<Error>(error);
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const MappedFile* file = source.shard < checkpoint.shardCount() ? checkpoint.shard(source.shard) : nullptr;
    Where where{.tensor = source.name, .offset = source.offset};
    where.file = file == nullptr ? checkpoint.path().string() : file->path().string();
    return fail(error.code, where, error.detail);
}

Metric reportingMetric(const LayerPlan& plan, const Imatrix* calibration, std::string_view name, std::uint64_t cols)
{
    return metricFor(plan.metric == MetricKind::Plain ? MetricKind::DiagonalRms : plan.metric, calibration, name, cols);
}

Result<LayerOutcome> quantizeLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                                   const Imatrix* calibration, std::uint64_t seed, ComputeBackend& backend,
                                   const JobContext& job)
{
    const auto start = Clock::now();
    if (job.cancelled())
        return cancelledError();
    if (const Status same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    Result<LayerOutcome> outcome = fail(ErrorCode::Internal, "not run");
    try {
        outcome = plan.keep ? keepLayer(checkpoint, tensor, plan, calibration)
                            : codeLayer(checkpoint, tensor, plan, calibration, seed, backend, job);
    } catch (const std::bad_alloc&) {
        return failIn(checkpoint, tensor,
                      {ErrorCode::OutOfMemory,
                       fmt::format("not enough memory to quantize this tensor of {} values",
                                   checkpoint.tensors()[tensor].elements())});
    }
    // Before any other verdict: zeros laid over vanished pages look like values, and like strange failures.
    if (const Status same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    if (outcome)
        outcome->result.seconds = secondsSince(start);
    return outcome;
}

} // namespace sigmascope
