// SPDX-License-Identifier: GPL-3.0-or-later
// Mixtures of experts as newer versions of transformers hold them: one tensor [experts, 2 * width, hidden] of the
// gate's rows and then the up projection's, one [experts, hidden, width]. Each expert's matrices lie in one piece, so
// they are listed by themselves, under the names that published folders have and every runtime knows.
#include "core/checkpoint/readers/CheckpointBuilder.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace sigmascope {

namespace {

constexpr std::string_view kGateUp = "experts.gate_up_proj";
constexpr std::string_view kDown = "experts.down_proj";
constexpr std::uint64_t kMostExperts = 4096;  // nobody has more; a few bytes must not become a long list
constexpr std::size_t kMostMatrices = 262'144;  // of all stacks together
constexpr std::size_t kLongestName = 1024;  // each part repeats it

/// The two tensors of one block's experts.
struct ExpertStack {
    std::size_t gateUp = 0, down = 0;  ///< places in the list
    std::uint64_t experts = 0, width = 0, hidden = 0;
};

bool isPlain(const TensorInfo& tensor)
{
    const bool isReal = tensor.dtype == DType::F64 || tensor.dtype == DType::F32 || tensor.dtype == DType::F16
        || tensor.dtype == DType::BF16;
    return isReal && tensor.state == TensorState::Ok && tensor.shape.size() == 3 && tensor.elements() != 0;
}

/// The stack whose first tensor this is; nothing if the two are not laid out as said above (other families turn the
/// matrices, or mix the rows of gate and up).
std::optional<ExpertStack> stackAt(std::size_t place, std::span<const TensorInfo> tensors,
                                   const std::unordered_map<std::string_view, std::size_t>& byName)
{
    const TensorInfo& gateUp = tensors[place];
    if (!gateUp.name.ends_with(kGateUp) || gateUp.name.size() > kLongestName || !isPlain(gateUp))
        return std::nullopt;
    const std::string stem = gateUp.name.substr(0, gateUp.name.size() - kGateUp.size());
    const auto found = byName.find(stem + std::string(kDown));
    if (found == byName.end() || !isPlain(tensors[found->second]) || byName.contains(gateUp.name + "_bias"))
        return std::nullopt;
    const Shape& down = tensors[found->second].shape;
    const ExpertStack stack{place, found->second, down[0], down[2], down[1]};
    const bool fits = stack.experts <= kMostExperts && gateUp.shape[0] == stack.experts && gateUp.shape[1] % 2 == 0
        && gateUp.shape[1] / 2 == stack.width && gateUp.shape[2] == stack.hidden;
    return fits ? std::optional(stack) : std::nullopt;
}

/// What published folders call a module of experts and its matrices.
struct ExpertNames {
    std::string stem;  ///< "model.layers.0.mlp."
    std::array<std::string_view, 3> words;  ///< of gate, up and down
};

/// Mixtral's have names of their own: "model.layers.0.block_sparse_moe." and w1, w3, w2.
ExpertNames namesOf(const TensorInfo& gateUp, bool isMixtral)
{
    constexpr std::string_view kMlp = ".mlp.";
    std::string stem = gateUp.name.substr(0, gateUp.name.size() - kGateUp.size());
    if (!isMixtral || !stem.ends_with(kMlp))
        return {std::move(stem), {"gate_proj", "up_proj", "down_proj"}};
    stem.replace(stem.size() - kMlp.size(), kMlp.size(), ".block_sparse_moe.");
    return {std::move(stem), {"w1", "w3", "w2"}};
}

/// Matrix @p number of @p count equal ones that a tensor is made of.
TensorInfo partOf(const TensorInfo& whole, std::string name, std::uint64_t number, std::uint64_t count, Shape shape)
{
    TensorInfo part = whole;
    part.name = std::move(name);
    part.bytes = whole.bytes / count;
    part.offset = whole.offset + number * part.bytes;
    part.shape = std::move(shape);
    return part;
}

std::vector<TensorInfo> partsOf(const ExpertStack& stack, std::span<const TensorInfo> tensors, const ExpertNames& names)
{
    const TensorInfo& gateUp = tensors[stack.gateUp];
    const TensorInfo& down = tensors[stack.down];
    std::vector<TensorInfo> parts;
    parts.reserve(static_cast<std::size_t>(3 * stack.experts));
    for (std::uint64_t expert = 0; expert < stack.experts; ++expert) {
        const auto name = [&](std::size_t word) {
            return names.stem + "experts." + std::to_string(expert) + "." + std::string(names.words[word]) + ".weight";
        };
        for (std::size_t half = 0; half < 2; ++half)
            parts.push_back(
                partOf(gateUp, name(half), 2 * expert + half, 2 * stack.experts, {stack.width, stack.hidden}));
        parts.push_back(partOf(down, name(2), expert, stack.experts, {stack.hidden, stack.width}));
    }
    return parts;
}

}  // namespace

void CheckpointBuilder::listExperts()
{
    std::vector<TensorInfo>& tensors = m_checkpoint->m_tensors;
    const auto isStack = [](const TensorInfo& tensor) { return tensor.name.ends_with(kGateUp); };
    if (m_checkpoint->m_format != CheckpointFormat::Safetensors || !m_checkpoint->m_coded.empty()
        || std::ranges::none_of(tensors, isStack))
        return;
    m_checkpoint->m_byName.clear();  // it borrows names that move now
    std::unordered_map<std::string_view, std::size_t> byName;
    for (std::size_t i = 0; i < tensors.size(); ++i)
        byName.emplace(tensors[i].name, i);
    const bool isMixtral
        = m_checkpoint->m_config.is_object() && textIn(m_checkpoint->m_config, "model_type") == "mixtral";
    std::unordered_map<std::size_t, std::vector<TensorInfo>> listed;  // in the place of the first of a stack's two
    std::unordered_set<std::size_t> gone;
    std::unordered_map<std::size_t, std::string> renamed;  // routers, beside experts whose names changed
    std::size_t count = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const auto stack = stackAt(i, tensors, byName);
        if (!stack || count + 3 * stack->experts > kMostMatrices)
            continue;
        const ExpertNames names = namesOf(tensors[i], isMixtral);
        auto parts = partsOf(*stack, tensors, names);
        if (std::ranges::any_of(parts, [&](const TensorInfo& part) { return byName.contains(part.name); }))
            continue;  // the expert is there by itself as well: both are shown as they are stored
        const std::string router = names.stem + "gate.weight";
        const std::string own = tensors[i].name.substr(0, tensors[i].name.size() - kGateUp.size()) + "gate.weight";
        if (const auto found = byName.find(own); found != byName.end() && own != router && !byName.contains(router))
            renamed.emplace(found->second, router);
        count += parts.size();
        gone.insert({stack->gateUp, stack->down});
        listed.emplace(std::min(stack->gateUp, stack->down), std::move(parts));
    }
    std::vector<TensorInfo> all;
    all.reserve(tensors.size() + count);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (const auto parts = listed.find(i); parts != listed.end())
            std::ranges::move(parts->second, std::back_inserter(all));
        if (gone.contains(i))
            continue;
        all.push_back(std::move(tensors[i]));
        if (const auto router = renamed.find(i); router != renamed.end())
            all.back().name = router->second;
    }
    tensors = std::move(all);
}

}  // namespace sigmascope
