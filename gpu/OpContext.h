// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/Kernel.h"
#include "gpu/Tiles.h"

#include "core/compute/ComputeBackend.h"

#include <map>

namespace sigmascope::gpu {

/// The kernels of a device, each made ready when first asked for.
class KernelCache {
public:
    explicit KernelCache(Device& device)
        : m_device(device)
    {
    }
    /// Valid as long as the cache.
    [[nodiscard]] Result<const Kernel*> get(KernelId id);

private:
    Device& m_device;
    std::map<KernelId, Kernel> m_kernels;
};

/// What an op runs with; lives in the backend, one op at a time.
struct OpContext {
    Device& device;
    KernelCache& kernels;
    Tiles& tiles;
    ComputeBackend& reference;  ///< the CPU, for the pieces float kernels cannot do
    bool usedReference = false;  ///< set by an op that let the reference do a part
};

}  // namespace sigmascope::gpu
