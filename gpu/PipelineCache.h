// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Device.h"
#include "gpu/Owned.h"

#include <filesystem>
#include <optional>

namespace sigmascope::gpu {

/// $XDG_CACHE_HOME/sigmascope or ~/.cache/sigmascope; empty where neither is known.
[[nodiscard]] std::filesystem::path cacheFolder();

/// Compiled pipelines kept between runs: a file a device, driver and build of ours. A file that is missing, cut short,
/// changed or foreign is ignored; one that cannot be written is done without. Nothing here is an error.
class PipelineCache {
public:
    /// @param folder nothing means $XDG_CACHE_HOME/sigmascope (or ~/.cache/sigmascope); empty keeps no file.
    PipelineCache(Device& device, const std::optional<std::filesystem::path>& folder);
    PipelineCache(const PipelineCache&) = delete;
    PipelineCache& operator=(const PipelineCache&) = delete;
    /// Writes the file if a pipeline was added.
    ~PipelineCache();

    [[nodiscard]] VkPipelineCache handle() const { return m_cache.get(); }
    /// A pipeline was made with the cache.
    void touch() { m_grew = true; }
    [[nodiscard]] const std::filesystem::path& file() const { return m_file; }
    /// True when a file was read and its contents taken.
    [[nodiscard]] bool wasRead() const { return m_wasRead; }

private:
    [[nodiscard]] std::vector<std::byte> readFile() const;
    void writeFile() const;

    Device& m_device;
    std::filesystem::path m_file;
    Owned<VkPipelineCache> m_cache;
    bool m_grew = false;
    bool m_wasRead = false;
};

}  // namespace sigmascope::gpu
