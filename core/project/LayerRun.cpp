// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/LayerRun.h"

#include "core/base/Clones.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/compute/DeviceLog.h"
#include "core/project/LayerCorrection.h"
#include "core/project/RunParts.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace sigmascope {

namespace {

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

std::uint64_t packedStep(std::uint64_t cols)
{
    return (rowsPerTask(cols) + kRowsTogether - 1) / kRowsTogether * kRowsTogether;
}

/// Rows [first, first + count) into @p out by @p read, which is asked for many at a time.
template <class Read>
Status gatherRows(std::uint64_t first, std::uint64_t count, std::uint64_t cols, std::span<float> out,
                  const JobContext& job, const Read& read)
{
    const std::uint64_t step = packedStep(cols);
    std::mutex mutex;
    Status status;
    parallelFor((count + step - 1) / step, [&](std::size_t task) {
        if (job.cancelled())
            return;
        const std::uint64_t row = task * step;
        const std::uint64_t some = std::min(step, count - row);
        if (auto done = read(first + row, some, out.subspan(row * cols, some * cols)); !done) {
            const std::scoped_lock lock(mutex);
            status = std::move(done);
        }
    });
    if (job.cancelled())
        return cancelledError();
    return status;
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
        const Bytes bytes = stored == source.dtype && source.unknownDtype.empty()
            ? source.bytes
            : checkedByteSize(stored, source.shape).value_or(source.bytes);
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

Measured measured(const ReconstructionSums& sums, const Metric& metric)
{
    const ReconstructionError error = sums.error(metric);
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
    result.publishedBits
        = publishedLqerBits(quantized.bitsPerWeight(), values > 0 ? 8.0 * static_cast<double>(stored) / values : 16.0,
                            quantized.rows, quantized.cols, result.rank);
}

/// A failure that more memory or another try would not mend, and that leaves the codes as good as they are.
bool isOfThisCorrection(const Error& error)
{
    return error.code == ErrorCode::NonFinite || error.code == ErrorCode::NotConverged;
}

/// What a layer is coded from, checked.
struct CodeProblem {
    const Checkpoint& checkpoint;
    std::size_t tensor = 0;
    bool isPacked = false; ///< rows come from several stored tensors: the view has type and shape, no bytes
    TensorView view;
    const Grid* grid = nullptr;
    const Solver* solver = nullptr;
    Metric metric;  ///< that codes and correction follow
    Metric reporting;  ///< that errors are told in
};

Result<CodeProblem> problemOf(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                              const Imatrix* calibration)
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
    const std::uint64_t cols = view->cols();
    if (view->rows() == 0 || cols == 0 || !(*grid)->accepts(cols))
        return failIn(checkpoint, tensor,
                      {ErrorCode::NotRepresentable, fmt::format("{} cannot code rows of {} values", plan.grid, cols)});
    const Solver* solver = findSolver(plan.solver);
    if (solver == nullptr)
        return failIn(checkpoint, tensor, {ErrorCode::InvalidOption, "no solver '" + escaped(plan.solver) + "'"});
    return CodeProblem{checkpoint, tensor, isPacked, *view, *grid, solver,
                       metricFor(plan.metric, calibration, source.name, cols),
                       reportingMetric(plan, calibration, source.name, cols)};
}

/// Codes, correction and what both leave.
struct Coded {
    Solution solution;
    std::optional<StoredFactors> factors{};
    Measured before{}, after{};  ///< without and with the correction
    std::string failure{};  ///< why there is no correction though one was planned
};

Status rowsOf(const CodeProblem& problem, std::uint64_t first, std::uint64_t count, std::span<float> out,
              const JobContext& job)
{
    if (problem.isPacked) // whose errors name their place themselves
        return gatherRows(first, count, problem.view.cols(), out, job,
                          [&](std::uint64_t row, std::uint64_t some, std::span<float> part) {
                              return problem.checkpoint.readPackedRows(problem.tensor, row, some, part);
                          });
    if (const Status done = decodedRows(problem.view, first, count, out, job); !done)
        return failIn(problem.checkpoint, problem.tensor, done.error());
    return {};
}

Result<Solution> solved(const CodeProblem& problem, std::span<const float> weights, std::uint64_t rows,
                        ComputeBackend& backend, const JobContext& job)
{
    // Of one layer only the correction takes long enough to report.
    auto solution = problem.solver->solve({.weights = weights,
                                           .rows = rows,
                                           .cols = problem.view.cols(),
                                           .grid = problem.grid,
                                           .metric = &problem.metric,
                                           .backend = &backend},
                                          {.stop = job.stop, .ran = job.ran});
    if (!solution)
        return failIn(problem.checkpoint, problem.tensor, solution.error());
    return solution;
}

/// values = weights - values.
SIGMASCOPE_CLONES void leaveDifference(std::span<const float> weights, std::span<float> values)
{
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = weights[i] - values[i];
}

/// Rows of W, and what their codes leave of them, lent to one thread after the other.
class RowBuffers
{
public:
    struct Pair {
        explicit Pair(std::uint64_t values) : weights(values), residual(values) {}
        FloatBuffer weights, residual;
    };

