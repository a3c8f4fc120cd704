// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ComputeBackend.h"

#include <algorithm>
#include <atomic>
#include <fmt/format.h>

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
        return firstOrSecond<Result<TensorStats>>(
            Op::Statistics, view.dtype, job,
            [&](ComputeBackend& backend, const JobContext& told) { return backend.statistics(view, told); });
    }

    [[nodiscard]] Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out, const JobContext& job) override
    {
        return firstOrSecond<Status>(Op::Encode, type, job, [&](ComputeBackend& backend, const JobContext& told) {
            return backend.encode(type, weights, rows, cols, out, told);
        });
    }

    [[nodiscard]] Result<std::string> encodeWeighted(DType type, std::span<const float> weights, std::uint64_t rows,
                                                     std::uint64_t cols, std::span<const float> importance,
                                                     std::span<std::byte> out, const JobContext& job) override
    {
        return firstOrSecond<Result<std::string>>(
            Op::EncodeWeighted, type, job, [&](ComputeBackend& backend, const JobContext& told) {
                return backend.encodeWeighted(type, weights, rows, cols, importance, out, told);
            });
    }

    [[nodiscard]] Result<ErrorSums> encodeMeasured(const CodeFormat& format, std::span<const float> weights,
                                                   std::uint64_t rows, std::uint64_t cols,
                                                   std::span<const float> scale, std::span<std::byte> out,
                                                   const JobContext& job) override
    {
        return firstOrSecond<Result<ErrorSums>>(
            format.block ? Op::Encode : Op::EncodeGroups, askedType(format), job,
            [&](ComputeBackend& backend, const JobContext& told) {
                return backend.encodeMeasured(format, weights, rows, cols, scale, out, told);
            });
    }

    [[nodiscard]] Result<std::vector<std::uint8_t>> clipReaches(const GroupFormat& format,
                                                                std::span<const float> weights, std::uint64_t rows,
                                                                std::uint64_t cols, std::span<const float> scale,
                                                                const JobContext& job) override
    {
        return firstOrSecond<Result<std::vector<std::uint8_t>>>(
            Op::ClipSearch, DType::F16, job, [&](ComputeBackend& backend, const JobContext& told) {
                return backend.clipReaches(format, weights, rows, cols, scale, told);
            });
    }

    [[nodiscard]] Result<ErrorSums> errorSums(const ResidualSource& source, std::span<const float> scale,
                                              const JobContext& job) override
    {
        return firstOrSecond<Result<ErrorSums>>(
            Op::Reduce, askedType(source.format), job,
            [&](ComputeBackend& backend, const JobContext& told) { return backend.errorSums(source, scale, told); });
    }

    [[nodiscard]] Status decode(const TensorView& view, std::span<float> out, const JobContext& job) override
    {
        return firstOrSecond<Status>(
            Op::Decode, view.dtype, job,
            [&](ComputeBackend& backend, const JobContext& told) { return backend.decode(view, out, told); });
    }

    [[nodiscard]] Result<CodeCounts> histogram(const TensorView& view, const JobContext& job) override
    {
        return firstOrSecond<Result<CodeCounts>>(
            Op::Histogram, view.dtype, job,
            [&](ComputeBackend& backend, const JobContext& told) { return backend.histogram(view, told); });
    }

    [[nodiscard]] Result<std::vector<std::uint64_t>> binned(const TensorView& view, std::span<const float> edges,
                                                            const JobContext& job) override
    {
        return firstOrSecond<Result<std::vector<std::uint64_t>>>(
            Op::Histogram, view.dtype, job,
            [&](ComputeBackend& backend, const JobContext& told) { return backend.binned(view, edges, told); });
    }

    [[nodiscard]] Result<std::unique_ptr<MatrixProducts>> products(const ResidualSource& source,
                                                                   const JobContext& job) override;

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
    friend class FallbackProducts;

    [[nodiscard]] bool asksFirst(Op op, DType type) const { return !m_firstFailed && m_first->supports(op, type); }

    /// Errors of the data (non-finite values, cancellation) are answers, not failures of a device: both would say so.
    template <class Answer, class Run>
    Answer firstOrSecond(Op op, DType type, const JobContext& job, Run run)
    {
        std::string why = whyNotFirst(op, type);
        if (why.empty()) {
            Answer answer = run(*m_first, job);
            if (answer || !mayFallBack(answer.error()))
                return answer;
            why = answer.error().detail;
        }
        ++m_fallbacks;
        return run(*m_second, withReason(job, std::move(why)));
    }

    /// Empty when the first is asked.
    [[nodiscard]] std::string whyNotFirst(Op op, DType type) const
    {
        const std::string device = m_first->device().id;
        if (m_firstFailed)
            return device + " failed earlier in this run";
        return m_first->supports(op, type) ? std::string()
                                           : fmt::format("{} has no {} of {}", device, id(op), info(type).name);
    }

    [[nodiscard]] bool mayFallBack(const Error& error)
    {
        if (error.code == ErrorCode::DeviceFailed)
            m_firstFailed = true;
        return error.code == ErrorCode::DeviceFailed || error.code == ErrorCode::OutOfMemory
            || error.code == ErrorCode::UnsupportedType;
    }

    [[nodiscard]] static JobContext withReason(const JobContext& job, std::string why)
    {
        JobContext told = job;
        if (job.ran)
            told.ran = [ran = job.ran, why = std::move(why)](std::string_view op, std::string_view device,
                                                             std::string_view) { ran(op, device, why); };
        return told;
    }

    std::unique_ptr<ComputeBackend> m_first;
    std::unique_ptr<ComputeBackend> m_second;
    std::atomic<bool> m_firstFailed{false};
    std::atomic<std::size_t> m_fallbacks{0};
};

