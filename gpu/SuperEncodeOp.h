// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

#include "core/tensor/DType.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace sigmascope::gpu {

/// Weights of a super-block.
inline constexpr std::uint64_t kSuper = 256;

/// A type of super-blocks that a kernel encodes to: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS.
struct SuperKernel {
    KernelId id;
    std::uint32_t constant = 0;  ///< kWhat of super_blocks.glsl
    std::uint64_t perWorkgroup = 0;  ///< super-blocks
    Bytes bytes = 0;  ///< of a super-block
    Bytes scaleAt = 0;  ///< byte of a super-block where its half is
};
[[nodiscard]] std::optional<SuperKernel> superKernel(DType type, bool weighted);

/// A matrix while it is coded into super-blocks.
struct SuperEncode {
    DType type{};
    std::span<const float> weights{};
    std::uint64_t cols = 0;
    std::span<const float>
        importance{};  ///< [cols] as the search can use them (core/compute/ops/Importances.h), or empty
    std::span<std::byte> out{};
    bool metTrouble = false;  ///< a super-block is an error, or wants a word: the reference must do all

    [[nodiscard]] std::uint64_t count() const { return weights.size() / kSuper; }
};

/// Lets the reference do those of super-blocks [first, first + count) that the kernel marked in `out`: beyond the range
/// in which a device's arithmetic is the CPU's, or in error.
[[nodiscard]] Status redoMarked(OpContext& context, const SuperKernel& kernel, SuperEncode& encode, std::uint64_t first,
                                std::uint64_t count);

/// Encodes to a type that has a SuperKernel, byte-equal to the reference wherever products and sums of floats round to
/// nearest even: quotients and roots are done in integers. Returns which importances could not be used, in words.
/// Errors are the reference's. @param importance  [cols], or empty: nearest codes.
[[nodiscard]] Result<std::string> encodeSupers(OpContext& context, DType type, std::span<const float> weights,
                                               std::uint64_t rows, std::uint64_t cols,
                                               std::span<const float> importance, std::span<std::byte> out,
                                               const JobContext& job);

}  // namespace sigmascope::gpu
