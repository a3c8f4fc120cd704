// SPDX-License-Identifier: GPL-3.0-or-later
// How long a run goes on after its stop was requested, at moments spread over all of it: look at the values, encode,
// low-rank correction, error sums, write, verify, flush. Aim: under 100 ms each.
#include "core/base/Half.h"
#include "core/base/Parallel.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace sigmascope;

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMega = std::uint64_t{1} << 20;

double secondsSince(Clock::time_point start)
{
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Of the one block that the model has.
struct Widths {
    std::uint64_t hidden = 0, intermediate = 0;
};

/// A llama of one block, its weights a repeated megabyte.
std::shared_ptr<const Checkpoint> makeModel(const fs::path& folder, const Widths& sides)
{
    const auto [hidden, intermediate] = sides;
    struct Named {
        std::string name;
        std::vector<std::uint64_t> shape;
    };
    const std::string block = "model.layers.0.";
    std::vector<Named> tensors{{"model.embed_tokens.weight", {300, hidden}},
                               {block + "input_layernorm.weight", {hidden}},
                               {block + "post_attention_layernorm.weight", {hidden}}};
    for (const char* name : {"self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o"})
        tensors.push_back({block + name + "_proj.weight", {hidden, hidden}});
    for (const char* name : {"mlp.gate", "mlp.up"})
        tensors.push_back({block + name + "_proj.weight", {intermediate, hidden}});
    tensors.push_back({block + "mlp.down_proj.weight", {hidden, intermediate}});
    tensors.push_back({"model.norm.weight", {hidden}});
    tensors.push_back({"lm_head.weight", {300, hidden}});
    std::string header = "{";
    std::uint64_t at = 0;
    for (const Named& tensor : tensors) {
        std::uint64_t bytes = 2;
        std::string shape;
        for (const std::uint64_t extent : tensor.shape) {
            bytes *= extent;
            shape += (shape.empty() ? "" : ",") + std::to_string(extent);
        }
        header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + R"(":{"dtype":"BF16","shape":[)" + shape
                  + "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
        at += bytes;
    }
    header += "}";
    std::vector<std::uint16_t> weights(kMega / 2);
    std::uint64_t state = 1;
    for (std::uint16_t& value : weights) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        value = floatToBf16(0.05F * (static_cast<float>(state >> 40) / static_cast<float>(1 << 24) - 0.5F));
    }
    std::ofstream file(folder / "model.safetensors", std::ios::binary);
    const std::uint64_t length = header.size();
    file.write(reinterpret_cast<const char*>(&length), sizeof length);
    file << header;
    for (std::uint64_t done = 0; done < at; done += kMega)
        file.write(reinterpret_cast<const char*>(weights.data()), static_cast<std::streamsize>(std::min(kMega, at - done)));
    file.close();
    const std::string size = std::to_string(hidden);
    std::ofstream(folder / "config.json")
        << R"({"architectures":["LlamaForCausalLM"],"hidden_size":)" << size << R"(,"intermediate_size":)" << intermediate
        << R"(,"num_hidden_layers":1,"num_attention_heads":)" << hidden / 64 << R"(,"num_key_value_heads":)" << hidden / 64
        << R"(,"max_position_embeddings":128,"rms_norm_eps":1e-5,"vocab_size":300})";
    fs::copy_file(SIGMASCOPE_SOURCE_DIR "/resources/sample/tokenizer.model", folder / "tokenizer.model",
                  fs::copy_options::overwrite_existing);
    const auto checkpoint = Checkpoint::open(folder);
    return checkpoint ? *checkpoint : nullptr;
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

int measure(const fs::path& folder, const Widths& shape, std::uint32_t rank, int moments)
{
    const auto checkpoint = makeModel(folder, shape);
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
    const Widths square = small ? Widths{512, 512} : Widths{4096, 4096};
    const Widths wide = small ? Widths{512, 1408} : Widths{4096, 11008};
    failed = std::max(failed, measure(name, square, 0, small ? 4 : 40));
    failed = std::max(failed, measure(name, square, 32, small ? 4 : 40));
    failed = std::max(failed, measure(name, wide, 64, small ? 4 : 20));
    fs::remove_all(name);
    return failed;
}
