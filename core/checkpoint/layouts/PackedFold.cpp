// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/layouts/PackedFold.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <unordered_set>

namespace sigmascope {

namespace {

constexpr std::string_view kBlocksEnd = "_blocks";
constexpr std::array<std::string_view, 7> kPackedEnds{".qweight", ".weight_packed", ".weight_scale", ".weight_scale_inv",
                                                      ".SCB",     ".absmax",        kBlocksEnd};
constexpr std::array<std::string_view, 9> kReadMethods{"gptq", "awq",        "compressed-tensors", "bitsandbytes", "fp8",
                                                       "mxfp4", "fbgemm_fp8", "modelopt",           "modelopt_fp4"};

/// "'gptq', checkpoint_format 'marlin'"
std::string methodWord(const LayoutSettings& settings)
{
    std::string word = "'" + escaped(settings.method, 40) + "'";
    for (const char* const key : {"checkpoint_format", "format", "version", "quant_algo", "quant_type", "weight_format"})
        if (const std::string more = textIn(settings.config, key); !more.empty())
            word += std::string(", ") + key + " '" + escaped(more, 40) + "'";
    return word;
}

/// Other modules have blocks too: only bytes are codes.
bool isNamedAsPart(const TensorInfo& tensor)
{
    return std::ranges::any_of(kPackedEnds, [&](std::string_view end) {
        return tensor.name.ends_with(end) && (end != kBlocksEnd || tensor.dtype == DType::U8);
    });
}

bool isCode(const TensorInfo& tensor)
{
    return tensor.dtype == DType::F8E4M3 || tensor.dtype == DType::F8E5M2 || isNamedAsPart(tensor);
}

/// Why the matrix cannot stand where its parts are; nothing if it can.
/// @param names  of the matrices that stand already
Status checkPlace(const PackedMatrix& matrix, const StoredTensors& stored, const PackedFold& fold,
                  const std::unordered_set<std::string>& names)
{
    if (names.contains(matrix.name))
        return fail(ErrorCode::DuplicateName, stored.where(*stored.find(matrix.parts.front().name)),
                    "packs '" + escaped(matrix.name) + "' a second time");
    for (const LayoutPart& part : matrix.parts) {
        if (fold.owner[stored.indexOf(part.name)] != PackedFold::kNone)
            return fail(ErrorCode::Overlap, stored.where(*stored.find(part.name)),
                        "belongs to '" + escaped(fold.matrices[fold.owner[stored.indexOf(part.name)]]->name)
                            + "' already");
    }
    const TensorInfo* const same = stored.find(matrix.name);
    const bool isPart = std::ranges::find(matrix.parts, matrix.name, &LayoutPart::name) != matrix.parts.end();
    if (same != nullptr && !isPart)
        return fail(ErrorCode::DuplicateName, stored.where(*same),
                    "is stored beside '" + escaped(matrix.parts.front().name) + "', which is that weight packed");
    return {};
}

void place(PackedMatrix matrix, const StoredTensors& stored, PackedFold& fold)
{
    for (const LayoutPart& part : matrix.parts)
        fold.owner[stored.indexOf(part.name)] = fold.matrices.size();
    fold.matrices.push_back(std::make_shared<const PackedMatrix>(std::move(matrix)));
}

/// What the settings announce and was not found, or was found unannounced.
Status compareWithSettings(const PackedFold& fold, const LayoutSettings& settings, Findings& findings)
{
    // Those of these methods that lie otherwise are called otherwise too: Marlin's are B and s.
    if (fold.matrices.empty() && fold.isWhole && (settings.method == "gptq" || settings.method == "awq"))
        return findings.odd(ErrorCode::UnsupportedVersion, settings.where("quant_method"),
                            "no weight is stored in a way of " + methodWord(settings)
                                + " that is read; the tensors are listed as they are stored");
    if (!fold.matrices.empty() && settings.method.empty())
        return findings.odd(ErrorCode::InvalidMetadata, Where{settings.file, "quantization_config", {}},
                            "expected beside quantized weights, found none: taken as '" + fold.matrices.front()->format
                                + "' by their shapes");
    return {};
}

/// Whether a layout can use the settings; told once.
class SettingsVerdicts {
public:
    SettingsVerdicts(const LayoutSettings& settings, Findings& findings)
        : m_settings(settings)
        , m_findings(findings)
    {
    }

