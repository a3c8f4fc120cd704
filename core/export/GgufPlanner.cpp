// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufPlanner.h"

#include "core/export/writers/GgufLora.h"
#include "core/plan/TargetGrids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 65535;  // split.count is a u16

tl::unexpected<Error> refuse(const Checkpoint& checkpoint, const GgufTarget& target, std::string_view what)
{
    return fail(ErrorCode::NotRepresentable, Where{checkpoint.path().string(), checkpoint.tensors()[target.tensor].name, {}}, what);
}

/// llama.cpp's name of a mix, by the type most weights have; shown in listings only.
std::uint32_t fileTypeOf(DType dtype)
{
    constexpr auto kTypes = std::to_array<std::pair<DType, std::uint32_t>>({
        {DType::F32, 0},
        {DType::F16, 1},
        {DType::Q4_0, 2},
        {DType::Q4_1, 3},
        {DType::Q8_0, 7},
        {DType::Q5_0, 8},
        {DType::Q5_1, 9},
        {DType::Q2_K, 10},
        {DType::Q3_K, 11},
        {DType::Q4_K, 14},
        {DType::Q5_K, 16},
        {DType::Q6_K, 18},
        {DType::IQ4_NL, 25},
        {DType::IQ4_XS, 30},
        {DType::BF16, 32},
        {DType::TQ1_0, 36},
        {DType::TQ2_0, 37},
        {DType::MXFP4, 38},
        {DType::NVFP4, 39},
        {DType::Q1_0, 40},
        {DType::Q2_0, 41},
    });
    const auto found = std::find_if(kTypes.begin(), kTypes.end(), [dtype](const auto& row) { return row.first == dtype; });
    return found == kTypes.end() ? 1024 : found->second;  // 1024: llama.cpp's "guessed"
}

/// The mixture that all coded tensors come from; nothing if there is none.
std::optional<std::uint32_t> fileTypeOf(const QuantizationPlan& plan)
{
    const Preset* common = nullptr;
    for (const LayerPlan& layer : plan.layers) {
        if (layer.keep)
            continue;
        const Preset* preset = findPreset(layer.preset);
        if (preset == nullptr || !preset->mix || (common != nullptr && preset != common))
            return std::nullopt;
        common = preset;
    }
    return common == nullptr ? std::nullopt : fileTypeOf(*common->mix);
}

/// Type of most weights in the blocks; embedding and output, which are large in small models, do not name a mix.
DType commonType(std::span<const GgufTarget> targets, std::span<const GgufTensorSpec> tensors)
{
    std::array<std::uint64_t, 256> elements{};
    for (std::size_t i = 0; i < targets.size(); ++i) {
        if (targets[i].role != Role::Embedding && targets[i].role != Role::Output && !targets[i].vector)
            elements[static_cast<std::size_t>(tensors[i].dtype)] += checkedElementCount(tensors[i].shape).value_or(0);
    }
    return static_cast<DType>(std::max_element(elements.begin(), elements.end()) - elements.begin());
}

/// What the adapter holds: no GGUF type has INT8's two scales, the turned factors of an embedding no blocks of its rows.
FactorType storedFactors(const GgufTarget& target, const LayerPlan& plan, std::uint64_t cols)
{
    if (target.parts > 1)  // one type for all experts, and which of them would overflow F16 only their solving tells
        return FactorType::F32;
    if (plan.factors == FactorType::I8 || (plan.factors == FactorType::Q8_0 && target.role == Role::Embedding))
        return FactorType::F32;
    return canStore(plan.factors, cols, plan.rank) ? plan.factors : FactorType::F16;
}

/// Corrections and every solver but nearest look at the metric.
bool usesCalibration(const QuantizationPlan& plan)
{
    return std::any_of(plan.layers.begin(), plan.layers.end(), [](const LayerPlan& layer) {
        return !layer.keep && layer.metric != MetricKind::Plain && (layer.rank > 0 || layer.solver != "nearest");
    });
}

}  // namespace

