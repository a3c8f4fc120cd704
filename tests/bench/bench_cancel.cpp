// SPDX-License-Identifier: GPL-3.0-or-later
// How long a run goes on after its stop was requested, at moments spread over all of it: look at the values, encode,
// low-rank correction, error sums, write, verify, flush. Aim: under 100 ms each.
#include "bench/SyntheticModel.h"
#include "core/base/Parallel.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace sigmascope;

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seconds from the request to the return; negative if the run had ended before.
double latencyAt(const ExportRequest& request, ComputeBackend& backend, double moment)
{
    std::stop_source stop;
    Clock::time_point asked;
    std::jthread asks([&] {
        std::this_thread::sleep_for(std::chrono::duration<double>(moment));
        asked = Clock::now();
        stop.request_stop();
    });
    const auto result = quantize(request, *findExporter("gguf"), backend, {.unfinished = Unfinished::Discard},
                                 {.stop = stop.get_token()});
    const Clock::time_point ended = Clock::now();
    asks.join();
    return result ? -1 : std::chrono::duration<double>(ended - asked).count();
}

int measure(const fs::path& folder, const bench::LlamaShape& shape, std::uint32_t rank, int moments)
{
    const auto checkpoint = bench::makeLlama(folder, shape);
    if (!checkpoint)
        return std::fputs("the model was not written\n", stderr), 1;
    ExportRequest request{.checkpoint = checkpoint, .output = folder / "out.gguf", .overwrite = true};
    const ModelTopology topology(*checkpoint);
    request.plan.layers.resize(checkpoint->tensors().size());
    for (std::size_t i = 0; i < request.plan.layers.size(); ++i) {
        if (topology.isQuantizable(i))
            request.plan.layers[i] = {.keep = false, .grid = "q4_0", .rank = rank, .metric = MetricKind::Plain};
    }
    const auto backend = makeCpuBackend();
    const Clock::time_point start = Clock::now();
    if (const auto run = quantize(request, *findExporter("gguf"), *backend, {.unfinished = Unfinished::Discard}, {}); !run)
        return std::fprintf(stderr, "%s\n", run.error().detail.c_str()), 1;
    const double whole = secondsSince(start);
    std::vector<double> latencies;
    for (int i = 0; i < moments; ++i) {
        if (const double latency = latencyAt(request, *backend, whole * (i + 0.5) / moments); latency >= 0)
            latencies.push_back(latency);
        while (hasAbandonedWork())
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (latencies.empty())
        return std::fputs("no run was cancelled in time\n", stderr), 1;
    std::sort(latencies.begin(), latencies.end());
    std::printf("cancel, 7 layers of %llu and %llu channels, rank %u, a run of %.1f s: median %.1f ms, worst %.1f ms of %zu "
                "(aim 100 ms)\n",
                static_cast<unsigned long long>(shape.hidden), static_cast<unsigned long long>(shape.intermediate), rank, whole,
                1e3 * latencies[latencies.size() / 2], 1e3 * latencies.back(), latencies.size());
    return 0;
}

}  // namespace

int main(int argc, char** argv)
{
    static_cast<void>(argc);
    blas::correctKernelChoice(argv);
    const bool small = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    std::string name = (fs::temp_directory_path() / "sigmascope-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        return 1;
    int failed = 0;
    const std::uint64_t side = small ? 512 : 4096;
    const bench::LlamaShape square{.hidden = side, .intermediate = side, .keyValue = side};
    const bench::LlamaShape wide{.hidden = side, .intermediate = side * 43 / 16, .keyValue = side};
    failed = std::max(failed, measure(name, square, 0, small ? 4 : 40));
    failed = std::max(failed, measure(name, square, 32, small ? 4 : 40));
    failed = std::max(failed, measure(name, wide, 64, small ? 4 : 20));
    fs::remove_all(name);
    return failed;
}
