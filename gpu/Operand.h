// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/OpContext.h"

#include "core/compute/Coded.h"

#include <array>
#include <functional>
#include <vector>

namespace sigmascope::gpu {

/// How a row of E = W - Q lies on the device: its weights, then its codes, filled up to whole words.
struct RowRecord {
    explicit RowRecord(const ResidualSource& of)
        : source(of)
        , codeBytes(of.format ? of.format->rowBytes(of.cols) : 0)
        , bytes(of.cols * sizeof(float) + alignUp(codeBytes, sizeof(std::uint32_t)))
    {
    }
    /// Writes rows [first, first + count); returns their bytes.
    Bytes fill(std::span<std::byte> upload, std::uint64_t first, std::uint64_t count) const;
    /// The ten words of `Matrix` in coded.glsl.
    [[nodiscard]] std::array<std::uint32_t, 10> matrix() const;

    const ResidualSource& source;
    Bytes codeBytes;
    Bytes bytes;
};

/// E on the device, in parts that fit a binding. Empty when the memory did not suffice: rows are then sent each time.
struct Operand {
    struct Part {
        std::uint64_t firstRow = 0;
        std::uint64_t rows = 0;
        Buffer buffer;
    };
    std::vector<Part> parts;
};

/// Keeps E on the device if there is room for it. Fails only for what no smaller operand would mend.
[[nodiscard]] Result<Operand> keptOperand(OpContext& context, const ResidualSource& source, const JobContext& job);

/// Copies bytes into a new buffer that kernels read. @pre a multiple of 4 bytes.
[[nodiscard]] Result<Buffer> uploaded(OpContext& context, std::span<const std::byte> bytes, const JobContext& job);

/// An element of a product: the sum and what rounding left of it.
struct Sum {
    float high = 0, low = 0;
};

/// One product with a panel of row vectors.
struct Product {
    bool overRows = false;  ///< P [vectors x rows] E, else P [vectors x cols] E^T
    std::span<const float> panel{};
    std::uint64_t vectors = 0;
    /// Takes elements of a vector, from column (over rows) or row @p first on.
    std::function<void(std::uint64_t vector, std::uint64_t first, std::span<const Sum> sums)> put;
};

/// @param operand of the source; emptied when memory runs out and it is the first to give way.
[[nodiscard]] Status multiply(OpContext& context, const ResidualSource& source, Operand& operand,
                              const Product& product, const JobContext& job);

}  // namespace sigmascope::gpu