    [[nodiscard]] Result<bool> of(const CheckpointLayout& layout)
    {
        const auto known = m_usable.find(&layout);
        if (known != m_usable.end())
            return known->second;
        const Status checked = layout.check(m_settings);
        m_usable.emplace(&layout, checked.has_value());
        if (checked)
            return true;
        if (Status tolerated = m_findings.odd(checked.error().code, {},
                                              checked.error().detail + "; the tensors are listed as they are stored");
            !tolerated)
            return passOn(tolerated);
        return false;
    }

private:
    const LayoutSettings& m_settings;
    Findings& m_findings;
    std::map<const CheckpointLayout*, bool> m_usable;
};

}  // namespace

bool mayBePacked(std::span<const TensorInfo> tensors, const Json& config)
{
    if (config.is_object() && (config.contains("quantization_config") || config.contains("compression_config")))
        return true;
    return std::ranges::any_of(tensors, isNamedAsPart);
}

Result<LayoutSettings> layoutSettings(const Json& config, std::string file)
{
    LayoutSettings settings{.file = std::move(file)};
    for (const char* const key : {"quantization_config", "compression_config"}) {
        const auto found = config.find(key);
        if (found == config.end() || found->is_null())
            continue;
        if (!found->is_object())
            return fail(ErrorCode::InvalidMetadata, Where{settings.file, key, {}},
                        "expected an object, found " + escaped(dumpJson(*found), 60));
        settings.config = *found;
        settings.method = textIn(*found, "quant_method");
        // Older files leave it out, or call a method by the flags of its loader.
        if (settings.method.empty() && (found->contains("load_in_4bit") || found->contains("load_in_8bit")))
            settings.method = "bitsandbytes";
        if (settings.method.empty() && found->contains("config_groups"))
            settings.method = "compressed-tensors";
        if (settings.method.empty())
            return fail(ErrorCode::InvalidMetadata, settings.where("quant_method"),
                        "expected the name of a method, found none");
        return settings;
    }
    return settings;
}

Result<PackedFold> foldPacked(std::span<const TensorInfo> tensors, const StoredTensors& stored,
                              const LayoutSettings& settings, Findings& findings, const JobContext& job)
{
    PackedFold fold;
    fold.owner.assign(tensors.size(), PackedFold::kNone);
    if (!settings.method.empty() && std::ranges::find(kReadMethods, settings.method) == kReadMethods.end()) {
        if (Status tolerated = findings.odd(ErrorCode::UnsupportedVersion, settings.where("quant_method"),
                                            "weights of " + methodWord(settings)
                                                + " are not read; the tensors are listed as they are stored");
            !tolerated)
            return passOn(tolerated);
        fold.isWhole = false;
        return fold;
    }
    SettingsVerdicts verdicts(settings, findings);
    std::unordered_set<std::string> names;
    for (const TensorInfo& tensor : tensors) {
        if (job.cancelled())
            return cancelledError();
        const auto layouts = checkpointLayouts();
        const auto layout = std::ranges::find_if(
            layouts, [&](const CheckpointLayout* one) { return one->claims(tensor, stored, settings); });
        if (layout == layouts.end())
            continue;
        const auto usable = verdicts.of(**layout);
        if (!usable)
            return passOn(usable);
        if (!*usable) {
            fold.isWhole = false;
            continue;
        }
        auto matrix = (*layout)->assemble(tensor, stored, settings);
        const Status placed = matrix ? checkPlace(*matrix, stored, fold, names) : passOn(matrix);
        if (placed) {
            names.insert(matrix->name);
            // Runtimes hold such a stack decoded in another order than it is stored in: no copy may pass for it.
            fold.isWhole = fold.isWhole && matrix->shape.empty();
            place(std::move(*matrix), stored, fold);
            continue;
        }
        fold.isWhole = false;
        if (Status tolerated = findings.odd(placed.error().code, {}, placed.error().detail); !tolerated)
            return passOn(tolerated);
    }
    // What no layout knows is quantized all the same: stacks of FP8 experts, scales without codes.
    for (std::size_t i = 0; i < tensors.size(); ++i)
        fold.isWhole = fold.isWhole && (fold.owner[i] != PackedFold::kNone || !isCode(tensors[i]));
    if (Status tolerated = compareWithSettings(fold, settings, findings); !tolerated)
        return passOn(tolerated);
    return fold;
}

}  // namespace sigmascope
