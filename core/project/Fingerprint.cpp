// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Fingerprint.h"

#include "core/base/Checksum.h"
#include "core/base/Parallel.h"
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/tensor/Blas.h"

#include <algorithm>
#include <charconv>
#include <span>

#include <fmt/format.h>

namespace sigmascope
{

namespace
{

constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
static_assert(kPieceBytes % kSeenBytes == 0);

void add(Checksum& sum, std::string_view text)
{
    const std::uint64_t length = text.size();
    sum.add(std::as_bytes(std::span(&length, 1)));
    sum.add(std::as_bytes(std::span(text.data(), text.size())));
}

template <class Number> void addNumber(Checksum& sum, Number number)
{
    sum.add(std::as_bytes(std::span(&number, 1)));
}

/// Pieces of fixed size, summed up on all threads and put together in order.
std::uint64_t contentOf(const TensorInfo& tensor, std::span<const std::byte> bytes, const JobContext& job,
                        const SeenPiece& seen)
{
    std::vector<std::uint64_t> pieces((bytes.size() + kPieceBytes - 1) / kPieceBytes);
    parallelFor(pieces.size(), [&](std::size_t i) {
        if (job.cancelled())
            return;
        Checksum piece;
        const std::size_t end = std::min(bytes.size(), (i + 1) * kPieceBytes);
        for (std::size_t at = i * kPieceBytes; at < end; at += kSeenBytes) {
            const auto some = bytes.subspan(at, std::min(kSeenBytes, end - at));
            piece.add(some);
            if (seen)
                seen(at, some);
        }
        pieces[i] = piece.value();
    });
    Checksum whole;
    add(whole, tensor.dtype == DType::Unknown ? tensor.unknownDtype : info(tensor.dtype).name);
    for (const std::uint64_t extent : tensor.shape)
        addNumber(whole, extent);
    addNumber(whole, std::uint64_t{bytes.size()});
    whole.add(std::as_bytes(std::span(pieces)));
    return whole.value();
}

std::uint64_t contentOf(const Checkpoint& checkpoint, const TensorInfo& tensor, const PackedMatrix& matrix, const JobContext& job)
{
    Checksum whole;
    add(whole, matrix.format);
    for (const LayoutPart& part : matrix.parts) {
        const auto bytes = checkpoint.shard(part.shard)->bytes();
        addNumber(whole, contentOf(tensor, part.bytes == 0 ? bytes.first(0) : bytes.subspan(part.offset, part.bytes), job, {}));
    }
    return whole.value();
}

std::uint64_t contentOf(const Imatrix& imatrix)
{
    std::vector<std::string_view> names;
    for (const auto& [name, entry] : imatrix.entries)
        names.push_back(name);
    std::ranges::sort(names);
    Checksum sum;
    for (const std::string_view name : names) {
        const ImatrixEntry& entry = imatrix.entries.at(std::string(name));
        add(sum, name);
        addNumber(sum, entry.matrices);
        addNumber(sum, entry.tokens);
        sum.add(std::as_bytes(std::span(entry.meanSquares)));
    }
    return sum.value();
}

std::string planText(const LayerPlan& plan)
{
    if (plan.keep)
        return "keep";
    std::string text = plan.grid;
    if (plan.solver != "nearest")
        text += " " + plan.solver;
    if (plan.rank > 0)
        text += fmt::format(" rank {} {}", plan.rank, factorName(plan.factors));
    return usesMetric(plan) || plan.rank > 0 ? fmt::format("{} {}", text, id(plan.metric)) : text;
}

std::string deviceText(ComputeBackend& backend, const QuantizationPlan& plan)
{
    const DeviceInfo device = backend.device();
    const bool corrects
        = std::ranges::any_of(plan.layers, [](const LayerPlan& layer) { return !layer.keep && layer.rank > 0; });
    // Codes are the same bytes on every CPU; products are not.
    std::string text = device.id;
    if (device.id != "cpu" || corrects)
        text += fmt::format(", {}, {}", device.name, device.driver);
    return corrects ? text + ", " + blas::kernelName() : text;
}

void compareTensors(const RunFingerprint& stored, const RunFingerprint& now, std::vector<std::string>& found)
{
    if (stored.tensors.size() != now.tensors.size()) {
        found.push_back(
            fmt::format("the model: {} tensors then, {} now", stored.tensors.size(), now.tensors.size()));
        return;
    }
    std::size_t contents = 0;
    std::size_t plans = 0;
    std::string content;
    std::string plan;
    for (std::size_t i = 0; i < now.tensors.size(); ++i) {
        const RunFingerprint::Tensor& then = stored.tensors[i];
        const RunFingerprint::Tensor& here = now.tensors[i];
        if ((then.name != here.name || then.content != here.content) && ++contents == 1)
            content = fmt::format("the model: tensor '{}' is not what it was", escaped(here.name));
        if (then.plan != here.plan && ++plans == 1)
            plan = fmt::format("the plan: tensor '{}' was '{}', is now '{}'", escaped(here.name), escaped(then.plan),
                               escaped(here.plan));
    }
    if (contents > 0)
        found.push_back(contents > 1 ? content + fmt::format(" (and {} more)", contents - 1) : content);
    if (plans > 0)
        found.push_back(plans > 1 ? plan + fmt::format(" (and {} more)", plans - 1) : plan);
}

} // namespace

std::uint64_t contentOf(const Checkpoint& checkpoint, std::size_t tensor, const JobContext& job, const SeenPiece& seen)
{
    const TensorInfo& info = checkpoint.tensors()[tensor];
    if (const PackedMatrix* const packed = checkpoint.packed(tensor)) // what is stored, not what it decodes to
        return contentOf(checkpoint, info, *packed, job);
    const auto view = checkpoint.view(tensor);
    return contentOf(info, view ? view->bytes : std::span<const std::byte>(), job, seen);
}

RunFingerprint fingerprintOf(const ExportRequest& request, std::string_view format, ComputeBackend& backend,
                             const std::vector<std::uint64_t>& contents)
{
    RunFingerprint fingerprint{.program = SIGMASCOPE_VERSION,
                               .format = std::string(format),
                               .device = deviceText(backend, request.plan),
                               .seed = request.plan.seed};
    if (request.calibration != nullptr)
        fingerprint.calibration = contentOf(*request.calibration);
    for (std::size_t i = 0; i < contents.size(); ++i)
        fingerprint.tensors.push_back({escaped(request.checkpoint->tensors()[i].name), contents[i],
                                       planText(request.plan.layers[i])});
    return fingerprint;
}

std::string differences(const RunFingerprint& stored, const RunFingerprint& now)
{
    std::vector<std::string> found;
    const auto compare = [&found](std::string_view what, const std::string& then, const std::string& here) {
        if (then != here)
            found.push_back(fmt::format("{}: '{}' then, '{}' now", what, escaped(then), escaped(here)));
    };
    compare("the program", stored.program, now.program);
    compare("the format", stored.format, now.format);
    compareTensors(stored, now, found);
    if (stored.calibration != now.calibration)
        found.emplace_back(!now.calibration          ? "the calibration: there was one"
                               : !stored.calibration ? "the calibration: there was none"
                                                     : "the calibration: it holds other values");
    compare("the seed", std::to_string(stored.seed), std::to_string(now.seed));
    compare("the device", stored.device, now.device);
    // What the parts above already explain changes the layout too.
    if (found.empty() && stored.layout != now.layout)
        found.emplace_back("the file's metadata: name or configuration of the model, recipe, tokenizer or template");
    for (std::size_t i = 0; found.empty() && i < std::max(stored.outputs.size(), now.outputs.size()); ++i) {
        if (stored.outputs.size() != now.outputs.size() || stored.outputs[i].path != now.outputs[i].path
            || stored.outputs[i].bytes != now.outputs[i].bytes)
            found.emplace_back("the output files and their sizes");
    }
    std::string text;
    for (const std::string& difference : found)
        text += (text.empty() ? "" : "; ") + difference;
    return text;
}

std::string hex(std::uint64_t value)
{
    return fmt::format("{:016x}", value);
}

std::optional<std::uint64_t> fromHex(const Json& json)
{
    if (!json.is_string())
        return std::nullopt;
    const auto& text = json.get_ref<const std::string&>();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != 16 || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

Json toJson(const RunFingerprint& fingerprint)
{
    Json json;
    json["program"] = fingerprint.program;
    json["format"] = fingerprint.format;
    json["device"] = fingerprint.device;
    json["seed"] = hex(fingerprint.seed);
    json["layout"] = hex(fingerprint.layout);
    json["calibration"] = fingerprint.calibration ? Json(hex(*fingerprint.calibration)) : Json();
    json["outputs"] = Json::array();
    for (const OutputFile& output : fingerprint.outputs)
        json["outputs"].push_back(Json::array({escaped(output.path.string(), 4096), output.kind, hex(output.bytes)}));
    json["tensors"] = Json::array();
    for (const RunFingerprint::Tensor& tensor : fingerprint.tensors)
        json["tensors"].push_back(Json::array({tensor.name, hex(tensor.content), tensor.plan}));
    return json;
}

std::optional<RunFingerprint> fingerprintFrom(const Json& json)
{
    if (!json.is_object() || !json.contains("tensors") || !json.contains("outputs") || !json.contains("calibration"))
        return std::nullopt;
    RunFingerprint fingerprint{
        .program = textIn(json, "program"), .format = textIn(json, "format"), .device = textIn(json, "device")};
    const auto seed = json.contains("seed") ? fromHex(json["seed"]) : std::nullopt;
    const auto layout = json.contains("layout") ? fromHex(json["layout"]) : std::nullopt;
    if (!seed || !layout)
        return std::nullopt;
    fingerprint.seed = *seed;
    fingerprint.layout = *layout;
    fingerprint.calibration = fromHex(json["calibration"]);
    for (const Json& output : json["outputs"]) {
        if (!output.is_array() || output.size() != 3 || !output[0].is_string() || !output[1].is_string())
            return std::nullopt;
        fingerprint.outputs.push_back({output[0].get<std::string>(), output[1].get<std::string>(),
                                       fromHex(output[2]).value_or(0)});
    }
    for (const Json& tensor : json["tensors"]) {
        if (!tensor.is_array() || tensor.size() != 3 || !tensor[0].is_string() || !tensor[2].is_string())
            return std::nullopt;
        const auto content = fromHex(tensor[1]);
        if (!content)
            return std::nullopt;
        fingerprint.tensors.push_back({tensor[0].get<std::string>(), *content, tensor[2].get<std::string>()});
    }
    return fingerprint;
}

} // namespace sigmascope
