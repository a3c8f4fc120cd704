// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/calibration/Imatrix.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/export/Exporter.h"
#include "core/model/KvCache.h"
#include "core/plan/Plan.h"
#include "core/project/Pipeline.h"
#include "ui/session/LatestJob.h"
#include "ui/session/LayerAnalysis.h"
#include "ui/session/RecipeState.h"

#include <QObject>
#include <QString>
#include <QUndoStack>

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace sigmascope {
struct ProjectFile;
class GgufPlanner;
}

namespace sigmascope::ui {

/// An error as shown: measured on the stored form by a run, or estimated from the exact spectrum of the
/// residual, before the factors are rounded.
struct ShownError {
    double value = 0;
    bool isMeasured = false;
    bool isUpperBound = false;  ///< past the last computed singular value: at most this
};

/// The open document's face to the widgets: checkpoint, plan with undo, selection, background jobs and
/// what they found. Holds no widget and no file format knowledge. GUI thread only; every job is a free
/// function of values whose result arrives here.
class Session : public QObject {
    Q_OBJECT
public:
    using BackendFactory = std::function<Result<std::unique_ptr<ComputeBackend>>(std::string_view device)>;

    /// @param makeBackend  by device id or "auto"; @param devices as listed in the status bar.
    Session(BackendFactory makeBackend, std::vector<DeviceInfo> devices, QObject* parent = nullptr);
    ~Session() override;

    // Document
    void open(const QString& path);
    void cancelOpen();
    void close();
    [[nodiscard]] bool isOpen() const { return m_checkpoint != nullptr; }
    [[nodiscard]] bool isOpening() const { return m_openJob.isRunning(); }
    [[nodiscard]] QString path() const { return m_path; }
    [[nodiscard]] QString name() const;
    [[nodiscard]] const std::shared_ptr<const Checkpoint>& checkpoint() const { return m_checkpoint; }
    [[nodiscard]] const ModelTopology& topology() const { return *m_topology; }
    [[nodiscard]] const TensorInfo& tensor(std::size_t index) const { return m_checkpoint->tensors()[index]; }
    void importCalibration(const QString& path);
    [[nodiscard]] const std::shared_ptr<const Imatrix>& calibration() const { return m_calibration; }
    /// What a session file keeps of the document, without fingerprint and view. @pre isOpen().
    [[nodiscard]] ProjectFile snapshot() const;
    /// Plan and results of a saved session, for the tensors that are here under their names; ends undo. @pre isOpen().
    /// Its rules follow (recipeChanged), or a message says why not.
    /// @param calibration  null: the present one stays. @return plans that found no tensor.
    std::size_t restore(const ProjectFile& project, std::shared_ptr<const Imatrix> calibration);

    // Devices
    [[nodiscard]] const std::vector<DeviceInfo>& devices() const { return m_devices; }
    [[nodiscard]] const std::shared_ptr<ComputeBackend>& backend() const { return m_backend; }
    [[nodiscard]] QString deviceId() const { return m_deviceId; }
    /// False, with a message raised and the device unchanged, if it is not available.
    bool setDevice(const QString& id);

