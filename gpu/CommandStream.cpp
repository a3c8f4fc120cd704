// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/CommandStream.h"

#include "gpu/VulkanError.h"

#include <array>

namespace sigmascope::gpu {

namespace {

constexpr VkPipelineStageFlags kTransfer = VK_PIPELINE_STAGE_TRANSFER_BIT;
constexpr VkPipelineStageFlags kCompute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;

}  // namespace

Result<CommandStream> CommandStream::create(Device& device)
{
    CommandStream stream(device);
    if (const Status opened = stream.open(); !opened)
        return passOn(opened);
    return stream;
}

Status CommandStream::open()
{
    const VolkDeviceTable& api = m_device->api();
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    pool.queueFamilyIndex = m_device->queueFamily();
    VkCommandPool poolHandle = VK_NULL_HANDLE;
    if (const VkResult r = api.vkCreateCommandPool(m_device->handle(), &pool, nullptr, &poolHandle); r != VK_SUCCESS)
        return vulkanError(r, "vkCreateCommandPool");
    m_pool = {m_device->handle(), poolHandle, api.vkDestroyCommandPool};

    VkCommandBufferAllocateInfo commands{};
    commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    commands.commandPool = poolHandle;
    commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    commands.commandBufferCount = 1;
    if (const VkResult r = api.vkAllocateCommandBuffers(m_device->handle(), &commands, &m_commands); r != VK_SUCCESS)
        return vulkanError(r, "vkAllocateCommandBuffers");

    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kMaxBindings * kMaxPasses};
    VkDescriptorPoolCreateInfo descriptors{};
    descriptors.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    descriptors.maxSets = kMaxPasses;
    descriptors.poolSizeCount = 1;
    descriptors.pPoolSizes = &size;
    VkDescriptorPool descriptorPool = VK_NULL_HANDLE;
    if (const VkResult r = api.vkCreateDescriptorPool(m_device->handle(), &descriptors, nullptr, &descriptorPool);
        r != VK_SUCCESS)
        return vulkanError(r, "vkCreateDescriptorPool");
    m_descriptors = {m_device->handle(), descriptorPool, api.vkDestroyDescriptorPool};

    VkFenceCreateInfo fence{};
    fence.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO;
    VkFence fenceHandle = VK_NULL_HANDLE;
    if (const VkResult r = api.vkCreateFence(m_device->handle(), &fence, nullptr, &fenceHandle); r != VK_SUCCESS)
        return vulkanError(r, "vkCreateFence");
    m_fence = {m_device->handle(), fenceHandle, api.vkDestroyFence};
    return {};
}

Status CommandStream::submit(const RoundTrip& trip)
{
    if (const Status recorded = record(trip); !recorded)
        return recorded;
    const VkFence fence = m_fence.get();
    if (const VkResult r = m_device->api().vkResetFences(m_device->handle(), 1, &fence); r != VK_SUCCESS)
        return vulkanError(r, "vkResetFences");
    if (const Status submitted = m_device->submit(m_commands, fence); !submitted)
        return submitted;
    m_busy = true;
    return {};
}

Status CommandStream::wait()
{
    if (!m_busy)
        return {};
    const Status waited = m_device->wait(m_fence.get());
    m_busy = false;
    return waited;
}

Result<VkDescriptorSet> CommandStream::boundSet(const Pass& pass)
{
    const VolkDeviceTable& api = m_device->api();
    const VkDescriptorSetLayout layout = pass.kernel->setLayout();
    VkDescriptorSetAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    info.descriptorPool = m_descriptors.get();
    info.descriptorSetCount = 1;
    info.pSetLayouts = &layout;
    VkDescriptorSet set = VK_NULL_HANDLE;
    if (const VkResult r = api.vkAllocateDescriptorSets(m_device->handle(), &info, &set); r != VK_SUCCESS)
        return vulkanError(r, "vkAllocateDescriptorSets");
    std::array<VkDescriptorBufferInfo, kMaxBindings> buffers{};
    std::array<VkWriteDescriptorSet, kMaxBindings> writes{};
    const std::uint32_t bindings = pass.kernel->row().bindings;
    for (std::uint32_t i = 0; i < bindings; ++i) {
        buffers[i] = {pass.buffers[i]->handle(), 0, pass.buffers[i]->size()};
        writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        writes[i].dstSet = set;
        writes[i].dstBinding = i;
        writes[i].descriptorCount = 1;
        writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        writes[i].pBufferInfo = &buffers[i];
    }
    api.vkUpdateDescriptorSets(m_device->handle(), bindings, writes.data(), 0, nullptr);
    return set;
}

