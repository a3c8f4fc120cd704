// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ops/Scan.h"
#include "core/compute/ops/Statistics.h"
#include "core/export/PackedModel.h"
#include "core/plan/TargetGrids.h"
#include "core/project/Fingerprint.h"
#include "core/project/LayerRun.h"
#include "core/project/RunParts.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

/// "kept as BF16 instead of q4_0, +11.5 bits per weight"
std::string keptInstead(const Checkpoint& checkpoint, std::size_t tensor, const Grid& grid)
{
    const DTypeInfo& stored = info(keptType(checkpoint, tensor));
    const Shape& shape = checkpoint.tensors()[tensor].shape;
    const std::uint64_t cols = shape.empty() ? 1 : shape.back();
    const double kept = static_cast<double>(stored.blockBits) / stored.blockElements;
    const double coded = grid.accepts(cols) && cols > 0
        ? 8.0 * static_cast<double>(grid.rowBytes(cols)) / static_cast<double>(cols)
        : kept;
    return fmt::format("kept as {} instead of {}, {:+.4g} bits per weight", stored.name, grid.id(), kept - coded);
}

/// What the solver says to the tensor; empty if it finds codes.
Result<std::string> trialFailure(const TensorView& view, const Grid& grid, ComputeBackend& backend,
                                 const JobContext& job)
{
    const auto values = decodedTensor(view, job);
    if (!values)
        return passOn(values);
    const Metric plain;
    const auto solution = findSolver("nearest")->solve({.weights = values->span(),
                                                        .rows = view.rows(),
                                                        .cols = view.cols(),
                                                        .grid = &grid,
                                                        .metric = &plain,
                                                        .backend = &backend},
                                                       job);
    if (solution)
        return std::string();
    if (solution.error().code == ErrorCode::ScaleOutOfRange || solution.error().code == ErrorCode::NonFinite)
        return solution.error().detail;
    return passOn(solution);
}

/// True if the grid holds the tensor without any error. Ends at the first row that shows one: usually the first.
Result<bool> isExactOn(const TensorView& view, const Grid& grid, const JobContext& job)
{
    const std::uint64_t cols = view.cols();
    std::vector<float> values(cols);
    std::vector<float> decoded(cols);
    std::vector<std::byte> codes(grid.rowBytes(cols));
    for (std::uint64_t row = 0; row < view.rows(); ++row) {
        if (job.cancelled())
            return cancelledError();
        if (Status status = decodeRows(view, row, 1, values); !status)
            return passOn(status);
        if (Status status = grid.encode(values, 1, cols, codes); !status)
            return passOn(status);
        grid.decode(codes, 1, cols, decoded);
        if (values != decoded)
            return false;
    }
    return true;
}

/// What is found out about a tensor beside its plan.
struct Reading {
    bool wantsContent = false;
    std::optional<std::uint64_t> content{}; ///< contentOf(), once it is known
};

/// Extremes of the values. A large checkpoint is read from the disk here, so where the values lie as the scan reads them
/// their checksum is taken in the same go.
Result<ScanSums> valuesOf(const Checkpoint& checkpoint, std::size_t tensor, const TensorView& view, Reading& reading,
                          const JobContext& job)
{
    const bool isPlain = view.dtype == DType::F32 || view.dtype == DType::F16 || view.dtype == DType::BF16;
    if (!reading.wantsContent || !isPlain || checkpoint.packed(tensor) != nullptr)
        return scan(view, job);
    const std::size_t elementBytes = info(view.dtype).blockBits / 8;
    std::vector<ScanSums> pieces((view.bytes.size() + kSeenBytes - 1) / kSeenBytes);
    reading.content = contentOf(checkpoint, tensor, job, [&](std::size_t begin, std::span<const std::byte> piece) {
        if (auto sums = scan({view.dtype, {piece.size() / elementBytes}, piece}, job))
            pieces[begin / kSeenBytes] = *sums;
    });
    if (job.cancelled())
        return cancelledError();
    ScanSums all;
    for (const ScanSums& piece : pieces)
        all = joined(all, piece);
    return all;
}

