// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/DType.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace sigmascope {

namespace {

// Sizes: safetensors' dtype list and ggml's type table (formats.md §1.1, §2.2).
constexpr std::array kTypes{
    DTypeInfo{DType::F64, "F64", "F64", 28, 1, 64, true, false},
    DTypeInfo{DType::F32, "F32", "F32", 0, 1, 32, true, false},
    DTypeInfo{DType::F16, "F16", "F16", 1, 1, 16, true, false},
    DTypeInfo{DType::BF16, "BF16", "BF16", 30, 1, 16, true, false},
    DTypeInfo{DType::F8E4M3, "F8_E4M3", "F8_E4M3", -1, 1, 8, true, false},
    DTypeInfo{DType::F8E5M2, "F8_E5M2", "F8_E5M2", -1, 1, 8, true, false},
    DTypeInfo{DType::I64, "I64", "I64", 27, 1, 64, true, false},
    DTypeInfo{DType::I32, "I32", "I32", 26, 1, 32, true, false},
    DTypeInfo{DType::I16, "I16", "I16", 25, 1, 16, true, false},
    DTypeInfo{DType::I8, "I8", "I8", 24, 1, 8, true, false},
    DTypeInfo{DType::U64, "U64", "U64", -1, 1, 64, true, false},
    DTypeInfo{DType::U32, "U32", "U32", -1, 1, 32, true, false},
    DTypeInfo{DType::U16, "U16", "U16", -1, 1, 16, true, false},
    DTypeInfo{DType::U8, "U8", "U8", -1, 1, 8, true, false},
    DTypeInfo{DType::Bool, "BOOL", "BOOL", -1, 1, 8, true, false},
    DTypeInfo{DType::F4, "F4", "F4", -1, 1, 4, false, false},
    DTypeInfo{DType::F6E2M3, "F6_E2M3", "F6_E2M3", -1, 1, 6, false, false},
    DTypeInfo{DType::F6E3M2, "F6_E3M2", "F6_E3M2", -1, 1, 6, false, false},
    DTypeInfo{DType::F8E8M0, "F8_E8M0", "F8_E8M0", -1, 1, 8, false, false},
    DTypeInfo{DType::F8E4M3FNUZ, "F8_E4M3FNUZ", "F8_E4M3FNUZ", -1, 1, 8, false, false},
    DTypeInfo{DType::F8E5M2FNUZ, "F8_E5M2FNUZ", "F8_E5M2FNUZ", -1, 1, 8, false, false},
    DTypeInfo{DType::C64, "C64", "C64", -1, 1, 64, false, false},
    DTypeInfo{DType::Q4_0, "Q4_0", "", 2, 32, 18 * 8, true, true},
    DTypeInfo{DType::Q4_1, "Q4_1", "", 3, 32, 20 * 8, true, true},
    DTypeInfo{DType::Q5_0, "Q5_0", "", 6, 32, 22 * 8, true, true},
    DTypeInfo{DType::Q5_1, "Q5_1", "", 7, 32, 24 * 8, true, true},
    DTypeInfo{DType::Q8_0, "Q8_0", "", 8, 32, 34 * 8, true, true},
    DTypeInfo{DType::Q8_1, "Q8_1", "", 9, 32, 36 * 8, false, true},
    DTypeInfo{DType::Q2_K, "Q2_K", "", 10, 256, 84 * 8, true, true},
    DTypeInfo{DType::Q3_K, "Q3_K", "", 11, 256, 110 * 8, true, true},
    DTypeInfo{DType::Q4_K, "Q4_K", "", 12, 256, 144 * 8, true, true},
    DTypeInfo{DType::Q5_K, "Q5_K", "", 13, 256, 176 * 8, true, true},
    DTypeInfo{DType::Q6_K, "Q6_K", "", 14, 256, 210 * 8, true, true},
    DTypeInfo{DType::Q8_K, "Q8_K", "", 15, 256, 292 * 8, false, true},
    DTypeInfo{DType::IQ2_XXS, "IQ2_XXS", "", 16, 256, 66 * 8, true, true},
    DTypeInfo{DType::IQ2_XS, "IQ2_XS", "", 17, 256, 74 * 8, true, true},
    DTypeInfo{DType::IQ2_S, "IQ2_S", "", 22, 256, 82 * 8, true, true},
    DTypeInfo{DType::IQ3_XXS, "IQ3_XXS", "", 18, 256, 98 * 8, true, true},
    DTypeInfo{DType::IQ3_S, "IQ3_S", "", 21, 256, 110 * 8, true, true},
    DTypeInfo{DType::IQ1_S, "IQ1_S", "", 19, 256, 50 * 8, true, true},
    DTypeInfo{DType::IQ1_M, "IQ1_M", "", 29, 256, 56 * 8, true, true},
    DTypeInfo{DType::IQ4_NL, "IQ4_NL", "", 20, 32, 18 * 8, true, true},
    DTypeInfo{DType::IQ4_XS, "IQ4_XS", "", 23, 256, 136 * 8, true, true},
    DTypeInfo{DType::TQ1_0, "TQ1_0", "", 34, 256, 54 * 8, true, true},
    DTypeInfo{DType::TQ2_0, "TQ2_0", "", 35, 256, 66 * 8, true, true},
    DTypeInfo{DType::MXFP4, "MXFP4", "", 39, 32, 17 * 8, true, true},
    DTypeInfo{DType::NVFP4, "NVFP4", "", 40, 64, 36 * 8, true, true},
    DTypeInfo{DType::Q1_0, "Q1_0", "", 41, 128, 18 * 8, true, true},
    DTypeInfo{DType::Q2_0, "Q2_0", "", 42, 64, 18 * 8, true, true},
    DTypeInfo{DType::Unknown, "unknown", "", -1, 1, 0, false, false},
};

constexpr bool inEnumOrder()
{
    for (std::size_t i = 0; i < kTypes.size(); ++i) {
        if (static_cast<std::size_t>(kTypes[i].dtype) != i)
            return false;
    }
    return true;
}
static_assert(inEnumOrder());

bool equalIgnoringCase(std::string_view a, std::string_view b)
{
    return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::toupper(x) == std::toupper(y); });
}

