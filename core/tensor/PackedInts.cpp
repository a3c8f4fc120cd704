// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/PackedInts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

namespace sigmascope {

namespace {

static_assert(std::endian::native == std::endian::little,
              "words are little-endian; they are copied as they lie in memory");

constexpr std::size_t kTile = 64;  // lines that are turned at once: their words fit the first cache
constexpr std::size_t kMostCodes = 32;  // of a period
constexpr std::size_t kMostWords = 8;

/// The codes after which a line's words begin anew, and where each of them goes.
struct Period {
    std::size_t codes = 0;
    std::size_t words = 1;
    std::array<std::uint8_t, kMostCodes> word{};
    std::array<std::uint8_t, kMostCodes> shift{};
    std::uint32_t mask = 0;
    std::uint8_t width = 0;

    /// The code reaches into the next word.
    [[nodiscard]] bool crosses(std::size_t code) const { return shift[code] + width > 32; }
};

Period periodOf(const PackedLayout& layout)
{
    Period period;
    period.width = static_cast<std::uint8_t>(layout.bits);
    period.mask = (1U << period.width) - 1U;
    const bool isStream = layout.fill == WordFill::Stream && 32 % layout.bits != 0;
    period.codes = isStream ? kMostCodes : 32U / period.width;
    period.words = isStream ? period.width : 1;
    constexpr std::array<std::uint8_t, 8> kNibbleOf{0, 4, 1, 5, 2, 6, 3, 7};  // inverse of 0 2 4 6 1 3 5 7
    for (std::size_t i = 0; i < period.codes; ++i) {
        const std::size_t bit = layout.fill == WordFill::Awq ? 4 * kNibbleOf[i] : i * period.width;
        period.word[i] = static_cast<std::uint8_t>(bit / 32);
        period.shift[i] = static_cast<std::uint8_t>(bit % 32);
    }
    return period;
}

/// A matrix seen as lines of codes, each packed by itself, and where their words lie.
struct Lines {
    std::size_t count = 0, length = 0, words = 0;
    std::size_t lineStep = 0, codeStep = 0;  // of codes
    std::size_t wordLineStep = 0, wordStep = 0;  // of words
};

Result<Lines> linesOf(const PackedLayout& layout, std::uint64_t rows, std::uint64_t cols, std::size_t codes,
                      std::size_t wordBytes)
{
    if (layout.bits < 1 || layout.bits > 8 || (layout.fill == WordFill::Awq && layout.bits != 4))
        return fail(ErrorCode::InvalidOption,
                    fmt::format("codes of {} bits have no such layout in 32-bit words", layout.bits));
    const auto expected = checkedMul(rows, cols);
    const auto bytes = checkedByteSize(DType::I32, packedShape(layout, rows, cols));
    if (!expected || !bytes || *expected != codes || *bytes != wordBytes)
        return fail(ErrorCode::ShapeMismatch,
                    fmt::format("{} codes of {} bits and {} bytes of words are no matrix of {} x {}", codes,
                                layout.bits, wordBytes, rows, cols));
    const bool isAlongRow = layout.along == WordsAlong::Row;
    Lines lines;
    lines.count = static_cast<std::size_t>(isAlongRow ? rows : cols);
    lines.length = static_cast<std::size_t>(isAlongRow ? cols : rows);
    lines.words = static_cast<std::size_t>(packedWords(lines.length, layout.bits, layout.fill));
    lines.lineStep = isAlongRow ? lines.length : 1;
    lines.codeStep = isAlongRow ? 1 : lines.count;
    const bool areLinesWhole = isAlongRow != layout.isTransposed;
    lines.wordLineStep = areLinesWhole ? lines.words : 1;
    lines.wordStep = areLinesWhole ? 1 : lines.count;
    return lines;
}

/// Words of one period of up to kTile lines.
using Tile = std::array<std::array<std::uint32_t, kTile>, kMostWords + 1>;

/// Calls visit(line, lines, code, codes, word, words) for every tile: where it begins and how much of it there is.
template <class Visit> void forTiles(const Lines& lines, const Period& period, const Visit& visit)
{
    for (std::size_t line = 0; line < lines.count; line += kTile) {
        const std::size_t count = std::min(kTile, lines.count - line);
        std::size_t word = 0;
        for (std::size_t code = 0; code < lines.length; code += period.codes, word += period.words)
            visit(line, count, code, std::min(period.codes, lines.length - code), word,
                  std::min(period.words, lines.words - word));
    }
}

}  // namespace

Shape packedShape(const PackedLayout& layout, std::uint64_t rows, std::uint64_t cols)
{
    const bool isAlongRow = layout.along == WordsAlong::Row;
    Shape shape{isAlongRow ? rows : packedWords(rows, layout.bits, layout.fill),
                isAlongRow ? packedWords(cols, layout.bits, layout.fill) : cols};
    if (layout.isTransposed)
        std::swap(shape[0], shape[1]);
    return shape;
}

Status packInts(std::span<const std::uint8_t> codes, std::uint64_t rows, std::uint64_t cols, const PackedLayout& layout,
                std::span<std::byte> words)
{
    const auto lines = linesOf(layout, rows, cols, codes.size(), words.size());
    if (!lines)
        return passOn(lines);
    const Period period = periodOf(layout);
    const auto all = std::accumulate(codes.begin(), codes.end(), std::uint8_t{0},
                                     [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a | b); });
    if (all > period.mask) {
        const auto wide = std::ranges::find_if(codes, [mask = period.mask](std::uint8_t code) { return code > mask; });
        return fail(
            ErrorCode::NotRepresentable,
            fmt::format("code {} at element {} has more than {} bits", *wide, wide - codes.begin(), layout.bits));
    }
    Tile tile{};
    forTiles(*lines, period,
             [&](std::size_t line, std::size_t count, std::size_t first, std::size_t held, std::size_t word,
                 std::size_t used) {
                 for (std::size_t w = 0; w < used; ++w)
                     tile[w].fill(0);
                 for (std::size_t i = 0; i < held; ++i) {
                     const std::uint8_t* at = codes.data() + line * lines->lineStep + (first + i) * lines->codeStep;
                     for (std::size_t l = 0; l < count; ++l, at += lines->lineStep)
                         tile[period.word[i]][l] |= static_cast<std::uint32_t>(*at) << period.shift[i];
                     if (!period.crosses(i))
                         continue;
                     at -= count * lines->lineStep;
                     for (std::size_t l = 0; l < count; ++l, at += lines->lineStep)
                         tile[period.word[i] + 1U][l] |= static_cast<std::uint32_t>(*at) >> (32 - period.shift[i]);
                 }
                 for (std::size_t w = 0; w < used; ++w) {
                     for (std::size_t l = 0; l < count; ++l)
                         std::memcpy(words.data()
                                         + 4 * ((line + l) * lines->wordLineStep + (word + w) * lines->wordStep),
                                     &tile[w][l], 4);
                 }
             });
    return {};
}

