// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/export/Exporter.h"
#include "core/export/SafetensorsWriter.h"
#include "core/export/SideFiles.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sigmascope {

inline constexpr std::string_view kSafetensorsIndex = "model.safetensors.index.json";
inline constexpr std::string_view kSafetensorsWhole = "model.safetensors";
/// Of a PEFT adapter, in a folder of its own inside the model's: beside config.json transformers would take it for the model.
inline constexpr std::string_view kAdapterFolder = "lora";
inline constexpr std::string_view kAdapterWeights = "adapter_model.safetensors";
inline constexpr std::string_view kAdapterConfig = "adapter_config.json";

/// One tensor of the checkpoint as it will stand in a safetensors model: one or several stored tensors that stay in one file.
struct SafetensorsItem {
    std::size_t tensor = 0;              ///< index in the checkpoint
    std::vector<SafetensorsSpec> specs{};
    std::string description{};           ///< JSON, for the file's note on its tensors; empty: none
    bool isKept = true;                  ///< for the estimate: kept, or coded with the bytes of factors below
    Bytes factorBytes = 0;               ///< among specs
    std::vector<SafetensorsSpec> adapter{};  ///< factors that stand in the adapter's file
};

/// What a safetensors model is made of, before it is cut into files.
struct SafetensorsContents {
    std::vector<SafetensorsItem> items;  ///< in the order of the checkpoint
    SafetensorsNotes notes;              ///< of every file
    std::string descriptionsKey;         ///< note that holds {"NAME": description, …} of the file's own items; empty: none
    Json config;                         ///< config.json of a folder; null: none
    std::vector<SideFile> sides{};       ///< of our own, of a folder; their names may begin with the adapter's folder
    SafetensorsNotes adapterNotes{};
    std::vector<std::string> remarks;    ///< for SizeEstimate::notes
};

/// Where everything of a safetensors model will stand. The output is a folder with config.json and the other files that
/// runtimes read, model.safetensors or shards and their index; or, where it is named *.safetensors, that one file alone.
struct SafetensorsDesign {
    std::filesystem::path folder;        ///< holds all files
    bool isFolder = true;
    std::vector<std::filesystem::path> paths;   ///< of the weights, parallel to layouts; the adapter's, if any, behind them
    std::vector<SafetensorsLayout> layouts;
    bool hasAdapter = false;             ///< the last layout is the adapter's
    std::vector<SideFile> sides;
    std::string index;                   ///< model.safetensors.index.json; empty: one file needs none
    std::vector<std::size_t> order;      ///< checkpoint indices as they lie in the files
    std::vector<SafetensorsItem> items;  ///< parallel to order
    SizeEstimate estimate;               ///< outputs: side files, weights, index
};

/// Cuts the model into files of at most request.splitMaxBytes each (a tensor is never cut). NotRepresentable for what
/// safetensors cannot hold, or for one file that would exceed that size.
[[nodiscard]] Result<SafetensorsDesign> designSafetensors(const ExportRequest& request, SafetensorsContents contents);

using ItemOfLayer = std::function<Result<SafetensorsItem>(const Checkpoint&, std::size_t, const LayerPlan&)>;
using EstimateOfPlan = std::function<Result<SizeEstimate>(const ExportRequest&)>;

/// What a safetensors model makes of a plan whose codes, factors and kept tensors it stores as they are.
/// @param model     what the model itself has against it.
/// @param itemOf    the stored tensors of one layer, or what stands against them.
/// @param estimate  of the whole; asked where no layer stands against it.
[[nodiscard]] PlanVerdict verdictOfSafetensors(const ExportRequest& request, const Status& model,
                                               const ItemOfLayer& itemOf, const EstimateOfPlan& estimate);

/// Bytes of a tensor as they lie in the checkpoint, also of types that are not known. @pre its state is Ok.
[[nodiscard]] std::span<const std::byte> storedBytes(const Checkpoint& checkpoint, std::size_t tensor);

