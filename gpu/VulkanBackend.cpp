// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/VulkanBackend.h"

#include "gpu/ClipOp.h"
#include "gpu/CountOp.h"
#include "gpu/DecodeOp.h"
#include "gpu/EncodeOp.h"
#include "gpu/MeasureOp.h"
#include "gpu/OpContext.h"
#include "gpu/Operand.h"
#include "gpu/StatisticsOp.h"
#include "gpu/SuperEncodeOp.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace sigmascope {

namespace {

class VulkanBackend final : public ComputeBackend {
public:
    VulkanBackend(int index, const VulkanLimits& limits)
        : m_index(index)
        , m_faults(limits)
        , m_reference(makeCpuBackend())
    {
    }

    [[nodiscard]] Status open()
    {
        auto device = gpu::Device::create(m_index, gpu::validationWanted(), m_faults);
        if (!device)
            return passOn(device);
        m_info = (*device)->info();
        m_state = std::make_unique<gpu::DeviceState>(std::move(*device), m_faults.limits().cacheFolder);
        const std::lock_guard lock(m_messagesMutex);
        m_listening = m_state->device.get();
        return {};
    }

    [[nodiscard]] DeviceInfo device() const override { return m_info; }

    [[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        return onDevice(Op::Statistics, job, [&](gpu::OpContext& on) { return gpu::statistics(on, view, job); });
    }

    [[nodiscard]] Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out, const JobContext& job) override
    {
        return onDevice(Op::Encode, job,
                        [&](gpu::OpContext& on) { return gpu::encode(on, type, weights, rows, cols, out, job); });
    }

    [[nodiscard]] Result<std::string> encodeWeighted(DType type, std::span<const float> weights, std::uint64_t rows,
                                                     std::uint64_t cols, std::span<const float> importance,
                                                     std::span<std::byte> out, const JobContext& job) override
    {
        return onDevice(Op::EncodeWeighted, job, [&](gpu::OpContext& on) {
            return gpu::encodeSupers(on, type, weights, rows, cols, importance, out, job);
        });
    }

    [[nodiscard]] Result<ErrorSums> encodeMeasured(const CodeFormat& format, std::span<const float> weights,
                                                   std::uint64_t rows, std::uint64_t cols, std::span<const float> scale,
                                                   std::span<std::byte> out, const JobContext& job) override
    {
        return onDevice(Op::EncodeGroups, job, [&](gpu::OpContext& on) {
            return gpu::encodeMeasured(on, format, weights, rows, cols, scale, out, job);
        });
    }

    [[nodiscard]] Result<std::vector<std::uint8_t>> clipReaches(const GroupFormat& format,
                                                                std::span<const float> weights, std::uint64_t rows,
                                                                std::uint64_t cols, std::span<const float> scale,
                                                                const JobContext& job) override
    {
        return onDevice(Op::ClipSearch, job, [&](gpu::OpContext& on) {
            return gpu::clipReaches(on, format, weights, rows, cols, scale, job);
        });
    }

    [[nodiscard]] Result<ErrorSums> errorSums(const ResidualSource& source, std::span<const float> scale,
                                              const JobContext& job) override
    {
        if (!gpu::codedKind(source.format))
            return unsupported(Op::Reduce, *source.format);
        return onDevice(Op::Reduce, job, [&](gpu::OpContext& on) { return gpu::errorSums(on, source, scale, job); });
    }

    [[nodiscard]] Status decode(const TensorView& view, std::span<float> out, const JobContext& job) override
    {
        return onDevice(Op::Decode, job, [&](gpu::OpContext& on) { return gpu::decode(on, view, out, job); });
    }

    [[nodiscard]] Result<CodeCounts> histogram(const TensorView& view, const JobContext& job) override
    {
        return onDevice(Op::Histogram, job, [&](gpu::OpContext& on) { return gpu::histogram(on, view, job); });
    }

    [[nodiscard]] Result<std::vector<std::uint64_t>> binned(const TensorView& view, std::span<const float> edges,
                                                            const JobContext& job) override
    {
        return onDevice(Op::Histogram, job, [&](gpu::OpContext& on) { return gpu::binned(on, view, edges, job); });
    }

    [[nodiscard]] Result<std::unique_ptr<MatrixProducts>> products(const ResidualSource& source,
                                                                   const JobContext& job) override;

