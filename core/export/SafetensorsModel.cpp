// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/SafetensorsModel.h"

#include "core/export/WholeCheckpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <system_error>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

/// Upper bound of what an item adds to the header of its file.
Bytes headerShare(const SafetensorsItem& item)
{
    Bytes bytes = 2 * item.description.size() + 16;  // quotes are escaped once more
    for (const SafetensorsSpec& spec : item.specs)
        bytes += 6 * spec.name.size() + 21 * spec.shape.size() + 120;
    return bytes;
}

Result<Bytes> bytesOf(const SafetensorsSpec& spec)
{
    if (spec.dtype == DType::Unknown)
        return spec.bytes;
    const auto bytes = checkedByteSize(spec.dtype, spec.shape);
    if (!bytes)
        return fail(ErrorCode::NotRepresentable, Where{{}, spec.name, {}},
                    fmt::format("{} {} does not fill whole bytes", info(spec.dtype).name, toString(spec.shape)));
    return *bytes;
}

/// Widest type first, so that every tensor is aligned to its own; otherwise as in the checkpoint.
int widthOf(const SafetensorsItem& item)
{
    const DTypeInfo& type = info(item.specs.front().dtype);
    return type.blockElements == 1 ? static_cast<int>(type.blockBits) : 0;
}

/// First item of each file, and the end.
Result<std::vector<std::size_t>> cuts(const std::vector<SafetensorsItem>& items, Bytes limit, Bytes fixedHeader)
{
    std::vector<std::size_t> begins;
    Bytes size = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
        Bytes own = headerShare(items[i]);
        for (const SafetensorsSpec& spec : items[i].specs) {
            const auto bytes = bytesOf(spec);
            if (!bytes)
                return passOn(bytes);
            const auto sum = checkedAdd(own, *bytes);
            if (!sum)
                return fail(ErrorCode::SizeOverflow, Where{{}, spec.name, {}}, "the file would exceed 2^64 bytes");
            own = *sum;
        }
        const auto sum = checkedAdd(size, own);
        if (begins.empty() || !sum || *sum > limit) {
            begins.push_back(i);
            size = fixedHeader + own;
        } else {
            size = *sum;
        }
    }
    begins.push_back(items.size());
    return begins;
}

std::string descriptions(std::span<const SafetensorsItem> items, const Checkpoint& checkpoint)
{
    std::string text = "{";
    for (const SafetensorsItem& item : items) {
        if (!item.description.empty())
            text += dumpJson(Json(checkpoint.tensors()[item.tensor].name)) + ':' + item.description + ',';
    }
    if (text.size() == 1)
        return "{}";
    text.back() = '}';
    return text;
}

std::string indexOf(const SafetensorsDesign& design)
{
    Bytes total = 0;
    std::string entries;
    for (std::size_t i = 0; i < design.layouts.size() - (design.hasAdapter ? 1 : 0); ++i) {
        const std::string file = dumpJson(Json(design.paths[i].filename().string()));
        for (const SafetensorsSpec& spec : design.layouts[i].tensors) {
            total += spec.bytes;
            entries += fmt::format("{}\n    {}: {}", entries.empty() ? "" : ",", dumpJson(Json(spec.name)), file);
        }
    }
    return fmt::format("{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n  \"weight_map\": {{{}\n  }}\n}}\n", total, entries);
}

void estimate(SafetensorsDesign& design)
{
    SizeEstimate& sizes = design.estimate;
    const auto add = [&sizes](fs::path path, std::string kind, Bytes bytes) {
        sizes.outputs.push_back({std::move(path), std::move(kind), bytes});
        sizes.total += bytes;
    };
    for (const SideFile& side : design.sides)
        add(design.folder / side.name, side.name == "config.json" ? "config" : "side file", side.bytes);
    for (std::size_t i = 0; i < design.layouts.size(); ++i)
        add(design.paths[i], design.hasAdapter && i + 1 == design.layouts.size() ? "adapter" : "model", design.layouts[i].totalBytes);
    if (!design.index.empty())
        add(design.folder / kSafetensorsIndex, "index", design.index.size());
    Bytes stored = 0;
    for (const SafetensorsItem& item : design.items) {
        Bytes bytes = 0;
        for (const SafetensorsSpec& spec : item.specs)
            bytes += bytesOf(spec).value_or(0);
        (item.isKept ? sizes.kept : sizes.codes) += bytes - item.factorBytes;
        sizes.factors += item.factorBytes;
        stored += bytes;
        for (const SafetensorsSpec& spec : item.adapter) {
            const Bytes factor = bytesOf(spec).value_or(0);
            sizes.factors += factor;
            stored += factor;
        }
    }
    sizes.overhead = sizes.total - stored;
}

void addSides(const ExportRequest& request, const SafetensorsContents& contents, SafetensorsDesign& design)
{
    std::vector<std::string>& notes = design.estimate.notes;
    if (!design.isFolder) {
        notes.push_back("one file alone: config.json and tokenizer are not copied; give a folder's name to have them");
        return;
    }
    design.sides = sideFilesOf(*request.checkpoint, notes);
    if (contents.config.is_object()) {
        SideFile config{.name = "config.json", .text = dumpJson(contents.config, 2) + '\n'};
        config.bytes = config.text.size();
        design.sides.insert(design.sides.begin(), std::move(config));
    } else {
        notes.push_back("no config.json lies beside the model: the folder holds weights alone");
    }
    for (SideFile side : contents.sides) {
        side.bytes = side.text.size();
        design.sides.push_back(std::move(side));
    }
}

