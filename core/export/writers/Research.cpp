// SPDX-License-Identifier: GPL-3.0-or-later
// The research container (docs/research-container.md): codes, scales and factors of every grid in arrays of a safetensors
// file, described by its metadata, for grids that no runtime reads. Checkpoint::open() reads it back.
#include "core/checkpoint/ListedBytes.h"
#include "core/checkpoint/readers/ResearchContainer.h"
#include "core/export/Exporter.h"
#include "core/export/SafetensorsModel.h"
#include "core/export/WholeCheckpoint.h"
#include "core/lowrank/CodedMatrices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;

/// Wide types first, so that arrays are aligned to their own type as far as sizes allow.
void sortByWidth(SafetensorsItem& item)
{
    std::ranges::stable_sort(item.specs, std::ranges::greater{}, [](const SafetensorsSpec& spec) { return info(spec.dtype).blockBits; });
}

SafetensorsItem described(SafetensorsItem item, const std::string& name, Json description)
{
    sortByWidth(item);
    description["parts"] = Json::array();
    for (const SafetensorsSpec& spec : item.specs)
        description["parts"].push_back(spec.name.substr(name.size() + 1));
    item.description = dumpJson(description);
    return item;
}

/// What was coded in the source and is kept is copied, array by array.
SafetensorsItem codedItem(std::size_t index, const std::string& name, const CodedTensor& tensor)
{
    SafetensorsItem item{.tensor = index};
    for (const CodedPart& part : tensor.parts)
        item.specs.push_back({.name = name + '.' + part.name, .dtype = part.dtype, .shape = part.shape});
    Json description{{"grid", tensor.grid}, {"shape", tensor.shape}, {"rank", tensor.rank}};
    return described(std::move(item), name, std::move(description));
}

Result<SafetensorsItem> quantizedItem(const Checkpoint& checkpoint, std::size_t index, const LayerPlan& plan)
{
    const TensorInfo& tensor = checkpoint.tensors()[index];
    const auto grid = findGrid(plan.grid);
    if (!grid)
        return passOn(grid);
    const Where where{checkpoint.shardPath(tensor.shard).string(), tensor.name, tensor.offset};
    const std::uint64_t cols = tensor.shape.empty() ? 0 : tensor.shape.back();
    if (tensor.shape.size() < 2 || tensor.elements() == 0 || !(*grid)->accepts(cols))
        return fail(ErrorCode::NotRepresentable, where, fmt::format("{} cannot code the shape {}", plan.grid, toString(tensor.shape)));
    const std::uint64_t rows = tensor.elements() / cols;
    if (plan.rank > std::min(rows, cols))
        return fail(ErrorCode::NotRepresentable, where, fmt::format("rank {} exceeds the shape {}", plan.rank, toString(tensor.shape)));
    if (plan.rank > 0 && !canStore(plan.factors, cols, plan.rank))
        return fail(ErrorCode::NotRepresentable, where,
                    fmt::format("factors in blocks of 32 need rank and row length to be multiples of it, they are {} and {}", plan.rank, cols));
    SafetensorsItem item{.tensor = index, .isKept = false};
    for (const CodedArray& array : arraysOf(**grid, rows, cols))
        item.specs.push_back({.name = fmt::format("{}.{}", tensor.name, array.name), .dtype = array.dtype, .shape = array.shape});
    for (const CodedArray& array : arraysOf(plan.factors, rows, cols, plan.rank)) {
        item.specs.push_back({.name = fmt::format("{}.{}", tensor.name, array.name), .dtype = array.dtype, .shape = array.shape});
        item.factorBytes += checkedByteSize(array.dtype, array.shape).value_or(0);
    }
    Json description{{"grid", plan.grid}, {"shape", tensor.shape}, {"rank", plan.rank}, {"bits", (*grid)->bits()}, {"group", (*grid)->groupSize()}};
    if (!plan.preset.empty())
        description["preset"] = plan.preset;
    return described(std::move(item), tensor.name, std::move(description));
}