/// Writes a design: what the exporters of safetensors models share. A derived class turns a layer into bytes.
class SafetensorsExporter : public Exporter {
public:
    [[nodiscard]] const SizeEstimate& estimate() const final { return m_design.estimate; }
    [[nodiscard]] const std::vector<std::size_t>& order() const final { return m_design.order; }
    [[nodiscard]] Status add(const QuantizedLayer& layer, const JobContext& job) final;
    [[nodiscard]] LayerReceipt receipt() const final;
    [[nodiscard]] Status takeUp(std::size_t tensor, const LayerReceipt& receipt, const JobContext& job) final;
    [[nodiscard]] std::uint64_t layoutChecksum() const final;
    [[nodiscard]] Status verify(const JobContext& job) final;

protected:
    SafetensorsExporter(ExportRequest request, SafetensorsDesign design)
        : m_request(std::move(request)), m_design(std::move(design)), m_folder(m_design.folder), m_adapterFolder(m_design.folder / kAdapterFolder)
        , m_templatesFolder(m_design.folder / kTemplatesFolder)
    {
    }
    /// Opens every file: space is reserved before hours of work. OutputIsInput, WouldOverwrite, NoSpace, PermissionDenied.
    [[nodiscard]] Status open();

    /// Appends the stored tensors of one layer, in the order of its item.
    [[nodiscard]] virtual Status write(const QuantizedLayer& layer, const SafetensorsItem& item, const JobContext& job) = 0;
    [[nodiscard]] Status append(std::span<const std::byte> bytes, const JobContext& job);
    /// What is appended from here on are the stored tensors of the layer's item that stand in the adapter.
    [[nodiscard]] Status turnToAdapter();
    /// The @p spec-th stored tensor of the layer being written is BF16 instead of F16; those of the adapter count on.
    [[nodiscard]] Status makeBf16(std::size_t spec);
    [[nodiscard]] tl::unexpected<Error> failAt(std::size_t tensor, std::string_view what) const;

    [[nodiscard]] std::vector<AtomicFile*> files() final;
    [[nodiscard]] std::vector<std::filesystem::path> obsoleteFiles() const final;

    [[nodiscard]] const ExportRequest& request() const { return m_request; }
    /// Files of an earlier process are gone on with.
    [[nodiscard]] bool takesUp() const { return m_request.journaled && m_request.journaled->takeUp; }
    [[nodiscard]] const Checkpoint& checkpoint() const { return *m_request.checkpoint; }

private:
    /// Where the stored tensors of an item begin.
    struct Position {
        std::size_t file = 0;
        std::size_t tensor = 0;  // in that file
    };
    /// A folder that was made for this export goes again if nothing came to lie in it.
    class MadeFolder {
    public:
        explicit MadeFolder(std::filesystem::path path) : m_path(std::move(path)) {}
        MadeFolder(const MadeFolder&) = delete;
        MadeFolder& operator=(const MadeFolder&) = delete;
        ~MadeFolder();
        [[nodiscard]] Status make();

    private:
        std::filesystem::path m_path;
        bool m_made = false;
    };
    [[nodiscard]] Status openSides(FileSystem& system);
    /// The layer becomes the one that is written next, at its place.
    [[nodiscard]] Status moveTo(std::size_t tensor);
    void noteCome();
    /// Of the @p spec-th stored tensor of an item; those of the adapter count on.
    [[nodiscard]] Position positionOf(std::size_t item, std::size_t spec) const;
    [[nodiscard]] std::size_t specCount(std::size_t item) const { return m_design.items[item].specs.size() + m_design.items[item].adapter.size(); }
    [[nodiscard]] Status writeSide(std::size_t side);
    [[nodiscard]] std::size_t outputOf(std::size_t file) const { return m_design.sides.size() + file; }

    ExportRequest m_request;
    SafetensorsDesign m_design;
    MadeFolder m_folder;  // before the files: they are closed first
    MadeFolder m_adapterFolder;
    MadeFolder m_templatesFolder;
    std::vector<std::unique_ptr<AtomicFile>> m_sides;  // parallel to the design's; the index, if any, behind them
    std::vector<SafetensorsWriter> m_writers;
    std::vector<Position> m_positions;  // parallel to the design's items
    std::vector<std::size_t> m_adapterPositions;  // likewise: first tensor in the adapter's file
    std::vector<std::size_t> m_itemOf;  // by tensor; SIZE_MAX: not in the files
    std::vector<bool> m_hasCome;        // of each item
    std::size_t m_next = 0;             // item that is being written
    std::size_t m_file = 0;             // to this one
    std::optional<std::size_t> m_last;  // item that came last
    std::vector<bool> m_isBf16;         // of the layer that came last: specs that became BF16
};

}  // namespace sigmascope
