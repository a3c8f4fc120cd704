// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ComputeBackend.h"
#include "core/base/Parallel.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/compute/ops/Bins.h"
#include "core/compute/ops/ClipReach.h"
#include "core/compute/ops/GroupEncode.h"
#include "core/compute/ops/LevelEncode.h"
#include "core/compute/ops/Residual.h"
#include "core/compute/ops/RowBlockEncode.h"
#include "core/compute/ops/Statistics.h"
#include "core/compute/ops/SuperBlockEncode.h"
#include "core/tensor/Decode.h"

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

bool hasWeightedEncoder(DType type)
{
    return hasSuperBlockEncoder(type) || weighsImportance(type) || hasRowBlockSearch(type);
}

Result<std::string> encodeByImportance(DType type, std::span<const float> weights, std::uint64_t rows,
                                       std::uint64_t cols, std::span<const float> importance, std::span<std::byte> out,
                                       const JobContext& job)
{
    if (hasSuperBlockEncoder(type))
        return encodeSuperBlocks(type, weights, rows, cols, importance, out, job);
    if (weighsImportance(type))
        return encodeLevels(type, weights, rows, cols, importance, out, job);
    if (hasRowBlockSearch(type))
        return encodeRowBlocks(type, weights, rows, cols, importance, out, job);
    return fail(ErrorCode::UnsupportedType,
                fmt::format("{} has no search weighted by importances", info(type).name));
}

class CpuBackend final : public ComputeBackend {
public:
    CpuBackend() : m_device{"cpu", cpuName(), "cpu", physicalMemory(), std::string(simdLevel()), true, ""} {}

    [[nodiscard]] DeviceInfo device() const override { return m_device; }

    [[nodiscard]] Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override
    {
        return told(Op::Statistics, job, sigmascope::statistics(view, job));
    }

    [[nodiscard]] Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                std::span<std::byte> out, const JobContext& job) override
    {
        return told(Op::Encode, job, encodeBlocks(type, weights, rows, cols, out, job));
    }

    [[nodiscard]] Result<std::string> encodeWeighted(DType type, std::span<const float> weights, std::uint64_t rows,
                                                     std::uint64_t cols, std::span<const float> importance,
                                                     std::span<std::byte> out, const JobContext& job) override
    {
        return told(Op::EncodeWeighted, job, encodeByImportance(type, weights, rows, cols, importance, out, job));
    }

    [[nodiscard]] Result<ErrorSums> encodeMeasured(const CodeFormat& format, std::span<const float> weights,
                                                   std::uint64_t rows, std::uint64_t cols,
                                                   std::span<const float> scale, std::span<std::byte> out,
                                                   const JobContext& job) override
    {
        const Status done = format.block ? encodeBlocks(*format.block, weights, rows, cols, out, job)
                                         : encodeGroups(format.groups, weights, rows, cols, out, job);
        if (!done)
            return passOn(done);
        return told(Op::Encode, job, residualSums({weights, rows, cols, format, out}, scale, job));
    }

    [[nodiscard]] Result<std::vector<std::uint8_t>> clipReaches(const GroupFormat& format,
                                                                std::span<const float> weights, std::uint64_t rows,
                                                                std::uint64_t cols, std::span<const float> scale,
                                                                const JobContext& job) override
    {
        return told(Op::ClipSearch, job, sigmascope::clipReaches(format, weights, rows, cols, scale, job));
    }

    [[nodiscard]] Result<ErrorSums> errorSums(const ResidualSource& source, std::span<const float> scale,
                                              const JobContext& job) override
    {
        return told(Op::Reduce, job, residualSums(source, scale, job));
    }

    [[nodiscard]] Status decode(const TensorView& view, std::span<float> out, const JobContext& job) override
    {
        return told(Op::Decode, job, decodeWhole(view, out, job));
    }

    [[nodiscard]] Result<CodeCounts> histogram(const TensorView& view, const JobContext& job) override
    {
        return told(Op::Histogram, job, codeCounts(view, job));
    }

    [[nodiscard]] Result<std::vector<std::uint64_t>> binned(const TensorView& view, std::span<const float> edges,
                                                            const JobContext& job) override
    {
        return told(Op::Histogram, job, binnedCounts(view, edges, job));
    }

    [[nodiscard]] Result<std::unique_ptr<MatrixProducts>> products(const ResidualSource& source,
                                                                   const JobContext&) override
    {
        return residualProducts(source);
    }

    [[nodiscard]] bool supports(Op op, DType type) const override
    {
        switch (op) {
        case Op::Encode:
            return hasBlockEncoder(type);
        case Op::EncodeWeighted:
            return hasWeightedEncoder(type);
        case Op::EncodeGroups:
        case Op::Gram:
        case Op::ClipSearch:
            return true;
        default:
            return info(type).decodable;
        }
    }

    [[nodiscard]] std::string deviceFor(Op, DType) const override { return m_device.id; }

