// SPDX-License-Identifier: GPL-3.0-or-later
// Speed of the passes over a whole tensor as a share of a plain memory scan of the same bytes, by the same
// flags. Both sides use all threads; wall time; median of five interleaved runs, since the machine is shared.

#include "bench/MemoryScan.h"
#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/base/Half.h"
#include "core/compute/CodeCounts.h"
#include "core/compute/ComputeBackend.h"
#include "core/compute/ops/Scan.h"
#include "core/compute/ops/Statistics.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <string_view>
#include <sys/resource.h>
#include <vector>

namespace sigmascope::bench {
namespace {

constexpr std::size_t kRuns = 5;

/// Weights as they are: Gaussian columns of log-normal width. A million of them drawn, then repeated.
std::vector<float> patternOfWeights()
{
    constexpr std::size_t kColumns = 4096;
    std::vector<float> weights(256 * kColumns);
    std::vector<float> widths(kColumns);
    fillNormal<float>(1, weights, 0.02);
    fillNormal<float>(2, widths, 0.5);
    for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] *= std::exp(widths[i % kColumns]);
    return weights;
}

std::vector<std::byte> stored(DType type, std::size_t elements)
{
    const std::vector<float> pattern = patternOfWeights();
    const std::size_t size = info(type).blockBits / 8;
    std::vector<std::byte> bytes(elements * size);
    for (std::size_t i = 0; i < elements; ++i) {
        const float value = pattern[i % pattern.size()];
        const std::uint16_t half = type == DType::BF16 ? floatToBf16(value) : floatToF16(value);
        std::memcpy(bytes.data() + i * size, size == 2 ? static_cast<const void*>(&half) : &value, size);
    }
    return bytes;
}

/// The same cutting into chunks as the passes use.
std::uint64_t memoryScan(std::span<const std::byte> bytes)
{
    constexpr std::size_t kChunk = kReductionChunk * 2;
    const auto scanLevel = simdLevel() == "avx512" ? memoryScanAvx512
        : simdLevel() == "avx2"                    ? memoryScanAvx2
                                                   : memoryScanScalar;
    std::atomic<std::uint64_t> total{0};
    parallelFor((bytes.size() + kChunk - 1) / kChunk, [&](std::size_t i) {
        total += scanLevel(bytes.data() + i * kChunk, std::min(kChunk, bytes.size() - i * kChunk));
    });
    return total;
}

struct Time {
    double wall = 0, cpu = 0;  ///< seconds; cpu: of all threads together
};

double cpuSeconds()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Time timed(const std::function<double()>& work, double& answer)
{
    const double cpu = cpuSeconds();
    const auto start = std::chrono::steady_clock::now();
    answer = work();
    return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), cpuSeconds() - cpu};
}

double median(std::array<Time, kRuns> times, double Time::*which)
{
    std::ranges::sort(times, {}, which);
    return times[kRuns / 2].*which;
}

struct Contest {
    std::string_view name;
    double floor;  ///< least share of the scan's speed that is acceptable; 0: for information
    std::function<double(const TensorView&)> work;
};

/// @return whether the floor is met.
bool compete(const Contest& contest, const TensorView& view)
{
    std::array<Time, kRuns> ours{};
    std::array<Time, kRuns> peers{};
    double answer = 0;
    double scanned = 0;
    for (std::size_t run = 0; run < kRuns; ++run) {
        peers[run] = timed([&] { return static_cast<double>(memoryScan(view.bytes)); }, scanned);
        ours[run] = timed([&] { return contest.work(view); }, answer);
    }
    const double gigabytes = static_cast<double>(view.bytes.size()) * 1e-9;
    const double ratio = median(peers, &Time::wall) / median(ours, &Time::wall);
    const std::string verdict = contest.floor == 0 ? std::string("-")
        : fmt::format("floor {:.2f} {}", contest.floor, ratio >= contest.floor ? "met" : "missed");
    fmt::print("{:<32} {:<5} {:>8.2f} {:>8.2f} {:>7.2f} {:>9.2f}  {:<17} answer {:.6g}\n", contest.name,
               info(view.dtype).name, gigabytes / median(ours, &Time::wall), gigabytes / median(peers, &Time::wall), ratio,
               median(peers, &Time::cpu) / median(ours, &Time::cpu), verdict, answer);
    return ratio >= contest.floor;
}

int main()
{
    const bool small = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    const std::size_t elements = small ? 1U << 22 : 1U << 28;
    fmt::print("{} elements, {} threads, {} kernels; GB/s of wall time, median of {}\n", elements, threadCount(),
               simdLevel(), kRuns);
    fmt::print("{:<32} {:<5} {:>8} {:>8} {:>7} {:>9}\n", "pass", "type", "ours", "scan", "ratio", "cpu ratio");
    const std::vector<Contest> contests{
        {"min, max, sum, sum of squares", 0.6, [](const TensorView& v) { return scan(v, {})->sumOfSquares; }},
        {"statistics with kurtosis", 0.35, [](const TensorView& v) { return *moments(v, {})->kurtosis(); }},
        {"the same and outliers, twice read", 0, [](const TensorView& v) { return static_cast<double>(statistics(v, {})->outliers); }},
        {"exact histogram (code counts)", 0.25,
         [](const TensorView& v) { return static_cast<double>(codeCounts(v, {})->counts[0x3C80]); }},
    };
    bool isMet = true;
    for (const DType type : {DType::BF16, DType::F16, DType::F32}) {
        const std::size_t n = type == DType::F32 ? elements / 2 : elements;
        const std::vector<std::byte> bytes = stored(type, n);
        const TensorView view{type, {n}, bytes};
        for (const Contest& contest : contests) {
            // The floors are promised for bf16; the rest is for information.
            isMet &= compete({contest.name, type == DType::BF16 ? contest.floor : 0, contest.work}, view);
        }
    }
    // Small sizes only prove that the bench works: they fit the caches, where no memory floor holds.
    return isMet || small ? 0 : 1;
}

}  // namespace
}  // namespace sigmascope::bench

int main()
{
    return sigmascope::bench::main();
}
