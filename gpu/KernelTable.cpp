// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/KernelTable.h"

#include <algorithm>
#include <array>

namespace sigmascope::gpu {

namespace {

constexpr std::uint32_t kStatistics[] = {
#include "kernels/statistics.spv.inc"
};
constexpr std::uint32_t kOutliers[] = {
#include "kernels/outliers.spv.inc"
};
constexpr std::uint32_t kEncodeQ4_0[] = {
#include "kernels/encode_q4_0.spv.inc"
};
constexpr std::uint32_t kEncodeQ8_0[] = {
#include "kernels/encode_q8_0.spv.inc"
};
constexpr std::uint32_t kEncodeAffine[] = {
#include "kernels/encode_affine.spv.inc"
};
constexpr std::uint32_t kEncodeSymmetric[] = {
#include "kernels/encode_symmetric.spv.inc"
};
constexpr std::uint32_t kEncodeLevels[] = {
#include "kernels/encode_levels.spv.inc"
};
constexpr std::uint32_t kGroupScales[] = {
#include "kernels/group_scales.spv.inc"
};
constexpr std::uint32_t kGroupCodes[] = {
#include "kernels/group_codes.spv.inc"
};
constexpr std::uint32_t kErrorSums[] = {
#include "kernels/error_sums.spv.inc"
};
constexpr std::uint32_t kDecode[] = {
#include "kernels/decode.spv.inc"
};
constexpr std::uint32_t kHistogram[] = {
#include "kernels/histogram.spv.inc"
};
constexpr std::uint32_t kBins[] = {
#include "kernels/bins.spv.inc"
};
constexpr std::uint32_t kClipSearch[] = {
#include "kernels/clip_search.spv.inc"
};
constexpr std::uint32_t kProduct[] = {
#include "kernels/product.spv.inc"
};

// Push bytes, bindings, workgroup, constants.
constexpr std::array kRows{
    KernelRow{KernelId::Statistics, "statistics", kStatistics, 4, 2, 128},
    KernelRow{KernelId::Outliers, "outliers", kOutliers, 20, 2, 128},
    KernelRow{KernelId::EncodeQ4_0, "encode q4_0", kEncodeQ4_0, 4, 2, 64},
    KernelRow{KernelId::EncodeQ8_0, "encode q8_0", kEncodeQ8_0, 4, 2, 64},
    KernelRow{KernelId::EncodeAffine, "encode q2_k, q4_k, q5_k", kEncodeAffine, 12, 3, 32},
    KernelRow{KernelId::EncodeSymmetric, "encode q3_k, q6_k", kEncodeSymmetric, 12, 3, 32},
    KernelRow{KernelId::EncodeLevels, "encode iq4_xs", kEncodeLevels, 12, 3, 32},
    KernelRow{KernelId::GroupScales, "group scales", kGroupScales, 28, 2, 64},
    KernelRow{KernelId::GroupCodes, "group codes", kGroupCodes, 32, 2, 64},
    KernelRow{KernelId::ErrorSums, "error sums", kErrorSums, 52, 4, 128},
    KernelRow{KernelId::Decode, "decode", kDecode, 12, 2, 256},
    KernelRow{KernelId::Histogram, "histogram", kHistogram, 4, 2, 256},
    KernelRow{KernelId::Bins, "bins", kBins, 8, 3, 256},
    KernelRow{KernelId::ClipSearch, "clip search", kClipSearch, 28, 3, 64},
    KernelRow{KernelId::ProductRows, "residual times panel, rows", kProduct, 72, 5, 128, {0, 1}},
    KernelRow{KernelId::ProductCols, "residual times panel, columns", kProduct, 72, 5, 128, {0, 0}},
};

}  // namespace

std::span<const KernelRow> kernelTable()
{
    return kRows;
}

const KernelRow& kernelRow(KernelId id)
{
    return *std::find_if(kRows.begin(), kRows.end(), [id](const KernelRow& row) { return row.id == id; });
}

KernelRow variantOf(KernelId id, std::uint32_t constant)
{
    KernelRow row = kernelRow(id);
    row.constants[0] = constant;
    return row;
}

std::optional<std::uint32_t> storedType(DType type)
{
    switch (type) {
    case DType::F32:
        return 0;
    case DType::BF16:
        return 1;
    case DType::F16:
        return 2;
    default:
        return std::nullopt;
    }
}

std::optional<std::uint32_t> codedKind(DType type)
{
    switch (type) {
    case DType::Q8_0:
        return 1;
    case DType::Q4_0:
        return 2;
    case DType::Q4_1:
        return 4;
    case DType::Q5_0:
        return 5;
    case DType::Q5_1:
        return 6;
    case DType::Q2_K:
        return 7;
    case DType::Q3_K:
        return 8;
    case DType::Q4_K:
        return 9;
    case DType::Q5_K:
        return 10;
    case DType::Q6_K:
        return 11;
    case DType::IQ4_NL:
        return 12;
    case DType::IQ4_XS:
        return 13;
    case DType::MXFP4:
        return 14;
    case DType::NVFP4:
        return 15;
    case DType::TQ1_0:
        return 16;
    case DType::TQ2_0:
        return 17;
    case DType::Q1_0:
        return 18;
    case DType::Q2_0:
        return 19;
    default:
        return std::nullopt;
    }
}

std::optional<std::uint32_t> codedKind(const std::optional<CodeFormat>& format)
{
    constexpr std::uint32_t kDense = 0;
    constexpr std::uint32_t kGroups = 3;
    if (!format)
        return kDense;
    return format->block ? codedKind(*format->block) : std::optional(kGroups);
}

std::optional<KernelId> encodeKernel(DType type)
{
    switch (type) {
    case DType::Q4_0:
        return KernelId::EncodeQ4_0;
    case DType::Q8_0:
        return KernelId::EncodeQ8_0;
    default:
        return std::nullopt;
    }
}

}  // namespace sigmascope::gpu
