// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/Coded.h"
#include "core/tensor/DType.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sigmascope::gpu {

/// Kernels by source; a variant is one with the constants of its row.
enum class KernelId {
    Statistics,
    Outliers,
    EncodeQ4_0,
    EncodeQ8_0,
    EncodeAffine,
    EncodeSymmetric,
    EncodeLevels,
    GroupScales,
    GroupCodes,
    ErrorSums,
    Decode,
    Histogram,
    Bins,
    ProductRows,
    ProductCols,
    ClipSearch
};

/// What the host must know of a kernel; its bindings are storage buffers 0, 1, … of set 0.
struct KernelRow {
    KernelId id;
    std::string_view name;
    std::span<const std::uint32_t> spirv;
    std::uint32_t pushBytes;
    std::uint32_t bindings;
    std::uint32_t workgroup;  ///< invocations
    std::array<std::uint32_t, 2> constants{};  ///< specialization constants 0 and 1; 0 is set by variantOf()
};

[[nodiscard]] std::span<const KernelRow> kernelTable();
[[nodiscard]] const KernelRow& kernelRow(KernelId id);
/// The row with specialization constant 0: a StoredType of decode.glsl, a kind of coded.glsl.
[[nodiscard]] KernelRow variantOf(KernelId id, std::uint32_t constant);

/// Values of kType in decode.glsl; nothing where the type has no loader.
[[nodiscard]] std::optional<std::uint32_t> storedType(DType type);
/// Values of kKind in coded.glsl; nothing where the type has no loader.
[[nodiscard]] std::optional<std::uint32_t> codedKind(DType type);
[[nodiscard]] std::optional<std::uint32_t> codedKind(const std::optional<CodeFormat>& format);

/// The kernel that encodes to a block type; nothing where there is none.
[[nodiscard]] std::optional<KernelId> encodeKernel(DType type);

}  // namespace sigmascope::gpu