Status unpackInts(std::span<const std::byte> words, std::uint64_t rows, std::uint64_t cols, const PackedLayout& layout,
                  std::span<std::uint8_t> codes)
{
    const auto lines = linesOf(layout, rows, cols, codes.size(), words.size());
    if (!lines)
        return passOn(lines);
    const Period period = periodOf(layout);
    Tile tile{};
    forTiles(*lines, period,
             [&](std::size_t line, std::size_t count, std::size_t first, std::size_t held, std::size_t word,
                 std::size_t used) {
                 for (std::size_t w = 0; w < used; ++w) {
                     for (std::size_t l = 0; l < count; ++l)
                         std::memcpy(
                             &tile[w][l],
                             words.data() + 4 * ((line + l) * lines->wordLineStep + (word + w) * lines->wordStep), 4);
                 }
                 for (std::size_t i = 0; i < held; ++i) {
                     std::uint8_t* at = codes.data() + line * lines->lineStep + (first + i) * lines->codeStep;
                     const auto& low = tile[period.word[i]];
                     const auto& high = tile[period.word[i] + 1U];
                     for (std::size_t l = 0; l < count; ++l, at += lines->lineStep) {
                         std::uint32_t code = low[l] >> period.shift[i];
                         if (period.crosses(i))
                             code |= high[l] << (32 - period.shift[i]);
                         *at = static_cast<std::uint8_t>(code & period.mask);
                     }
                 }
             });
    return {};
}

}  // namespace sigmascope
