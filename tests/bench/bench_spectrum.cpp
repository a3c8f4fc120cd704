// SPDX-License-Identifier: GPL-3.0-or-later
// The 64 leading singular values of a quantization error, certified to 1 %, against LAPACK's values-only SVD
// (sgesdd 'N') of the same matrix in the same run. Both sides use all threads; wall time; median of five
// interleaved runs, since the machine is shared. Every value is compared with LAPACK's in double.

#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/grid/Grid.h"
#include "core/lowrank/LowRank.h"
#include "core/lowrank/Spectrum.h"
#include "core/tensor/Blas.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace sigmascope::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr std::size_t kValues = 64;
constexpr double kTolerance = 0.01;
constexpr double kTailExcess = 0.01;
constexpr double kFloor = 5;  ///< times faster than the peer, at the full size

/// W - Q of Gaussian weights on the INT4 grid with groups of 128: white, the hardest spectrum there is.
std::vector<float> quantizationError(std::size_t rows, std::size_t cols)
{
    std::vector<float> weights(rows * cols);
    fillNormal<float>(1, weights, 0.02);
    const auto grid = findGrid("int4-g128");
    if (!grid)
        return {};
    std::vector<std::byte> codes(rows * (*grid)->rowBytes(cols));
    std::vector<float> decoded(weights.size());
    if (!(*grid)->encode(weights, rows, cols, codes))
        return {};
    (*grid)->decode(codes, rows, cols, decoded);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] -= decoded[i];
    return weights;
}

/// Log-normal channel scales with eight loud ones.
std::vector<float> channelScale(std::size_t cols)
{
    std::vector<float> scale(cols);
    fillNormal<float>(2, scale);
    for (float& value : scale)
        value = std::exp(value);
    for (std::size_t i = 0; i < 8; ++i)
        scale[(1237 * i + 5) % cols] *= 30;
    return scale;
}

template <class Work>
double seconds(const Work& work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::array<double, kRuns> times)
{
    std::ranges::sort(times);
    return times[kRuns / 2];
}

template <class Real>
std::vector<Real> scaledCopy(const ScaledMatrix& matrix)
{
    std::vector<Real> out(matrix.values.begin(), matrix.values.end());
    for (std::size_t i = 0; i < out.size() && !matrix.scale.empty(); ++i)
        out[i] *= static_cast<Real>(matrix.scale[i % matrix.cols]);
    return out;
}

/// Largest relative error of the 64 values; more than the tolerance if any is missing or not certified.
double worstError(const Spectrum& found, const std::vector<double>& truth)
{
    if (found.values.size() < kValues || found.certified < kValues)
        return 1;
    double worst = 0;
    for (std::size_t i = 0; i < kValues; ++i)
        worst = std::max(worst, std::abs(found.values[i] - truth[i]) / truth[i]);
    return worst;
}

/// R3 of the closed form's tests at full size: what the correction leaves, over the least any rank-64 one could leave.
bool isTailNearOptimal(const ScaledMatrix& matrix, const std::vector<double>& truth)
{
    double optimal = 0;
    for (std::size_t i = truth.size(); i-- > kValues;)
        optimal += truth[i] * truth[i];
    const auto found = lowRank(matrix, kValues, {});
    if (!found)
        return false;
    const double excess = found->tail / optimal - 1;
    fmt::print("  rank {} correction: tail excess {:.3f} % (limit {:.0f} %)\n", kValues, 100 * excess,
               100 * kTailExcess);
    return excess < kTailExcess;
}

/// @return whether every value is within the tolerance and, at full size, the floor is met.
bool compete(std::string_view name, const ScaledMatrix& matrix, std::size_t runs, bool holdsFloor)
{
    std::vector<double> truth(matrix.minSide());
    auto inDouble = scaledCopy<double>(matrix);
    if (!blas::singularValues(matrix.rows, matrix.cols, inDouble.data(), matrix.cols, truth, threadCount()))
        return false;
    inDouble = {};

    std::array<double, kRuns> ours{};
    std::array<double, kRuns> peers{};
    std::vector<float> values(matrix.minSide());
    Spectrum found;
    bool allWell = true;
    for (std::size_t run = 0; run < runs; ++run) {
        auto copy = scaledCopy<float>(matrix);
        peers[run] = seconds([&] {
            allWell &= blas::singularValues(matrix.rows, matrix.cols, copy.data(), matrix.cols, values, threadCount())
                           .has_value();
        });
        ours[run] = seconds([&] {
            auto result = leadingSpectrum(matrix, {.count = kValues, .tolerance = kTolerance, .seed = run});
            allWell &= result.has_value();
            found = result.value_or(Spectrum());
        });
        const double worst = worstError(found, truth);
        allWell &= worst <= kTolerance;
        fmt::print(
            "  {:<9} run {}: ours {:7.3f} s, {} products, {} of {} certified, worst error {:.2e}; peer {:7.3f} s, "
            "ratio {:.1f}\n",
            name, run + 1, ours[run], found.passes, found.certified, found.values.size(), worst, peers[run],
            peers[run] / ours[run]);
    }
    for (std::size_t run = runs; run < kRuns; ++run) {
        ours[run] = ours[0];
        peers[run] = peers[0];
    }
    const double ratio = median(peers) / median(ours);
    fmt::print("{:<9} {} x {}: ours {:.3f} s, sgesdd values only {:.3f} s, ratio {:.1f} (floor {} at full size, {}); "
               "every value within {:.0f} %: {}\n",
               name, matrix.rows, matrix.cols, median(ours), median(peers), ratio, kFloor,
               ratio >= kFloor ? "met" : "missed", 100 * kTolerance, allWell ? "yes" : "NO");
    allWell &= isTailNearOptimal(matrix, truth);
    return allWell && (!holdsFloor || ratio >= kFloor);
}

int main()
{
    const bool small = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    const std::size_t rows = small ? 640 : 4096;
    const std::size_t cols = small ? 1408 : 11008;
    fmt::print("top {} of the int4-g128 error to {:.0f} %, {} threads, {} kernels, median of {} interleaved runs\n",
               kValues, 100 * kTolerance, threadCount(), blas::kernelName(), kRuns);
    const std::vector<float> error = quantizationError(rows, cols);
    if (error.empty())
        return 1;
    const std::vector<float> scale = channelScale(cols);
    bool allWell = compete("plain", {error, rows, cols, {}}, kRuns, !small);
    // The weighted spectrum decays and is the easier one: once, for information.
    allWell &= compete("weighted", {error, rows, cols, scale}, 1, !small);
    return allWell ? 0 : 1;
}

}  // namespace
}  // namespace sigmascope::bench

int main(int, char** argv)
{
    sigmascope::blas::correctKernelChoice(argv);
    return sigmascope::bench::main();
}
