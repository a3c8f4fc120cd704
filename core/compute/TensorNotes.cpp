// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/TensorNotes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace sigmascope {

namespace {

constexpr std::size_t kToldApart = 8;
/// Fewer values say nothing about how they are spread.
constexpr std::uint64_t kFewestValues = 32;
constexpr double kLeastShare = 0.4;

constexpr int kLowest = -149;  // the smallest float is 2^-149
constexpr int kHighest = 127;
using Binades = std::array<std::uint64_t, kHighest - kLowest + 1>;

std::uint32_t swappedBytes(std::uint32_t code)
{
    return (code >> 8 | code << 8) & 0xFFFFU;
}

/// Values by floor(log2 |x|).
Binades binadesOf(const CodeCounts& codes, bool swapped)
{
    Binades binades{};
    for (std::uint32_t code = 0; code < codes.counts.size(); ++code) {
        const float value = codeValue(codes.codeType, swapped ? swappedBytes(code) : code);
        if (codes.counts[code] != 0 && std::isfinite(value) && value != 0)
            binades[static_cast<std::size_t>(std::ilogb(value) - kLowest)] += codes.counts[code];
    }
    return binades;
}

std::uint64_t totalOf(const Binades& binades)
{
    std::uint64_t total = 0;
    for (const std::uint64_t count : binades)
        total += count;
    return total;
}

/// Largest share of the values in so many neighbours.
double fullestShare(const Binades& binades, int window)
{
    const std::uint64_t total = totalOf(binades);
    const auto width = static_cast<std::size_t>(window);
    std::uint64_t inside = 0;
    std::uint64_t fullest = 0;
    for (std::size_t i = 0; i < binades.size(); ++i) {
        inside += binades[i];
        if (i >= width)
            inside -= binades[i - width];
        fullest = std::max(fullest, inside);
    }
    return total == 0 ? 0 : static_cast<double>(fullest) / static_cast<double>(total);
}

bool isSixteenBit(const CodeCounts& codes)
{
    return codes.exactCodes && (codes.codeType == DType::F16 || codes.codeType == DType::BF16);
}

}  // namespace

std::string_view id(TensorNoteKind kind)
{
    switch (kind) {
    case TensorNoteKind::NoElements:
        return "no-elements";
    case TensorNoteKind::Flattened:
        return "flattened";
    case TensorNoteKind::ExponentSpread:
        break;
    }
    return "exponent-spread";
}

std::optional<TensorNote> shapeNote(std::span<const std::uint64_t> shape)
{
    const auto elements = checkedElementCount(shape);
    if (elements && *elements == 0)
        return TensorNote{
            TensorNoteKind::NoElements,
            fmt::format("a dimension of {} is 0: no elements, left out of every operation", toString(shape))};
    if (!elements || shape.size() <= kToldApart)
        return std::nullopt;
    return TensorNote{
        TensorNoteKind::Flattened,
        fmt::format("{} dimensions: looked at as a matrix of {} x {}, all but the last of them folded into rows",
                    shape.size(), *elements / shape.back(), shape.back())};
}

bool ExponentSpread::isAbsurd() const
{
    return values >= kFewestValues && fullest < kLeastShare;
}

ExponentSpread exponentSpread(const CodeCounts& codes)
{
    const Binades binades = binadesOf(codes, false);
    ExponentSpread spread;
    spread.values = totalOf(binades);
    spread.window = codes.codeType == DType::F16 ? 8 : 32;
    spread.fullest = fullestShare(binades, spread.window);
    if (isSixteenBit(codes))
        spread.fullestSwapped = fullestShare(binadesOf(codes, true), spread.window);
    if (spread.values == 0)
        return spread;
    const auto isUsed = [](std::uint64_t count) { return count != 0; };
    const auto first = std::ranges::find_if(binades, isUsed);
    const auto last = std::find_if(binades.rbegin(), binades.rend(), isUsed);
    spread.lowest = kLowest + static_cast<int>(first - binades.begin());
    spread.highest = kHighest - static_cast<int>(last - binades.rbegin());
    return spread;
}

bool maySpread(DType type, const TensorStats& stats)
{
    switch (type) {
    case DType::F16:
        return stats.absmax() >= 0x1p8;
    case DType::BF16:
    case DType::F32:
    case DType::F64:
        return stats.absmax() >= 0x1p16;
    default:
        return false;  // integers, and types of which every byte is a value or a block
    }
}

std::optional<TensorNote> exponentNote(DType type, const TensorStats& stats, const CodeCounts& codes)
{
    if (!maySpread(type, stats))
        return std::nullopt;
    const ExponentSpread spread = exponentSpread(codes);
    if (!spread.isAbsurd())
        return std::nullopt;
    std::string text = fmt::format("exponent spread: magnitudes from 2^{} to 2^{}, at most {:.0f} % of them within {} "
                                   "neighbouring powers of two, where "
                                   "trained weights have nearly all",
                                   spread.lowest, spread.highest, 100 * spread.fullest, spread.window);
    if (spread.fullestSwapped >= 2 * kLeastShare)
        text += fmt::format("; with the bytes of each value swapped {:.0f} % are: the producer was big-endian",
                            100 * spread.fullestSwapped);
    else
        text += ": the bytes may be big-endian, or not of this type";
    return TensorNote{TensorNoteKind::ExponentSpread, std::move(text)};
}

Result<std::vector<TensorNote>> tensorNotes(const TensorView& view, const TensorStats& stats, const JobContext& job)
{
    std::vector<TensorNote> notes;
    if (auto note = shapeNote(view.shape))
        notes.push_back(std::move(*note));
    if (!maySpread(view.dtype, stats))
        return notes;
    const auto codes = codeCounts(view, job);
    if (!codes)
        return passOn(codes);
    if (auto note = exponentNote(view.dtype, stats, *codes))
        notes.push_back(std::move(*note));
    return notes;
}

}  // namespace sigmascope