Result<std::shared_ptr<const GgufPlanner>> GgufPlanner::create(std::shared_ptr<const Checkpoint> checkpoint,
                                                               const std::shared_ptr<const Checkpoint>& templateGguf)
{
    auto planner = std::shared_ptr<GgufPlanner>(new GgufPlanner(std::move(checkpoint)));
    auto source = ggufSourceOf(*planner->m_checkpoint, templateGguf.get());
    if (!source)
        return passOn(std::move(source));
    planner->m_source = std::move(*source);
    return std::shared_ptr<const GgufPlanner>(std::move(planner));
}

Result<GgufTensorSpec> GgufPlanner::specOf(const GgufTarget& target, const LayerPlan& plan, bool dequantized) const
{
    const TensorInfo& tensor = m_checkpoint->tensors()[target.tensor];
    GgufTensorSpec spec{target.name, target.keptType, tensor.shape, target.parts, target.part};
    if (plan.keep) {
        if (dequantized && info(tensor.dtype).decodable && tensor.shape.size() > 1)
            spec.dtype = DType::F32;
        return spec;
    }
    if (target.vector)
        return refuse(*m_checkpoint, target, "llama.cpp reads norms, vectors and routers as F32: they are kept, not quantized");
    const auto grid = findGrid(plan.grid);
    if (!grid)
        return passOn(grid);
    if (dequantized) {
        spec.dtype = DType::F32;
        return spec;
    }
    const auto type = (*grid)->ggufType();
    if (!type)
        return refuse(*m_checkpoint, target,
                      fmt::format("GGUF has no type for the grid {}; the nearest is {}", plan.grid, nearestGrid("gguf", **grid)->id()));
    spec.dtype = *type;
    return spec;
}

Status GgufPlanner::checkCorrection(const GgufTarget& target, const LayerPlan& plan) const
{
    const TensorInfo& tensor = m_checkpoint->tensors()[target.tensor];
    if (tensor.shape.size() != 2)
        return refuse(*m_checkpoint, target,
                      fmt::format("a correction needs a matrix, the shape is {}; the nearest plan is rank 0", toString(tensor.shape)));
    constexpr std::size_t kLongestName = 63, kFactorSuffix = 7;  // ".lora_a"
    if (target.name.size() + kFactorSuffix > kLongestName)
        return refuse(*m_checkpoint, target,
                      "the name leaves no room for .lora_a in GGUF's 63 bytes; the nearest plan is rank 0");
    if (plan.rank > std::min(tensor.shape[0], tensor.shape[1]))
        return refuse(*m_checkpoint, target, fmt::format("rank {} exceeds the shape {}", plan.rank, toString(tensor.shape)));
    if (m_source.tiedEmbeddings && (target.role == Role::Embedding || target.role == Role::Output))
        return refuse(*m_checkpoint, target,
                      "the output shares the embedding's weights, and llama.cpp cannot correct one without the other; the nearest "
                      "plan is rank 0");
    return {};
}

GgufKeys GgufPlanner::planKeysOf(const ExportRequest& request, std::span<const GgufTensorSpec> tensors) const
{
    GgufKeys keys;
    keys.set("general.quantization_version", std::uint32_t{2});
    const auto mixture = request.dequantized || request.merged ? std::nullopt : fileTypeOf(request.plan);
    keys.set("general.file_type", mixture.value_or(fileTypeOf(commonType(m_source.targets, tensors))));
    keys.set("sigmascope.version", SIGMASCOPE_VERSION);
    keys.set("sigmascope.recipe", std::string_view(dumpJson(toJson(recipeOf(request.plan, *m_checkpoint, m_topology)))));
    if (request.calibration != nullptr && usesCalibration(request.plan)) {
        const Imatrix& imatrix = *request.calibration;
        keys.set("quantize.imatrix.file", std::string_view(escaped(imatrix.path.filename().string(), 1024)));
        if (!imatrix.datasets.empty())
            keys.set("quantize.imatrix.dataset", std::string_view(escaped(imatrix.datasets.front(), 1024)));
        keys.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(imatrix.entries.size()));
        keys.set("quantize.imatrix.chunks_count", imatrix.chunks);
    }
    return keys;
}