Result<SafetensorsItem> researchItemOf(const Checkpoint& checkpoint, std::size_t index, const LayerPlan& plan)
{
    if (Status whole = checkWhole(checkpoint, index); !whole)
        return passOn(std::move(whole));
    if (!plan.keep)
        return quantizedItem(checkpoint, index, plan);
    const TensorInfo& tensor = checkpoint.tensors()[index];
    if (const CodedTensor* coded = checkpoint.coded(index))
        return codedItem(index, tensor.name, *coded);
    if (info(tensor.dtype).quantized) {  // a GGUF block type: one array of blocks, on the grid of that name if there is one
        std::string id(info(tensor.dtype).name);
        std::ranges::transform(id, id.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
        const auto grid = findGrid(id);
        if (!grid || tensor.shape.size() < 2)
            return fail(ErrorCode::NotRepresentable, Where{checkpoint.shardPath(tensor.shard).string(), tensor.name, tensor.offset},
                        fmt::format("the container has no form for kept tensors of {}: quantize this one, or give it another type first",
                                    info(tensor.dtype).name));
        const std::uint64_t rows = tensor.elements() / tensor.shape.back();
        SafetensorsItem item{.tensor = index};
        item.specs.push_back({.name = tensor.name + ".blocks", .dtype = DType::U8, .shape = {rows, tensor.bytes / rows}});
        return described(std::move(item), tensor.name, {{"grid", id}, {"shape", tensor.shape}, {"rank", 0}});
    }
    SafetensorsItem item{.tensor = index};
    item.specs.push_back({.name = tensor.name, .dtype = tensor.dtype, .shape = tensor.shape, .word = tensor.unknownDtype, .bytes = tensor.bytes});
    return item;
}

Result<SafetensorsContents> researchContentsOf(const ExportRequest& request)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    SafetensorsContents contents;
    for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
        auto item = researchItemOf(checkpoint, i, request.plan.layers[i]);
        if (!item)
            return passOn(std::move(item));
        contents.items.push_back(std::move(*item));
    }
    const std::string recipe = dumpJson(toJson(recipeOf(request.plan, checkpoint, ModelTopology(checkpoint))));
    contents.notes = {{std::string(kContainerKey), std::string(kResearchContainer)},
                      {std::string(kContainerVersionKey), std::string(kContainerVersion)},
                      {"sigmascope.version", SIGMASCOPE_VERSION},
                      {"sigmascope.seed", std::to_string(request.plan.seed)},
                      {"sigmascope.recipe", recipe}};
    if (request.calibration != nullptr)
        contents.notes.emplace_back("sigmascope.calibration", escaped(request.calibration->path.filename().string(), 1024));
    contents.descriptionsKey = kCodedTensorsKey;
    if (checkpoint.format() == CheckpointFormat::Safetensors)
        contents.config = checkpoint.config();
    else
        contents.remarks.emplace_back("tensor names and the row order of q and k are those of the GGUF, whose tokenizer is not copied");
    return contents;
}

class ResearchExporter final : public SafetensorsExporter {
public:
    [[nodiscard]] static Result<std::unique_ptr<Exporter>> create(ExportRequest request, SafetensorsDesign design)
    {
        auto exporter = std::unique_ptr<ResearchExporter>(new ResearchExporter(std::move(request), std::move(design)));
        if (Status opened = exporter->open(); !opened) {
            if (!exporter->takesUp())  // else an earlier run's work would go
                exporter->discard();
            return passOn(std::move(opened));
        }
        return exporter;
    }
    [[nodiscard]] std::optional<StoredForm> storedForm() const override { return m_kept; }

private:
    using SafetensorsExporter::SafetensorsExporter;

    [[nodiscard]] Status write(const QuantizedLayer& layer, const SafetensorsItem& item, const JobContext& job) override
    {
        const std::string& name = checkpoint().tensors()[layer.tensor].name;
        m_kept.reset();
        if (!layer.quantized) {
            const TensorInfo& tensor = checkpoint().tensors()[layer.tensor];
            const bool isPacked = checkpoint().packed(layer.tensor) != nullptr;
            m_kept = StoredForm{.type = tensor.dtype, .bytes = isPacked ? listedBytes(checkpoint(), layer.tensor) : tensor.bytes, .isExact = true};
            return writeKept(layer.tensor, item, job);
        }
        const QuantizedTensor& quantized = *layer.quantized;
        const auto arrays = arraysOf(*quantized.grid, quantized.rows, quantized.cols);
        for (std::size_t i = 0; i < item.specs.size(); ++i) {
            const std::string_view part = std::string_view(item.specs[i].name).substr(name.size() + 1);
            const auto array = std::ranges::find(arrays, part, &CodedArray::name);
            const Status written = array != arrays.end() ? writeArray(quantized, *array, job) : writeFactor(layer, part, item.specs[i], i, job);
            if (!written)
                return written;
        }
        return {};
    }

