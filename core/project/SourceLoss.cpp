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
    const bool isCoded
        = checkpoint.packed(tensor) != nullptr || checkpoint.coded(tensor) != nullptr || info(source.dtype).quantized;
    return isCoded ? escaped(source.typeName(), 60) : std::string();
}

std::optional<Requantizing> requantizing(const Checkpoint& checkpoint, const QuantizationPlan& plan)
{
    std::map<std::string, std::size_t> layersOf;
    Requantizing again;
    for (std::size_t i = 0; i < std::min(plan.layers.size(), checkpoint.tensors().size()); ++i) {
        if (plan.layers[i].keep && checkpoint.packed(i) == nullptr)
            continue;
        ++again.layers;
        if (std::string format = quantizedAs(checkpoint, i); !format.empty()) {
            ++layersOf[std::move(format)];
            ++again.quantized;
        }
    }
    if (again.quantized == 0)
        return std::nullopt;
    std::vector<std::pair<std::size_t, std::string>> formats;
    for (const auto& [format, count] : layersOf)
        formats.emplace_back(count, format);
    std::ranges::stable_sort(formats, std::ranges::greater{}, &std::pair<std::size_t, std::string>::first);
    for (std::size_t i = 0; i < std::min(kNamedFormats, formats.size()); ++i)
        again.formats += (i == 0 ? "" : ", ") + formats[i].second;
    if (formats.size() > kNamedFormats)
        again.formats += ", …";
    return again;
}

std::string noteOf(const Requantizing& again)
{
    return fmt::format(
        "{} of {} layers that are rewritten were quantized already ({}): errors are the loss added to what the "
        "model stores, not the distance from the weights it was made of",
        again.quantized, again.layers, again.formats);
}

}  // namespace sigmascope
