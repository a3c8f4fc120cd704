// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/tensor/DType.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sigmascope::gpu {

enum class KernelId {
    StatisticsF32,
    StatisticsBf16,
    StatisticsF16,
    OutliersF32,
    OutliersBf16,
    OutliersF16,
    EncodeQ4_0,
    EncodeQ8_0
};

/// What the host must know of a kernel; its bindings are storage buffers 0, 1, … of set 0.
struct KernelRow {
    KernelId id;
    std::string_view name;
    std::span<const std::uint32_t> spirv;
    std::uint32_t pushBytes;
    std::uint32_t bindings;
    std::uint32_t workgroup;  ///< invocations
    std::optional<std::uint32_t> storedType{};  ///< specialization constant 0 of decode.glsl
};

[[nodiscard]] std::span<const KernelRow> kernelTable();
[[nodiscard]] const KernelRow& kernelRow(KernelId id);

/// The kernel of an op for a stored type; nothing where there is none.
[[nodiscard]] std::optional<KernelId> statisticsKernel(DType type);
[[nodiscard]] std::optional<KernelId> outliersKernel(DType type);
[[nodiscard]] std::optional<KernelId> encodeKernel(DType type);

}  // namespace sigmascope::gpu
