// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Buffer.h"

#include "gpu/VulkanError.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace sigmascope::gpu {

namespace {

constexpr Bytes kBlockSize = Bytes{32} << 20;
constexpr Bytes kPage = Bytes{64} << 10;

VkBufferUsageFlags usageOf(MemoryUse use)
{
    switch (use) {
    case MemoryUse::Upload:
        return VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
    case MemoryUse::Readback:
        return VK_BUFFER_USAGE_TRANSFER_DST_BIT;
    case MemoryUse::Kernel:
        break;
    }
    return VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT;
}

/// Wishes in order; the last one is always satisfiable (Vulkan guarantees a coherent host-visible type).
std::array<VkMemoryPropertyFlags, 3> wishesOf(MemoryUse use)
{
    constexpr VkMemoryPropertyFlags kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    switch (use) {
    case MemoryUse::Upload:
    case MemoryUse::Readback:
        // Cached for uploads too: the host copies out of a mapping into it, and reads nothing else slower.
        return {kHost | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, kHost, kHost};
    case MemoryUse::Kernel:
        break;
    }
    return {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
}

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
{
    *this = std::move(other);
}

Buffer& Buffer::operator=(Buffer&& other) noexcept
{
    std::swap(m_pool, other.m_pool);
    std::swap(m_buffer, other.m_buffer);
    std::swap(m_block, other.m_block);
    std::swap(m_offset, other.m_offset);
    std::swap(m_reserved, other.m_reserved);
    std::swap(m_size, other.m_size);
    std::swap(m_mapped, other.m_mapped);
    return *this;
}

Buffer::~Buffer()
{
    m_buffer = {};
    if (m_pool != nullptr)
        m_pool->release(m_block, m_offset, m_reserved);
}

Result<Buffer> MemoryPool::create(Bytes size, MemoryUse use)
{
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = size;
    info.usage = usageOf(use);
    info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
    VkBuffer handle = VK_NULL_HANDLE;
    const VolkDeviceTable& api = m_device.api();
    if (const VkResult result = api.vkCreateBuffer(m_device.handle(), &info, nullptr, &handle); result != VK_SUCCESS)
        return vulkanError(result, "vkCreateBuffer");
    Owned<VkBuffer> owned(m_device.handle(), handle, api.vkDestroyBuffer);

    VkMemoryRequirements needs{};
    api.vkGetBufferMemoryRequirements(m_device.handle(), handle, &needs);
    const auto type = memoryType(needs.memoryTypeBits, use);
    if (!type)
        return passOn(type);
    const bool mapped = use != MemoryUse::Kernel;
    const auto piece = reserve(needs, *type, mapped);
    if (!piece)
        return passOn(piece);

    Buffer buffer;
    buffer.m_pool = this;
    buffer.m_buffer = std::move(owned);
    buffer.m_block = piece->block;
    buffer.m_offset = piece->offset;
    buffer.m_reserved = needs.size;
    buffer.m_size = size;
    const Block& block = m_blocks[piece->block];
    if (mapped)
        buffer.m_mapped = {block.mapped + piece->offset, size};
    const VkResult bound = api.vkBindBufferMemory(m_device.handle(), handle, block.memory.get(), piece->offset);
    if (bound != VK_SUCCESS)
        return vulkanError(bound, "vkBindBufferMemory");
    return buffer;
}

Result<std::uint32_t> MemoryPool::memoryType(std::uint32_t allowed, MemoryUse use) const
{
    const VkPhysicalDeviceMemoryProperties& memory = m_device.memory();
    for (const VkMemoryPropertyFlags wish : wishesOf(use))
        for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i)
            if ((allowed & (1U << i)) != 0 && (memory.memoryTypes[i].propertyFlags & wish) == wish)
                return i;
    return fail(ErrorCode::DeviceFailed, m_device.info().id + ": no fitting memory type for a buffer");
}

Result<MemoryPool::Piece> MemoryPool::reserve(const VkMemoryRequirements& needs, std::uint32_t type, bool mapped)
{
    const auto take = [&](std::size_t index) -> std::optional<Piece> {
        Block& block = m_blocks[index];
        for (const auto& [offset, size] : block.free) {
            const Bytes start = alignUp(offset, needs.alignment);
            if (start + needs.size > offset + size)
                continue;
            const Bytes from = offset;
            const Bytes end = offset + size;
            block.free.erase(from);
            if (start > from)
                block.free.emplace(from, start - from);
            if (end > start + needs.size)
                block.free.emplace(start + needs.size, end - start - needs.size);
            return Piece{index, start};
        }
        return std::nullopt;
    };
    for (std::size_t i = 0; i < m_blocks.size(); ++i)
        if (m_blocks[i].type == type && (m_blocks[i].mapped != nullptr) == mapped)
            if (const auto piece = take(i))
                return *piece;
    // A large block first; if that much is not to be had, what this buffer needs.
    const Bytes exact = alignUp(needs.size, kPage);
    auto block = allocate(std::max(exact, kBlockSize), type, mapped);
    if (!block && block.error().code == ErrorCode::OutOfMemory && exact < kBlockSize)
        block = allocate(exact, type, mapped);
    if (!block)
        return passOn(block);
    return *take(*block);  // a fresh block starts aligned for anything and is large enough
}

Result<std::size_t> MemoryPool::allocate(Bytes size, std::uint32_t type, bool mapped)
{
    const std::uint32_t heap = m_device.memory().memoryTypes[type].heapIndex;
    const Bytes left = m_device.memoryLeft(heap, m_allocatedOf[heap]);
    if (size > left || m_device.faults().failsThisAllocation())
        return fail(ErrorCode::OutOfMemory,
                    fmt::format("{}: out of memory: {} more bytes wanted, {} may be had", m_device.info().id, size,
                                std::min(left, size - 1)));
    VkMemoryAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    info.allocationSize = size;
    info.memoryTypeIndex = type;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    const VolkDeviceTable& api = m_device.api();
    if (const VkResult result = api.vkAllocateMemory(m_device.handle(), &info, nullptr, &memory); result != VK_SUCCESS)
        return vulkanError(result, fmt::format("{}: vkAllocateMemory of {} bytes", m_device.info().id, size));
    Block block;
    block.memory = Owned<VkDeviceMemory>(m_device.handle(), memory, api.vkFreeMemory);
    block.size = size;
    block.type = type;
    block.free.emplace(0, size);
    if (mapped) {
        void* address = nullptr;
        const VkResult result = api.vkMapMemory(m_device.handle(), memory, 0, VK_WHOLE_SIZE, 0, &address);
        if (result != VK_SUCCESS)
            return vulkanError(result, "vkMapMemory");
        block.mapped = static_cast<std::byte*>(address);
    }
    m_allocated += size;
    m_allocatedOf[heap] += size;
    const auto hole = std::find_if(m_blocks.begin(), m_blocks.end(), [](const Block& b) { return b.size == 0; });
    if (hole != m_blocks.end()) {
        *hole = std::move(block);
        return static_cast<std::size_t>(hole - m_blocks.begin());
    }
    m_blocks.push_back(std::move(block));
    return m_blocks.size() - 1;
}

void MemoryPool::release(std::size_t index, Bytes offset, Bytes size)
{
    auto& free = m_blocks[index].free;
    auto at = free.emplace(offset, size).first;
    if (const auto next = std::next(at); next != free.end() && at->first + at->second == next->first) {
        at->second += next->second;
        free.erase(next);
    }
    if (at != free.begin()) {
        const auto before = std::prev(at);
        if (before->first + before->second == at->first) {
            before->second += at->second;
            free.erase(at);
        }
    }
}

void MemoryPool::trim()
{
    for (Block& block : m_blocks) {
        const bool unused = block.size != 0 && block.free.size() == 1 && block.free.begin()->second == block.size;
        if (!unused)
            continue;
        m_allocated -= block.size;
        m_allocatedOf[m_device.memory().memoryTypes[block.type].heapIndex] -= block.size;
        block = Block{};
    }
}

}  // namespace sigmascope::gpu
