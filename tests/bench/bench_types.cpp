// SPDX-License-Identifier: GPL-3.0-or-later
// The sample model in every GGUF type that is encoded: bytes, bits, error and time, beside ggml's own encoder of
// llama.cpp's library (tests/interop/setup.sh) in the same run, one thread each. Errors are relative Frobenius norms
// over all matrices of the blocks: of the weights, and of the outputs by the sample's calibration. "wide" is the search
// that goes beyond ggml's. Fails if a file's bytes are not ggml's, or if "wide" is worse.

#include "support/Oracles.h"

#include "core/base/Parallel.h"
#include "core/calibration/Imatrix.h"
#include "core/calibration/Metric.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/compute/ComputeBackend.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>
#include <vector>

namespace sigmascope::bench {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void giveUp(const std::string& why)
{
    fmt::print(stderr, "{}\n", why);
    std::exit(1);
}

struct SampleMatrix {
    std::uint64_t rows = 0, cols = 0;
    std::vector<float> weights;
    Metric metric;
};

/// What one encoder made of all matrices that the type can hold.
struct Made {
    double milliseconds = 0;
    std::uint64_t bytes = 0, elements = 0;
    double weight = 0, left = 0, scaledWeight = 0, scaledLeft = 0;
    std::vector<std::byte> codes;  ///< of all, one after the other