    explicit RowBuffers(std::uint64_t values) : m_values(values) {}

    [[nodiscard]] std::unique_ptr<Pair> take()
    {
        {
            const std::scoped_lock lock(m_mutex);
            if (!m_free.empty()) {
                auto pair = std::move(m_free.back());
                m_free.pop_back();
                return pair;
            }
        }
        return std::make_unique<Pair>(m_values);
    }
    void giveBack(std::unique_ptr<Pair> pair)
    {
        const std::scoped_lock lock(m_mutex);
        m_free.push_back(std::move(pair));
    }

private:
    std::uint64_t m_values;
    std::mutex m_mutex;
    std::vector<std::unique_ptr<Pair>> m_free;
};

/// Without a correction nothing asks for the matrix as a whole: each thread reads, codes and measures some rows while they
/// lie in its own cache. Any error may count rows from the first of these.
Result<Coded> codedBySlices(const CodeProblem& problem, ComputeBackend& backend, const JobContext& job)
{
    const std::uint64_t rows = problem.view.rows();
    const std::uint64_t cols = problem.view.cols();
    // Packed rows are read together: fewer at once would unpack the same words again.
    const std::uint64_t step = std::min(rows, problem.isPacked ? packedStep(cols) : rowsPerTask(cols));
    const std::size_t rowBytes = problem.grid->rowBytes(cols);
    Coded coded;
    coded.solution.quantized = {problem.grid, rows, cols, std::vector<std::byte>(rows * rowBytes)};
    std::vector<ReconstructionSums> sums(rows);
    RowBuffers buffers(step * cols);
    std::mutex mutex;
    Status status;
    parallelFor((rows + step - 1) / step, [&](std::size_t task) {
        if (job.cancelled())
            return;
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, rows - first);
        auto buffer = buffers.take();
        const auto w = buffer->weights.span().first(count * cols);
        const auto e = buffer->residual.span().first(count * cols);
        Status done = rowsOf(problem, first, count, w, job);
        auto part = done ? solved(problem, w, count, backend, job) : passOn(done);
        if (part) {
            residualInto(w, part->quantized, e, job);
            rowReconstruction({w, count, cols, problem.reporting.scale}, e, std::span(sums).subspan(first, count));
            std::ranges::copy(part->quantized.codes,
                              coded.solution.quantized.codes.begin() + static_cast<std::ptrdiff_t>(first * rowBytes));
        }
        buffers.giveBack(std::move(buffer));
        if (part && task != 0)
            return;
        const std::scoped_lock lock(mutex);
        if (!part) {
            status = passOn(part);
        } else {
            coded.solution.device = std::move(part->device);
            coded.solution.note = std::move(part->note);
        }
    });
    if (job.cancelled())
        return cancelledError();
    if (!status)
        return passOn(status);
    coded.before = coded.after = measured(joined(sums), problem.reporting);
    return coded;
}

Result<Coded> codedWhole(const CodeProblem& problem, const LayerPlan& plan, std::uint64_t seed, ComputeBackend& backend,
                         const JobContext& job)
{
    const std::uint64_t rows = problem.view.rows();
    const std::uint64_t cols = problem.view.cols();
    FloatBuffer weights(rows * cols);
    if (const Status done = rowsOf(problem, 0, rows, weights.span(), job); !done)
        return passOn(done);
    auto solution = solved(problem, weights.span(), rows, backend, job);
    if (!solution)
        return passOn(solution);
    const auto residual = std::make_shared<FloatBuffer>(residualOf(weights.span(), solution->quantized, job));
    Coded coded;
    if (plan.rank > 0) {
        const auto correction = correctLayer(
            {weights.span(), residual, solution->quantized, problem.metric, plan.rank, seed}, backend, job);
        if (!correction && !isOfThisCorrection(correction.error()))
            return failIn(problem.checkpoint, problem.tensor, correction.error());
        if (!correction)
            coded.failure = "no correction: " + correction.error().detail;
        else if (correction->rank() > 0)
            // The exporter has laid out the planned rank: a residual of smaller rank is completed with zeros.
            coded.factors = storeFactors(*correction, plan.factors, plan.rank);
    }
    const auto left = [&](const StoredFactors* factors) {
        const Metric& metric = problem.reporting;
        return measured(reconstructionSums({weights.span(), rows, cols, metric.scale},
                                           {residual->span(), rows, cols, metric.scale}, factors, metric, job.stop),
                        metric);
    };
    coded.before = left(nullptr);
    coded.after = coded.factors ? left(&*coded.factors) : coded.before;
    coded.solution = std::move(*solution);
    return coded;
}

