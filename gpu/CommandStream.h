// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Buffer.h"
#include "gpu/Kernel.h"

#include <array>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace sigmascope::gpu {

inline constexpr std::size_t kMaxBindings = 5;
inline constexpr std::size_t kMaxPasses = 4;

/// One dispatch of a kernel: what it is bound to and told. As many buffers as the kernel has bindings; one buffer may
/// stand at several, if no two invocations touch the same bytes through them.
struct Pass {
    const Kernel* kernel = nullptr;
    std::array<const Buffer*, kMaxBindings> buffers{};
    std::array<std::uint32_t, 32> push{};
    std::uint32_t groupsX = 1;
    std::uint32_t groupsY = 1;

    void tell(std::initializer_list<std::uint32_t> words)
    {
        assert(words.size() * sizeof(std::uint32_t) == kernel->row().pushBytes);
        std::copy(words.begin(), words.end(), push.begin());
    }
};

/// One round trip of a tile: upload, kernels one after the other, download. Parts of no bytes are left out: an input
/// that is there already, an output that stays. Without a kernel, `copyBytes` go from input to output: what the memory
/// alone can do.
struct RoundTrip {
    std::span<const Pass> passes{};
    Bytes copyBytes = 0;
    const Buffer* upload = nullptr;
    const Buffer* input = nullptr;
    const Buffer* output = nullptr;
    const Buffer* readback = nullptr;
    Bytes inputBytes = 0;  ///< copied from upload to input
    Bytes inputOffset = 0;  ///< where in input they go
    Bytes clearBytes = 0;  ///< zeroed at the start of output
    Bytes outputOffset = 0;  ///< where in output the copy to readback begins
    Bytes outputBytes = 0;  ///< copied from output to readback
};

/// A command buffer with its fence and its descriptor sets: one piece of work under way at a time.
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
    [[nodiscard]] Result<VkDescriptorSet> boundSet(const Pass& pass);
    [[nodiscard]] Status record(const RoundTrip& trip);
    [[nodiscard]] Status recordPasses(std::span<const Pass> passes);
    void recordCopy(const RoundTrip& trip);
    void recordBarrier(VkPipelineStageFlags from, VkAccessFlags before, VkPipelineStageFlags to, VkAccessFlags after);

    Device* m_device;
    Owned<VkCommandPool> m_pool;
    Owned<VkDescriptorPool> m_descriptors;
    Owned<VkFence> m_fence;
    VkCommandBuffer m_commands = VK_NULL_HANDLE;
    bool m_busy = false;
};

}  // namespace sigmascope::gpu