void GgufPlanner::addAdapter(const ExportRequest& request, GgufDesign& design) const
{
    design.factors.resize(m_source.targets.size());
    if (request.merged)
        return;
    const std::span<const GgufTarget> targets = m_source.targets;
    for (std::size_t first = 0; first < targets.size(); first += targets[first].parts) {
        // The experts of a stack share one rank, the largest: the others' factors are filled up with zeros.
        const std::size_t count = targets[first].parts;
        std::uint32_t rank = 0;
        for (std::size_t i = first; i < first + count; ++i) {
            const LayerPlan& plan = request.plan.layers[targets[i].tensor];
            rank = std::max(rank, plan.keep ? 0 : plan.rank);
        }
        if (rank == 0)
            continue;
        const LayerPlan& plan = request.plan.layers[targets[first].tensor];
        const FactorType type
            = request.dequantized ? FactorType::F32 : storedFactors(targets[first], plan, design.tensors[first].shape.back());
        const std::size_t base = design.adapter.size();
        design.adapter.resize(base + 2 * count);
        for (std::size_t i = 0; i < count; ++i) {
            auto specs = adapterSpecs(targets[first + i], design.tensors[first + i], rank, type);
            design.adapter[base + i] = std::move(specs[0]);
            design.adapter[base + count + i] = std::move(specs[1]);
            design.factors[first + i] = FactorPlaces{.a = base + i, .b = base + count + i, .rank = rank};
        }
    }
    design.adapterKeys = adapterKeys(m_source.architecture);
}

void GgufPlanner::measure(const ExportRequest& request, GgufDesign& design) const
{
    SizeEstimate& estimate = design.estimate;
    estimate.notes = m_source.notes;
    const std::span<const GgufTensorSpec> tensors = design.tensors;
    const Bytes splitBytes = design.runs.size() > 1 ? splitKeys(0, 1, {}).bytes() : 0;
    for (std::size_t file = 0; file < design.runs.size(); ++file) {
        const auto [begin, end] = design.runs[file];
        const Bytes modelKeys = file == 0 ? m_source.keys.bytes() + design.planKeys.bytes() : 0;
        Bytes model = ggufHeaderBytes({}, tensors.subspan(begin, end - begin), modelKeys + splitBytes);
        estimate.overhead += model;
        for (std::size_t i = begin; i < end; ++i) {
            const Bytes size = *checkedByteSize(tensors[i].dtype, tensors[i].shape);
            const bool isKept = i >= m_source.targets.size() || request.plan.layers[m_source.targets[i].tensor].keep;
            (isKept ? estimate.kept : estimate.codes) += size;
            estimate.overhead += ggufPaddedBytes(tensors[i]) - size;
            model += ggufPaddedBytes(tensors[i]);
        }
        estimate.outputs.push_back({splitPathFor(request.output, file, design.runs.size()), "model", model});
        estimate.total += model;
    }
    if (design.adapter.empty())
        return;
    Bytes adapter = ggufHeaderBytes(design.adapterKeys, design.adapter);
    estimate.overhead += adapter;
    for (const GgufTensorSpec& spec : design.adapter) {
        const Bytes size = *checkedByteSize(spec.dtype, spec.shape);
        estimate.factors += size;
        estimate.overhead += ggufPaddedBytes(spec) - size;
        adapter += ggufPaddedBytes(spec);
    }
    estimate.outputs.push_back({adapterPathFor(request.output), "adapter", adapter});
    estimate.total += adapter;
}

