// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/PipelineCache.h"

#include "core/base/AtomicFile.h"

#include "gpu/KernelTable.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

namespace sigmascope::gpu {

namespace {

constexpr Bytes kLargestFile = Bytes{64} << 20;

std::uint64_t hashOf(std::span<const std::byte> bytes, std::uint64_t hash = 0xcbf29ce484222325ULL)
{
    for (const std::byte byte : bytes)
        hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3ULL;
    return hash;
}

/// Before the driver's own data. Drivers check their header, not what follows: a damaged file must not reach them.
struct FileHeader {
    std::uint64_t magic = 0x3143504547495353ULL;
    std::uint64_t identity = 0;  ///< device, driver and our kernels
    std::uint64_t size = 0;
    std::uint64_t hash = 0;
};

std::uint64_t identityOf(const Device& device)
{
    const VkPhysicalDeviceProperties& properties = device.properties();
    std::uint64_t hash = hashOf(std::as_bytes(std::span(properties.pipelineCacheUUID)));
    for (const std::uint32_t value : {properties.vendorID, properties.deviceID, properties.driverVersion})
        hash = hashOf(std::as_bytes(std::span(&value, 1)), hash);
    for (const KernelRow& row : kernelTable())
        hash = hashOf(std::as_bytes(row.spirv), hash);
    return hash;
}

}  // namespace

std::filesystem::path cacheFolder()
{
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
    };
    // A relative path there is to be ignored (XDG base directory specification).
    if (const auto cache = variable("XDG_CACHE_HOME"); cache.is_absolute())
        return cache / "sigmascope";
    const auto home = variable("HOME");
    return home.is_absolute() ? home / ".cache" / "sigmascope" : std::filesystem::path();
}

PipelineCache::PipelineCache(Device& device, const std::optional<std::filesystem::path>& folder)
    : m_device(device)
{
    if (const auto in = folder.value_or(cacheFolder()); !in.empty())
        m_file = in / fmt::format("pipelines-{:016x}.bin", identityOf(device));
    const std::vector<std::byte> data = readFile();
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = data.size();
    info.pInitialData = data.data();
    const VolkDeviceTable& api = device.api();
    VkPipelineCache cache = VK_NULL_HANDLE;
    VkResult made = api.vkCreatePipelineCache(device.handle(), &info, nullptr, &cache);
    m_wasRead = made == VK_SUCCESS && !data.empty();
    if (made != VK_SUCCESS && !data.empty()) {
        info.initialDataSize = 0;
        info.pInitialData = nullptr;
        made = api.vkCreatePipelineCache(device.handle(), &info, nullptr, &cache);
    }
    if (made == VK_SUCCESS)
        m_cache = {device.handle(), cache, api.vkDestroyPipelineCache};
}

PipelineCache::~PipelineCache()
{
    if (m_grew && m_cache && !m_file.empty() && !m_device.isLost())
        writeFile();
}

std::vector<std::byte> PipelineCache::readFile() const
{
    std::error_code ignored;
    if (m_file.empty() || !std::filesystem::is_regular_file(m_file, ignored))
        return {};
    const auto size = std::filesystem::file_size(m_file, ignored);
    if (ignored || size <= sizeof(FileHeader) || size > kLargestFile)
        return {};
    std::ifstream file(m_file, std::ios::binary);
    FileHeader header;
    std::vector<std::byte> data(static_cast<std::size_t>(size) - sizeof header);
    if (!file.read(reinterpret_cast<char*>(&header), sizeof header)
        || !file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())))
        return {};
    const bool ours = header.magic == FileHeader{}.magic && header.identity == identityOf(m_device)
        && header.size == data.size() && header.hash == hashOf(data);
    return ours ? data : std::vector<std::byte>();
}

void PipelineCache::writeFile() const
{
    const VolkDeviceTable& api = m_device.api();
    std::size_t size = 0;
    if (api.vkGetPipelineCacheData(m_device.handle(), m_cache.get(), &size, nullptr) != VK_SUCCESS || size == 0
        || size > kLargestFile - sizeof(FileHeader))
        return;
    std::vector<std::byte> data(size);
    if (api.vkGetPipelineCacheData(m_device.handle(), m_cache.get(), &size, data.data()) != VK_SUCCESS)
        return;
    data.resize(size);
    FileHeader header;
    header.identity = identityOf(m_device);
    header.size = size;
    header.hash = hashOf(data);
    std::error_code failed;
    std::filesystem::create_directories(m_file.parent_path(), failed);
    if (failed)
        return;
    auto file = AtomicFile::create(m_file, sizeof header + size, true);
    if (!file || !(*file)->write(std::as_bytes(std::span(&header, 1))) || !(*file)->write(data))
        return;
    static_cast<void>((*file)->commit());  // without the file the next start compiles again: nothing is lost
}

}  // namespace sigmascope::gpu