template <class Predicate>
std::optional<DType> firstWhere(Predicate matches)
{
    const auto it = std::ranges::find_if(kTypes, matches);
    if (it == kTypes.end())
        return std::nullopt;
    return it->dtype;
}

}  // namespace

const DTypeInfo& info(DType dtype)
{
    return kTypes[static_cast<std::size_t>(dtype)];
}

std::span<const DTypeInfo> allDTypes()
{
    return kTypes;
}

std::optional<DType> dtypeFromSafetensors(std::string_view name)
{
    return firstWhere([&](const DTypeInfo& t) { return !name.empty() && t.safetensorsName == name; });
}

std::optional<DType> dtypeFromGgml(std::uint32_t id)
{
    return firstWhere([&](const DTypeInfo& t) { return t.ggmlId >= 0 && static_cast<std::uint32_t>(t.ggmlId) == id; });
}

std::optional<DType> dtypeFromName(std::string_view name)
{
    return firstWhere([&](const DTypeInfo& t) { return equalIgnoringCase(t.name, name); });
}

std::optional<std::uint64_t> checkedElementCount(std::span<const std::uint64_t> shape)
{
    if (std::ranges::find(shape, 0U) != shape.end())
        return 0;
    std::optional<std::uint64_t> count = 1;
    for (const std::uint64_t dimension : shape) {
        count = checkedMul(*count, dimension);
        if (!count)
            return std::nullopt;
    }
    return count;
}

std::optional<Bytes> checkedByteSize(DType dtype, std::span<const std::uint64_t> shape)
{
    const DTypeInfo& type = info(dtype);
    const auto count = checkedElementCount(shape);
    if (!count)
        return std::nullopt;
    const std::uint64_t row = shape.empty() ? 1 : shape.back();
    if (row % type.blockElements != 0)
        return std::nullopt;
    const auto bits = checkedMul(*count / type.blockElements, type.blockBits);
    if (!bits || *bits % 8 != 0)
        return std::nullopt;
    return *bits / 8;
}

std::string toString(std::span<const std::uint64_t> shape)
{
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i != 0)
            text += ", ";
        text += std::to_string(shape[i]);
    }
    return text + "]";
}

}  // namespace sigmascope
