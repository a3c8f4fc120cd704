// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/ReplacedFiles.h"

#include "core/checkpoint/Checkpoint.h"
#include "core/checkpoint/readers/ShardContent.h"
#include "core/export/GgufSplit.h"
#include "core/export/SafetensorsModel.h"
#include "core/export/writers/GgufLora.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

bool isThere(const fs::path& path)
{
    std::error_code error;
    return fs::exists(fs::symlink_status(path, error));
}

bool isAside(const fs::path& path)
{
    std::error_code error;
    return fs::exists(backupPathFor(path), error);
}

bool hasAdapter(std::span<const OutputFile> outputs)
{
    return std::ranges::any_of(outputs, [](const OutputFile& output) { return output.kind == "adapter"; });
}

bool isAmong(std::span<const OutputFile> outputs, const fs::path& path)
{
    return std::ranges::any_of(outputs, [&path](const OutputFile& output) { return output.path == path; });
}

/// Only what this program wrote counts; a file of that name by anybody else is none of our business.
bool isOurGgufAdapter(const fs::path& path)
{
    std::error_code error;
    if (!fs::is_regular_file(fs::symlink_status(path, error)))
        return false;
    const auto found = Checkpoint::open(path);
    return found && (*found)->gguf().find("sigmascope.version") != nullptr
        && (*found)->gguf().string("general.type").value_or("") == std::string_view("adapter");
}

/// model-00001-of-00003.safetensors
bool isShardName(std::string_view name)
{
    constexpr std::string_view kForm = "model-#####-of-#####.safetensors";
    return std::ranges::equal(name, kForm,
                              [](char c, char form) { return form == '#' ? c >= '0' && c <= '9' : c == form; });
}

/// A user's own may lie in a folder of that name.
bool isOurPeftAdapter(const fs::path& weights)
{
    std::error_code error;
    if (!fs::is_regular_file(fs::symlink_status(weights, error)))
        return false;
    const auto file = MappedFile::open(weights);
    const auto content = file ? readSafetensors(**file, {}) : passOn(file);
    return content && std::ranges::any_of(content->notes, [](const HeaderNote& note) {
               return note.key == "sigmascope.corrects";
           });
}

/// That the weights lie in; nothing for a model that is one file of the output's own name.
std::optional<fs::path> modelFolderOf(const ExportRequest& request, std::span<const OutputFile> outputs)
{
    const auto model = std::ranges::find(outputs, "model", &OutputFile::kind);
    return model == outputs.end() || model->path == request.output ? std::nullopt
                                                                   : std::optional(model->path.parent_path());
}

}  // namespace

std::vector<fs::path> obsoleteGgufFiles(const fs::path& output, std::span<const OutputFile> outputs, bool withAside)
{
    std::vector<fs::path> obsolete;
    const fs::path adapter = adapterPathFor(output);
    // llama.cpp would refuse it or, worse, apply it. One that was set aside was ours.
    if (!hasAdapter(outputs) && ((withAside && isAside(adapter) && !isThere(adapter)) || isOurGgufAdapter(adapter)))
        obsolete.push_back(adapter);
    std::vector<fs::path> written;
    for (const OutputFile& file : outputs)
        written.push_back(file.path);
    std::ranges::move(staleModels(output, written, withAside), std::back_inserter(obsolete));
    return obsolete;
}

std::vector<fs::path> obsoleteFolderFiles(const fs::path& folder, std::span<const OutputFile> outputs, bool withAside)
{
    std::vector<fs::path> obsolete{folder / kSafetensorsIndex};
    std::error_code error;
    for (fs::directory_iterator it(folder, error), last; !error && it != last; it.increment(error)) {
        std::string name = it->path().filename().native();
        const std::string aside = backupPathFor("x").filename().native().substr(1);
        if (withAside && name.ends_with(aside))  // of the run that is taken up, which was tidying up
            name.resize(name.size() - aside.size());
        const fs::path path = folder / name;
        const bool isListed = std::ranges::find(obsolete, path) != obsolete.end();
        if ((name == kSafetensorsWhole || isShardName(name)) && !isAmong(outputs, path) && !isListed)
            obsolete.push_back(path);
    }
    const fs::path adapter = folder / kAdapterFolder;
    const fs::path weights = adapter / kAdapterWeights;
    const bool isStale = !hasAdapter(outputs) && ((withAside && isAside(weights)) || isOurPeftAdapter(weights));
    for (const std::string_view name : {kAdapterWeights, kAdapterConfig}) {  // corrects the model that goes
        if (isStale && (isThere(adapter / name) || (withAside && isAside(adapter / name))))
            obsolete.push_back(adapter / name);
    }
    const fs::path gptq = folder / "quantize_config.json";
    if (!isAmong(outputs, gptq) && (isThere(gptq) || (withAside && isAside(gptq))))
        obsolete.push_back(gptq);
    std::ranges::sort(obsolete.begin() + 1, obsolete.end());
    return obsolete;
}

std::vector<fs::path> filesThatGo(const ExportRequest& request, const ExporterRow& exporter, const SizeEstimate& sizes)
{
    std::vector<fs::path> going;
    for (const OutputFile& output : sizes.outputs)
        going.push_back(output.path);
    std::vector<fs::path> obsolete;
    if (exporter.make == makeGgufExporter)
        obsolete = obsoleteGgufFiles(request.output, sizes.outputs, false);
    else if (const auto folder = modelFolderOf(request, sizes.outputs))
        obsolete = obsoleteFolderFiles(*folder, sizes.outputs, false);
    for (fs::path& path : obsolete) {
        if (std::ranges::find(going, path) == going.end())
            going.push_back(std::move(path));
    }
    std::erase_if(going, [](const fs::path& path) { return !isThere(path); });
    return going;
}

}  // namespace sigmascope
