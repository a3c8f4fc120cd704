// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Buffer.h"
#include "gpu/Kernel.h"

#include <cstdint>
#include <span>

namespace sigmascope::gpu {

/// One round trip of a tile: upload, kernel, download. Binding 0 is input, binding 1 is output. Parts of no bytes
/// are left out: an input that is there already, an output that stays. Without a kernel, `copyBytes` go from input
/// to output: what the memory alone can do.
struct RoundTrip {
    const Kernel* kernel = nullptr;
    Bytes copyBytes = 0;
    std::span<const std::byte> push;
    std::uint32_t workgroups = 0;
    const Buffer* upload = nullptr;
    const Buffer* input = nullptr;
    const Buffer* output = nullptr;
    const Buffer* readback = nullptr;
    Bytes inputBytes = 0;  ///< copied from upload to input
    Bytes clearBytes = 0;  ///< zeroed at the start of output
    Bytes outputBytes = 0;  ///< copied from output to readback
};

/// A command buffer with its fence and one descriptor set: one piece of work under way at a time.
class CommandStream {
public:
    [[nodiscard]] static Result<CommandStream> create(Device& device);

    /// @pre not busy. The buffers stay untouched until wait() returned.
    [[nodiscard]] Status submit(const RoundTrip& trip);
    /// Returns at once when nothing is under way.
    [[nodiscard]] Status wait();
    [[nodiscard]] bool isBusy() const { return m_busy; }

private:
    explicit CommandStream(Device& device)
        : m_device(&device)
    {
    }
    [[nodiscard]] Status open();
    [[nodiscard]] Result<VkDescriptorSet> boundSet(const RoundTrip& trip);
    [[nodiscard]] Status record(const RoundTrip& trip);
    [[nodiscard]] Status recordWork(const RoundTrip& trip);
    void recordBarrier(VkPipelineStageFlags from, VkAccessFlags before, VkPipelineStageFlags to, VkAccessFlags after);

    Device* m_device;
    Owned<VkCommandPool> m_pool;
    Owned<VkDescriptorPool> m_descriptors;
    Owned<VkFence> m_fence;
    VkCommandBuffer m_commands = VK_NULL_HANDLE;
    bool m_busy = false;
};

}  // namespace sigmascope::gpu
