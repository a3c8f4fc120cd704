// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF types that are searched for, with and without an importance matrix, beside ggml's own encoder of llama.cpp's
// library (tests/interop/setup.sh): CPU time of one thread, runs taken in turns, medians, the same bytes demanded of
// both. Ratios are ours over ggml's. SIGMASCOPE_SIMD lowers our level; ggml's library is built for plain x86-64.

#include "support/Oracles.h"

#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/compute/ComputeBackend.h"
#include "core/compute/ops/LevelEncode.h"
#include "core/compute/ops/RowBlockEncode.h"
#include "core/compute/ops/SuperBlockEncode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <functional>
#include <vector>

namespace sigmascope::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr std::uint64_t kCols = 4096;

double cpuSeconds()
{
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double timed(const std::function<void()>& work)
{
    const double start = cpuSeconds();
    work();
    return cpuSeconds() - start;
}

double median(std::array<double, kRuns> seconds)
{
    std::ranges::sort(seconds);
    return seconds[kRuns / 2];
}

[[noreturn]] void giveUp(const std::string& why)
{
    fmt::print(stderr, "{}\n", why);
    std::exit(1);
}

/// Gaussians with a column in sixty ten times as large, as activations' outliers leave them.
std::vector<float> someWeights(std::uint64_t rows)
{
    std::vector<float> values(rows * kCols);
    fillNormal<float>(3, values, 0.02);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] *= i % kCols % 61 == 7 ? 10.0F : 1.0F;
    return values;
}

std::vector<float> someImportances()
{
    std::vector<double> normals(kCols);
    fillNormal<double>(5, normals);
    std::vector<float> values;
    for (const double g : normals)
        values.push_back(static_cast<float>(std::exp(2 * g)));
    return values;
}

void compare(const LlamaLibrary& ggml, DType type, const std::vector<float>& weights,
             const std::vector<float>& importance)
{
    const std::uint64_t rows = weights.size() / kCols;
    std::vector<std::byte> theirs;
    std::vector<std::byte> ours(*checkedByteSize(type, std::array{rows, kCols}));
    std::array<double, kRuns> theirTimes{};
    std::array<double, kRuns> ourTimes{};
    for (std::size_t run = 0; run < kRuns; ++run) {
        theirTimes[run]
            = timed([&] { theirs = ggml.quantize(type, weights, static_cast<std::int64_t>(rows), kCols, importance); });
        ourTimes[run] = timed([&] {
            const auto done = hasSuperBlockEncoder(type)
                ? encodeSuperBlocks(type, weights, rows, kCols, importance, ours, {})
                : hasLevelEncoder(type) ? encodeLevels(type, weights, rows, kCols, importance, ours, {})
                                        : encodeRowBlocks(type, weights, rows, kCols, importance, ours, {});
            if (!done)
                giveUp(done.error().detail);
        });
    }
    if (ours != theirs)
        giveUp(fmt::format("{}: not ggml's bytes", info(type).name));
    std::array<double, kRuns> ratios{};
    for (std::size_t run = 0; run < kRuns; ++run)
        ratios[run] = theirTimes[run] / ourTimes[run];
    const auto [low, high] = std::ranges::minmax(ratios);
    const double million = static_cast<double>(weights.size()) / 1e6;
    fmt::print("{:<6} {:<8} {:>8.1f} {:>8.1f} {:>8.2f}   {:.2f} to {:.2f}\n", info(type).name,
               importance.empty() ? "none" : "imatrix", million / median(theirTimes), million / median(ourTimes),
               median(ratios), low, high);
}

int run()
{
    std::string problem;
    const auto ggml = LlamaLibrary::open(problem);
    if (!ggml)
        giveUp(problem);
    setThreadCount(1);
    const bool isSmall = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    const std::vector<float> weights = someWeights(isSmall ? 2 : 128);
    const std::vector<float> importance = someImportances();
    fmt::print("level {}, {} weights, one thread, million weights a second of CPU time\n\n", simdLevel(),
               weights.size());
    fmt::print("{:<6} {:<8} {:>8} {:>8} {:>8}   over the runs\n", "type", "weighed", "ggml", "ours", "ratio");
    for (const DType type : {DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
        compare(*ggml, type, weights, {});
        compare(*ggml, type, weights, importance);
    }
    for (const DType type : {DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1})
        compare(*ggml, type, weights, importance);
    for (const DType type : {DType::IQ4_NL, DType::IQ4_XS}) {
        compare(*ggml, type, weights, {});
        compare(*ggml, type, weights, importance);
    }
    for (const DType type : {DType::MXFP4, DType::NVFP4, DType::TQ1_0, DType::TQ2_0, DType::Q1_0, DType::Q2_0})
        compare(*ggml, type, weights, {});
    return 0;
}

}  // namespace
}  // namespace sigmascope::bench

int main()
{
    return sigmascope::bench::run();
}