Result<LayerOutcome> codeLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                               const Imatrix* calibration, std::uint64_t seed, ComputeBackend& backend,
                               const JobContext& job)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const auto problem = problemOf(checkpoint, tensor, plan, calibration);
    if (!problem)
        return passOn(problem);
    DeviceLog devices;
    const JobContext logged = devices.listening(job);
    const bool isBySlices = plan.rank == 0 && problem->solver->isByRows && backend.device().kind == "cpu";
    auto coded = isBySlices ? codedBySlices(*problem, backend, logged) : Result<Coded>(cancelledError());
    // Once more as a whole where a slice failed: the error then counts rows from the matrix's first.
    if (!coded && !job.cancelled())
        coded = codedWhole(*problem, plan, seedFor(seed, source.name), backend, logged);
    if (!coded)
        return passOn(coded);
    if (job.cancelled())
        return cancelledError();

    LayerOutcome outcome;
    outcome.correctionFailed = !coded->failure.empty();
    TensorResult& result = outcome.result;
    result = {.tensor = tensor, .name = source.name, .preset = plan.preset, .grid = plan.grid};
    result.method = methodOf(plan, problem->metric);
    fillBits(result, coded->solution.quantized, coded->factors ? &*coded->factors : nullptr);
    result.weightError = coded->after.weightError;
    result.metricError = coded->after.metricError;
    result.weightErrorRank0 = coded->before.weightError;
    result.metricErrorRank0 = coded->before.metricError;
    result.searchGain = coded->solution.searchGain;
    const std::string ran = devices.summary();
    result.device = ran.empty() ? coded->solution.device : ran;
    if (plan.rank > 0 || usesMetric(plan))
        result.fallback = coded->failure.empty() ? whyOtherMetric(plan, problem->metric, calibration, source.name) : coded->failure;
    for (const std::string& more : {coded->solution.note, devices.reasons()}) {
        if (!more.empty())
            result.fallback += (result.fallback.empty() ? "" : "; ") + more;
    }
    outcome.layer.tensor = tensor;
    outcome.layer.quantized = std::move(coded->solution.quantized);
    outcome.layer.factors = std::move(coded->factors);
    return outcome;
}

}  // namespace

Status decodedRows(const TensorView& view, std::uint64_t first, std::uint64_t count, std::span<float> out,
                   const JobContext& job)
{
    return gatherRows(first, count, view.cols(), out, job,
                      [&](std::uint64_t row, std::uint64_t some, std::span<float> part) {
                          return decodeRows(view, row, some, part);
                      });
}

Result<FloatBuffer> decodedTensor(const TensorView& view, const JobContext& job)
{
    FloatBuffer values(view.elements());
    if (const Status done = decodedRows(view, 0, view.rows(), values.span(), job); !done)
        return passOn(done);
    return values;
}

void residualInto(std::span<const float> weights, const QuantizedTensor& quantized, std::span<float> residual,
                  const JobContext& job)
{
    const std::uint64_t cols = quantized.cols;
    const std::uint64_t step = rowsPerTask(cols);
    const std::size_t rowBytes = quantized.grid->rowBytes(cols);
    parallelFor((quantized.rows + step - 1) / step, [&](std::size_t task) {
        if (job.cancelled())
            return;
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, quantized.rows - first);
        const auto part = residual.subspan(first * cols, count * cols);
        quantized.grid->decode(std::span(quantized.codes).subspan(first * rowBytes, count * rowBytes), count, cols,
                               part);
        leaveDifference(weights.subspan(first * cols, count * cols), part);
    });
}

FloatBuffer residualOf(std::span<const float> weights, const QuantizedTensor& quantized, const JobContext& job)
{
    FloatBuffer residual(weights.size());
    residualInto(weights, quantized, residual.span(), job);
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

}  // namespace sigmascope
