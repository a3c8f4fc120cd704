// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/tensor/DType.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

/// One stored tensor of a coded one: "scales", "codes", "left".
struct CodedPart {
    std::string name;
    DType dtype = DType::U8;
    Shape shape{};
    std::uint64_t offset = 0;  ///< absolute, in the file of the coded tensor
    Bytes bytes = 0;
};

/// A matrix that a research container (docs/research-container.md) holds as codes of a grid, with the factors of a
/// low-rank correction. What stands here was read from a file and is checked against it.
struct CodedTensor {
    std::string grid;
    Shape shape{};             ///< of the matrix it decodes to; two dimensions or more, none of them 0
    std::uint32_t rank = 0;
    std::vector<CodedPart> parts{};

    [[nodiscard]] std::uint64_t cols() const { return shape.back(); }
    [[nodiscard]] std::uint64_t rows() const { return checkedElementCount(shape).value_or(0) / cols(); }
};

/// Who knows the grids (core/lowrank/CodedMatrices.h). Handed to Checkpoint::open(), which knows none.
class CodedFormats {
public:
    virtual ~CodedFormats() = default;
    /// UnknownType for a grid, or a type of factors, that this version lacks; ShapeMismatch, naming the part, if the parts
    /// are not those that the grid has for this shape.
    [[nodiscard]] virtual Status check(const CodedTensor& tensor) const = 0;
    /// Q + L R. @param parts  bytes of tensor.parts, in their order. @pre check(tensor), out holds rows x cols.
    virtual void decode(const CodedTensor& tensor, std::span<const std::span<const std::byte>> parts,
                        std::span<float> out) const = 0;
};

}  // namespace sigmascope