private:
    template <class Answer> [[nodiscard]] Answer told(Op op, const JobContext& job, Answer answer) const
    {
        if (answer)
            job.reportRan(id(op), m_device.id);
        return answer;
    }

    DeviceInfo m_device;
};

tl::unexpected<Error> lacks(const ComputeBackend& backend, Op op)
{
    return fail(ErrorCode::UnsupportedType, fmt::format("{} has no {}", backend.device().id, id(op)));
}

}  // namespace

std::string_view id(Op op)
{
    switch (op) {
    case Op::Statistics:
        return "statistics";
    case Op::Encode:
    case Op::EncodeGroups:
    case Op::EncodeWeighted:
        return "encode";
    case Op::Decode:
        return "decode";
    case Op::Histogram:
        return "histogram";
    case Op::Reduce:
        return "reduce";
    case Op::Sketch:
        return "sketch";
    case Op::Gram:
        return "gram";
    case Op::ClipSearch:
        return "clip-search";
    }
    return "";
}

DType askedType(const std::optional<CodeFormat>& format)
{
    if (!format)
        return DType::F32;
    return format->block.value_or(DType::F16);
}

Result<std::string> ComputeBackend::encodeWeighted(DType, std::span<const float>, std::uint64_t, std::uint64_t,
                                                   std::span<const float>, std::span<std::byte>, const JobContext&)
{
    return lacks(*this, Op::EncodeWeighted);
}

Result<ErrorSums> ComputeBackend::encodeMeasured(const CodeFormat&, std::span<const float>, std::uint64_t, std::uint64_t,
                                                 std::span<const float>, std::span<std::byte>, const JobContext&)
{
    return lacks(*this, Op::EncodeGroups);
}

Result<std::vector<std::uint8_t>> ComputeBackend::clipReaches(const GroupFormat&, std::span<const float>, std::uint64_t,
                                                              std::uint64_t, std::span<const float>, const JobContext&)
{
    return lacks(*this, Op::ClipSearch);
}

Result<ErrorSums> ComputeBackend::errorSums(const ResidualSource&, std::span<const float>, const JobContext&)
{
    return lacks(*this, Op::Reduce);
}

Status ComputeBackend::decode(const TensorView&, std::span<float>, const JobContext&)
{
    return lacks(*this, Op::Decode);
}

Result<CodeCounts> ComputeBackend::histogram(const TensorView&, const JobContext&)
{
    return lacks(*this, Op::Histogram);
}

Result<std::vector<std::uint64_t>> ComputeBackend::binned(const TensorView&, std::span<const float>, const JobContext&)
{
    return lacks(*this, Op::Histogram);
}

Result<std::unique_ptr<MatrixProducts>> ComputeBackend::products(const ResidualSource&, const JobContext&)
{
    return lacks(*this, Op::Sketch);
}

std::unique_ptr<ComputeBackend> makeCpuBackend()
{
    return std::make_unique<CpuBackend>();
}

}  // namespace sigmascope
