// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Parallel.h"
#include "core/grid/FiniteCheck.h"
#include "core/solve/CodeFormatOf.h"
#include "core/solve/solvers/Solvers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sigmascope {

namespace {

/// Elements that each thread codes between two looks at the stop token: a millisecond of the fast encoders, some 40 of
/// those that search.
constexpr std::uint64_t kSliceElements = 4 * kReductionChunk;

/// A device's encoder stores what the formula gives; a scale that overflowed f16 shows in the blocks.
Status checkScales(const QuantizedTensor& tensor)
{
    const auto scales = tensor.grid->groupScales(tensor.codes, tensor.rows, tensor.cols);
    const auto bad = std::ranges::find_if(
        scales, [](const Grid::GroupScale& group) { return !std::isfinite(group.scale) || !std::isfinite(group.offset); });
    if (bad == scales.end())
        return {};
    const auto index = static_cast<std::uint64_t>(bad - scales.begin());
    const std::uint64_t group = tensor.grid->groupSize();
    const std::uint64_t perRow = group == 0 ? 1 : (tensor.cols + group - 1) / group;
    return fail(ErrorCode::ScaleOutOfRange,
                fmt::format("row {}, column {}: the scale of this group of {} does not fit f16 (65504 at most)",
                            index / perRow, index % perRow * group, tensor.grid->id()));
}

Status encodeOnBackend(const SolveProblem& problem, const CodeFormat& format, Solution& solution,
                       const JobContext& job)
{
    const std::span<std::byte> codes = solution.quantized.codes;
    if (format.block) {
        const DType type = *format.block;
        if (Status done = problem.backend->encode(type, problem.weights, problem.rows, problem.cols, codes, job); !done)
            return done;
        // Asked afterwards: a backend that failed over during the call then names the device that did the work.
        solution.device = problem.backend->deviceFor(Op::Encode, type);
        // The CPU's own encoders say so themselves.
        return solution.device == "cpu" ? Status() : checkScales(solution.quantized);
    }
    const auto sums = problem.backend->encodeMeasured(format, problem.weights, problem.rows, problem.cols, {}, codes, job);
    if (!sums)
        return passOn(sums);
    solution.device = problem.backend->deviceFor(Op::EncodeGroups, DType::F16);
    return {};
}

/// GGUF blocks go through the backend always: the CPU's own has native kernels for them. Other grids only where a
/// device can do them, since their CPU code is the grid's.
std::optional<CodeFormat> formatForBackend(const SolveProblem& problem)
{
    if (problem.backend == nullptr)
        return std::nullopt;
    const auto format = codeFormatOf(*problem.grid);
    if (!format || format->block)
        return format;
    const bool onDevice = problem.backend->device().kind != "cpu"
        && problem.backend->supports(Op::EncodeGroups, DType::F16);
    return onDevice ? format : std::nullopt;
}

/// Told when a device was to do it.
std::string whyOnCpu(const SolveProblem& problem)
{
    if (problem.backend == nullptr || problem.backend->device().kind == "cpu")
        return {};
    return fmt::format("{} has no encoder of {}", problem.backend->device().id, problem.grid->id());
}

Status encodeOnCpu(const SolveProblem& problem, std::span<std::byte> codes, const JobContext& job)
{
    const auto threads = static_cast<std::uint64_t>(threadCount());
    const std::uint64_t slice = std::max<std::uint64_t>(1, threads * kSliceElements / problem.cols);
    const std::size_t rowBytes = problem.grid->rowBytes(problem.cols);
    for (std::uint64_t row = 0; row < problem.rows; row += slice) {
        if (job.cancelled())
            return cancelledError();
        const std::uint64_t count = std::min(slice, problem.rows - row);
        const Status done = problem.grid->encode(problem.weights.subspan(row * problem.cols, count * problem.cols), count,
                                                 problem.cols, codes.subspan(row * rowBytes, count * rowBytes));
        if (!done)  // once more as a whole: the error then counts rows from the matrix's first
            return problem.grid->encode(problem.weights, problem.rows, problem.cols, codes);
    }
    return {};
}

}  // namespace

Result<Solution> solveNearest(const SolveProblem& problem, const JobContext& job)
{
    assert(problem.grid != nullptr && problem.weights.size() == problem.rows * problem.cols);
    const Grid& grid = *problem.grid;
    if (!grid.accepts(problem.cols))
        return fail(ErrorCode::NotRepresentable,
                    fmt::format("rows of {} elements do not fit grid {}", problem.cols, grid.id()));
    if (job.cancelled())
        return cancelledError();
    // The grid's own encoder looks for itself.
    const auto format = formatForBackend(problem);
    if (format) {
        if (Status finite = checkFinite(problem.weights, problem.cols, job.stop); !finite)
            return passOn(finite);
    }

    Solution solution;
    solution.quantized = {&grid, problem.rows, problem.cols,
                          std::vector<std::byte>(problem.rows * grid.rowBytes(problem.cols))};
    Status done = format ? encodeOnBackend(problem, *format, solution, job) : Status();
    const bool isDeviceWithout = format && !format->block && !done && done.error().code == ErrorCode::UnsupportedType;
    if (!format || isDeviceWithout) {
        solution.device = "cpu";
        done = encodeOnCpu(problem, solution.quantized.codes, job);
        if (done)
            job.reportRan(id(Op::Encode), solution.device, whyOnCpu(problem));
    }
    if (!done)
        return passOn(done);
    return solution;
}

}  // namespace sigmascope
