// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/SourceLoss.h"

#include <algorithm>
#include <map>
#include <vector>

#include <fmt/format.h>

namespace sigmascope {

namespace {

constexpr std::size_t kNamedFormats = 3;

}  // namespace

std::string quantizedAs(const Checkpoint& checkpoint, std::size_t tensor)
{
    const TensorInfo& source = checkpoint.tensors()[tensor];
    const bool isCoded = checkpoint.packed(tensor) != nullptr || checkpoint.coded(tensor) != nullptr || info(source.dtype).quantized;
    return isCoded ? escaped(source.typeName(), 60) : std::string();
}

std::optional<std::string> requantizingNote(const Checkpoint& checkpoint, const QuantizationPlan& plan)
{
    std::map<std::string, std::size_t> layersOf;
    std::size_t layers = 0;
    std::size_t quantized = 0;
    for (std::size_t i = 0; i < std::min(plan.layers.size(), checkpoint.tensors().size()); ++i) {
        if (plan.layers[i].keep)
            continue;
        ++layers;
        if (std::string format = quantizedAs(checkpoint, i); !format.empty()) {
            ++layersOf[std::move(format)];
            ++quantized;
        }
    }
    if (quantized == 0)
        return std::nullopt;
    std::vector<std::pair<std::size_t, std::string>> formats;
    for (const auto& [format, count] : layersOf)
        formats.emplace_back(count, format);
    std::ranges::stable_sort(formats, std::ranges::greater{}, &std::pair<std::size_t, std::string>::first);
    std::string names;
    for (std::size_t i = 0; i < std::min(kNamedFormats, formats.size()); ++i)
        names += (i == 0 ? "" : ", ") + formats[i].second;
    if (formats.size() > kNamedFormats)
        names += ", …";
    return fmt::format("{} of {} layers to be quantized were quantized already ({}): errors are the loss added to what the "
                       "model stores, not the distance from the weights it was made of",
                       quantized, layers, names);
}

}  // namespace sigmascope
