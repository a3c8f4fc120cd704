// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/PackedModel.h"

#include "core/export/PackedExporter.h"
#include "core/export/PeftAdapter.h"
#include "core/export/WholeCheckpoint.h"
#include "core/plan/TargetGrids.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kHead = "lm_head.weight";

/// Said, not only left open: whether a class ties its embeddings where config.json is silent, each knows for itself.
bool isUntied(const Json& config)
{
    const auto tied = config.find("tie_word_embeddings");
    return tied != config.end() && tied->is_boolean() && !tied->get<bool>();
}

/// What the model itself has against such a folder, whatever the plan.
Status checkPackable(const ExportRequest& request)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    if (checkpoint.format() != CheckpointFormat::Safetensors || !checkpoint.config().is_object())
        return fail(ErrorCode::NotRepresentable, Where{checkpoint.path().string(), {}, {}},
                    "the runtimes of this format load Hugging Face folders; this model is none, or has no config.json; "
                    "nearest: gguf or research");
    if (checkpoint.config().contains("quantization_config"))
        return fail(ErrorCode::NotRepresentable,
                    Where{(checkpoint.folder() / "config.json").string(), "quantization_config", {}},
                    "the model is quantized already: its config.json can describe one format only");
    const auto isInner = [](const TensorInfo& tensor) { return textNameOf(tensor.name) != tensor.name; };
    if (const auto inner = std::ranges::find_if(checkpoint.tensors(), isInner); inner != checkpoint.tensors().end())
        return fail(ErrorCode::NotRepresentable, Where{checkpoint.path().string(), inner->name, {}},
                    "is of a model that takes images too: versions of the runtimes call its modules by different names, "
                    "and config.json must name those that stay unquantized; nearest: gguf or bf16");
    if (request.output.extension() == ".safetensors")
        return fail(ErrorCode::NotRepresentable, Where{request.output.string(), {}, {}},
                    "runtimes need config.json beside the weights; nearest: the name of a folder");
    return {};
}

/// A plan seen module by module: which are quantized and how, and what stands against each tensor.
class PackedPlanner {
public:
    PackedPlanner(const ExportRequest& request, const PackedFormat& format)
        : m_request(request)
        , m_format(format)
        , m_topology(*request.checkpoint)
        , m_unlike(request.checkpoint->tensors().size())
    {
        const auto& tensors = request.checkpoint->tensors();
        for (std::size_t i = 0; i < std::min(tensors.size(), request.plan.layers.size()); ++i) {
            const TensorInfo& tensor = tensors[i];
            const LayerPlan& plan = request.plan.layers[i];
            const TensorPlace& place = m_topology.place(i);
            if (tensor.shape.size() != 2 || !tensor.name.ends_with(kWeight) || place.role == Role::Embedding)
                continue;
            PackedModule module{.tensor = i, .path = tensor.name.substr(0, tensor.name.size() - kWeight.size())};
            if (m_topology.isQuantizable(i))
                module.fused = fusedPathOf(module.path, place);
            const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
            const auto form = grid && *grid != nullptr ? intFormOf(**grid) : std::nullopt;
            if (form) {
                module.grid = *grid;
                module.form = *form;
                m_anyAsymmetric = m_anyAsymmetric || form->isAsymmetric;
            }
            m_modules.push_back(std::move(module));
            if (!plan.keep && plan.rank > 0)
                m_corrected.push_back({m_modules.back().path, plan.rank});
        }
        compareFused();
        compareAll();
    }

    [[nodiscard]] const std::vector<PackedModule>& modules() const { return m_modules; }
    [[nodiscard]] const std::vector<CorrectedModule>& corrected() const { return m_corrected; }
    [[nodiscard]] bool anyAsymmetric() const { return m_anyAsymmetric; }