/// Why the tensor cannot be coded; empty if it can.
Result<std::string> obstacle(const Checkpoint& checkpoint, std::size_t tensor, const Grid& grid,
                             ComputeBackend& backend, Reading& reading, const JobContext& job)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const auto view = checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    if (!info(source.dtype).decodable)
        return fmt::format("{} is not decoded by this version: {}", info(source.dtype).name,
                           keptInstead(checkpoint, tensor, grid));
    if (source.elements() == 0)
        return std::string("no elements: kept as it is");
    const auto values = valuesOf(checkpoint, tensor, *view, reading, job);
    if (!values)
        return failIn(checkpoint, tensor, values.error());
    double lowest = values->min;
    double highest = values->max;
    if (values->finite < values->count) { // of F64 some may only be too large for the float that was looked at
        const auto stats = statistics(*view, job);
        if (!stats)
            return failIn(checkpoint, tensor, stats.error());
        if (stats->nan + stats->inf > 0)
            return fmt::format("non-finite values: {}, first at element {}: {}", stats->nan + stats->inf,
                               stats->firstNonFinite.value_or(0), keptInstead(checkpoint, tensor, grid));
        lowest = stats->min;
        highest = stats->max;
    }
    // A scale is at most the range of its group, a block's minimum at most its largest value: only past the largest
    // f16 can one of them not be stored.
    constexpr double kLargestF16 = 65504;
    if (std::max(-lowest, highest) > kLargestF16 || highest - lowest > kLargestF16) {
        const auto failure = trialFailure(*view, grid, backend, job);
        if (!failure)
            return failIn(checkpoint, tensor, failure.error());
        if (!failure->empty())
            return fmt::format("{}: {}", *failure, keptInstead(checkpoint, tensor, grid));
    }
    return std::string();
}

Status preflightLayer(const Checkpoint& checkpoint, std::size_t tensor, ResolvedPlan& resolved, ComputeBackend& backend,
                      Reading& reading, const JobContext& job)
{
    LayerPlan& plan = resolved.plan.layers[tensor];
    const auto grid = findGrid(plan.grid);
    if (!grid)
        return failIn(checkpoint, tensor, grid.error());
    auto reason = obstacle(checkpoint, tensor, **grid, backend, reading, job);
    if (!reason)
        return passOn(reason);
    if (!reason->empty()) {
        plan = LayerPlan{.pinned = plan.pinned};
        resolved.fallbacks.push_back({tensor, std::move(*reason)});
        return {};
    }
    // Recipes are refused with such a pair; a plan edited by hand may have it all the same.
    if (const Solver* solver = findSolver(plan.solver); solver != nullptr && !solver->accepts(**grid)) {
        resolved.fallbacks.push_back(
            {tensor, fmt::format("solver nearest instead of {}, which has nothing to choose on {}", plan.solver, plan.grid)});
        plan.solver = "nearest";
    }
    if (plan.rank == 0)
        return {};
    const auto view = checkpoint.view(tensor);
    if (!view)
        return passOn(view);
    const auto exact = isExactOn(*view, **grid, job);
    if (!exact)
        return failIn(checkpoint, tensor, exact.error());
    if (*exact) {
        resolved.fallbacks.push_back(
            {tensor,
             fmt::format("{} holds it exactly: rank 0 instead of {}, nothing to correct", plan.grid, plan.rank)});
        plan.rank = 0;
    }
    return {};
}

/// What runtimes merge into one matrix, or a file holds as one stack of experts, has one scheme: where a sibling had to be
/// kept, so are the others.
Status keepSiblings(const Checkpoint& checkpoint, const QuantizationPlan& asked, ResolvedPlan& resolved)
{
    if (resolved.fallbacks.empty())
        return {};
    const ModelTopology topology(checkpoint);
    const auto fusedOf = [&](std::size_t tensor) {
        const std::string& name = checkpoint.tensors()[tensor].name;
        if (!needsFusedAlike(asked.target)) {
            auto part = expertPartOf(name);
            return part ? std::move(part->stack) : std::string();
        }
        return fusedPathOf(name.substr(0, name.rfind('.')), topology.place(tensor));
    };
    std::map<std::string, std::size_t> kept;
    for (const Fallback& fallback : resolved.fallbacks) {
        const std::string fused = fusedOf(fallback.tensor);
        if (!fused.empty() && !asked.layers[fallback.tensor].keep && resolved.plan.layers[fallback.tensor].keep)
            kept.emplace(fused, fallback.tensor);
    }
    for (std::size_t tensor = 0; !kept.empty() && tensor < resolved.plan.layers.size(); ++tensor) {
        LayerPlan& plan = resolved.plan.layers[tensor];
        const auto sibling = plan.keep ? kept.end() : kept.find(fusedOf(tensor));
        if (sibling == kept.end())
            continue;
        const auto grid = findGrid(plan.grid);
        if (!grid)
            return failIn(checkpoint, tensor, grid.error());
        plan = LayerPlan{.pinned = plan.pinned};
        resolved.fallbacks.push_back({tensor, fmt::format("{} is kept, and the two become one: {}",
                                                          escaped(checkpoint.tensors()[sibling->second].name),
                                                          keptInstead(checkpoint, tensor, **grid))});
    }
    return {};
}

} // namespace

