// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Units.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// Outermost dimension first, row-major: a PyTorch Linear is [out, in]. GGUF's ne order is turned
/// round when read. Empty = scalar.
using Shape = std::vector<std::uint64_t>;

/// Every stored element type this program can name, of safetensors and of GGUF.
enum class DType : std::uint8_t {
    F64, F32, F16, BF16, F8E4M3, F8E5M2,
    I64, I32, I16, I8, U64, U32, U16, U8, Bool,
    // safetensors types that are listed and copied, not decoded
    F4, F6E2M3, F6E3M2, F8E8M0, F8E4M3FNUZ, F8E5M2FNUZ, C64,
    // GGUF block types
    Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K,
    IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ1_S, IQ1_M, IQ4_NL, IQ4_XS,
    TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, Q2_0,
    /// A safetensors dtype string this version does not know: listed with its byte size, copied through.
    Unknown,
};

struct DTypeInfo {
    DType dtype;
    std::string_view name;            ///< as shown and in JSON: "BF16", "Q4_0"
    std::string_view safetensorsName; ///< empty if safetensors has no such type
    int ggmlId;                       ///< -1 if GGUF has no such type
    std::uint32_t blockElements;      ///< a row's length must be a multiple of it
    std::uint32_t blockBits;          ///< bits of one block; a multiple of 8 for all but F4 and F6
    bool decodable;                   ///< decode() can turn it into float in this version
    bool quantized;                   ///< a GGUF block format with scales
};

[[nodiscard]] const DTypeInfo& info(DType dtype);
[[nodiscard]] std::span<const DTypeInfo> allDTypes();
[[nodiscard]] std::optional<DType> dtypeFromSafetensors(std::string_view name);
/// Nothing for ids that are retired (4, 5, 31-33, 36-38) or not known.
[[nodiscard]] std::optional<DType> dtypeFromGgml(std::uint32_t id);
/// By shown name, case-insensitive.
[[nodiscard]] std::optional<DType> dtypeFromName(std::string_view name);

/// Product of the dimensions; nothing on 64-bit overflow. 1 for a scalar, 0 with a zero dimension.
[[nodiscard]] std::optional<std::uint64_t> checkedElementCount(std::span<const std::uint64_t> shape);
/// Bytes of a tensor; nothing on overflow, or when the last dimension is no multiple of the block,
/// or when the bits do not fill whole bytes.
[[nodiscard]] std::optional<Bytes> checkedByteSize(DType dtype, std::span<const std::uint64_t> shape);
/// "[4096, 14336]"
[[nodiscard]] std::string toString(std::span<const std::uint64_t> shape);

}  // namespace sigmascope