    [[nodiscard]] Result<SafetensorsItem> itemOf(std::size_t index, const LayerPlan& plan) const
    {
        const Checkpoint& checkpoint = *m_request.checkpoint;
        const TensorInfo& tensor = checkpoint.tensors()[index];
        const Where where{checkpoint.shardPath(tensor.shard).string(), tensor.name, tensor.offset};
        if (Status whole = checkWhole(checkpoint, index); !whole)
            return passOn(std::move(whole));
        if (!m_unlike[index].empty())
            return fail(ErrorCode::NotRepresentable, where, m_unlike[index]);
        SafetensorsItem item{.tensor = index, .isKept = plan.keep};
        if (plan.keep) {
            item.specs.push_back({.name = tensor.name,
                                  .dtype = tensor.dtype,
                                  .shape = tensor.shape,
                                  .word = tensor.unknownDtype,
                                  .bytes = tensor.bytes});
            return item;
        }
        const auto grid = findGrid(plan.grid);
        if (!grid)
            return passOn(grid);
        if (Status carried = checkRepresentable(m_format.target, **grid); !carried)
            return fail(carried.error().code, where, carried.error().detail);
        const bool isHead = m_format.takesHead && tensor.name == kHead && isUntied(checkpoint.config());
        if (isHead && plan.rank > 0)
            return fail(ErrorCode::NotRepresentable, where,
                        "is the output matrix, whose correction runtimes of adapters leave aside; nearest: rank 0");
        if (tensor.shape.size() != 2 || !tensor.name.ends_with(kWeight) || (!isHead && !m_topology.isQuantizable(index)))
            return fail(ErrorCode::NotRepresentable, where,
                        "is no linear layer of a block; runtimes read embedding, output head, router and stacks of "
                        "experts unquantized; nearest: keep it");
        return quantizedItem(std::move(item), where, plan, *intFormOf(**grid));
    }
    [[nodiscard]] std::vector<PackedTensor> tensorsOf(std::uint64_t rows, std::uint64_t cols, const IntForm& form) const
    {
        return m_format.tensors(rows, cols, form, m_anyAsymmetric);
    }

private:
    [[nodiscard]] Result<SafetensorsItem> quantizedItem(SafetensorsItem item, const Where& where, const LayerPlan& plan,
                                                        const IntForm& form) const
    {
        const TensorInfo& tensor = m_request.checkpoint->tensors()[item.tensor];
        const std::uint64_t rows = tensor.shape[0];
        const std::uint64_t cols = tensor.shape[1];
        std::string why = rows == 0 || cols == 0 ? "has no elements" : m_format.whyNot(rows, cols, form);
        if (why.empty() && form.group != 0 && cols % form.group != 0)
            why = fmt::format(
                "has rows of {}, which groups of {} do not divide; nearest: a narrower group, or int{}-row{}", cols,
                form.group, form.bits, form.isAsymmetric ? "-asym" : "");
        if (!why.empty())
            return fail(ErrorCode::NotRepresentable, where, why);
        const std::string path = tensor.name.substr(0, tensor.name.size() - kWeight.size());
        for (PackedTensor& part : tensorsOf(rows, cols, form))
            item.specs.push_back(
                {.name = fmt::format("{}.{}", path, part.name), .dtype = part.dtype, .shape = std::move(part.shape)});
        if (plan.rank == 0)
            return item;
        if (plan.rank > std::min(rows, cols))
            return fail(ErrorCode::NotRepresentable, where,
                        fmt::format("rank {} exceeds the shape {}", plan.rank, toString(tensor.shape)));
        auto adapter = adapterTensorsOf(path, rows, cols, plan);
        if (!adapter)
            return fail(adapter.error().code, where, adapter.error().detail);
        item.adapter = std::move(*adapter);
        return item;
    }

    [[nodiscard]] std::string gridOf(const PackedModule& module) const
    {
        const LayerPlan& plan = m_request.plan.layers[module.tensor];
        return plan.keep ? std::string() : plan.grid;
    }