    // Plan
    [[nodiscard]] const QuantizationPlan& plan() const { return m_plan; }
    [[nodiscard]] const LayerPlan& layer(std::size_t tensor) const { return m_plan.layers[tensor]; }
    [[nodiscard]] bool isPlannable(std::size_t tensor) const;
    /// What the plan cannot do as asked, with its cost: rows that fit no grid, metrics without calibration.
    [[nodiscard]] const std::vector<Fallback>& fallbacks() const { return m_fallbacks; }
    [[nodiscard]] QUndoStack& undoStack() { return m_undo; }
    /// A number that no earlier gesture had: pass it to every edit of one drag.
    [[nodiscard]] quint64 newGesture() { return ++m_lastGesture; }
    using Edit = std::function<void(LayerPlan&)>;
    /// One undo step for all @p tensors; tensors that cannot be planned are left out.
    void edit(const std::vector<std::size_t>& tensors, const QString& text, const Edit& change, quint64 gesture = 0);
    void setRank(const std::vector<std::size_t>& tensors, int rank, quint64 gesture = 0);
    void changeRank(const std::vector<std::size_t>& tensors, int by, quint64 gesture = 0);
    /// Ends a gesture where it began: its undo step vanishes.
    void restore(const std::vector<std::pair<std::size_t, LayerPlan>>& plans, quint64 gesture);
    /// Plans of these tensors as they are now, to be restored if a gesture is given up.
    [[nodiscard]] std::vector<std::pair<std::size_t, LayerPlan>> plansOf(const std::vector<std::size_t>& tensors) const;
    /// Grid family ("q4_0", "int-g128") at the width each layer has now, or the family's nearest width.
    void setFamily(const std::vector<std::size_t>& tensors, const QString& family);
    void setBits(const std::vector<std::size_t>& tensors, int bits);
    void setPreset(const std::vector<std::size_t>& tensors, const QString& preset);
    void setPinned(const std::vector<std::size_t>& tensors, bool pinned);
    void setKeep(const std::vector<std::size_t>& tensors, bool keep);
    void setMetric(const std::vector<std::size_t>& tensors, MetricKind metric);
    void setFactors(const std::vector<std::size_t>& tensors, FactorType type);
    /// Those whose grid leaves it something to choose.
    void setSolver(const std::vector<std::size_t>& tensors, const QString& solver);
    /// Highest rank that means anything: min(rows, cols).
    [[nodiscard]] int maxRank(std::size_t tensor) const;

    // Recipe: the rules and the preset that the plan grew out of. Applied off the GUI thread, one undo step each;
    // recipeRefused says why not.
    [[nodiscard]] const RecipeState& recipe() const { return *m_recipe; }
    /// The preset as the recipe's default, under its rules: all layers but the pinned ones.
    void applyPreset(const QString& id);
    /// Layers whose answer the new rules change, but for the pinned ones.
    void setRules(std::vector<RecipeRule> rules, const QString& text);
    /// Types by hand (llama-quantize's --tensor-type): layers whose answer they change, but for the pinned ones.
    void setTypes(std::vector<TypeOverride> types, const QString& text);
    /// Everything as the file says, pins and target included.
    void openRecipe(const QString& path);
    /// A recipe that gives this plan back: recipeSaved or messageRaised.
    void saveRecipe(const QString& path);
    /// A whole plan in one undo step, found elsewhere: pinned layers too.
    void adoptPlan(const QuantizationPlan& plan, const QString& text);
    enum class Since { Opening, Recipe, Run };
    /// The plan as it was then; null if there has been none.
    [[nodiscard]] const QuantizationPlan* planSince(Since since) const;
    /// A run begins with this plan.
    void markRun(const QuantizationPlan& plan);

    // What the plan is made for. No undo step, like the output's name.
    /// Id of an exporter. Which grids, widths, presets and factors are offered follows it; the layers stay as they are.
    [[nodiscard]] const std::string& exportTarget() const { return m_plan.target; }
    /// Unknown ids are left alone.
    void setExportTarget(const std::string& id);
    /// A GGUF of the same model whose metadata and tokenizer a GGUF is to have: templateChanged or templateRefused.
    void importTemplate(const QString& path);
    void dropTemplate();
    /// Null: metadata and tokenizer come from the model itself.
    [[nodiscard]] const std::shared_ptr<const Checkpoint>& templateGguf() const { return m_template; }

    // Gestures on many layers. @p before: plans as the gesture found them, the layer in the hand first.
    using LayerPlans = std::vector<std::pair<std::size_t, LayerPlan>>;
    /// Each to its width nearest to what it had plus @p by. Kept layers wake only in the hand.
    void moveBits(const LayerPlans& before, int by, quint64 gesture);
    /// Each by so many octaves of 1 + rank, to a multiple; layers that cannot be corrected stay.
    void moveRank(const LayerPlans& before, double octaves, int multiple, quint64 gesture);
    /// Each to its next width.
    void stepBits(const std::vector<std::size_t>& tensors, int direction, quint64 gesture);
    /// Those that have this width.
    void chooseBits(const std::vector<std::size_t>& tensors, int bits);
    void stepRank(const std::vector<std::size_t>& tensors, int by, quint64 gesture);
    /// As they were then, pins included.
    void putBack(const std::vector<std::size_t>& tensors, Since since);
    /// Widths this layer can have: of its own grid family or of the target's grids, where its rows fit. Ascending.
    [[nodiscard]] std::vector<int> widthsOf(std::size_t tensor) const;
    /// A correction of this tensor can be stored.
    [[nodiscard]] bool canCorrect(std::size_t tensor) const;

