// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/Exporter.h"

#include <algorithm>
#include <array>
#include <span>

namespace sigmascope {

namespace {

/// For a POSIX shell: plain words stay readable, anything else goes into single quotes.
std::string shellQuoted(const std::string& word)
{
    constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=@%+-";
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
    for (const OutputFile& output : estimate.outputs)
        command += (output.kind == "adapter" ? " --lora " : " -m ") + shellQuoted(output.path.string());
    return command + " -p \"Once upon a time\"";
}

constexpr std::array<ExporterRow, 1> kExporters{{
    {"gguf", "GGUF for llama.cpp", makeGgufExporter, estimateGguf, llamaCommand},
}};

}  // namespace

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
