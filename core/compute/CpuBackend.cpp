// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ComputeBackend.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/compute/ops/Statistics.h"

#include <fmt/format.h>
#include <fstream>
#include <unistd.h>

namespace sigmascope {

namespace {

/// "model name" of the first CPU. Kernels of other architectures leave it out: the machine's own word for
/// itself then, or a plain "CPU".
std::string cpuName()
{
    std::ifstream cpuInfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuInfo, line);) {
        const bool named = line.starts_with("model name") || line.starts_with("Model\t") || line.starts_with("Model ");
        const std::size_t colon = line.find(':');
        if (named && colon != std::string::npos && colon + 2 < line.size())
            return line.substr(colon + 2);
    }
    return "CPU";
}

Bytes physicalMemory()
{
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long pageSize = ::sysconf(_SC_PAGESIZE);
    return pages > 0 && pageSize > 0 ? static_cast<Bytes>(pages) * static_cast<Bytes>(pageSize) : 0;
}

class CpuBackend final : public ComputeBackend {
public:
    CpuBackend() : m_device{"cpu", cpuName(), "cpu", physicalMemory(), std::string(simdLevel()), true, ""} {}

    [[nodiscard]] DeviceInfo device() const override { return m_device; }

    [[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        return sigmascope::statistics(view, job);
    }

    [[nodiscard]] Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out, const JobContext& job) override
    {
        return encodeBlocks(type, weights, rows, cols, out, job);
    }

    [[nodiscard]] bool supports(Op op, DType type) const override
    {
        return op == Op::Statistics ? info(type).decodable : hasBlockEncoder(type);
    }

    [[nodiscard]] std::string deviceFor(Op, DType) const override { return m_device.id; }

private:
    DeviceInfo m_device;
};

}  // namespace

std::string_view id(Op op)
{
    return op == Op::Statistics ? "statistics" : "encode";
}

std::unique_ptr<ComputeBackend> makeCpuBackend()
{
    return std::make_unique<CpuBackend>();
}

}  // namespace sigmascope
