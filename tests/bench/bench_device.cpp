// SPDX-License-Identifier: GPL-3.0-or-later
// Speed of the Vulkan kernels as a share of a plain copy in device memory, and of the whole ops as a share of
// moving the same bytes to the device. Wall time, submission included; median of five interleaved runs.
// A copy counts the bytes it reads and those it writes; so does a kernel. Products are given in GFLOP/s, beside the
// rate of a plain copy in the same run.
//
// bench_device [N]: the device vulkan:N; without it the best one, or a software device if there is no other.
// SIGMASCOPE_BENCH_SMALL=1 in the environment: sizes for a look at whether it still runs.

#include "core/base/Half.h"
#include "core/base/Random.h"
#include "gpu/CommandStream.h"
#include "gpu/Moments.h"
#include "gpu/OpContext.h"
#include "gpu/VulkanBackend.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace sigmascope::bench {
namespace {

constexpr std::size_t kRuns = 5;
constexpr Bytes kEncodeHeader = 16;

/// Ends the program: a bench without its device has nothing to report.
template <class T> T required(Result<T> result)
{
    if (!result) {
        fmt::print(stderr, "bench_device: {}\n", result.error().detail);
        std::exit(1);
    }
    return std::move(*result);
}

void required(const Status& status)
{
    if (!status) {
        fmt::print(stderr, "bench_device: {}\n", status.error().detail);
        std::exit(1);
    }
}

double medianSeconds(std::array<double, kRuns> times)
{
    std::ranges::sort(times);
    return times[kRuns / 2];
}

double seconds(const std::function<void()>& work)
{
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Side {
    std::string name;
    Bytes bytes;
    std::function<void()> work;
};

/// One line: ours, the peer, the ratio of their rates.
void compete(const Side& ours, const Side& peer)
{
    std::array<double, kRuns> mine{};
    std::array<double, kRuns> theirs{};
    ours.work();  // pipelines and buffers are made on first use
    peer.work();
    for (std::size_t run = 0; run < kRuns; ++run) {
        theirs[run] = seconds(peer.work);
        mine[run] = seconds(ours.work);
    }
    const double ourRate = static_cast<double>(ours.bytes) * 1e-9 / medianSeconds(mine);
    const double peerRate = static_cast<double>(peer.bytes) * 1e-9 / medianSeconds(theirs);
    fmt::print("{:<36} {:>9.2f} GB/s   {:<20} {:>9.2f} GB/s   ratio {:.3f}\n", ours.name, ourRate, peer.name, peerRate,
               ourRate / peerRate);
}

std::vector<float> weights(std::size_t count)
{
    std::vector<float> pattern(std::size_t{1} << 20);
    fillNormal<float>(1, pattern, 0.02);
    std::vector<float> all(count);
    for (std::size_t i = 0; i < count; ++i)
        all[i] = pattern[i % pattern.size()];
    return all;
}

std::vector<std::byte> asBf16(const std::vector<float>& values)
{
    std::vector<std::byte> bytes(values.size() * 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint16_t code = floatToBf16(values[i]);
        std::memcpy(bytes.data() + 2 * i, &code, sizeof code);
    }
    return bytes;
}

/// The kernels on data that lies in device memory.
class Resident {
public:
    Resident(gpu::Device& device, Bytes size)
        : m_pool(device)
        , m_kernels(device, std::filesystem::path())
        , m_size(size)
        , m_upload(required(m_pool.create(size, gpu::MemoryUse::Upload)))
        , m_input(required(m_pool.create(size, gpu::MemoryUse::Kernel)))
        , m_output(required(m_pool.create(size, gpu::MemoryUse::Kernel)))
        , m_stream(required(gpu::CommandStream::create(device)))
    {
    }

    void load(std::span<const std::byte> bytes)
    {
        const auto to = m_upload.mapped().first(m_size);
        for (std::size_t at = 0; at < to.size(); at += bytes.size())  // a smaller source is repeated
            std::memcpy(to.data() + at, bytes.data(), std::min(bytes.size(), to.size() - at));
        gpu::RoundTrip trip = buffers();
        trip.inputBytes = m_size;
        run(trip);
    }
    void copy()
    {
        gpu::RoundTrip trip = buffers();
        trip.copyBytes = m_size;
        run(trip);
    }
    /// A kernel over what lies in memory, its bindings 0 and 1; @param words its push constants.
    void dispatch(gpu::KernelId id, std::uint32_t constant, std::initializer_list<std::uint32_t> words,
                  std::uint32_t groups)
    {
        gpu::Pass pass;
        pass.kernel = required(m_kernels.get(id, constant));
        pass.buffers = {&m_input, &m_output};
        pass.tell(words);
        pass.groupsX = groups;
        gpu::RoundTrip trip = buffers();
        trip.passes = std::span(&pass, 1);
        run(trip);
    }
    [[nodiscard]] Side copySide()
    {
        return {"device copy", 2 * m_size, [this] { copy(); }};
    }

private:
    [[nodiscard]] gpu::RoundTrip buffers() const
    {
        gpu::RoundTrip trip;
        trip.upload = &m_upload;
        trip.input = &m_input;
        trip.output = &m_output;
        return trip;
    }
    void run(const gpu::RoundTrip& trip)
    {
        required(m_stream.submit(trip));
        required(m_stream.wait());
    }

    gpu::MemoryPool m_pool;
    gpu::KernelCache m_kernels;
    Bytes m_size;
    gpu::Buffer m_upload, m_input, m_output;
    gpu::CommandStream m_stream;
};

std::uint32_t ceilDiv(std::uint64_t a, std::uint64_t b)
{
    return static_cast<std::uint32_t>((a + b - 1) / b);
}

void benchKernels(gpu::Device& device, Bytes size, const std::vector<float>& values)
{
    Resident resident(device, size);
    const auto floats = std::as_bytes(std::span<const float>(values)).first(size);
    const std::vector<std::byte> halves = asBf16(values);
    const auto scan = [&](DType type) {
        const auto elements = static_cast<std::uint32_t>(size / (info(type).blockBits / 8));
        const std::uint32_t constant = *gpu::storedType(type);
        const auto over = [&, elements, constant](gpu::KernelId id, std::uint64_t perGroup) {
            return [&resident, id, elements, constant, groups = ceilDiv(elements, perGroup)] {
                resident.dispatch(id, constant, {elements}, groups);
            };
        };
        compete({fmt::format("statistics {}, in device memory", info(type).name), size,
                 over(gpu::KernelId::Statistics, gpu::kChunkElements)},
                resident.copySide());
        // The counters must fit the output, as large as the input.
        if (size >= Bytes{4} << 18)
            compete({fmt::format("histogram {}, in device memory", info(type).name), size,
                     over(gpu::KernelId::Histogram, 8192)},
                    resident.copySide());
    };
    resident.load(halves);
    scan(DType::BF16);
    resident.load(floats);
    scan(DType::F32);
    const auto encode = [&](std::string_view name, gpu::KernelId id, Bytes blockBytes) {
        const auto blocks = static_cast<std::uint32_t>(size / 128);
        const std::uint32_t groups = ceilDiv(blocks / 2, gpu::kernelRow(id).workgroup);
        compete({std::string(name), size + blocks * blockBytes + kEncodeHeader,
                 [&resident, id, blocks, groups] { resident.dispatch(id, 0, {blocks}, groups); }},
                resident.copySide());
    };
    encode("encode q4_0, in device memory", gpu::KernelId::EncodeQ4_0, 18);
    encode("encode q8_0, in device memory", gpu::KernelId::EncodeQ8_0, 34);
}

void benchOps(gpu::Device& device, ComputeBackend& backend, Bytes size, const std::vector<float>& values)
{
    Resident resident(device, size);
    const std::vector<std::byte> halves = asBf16(values);
    const auto floats = std::as_bytes(std::span<const float>(values));
    const Side upload{"upload alone", size, [&] { resident.load(floats.first(size)); }};
    const TensorView bf16{DType::BF16, {values.size()}, halves};
    const TensorView f32{DType::F32, {values.size()}, floats};
    std::vector<std::byte> out(values.size() / 32 * 18);
    compete({"statistics bf16, from host memory", halves.size(), [&] { required(backend.statistics(bf16, {})); }},
            upload);
    compete({"statistics f32, from host memory", floats.size(), [&] { required(backend.statistics(f32, {})); }},
            upload);
    compete({"histogram bf16, from host memory", halves.size(), [&] { required(backend.histogram(bf16, {})); }},
            upload);
    compete({"encode q4_0, to and from host memory", floats.size() + out.size(),
             [&] { required(backend.encode(DType::Q4_0, values, 1, values.size(), out, {})); }},
            upload);
    const CodeFormat groups{.groups = {4, 128, false}};
    constexpr std::uint64_t kCols = 4096;
    const std::uint64_t rows = values.size() / kCols;
    std::vector<std::byte> codes(rows * groups.rowBytes(kCols));
    compete({"encode int4-g128 with error sums", floats.size() + codes.size(),
             [&] { required(backend.encodeMeasured(groups, values, rows, kCols, {}, codes, {})); }},
            upload);
}

/// The searches of super-blocks, with importances and without, beside the CPU's on all its threads. Bytes are the weights'.
void benchSearches(ComputeBackend& backend, std::size_t count, const std::vector<float>& values)
{
    constexpr std::uint64_t kCols = 4096;
    const std::uint64_t rows = std::max<std::uint64_t>(1, count / kCols);
    const auto part = std::span<const float>(values).first(rows * kCols);
    std::vector<float> importance(kCols);
    for (std::size_t i = 0; i < importance.size(); ++i)
        importance[i] = 0.01F + values[i] * values[i];
    const auto cpu = makeCpuBackend();
    for (const DType type :
         {DType::Q2_K, DType::Q3_K, DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_XS}) {
        std::vector<std::byte> out(part.size() / 256 * (info(type).blockBits / 8));
        const auto plain = [&](ComputeBackend& on) { required(on.encode(type, part, rows, kCols, out, {})); };
        const auto weighted = [&](ComputeBackend& on) {
            static_cast<void>(required(on.encodeWeighted(type, part, rows, kCols, importance, out, {})));
        };
        compete({fmt::format("encode {}", info(type).name), part.size_bytes(), [&] { plain(backend); }},
                {"the CPU", part.size_bytes(), [&] { plain(*cpu); }});
        compete({fmt::format("encode {} by importances", info(type).name), part.size_bytes(), [&] { weighted(backend); }},
                {"the CPU", part.size_bytes(), [&] { weighted(*cpu); }});
    }
}

void printProduct(std::string_view name, double flops, const std::function<void()>& work, const Side& copy)
{
    std::array<double, kRuns> mine{};
    std::array<double, kRuns> theirs{};
    work();
    copy.work();
    for (std::size_t run = 0; run < kRuns; ++run) {
        theirs[run] = seconds(copy.work);
        mine[run] = seconds(work);
    }
    fmt::print("{:<36} {:>9.2f} GFLOP/s {:<20} {:>9.2f} GB/s\n", name, flops * 1e-9 / medianSeconds(mine), copy.name,
               static_cast<double>(copy.bytes) * 1e-9 / medianSeconds(theirs));
}

/// Products of an int4 residual with 48 vectors, both ways, and their Gram matrix; the residual stays on the device.
void benchProducts(gpu::Device& device, ComputeBackend& backend, std::uint64_t side, const std::vector<float>& values)
{
    constexpr std::uint64_t kVectors = 48;
    Resident resident(device, Bytes{1} << 20);
    const CodeFormat format{.groups = {4, 128, false}};
    const auto weights = std::span<const float>(values).first(side * side);
    std::vector<std::byte> codes(side * format.rowBytes(side));
    required(backend.encodeMeasured(format, weights, side, side, {}, codes, {}));
    const auto products = required(backend.products({weights, side, side, format, codes}, {}));
    const std::vector<float> panel(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(kVectors * side));
    std::vector<float> out(panel.size());
    std::vector<double> gram(kVectors * kVectors);
    const double flops = 2.0 * static_cast<double>(side * side * kVectors);
    printProduct(
        fmt::format("residual {0} x {0} times sketch {1}", side, kVectors), flops,
        [&] { required(products->timesCols(panel, kVectors, out, {})); }, resident.copySide());
    printProduct(
        "its transpose", flops, [&] { required(products->timesRows(panel, kVectors, out, {})); }, resident.copySide());
    printProduct(
        "gram of the sketch", 2.0 * static_cast<double>(side * kVectors * kVectors),
        [&] {
            required(products->gram({panel, kVectors, panel, kVectors, side}, gram, {}));
        },
        resident.copySide());
}

/// Streaming through the ring beside its two halves: at best it takes as long as the longer one.
void benchOverlap(gpu::Device& device, ComputeBackend& backend, Bytes size, const std::vector<float>& values)
{
    Resident resident(device, size);
    const auto part = std::span<const float>(values).first(size / sizeof(float));
    const TensorView view{DType::F32, {part.size()}, std::as_bytes(part)};
    const auto elements = static_cast<std::uint32_t>(part.size());
    std::array<std::array<double, kRuns>, 3> times{};
    for (std::size_t run = 0; run < kRuns; ++run) {
        times[0][run] = seconds([&] { resident.load(std::as_bytes(part)); });
        times[1][run] = seconds([&] {
            resident.dispatch(gpu::KernelId::Statistics, *gpu::storedType(DType::F32), {elements},
                              ceilDiv(elements, gpu::kChunkElements));
        });
        times[2][run] = seconds([&] { required(backend.statistics(view, {})); });
    }
    const double upload = medianSeconds(times[0]);
    const double compute = medianSeconds(times[1]);
    const double both = medianSeconds(times[2]);
    fmt::print("{:<36} {:>9.2f} ms        upload {:.2f} ms, compute {:.2f} ms, both over the longer {:.2f}\n",
               "upload and statistics overlapped", both * 1e3, upload * 1e3, compute * 1e3,
               both / std::max(upload, compute));
}

int run(int index)
{
    const bool small = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    gpu::Faults none{VulkanLimits{}};
    const auto device = required(gpu::Device::create(index, gpu::validationWanted(), none));
    const auto backend = required(makeVulkanBackend(index));
    const Bytes wanted = Bytes{small ? 4U : 256U} << 20;
    const Bytes size = std::min<Bytes>(wanted, device->maxBinding()) / 65536 * 65536;
    const std::vector<float> values = weights(wanted / sizeof(float));
    fmt::print("{}: {} ({}, {}); kernels on {} MiB, ops on {} MiB\n", device->info().id, device->info().name,
               device->info().kind, device->info().driver, size >> 20, wanted >> 20);
    benchKernels(*device, size, values);
    benchOps(*device, *backend, size, values);
    const bool software = device->info().kind == "software";
    benchSearches(*backend, std::size_t{1} << (small || software ? 17 : 25), values);
    benchProducts(*device, *backend, small ? 256 : software ? 1024 : 8192, values);
    benchOverlap(*device, *backend, size, values);
    for (const std::string& message : backend->diagnostics())
        fmt::print("validation: {}\n", message);
    return 0;
}

}  // namespace
}  // namespace sigmascope::bench

int main(int argc, char** argv)
{
    int index = std::max(0, sigmascope::bestVulkanDevice());
    if (argc > 1) {
        const std::string_view text(argv[1]);
        if (std::from_chars(text.data(), text.data() + text.size(), index).ec != std::errc{}) {
            fmt::print(stderr, "usage: bench_device [index of the Vulkan device]\n");
            return 2;
        }
    }
    return sigmascope::bench::run(index);
}
