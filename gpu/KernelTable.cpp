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

// Values of kType in decode.glsl.
constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kBf16 = 1;
constexpr std::uint32_t kF16 = 2;

constexpr std::array kRows{
    KernelRow{KernelId::StatisticsF32, "statistics f32", kStatistics, 4, 2, 128, kF32},
    KernelRow{KernelId::StatisticsBf16, "statistics bf16", kStatistics, 4, 2, 128, kBf16},
    KernelRow{KernelId::StatisticsF16, "statistics f16", kStatistics, 4, 2, 128, kF16},
    KernelRow{KernelId::OutliersF32, "outliers f32", kOutliers, 20, 2, 128, kF32},
    KernelRow{KernelId::OutliersBf16, "outliers bf16", kOutliers, 20, 2, 128, kBf16},
    KernelRow{KernelId::OutliersF16, "outliers f16", kOutliers, 20, 2, 128, kF16},
    KernelRow{KernelId::EncodeQ4_0, "encode q4_0", kEncodeQ4_0, 4, 2, 64},
    KernelRow{KernelId::EncodeQ8_0, "encode q8_0", kEncodeQ8_0, 4, 2, 64},
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

std::optional<KernelId> statisticsKernel(DType type)
{
    switch (type) {
    case DType::F32:
        return KernelId::StatisticsF32;
    case DType::BF16:
        return KernelId::StatisticsBf16;
    case DType::F16:
        return KernelId::StatisticsF16;
    default:
        return std::nullopt;
    }
}

std::optional<KernelId> outliersKernel(DType type)
{
    switch (type) {
    case DType::F32:
        return KernelId::OutliersF32;
    case DType::BF16:
        return KernelId::OutliersBf16;
    case DType::F16:
        return KernelId::OutliersF16;
    default:
        return std::nullopt;
    }
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
