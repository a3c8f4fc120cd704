// SPDX-License-Identifier: GPL-3.0-or-later
// Speed of the grids: nearest codes, decoding and clip search of a matrix of weights, and decoding of the block types
// that are only read. GB/s count the floats, not the codes: of one core, by its processor time (what others take of it
// meanwhile does not count), and by wall time with all threads. Median of five runs. A plain copy of the same floats
// beside it shows what the memory gives.

#include "core/base/Parallel.h"
#include "core/base/Random.h"
#include "core/solve/Solver.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <functional>
#include <string>
#include <vector>

namespace sigmascope::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr std::uint64_t kCols = 4096;

struct Seconds {
    double core = 0;  ///< processor time on one thread
    double wall = 0;  ///< with all threads
};

double processorSeconds()
{
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Seconds medianSeconds(const std::function<void()>& work)
{
    std::array<double, kRuns> core{};
    std::array<double, kRuns> wall{};
    const int threads = threadCount();
    for (std::size_t run = 0; run < kRuns; ++run) {
        const auto start = std::chrono::steady_clock::now();
        work();
        wall[run] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        setThreadCount(1);
        const double before = processorSeconds();
        work();
        core[run] = processorSeconds() - before;
        setThreadCount(threads);
    }
    std::ranges::sort(core);
    std::ranges::sort(wall);
    return {core[kRuns / 2], wall[kRuns / 2]};
}

std::string speed(double gigabytes, const Seconds& seconds)
{
    return fmt::format("{:>7.2f} {:>7.2f}", gigabytes / seconds.core, gigabytes / seconds.wall);
}

[[noreturn]] void giveUp(const std::string& why)
{
    fmt::print(stderr, "{}\n", why);
    std::exit(1);
}

void measureGrid(std::string_view id, const std::vector<float>& weights, std::uint64_t rows)
{
    const auto grid = findGrid(id);
    if (!grid)
        giveUp(grid.error().detail);
    const double gigabytes = static_cast<double>(weights.size()) * sizeof(float) / 1e9;
    std::vector<std::byte> codes(rows * (*grid)->rowBytes(kCols));
    std::vector<float> values(weights.size());
    const Seconds encode = medianSeconds([&] {
        if (const Status done = (*grid)->encode(weights, rows, kCols, codes); !done)
            giveUp(done.error().detail);
    });
    const Seconds decode = medianSeconds([&] { (*grid)->decode(codes, rows, kCols, values); });
    const Solver* clip = findSolver("clip-search");
    std::string search = fmt::format("{:>15}", "–");
    if (clip->accepts(**grid)) {
        const std::uint64_t part = std::max<std::uint64_t>(1, rows / 32);
        const Metric plain;
        const Seconds seconds = medianSeconds([&] {
            const auto solved = clip->solve({.weights = std::span(weights).first(part * kCols), .rows = part, .cols = kCols,
                                             .grid = *grid, .metric = &plain}, {});
            if (!solved)
                giveUp(solved.error().detail);
        });
        const double share = gigabytes / static_cast<double>(rows) * static_cast<double>(part);
        search = fmt::format("{:>7.3f} {:>7.3f}", share / seconds.core, share / seconds.wall);
    }
    fmt::print("{:<14} {:>6.3f} {} {} {}\n", id, 8.0 * static_cast<double>((*grid)->rowBytes(kCols)) / kCols,
               speed(gigabytes, encode), speed(gigabytes, decode), search);
}

void measureDecoder(const DTypeInfo& type, std::uint64_t elements)
{
    std::vector<std::byte> bytes(elements / type.blockElements * type.blockBits / 8);
    SplitMix64 random(3);
    for (std::byte& byte : bytes)
        byte = static_cast<std::byte>(random.next() >> 56);
    std::vector<float> values(elements);
    // One thread: rows are handed out elsewhere.
    const Seconds seconds = medianSeconds([&] { decode(type.dtype, bytes, values); });
    fmt::print("{:<14} {:>6.3f} {:>23.2f}\n", type.name, static_cast<double>(type.blockBits) / type.blockElements,
               static_cast<double>(elements) * sizeof(float) / 1e9 / seconds.core);
}

int main()
{
    const bool small = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    const std::uint64_t rows = small ? 64 : 2048;
    std::vector<float> weights(rows * kCols);
    fillNormal<float>(1, weights, 0.02);
    std::vector<float> copy(weights.size());
    const Seconds copied = medianSeconds([&] { std::memcpy(copy.data(), weights.data(), weights.size() * sizeof(float)); });
    fmt::print("{} x {} weights; GB/s of floats, of one core and of {} threads; memcpy on one core: {:.1f}\n", rows, kCols,
               threadCount(), static_cast<double>(weights.size()) * sizeof(float) / 1e9 / copied.core);
    fmt::print("{:<14} {:>6} {:>15} {:>15} {:>15}\n", "grid", "bits", "encode", "decode", "clip search");
    for (const char* id : {"q4_0", "q8_0", "int4-g128", "int4-g128-asym", "mxint4-b16", "bfp4-b16", "mxint8-b32", "nf4-g64",
                           "nf3-g64", "nf4-g64-dq"})
        measureGrid(id, weights, rows);
    fmt::print("\n{:<14} {:>6} {:>23}\n", "block type", "bits", "decode, one core");
    for (const DTypeInfo& type : allDTypes()) {
        if (type.quantized && type.decodable)
            measureDecoder(type, small ? 1U << 16 : 1U << 25);
    }
    return 0;
}

}  // namespace
}  // namespace sigmascope::bench

int main()
{
    return sigmascope::bench::main();
}