/// Products that move to the second backend when the first can no longer do them.
class FallbackProducts final : public MatrixProducts {
public:
    FallbackProducts(FallbackBackend& backend, const ResidualSource& source) : m_backend(backend), m_source(source) {}

    /// Asks the first backend for its products.
    [[nodiscard]] Status prepare(const JobContext& job)
    {
        const DType type = askedType(m_source.format);
        m_why = m_backend.whyNotFirst(Op::Sketch, type);
        if (m_why.empty()) {
            auto made = m_backend.m_first->products(m_source, job);
            if (made) {
                m_products = std::move(*made);
                return {};
            }
            if (!m_backend.mayFallBack(made.error()))
                return passOn(made);
            m_why = made.error().detail;
        }
        return moveOn(job);
    }

    Status timesRows(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                     const JobContext& job) override
    {
        return firstOrSecond(Op::Sketch, job,
                             [&](const JobContext& told) { return m_products->timesRows(panel, vectors, out, told); });
    }
    Status timesCols(std::span<const float> panel, std::uint64_t vectors, std::span<float> out,
                     const JobContext& job) override
    {
        return firstOrSecond(Op::Sketch, job,
                             [&](const JobContext& told) { return m_products->timesCols(panel, vectors, out, told); });
    }
    Status gram(const PanelPair& panels, std::span<double> out, const JobContext& job) override
    {
        return firstOrSecond(Op::Gram, job,
                             [&](const JobContext& told) { return m_products->gram(panels, out, told); });
    }

private:
    [[nodiscard]] Status moveOn(const JobContext& job)
    {
        auto made = m_backend.m_second->products(m_source, job);
        if (!made)
            return passOn(made);
        m_products = std::move(*made);
        m_onSecond = true;
        ++m_backend.m_fallbacks;
        return {};
    }

    template <class Run> Status firstOrSecond(Op op, const JobContext& job, const Run& run)
    {
        if (!m_onSecond) {
            Status done = run(job);
            if (done || !m_backend.mayFallBack(done.error()))
                return done;
            m_why = done.error().detail;
            if (Status moved = moveOn(job); !moved)
                return moved;
        }
        Status done = run(job);
        if (done)
            job.reportRan(id(op), m_backend.m_second->device().id, m_why);
        return done;
    }

    FallbackBackend& m_backend;
    ResidualSource m_source;
    std::unique_ptr<MatrixProducts> m_products;
    std::string m_why;
    bool m_onSecond = false;
};

Result<std::unique_ptr<MatrixProducts>> FallbackBackend::products(const ResidualSource& source, const JobContext& job)
{
    auto products = std::make_unique<FallbackProducts>(*this, source);
    if (Status ready = products->prepare(job); !ready)
        return passOn(ready);
    return products;
}

}  // namespace

std::unique_ptr<ComputeBackend> makeFallbackBackend(std::unique_ptr<ComputeBackend> first,
                                                    std::unique_ptr<ComputeBackend> second)
{
    return std::make_unique<FallbackBackend>(std::move(first), std::move(second));
}

}  // namespace sigmascope
