// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Kernel.h"

#include "gpu/VulkanError.h"

#include <array>
#include <tuple>
#include <vector>

namespace sigmascope::gpu {

Result<Kernel> Kernel::create(Device& device, const KernelRow& row, VkPipelineCache cache)
{
    Kernel kernel;
    kernel.m_row = &row;
    if (const Status made = kernel.makeLayouts(device); !made)
        return passOn(made);
    if (const Status made = kernel.makePipeline(device, cache); !made)
        return passOn(made);
    return kernel;
}

Status Kernel::makeLayouts(Device& device)
{
    const VolkDeviceTable& api = device.api();
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (std::uint32_t i = 0; i < m_row->bindings; ++i)
        bindings.push_back({i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = m_row->bindings;
    set.pBindings = bindings.data();
    VkDescriptorSetLayout setLayout = VK_NULL_HANDLE;
    if (const VkResult r = api.vkCreateDescriptorSetLayout(device.handle(), &set, nullptr, &setLayout); r != VK_SUCCESS)
        return vulkanError(r, "vkCreateDescriptorSetLayout");
    m_setLayout = {device.handle(), setLayout, api.vkDestroyDescriptorSetLayout};

    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, m_row->pushBytes};
    VkPipelineLayoutCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    info.setLayoutCount = 1;
    info.pSetLayouts = &setLayout;
    info.pushConstantRangeCount = 1;
    info.pPushConstantRanges = &push;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    if (const VkResult r = api.vkCreatePipelineLayout(device.handle(), &info, nullptr, &layout); r != VK_SUCCESS)
        return vulkanError(r, "vkCreatePipelineLayout");
    m_layout = {device.handle(), layout, api.vkDestroyPipelineLayout};
    return {};
}

Status Kernel::makePipeline(Device& device, VkPipelineCache cache)
{
    const VolkDeviceTable& api = device.api();
    VkShaderModuleCreateInfo code{};
    code.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    code.codeSize = m_row->spirv.size_bytes();
    code.pCode = m_row->spirv.data();
    VkShaderModule module = VK_NULL_HANDLE;
    if (const VkResult r = api.vkCreateShaderModule(device.handle(), &code, nullptr, &module); r != VK_SUCCESS)
        return vulkanError(r, "vkCreateShaderModule");
    const Owned<VkShaderModule> owned(device.handle(), module, api.vkDestroyShaderModule);

    std::array<VkSpecializationMapEntry, std::tuple_size_v<decltype(KernelRow::constants)>> entries{};
    for (std::uint32_t i = 0; i < entries.size(); ++i)
        entries[i] = {i, static_cast<std::uint32_t>(i * sizeof(std::uint32_t)), sizeof(std::uint32_t)};
    const VkSpecializationInfo specialization{static_cast<std::uint32_t>(entries.size()), entries.data(),
                                              sizeof m_row->constants, m_row->constants.data()};
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &specialization;
    info.layout = m_layout.get();
    VkPipeline pipeline = VK_NULL_HANDLE;
    const VkResult r = api.vkCreateComputePipelines(device.handle(), cache, 1, &info, nullptr, &pipeline);
    if (r != VK_SUCCESS)
        return vulkanError(r, "vkCreateComputePipelines");
    m_pipeline = {device.handle(), pipeline, api.vkDestroyPipeline};
    return {};
}

}  // namespace sigmascope::gpu
