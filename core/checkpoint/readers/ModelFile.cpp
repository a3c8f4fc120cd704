// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/readers/CheckpointBuilder.h"
#include "core/checkpoint/readers/GgufSplit.h"

#include <algorithm>

namespace sigmascope {

namespace fs = std::filesystem;

namespace {

/// Names only; nothing is opened. Sorted, so that messages do not depend on the file system.
std::vector<fs::path> filesEndingIn(const fs::path& folder, std::string_view end, std::error_code& error)
{
    std::vector<fs::path> found;
    for (fs::directory_iterator it(folder, error), last; !error && it != last; it.increment(error)) {
        const std::string name = it->path().filename().native();
        if (name.size() > end.size() && name.ends_with(end) && !name.starts_with('.'))
            found.push_back(it->path());
    }
    std::ranges::sort(found);
    return found;
}

tl::unexpected<Error> several(const fs::path& folder, const std::vector<fs::path>& files)
{
    std::string names;
    for (std::size_t i = 0; i < files.size() && i < 4; ++i)
        names += (i == 0 ? "" : ", ") + escaped(files[i].filename().native());
    return fail(ErrorCode::NotFound, Where{folder.native(), {}, {}},
                "the folder holds " + std::to_string(files.size()) + " model files (" + names
                    + (files.size() > 4 ? ", …" : "") + "): open one of them");
}

}  // namespace

Result<fs::path> modelFileIn(const fs::path& folder)
{
    std::error_code error;
    for (const char* const name : {"model.safetensors.index.json", "model.safetensors"}) {
        if (fs::exists(folder / name, error))
            return folder / name;
    }
    for (const std::string_view end : {".safetensors.index.json", ".safetensors", ".gguf"}) {
        const std::vector<fs::path> files = filesEndingIn(folder, end, error);
        if (error)
            return fail(error == std::errc::permission_denied ? ErrorCode::PermissionDenied : ErrorCode::IoFailed,
                        Where{folder.native(), {}, {}}, "the folder cannot be listed: " + error.message());
        if (files.size() == 1 || (files.size() > 1 && areOneGgufSplit(files)))
            return files.front();
        if (!files.empty())
            return several(folder, files);
    }
    return fail(ErrorCode::NotFound, Where{folder.native(), {}, {}},
                "the folder holds no model: expected *.safetensors.index.json, *.safetensors or *.gguf");
}

}  // namespace sigmascope
