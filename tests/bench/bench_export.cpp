// SPDX-License-Identifier: GPL-3.0-or-later
// Whole exports of 8B-shaped layers, as many as make 2 GB of BF16, from a warm cache: look at the values, encode, write,
// fsync, read back and compare. Beside each, in turns, `cp` of the same model and `cp` followed by `sha256sum` of what
// it wrote, which is what a careful person would do instead. Floor: 0.7 of cp's speed for types rounded to nearest.
#include "bench/SyntheticModel.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

using namespace sigmascope;

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
constexpr std::size_t kRuns = 3;

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::array<double, kRuns> seconds)
{
    std::ranges::sort(seconds);
    return seconds[kRuns / 2];
}

/// Seconds of a shell command; negative if it failed.
double timed(const std::string& command)
{
    const Clock::time_point start = Clock::now();
    return std::system(command.c_str()) == 0 ? secondsSince(start) : -1;
}

/// MB of the largest resident set so far.
double peakMegabytes()
{
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word == "VmHWM:" && status >> word)
            return std::stod(word) * 1024 / 1e6;
    }
    return 0;
}

struct Target {
    std::string_view exporter;
    std::string_view grid;
    std::string_view output;
};

/// Whether the floor was met; absent if something went wrong.
std::optional<bool> measure(const std::shared_ptr<const Checkpoint>& checkpoint, const fs::path& folder,
                            const Target& target)
{
    ExportRequest request{.checkpoint = checkpoint, .output = folder / target.output, .overwrite = true};
    const ModelTopology topology(*checkpoint);
    request.plan.target = std::string(target.exporter);
    request.plan.layers.resize(checkpoint->tensors().size());
    for (std::size_t i = 0; i < request.plan.layers.size(); ++i) {
        if (topology.isQuantizable(i))
            request.plan.layers[i] = {.keep = false, .grid = std::string(target.grid), .metric = MetricKind::Plain};
    }
    const auto backend = makeCpuBackend();
    const fs::path model = folder / "model.safetensors", copy = folder / "copy";
    const std::string cp = "cp '" + model.string() + "' '" + copy.string() + "'";
    std::array<double, kRuns> ours{}, copied{}, checked{};
    for (std::size_t run = 0; run < kRuns; ++run) {
        fs::remove(copy);
        copied[run] = timed(cp);
        fs::remove(copy);
        checked[run] = timed(cp + " && sync '" + copy.string() + "' && sha256sum '" + copy.string() + "' > /dev/null");
        fs::remove(copy);
        const Clock::time_point start = Clock::now();
        const auto result
            = quantize(request, *findExporter(target.exporter), *backend, {.unfinished = Unfinished::Discard}, {});
        ours[run] = secondsSince(start);
        if (!result)
            return fmt::print(stderr, "{}\n", result.error().detail), std::nullopt;
        if (copied[run] < 0 || checked[run] < 0)
            return fmt::print(stderr, "cp or sha256sum failed\n"), std::nullopt;
    }
    const double ratio = median(copied) / median(ours);
    fmt::print("{:<20} {:<14} {:>7.2f} {:>7.2f} {:>9.2f} {:>8.2f} {:>9.2f}   {:.0f}\n", target.exporter, target.grid,
               median(ours), median(copied), median(checked), ratio, median(checked) / median(ours), peakMegabytes());
    return ratio >= 0.7;
}

}  // namespace

int main(int argc, char** argv)
{
    static_cast<void>(argc);
    blas::correctKernelChoice(argv);
    const bool isSmall = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    std::string name = (fs::temp_directory_path() / "sigmascope-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        return 1;
    const bench::LlamaShape shape = isSmall
        ? bench::LlamaShape{.hidden = 512, .intermediate = 1408, .keyValue = 128, .blocks = 2}
        : bench::LlamaShape{.hidden = 4096, .intermediate = 14336, .keyValue = 1024, .blocks = 5, .headSize = 128};
    const auto checkpoint = bench::makeLlama(name, shape);
    if (!checkpoint)
        return std::fputs("the model was not written\n", stderr), 1;
    fmt::print("{:.2f} GB of BF16; seconds, medians of {}; speed over that of cp, and of cp, sync and sha256sum; peak MB\n",
               static_cast<double>(fs::file_size(fs::path(name) / "model.safetensors")) / 1e9, kRuns);
    fmt::print("{:<20} {:<14} {:>7} {:>7} {:>9} {:>8} {:>9}   {}\n", "target", "grid", "ours", "cp", "cp+sha", "/ cp",
               "/ cp+sha", "peak");
    bool isMet = true;
    bool isBroken = false;
    for (const Target& target : {Target{"gguf", "q8_0", "out.gguf"}, Target{"gguf", "q4_0", "out.gguf"},
                                 Target{"gguf", "q5_1", "out.gguf"}}) {
        const auto met = measure(checkpoint, name, target);
        isBroken = isBroken || !met;
        isMet = isMet && met.value_or(false);
    }
    fs::remove_all(name);
    return isBroken || (!isMet && !isSmall) ? 1 : 0;
}