    /// vLLM loads q, k and v into one matrix, gate and up into another, and all experts of a layer together: what is
    /// not as most of its siblings are is told to become so.
    void compareFused()
    {
        std::map<std::string, std::vector<const PackedModule*>> siblings;
        for (const PackedModule& module : m_modules) {
            if (!module.fused.empty())
                siblings[module.fused].push_back(&module);
        }
        for (const auto& [fused, members] : siblings) {
            std::map<std::string, std::size_t> count;
            for (const PackedModule* member : members)
                ++count[gridOf(*member)];
            if (count.size() < 2)
                continue;
            // Of what is equally frequent a grid, not "kept", and the last in name: the wider.
            const auto usual = std::ranges::max_element(count, [](const auto& a, const auto& b) {
                return std::pair(a.second, a.first) < std::pair(b.second, b.first);
            });
            for (const PackedModule* member : members) {
                if (gridOf(*member) == usual->first)
                    continue;
                const std::string nearest
                    = usual->first.empty() ? "keep all of them" : usual->first + " for all of them";
                m_unlike[member->tensor] = fmt::format(
                    "is {}, its siblings are {}; vLLM merges them into {}, which has one scheme; nearest: {}",
                    wordOf(gridOf(*member)), wordOf(usual->first), fused, nearest);
            }
        }
    }
    void compareAll()
    {
        const Grid* usual = usualGrid(m_modules);
        if (!m_format.isUniform || usual == nullptr)
            return;
        for (const PackedModule& module : m_modules) {
            if (module.grid != nullptr && module.grid != usual && m_unlike[module.tensor].empty())
                m_unlike[module.tensor]
                    = fmt::format("is {}, others are {}; {} has one scheme for all layers; nearest: {}, or keep it",
                                  module.grid->id(), usual->id(), m_format.target, usual->id());
        }
    }
    static std::string wordOf(const std::string& grid) { return grid.empty() ? "kept" : grid; }

    const ExportRequest& m_request;
    const PackedFormat& m_format;
    ModelTopology m_topology;
    std::vector<PackedModule> m_modules;
    std::vector<CorrectedModule> m_corrected;
    std::vector<std::string> m_unlike;  // by tensor: why it cannot be as it is beside its siblings
    bool m_anyAsymmetric = false;
};

void addAdapterFiles(const ExportRequest& request, const PackedPlanner& planner, SafetensorsContents& contents)
{
    if (planner.corrected().empty())
        return;
    // The name alone: whoever moves the folder need not edit it.
    const std::filesystem::path& output = request.output;
    const std::string base = escaped((output.has_filename() ? output : output.parent_path()).filename().string(), 255);
    contents.sides.push_back(
        {.name = fmt::format("{}/{}", kAdapterFolder, kAdapterConfig),
         .text = dumpJson(adapterConfigOf(planner.corrected(), planner.modules(), base), 2) + '\n'});
    contents.adapterNotes
        = {{"format", "pt"}, {"sigmascope.version", SIGMASCOPE_VERSION}, {"sigmascope.corrects", base}};
}

Result<SafetensorsDesign> packedDesignOf(const ExportRequest& request, const PackedFormat& format,
                                         const PackedPlanner& planner)
{
    const Checkpoint& checkpoint = *request.checkpoint;
    if (Status possible = checkPackable(request); !possible)
        return passOn(std::move(possible));
    SafetensorsContents contents;
    for (std::size_t i = 0; i < checkpoint.tensors().size(); ++i) {
        auto item = planner.itemOf(i, request.plan.layers[i]);
        if (!item)
            return passOn(std::move(item));
        contents.items.push_back(std::move(*item));
    }
    if (usualGrid(planner.modules()) == nullptr)
        return fail(ErrorCode::NotRepresentable, Where{request.output.string(), {}, {}},
                    "the plan quantizes no layer, so there is nothing for this format to hold; nearest: bf16");
    const std::string recipe = dumpJson(toJson(recipeOf(request.plan, checkpoint, ModelTopology(checkpoint))));
    contents.notes = {{"format", "pt"}, {"sigmascope.version", SIGMASCOPE_VERSION}, {"sigmascope.recipe", recipe}};
    if (request.calibration != nullptr)
        contents.notes.emplace_back("sigmascope.calibration",
                                    escaped(request.calibration->path.filename().string(), 1024));
    const Json config = format.config(planner.modules());
    contents.config = checkpoint.config();
    contents.config["quantization_config"] = config;
    if (!format.configFile.empty())
        contents.sides.push_back({.name = std::string(format.configFile), .text = dumpJson(config, 2) + '\n'});
    addAdapterFiles(request, planner, contents);
    if (format.addRemarks != nullptr)
        format.addRemarks(config, !planner.corrected().empty(), contents.remarks);
    if (textIn(contents.config, contents.config.contains("dtype") ? "dtype" : "torch_dtype") == "bfloat16")
        contents.remarks.emplace_back("scales are stored as planned; a runtime that computes in BF16, as config.json "
                                      "asks for, rounds them to it");
    auto design = designSafetensors(request, std::move(contents));
    if (design)
        design->estimate.adapterRank = adapterRankOf(planner.corrected());
    return design;
}

}  // namespace

