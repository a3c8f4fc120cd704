// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// What the run and its preflight share about one tensor. Internal to core/project.

#include "core/grid/Grid.h"
#include "core/project/Pipeline.h"

#include <memory>
#include <span>
#include <vector>

namespace sigmascope
{

/// Floats that nobody has set yet: a vector would first fill hundreds of megabytes with zeros, on one thread.
class FloatBuffer
{
public:
    FloatBuffer() = default;
    explicit FloatBuffer(std::size_t size)
        : m_data(std::make_unique_for_overwrite<float[]>(size))
        , m_size(size)
    {
    }
    [[nodiscard]] std::span<float> span() { return {m_data.get(), m_size}; }
    [[nodiscard]] std::span<const float> span() const { return {m_data.get(), m_size}; }

private:
    std::unique_ptr<float[]> m_data;
    std::size_t m_size = 0;
};

/// Rows [first, first + count) as floats, on all threads. @pre out.size() == count * view.cols().
[[nodiscard]] Status decodedRows(const TensorView& view, std::uint64_t first, std::uint64_t count, std::span<float> out,
                                 const JobContext& job);
/// The whole tensor.
[[nodiscard]] Result<FloatBuffer> decodedTensor(const TensorView& view, const JobContext& job);

/// E = W - Q of W [rows x cols] into @p residual. Meaningless once the job is cancelled.
void residualInto(std::span<const float> weights, const QuantizedTensor& quantized, std::span<float> residual,
                  const JobContext& job);
[[nodiscard]] FloatBuffer residualOf(std::span<const float> weights, const QuantizedTensor& quantized,
                                     const JobContext& job);

/// Takes the tensor's pages out of this process's memory, where a mapped model would otherwise end up whole.
void releasePages(const Checkpoint& checkpoint, std::size_t tensor);

/// Why the metric of a layer is not the one that its plan asks for; empty if it is. So it is, too, for an encoder that weighs
/// errors by importances where there are any: without a calibration, and for an embedding, which no calibration sees.
[[nodiscard]] std::string whyOtherMetric(const LayerPlan& plan, const Metric& metric, const Imatrix* calibration,
                                         std::string_view name);

/// The metric errors are reported in: the plan's own if it has one, else the RMS of the calibration.
[[nodiscard]] Metric reportingMetric(const LayerPlan& plan, const Imatrix* calibration, std::string_view name,
                                     std::uint64_t cols);

} // namespace sigmascope
