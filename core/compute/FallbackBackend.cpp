// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ComputeBackend.h"

#include <algorithm>
#include <atomic>

namespace sigmascope {

namespace {

class FallbackBackend final : public ComputeBackend {
public:
    FallbackBackend(std::unique_ptr<ComputeBackend> first, std::unique_ptr<ComputeBackend> second)
        : m_first(std::move(first)), m_second(std::move(second))
    {
    }

    [[nodiscard]] DeviceInfo device() const override
    {
        DeviceInfo device = m_first->device();
        if (m_firstFailed) {
            device.usable = false;
            device.reason = "it failed during this run";
        }
        return device;
    }

    [[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        return firstOrSecond<Result<TensorStats>>(Op::Statistics, view.dtype,
                                                  [&](ComputeBackend& backend) { return backend.statistics(view, job); });
    }

    [[nodiscard]] Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out, const JobContext& job) override
    {
        return firstOrSecond<Status>(Op::Encode, type, [&](ComputeBackend& backend) {
            return backend.encode(type, weights, rows, cols, out, job);
        });
    }

    [[nodiscard]] bool supports(Op op, DType type) const override { return asksFirst(op, type); }

    [[nodiscard]] std::string deviceFor(Op op, DType type) const override
    {
        return (asksFirst(op, type) ? m_first : m_second)->deviceFor(op, type);
    }

    [[nodiscard]] std::size_t fallbackCount() const override
    {
        return m_fallbacks + m_first->fallbackCount() + m_second->fallbackCount();
    }

    [[nodiscard]] std::vector<std::string> diagnostics() const override
    {
        std::vector<std::string> all = m_first->diagnostics();
        std::ranges::move(m_second->diagnostics(), std::back_inserter(all));
        return all;
    }

private:
    [[nodiscard]] bool asksFirst(Op op, DType type) const { return !m_firstFailed && m_first->supports(op, type); }

    /// Errors of the data (non-finite values, cancellation) are answers, not failures of a device: both would say so.
    template <class Answer, class Run>
    Answer firstOrSecond(Op op, DType type, Run run)
    {
        if (asksFirst(op, type)) {
            Answer answer = run(*m_first);
            if (answer)
                return answer;
            const ErrorCode code = answer.error().code;
            if (code == ErrorCode::DeviceFailed)
                m_firstFailed = true;
            if (code != ErrorCode::DeviceFailed && code != ErrorCode::OutOfMemory && code != ErrorCode::UnsupportedType)
                return answer;
        }
        ++m_fallbacks;
        return run(*m_second);
    }

    std::unique_ptr<ComputeBackend> m_first;
    std::unique_ptr<ComputeBackend> m_second;
    std::atomic<bool> m_firstFailed{false};
    std::atomic<std::size_t> m_fallbacks{0};
};

}  // namespace

std::unique_ptr<ComputeBackend> makeFallbackBackend(std::unique_ptr<ComputeBackend> first,
                                                    std::unique_ptr<ComputeBackend> second)
{
    return std::make_unique<FallbackBackend>(std::move(first), std::move(second));
}

}  // namespace sigmascope
