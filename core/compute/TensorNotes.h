// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/CodeCounts.h"
#include "core/compute/TensorStats.h"
#include "core/tensor/TensorView.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

enum class TensorNoteKind {
    NoElements,  ///< a dimension is 0: there is nothing to analyse, quantize or store
    Flattened,  ///< more dimensions than analyses tell apart
    ExponentSpread,  ///< magnitudes all over the type's range: probably not these bytes' meaning
};

/// Stable kebab-case id ("exponent-spread"), for JSON and translation tables.
[[nodiscard]] std::string_view id(TensorNoteKind kind);

/// Something odd about one tensor that stops nothing, but that whoever looks at its numbers must know.
struct TensorNote {
    TensorNoteKind kind;
    std::string text;  ///< one English line, without the tensor's name
};

/// What follows from the shape alone. Tensors of up to 8 dimensions (stacked experts, convolutions) get no note.
[[nodiscard]] std::optional<TensorNote> shapeNote(std::span<const std::uint64_t> shape);

/// The magnitudes of a tensor in powers of two.
struct ExponentSpread {
    std::uint64_t values = 0;  ///< finite and not zero
    int lowest = 0, highest = 0;  ///< floor(log2 |x|) of the smallest and the largest of them
    int window = 0;  ///< so many neighbouring powers of two ...
    double fullest = 0;  ///< ... hold at most this share of the values, wherever they are laid
    double fullestSwapped = 0;  ///< the same with the bytes of each value swapped; 0 if the counts are no exact codes

    /// Trained weights are spread about as a Gaussian: 99 % of them within 8 powers of two, and few tensors, however
    /// unlike their channels, leave a window of 32. Bytes read in the wrong order make the mantissa the exponent,
    /// which then is about uniform over the whole range: 12 % in a window of 32 of 256 (26 % in 8 of F16's 30).
    /// 40 % lies well between, and keeps tensors of two scales (dead channels) out.
    [[nodiscard]] bool isAbsurd() const;
};

/// @param window as for the type of the codes: 8 powers of two for F16, 32 for all others. O(65,536).
[[nodiscard]] ExponentSpread exponentSpread(const CodeCounts& codes);

/// True if the exact statistics leave a spread possible, so that counting codes is worth a pass: the type is F16, BF16,
/// F32 or F64, and its largest magnitude is one that trained weights stay far below (2^8 in F16, 2^16 in the others).
[[nodiscard]] bool maySpread(DType type, const TensorStats& stats);

/// A note if the statistics leave it possible and the counts of the same tensor show an absurd spread. Nothing for
/// zeros, constants, subnormals alone, or any number of outliers beside ordinary weights.
[[nodiscard]] std::optional<TensorNote> exponentNote(DType type, const TensorStats& stats, const CodeCounts& codes);

/// All notes on one tensor. Counts its codes (a pass over it) only where maySpread() says so.
[[nodiscard]] Result<std::vector<TensorNote>> tensorNotes(const TensorView& view, const TensorStats& stats,
                                                          const JobContext& job);

}  // namespace sigmascope