Status GgufPlanner::checkPlan(const QuantizationPlan& plan) const
{
    if (plan.layers.size() == m_checkpoint->tensors().size())
        return {};
    return fail(ErrorCode::InvalidRecipe, Where{m_checkpoint->path().string(), {}, {}},
                fmt::format("the plan is for {} tensors, the model has {}", plan.layers.size(), m_checkpoint->tensors().size()));
}

Result<GgufTensorSpec> GgufPlanner::checkedSpec(const GgufTarget& target, const ExportRequest& request) const
{
    const LayerPlan& plan = request.plan.layers[target.tensor];
    auto spec = specOf(target, plan, request.dequantized || request.merged);
    if (!spec)
        return spec;
    if (!checkedByteSize(spec->dtype, spec->shape))
        return refuse(*m_checkpoint, target,
                      fmt::format("rows of the shape {} are no multiple of {}'s block of {}", toString(spec->shape),
                                  info(spec->dtype).name, info(spec->dtype).blockElements));
    if (!plan.keep && plan.rank > 0) {
        if (auto possible = checkCorrection(target, plan); !possible)
            return passOn(std::move(possible));
    }
    return spec;
}

Status GgufPlanner::checkStack(std::size_t part, std::span<const GgufTensorSpec> specs, const QuantizationPlan& plan) const
{
    const GgufTarget& target = m_source.targets[part];
    const GgufTarget& before = m_source.targets[part - 1];
    const bool isKept = plan.layers[target.tensor].keep;
    const bool wasKept = plan.layers[before.tensor].keep;
    if (specs[part].dtype == specs[part - 1].dtype && isKept == wasKept)
        return {};
    const auto form = [](const GgufTensorSpec& spec, bool keep) { return fmt::format("{}{}", keep ? "kept as " : "", info(spec.dtype).name); };
    return refuse(*m_checkpoint, target,
                  fmt::format("is {}, expert {} {}: llama.cpp has the experts' matrices of a kind in one tensor, {}, of one type; the "
                              "nearest plan gives all of them the same grid",
                              form(specs[part], isKept), before.part, form(specs[part - 1], wasKept), target.name));
}

PlanVerdict GgufPlanner::verdict(const ExportRequest& request) const
{
    PlanVerdict verdict{.parts = partsOf(request.plan), .refusals = {}};
    if (Status possible = checkPlan(request.plan); !possible) {
        sigmascope::refuse(verdict, possible.error());
        return verdict;
    }
    carry(verdict, PlanPart::Codes, Carriage::Exact);
    carry(verdict, PlanPart::Correction, Carriage::Adapter);
    carry(verdict, PlanPart::Factors, Carriage::Exact);
    carry(verdict, PlanPart::Kept, Carriage::Exact);
    carry(verdict, PlanPart::Recipe, Carriage::Inside);
    if (m_source.keys.contains("tokenizer.ggml.model"))
        carry(verdict, PlanPart::Tokenizer, Carriage::Inside);
    else
        carry(verdict, PlanPart::Tokenizer, Carriage::Left, "the model has no tokenizer that GGUF could hold");
    const auto note = [&verdict](PlanPart part, Carriage carriage, const std::string& reason) {
        CarriedPart& found = partIn(verdict, part);
        ++found.changed;
        if (found.carriage == Carriage::Refused || (found.changed > 1 && carriage != Carriage::Refused))
            return;
        found.carriage = carriage;
        found.reason = reason;
    };
    std::vector<GgufTensorSpec> specs;
    for (const GgufTarget& target : m_source.targets) {
        const TensorInfo& tensor = m_checkpoint->tensors()[target.tensor];
        const LayerPlan& plan = request.plan.layers[target.tensor];
        if (plan.keep && target.keptType != tensor.dtype)
            note(PlanPart::Kept, Carriage::Converted, "llama.cpp reads norms, vectors and routers as F32");
        const auto spec = checkedSpec(target, request);
        specs.push_back(spec.value_or(GgufTensorSpec{target.name, target.keptType, tensor.shape, target.parts, target.part}));
        Status possible = spec ? Status{} : passOn(spec);
        if (possible && target.part > 0)
            possible = checkStack(specs.size() - 1, specs, request.plan);
        if (!possible) {
            const bool isCorrection = !plan.keep && specOf(target, plan, false).has_value() && !checkCorrection(target, plan).has_value();
            note(plan.keep ? PlanPart::Kept : isCorrection ? PlanPart::Correction : PlanPart::Codes, Carriage::Refused, possible.error().detail);
            sigmascope::refuse(verdict, possible.error(), target.tensor);
        } else if (!plan.keep && plan.rank > 0) {
            const FactorType stored = storedFactors(target, plan, spec->shape.back());
            if (stored != plan.factors)
                note(PlanPart::Factors, Carriage::Widened,
                     target.parts > 1            ? "the experts' factors share one tensor of one type: F32"
                     : stored == FactorType::F32 ? "no GGUF type has INT8's scale per row and per column: F32 instead"
                                                 : "Q8_0 needs ranks and row lengths that are multiples of 32: F16 instead");
        }
    }
    return verdict;
}

