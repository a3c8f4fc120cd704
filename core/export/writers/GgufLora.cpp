// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/writers/GgufLora.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <string>

namespace sigmascope {

namespace fs = std::filesystem;

fs::path adapterPathFor(const fs::path& output)
{
    std::string extension = output.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
    // "model-4.5bpw" has no extension worth the name.
    fs::path name = extension == ".gguf" ? output.stem() : output.filename();
    name += "-lora.gguf";
    return output.parent_path() / name;
}

DType ggufTypeOf(FactorType type)
{
    switch (type) {
    case FactorType::F32: return DType::F32;
    case FactorType::F16: return DType::F16;
    case FactorType::BF16: return DType::BF16;
    case FactorType::Q8_0: return DType::Q8_0;
    case FactorType::I8: break;  // no GGUF type has a scale per row and per column: widened
    }
    return DType::F32;
}

GgufKeys adapterKeys(std::string_view architecture)
{
    GgufKeys keys;
    keys.set("general.architecture", architecture);
    keys.set("general.type", "adapter");
    keys.set("adapter.type", "lora");
    // 0 means: no division by the rank, so every tensor may have its own.
    keys.set("adapter.lora.alpha", 0.0F);
    keys.set("sigmascope.version", SIGMASCOPE_VERSION);
    return keys;
}

std::vector<GgufTensorSpec> adapterSpecs(const GgufTarget& target, const GgufTensorSpec& spec, std::uint32_t rank, FactorType type)
{
    const std::uint64_t rows = spec.shape[0];
    const std::uint64_t cols = spec.shape[1];
    const DType dtype = ggufTypeOf(type);
    // The embedding is looked up by row, not multiplied: llama.cpp takes A by token and wants both the other way round.
    if (target.role == Role::Embedding)
        return {{spec.name + ".lora_a", dtype, {rows, rank}}, {spec.name + ".lora_b", dtype, {cols, rank}}};
    return {{spec.name + ".lora_a", dtype, {rank, cols}, target.parts, target.part},
            {spec.name + ".lora_b", dtype, {rows, rank}, target.parts, target.part}};
}

Status writeFactors(GgufWriter& writer, const StoredFactors& factors, const FactorPlaces& places, const GgufTarget& target)
{
    const std::size_t rank = places.rank;
    assert(factors.rank <= rank);
    const bool transposed = target.role == Role::Embedding;
    // Blocks of Q8_0 lie along rows: neither turned round nor filled up, but for factors that are all zeros.
    assert(factors.type != FactorType::Q8_0 || (!transposed && (factors.rank == rank || factors.rank == 0)));
    const std::size_t size = factors.type == FactorType::F32 ? 4 : 2;
    const std::size_t rightRow = factorRowBytes(factors.type, factors.cols);
    const std::size_t leftRow = factorRowBytes(factors.type, factors.rank);
    const std::size_t plannedRow = factorRowBytes(factors.type, rank);

    // L with its columns filled up to the planned rank, rows in GGUF's order.
    std::vector<std::byte> left(factors.rows * plannedRow);
    for (std::size_t row = 0; row < factors.rows; ++row)
        std::copy_n(factors.left.data() + sourceRow(row, factors.rows, target.heads) * leftRow, leftRow, left.data() + row * plannedRow);
    std::vector<std::byte> right(rank * rightRow);
    if (!transposed) {
        std::copy(factors.right.begin(), factors.right.end(), right.begin());
    } else {
        for (std::size_t k = 0; k < factors.rank; ++k)
            for (std::size_t col = 0; col < factors.cols; ++col)
                std::copy_n(factors.right.data() + (k * factors.cols + col) * size, size, right.data() + (col * rank + k) * size);
    }
    Status status = writer.tensors().seek(places.a);
    if (status)
        status = writer.append(transposed ? left : right);
    if (status)
        status = writer.tensors().seek(places.b);
    return status ? writer.append(transposed ? right : left) : status;
}

}  // namespace sigmascope
