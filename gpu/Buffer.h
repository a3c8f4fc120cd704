// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Device.h"
#include "gpu/Owned.h"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace sigmascope::gpu {

class MemoryPool;

enum class MemoryUse {
    Kernel,  ///< device-local storage buffer, copied from and to
    Upload,  ///< host-visible, copied from
    Readback,  ///< host-visible, cached where there is such memory, copied to
};

/// A buffer bound to its piece of a MemoryPool, which must outlive it. Upload and Readback are mapped, coherent.
class Buffer {
public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();

    [[nodiscard]] VkBuffer handle() const { return m_buffer.get(); }
    [[nodiscard]] Bytes size() const { return m_size; }
    /// Empty for MemoryUse::Kernel.
    [[nodiscard]] std::span<std::byte> mapped() const { return m_mapped; }

private:
    friend class MemoryPool;
    MemoryPool* m_pool = nullptr;
    Owned<VkBuffer> m_buffer;
    std::size_t m_block = 0;
    Bytes m_offset = 0;
    Bytes m_reserved = 0;
    Bytes m_size = 0;
    std::span<std::byte> m_mapped;
};

/// Few large allocations, handed out in pieces (first fit). One thread.
class MemoryPool {
public:
    explicit MemoryPool(Device& device)
        : m_device(device)
    {
    }
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;

    /// OutOfMemory when the device or the budget has no room, with nothing left behind.
    [[nodiscard]] Result<Buffer> create(Bytes size, MemoryUse use);
    /// Gives allocations that no buffer uses back to the device.
    void trim();
    [[nodiscard]] Bytes allocated() const { return m_allocated; }

private:
    friend class Buffer;
    struct Block {
        Owned<VkDeviceMemory> memory;
        Bytes size = 0;
        std::uint32_t type = 0;
        std::byte* mapped = nullptr;
        std::map<Bytes, Bytes> free;  // offset -> size, neighbours joined
    };
    struct Piece {
        std::size_t block;
        Bytes offset;
    };

    [[nodiscard]] Result<std::uint32_t> memoryType(std::uint32_t allowed, MemoryUse use) const;
    [[nodiscard]] Result<Piece> reserve(const VkMemoryRequirements& needs, std::uint32_t type, bool mapped);
    [[nodiscard]] Result<std::size_t> allocate(Bytes size, std::uint32_t type, bool mapped);
    void release(std::size_t block, Bytes offset, Bytes size);

    Device& m_device;
    std::map<std::uint32_t, Bytes> m_allocatedOf;  // heap -> bytes
    std::vector<Block> m_blocks;  // a trimmed block stays as an empty entry: pieces name blocks by index
    Bytes m_allocated = 0;
};

}  // namespace sigmascope::gpu