    void add(const SampleMatrix& matrix, std::span<const std::byte> coded, const Grid& grid)
    {
        std::vector<float> stored(matrix.weights.size());
        grid.decode(coded, matrix.rows, matrix.cols, stored);
        for (std::size_t i = 0; i < stored.size(); ++i) {
            const double w = matrix.weights[i], d = w - static_cast<double>(stored[i]);
            const double s = matrix.metric.scale[i % matrix.cols];
            weight += w * w;
            left += d * d;
            scaledWeight += (w * s) * (w * s);
            scaledLeft += (d * s) * (d * s);
        }
        bytes += coded.size();
        elements += stored.size();
        codes.insert(codes.end(), coded.begin(), coded.end());
    }
    [[nodiscard]] double weightError() const { return 100 * std::sqrt(left / weight); }
    [[nodiscard]] double outputError() const { return 100 * std::sqrt(scaledLeft / scaledWeight); }
};

using Encoder = std::function<std::vector<std::byte>(const SampleMatrix&)>;

Made made(const std::vector<SampleMatrix>& matrices, const Grid& grid, const Encoder& encode)
{
    Made result;
    for (const SampleMatrix& matrix : matrices) {
        if (!grid.accepts(matrix.cols))
            continue;
        const Clock::time_point start = Clock::now();
        const std::vector<std::byte> codes = encode(matrix);
        result.milliseconds += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
        result.add(matrix, codes, grid);
    }
    return result;
}

std::vector<SampleMatrix> sampleMatrices()
{
    const std::string folder = SIGMASCOPE_SOURCE_DIR "/resources/sample";
    const auto checkpoint = Checkpoint::open(folder);
    const auto calibration = readImatrix(folder + "/imatrix.gguf");
    if (!checkpoint || !calibration)
        giveUp("the sample did not open");
    const ModelTopology topology(**checkpoint);
    std::vector<SampleMatrix> matrices;
    for (std::size_t i = 0; i < (*checkpoint)->tensors().size(); ++i) {
        const auto view = (*checkpoint)->view(i);
        if (!topology.isQuantizable(i) || topology.place(i).block < 0 || !view)
            continue;
        SampleMatrix matrix{view->rows(), view->cols(), std::vector<float>(view->elements()),
                            metricFor(MetricKind::DiagonalRms, &*calibration, (*checkpoint)->tensors()[i].name, view->cols())};
        if (!decodeRows(*view, 0, matrix.rows, matrix.weights) || matrix.metric.isPlain())
            giveUp("the sample has no values or no calibration of a matrix");
        matrices.push_back(std::move(matrix));
    }
    return matrices;
}

Encoder oursBy(const char* solver, const Grid& grid, ComputeBackend& backend)
{
    return [solver, &grid, &backend](const SampleMatrix& matrix) {
        auto solution = findSolver(solver)->solve({.weights = matrix.weights,
                                                   .rows = matrix.rows,
                                                   .cols = matrix.cols,
                                                   .grid = &grid,
                                                   .metric = &matrix.metric,
                                                   .backend = &backend},
                                                  {});
        if (!solution)
            giveUp(solution.error().detail);
        return std::move(solution->quantized.codes);
    };
}

Encoder ggmlBy(const LlamaLibrary& ggml, DType type, bool weighs)
{
    return [&ggml, type, weighs](const SampleMatrix& matrix) {
        return ggml.quantize(type, matrix.weights, static_cast<std::int64_t>(matrix.rows),
                             static_cast<std::int64_t>(matrix.cols),
                             weighs ? std::span<const float>(matrix.metric.meanSquares) : std::span<const float>());
    };
}

void printRow(const Grid& grid, std::string_view encoder, const Made& ours, const Made* theirs)
{
    fmt::print("{:<8} {:<8} {:>9} {:>7.3f} {:>9.3f} {:>9.3f} {:>9.1f} ", grid.id(), encoder, ours.bytes,
               8.0 * static_cast<double>(ours.bytes) / static_cast<double>(ours.elements), ours.weightError(),
               ours.outputError(), ours.milliseconds);
    if (theirs == nullptr)
        fmt::print("{:>9} {:>9} {:>9}\n", "-", "-", "-");
    else
        fmt::print("{:>9.3f} {:>9.3f} {:>9.1f}\n", theirs->weightError(), theirs->outputError(), theirs->milliseconds);
}

void compare(const LlamaLibrary& ggml, const Grid& grid, const std::vector<SampleMatrix>& matrices,
             ComputeBackend& backend)
{
    const DType type = *grid.ggufType();
    const Made plain = made(matrices, grid, oursBy("nearest", grid, backend));
    const Made theirPlain = made(matrices, grid, ggmlBy(ggml, type, false));
    printRow(grid, "plain", plain, &theirPlain);
    if (plain.codes != theirPlain.codes)
        giveUp(fmt::format("{}: not ggml's bytes", grid.id()));
    Made best = theirPlain;
    if (grid.importanceSearch() != nullptr) {
        const Made weighed = made(matrices, grid, oursBy("imatrix", grid, backend));
        best = made(matrices, grid, ggmlBy(ggml, type, true));
        printRow(grid, "imatrix", weighed, &best);
        if (weighed.codes != best.codes)
            giveUp(fmt::format("{}: not ggml's bytes with an importance matrix", grid.id()));
    }
    if (findSolver("wide")->accepts(grid)) {
        const Made wide = made(matrices, grid, oursBy("wide", grid, backend));
        printRow(grid, "wide", wide, &best);
        if (wide.outputError() > best.outputError() * (1 + 1e-12))
            giveUp(fmt::format("{}: the wide search is worse than ggml's", grid.id()));
    }
}

}  // namespace
}  // namespace sigmascope::bench

int main()
{
    using namespace sigmascope;
    using namespace sigmascope::bench;
    std::string problem;
    const auto ggml = LlamaLibrary::open(problem);
    if (!ggml)
        giveUp(problem);
    setThreadCount(1);
    std::vector<SampleMatrix> matrices = sampleMatrices();
    if (std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr)
        matrices.resize(2);
    const auto backend = makeCpuBackend();
    fmt::print("{} matrices of the sample, level {}; errors in %, times in ms\n", matrices.size(), simdLevel());
    fmt::print("{:<8} {:<8} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "type", "encoder", "bytes", "bits",
               "weights", "outputs", "ms", "ggml: w", "ggml: out", "ggml: ms");
    for (const GridFamily& family : gridFamilies()) {
        for (const int bits : family.bits) {
            const auto grid = gridOf(family.id, bits);
            if (grid && (*grid)->ggufType())
                compare(*ggml, **grid, matrices, *backend);
        }
    }
    return 0;
}