    // Budget
    [[nodiscard]] std::optional<Bytes> target() const { return m_target; }
    void setTarget(std::optional<Bytes> bytes);
    /// Tokens that memoryNeeded() counts keys and values for.
    [[nodiscard]] std::uint64_t context() const { return m_context; }
    void setContext(std::uint64_t tokens);
    /// Weights as planned and F16 keys and values of context(); without a runtime's working buffers. Nothing if the
    /// model does not say how many heads it has.
    [[nodiscard]] std::optional<Bytes> memoryNeeded() const;
    /// The same of other sizes than those of a GGUF.
    [[nodiscard]] std::optional<Bytes> memoryNeeded(const SizeEstimate& sizes) const;

    // Selection: shared by tree, plots and inspector
    void select(std::vector<std::size_t> tensors, std::optional<std::size_t> current);
    [[nodiscard]] const std::vector<std::size_t>& selection() const { return m_selection; }
    [[nodiscard]] std::optional<std::size_t> current() const { return m_current; }

    // What is known of a tensor
    [[nodiscard]] const ValueAnalysis* values(std::size_t tensor) const;
    /// The newest preview, which may be of an earlier grid, metric or solver: see isPreviewCurrent.
    [[nodiscard]] const LayerPreview* preview(std::size_t tensor) const;
    [[nodiscard]] bool isPreviewCurrent(std::size_t tensor) const;
    [[nodiscard]] bool isAnalysing() const { return m_valuesJob.isRunning() || m_previewJob.isRunning(); }
    [[nodiscard]] const std::optional<Error>& analysisError() const { return m_analysisError; }
    /// Result of the last run if the layer's plan is still the one that ran.
    [[nodiscard]] const TensorResult* measured(std::size_t tensor) const;
    /// Output error (weight error without calibration): measured by a run, else estimated from the
    /// preview's exact spectrum before factor rounding; nothing if neither is known.
    [[nodiscard]] std::optional<ShownError> shownError(std::size_t tensor) const;
    void recordResult(const TensorResult& result, const LayerPlan& plan);
    /// Weights that the Density plot looks at; a row or group is coded in the background. Row and group are brought
    /// into the range of the current layer.
    void setDensityScope(DensityScope scope);
    [[nodiscard]] const DensityScope& densityScope() const { return m_scope; }
    /// Of the current layer on its grid as planned, within the scope; null while not known, or kept.
    [[nodiscard]] std::shared_ptr<const GridDensity> density() const;
    /// Groups in a row of a planned layer; 0 for a kept one.
    [[nodiscard]] std::uint64_t groupsInRow(std::size_t tensor) const;
    /// While a run works, nothing else computes unasked.
    void setBusy(bool busy);

