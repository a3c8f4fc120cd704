// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/Exporter.h"
#include "core/export/writers/PackedWriters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace sigmascope {

namespace {

/// Every byte that is not printable ASCII as an escape, so that the line can be shown and typed.
std::string ansiQuoted(const std::string& word)
{
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string quoted = word.starts_with('-') ? "$'./" : "$'";
    for (const char c : word) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f)
            quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        else if (c == '\'' || c == '\\')
            quoted += {'\\', c};
        else
            quoted += c;
    }
    return quoted + "'";
}

/// For a POSIX shell: plain words stay readable, anything else goes into single quotes.
std::string shellQuoted(const std::string& word)
{
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=@%+-";
    // What would move the cursor or is no text goes into ANSI-C quotes, which bash, zsh and ksh understand.
    if (escaped(word, word.size() * 4 + 4) != word)
        return ansiQuoted(word);
    // A leading dash would be read as an option.
    if (!word.empty() && word.front() != '-' && word.find_first_not_of(kPlain) == std::string::npos)
        return word;
    std::string quoted = word.starts_with('-') ? "'./" : "'";
    for (const char c : word) {
        if (c == '\'')
            quoted += "'\\''";
        else
            quoted += c;
    }
    return quoted + "'";
}

std::string llamaCommand(const SizeEstimate& estimate)
{
    std::string command = "llama-cli";
    bool hasModel = false;
    for (const OutputFile& output : estimate.outputs) {
        const bool isAdapter = output.kind == "adapter";
        if (isAdapter || !hasModel)  // of a model in several files the first, which finds the others
            command += (isAdapter ? " --lora " : " -m ") + shellQuoted(output.path.string());
        hasModel = hasModel || !isAdapter;
    }
    return command + " -p \"Once upon a time\"";
}

/// The folder of a model, or the one file it is.
std::string modelPath(const SizeEstimate& estimate)
{
    const auto model = std::find_if(estimate.outputs.begin(), estimate.outputs.end(), [](const OutputFile& o) { return o.kind == "model"; });
    if (model == estimate.outputs.end())
        return {};
    return estimate.outputs.size() == 1 && model->path.filename() != "model.safetensors" ? model->path.string()
                                                                                       : model->path.parent_path().string();
}

std::string transformersCommand(const SizeEstimate& estimate)
{
    return "python3 -c \"import sys, transformers; transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1])\" "
        + shellQuoted(modelPath(estimate));
}

/// Folder of the adapter; empty if there is none.
std::string adapterPath(const SizeEstimate& estimate)
{
    const auto adapter = std::find_if(estimate.outputs.begin(), estimate.outputs.end(), [](const OutputFile& o) { return o.kind == "adapter"; });
    return adapter == estimate.outputs.end() ? std::string() : adapter->path.parent_path().string();
}

std::string vllmCommand(const SizeEstimate& estimate)
{
    const std::string command = "vllm serve " + shellQuoted(modelPath(estimate));
    const std::string adapter = adapterPath(estimate);
    return adapter.empty() ? command
                           : command + fmt::format(" --enable-lora --max-lora-rank {} --lora-modules {}", estimate.adapterRank,
                                                   shellQuoted("correction=" + adapter));
}

/// By GPTQModel also below an adapter: transformers does not read `dynamic`.
std::string gptqCommand(const SizeEstimate& estimate)
{
    const std::string adapter = adapterPath(estimate);
    if (adapter.empty())
        return "python3 -c \"import sys, gptqmodel; gptqmodel.GPTQModel.load(sys.argv[1])\" " + shellQuoted(modelPath(estimate));
    return "python3 -c \"import sys, gptqmodel, peft; "
           "peft.PeftModel.from_pretrained(gptqmodel.GPTQModel.load(sys.argv[1]).model, sys.argv[2])\" "
        + shellQuoted(modelPath(estimate)) + ' ' + shellQuoted(adapter);
}

std::string inspectCommand(const SizeEstimate& estimate)
{
    return "sigmascope-cli inspect " + shellQuoted(modelPath(estimate));
}

constexpr std::array<ExporterRow, 6> kExporters{{
    {"gguf", "GGUF for llama.cpp", makeGgufExporter, estimateGguf, llamaCommand, acceptsGguf, true, "llama.cpp", "-quantized.gguf",
     prepareGguf},
    {"compressed-tensors", "compressed-tensors for vLLM", makeCompressedTensorsExporter, estimateCompressedTensors, vllmCommand,
     acceptsCompressedTensors, true, "vLLM", "-compressed"},
    {"gptq", "GPTQ for GPTQModel, vLLM and transformers", makeGptqExporter, estimateGptq, gptqCommand, acceptsGptq, true, "GPTQModel", "-gptq"},
    {"awq", "AWQ for vLLM and transformers", makeAwqExporter, estimateAwq, vllmCommand, acceptsAwq, true, "vLLM (AWQ)", "-awq"},
    {"bf16", "Dequantized BF16 safetensors", makeBf16Exporter, estimateBf16, transformersCommand, acceptsBf16, false, "transformers", "-bf16"},
    {"research", "Research container: codes, scales, factors", makeResearchExporter, estimateResearch, inspectCommand, acceptsResearch,
     true, "Sigmascope", "-research"},
}};

}  // namespace

Error withAllReasons(Error error, const ExporterRow& exporter, const ExportRequest& request)
{
    if (error.code != ErrorCode::NotRepresentable || exporter.accepts == nullptr)
        return error;
    return refusalOf(exporter.accepts(request)).value_or(error);
}

std::span<const ExporterRow> exporters()
{
    return kExporters;
}

const ExporterRow* findExporter(std::string_view id)
{
    const auto found = std::find_if(kExporters.begin(), kExporters.end(), [id](const ExporterRow& row) { return row.id == id; });
    return found == kExporters.end() ? nullptr : &*found;
}

}  // namespace sigmascope
