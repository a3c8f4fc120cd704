// SPDX-License-Identifier: GPL-3.0-or-later
// A dequantized copy: what the plan makes of the weights, Q + L R, rounded to BF16 and labelled as such, for every
// runtime that reads safetensors. Tensors that the plan keeps are copied byte for byte.
#include "core/base/Half.h"
#include "core/checkpoint/ListedBytes.h"
#include "core/export/Exporter.h"
#include "core/export/SafetensorsModel.h"
#include "core/export/WholeCheckpoint.h"
#include "core/tensor/Blas.h"
#include "core/tensor/Decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <tuple>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::uint64_t kChunkValues = std::uint64_t{1} << 18;
constexpr std::string_view kLabel =
    "dequantized: these weights were quantized by the recipe and decoded again, with corrections added; they are not the original";

tl::unexpected<Error> refuse(const Checkpoint& checkpoint, const TensorInfo& tensor, std::string_view what)
{
    return fail(ErrorCode::NotRepresentable, Where{checkpoint.shardPath(tensor.shard).string(), tensor.name, tensor.offset}, what);
}

/// How a kept tensor is stored: as it is wherever safetensors has its type and its own bytes are its values.
Result<SafetensorsSpec> keptSpec(const Checkpoint& checkpoint, const TensorInfo& tensor, bool isDecoded)
{
    SafetensorsSpec spec{.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape};
    if (isDecoded) {
        spec.dtype = DType::BF16;
    } else if (tensor.dtype == DType::Unknown) {
        spec.word = tensor.unknownDtype;
        spec.bytes = tensor.bytes;
    } else if (info(tensor.dtype).safetensorsName.empty()) {
        if (!info(tensor.dtype).decodable)
            return refuse(checkpoint, tensor, fmt::format("{} is not decoded by this version", info(tensor.dtype).name));
        spec.dtype = DType::BF16;
    }
    return spec;
}

Result<SafetensorsItem> bf16ItemOf(const Checkpoint& checkpoint, std::size_t index, const LayerPlan& plan)
{
    const TensorInfo& tensor = checkpoint.tensors()[index];
    if (Status whole = checkWhole(checkpoint, index); !whole)
        return passOn(std::move(whole));
    SafetensorsItem item{.tensor = index, .isKept = plan.keep};
    if (plan.keep) {
        auto spec = keptSpec(checkpoint, tensor, isDecoded(checkpoint, index));
        if (!spec)
            return passOn(std::move(spec));
        item.specs.push_back(std::move(*spec));
        return item;
    }
    if (const auto grid = findGrid(plan.grid); !grid)
        return passOn(grid);
    item.specs.push_back({.name = tensor.name, .dtype = DType::BF16, .shape = tensor.shape});
    return item;
}

/// What the model itself has against such a copy, whatever the plan.
Status checkModel(const ExportRequest& request)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    if (checkpoint.format() == CheckpointFormat::Gguf && request.output.extension() != ".safetensors")
        return fail(ErrorCode::NotRepresentable, Where{checkpoint.path().string(), {}, {}},
                    "a GGUF has no config.json and no Hugging Face tokenizer, so it cannot become a model folder; the "
                    "nearest is one file, a name that ends in .safetensors");
    if (checkpoint.format() != CheckpointFormat::Gguf && checkpoint.config().is_object()
        && checkpoint.config().contains("quantization_config"))
        return fail(ErrorCode::NotRepresentable, Where{(checkpoint.folder() / "config.json").string(), "quantization_config", {}},
                    fmt::format("the model is quantized already ({}), in a way that a dequantized copy would have to undo first",
                                escaped(textIn(checkpoint.config().at("quantization_config"), "quant_method"), 40)));
    return {};
}

