// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/Exporter.h"
#include "core/export/GgufPlanner.h"
#include "core/export/RowStream.h"
#include "core/export/writers/GgufLora.h"

#include "core/tensor/Decode.h"

#include <fmt/format.h>

#include <optional>
#include <system_error>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

class GgufExporter : public Exporter {
public:
    GgufExporter(ExportRequest request, std::shared_ptr<const GgufPlanner> planner, GgufDesign design, GgufWriter model,
                 std::optional<GgufWriter> adapter)
        : m_request(std::move(request)), m_planner(std::move(planner)), m_design(std::move(design)), m_model(std::move(model)),
          m_adapter(std::move(adapter))
    {
        for (const GgufTarget& target : m_planner->source().targets)
            m_order.push_back(target.tensor);
    }

    [[nodiscard]] const SizeEstimate& estimate() const override { return m_design.estimate; }
    [[nodiscard]] const std::vector<std::size_t>& order() const override { return m_order; }

    [[nodiscard]] Status add(const QuantizedLayer& layer) override
    {
        if (m_next >= m_order.size() || layer.tensor != m_order[m_next])
            return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), nameOf(layer.tensor), {}},
                        "does not come in the order of the file");
        const GgufTarget& target = m_planner->source().targets[m_next];
        const LayerPlan& plan = m_request.plan.layers[layer.tensor];
        if (layer.quantized.has_value() == plan.keep)
            return refuse(target, plan.keep ? "was quantized although the plan keeps it" : "was kept although the plan quantizes it");
        Status added = plan.keep ? addKept(target) : addQuantized(target, layer);
        if (added)
            ++m_next;
        return added;
    }

    [[nodiscard]] Status finish(const JobContext& job) override
    {
        if (m_next != m_order.size())
            return refuse(m_planner->source().targets[m_next], "is missing: the export ends before it");
        for (const GgufExtra& extra : m_planner->source().extras) {
            if (Status status = m_model.append(extra.bytes); !status)
                return status;
        }
        // Both are known to be good before either gets its name.
        if (Status status = m_model.verify(); !status)
            return status;
        if (job.cancelled())
            return cancelledError();
        if (!m_adapter)
            return m_model.finish();
        if (Status status = m_adapter->finish(); !status)
            return status;
        Status finished = m_model.finish();
        if (!finished && !m_request.overwrite) {
            std::error_code ignored;  // the adapter alone would be a correction of nothing
            fs::remove(adapterPathFor(m_request.output), ignored);
        }
        return finished;
    }

private:
    [[nodiscard]] std::string nameOf(std::size_t tensor) const { return m_planner->checkpoint().tensors()[tensor].name; }
    [[nodiscard]] tl::unexpected<Error> refuse(const GgufTarget& target, std::string_view what) const
    {
        return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), nameOf(target.tensor), {}}, what);
    }

    [[nodiscard]] Status addKept(const GgufTarget& target)
    {
        const Checkpoint& checkpoint = m_planner->checkpoint();
        const auto view = checkpoint.view(target.tensor);
        if (!view)
            return passOn(view);
        const DType stored = m_design.tensors[m_next].dtype;
        StoredRows rows{.bytes = view->bytes, .rows = view->rows(), .cols = view->cols(), .heads = target.heads};
        if (target.heads != 0 && view->shape.size() == 1)  // a bias: each element is a row
            std::swap(rows.rows, rows.cols);
        Status written;
        if (stored == view->dtype) {
            written = writeRows(m_model, rows);
        } else {
            rows.decode = [dtype = view->dtype](std::span<const std::byte> bytes, std::uint64_t, std::span<float> out) {
                decode(dtype, bytes, out);
            };
            written = writeRowsAsFloat(m_model, rows);
        }
        // A page that vanished makes write(2) fail too: what happened to the input is the better message.
        const Status same = checkpoint.checkUnchanged(target.tensor);
        return same ? written : same;
    }

    [[nodiscard]] Status addQuantized(const GgufTarget& target, const QuantizedLayer& layer)
    {
        const QuantizedTensor& quantized = *layer.quantized;
        const GgufTensorSpec& spec = m_design.tensors[m_next];
        const std::uint64_t elements = checkedElementCount(spec.shape).value_or(0);
        if (quantized.grid == nullptr || quantized.cols != spec.shape.back() || quantized.rows * quantized.cols != elements
            || quantized.codes.size() != quantized.rows * quantized.grid->rowBytes(quantized.cols))
            return refuse(target, fmt::format("codes for {} rows of {} do not fill the shape {}", quantized.rows, quantized.cols,
                                              toString(spec.shape)));
        const bool asFloat = m_request.dequantized || m_request.merged;
        if (!asFloat && quantized.grid->ggufType() != spec.dtype)
            return refuse(target, fmt::format("is on the grid {}, planned was {}", quantized.grid->id(), info(spec.dtype).name));
        const StoredRows rows{.bytes = quantized.codes,
                              .rows = quantized.rows,
                              .cols = quantized.cols,
                              .heads = target.heads,
                              .decode = [&quantized](std::span<const std::byte> bytes, std::uint64_t count, std::span<float> out) {
                                  quantized.grid->decode(bytes, count, quantized.cols, out);
                              }};
        const StoredFactors* folded = m_request.merged && layer.factors ? &*layer.factors : nullptr;
        Status written = asFloat ? writeRowsAsFloat(m_model, rows, folded) : writeRows(m_model, rows);
        const std::uint32_t rank = m_request.plan.layers[layer.tensor].rank;
        if (!written || rank == 0 || !m_adapter)
            return written;
        return addFactors(target, layer, rank);
    }

    [[nodiscard]] Status addFactors(const GgufTarget& target, const QuantizedLayer& layer, std::uint32_t rank)
    {
        const QuantizedTensor& quantized = *layer.quantized;
        const DType planned = m_adapter->layout().tensors[m_nextFactor].dtype;
        // A residual of zero has no factors: the adapter then holds zeros, as its size was promised.
        StoredFactors factors = layer.factors.value_or(
            StoredFactors{.type = m_request.plan.layers[layer.tensor].factors, .rows = quantized.rows, .cols = quantized.cols});
        if (factors.rows != quantized.rows || factors.cols != quantized.cols || factors.rank > rank)
            return refuse(target, fmt::format("factors of {} x {} and rank {} do not fit {} x {} and the planned rank {}", factors.rows,
                                              factors.cols, factors.rank, quantized.rows, quantized.cols, rank));
        if (planned == DType::F32 && factors.type != FactorType::F32)
            factors = asFloat(factors);
        if (const DType found = ggufTypeOf(factors.type); found != planned) {
            for (const std::size_t i : {m_nextFactor, m_nextFactor + 1}) {
                if (Status status = m_adapter->retype(i, found); !status)
                    return status;
            }
        }
        m_nextFactor += 2;
        return writeFactors(*m_adapter, factors, rank, target);
    }

    /// The same values, stored wider.
    [[nodiscard]] static StoredFactors asFloat(const StoredFactors& factors)
    {
        StoredFactors wide{.type = FactorType::F32, .rows = factors.rows, .cols = factors.cols, .rank = factors.rank};
        const auto bytesOf = [](const MatrixF& matrix) {
            const auto bytes = std::as_bytes(std::span(matrix.data(), static_cast<std::size_t>(matrix.size())));
            return std::vector<std::byte>(bytes.begin(), bytes.end());
        };
        wide.left = bytesOf(factors.decodedLeft());
        wide.right = bytesOf(factors.decodedRight());
        return wide;
    }

    ExportRequest m_request;
    std::shared_ptr<const GgufPlanner> m_planner;
    GgufDesign m_design;
    GgufWriter m_model;
    std::optional<GgufWriter> m_adapter;
    std::vector<std::size_t> m_order;
    std::size_t m_next = 0;        // in the targets
    std::size_t m_nextFactor = 0;  // in the adapter's tensors
};