    [[nodiscard]] bool supports(Op op, DType type) const override
    {
        switch (op) {
        case Op::Statistics:
        case Op::Histogram:
            return gpu::storedType(type).has_value();
        case Op::Encode:
            return gpu::encodeKernel(type).has_value() || gpu::superKernel(type, false).has_value();
        case Op::EncodeWeighted:
            return gpu::superKernel(type, true).has_value();
        case Op::Decode:
            return gpu::canDecode(type);
        case Op::Reduce:
        case Op::Sketch:
            return type == DType::F32 || type == DType::F16 || gpu::codedKind(type).has_value();
        case Op::EncodeGroups:
        case Op::Gram:
        case Op::ClipSearch:
            return true;
        }
        return false;
    }
    [[nodiscard]] std::string deviceFor(Op, DType) const override { return m_info.id; }
    /// Ops of which the CPU did a part: values below 2^-100, or an element too near 6 stddev for float sums.
    [[nodiscard]] std::size_t fallbackCount() const override
    {
        return m_fallbacks;  // atomic: the status bar asks while an op runs
    }
    [[nodiscard]] std::vector<std::string> diagnostics() const override
    {
        const std::lock_guard lock(m_messagesMutex);  // not the ops' own: nobody who asks waits for a device
        std::vector<std::string> all = m_earlierMessages;
        if (m_listening != nullptr)
            std::ranges::move(m_listening->messages(), std::back_inserter(all));
        return all;
    }

private:
    friend class VulkanProducts;

    [[nodiscard]] tl::unexpected<Error> unsupported(Op op, const CodeFormat& format) const
    {
        return fail(ErrorCode::UnsupportedType, fmt::format("{} has no {} of {}", m_info.id, id(op), format.id()));
    }

    /// Runs an op; begins it again once on a device that was lost and opened anew, or when a slice was not written
    /// or wrong. What happened twice will happen again: the device is not asked any more.
    template <class Run>
    [[nodiscard]] auto onDevice(Op op, const JobContext& job, const Run& run)
        -> decltype(run(std::declval<gpu::OpContext&>()))
    {
        const std::lock_guard lock(m_mutex);
        for (bool again = false;; again = true) {
            if (const Status ready = usable(); !ready)
                return passOn(ready);
            gpu::OpContext context{*m_state->device, m_state->kernels, m_state->memory, m_state->tiles, *m_reference};
            auto result = run(context);
            m_fallbacks += context.usedReference ? 1U : 0U;
            if (result) {
                job.reportRan(id(op), m_info.id);
                return result;
            }
            if (result.error().code != ErrorCode::DeviceFailed)
                return result;
            const bool wasLost = m_state->device->isLost();
            if (wasLost)
                close();
            if (again || (wasLost && m_reopened)) {
                m_failure = result.error();
                return result;
            }
            m_reopened = m_reopened || wasLost;
        }
    }

    /// Opens the device again after a loss.
    [[nodiscard]] Status usable()
    {
        if (m_failure)
            return fail(m_failure->code, fmt::format("{}; it is not used any more", m_failure->detail));
        return m_state ? Status() : open();
    }

    void close()
    {
        {
            const std::lock_guard lock(m_messagesMutex);
            std::ranges::move(m_listening->messages(), std::back_inserter(m_earlierMessages));
            m_listening = nullptr;
        }
        m_state.reset();
    }

    mutable std::mutex m_mutex;
    int m_index;
    gpu::Faults m_faults;
    DeviceInfo m_info;
    std::unique_ptr<gpu::DeviceState> m_state;
    std::unique_ptr<ComputeBackend> m_reference;
    mutable std::mutex m_messagesMutex;
    const gpu::Device* m_listening = nullptr;
    std::vector<std::string> m_earlierMessages;  // of a device that was lost
    std::optional<Error> m_failure;
    bool m_reopened = false;
    std::uint64_t m_products = 0;
    std::atomic<std::size_t> m_fallbacks{0};
};

/// The operand lies with the device's state, so that it goes when the device goes; it is sent again when missing.
class VulkanProducts final : public MatrixProducts {
public:
    VulkanProducts(VulkanBackend& backend, const ResidualSource& source, std::uint64_t id)
        : m_backend(backend)
        , m_source(source)
        , m_id(id)
    {
    }
    VulkanProducts(const VulkanProducts&) = delete;
    VulkanProducts& operator=(const VulkanProducts&) = delete;
    ~VulkanProducts() override
    {
        const std::lock_guard lock(m_backend.m_mutex);
        if (m_backend.m_state) {
            m_backend.m_state->resident.erase(m_id);
            m_backend.m_state->memory.trim();
        }
    }

