// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace sigmascope {

/// How the codes of one line lie in its 32-bit words, which are little-endian in a file.
enum class WordFill {
    WholeCodes,  ///< code i of a word at bits b*i; 32 / b codes a word, spare bits and the rest of the last word are 0
    Stream,  ///< without gaps, codes may cross from one word into the next: GPTQ's 3 bits, 32 codes in 3 words
    Awq,  ///< 4 bits; the nibbles of a word, lowest first, are its codes 0 2 4 6 1 3 5 7
};

/// Which codes of a matrix share a word.
enum class WordsAlong {
    Row,  ///< neighbours in a row: inputs of one output
    Column,  ///< neighbours in a column: outputs of one input, or of one group
};

/// How a matrix of integer codes is packed into I32 words. Rows and columns are always those of the weight as a
/// checkpoint has it, [out × in]; zero points are [out × groups]. The words along a row are [rows × words], those along
/// a column [words × cols]; transposed, the other way round.
struct PackedLayout {
    int bits = 4;  ///< 1 to 8
    WordFill fill = WordFill::WholeCodes;
    WordsAlong along = WordsAlong::Row;
    bool isTransposed = false;
};

/// compressed-tensors, pack-quantized: weight_packed [out × words(in)] and weight_zero_point [words(out) × groups].
[[nodiscard]] constexpr PackedLayout compressedTensorsCodes(int bits)
{
    return {bits, WordFill::WholeCodes, WordsAlong::Row, false};
}
[[nodiscard]] constexpr PackedLayout compressedTensorsZeros(int bits)
{
    return {bits, WordFill::WholeCodes, WordsAlong::Column, false};
}
/// GPTQ: qweight [words(in) × out] and qzeros [groups × words(out)].
[[nodiscard]] constexpr PackedLayout gptqCodes(int bits)
{
    return {bits, WordFill::Stream, WordsAlong::Row, true};
}
[[nodiscard]] constexpr PackedLayout gptqZeros(int bits)
{
    return {bits, WordFill::Stream, WordsAlong::Column, true};
}
/// AWQ GEMM: qweight [in × words(out)] and qzeros [groups × words(out)].
[[nodiscard]] constexpr PackedLayout awqCodes()
{
    return {4, WordFill::Awq, WordsAlong::Column, true};
}

/// Words of one line of @p count codes. @pre 1 <= bits <= 8, for Awq 4.
[[nodiscard]] constexpr std::uint64_t packedWords(std::uint64_t count, int bits, WordFill fill)
{
    const auto width = static_cast<std::uint64_t>(bits);
    if (fill == WordFill::Stream)  // by whole words first: the product of a large count would wrap
        return count / 32 * width + (count % 32 * width + 31) / 32;
    const std::uint64_t each = 32 / width;
    return count / each + (count % each == 0 ? 0 : 1);
}

/// Shape of the words of a [rows × cols] matrix of codes. @pre as packedWords().
[[nodiscard]] Shape packedShape(const PackedLayout& layout, std::uint64_t rows, std::uint64_t cols);

/// Packs codes, one a byte, row-major, into the words of packedShape(). What no code fills is 0.
/// InvalidOption for bits that no word has, ShapeMismatch if a span has another size than its matrix,
/// NotRepresentable for a code that is too wide.
[[nodiscard]] Status packInts(std::span<const std::uint8_t> codes, std::uint64_t rows, std::uint64_t cols,
                              const PackedLayout& layout, std::span<std::byte> words);

/// Inverse of packInts(); what lies in the spare bits is not looked at. The words may be unaligned, as they lie in a
/// file. InvalidOption, ShapeMismatch as above.
[[nodiscard]] Status unpackInts(std::span<const std::byte> words, std::uint64_t rows, std::uint64_t cols,
                                const PackedLayout& layout, std::span<std::uint8_t> codes);

}  // namespace sigmascope