Status CommandStream::record(const RoundTrip& trip)
{
    const VolkDeviceTable& api = m_device->api();
    if (const VkResult r = api.vkResetCommandPool(m_device->handle(), m_pool.get(), 0); r != VK_SUCCESS)
        return vulkanError(r, "vkResetCommandPool");
    if (const VkResult r = api.vkResetDescriptorPool(m_device->handle(), m_descriptors.get(), 0); r != VK_SUCCESS)
        return vulkanError(r, "vkResetDescriptorPool");
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    if (const VkResult r = api.vkBeginCommandBuffer(m_commands, &begin); r != VK_SUCCESS)
        return vulkanError(r, "vkBeginCommandBuffer");
    if (trip.inputBytes != 0) {
        const VkBufferCopy up{0, trip.inputOffset, trip.inputBytes};
        api.vkCmdCopyBuffer(m_commands, trip.upload->handle(), trip.input->handle(), 1, &up);
    }
    if (trip.clearBytes != 0)
        api.vkCmdFillBuffer(m_commands, trip.output->handle(), 0, trip.clearBytes, 0);
    if (trip.copyBytes != 0)
        recordCopy(trip);
    if (const Status recorded = recordPasses(trip.passes); !recorded)
        return recorded;
    if (trip.outputBytes != 0) {
        const VkBufferCopy down{trip.outputOffset, 0, trip.outputBytes};
        api.vkCmdCopyBuffer(m_commands, trip.output->handle(), trip.readback->handle(), 1, &down);
        recordBarrier(kTransfer, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    }
    if (const VkResult r = api.vkEndCommandBuffer(m_commands); r != VK_SUCCESS)
        return vulkanError(r, "vkEndCommandBuffer");
    return {};
}

void CommandStream::recordCopy(const RoundTrip& trip)
{
    recordBarrier(kTransfer, VK_ACCESS_TRANSFER_WRITE_BIT, kTransfer,
                  VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    const VkBufferCopy across{0, 0, trip.copyBytes};
    m_device->api().vkCmdCopyBuffer(m_commands, trip.input->handle(), trip.output->handle(), 1, &across);
    recordBarrier(kTransfer, VK_ACCESS_TRANSFER_WRITE_BIT, kTransfer, VK_ACCESS_TRANSFER_READ_BIT);
}

Status CommandStream::recordPasses(std::span<const Pass> passes)
{
    const VolkDeviceTable& api = m_device->api();
    assert(passes.size() <= kMaxPasses);
    for (const Pass& pass : passes) {
        const auto set = boundSet(pass);
        if (!set)
            return passOn(set);
        // Also orders this dispatch behind those of earlier submissions that wrote what it reads (accumulators).
        recordBarrier(kTransfer | kCompute, VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_SHADER_WRITE_BIT, kCompute,
                      VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
        api.vkCmdBindPipeline(m_commands, VK_PIPELINE_BIND_POINT_COMPUTE, pass.kernel->pipeline());
        api.vkCmdBindDescriptorSets(m_commands, VK_PIPELINE_BIND_POINT_COMPUTE, pass.kernel->layout(), 0, 1, &*set, 0,
                                    nullptr);
        api.vkCmdPushConstants(m_commands, pass.kernel->layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               pass.kernel->row().pushBytes, pass.push.data());
        if (!m_device->faults().skipsThisDispatch())
            api.vkCmdDispatch(m_commands, pass.groupsX, pass.groupsY, 1);
    }
    if (!passes.empty())
        recordBarrier(kCompute, VK_ACCESS_SHADER_WRITE_BIT, kTransfer, VK_ACCESS_TRANSFER_READ_BIT);
    return {};
}

void CommandStream::recordBarrier(VkPipelineStageFlags from, VkAccessFlags before, VkPipelineStageFlags to,
                                  VkAccessFlags after)
{
    const VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, before, after};
    m_device->api().vkCmdPipelineBarrier(m_commands, from, to, 0, 1, &barrier, 0, nullptr, 0, nullptr);
}

}  // namespace sigmascope::gpu
