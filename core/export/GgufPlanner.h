// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"
#include "core/export/GgufSource.h"
#include "core/export/GgufSplit.h"
#include "core/export/GgufWriter.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sigmascope {

/// Where a target's two factors stand among the adapter's tensors, and the rank they are written with.
struct FactorPlaces {
    std::size_t a = 0, b = 0;
    std::uint32_t rank = 0;
};

/// Everything that will be written for one plan, fixed before the first layer is computed.
struct GgufDesign {
    GgufKeys planKeys;                        ///< those that describe the plan; the model's stand before them
    std::vector<GgufTensorSpec> tensors;      ///< targets, then extras
    std::vector<GgufRun> runs;                ///< of the tensors, one for each of the model's files
    GgufKeys adapterKeys;
    std::vector<GgufTensorSpec> adapter;      ///< lora_a, lora_b of every corrected target; empty: no adapter
    std::vector<std::optional<FactorPlaces>> factors;  ///< of each target
    SizeEstimate estimate;
};

/// A model prepared for GGUF export: tensor names, keys and tokenizer are read once, plans are then laid out without
/// touching a file. Immutable and thread-safe.
///
/// Cost: create() reads headers and the tokenizer; estimate() is O(tensors) and free of file access, so that a byte
/// budget follows a drag.
class GgufPlanner {
public:
    [[nodiscard]] static Result<std::shared_ptr<const GgufPlanner>> create(std::shared_ptr<const Checkpoint> checkpoint,
                                                                           const std::shared_ptr<const Checkpoint>& templateGguf = {});

    /// Exact sizes of the files a plan would become. NotRepresentable for plans that GGUF or llama.cpp cannot carry.
    [[nodiscard]] Result<SizeEstimate> estimate(const QuantizationPlan& plan, const Imatrix* calibration,
                                                const std::filesystem::path& output) const;
    [[nodiscard]] Result<GgufDesign> design(const ExportRequest& request) const;
    /// Without design(), what stands in its way.
    [[nodiscard]] PlanVerdict verdict(const ExportRequest& request) const;

    [[nodiscard]] const GgufSource& source() const { return m_source; }
    [[nodiscard]] const Checkpoint& checkpoint() const { return *m_checkpoint; }
    /// Header and offsets of each of the model's files of a design.
    [[nodiscard]] Result<std::vector<GgufLayout>> modelLayouts(const GgufDesign& design) const;
    [[nodiscard]] static Result<GgufLayout> adapterLayout(const GgufDesign& design);

private:
    explicit GgufPlanner(std::shared_ptr<const Checkpoint> checkpoint)
        : m_checkpoint(std::move(checkpoint)), m_topology(*m_checkpoint)
    {
    }
    [[nodiscard]] Result<GgufTensorSpec> specOf(const GgufTarget& target, const LayerPlan& plan, bool dequantized) const;
    [[nodiscard]] Status checkCorrection(const GgufTarget& target, const LayerPlan& plan) const;
    [[nodiscard]] Status checkPlan(const QuantizationPlan& plan) const;
    /// How a target will stand in the model's file, all of its plan checked.
    [[nodiscard]] Result<GgufTensorSpec> checkedSpec(const GgufTarget& target, const ExportRequest& request) const;
    /// All parts of a stack have one type, and are all kept or none. @p part is not the first.
    [[nodiscard]] Status checkStack(std::size_t part, std::span<const GgufTensorSpec> specs, const QuantizationPlan& plan) const;
    [[nodiscard]] GgufKeys planKeysOf(const ExportRequest& request, std::span<const GgufTensorSpec> tensors) const;
    void addAdapter(const ExportRequest& request, GgufDesign& design) const;
    void measure(const ExportRequest& request, GgufDesign& design) const;

    std::shared_ptr<const Checkpoint> m_checkpoint;
    ModelTopology m_topology;
    GgufSource m_source;
};

}  // namespace sigmascope