    Status timesRows(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                     const JobContext& job) override
    {
        return times(true, panel, vectors, out, job);
    }
    Status timesCols(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                     const JobContext& job) override
    {
        return times(false, panel, vectors, out, job);
    }
    Status gram(const PanelPair& panels, std::span<double> out, const JobContext& job) override
    {
        const ResidualSource rows{panels.b, panels.rowsB, panels.length, std::nullopt, {}};
        gpu::Operand none;
        return m_backend.onDevice(Op::Gram, job, [&](gpu::OpContext& on) {
            const gpu::Product product{false, panels.a, panels.rowsA,
                                       [&](std::uint64_t vector, std::uint64_t first, std::span<const gpu::Sum> sums) {
                                           double* to = out.data() + vector * panels.rowsB + first;
                                           for (const gpu::Sum& sum : sums)
                                               *to++ = static_cast<double>(sum.high) + static_cast<double>(sum.low);
                                       }};
            return gpu::multiply(on, rows, none, product, quiet(job));
        });
    }

private:
    Status times(bool overRows, std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                 const JobContext& job)
    {
        const std::uint64_t width = overRows ? m_source.cols : m_source.rows;
        return m_backend.onDevice(Op::Sketch, job, [&](gpu::OpContext& on) -> Status {
            const auto operand = kept(on, job);
            if (!operand)
                return passOn(operand);
            const gpu::Product product{overRows, panel, vectors,
                                       [&](std::uint64_t vector, std::uint64_t first, std::span<const gpu::Sum> sums) {
                                           float* to = out.data() + vector * width + first;
                                           for (const gpu::Sum& sum : sums)
                                               *to++ = sum.high + sum.low;
                                       }};
            return gpu::multiply(on, m_source, **operand, product, quiet(job));
        });
    }

    /// A product is a step of something larger, which knows how far it is.
    [[nodiscard]] static JobContext quiet(const JobContext& job) { return {.stop = job.stop}; }

    [[nodiscard]] Result<gpu::Operand*> kept(gpu::OpContext& on, const JobContext& job)
    {
        auto& resident = m_backend.m_state->resident;
        auto known = resident.find(m_id);
        if (known == resident.end()) {
            auto made = gpu::keptOperand(on, m_source, job);
            if (!made)
                return passOn(made);
            known = resident.emplace(m_id, std::make_shared<gpu::Operand>(std::move(*made))).first;
        }
        return static_cast<gpu::Operand*>(known->second.get());
    }

    VulkanBackend& m_backend;
    ResidualSource m_source;
    std::uint64_t m_id;
};

Result<std::unique_ptr<MatrixProducts>> VulkanBackend::products(const ResidualSource& source, const JobContext&)
{
    if (!gpu::codedKind(source.format))
        return unsupported(Op::Sketch, *source.format);
    const std::lock_guard lock(m_mutex);
    return std::make_unique<VulkanProducts>(*this, source, ++m_products);
}

}  // namespace

std::vector<DeviceInfo> listVulkanDevices()
{
    const auto instance = gpu::Instance::create(gpu::validationWanted());
    std::vector<DeviceInfo> devices;
    if (instance)
        for (auto& device : (*instance)->devices())
            devices.push_back(std::move(device.info));
    return devices;
}

std::string vulkanObstacle()
{
    const auto instance = gpu::Instance::create(gpu::validationWanted());
    if (!instance)
        return instance.error().detail;
    return (*instance)->devices().empty() ? "no Vulkan device on this machine" : "";
}

Result<std::unique_ptr<ComputeBackend>> makeVulkanBackend(int index, const VulkanLimits& limits)
{
    auto backend = std::make_unique<VulkanBackend>(index, limits);
    if (const Status opened = backend->open(); !opened)
        return passOn(opened);
    return backend;
}

}  // namespace sigmascope
