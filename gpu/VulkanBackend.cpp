// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/VulkanBackend.h"

#include "gpu/Device.h"
#include "gpu/EncodeOp.h"
#include "gpu/OpContext.h"
#include "gpu/StatisticsOp.h"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace sigmascope {

namespace {

class VulkanBackend final : public ComputeBackend {
public:
    explicit VulkanBackend(std::unique_ptr<gpu::Device> device)
        : m_device(std::move(device))
        , m_kernels(*m_device)
        , m_tiles(*m_device)
        , m_reference(makeCpuBackend())
    {
    }

    [[nodiscard]] DeviceInfo device() const override { return m_device->info(); }

    [[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        const std::lock_guard lock(m_mutex);
        gpu::OpContext context{*m_device, m_kernels, m_tiles, *m_reference};
        auto result = gpu::statistics(context, view, job);
        m_fallbacks += context.usedReference ? 1U : 0U;
        return result;
    }

    [[nodiscard]] Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out, const JobContext& job) override
    {
        const std::lock_guard lock(m_mutex);
        gpu::OpContext context{*m_device, m_kernels, m_tiles, *m_reference};
        Status result = gpu::encode(context, type, weights, rows, cols, out, job);
        m_fallbacks += context.usedReference ? 1U : 0U;
        return result;
    }

    [[nodiscard]] bool supports(Op op, DType type) const override
    {
        return op == Op::Statistics ? gpu::statisticsKernel(type).has_value() : gpu::encodeKernel(type).has_value();
    }
    [[nodiscard]] std::string deviceFor(Op, DType) const override { return m_device->info().id; }
    /// Ops of which the CPU did a part: values below 2^-100, or an element too near 6 stddev for float sums.
    [[nodiscard]] std::size_t fallbackCount() const override
    {
        return m_fallbacks;  // atomic: the status bar asks while an op runs
    }
    [[nodiscard]] std::vector<std::string> diagnostics() const override { return m_device->messages(); }

private:
    mutable std::mutex m_mutex;
    std::unique_ptr<gpu::Device> m_device;  // first: everything below lives on it
    gpu::KernelCache m_kernels;
    gpu::Tiles m_tiles;
    std::unique_ptr<ComputeBackend> m_reference;
    std::atomic<std::size_t> m_fallbacks{0};
};

}  // namespace

namespace gpu {

Result<const Kernel*> KernelCache::get(KernelId id)
{
    if (const auto known = m_kernels.find(id); known != m_kernels.end())
        return &known->second;
    auto kernel = Kernel::create(m_device, kernelRow(id));
    if (!kernel)
        return passOn(kernel);
    return &m_kernels.emplace(id, std::move(*kernel)).first->second;
}

}  // namespace gpu

std::vector<DeviceInfo> listVulkanDevices()
{
    const auto instance = gpu::Instance::create(gpu::validationWanted());
    std::vector<DeviceInfo> devices;
    if (instance)
        for (auto& device : (*instance)->devices())
            devices.push_back(std::move(device.info));
    return devices;
}

int bestVulkanDevice()
{
    const auto devices = listVulkanDevices();
    const auto best = std::find_if(devices.begin(), devices.end(),
                                   [](const DeviceInfo& device) { return device.usable && device.kind != "software"; });
    return best == devices.end() ? -1 : static_cast<int>(best - devices.begin());
}

Result<std::unique_ptr<ComputeBackend>> makeVulkanBackend(int index, const VulkanLimits& limits)
{
    auto device = gpu::Device::create(index, gpu::validationWanted(), limits);
    if (!device)
        return passOn(device);
    return std::make_unique<VulkanBackend>(std::move(*device));
}

}  // namespace sigmascope
