// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"
#include "core/export/SafetensorsModel.h"
#include "core/grid/IntForm.h"
#include "core/tensor/PackedInts.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope {

/// What compressed-tensors, GPTQ and AWQ models share: a safetensors folder in which the linear layers of the blocks
/// are integer codes in 32-bit words, with scales and zero points beside them, told of by config.json; everything else
/// as it was. A format is a description of these; planning, refusing and writing are the same for all.

/// One matrix of the model that could be quantized, and what the plan makes of it.
struct PackedModule {
    std::size_t tensor = 0;  ///< index in the checkpoint
    std::string path;  ///< of the module: the tensor's name less ".weight"
    std::string fused;  ///< path of the module that vLLM merges it into with others; empty: none
    const Grid* grid = nullptr;  ///< null: kept
    IntForm form{};  ///< of the grid
};

enum class PackedPart {
    Codes,  ///< in words
    Zeros,  ///< zero points, in words
    Scales,
    GroupIndex,  ///< I32 [in]: the group of each input
    OutIn,  ///< I64 [2]: out, in
};

/// One stored tensor of a quantized matrix.
struct PackedTensor {
    std::string_view name;  ///< behind the module's path and a dot
    PackedPart part{};
    DType dtype = DType::I32;
    Shape shape{};
    PackedLayout layout{};  ///< of Codes and Zeros
    bool isTransposed = false;  ///< Scales: [groups × out]
    int zeroOffset = 0;  ///< Zeros: added to what is stored
};

struct PackedFormat {
    std::string_view target;  ///< id of the exporter
    bool isUniform = false;  ///< one grid for the whole model
    bool takesHead = false;  ///< the output matrix may be quantized too, where the embedding has weights of its own
    /// Widest tensor first. @param anyAsymmetric  of the whole plan.
    std::vector<PackedTensor> (*tensors)(std::uint64_t rows, std::uint64_t cols, const IntForm& form,
                                         bool anyAsymmetric);
    /// Why a matrix of this shape cannot be carried; empty: it can.
    std::string (*whyNot)(std::uint64_t rows, std::uint64_t cols, const IntForm& form);
    /// The quantization_config. @param modules  all matrices with the names of linear layers, kept ones too.
    Json (*config)(std::span<const PackedModule> modules);
    std::string_view configFile{};  ///< the same once more under this name; empty: no
    /// What a user should know of this plan beside what config and notes say.
    /// @param config  as config() made it
    void (*addRemarks)(const Json& config, bool hasAdapter, std::vector<std::string>& remarks) = nullptr;
};

/// Path of the module that vLLM makes of one at @p path and its siblings: q, k and v; gate and up; all experts of a
/// layer. Empty: it stays alone.
[[nodiscard]] std::string fusedPathOf(const std::string& path, const TensorPlace& place);
/// The scheme that most quantized modules have; the first such. Null where nothing is quantized.
[[nodiscard]] const Grid* usualGrid(std::span<const PackedModule> modules);
/// "a.b" with every character that regular expressions read escaped.
[[nodiscard]] std::string regexOf(std::string_view path);

[[nodiscard]] Result<SizeEstimate> estimatePacked(const ExportRequest& request, const PackedFormat& format);
[[nodiscard]] PlanVerdict acceptsPacked(const ExportRequest& request, const PackedFormat& format);
[[nodiscard]] Result<std::unique_ptr<Exporter>> makePackedExporter(ExportRequest request, const PackedFormat& format);

}  // namespace sigmascope