std::string fusedPathOf(const std::string& path, const TensorPlace& place)
{
    if (const std::size_t experts = path.find(".experts."); experts != std::string::npos)
        return path.substr(0, experts + 8);
    const std::size_t dot = path.rfind('.');
    if (dot == std::string::npos || place.group == FusedGroup::None)
        return {};
    return path.substr(0, dot) + (place.group == FusedGroup::Qkv ? ".qkv_proj" : ".gate_up_proj");
}

const Grid* usualGrid(std::span<const PackedModule> modules)
{
    std::vector<std::pair<const Grid*, std::size_t>> counts;
    for (const PackedModule& module : modules) {
        if (module.grid == nullptr)
            continue;
        auto found = std::ranges::find(counts, module.grid, &std::pair<const Grid*, std::size_t>::first);
        if (found == counts.end())
            found = counts.insert(counts.end(), {module.grid, 0});
        ++found->second;
    }
    const auto most = std::ranges::max_element(counts, {}, &std::pair<const Grid*, std::size_t>::second);
    return most == counts.end() ? nullptr : most->first;
}

std::string regexOf(std::string_view path)
{
    constexpr std::string_view kRead = R"(.^$*+?()[]{}|\)";
    std::string pattern;
    for (const char c : path) {
        if (kRead.find(c) != std::string_view::npos)
            pattern += '\\';
        pattern += c;
    }
    return pattern;
}

Result<SizeEstimate> estimatePacked(const ExportRequest& request, const PackedFormat& format)
{
    auto design = packedDesignOf(request, format, PackedPlanner(request, format));
    if (!design)
        return passOn(std::move(design));
    return std::move(design->estimate);
}

PlanVerdict acceptsPacked(const ExportRequest& request, const PackedFormat& format)
{
    const PackedPlanner planner(request, format);
    PlanVerdict verdict = verdictOfSafetensors(
        request, checkPackable(request),
        [&planner](const Checkpoint&, std::size_t index, const LayerPlan& plan) { return planner.itemOf(index, plan); },
        [&](const ExportRequest& asked) -> Result<SizeEstimate> {
            auto design = packedDesignOf(asked, format, planner);
            if (!design)
                return passOn(std::move(design));
            return std::move(design->estimate);
        });
    if (partIn(verdict, PlanPart::Correction).carriage == Carriage::Inside)
        carry(verdict, PlanPart::Correction, Carriage::Adapter);
    if (request.plan.layers.size() == partIn(verdict, PlanPart::Kept).layers && !verdict.refusals.empty()) {
        carry(verdict, PlanPart::Kept, Carriage::Refused, verdict.refusals.front().detail);
        partIn(verdict, PlanPart::Kept).changed = request.plan.layers.size();
    }
    return verdict;
}

Result<std::unique_ptr<Exporter>> makePackedExporter(ExportRequest request, const PackedFormat& format)
{
    const PackedPlanner planner(request, format);
    auto design = packedDesignOf(request, format, planner);
    if (!design)
        return passOn(std::move(design));
    const bool anyAsymmetric = planner.anyAsymmetric();  // read before the request that it borrows moves
    return openPackedExporter(std::move(request), std::move(*design), format, anyAsymmetric);
}

}  // namespace sigmascope
