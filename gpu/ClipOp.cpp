// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/ClipOp.h"

#include "gpu/Operand.h"

#include "core/compute/ops/ClipReach.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace sigmascope::gpu {

namespace {

constexpr Bytes kHeader = 16;
constexpr std::uint64_t kWorkgroup = 64;
/// Values of the first slice, each met some twenty times: short even on a slow device.
constexpr std::uint64_t kFirstValues = std::uint64_t{1} << 16;

/// One search: what its slices share.
struct Search {
    const GroupFormat& format;
    std::span<const float> weights;
    std::uint64_t cols;
    std::span<const float> scale;
    std::uint64_t groups;

    [[nodiscard]] std::span<const float> values(std::uint64_t row, std::uint64_t g) const
    {
        const std::uint64_t begin = g * format.groupLength(cols);
        return weights.subspan(row * cols + begin, std::min(format.groupLength(cols), cols - begin));
    }
    [[nodiscard]] std::span<const float> scales(std::uint64_t g) const
    {
        const std::uint64_t begin = g * format.groupLength(cols);
        return scale.empty() ? scale : scale.subspan(begin, std::min(format.groupLength(cols), cols - begin));
    }
};

Status spotCheck(const OpContext& context, const Search& search, const std::vector<std::uint8_t>& reaches)
{
    const std::uint64_t spot = spotOf(search.weights.size(), reaches.size());
    const auto values = search.values(spot / search.groups, spot % search.groups);
    const auto scales = search.scales(spot % search.groups);
    const double found = clippedLoss(search.format, values, scales, reaches[spot]);
    const double expected = clippedLoss(search.format, values, scales, bestReach(search.format, values, scales));
    // The ladder may part at a near tie and end elsewhere; it must not end at something plainly worse.
    if (found <= 1.05 * expected)
        return {};
    return context.wrongResult("clip-search", fmt::format("group {}", spot));
}

/// Ranges of a slice's rows.
Status take(OpContext& context, const Search& search, std::uint32_t workgroups, std::span<const std::byte> output,
            std::uint64_t firstRow, std::span<std::uint8_t> reaches)
{
    std::array<std::uint32_t, 2> header{};
    std::memcpy(header.data(), output.data(), sizeof header);
    if (header[0] != workgroups)
        return context.notWritten("clip search", workgroups, header[0]);
    const bool metTiny = header[1] != 0;
    context.usedReference = context.usedReference || metTiny;
    for (std::size_t i = 0; i < reaches.size(); ++i) {
        std::uint32_t reach = 0;
        std::memcpy(&reach, output.data() + kHeader + i * sizeof reach, sizeof reach);
        const std::uint64_t row = firstRow + i / search.groups;
        const std::uint64_t g = i % search.groups;
        if (reach == 0 || reach > static_cast<std::uint32_t>(kReachParts))
            return context.wrongResult("clip-search", fmt::format("row {}", row));
        if (metTiny)
            reach = static_cast<std::uint32_t>(bestReach(search.format, search.values(row, g), search.scales(g)));
        reaches[i] = static_cast<std::uint8_t>(reach);
    }
    return {};
}

}  // namespace

Result<std::vector<std::uint8_t>> clipReaches(OpContext& context, const GroupFormat& format,
                                              std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                                              std::span<const float> scale, const JobContext& job)
{
    const Search search{format, weights, cols, scale, format.groups(cols)};
    std::vector<std::uint8_t> reaches(rows * search.groups);
    if (reaches.empty())
        return reaches;
    const auto kernel = context.kernels.get(KernelId::ClipSearch);
    if (!kernel)
        return passOn(kernel);
    constexpr float kOne = 1;
    const auto scaleOnDevice
        = uploaded(context, std::as_bytes(scale.empty() ? std::span<const float>(&kOne, 1) : scale), job);
    if (!scaleOnDevice)
        return passOn(scaleOnDevice);
    const auto groupsOf = [&](std::uint64_t count) {
        return static_cast<std::uint32_t>((count * search.groups + kWorkgroup - 1) / kWorkgroup);
    };
    TileWork work;
    work.units = rows;
    work.inputPerUnit = cols * sizeof(float);
    work.outputHeader = kHeader;
    work.outputPerUnit = search.groups * sizeof(std::uint32_t);
    work.maxUnits
        = std::max<std::uint64_t>(1, std::uint64_t{context.device.maxWorkgroups()} * kWorkgroup / search.groups);
    work.firstUnits = std::max<std::uint64_t>(1, kFirstValues / cols);
    work.subject = (*kernel)->row().name;
    work.fill = [&](std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) {
        const auto part = weights.subspan(first * cols, count * cols);
        std::memcpy(upload.data(), part.data(), part.size_bytes());
        return Bytes{part.size_bytes()};
    };
    work.passes = [&](std::span<Pass> passes, const Slice& slice) {
        passes[0].kernel = *kernel;
        passes[0].buffers = {slice.input, slice.output, &*scaleOnDevice};
        const auto word = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
        passes[0].tell({word(cols), word(format.groupLength(cols)), word(search.groups),
                        word(slice.count * search.groups), static_cast<std::uint32_t>(format.bits),
                        format.asymmetric ? 1U : 0U, scale.empty() ? 0U : 1U});
        passes[0].groupsX = groupsOf(slice.count);
        return std::size_t{1};
    };
    work.take = [&](std::span<const std::byte> output, std::uint64_t first, std::uint64_t count) {
        return take(context, search, groupsOf(count), output, first,
                    std::span(reaches).subspan(first * search.groups, count * search.groups));
    };
    if (const Status done = context.tiles.run(work, job); !done)
        return passOn(done);
    if (const Status right = spotCheck(context, search, reaches); !right)
        return passOn(right);
    return reaches;
}

}  // namespace sigmascope::gpu