/// The factors of all items in one file, which is what runtimes look for.
Status addAdapterFile(SafetensorsNotes notes, SafetensorsDesign& design)
{
    std::vector<SafetensorsSpec> specs;
    for (const SafetensorsItem& item : design.items)
        specs.insert(specs.end(), item.adapter.begin(), item.adapter.end());
    if (specs.empty())
        return {};
    auto layout = layoutSafetensors(std::move(notes), std::move(specs));
    if (!layout)
        return passOn(std::move(layout));
    design.layouts.push_back(std::move(*layout));
    design.paths.push_back(design.folder / kAdapterFolder / kAdapterWeights);
    design.hasAdapter = true;
    return {};
}

}  // namespace

PlanVerdict verdictOfSafetensors(const ExportRequest& request, const Status& model,
                                 const ItemOfLayer& itemOf, const EstimateOfPlan& estimate)
{
    PlanVerdict verdict{.parts = partsOf(request.plan), .refusals = {}};
    const Checkpoint& checkpoint = *request.checkpoint;
    if (!model)
        refuse(verdict, model.error());
    for (const PlanPart part : {PlanPart::Codes, PlanPart::Factors, PlanPart::Kept})
        carry(verdict, part, Carriage::Exact);
    for (const PlanPart part : {PlanPart::Correction, PlanPart::Recipe})
        carry(verdict, part, Carriage::Inside);
    std::vector<std::string> notes;
    const std::vector<SideFile> sides = sideFilesOf(checkpoint, notes);
    const bool hasTokenizer = std::ranges::any_of(sides, [](const SideFile& side) { return side.name.starts_with("tokenizer"); });
    if (request.output.extension() == ".safetensors")
        carry(verdict, PlanPart::Tokenizer, Carriage::Left, "one file alone has no place for it: give a folder's name");
    else if (!hasTokenizer)
        carry(verdict, PlanPart::Tokenizer, Carriage::Left, "no tokenizer file lies beside the model");
    else
        carry(verdict, PlanPart::Tokenizer, Carriage::Copied);
    const std::size_t count = std::min(request.plan.layers.size(), checkpoint.tensors().size());
    for (std::size_t i = 0; i < count; ++i) {
        const LayerPlan& plan = request.plan.layers[i];
        const auto item = itemOf(checkpoint, i, plan);
        if (item)
            continue;
        LayerPlan bare = plan;
        bare.rank = 0;
        const bool isCorrection = !plan.keep && plan.rank > 0 && itemOf(checkpoint, i, bare).has_value();
        const PlanPart part = plan.keep ? PlanPart::Kept : isCorrection ? PlanPart::Correction : PlanPart::Codes;
        if (partIn(verdict, part).changed++ == 0)
            carry(verdict, part, Carriage::Refused, item.error().detail);
        refuse(verdict, item.error(), i);
    }
    if (verdict.refusals.empty()) {
        if (const auto sizes = estimate(request); !sizes)
            refuse(verdict, sizes.error());
    }
    return verdict;
}

std::span<const std::byte> storedBytes(const Checkpoint& checkpoint, std::size_t tensor)
{
    const TensorInfo& stored = checkpoint.tensors()[tensor];
    if (stored.bytes == 0)
        return {};
    return checkpoint.shard(stored.shard)->bytes().subspan(static_cast<std::size_t>(stored.offset), static_cast<std::size_t>(stored.bytes));
}

Result<SafetensorsDesign> designSafetensors(const ExportRequest& request, SafetensorsContents contents)
{
    if (Status there = checkFilesThere(*request.checkpoint); !there)
        return passOn(there);
    SafetensorsDesign design;
    design.isFolder = request.output.extension() != ".safetensors";
    design.folder = design.isFolder ? request.output : folderOf(request.output);
    Bytes fixedHeader = 64;
    for (const auto& [key, value] : contents.notes)
        fixedHeader += 2 * (key.size() + value.size()) + 8;
    const auto begins = cuts(contents.items, request.splitMaxBytes, fixedHeader);
    if (!begins)
        return passOn(begins);
    const std::size_t files = begins->size() - 1;
    if (!design.isFolder && files > 1)
        return fail(ErrorCode::NotRepresentable, Where{request.output.string(), {}, {}},
                    fmt::format("the model needs {} files of at most {} bytes: give a folder's name, or a larger size", files,
                                request.splitMaxBytes));
    for (std::size_t file = 0; file < files; ++file) {
        const auto own = std::span(contents.items).subspan((*begins)[file], (*begins)[file + 1] - (*begins)[file]);
        std::ranges::stable_sort(own, std::ranges::greater{}, widthOf);
        SafetensorsNotes notes = contents.notes;
        if (!contents.descriptionsKey.empty())
            notes.emplace_back(contents.descriptionsKey, descriptions(own, *request.checkpoint));
        std::vector<SafetensorsSpec> specs;
        for (const SafetensorsItem& item : own)
            specs.insert(specs.end(), item.specs.begin(), item.specs.end());
        auto layout = layoutSafetensors(std::move(notes), std::move(specs));
        if (!layout)
            return fail(layout.error().code, Where{request.output.string(), {}, {}}, layout.error().detail);
        design.layouts.push_back(std::move(*layout));
        design.paths.push_back(!design.isFolder ? request.output
                                                : design.folder / (files == 1 ? std::string(kSafetensorsWhole)
                                                                              : fmt::format("model-{:05}-of-{:05}.safetensors", file + 1, files)));
    }
    design.items = std::move(contents.items);
    for (const SafetensorsItem& item : design.items)
        design.order.push_back(item.tensor);
    if (Status added = addAdapterFile(std::move(contents.adapterNotes), design); !added)
        return fail(added.error().code, Where{request.output.string(), {}, {}}, added.error().detail);
    if (files > 1)
        design.index = indexOf(design);
    design.estimate.notes = std::move(contents.remarks);
    addSides(request, contents, design);
    estimate(design);
    return design;
}

}  // namespace sigmascope
