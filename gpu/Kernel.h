// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Device.h"
#include "gpu/KernelTable.h"
#include "gpu/Owned.h"

namespace sigmascope::gpu {

/// A row of the table made ready on a device.
class Kernel {
public:
    /// @param cache may be null.
    [[nodiscard]] static Result<Kernel> create(Device& device, const KernelRow& row,
                                               VkPipelineCache cache = VK_NULL_HANDLE);

    [[nodiscard]] const KernelRow& row() const { return *m_row; }
    [[nodiscard]] VkDescriptorSetLayout setLayout() const { return m_setLayout.get(); }
    [[nodiscard]] VkPipelineLayout layout() const { return m_layout.get(); }
    [[nodiscard]] VkPipeline pipeline() const { return m_pipeline.get(); }

private:
    Kernel() = default;
    [[nodiscard]] Status makeLayouts(Device& device);
    [[nodiscard]] Status makePipeline(Device& device, VkPipelineCache cache);

    const KernelRow* m_row = nullptr;
    Owned<VkDescriptorSetLayout> m_setLayout;
    Owned<VkPipelineLayout> m_layout;
    Owned<VkPipeline> m_pipeline;
};

}  // namespace sigmascope::gpu
