// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/LayerRun.h"

#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
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

std::uint64_t rowsPerTask(std::uint64_t cols)
{
    return std::max<std::uint64_t>(1, kReductionChunk / std::max<std::uint64_t>(1, cols));
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
    const auto view = checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const DType stored = keptType(checkpoint, tensor);
    LayerOutcome outcome;
    outcome.layer.tensor = tensor;
    outcome.result = {.tensor = tensor, .name = source.name, .grid = lowerCase(info(stored).name), .method = "keep"};
    if (const std::uint64_t elements = view->elements(); elements != 0) {
        const Bytes bytes
            = stored == source.dtype ? source.bytes : checkedByteSize(stored, source.shape).value_or(source.bytes);
        outcome.result.bitsPerWeight = 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
    }
    outcome.result.publishedBits = outcome.result.bitsPerWeight;
    if (stored == source.dtype || info(source.dtype).decodable)
        outcome.result.weightError
            = source.dtype == DType::F64 && stored == DType::F32 ? roundingErrorToFloat(view->bytes) : 0.0;
    if (outcome.result.weightError == 0.0 && !reportingMetric(plan, calibration, source.name, view->cols()).isPlain())
        outcome.result.metricError = 0.0;
    outcome.result.weightErrorRank0 = outcome.result.weightError;
    outcome.result.metricErrorRank0 = outcome.result.metricError;
    return outcome;
}

/// The exporter has laid out the planned rank: a residual of smaller rank is completed with zeros.
void padTo(StoredFactors& factors, std::size_t rank)
{
    if (factors.rank >= rank || factors.rank == 0)
        return;
    const std::size_t size = factors.left.size() / (factors.rows * factors.rank);
    std::vector<std::byte> left(factors.rows * rank * size);
    for (std::size_t row = 0; row < factors.rows; ++row)
        std::memcpy(left.data() + row * rank * size, factors.left.data() + row * factors.rank * size,
                    factors.rank * size);
    factors.left = std::move(left);
    factors.right.resize(rank * factors.cols * size);
    factors.rank = rank;
}

struct Measured {
    std::optional<double> weightError{};
    std::optional<double> metricError{};
};

Measured measured(std::span<const float> weights, std::span<const float> residual, const QuantizedTensor& quantized,
                  const StoredFactors* factors, const Metric& metric)
{
    const ScaledMatrix w{weights, quantized.rows, quantized.cols, metric.scale};
    const ScaledMatrix e{residual, quantized.rows, quantized.cols, metric.scale};
    const ReconstructionError error = reconstructionError(w, e, factors, metric);
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
    const Bytes factorBytes = factors == nullptr ? 0 : factors->left.size() + factors->right.size();
    result.bitsPerWeight = 8.0 * static_cast<double>(quantized.codes.size() + factorBytes) / elements;
    result.rank = factors == nullptr ? 0 : static_cast<std::uint32_t>(factors->rank);
    const double factorBits = factors == nullptr || factors->type != FactorType::F32 ? 16.0 : 32.0;
    result.publishedBits
        = publishedLqerBits(quantized.bitsPerWeight(), factorBits, quantized.rows, quantized.cols, result.rank);
}

Result<LayerOutcome> codeLayer(const Checkpoint& checkpoint, std::size_t tensor, const LayerPlan& plan,
                               const Imatrix* calibration, std::uint64_t seed, ComputeBackend& backend,
                               const JobContext& job)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const auto view = checkpoint.view(tensor);
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
    auto weights = decodedTensor(*view);
    if (!weights)
        return failIn(checkpoint, tensor, weights.error());

    const Metric metric = metricFor(plan.metric, calibration, source.name, cols);
    const Solver* nearest = findSolver("nearest");
    // Of one layer only the correction takes long enough to report.
    auto solution = nearest->solve(
        {.weights = *weights, .rows = rows, .cols = cols, .grid = *grid, .metric = &metric, .backend = &backend},
        {.stop = job.stop});
    if (!solution)
        return failIn(checkpoint, tensor, solution.error());

    std::vector<float> residual = *weights;
    subtractDecoded(solution->quantized, residual);
    LayerOutcome outcome;
    if (plan.rank > 0) {
        const auto correction
            = lowRank({residual, rows, cols, metric.scale}, plan.rank, {.seed = seedFor(seed, source.name)}, job);
        if (!correction)
            return failIn(checkpoint, tensor, correction.error());
        if (correction->rank() > 0) {
            outcome.layer.factors = storeFactors(*correction, plan.factors);
            padTo(*outcome.layer.factors, plan.rank);
        }
    }
    const StoredFactors* factors = outcome.layer.factors ? &*outcome.layer.factors : nullptr;
    const Metric reporting = reportingMetric(plan, calibration, source.name, cols);
    const Measured before = measured(*weights, residual, solution->quantized, nullptr, reporting);
    const Measured after
        = factors == nullptr ? before : measured(*weights, residual, solution->quantized, factors, reporting);

    TensorResult& result = outcome.result;
    result = {.tensor = tensor, .name = source.name, .preset = plan.preset, .grid = plan.grid};
    result.method = methodOf(plan, metric);
    fillBits(result, solution->quantized, factors);
    result.weightError = after.weightError;
    result.metricError = after.metricError;
    result.weightErrorRank0 = before.weightError;
    result.metricErrorRank0 = before.metricError;
    result.device = solution->device;
    if (plan.rank > 0)
        result.fallback = metric.note;
    outcome.layer.tensor = tensor;
    outcome.layer.quantized = std::move(solution->quantized);
    return outcome;
}

} // namespace

Result<std::vector<float>> decodedTensor(const TensorView& view)
{
    std::vector<float> values(view.elements());
    const std::uint64_t cols = view.cols();
    const std::uint64_t step = rowsPerTask(cols);
    const std::uint64_t rows = view.rows();
    std::mutex mutex;
    Status status;
    parallelFor((rows + step - 1) / step, [&](std::size_t task) {
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, rows - first);
        if (auto done = decodeRows(view, first, count, std::span(values).subspan(first * cols, count * cols)); !done) {
            const std::scoped_lock lock(mutex);
            status = std::move(done);
        }
    });
    if (!status)
        return passOn(status);
    return values;
}

void subtractDecoded(const QuantizedTensor& quantized, std::span<float> weights)
{
    const std::uint64_t cols = quantized.cols;
    const std::uint64_t step = rowsPerTask(cols);
    const std::size_t rowBytes = quantized.grid->rowBytes(cols);
    parallelFor((quantized.rows + step - 1) / step, [&](std::size_t task) {
        const std::uint64_t first = task * step;
        const std::uint64_t count = std::min(step, quantized.rows - first);
        std::vector<float> decoded(count * cols);
        quantized.grid->decode(std::span(quantized.codes).subspan(first * rowBytes, count * rowBytes), count, cols,
                               decoded);
        const auto part = weights.subspan(first * cols, count * cols);
        for (std::size_t i = 0; i < part.size(); ++i)
            part[i] -= decoded[i];
    });
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
        return failIn(checkpoint, tensor, {ErrorCode::OutOfMemory, "not enough memory to quantize this tensor"});
    }
    // Before any other verdict: zeros laid over vanished pages look like values, and like strange failures.
    if (const Status same = checkpoint.checkUnchanged(tensor); !same)
        return passOn(same);
    if (outcome)
        outcome->result.seconds = secondsSince(start);
    return outcome;
}

} // namespace sigmascope
