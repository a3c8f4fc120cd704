// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Kernel.h"
#include "gpu/PipelineCache.h"
#include "gpu/Tiles.h"

#include "core/compute/ComputeBackend.h"

#include <map>
#include <string>
#include <utility>

namespace sigmascope::gpu {

/// The kernels of a device, each made ready when first asked for.
class KernelCache {
public:
    KernelCache(Device& device, const std::optional<std::filesystem::path>& folder)
        : m_device(device)
        , m_compiled(device, folder)
    {
    }
    /// The variant with specialization constant 0. Valid as long as the cache.
    [[nodiscard]] Result<const Kernel*> get(KernelId id, std::uint32_t constant = 0);

private:
    Device& m_device;
    PipelineCache m_compiled;
    std::map<std::pair<KernelId, std::uint32_t>, KernelRow> m_rows;  // kernels point at theirs
    std::map<std::pair<KernelId, std::uint32_t>, Kernel> m_kernels;
};

/// Everything that lives on one opened device, in the order it must be made.
struct DeviceState {
    DeviceState(std::unique_ptr<Device> opened, const std::optional<std::filesystem::path>& folder)
        : device(std::move(opened))
        , kernels(*device, folder)
        , memory(*device)
        , tiles(*device, memory)
    {
    }
    std::unique_ptr<Device> device;
    KernelCache kernels;
    MemoryPool memory;
    Tiles tiles;
    std::map<std::uint64_t, std::shared_ptr<void>> resident;  ///< operands kept on the device, by their products' id
};

/// What an op runs with; lives in the backend, one op at a time.
struct OpContext {
    Device& device;
    KernelCache& kernels;
    MemoryPool& memory;
    Tiles& tiles;
    ComputeBackend& reference;  ///< the CPU, for the pieces float kernels cannot do
    bool usedReference = false;  ///< set by an op that let the reference do a part

    /// DeviceFailed: a kernel left something undone.
    [[nodiscard]] tl::unexpected<Error> notWritten(std::string_view kernel, std::uint64_t expected,
                                                   std::uint64_t found) const;
    /// DeviceFailed: a result is not the CPU's where it was looked at.
    [[nodiscard]] tl::unexpected<Error> wrongResult(std::string_view op, std::string_view where) const;
};

/// A place among @p places to look at, spread over results of different @p size, the same for the same work.
[[nodiscard]] std::uint64_t spotOf(std::uint64_t size, std::uint64_t places);

}  // namespace sigmascope::gpu