Result<GgufDesign> GgufPlanner::design(const ExportRequest& request) const
{
    if (Status possible = checkPlan(request.plan); !possible)
        return passOn(std::move(possible));
    GgufDesign design;
    design.tensors.reserve(m_source.targets.size() + m_source.extras.size());
    for (const GgufTarget& target : m_source.targets) {
        auto spec = checkedSpec(target, request);
        if (!spec)
            return passOn(std::move(spec));
        design.tensors.push_back(std::move(*spec));
        if (target.part == 0)
            continue;
        if (auto alike = checkStack(design.tensors.size() - 1, design.tensors, request.plan); !alike)
            return passOn(std::move(alike));
    }
    for (const GgufExtra& extra : m_source.extras)
        design.tensors.push_back(extra.spec);
    design.planKeys = planKeysOf(request, design.tensors);
    design.runs = splitGguf(splitLimitsOf(request), m_source.keys.bytes() + design.planKeys.bytes(), design.tensors);
    if (design.runs.size() > kMostFiles)
        return fail(ErrorCode::NotRepresentable, Where{request.output.string(), {}, {}},
                    fmt::format("the model would come in {} files, split.count counts {} at most", design.runs.size(), kMostFiles));
    addAdapter(request, design);
    measure(request, design);
    return design;
}

Result<SizeEstimate> GgufPlanner::estimate(const QuantizationPlan& plan, const Imatrix* calibration, const fs::path& output) const
{
    ExportRequest request;
    request.plan = plan;
    request.calibration = calibration;
    request.output = output;
    auto designed = design(request);
    if (!designed)
        return passOn(std::move(designed));
    return std::move(designed->estimate);
}

Result<std::vector<GgufLayout>> GgufPlanner::modelLayouts(const GgufDesign& design) const
{
    std::vector<GgufLayout> layouts;
    for (std::size_t file = 0; file < design.runs.size(); ++file) {
        GgufKeys keys = file == 0 ? m_source.keys : GgufKeys();
        if (file == 0)
            keys.append(design.planKeys);
        if (design.runs.size() > 1)
            keys.append(splitKeys(file, design.runs.size(), design.tensors));
        const auto at = [&](std::size_t i) { return design.tensors.begin() + static_cast<std::ptrdiff_t>(i); };
        auto layout = layoutGguf(keys, std::vector(at(design.runs[file].begin), at(design.runs[file].end)));
        if (!layout)
            return passOn(std::move(layout));
        layouts.push_back(std::move(*layout));
    }
    return layouts;
}

Result<GgufLayout> GgufPlanner::adapterLayout(const GgufDesign& design)
{
    return layoutGguf(design.adapterKeys, design.adapter);
}

}  // namespace sigmascope