Result<SafetensorsContents> bf16ContentsOf(const ExportRequest& request)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    SafetensorsContents contents;
    if (Status possible = checkModel(request); !possible)
        return passOn(std::move(possible));
    if (checkpoint.format() == CheckpointFormat::Gguf)
        contents.remarks.emplace_back("tensor names and the row order of q and k are those of the GGUF");
    for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
        auto item = bf16ItemOf(checkpoint, i, request.plan.layers[i]);
        if (!item)
            return passOn(std::move(item));
        contents.items.push_back(std::move(*item));
    }
    const std::string recipe = dumpJson(toJson(recipeOf(request.plan, checkpoint, ModelTopology(checkpoint))));
    contents.notes = {{"format", "pt"},
                      {"sigmascope.container", "dequantized"},
                      {"sigmascope.note", std::string(kLabel)},
                      {"sigmascope.version", SIGMASCOPE_VERSION},
                      {"sigmascope.recipe", recipe}};
    if (checkpoint.config().is_object()) {
        contents.config = checkpoint.config();
        contents.config[contents.config.contains("dtype") ? "dtype" : "torch_dtype"] = "bfloat16";
        contents.config["sigmascope"] = {{"dequantized", true}, {"note", kLabel}, {"version", SIGMASCOPE_VERSION}, {"recipe", Json::parse(recipe)}};
    }
    return contents;
}

/// Sums of one tensor, over its rows in order.
struct ErrorSums {
    double weight = 0, error = 0, scaledWeight = 0, scaledError = 0;

    void add(std::span<const float> original, std::span<const std::uint16_t> stored, std::span<const float> scale)
    {
        const std::size_t cols = scale.empty() ? original.size() : scale.size();
        for (std::size_t i = 0; i < original.size(); ++i) {
            const double w = original[i];
            const double e = w - static_cast<double>(bf16ToFloat(stored[i]));
            const double s = scale.empty() ? 1.0 : static_cast<double>(scale[i % cols]);
            weight += w * w;
            error += e * e;
            scaledWeight += (w * s) * (w * s);
            scaledError += (e * s) * (e * s);
        }
    }
    [[nodiscard]] static std::optional<double> ratio(double error, double weight)
    {
        return weight > 0 ? std::sqrt(error / weight) : 0.0;
    }
};

class Bf16Exporter final : public SafetensorsExporter {
public:
    [[nodiscard]] static Result<std::unique_ptr<Exporter>> create(ExportRequest request, SafetensorsDesign design)
    {
        auto exporter = std::unique_ptr<Bf16Exporter>(new Bf16Exporter(std::move(request), std::move(design)));
        if (Status opened = exporter->open(); !opened) {
            if (!exporter->takesUp())  // else an earlier run's work would go
                exporter->discard();
            return passOn(std::move(opened));
        }
        return exporter;
    }
    [[nodiscard]] std::optional<StoredForm> storedForm() const override { return m_stored; }

private:
    using SafetensorsExporter::SafetensorsExporter;

    [[nodiscard]] Status write(const QuantizedLayer& layer, const SafetensorsItem& item, const JobContext& job) override
    {
        const auto view = checkpoint().view(layer.tensor);
        const SafetensorsSpec& spec = item.specs.front();
        const TensorInfo& tensor = checkpoint().tensors()[layer.tensor];
        if (layer.quantized || spec.dtype != tensor.dtype) {
            if (!view)
                return passOn(view);
            return addRounded(layer, *view, job);
        }
        m_stored = StoredForm{.type = spec.dtype, .bytes = tensor.bytes, .isExact = true};
        return append(storedBytes(checkpoint(), layer.tensor), job);
    }

    /// Q + L R of some rows, or the kept tensor's own values.
    [[nodiscard]] Status decodeInto(const QuantizedLayer& layer, const TensorView& view, std::uint64_t first, std::span<float> out) const
    {
        const std::uint64_t cols = view.cols();
        const std::uint64_t count = out.size() / cols;
        if (!layer.quantized)
            return decodeRows(view, first, count, out);
        const QuantizedTensor& quantized = *layer.quantized;
        const std::size_t rowBytes = quantized.grid->rowBytes(cols);
        quantized.grid->decode(std::span(quantized.codes).subspan(first * rowBytes, count * rowBytes), count, cols, out);
        if (layer.factors && layer.factors->rank > 0) {
            const auto rank = layer.factors->rank;
            blas::gemm(blas::Transpose::No, blas::Transpose::No, count, cols, rank, 1.0F, m_left.data() + first * rank, rank,
                       m_right.data(), cols, 1.0F, out.data(), cols);
        }
        return {};
    }