Result<ResolvedPlan> preflight(const Checkpoint& checkpoint, const QuantizationPlan& plan, ComputeBackend& backend,
                               const JobContext& job, std::vector<std::uint64_t>* contents)
{
    ResolvedPlan resolved{.plan = plan};
    const std::size_t count = checkpoint.tensors().size();
    const double all = std::max(1.0, static_cast<double>(checkpoint.totalBytes()));
    double done = 0;
    for (std::size_t tensor = 0; tensor < count; ++tensor) {
        if (job.cancelled())
            return cancelledError();
        const TensorInfo& source = checkpoint.tensors()[tensor];
        job.report(done / all, source.name);
        done += static_cast<double>(source.bytes);
        const bool isCoded = tensor < plan.layers.size() && !plan.layers[tensor].keep;
        if (!isCoded && contents == nullptr)
            continue;
        // What is not there has no bytes that could change; only a plan that codes it asks for them.
        const bool isThere = isCoded || source.state == TensorState::Ok;
        if (const Status same = isThere ? checkpoint.checkUnchanged(tensor) : Status(); !same)
            return passOn(same);
        Reading reading{.wantsContent = contents != nullptr};
        const JobContext inside{.stop = job.stop};
        const Status looked = isCoded ? preflightLayer(checkpoint, tensor, resolved, backend, reading, inside) : Status();
        if (looked && contents != nullptr)
            contents->push_back(reading.content ? *reading.content : contentOf(checkpoint, tensor, inside));
        releasePages(checkpoint, tensor);
        if (const Status same = isThere ? checkpoint.checkUnchanged(tensor) : Status(); !same)
            return passOn(same);
        if (!looked)
            return passOn(looked);
    }
    if (job.cancelled())
        return cancelledError();
    if (needsFusedAlike(plan.target) || plan.target == "gguf") {
        if (Status kept = keepSiblings(checkpoint, plan, resolved); !kept)
            return passOn(kept);
    }
    return resolved;
}

std::string whyOtherMetric(const LayerPlan& plan, const Metric& metric, const Imatrix* calibration, std::string_view name)
{
    const bool isOptional = plan.solver == "imatrix" && plan.rank == 0;
    if (isOptional && metric.isPlain() && (calibration == nullptr || placeOf(name).role == Role::Embedding))
        return {};
    const bool isUntold = plan.metric != MetricKind::Plain && metric.isPlain() && metric.note.empty();
    return isUntold ? std::string("no calibration for this tensor: plain metric") : metric.note;
}

std::vector<Fallback> metricFallbacks(const Checkpoint& checkpoint, const QuantizationPlan& plan,
                                      const Imatrix* calibration)
{
    std::vector<Fallback> fallbacks;
    const std::size_t count = std::min(plan.layers.size(), checkpoint.tensors().size());
    for (std::size_t tensor = 0; tensor < count; ++tensor) {
        const LayerPlan& layer = plan.layers[tensor];
        if (!usesMetric(layer))
            continue;
        const TensorInfo& source = checkpoint.tensors()[tensor];
        const Metric metric
            = metricFor(layer.metric, calibration, source.name, source.shape.empty() ? 1 : source.shape.back());
        if (!metric.isPlain())
            continue;
        if (std::string why = whyOtherMetric(layer, metric, calibration, source.name); !why.empty())
            fallbacks.push_back({tensor, std::move(why)});
    }
    return fallbacks;
}

} // namespace sigmascope
