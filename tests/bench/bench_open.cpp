// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/Checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

// Opening a mixture-of-experts model of 100,000 tensors in 1,500 shards: aims are 1.5 s and 300 MB. Wall time
// of five opens, median; memory is what the process's resident peak grew by in the first one. With
// SIGMASCOPE_BENCH_LONG_NAMES=1 every name has 1,000 bytes, as no checkpoint has: 100 MB of names alone, aim 800 MB.

namespace {

using namespace sigmascope;
namespace fs = std::filesystem;

struct Size {
    std::size_t tensors;
    std::size_t shards;
};

bool isAsked(const char* variable)
{
    const char* const text = std::getenv(variable);
    return text != nullptr && *text != '\0' && *text != '0';
}

Size wantedSize()
{
    return isAsked("SIGMASCOPE_BENCH_SMALL") ? Size{2'000, 30} : Size{100'000, 1'500};
}

/// As a checkpoint of that size names its experts; made longer where asked for.
std::string tensorName(std::size_t i)
{
    static const std::size_t length = isAsked("SIGMASCOPE_BENCH_LONG_NAMES") ? 1000 : 0;
    constexpr const char* kParts[] = {"gate_proj", "up_proj", "down_proj"};
    // Half of a DeepSeek checkpoint's tensors: the scales of the others, which open folded into them, are left out.
    std::string name = fmt::format("model.layers.{}.mlp.experts.{}.{}.weight", i / 768, i / 3 % 256, kParts[i % 3]);
    if (name.size() < length)
        name.insert(0, std::string(length - name.size() - 1, 'n') + '.');
    return name;
}

/// Headers are whole; the data are holes in sparse files, as only their size matters here.
void writeSet(const fs::path& folder, Size size)
{
    constexpr std::uint64_t kBytes = 7168ULL * 2048;
    std::string map;
    std::uint64_t total = 0;
    for (std::size_t s = 0; s < size.shards; ++s) {
        const std::string file = fmt::format("model-{:05}-of-{:06}.safetensors", s + 1, size.shards);
        const std::size_t first = s * size.tensors / size.shards;
        const std::size_t last = (s + 1) * size.tensors / size.shards;
        std::string header = R"({"__metadata__":{"format":"pt"})";
        for (std::size_t t = first; t < last; ++t) {
            const std::uint64_t begin = (t - first) * kBytes;
            header += fmt::format(R"(,"{}":{{"dtype":"F8_E4M3","shape":[2048,7168],"data_offsets":[{},{}]}})", tensorName(t), begin,
                                  begin + kBytes);
            map += fmt::format("{}\"{}\":\"{}\"", t == 0 ? "" : ",", tensorName(t), file);
        }
        header += "}";
        const auto length = static_cast<std::uint64_t>(header.size());
        std::ofstream(folder / file, std::ios::binary).write(reinterpret_cast<const char*>(&length), sizeof length) << header;
        fs::resize_file(folder / file, sizeof length + header.size() + (last - first) * kBytes);
        total += (last - first) * kBytes;
    }
    std::ofstream(folder / "model.safetensors.index.json")
        << fmt::format(R"({{"metadata":{{"total_size":{}}},"weight_map":{{{}}}}})", total, map);
}

/// "VmHWM" (peak) or "VmRSS" (now), in bytes.
std::uint64_t residentBytes(const std::string& field)
{
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (word == field + ":") {
            std::uint64_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes * 1024;
        }
    }
    return 0;
}

void resetPeak()
{
    std::ofstream("/proc/self/clear_refs") << "5";
}

double openOnce(const fs::path& folder, Size size, bool& good)
{
    const auto start = std::chrono::steady_clock::now();
    const auto opened = Checkpoint::open(folder, {.strict = true});
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    good = opened && (*opened)->tensors().size() == size.tensors && (*opened)->shardCount() == size.shards;
    if (!opened)
        std::fputs((opened.error().detail + "\n").c_str(), stderr);
    return seconds;
}

}  // namespace

int main()
{
    const Size size = wantedSize();
    std::string folder = (fs::temp_directory_path() / "bench_open_XXXXXX").native();
    if (mkdtemp(folder.data()) == nullptr)
        return 1;
    writeSet(folder, size);
    resetPeak();
    const std::uint64_t before = residentBytes("VmRSS");
    bool good = true;
    std::vector<double> seconds{openOnce(folder, size, good)};
    const std::uint64_t peak = residentBytes("VmHWM");
    for (int i = 1; i < 5 && good; ++i)
        seconds.push_back(openOnce(folder, size, good));
    fs::remove_all(folder);
    if (!good)
        return 1;
    std::ranges::sort(seconds);
    const double megabytes = static_cast<double>(peak > before ? peak - before : 0) / 1e6;
    const bool hasLongNames = isAsked("SIGMASCOPE_BENCH_LONG_NAMES");
    fmt::print("open {} tensors in {} shards{}: median {:.3f} s (min {:.3f}, max {:.3f}), peak memory +{:.1f} MB; aims 1.5 s, {} MB\n",
               size.tensors, size.shards, hasLongNames ? ", names of 1 KB" : "", seconds[seconds.size() / 2], seconds.front(),
               seconds.back(), megabytes, hasLongNames ? 800 : 300);
    return seconds[seconds.size() / 2] < 1.5 && megabytes < 300 ? 0 : 1;
}