    [[nodiscard]] Status addRounded(const QuantizedLayer& layer, const TensorView& view, const JobContext& job)
    {
        const std::uint64_t rows = view.rows();
        const std::uint64_t cols = view.cols();
        if (layer.quantized && (layer.quantized->rows != rows || layer.quantized->cols != cols))
            return failAt(layer.tensor, fmt::format("has {} rows of {}, {} of {} were planned", layer.quantized->rows,
                                                    layer.quantized->cols, rows, cols));
        m_left = layer.factors ? layer.factors->decodedLeft() : MatrixF();
        m_right = layer.factors ? layer.factors->decodedRight() : MatrixF();
        const LayerPlan& plan = request().plan.layers[layer.tensor];
        const Metric metric = metricFor(plan.metric == MetricKind::Plain ? MetricKind::DiagonalRms : plan.metric, request().calibration,
                                        checkpoint().tensors()[layer.tensor].name, cols);
        const std::uint64_t step = std::clamp<std::uint64_t>(kChunkValues / std::max<std::uint64_t>(cols, 1), 1, std::max<std::uint64_t>(rows, 1));
        ErrorSums sums;
        std::vector<float> values;
        std::vector<float> original;
        std::vector<std::uint16_t> stored;
        for (std::uint64_t first = 0; first < rows; first += step) {
            const std::uint64_t count = std::min(step, rows - first);
            values.resize(count * cols);
            original.resize(count * cols);
            stored.resize(count * cols);
            if (Status decoded = decodeInto(layer, view, first, values); !decoded)
                return decoded;
            if (Status decoded = decodeRows(view, first, count, original); !decoded)
                return decoded;
            if (Status rounded = round(layer.tensor, first * cols, values, stored); !rounded)
                return rounded;
            sums.add(original, stored, metric.scale);
            if (Status written = append(std::as_bytes(std::span(stored)), job); !written)
                return written;
        }
        m_stored = StoredForm{.type = DType::BF16, .bytes = 2 * rows * cols, .weightError = ErrorSums::ratio(sums.error, sums.weight)};
        if (!metric.isPlain())
            m_stored->metricError = ErrorSums::ratio(sums.scaledError, sums.scaledWeight);
        return {};
    }

    [[nodiscard]] Status round(std::size_t tensor, std::uint64_t offset, std::span<const float> values, std::span<std::uint16_t> out) const
    {
        for (std::size_t i = 0; i < values.size(); ++i) {
            out[i] = floatToBf16(values[i]);
            if (std::isfinite(values[i]) && !std::isfinite(bf16ToFloat(out[i])))
                return fail(ErrorCode::ScaleOutOfRange,
                            Where{request().output.string(), checkpoint().tensors()[tensor].name, {}},
                            fmt::format("element {} is {} and would become infinite in BF16", offset + i, values[i]));
        }
        return {};
    }

    MatrixF m_left;   // of the layer being written
    MatrixF m_right;
    std::optional<StoredForm> m_stored;
};

Result<SafetensorsDesign> bf16DesignOf(const ExportRequest& request)
{
    auto contents = bf16ContentsOf(request);
    if (!contents)
        return passOn(std::move(contents));
    return designSafetensors(request, std::move(*contents));
}

}  // namespace

Result<SizeEstimate> estimateBf16(const ExportRequest& request)
{
    auto design = bf16DesignOf(request);
    if (!design)
        return passOn(std::move(design));
    return std::move(design->estimate);
}

PlanVerdict acceptsBf16(const ExportRequest& request)
{
    PlanVerdict verdict = verdictOfSafetensors(request, checkModel(request), bf16ItemOf, estimateBf16);
    constexpr std::string_view kWhy = "no safetensors runtime reads these grids: the values that the codes stand for are written as BF16";
    for (const auto& [part, carriage, why] :
         {std::tuple{PlanPart::Codes, Carriage::Decoded, kWhy},
          std::tuple{PlanPart::Correction, Carriage::Folded, std::string_view("L R is added to the weights, then rounded to BF16")},
          std::tuple{PlanPart::Factors, Carriage::Folded, std::string_view("the weights hold them already")}}) {
        if (partIn(verdict, part).carriage == Carriage::Refused)
            continue;
        carry(verdict, part, carriage, std::string(why));
        partIn(verdict, part).changed = partIn(verdict, part).layers;
    }
    return verdict;
}

Result<std::unique_ptr<Exporter>> makeBf16Exporter(ExportRequest request)
{
    auto design = bf16DesignOf(request);
    if (!design)
        return passOn(std::move(design));
    return Bf16Exporter::create(std::move(request), std::move(*design));
}

}  // namespace sigmascope