    [[nodiscard]] Status writeKept(std::size_t tensor, const SafetensorsItem& item, const JobContext& job)
    {
        const CodedTensor* coded = checkpoint().coded(tensor);
        if (coded == nullptr)
            return forListedBytes(checkpoint(), tensor, job, [&](std::span<const std::byte> bytes) { return append(bytes, job); });
        const std::string& name = checkpoint().tensors()[tensor].name;
        const auto file = checkpoint().shard(checkpoint().tensors()[tensor].shard)->bytes();
        for (const SafetensorsSpec& spec : item.specs) {
            const auto part = std::ranges::find(coded->parts, std::string_view(spec.name).substr(name.size() + 1), &CodedPart::name);
            if (Status written = append(file.subspan(static_cast<std::size_t>(part->offset), static_cast<std::size_t>(part->bytes)), job); !written)
                return written;
        }
        return {};
    }

    /// One column of parts of the coded rows.
    [[nodiscard]] Status writeArray(const QuantizedTensor& quantized, const CodedArray& array, const JobContext& job)
    {
        const std::size_t rowBytes = quantized.grid->rowBytes(quantized.cols);
        const std::size_t step = std::max<std::size_t>(1, kPieceBytes / std::max<std::size_t>(1, array.rowBytes));
        std::vector<std::byte> gathered;
        for (std::size_t first = 0; first < quantized.rows; first += step) {
            const std::size_t count = std::min<std::size_t>(step, quantized.rows - first);
            gathered.resize(count * array.rowBytes);
            for (std::size_t row = 0; row < count; ++row)
                std::memcpy(gathered.data() + row * array.rowBytes, quantized.codes.data() + (first + row) * rowBytes + array.rowOffset, array.rowBytes);
            if (Status written = append(gathered, job); !written)
                return written;
        }
        return {};
    }

    [[nodiscard]] Status writeFactor(const QuantizedLayer& layer, std::string_view part, const SafetensorsSpec& stored, std::size_t spec,
                                     const JobContext& job)
    {
        const LayerPlan& plan = request().plan.layers[layer.tensor];
        const auto size = static_cast<std::size_t>(checkedByteSize(stored.dtype, stored.shape).value_or(0));
        // A residual of zero has no factors: the file then holds zeros, as its size was promised.
        if (!layer.factors)
            return append(std::vector<std::byte>(size), job);
        const StoredFactors& factors = *layer.factors;
        const std::vector<std::byte>& bytes = part == "left" ? factors.left
            : part == "right"                                ? factors.right
            : part == "left_scales"                          ? factors.leftScales
                                                             : factors.rightScales;
        const bool becameBf16 = factors.type == FactorType::BF16 && plan.factors == FactorType::F16;
        if (factors.rank != plan.rank || bytes.size() != size || (factors.type != plan.factors && !becameBf16))
            return failAt(layer.tensor, fmt::format("factors of rank {} and {} bytes come where {} and {} were planned", factors.rank,
                                                    bytes.size(), plan.rank, size));
        if (Status typed = becameBf16 ? makeBf16(spec) : Status{}; !typed)
            return typed;
        return append(bytes, job);
    }

    std::optional<StoredForm> m_kept;  // of the layer that came last, if it was one
};

Result<SafetensorsDesign> researchDesignOf(const ExportRequest& request)
{
    auto contents = researchContentsOf(request);
    if (!contents)
        return passOn(std::move(contents));
    return designSafetensors(request, std::move(*contents));
}

}  // namespace

Result<SizeEstimate> estimateResearch(const ExportRequest& request)
{
    auto design = researchDesignOf(request);
    if (!design)
        return passOn(std::move(design));
    return std::move(design->estimate);
}

PlanVerdict acceptsResearch(const ExportRequest& request)
{
    return verdictOfSafetensors(request, {}, researchItemOf, estimateResearch);
}

Result<std::unique_ptr<Exporter>> makeResearchExporter(ExportRequest request)
{
    auto design = researchDesignOf(request);
    if (!design)
        return passOn(std::move(design));
    return ResearchExporter::create(std::move(request), std::move(*design));
}

}  // namespace sigmascope