/// Refuses before any work: outputs that are inputs by whatever name, and files nobody asked to replace.
Status checkOutputs(const ExportRequest& request, const GgufPlanner& planner, const SizeEstimate& estimate)
{
    for (const OutputFile& output : estimate.outputs) {
        for (const fs::path& input : planner.source().inputs) {
            if (isSameFile(output.path, input))
                return fail(ErrorCode::OutputIsInput, Where{output.path.string(), {}, {}},
                            fmt::format("is the input {}", escaped(input.string(), 4096)));
        }
        if (request.calibration != nullptr && isSameFile(output.path, request.calibration->path))
            return fail(ErrorCode::OutputIsInput, Where{output.path.string(), {}, {}}, "is the calibration file");
    }
    for (const OutputFile& output : estimate.outputs) {
        std::error_code error;
        if (!request.overwrite && fs::exists(fs::symlink_status(output.path, error)))
            return fail(ErrorCode::WouldOverwrite, Where{output.path.string(), {}, {}}, "exists already");
    }
    return {};
}

}  // namespace

Result<SizeEstimate> estimateGguf(const ExportRequest& request)
{
    const auto planner = GgufPlanner::create(request.checkpoint, request.templateGguf);
    if (!planner)
        return passOn(planner);
    auto design = (*planner)->design(request);
    if (!design)
        return passOn(std::move(design));
    return std::move(design->estimate);
}

Result<std::unique_ptr<Exporter>> makeGgufExporter(ExportRequest request)
{
    auto planner = GgufPlanner::create(request.checkpoint, request.templateGguf);
    if (!planner)
        return passOn(std::move(planner));
    auto design = (*planner)->design(request);
    if (!design)
        return passOn(std::move(design));
    if (Status possible = checkOutputs(request, **planner, design->estimate); !possible)
        return passOn(std::move(possible));
    auto layout = (*planner)->modelLayout(*design);
    if (!layout)
        return passOn(std::move(layout));
    auto model = GgufWriter::create(request.output, std::move(*layout), request.overwrite);
    if (!model)
        return passOn(std::move(model));
    std::optional<GgufWriter> adapter;
    if (!design->adapter.empty()) {
        auto adapterLayout = GgufPlanner::adapterLayout(*design);
        if (!adapterLayout)
            return passOn(std::move(adapterLayout));
        auto writer = GgufWriter::create(adapterPathFor(request.output), std::move(*adapterLayout), request.overwrite);
        if (!writer)
            return passOn(std::move(writer));
        adapter = std::move(*writer);
    }
    return std::make_unique<GgufExporter>(std::move(request), std::move(*planner), std::move(*design), std::move(*model),
                                          std::move(adapter));
}

}  // namespace sigmascope
