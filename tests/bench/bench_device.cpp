// SPDX-License-Identifier: GPL-3.0-or-later
// Speed of the Vulkan kernels as a share of a plain copy in device memory, and of the whole ops as a share of
// moving the same bytes to the device. Wall time, submission included; median of five interleaved runs.
// A copy counts the bytes it reads and those it writes; so does a kernel.
//
// bench_device [N]: the device vulkan:N; without it the best one, or a software device if there is no other.

#include "core/base/Half.h"
#include "core/base/Random.h"
#include "gpu/CommandStream.h"
#include "gpu/Moments.h"
#include "gpu/VulkanBackend.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <functional>
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
    std::string_view name;
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
        : m_device(device)
        , m_pool(device)
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
    void dispatch(gpu::KernelId id, std::uint32_t units, std::uint32_t workgroups)
    {
        if (!m_kernel || m_kernel->row().id != id)
            m_kernel = std::make_unique<gpu::Kernel>(required(gpu::Kernel::create(m_device, gpu::kernelRow(id))));
        gpu::RoundTrip trip = buffers();
        trip.kernel = m_kernel.get();
        trip.push = std::as_bytes(std::span(&units, 1));
        trip.workgroups = workgroups;
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

    gpu::Device& m_device;
    gpu::MemoryPool m_pool;
    Bytes m_size;
    gpu::Buffer m_upload, m_input, m_output;
    gpu::CommandStream m_stream;
    std::unique_ptr<gpu::Kernel> m_kernel;
};

void benchKernels(gpu::Device& device, Bytes size, const std::vector<float>& values)
{
    Resident resident(device, size);
    const auto floats = std::as_bytes(std::span<const float>(values)).first(size);
    const std::vector<std::byte> halves = asBf16(values);
    const auto statistics = [&](std::string_view name, gpu::KernelId id, Bytes elementBytes) {
        const auto elements = static_cast<std::uint32_t>(size / elementBytes);
        const auto chunks = static_cast<std::uint32_t>((elements + gpu::kChunkElements - 1) / gpu::kChunkElements);
        compete({name, size, [&resident, id, elements, chunks] { resident.dispatch(id, elements, chunks); }},
                resident.copySide());
    };
    resident.load(halves);
    statistics("statistics bf16, in device memory", gpu::KernelId::StatisticsBf16, 2);
    resident.load(floats);
    statistics("statistics f32, in device memory", gpu::KernelId::StatisticsF32, 4);
    const auto encode = [&](std::string_view name, gpu::KernelId id, Bytes blockBytes) {
        const auto blocks = static_cast<std::uint32_t>(size / 128);
        const std::uint32_t workgroup = gpu::kernelRow(id).workgroup;
        const std::uint32_t groups = (blocks / 2 + workgroup - 1) / workgroup;
        compete({name, size + blocks * blockBytes + kEncodeHeader,
                 [&resident, id, blocks, groups] { resident.dispatch(id, blocks, groups); }},
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
    compete({"encode q4_0, to and from host memory", floats.size() + out.size(),
             [&] { required(backend.encode(DType::Q4_0, values, 1, values.size(), out, {})); }},
            upload);
}

int run(int index)
{
    const bool small = std::getenv("SIGMASCOPE_BENCH_SMALL") != nullptr;
    const auto device = required(gpu::Device::create(index, gpu::validationWanted(), {}));
    const auto backend = required(makeVulkanBackend(index));
    const Bytes wanted = Bytes{small ? 4U : 256U} << 20;
    const Bytes size = std::min<Bytes>(wanted, device->maxBinding()) / 65536 * 65536;
    const std::vector<float> values = weights(wanted / sizeof(float));
    fmt::print("{}: {} ({}, {}); kernels on {} MiB, ops on {} MiB\n", device->info().id, device->info().name,
               device->info().kind, device->info().driver, size >> 20, wanted >> 20);
    benchKernels(*device, size, values);
    benchOps(*device, *backend, size, values);
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