    // Sizes, exact
    /// Of a GGUF in one file, whatever the target.
    [[nodiscard]] const Result<SizeEstimate>& estimate() const { return m_estimate; }
    /// Bytes of one tensor as planned: codes, scales and factors, or its kept form.
    [[nodiscard]] Bytes plannedBytes(std::size_t tensor) const;
    /// The same under another plan.
    [[nodiscard]] Bytes plannedBytes(std::size_t tensor, const LayerPlan& plan) const;
    [[nodiscard]] double plannedBits(std::size_t tensor) const;
    /// Bytes that one rank of this tensor's factors costs.
    [[nodiscard]] double bytesPerRank(std::size_t tensor) const;
    /// What a run would be asked for.
    [[nodiscard]] ExportRequest exportRequest(const QString& output, bool overwrite) const;

signals:
    void openStarted(const QString& path);
    void openProgress(const QString& path, double fraction, const QString& what);
    void opened();
    /// @param mayGrow  the file is shorter than its header says, as one that is still being downloaded.
    void openFailed(const QString& path, const QString& message, bool mayGrow);
    /// After opened(): files of the set are missing or short. Opening the path again may find more.
    void openedIncomplete(const QString& message);
    void closed();
    void calibrationChanged();
    void deviceChanged();
    /// Plans of these tensors changed; sizes have been recomputed.
    void planChanged(const std::vector<std::size_t>& tensors);
    void selectionChanged();
    /// Rules or preset changed, or another model's came with it.
    void recipeChanged();
    /// The recipe stays as it was, and why.
    void recipeRefused(const QString& why);
    void recipeSaved(const QString& path);
    void exportTargetChanged();
    /// Also when it is dropped.
    void templateChanged();
    void templateRefused(const QString& why);
    /// A plan that later ones are compared with was set.
    void baselineChanged();
    /// Target size or context length.
    void targetChanged();
    /// Values, preview or a measured result of this tensor arrived or went stale.
    void analysisChanged(std::size_t tensor);
    void analysisStarted();
    void messageRaised(const QString& text);

private:
    struct Opened;
    struct Template;
    struct MeasuredLayer {
        TensorResult result;
        LayerPlan plan;
    };
    void adopt(Opened found);
    void editEach(const std::vector<std::size_t>& tensors, const QString& text,
                  const std::function<void(std::size_t, LayerPlan&)>& change, quint64 gesture = 0);
    void editRank(const std::vector<std::size_t>& tensors, const QString& text, const std::function<int(int)>& wanted,
                  quint64 gesture);
    void applyPlans(const std::vector<std::pair<std::size_t, LayerPlan>>& plans);
    enum class RecipeReach { Changed, Unpinned, All };
    void useRecipe(const std::shared_ptr<const RecipeState>& state);
    void startRecipe(Recipe recipe, const QString& text, RecipeReach reach);
    /// A saved session's rules, without a word to the plan.
    void restoreRecipe(Recipe recipe);
    void pushRecipe(const std::shared_ptr<const RecipeState>& state, const QString& text, RecipeReach reach);
    void pushMove(const LayerPlans& before, const QString& text, quint64 gesture,
                  const std::function<void(std::size_t, LayerPlan&)>& change);
    void refreshEstimate();
    void refreshFallbacks();
    void analyseCurrent();
    void startPreview(std::size_t tensor);
    void startScope();
    void surveyNext();

    BackendFactory m_makeBackend;
    std::vector<DeviceInfo> m_devices;
    std::shared_ptr<ComputeBackend> m_backend;
    QString m_deviceId;

    QString m_path;
    std::shared_ptr<const Checkpoint> m_checkpoint;
    std::shared_ptr<const ModelTopology> m_topology;
    std::shared_ptr<const Imatrix> m_calibration;
    std::shared_ptr<const GgufPlanner> m_planner, m_ownPlanner;  // with the template, and without
    std::optional<Error> m_plannerError, m_ownPlannerError;
    std::shared_ptr<const Checkpoint> m_template;
    QuantizationPlan m_plan;
    std::vector<Fallback> m_fallbacks;
    std::shared_ptr<const RecipeState> m_recipe = std::make_shared<const RecipeState>();
    QuantizationPlan m_planAtOpening;
    std::optional<QuantizationPlan> m_planAtRecipe, m_planAtRun;
    std::optional<Bytes> m_target;
    std::uint64_t m_context = 0;
    std::optional<KvShape> m_kv;
    QUndoStack m_undo;
    quint64 m_lastGesture = 0;
    Result<SizeEstimate> m_estimate;

    std::vector<std::size_t> m_selection;
    std::optional<std::size_t> m_current;
    std::unordered_map<std::size_t, ValueAnalysis> m_values;
    std::unordered_map<std::size_t, LayerPreview> m_previews;
    std::unordered_map<std::size_t, MeasuredLayer> m_measured;
    std::optional<Error> m_analysisError;

    LatestJob<std::shared_ptr<Opened>> m_openJob;
    LatestJob<std::shared_ptr<const Imatrix>> m_calibrationJob;
    LatestJob<std::shared_ptr<const RecipeState>> m_recipeJob;
    LatestJob<QString> m_saveJob;
    LatestJob<std::shared_ptr<Template>> m_templateJob;
    LatestJob<ValueAnalysis> m_valuesJob;
    LatestJob<LayerPreview> m_previewJob;
    LatestJob<LayerPreview> m_surveyJob;
    LatestJob<GridDensity> m_scopeJob;
    DensityScope m_scope;
    std::shared_ptr<const GridDensity> m_scopedDensity;
    std::unordered_set<std::size_t> m_unsurveyable;
    bool m_isBusy = false;
};

}  // namespace sigmascope::ui
