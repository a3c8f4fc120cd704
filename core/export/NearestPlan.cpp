// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/NearestPlan.h"

#include "core/export/KeptForm.h"
#include "core/export/PackedModel.h"
#include "core/plan/TargetGrids.h"
#include "core/solve/Solver.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace sigmascope {

namespace {

/// Grid, factors, rank, correction, codes of every tensor, and of those that follow: far more than any plan needs.
constexpr int kMostRounds = 64;

std::string formOf(const LayerPlan& layer)
{
    if (layer.keep)
        return "kept";
    if (layer.rank == 0)
        return layer.grid;
    return layer.factors == FactorType::F16
        ? fmt::format("{}, rank {}", layer.grid, layer.rank)
        : fmt::format("{}, rank {} in {}", layer.grid, layer.rank, factorName(layer.factors));
}

/// "has 100 rows" of "FILE: tensor 'NAME' at byte N: has 100 rows; nearest: keep it".
std::string reasonOf(const std::string& detail, const std::string& tensor)
{
    const std::string name = fmt::format("tensor '{}'", escaped(tensor));
    const std::size_t found = detail.find(name);
    const std::size_t colon = found == std::string::npos ? found : detail.find(": ", found + name.size());
    std::string reason = colon == std::string::npos ? detail : detail.substr(colon + 2);
    // What comes nearest is said beside it.
    for (const std::string_view nearest : {"; nearest: ", "; the nearest "})
        reason = reason.substr(0, reason.find(nearest));
    return reason;
}

/// @param kept  bytes of the tensor where it is not coded
double bitsOf(const TensorInfo& tensor, const LayerPlan& plan, Bytes kept)
{
    const std::uint64_t elements = tensor.elements();
    const std::uint64_t cols = tensor.shape.empty() ? 1 : tensor.shape.back();
    if (elements == 0)
        return 0;
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    if (!grid || *grid == nullptr || !(*grid)->accepts(cols))
        return 8.0 * static_cast<double>(kept) / static_cast<double>(elements);
    const std::uint64_t rows = elements / cols;
    const Bytes bytes = rows * (*grid)->rowBytes(cols) + factorBytes(plan.factors, rows, cols, plan.rank);
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
}

/// A plan that gives way to a target's refusals.
class Yielding {
public:
    Yielding(const ExporterRow& exporter, const ExportRequest& request)
        : m_exporter(exporter)
        , m_request(request)
        , m_checkpoint(*request.checkpoint)
        , m_topology(m_checkpoint)
        , m_isForced(m_checkpoint.tensors().size())
        , m_reasons(m_checkpoint.tensors().size())
        , m_groupOf(m_checkpoint.tensors().size(), SIZE_MAX)
    {
        if (m_exporter.prepare != nullptr)
            m_exporter.prepare(m_request);
        findGroups();
    }

    [[nodiscard]] Result<NearestPlan> run()
    {
        const QuantizationPlan asked = m_request.plan;
        for (int round = 0; round < kMostRounds; ++round) {
            const PlanVerdict verdict = m_exporter.accepts(m_request);
            if (verdict.refusals.empty())
                return nearestTo(asked);
            // As if nothing had been tried: what stands against the plan is more use than what stood against the last attempt.
            if (round == 0)
                m_refusal = *refusalOf(verdict);
            if (!giveWay(verdict))
                break;
        }
        return tl::unexpected<Error>(m_refusal);
    }

private:
    [[nodiscard]] LayerPlan& layer(std::size_t tensor) { return m_request.plan.layers[tensor]; }
    [[nodiscard]] const Shape& shape(std::size_t tensor) const { return m_checkpoint.tensors()[tensor].shape; }
    [[nodiscard]] std::uint64_t cols(std::size_t tensor) const { return shape(tensor).empty() ? 1 : shape(tensor).back(); }
    [[nodiscard]] bool isPacked() const { return needsFusedAlike(m_exporter.id); }

    /// Tensors that become one: in the runtime, or in the file.
    void findGroups()
    {
        std::unordered_map<std::string, std::size_t> known;
        for (std::size_t i = 0; i < m_checkpoint.tensors().size(); ++i) {
            const std::string& name = m_checkpoint.tensors()[i].name;
            std::string whole;
            if (isPacked() && m_topology.isQuantizable(i) && shape(i).size() == 2)
                whole = fusedPathOf(name.substr(0, name.rfind('.')), m_topology.place(i));
            else if (m_exporter.id == "gguf" && m_checkpoint.format() != CheckpointFormat::Gguf)
                whole = expertPartOf(name).value_or(ExpertPart{}).stack;
            if (whole.empty())
                continue;
            m_groupOf[i] = known.emplace(std::move(whole), m_groups.size()).first->second;
            if (m_groupOf[i] == m_groups.size())
                m_groups.emplace_back();
            m_groups[m_groupOf[i]].push_back(i);
        }
    }
    [[nodiscard]] std::vector<std::size_t> siblings(std::size_t tensor) const
    {
        return m_groupOf[tensor] == SIZE_MAX ? std::vector{tensor} : m_groups[m_groupOf[tensor]];
    }
    /// Those that must have the same grid.
    [[nodiscard]] std::vector<std::size_t> sharers(std::size_t tensor) const
    {
        if (!needsOneScheme(m_exporter.id) || !m_topology.isQuantizable(tensor))
            return siblings(tensor);
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i < m_request.plan.layers.size(); ++i) {
            if (m_topology.isQuantizable(i) && shape(i).size() == 2)
                all.push_back(i);
        }
        return all;
    }
    /// By its place and shape; what else the target has against it, it says.
    [[nodiscard]] bool canBeCoded(std::size_t tensor) const
    {
        if (!isPacked())
            return shape(tensor).size() >= 2;
        return shape(tensor).size() == 2 && (m_topology.isQuantizable(tensor) || m_topology.place(tensor).role == Role::Output);
    }

    /// False where nothing is left to give.
    [[nodiscard]] bool giveWay(const PlanVerdict& verdict)
    {
        for (std::size_t i = 0; i < verdict.refusals.size(); ++i) {
            const std::size_t tensor = verdict.refused[i];
            if (tensor >= m_request.plan.layers.size())
                return false;
            if (m_reasons[tensor].empty())
                m_reasons[tensor] = reasonOf(verdict.refusals[i].detail, m_checkpoint.tensors()[tensor].name);
        }
        const QuantizationPlan before = m_request.plan;
        makeAlike();
        if (!(before == m_request.plan))
            return true;
        bool gave = false;
        for (const std::size_t tensor : verdict.refused) {
            // Who gave way together with another is asked again before it gives more.
            if (before.layers[tensor] == layer(tensor))
                gave = yield(tensor) || gave;
        }
        return gave;
    }

    [[nodiscard]] bool yield(std::size_t tensor)
    {
        if (layer(tensor).keep)
            return yieldToCodes(tensor);
        if (!canBeCoded(tensor))
            return keepAll(tensor);
        return yieldGrid(tensor) || yieldCorrection(tensor) || keepAll(tensor);
    }

    /// A container that has no form for the tensor as it is stored may have one for its values.
    [[nodiscard]] bool yieldToCodes(std::size_t tensor)
    {
        const Grid* grid = findGrid("q8_0").value_or(nullptr);
        const bool helps = !m_isForced[tensor] && grid != nullptr && canBeCoded(tensor) && grid->accepts(cols(tensor))
                           && info(m_checkpoint.tensors()[tensor].dtype).quantized
                           && info(m_checkpoint.tensors()[tensor].dtype).decodable && checkRepresentable(m_exporter.id, *grid);
        if (!helps)
            return false;
        layer(tensor) = LayerPlan{.keep = false, .grid = grid->id(), .metric = MetricKind::Plain, .pinned = layer(tensor).pinned};
        return true;
    }

    [[nodiscard]] bool yieldGrid(std::size_t tensor)
    {
        const auto asked = findGrid(layer(tensor).grid);
        if (!asked || isFitting(**asked, tensor))
            return false;
        const std::vector<std::size_t> all = sharers(tensor);
        const Grid* grid = fitting(**asked, all);
        if (grid == nullptr || grid == *asked)
            return false;
        for (const std::size_t i : all) {
            if (!layer(i).keep)
                setGrid(layer(i), *grid);
        }
        return true;
    }
    /// What the target has against the tensor is not its grid. Looked at first: those that share one may be all tensors.
    [[nodiscard]] bool isFitting(const Grid& grid, std::size_t tensor) const
    {
        if (nearestGrid(m_exporter.id, grid) != &grid)
            return false;
        return isPacked() ? gridForRows(m_exporter.id, grid, cols(tensor)) == &grid : grid.accepts(cols(tensor));
    }
    /// The target's nearest to a grid, with groups that divide every row of @p all; null if there is none.
    [[nodiscard]] const Grid* fitting(const Grid& asked, const std::vector<std::size_t>& all) const
    {
        const Grid* grid = nearestGrid(m_exporter.id, asked);
        if (grid == nullptr)
            return nullptr;
        std::uint64_t common = 0;
        for (const std::size_t i : all)
            common = m_request.plan.layers[i].keep ? common : std::gcd(common, cols(i));
        if (isPacked())
            return common == 0 ? grid : gridForRows(m_exporter.id, *grid, common);
        return grid->accepts(common) ? grid : gridForOddRows(*grid, common);
    }
    void setGrid(LayerPlan& plan, const Grid& grid) const
    {
        const Preset* preset = findPreset(plan.preset);
        if (preset == nullptr || (preset->mix ? m_exporter.id != "gguf" : preset->bits != grid.bits()))
            plan.preset.clear();
        plan.grid = grid.id();
        const Solver* solver = findSolver(plan.solver);
        if (solver == nullptr || !solver->accepts(grid))
            plan.solver = "nearest";
    }

    [[nodiscard]] bool yieldCorrection(std::size_t tensor)
    {
        LayerPlan& plan = layer(tensor);
        if (plan.rank == 0)
            return false;
        const std::uint64_t most = shape(tensor).size() == 2 ? std::min(shape(tensor)[0], shape(tensor)[1]) : 0;
        if (plan.rank > most)
            plan.rank = static_cast<std::uint32_t>(most);
        else if (plan.factors != FactorType::F16)
            plan.factors = FactorType::F16;
        else
            plan.rank = 0;
        return true;
    }

    [[nodiscard]] bool keepAll(std::size_t tensor)
    {
        for (const std::size_t i : siblings(tensor)) {
            layer(i) = LayerPlan{.pinned = layer(i).pinned};
            m_isForced[i] = true;
        }
        return true;
    }

    /// Siblings that differ become as most of them are; of what is equally frequent a grid rather than kept.
    void makeAlike()
    {
        for (const auto& members : m_groups) {
            // Who pinned a layer as kept wants it kept.
            if (std::ranges::any_of(members, [this](std::size_t i) { return m_isForced[i] || (layer(i).keep && layer(i).pinned); }))
                static_cast<void>(keepAll(members.front()));
            else
                unify(members);
        }
        if (!needsOneScheme(m_exporter.id))
            return;
        std::vector<std::size_t> coded;
        for (std::size_t i = 0; i < m_request.plan.layers.size(); ++i) {
            if (!layer(i).keep && m_topology.isQuantizable(i) && shape(i).size() == 2)
                coded.push_back(i);
        }
        unify(coded);
    }
    void unify(const std::vector<std::size_t>& members)
    {
        std::map<std::string, std::size_t> count;
        for (const std::size_t i : members)
            ++count[layer(i).keep ? std::string() : layer(i).grid];
        if (count.size() < 2)
            return;
        const std::string usual = std::ranges::max_element(count, [](const auto& a, const auto& b) {
                                      return std::pair(a.second, a.first) < std::pair(b.second, b.first);
                                  })->first;
        if (usual.empty()) {
            static_cast<void>(keepAll(members.front()));
            return;
        }
        const LayerPlan model = layer(*std::ranges::find_if(members, [&](std::size_t i) { return layer(i).grid == usual; }));
        const auto grid = findGrid(usual);
        for (const std::size_t i : members) {
            if (layer(i).keep) {
                const bool isPinned = layer(i).pinned;
                layer(i) = model;
                layer(i).rank = 0;  // nobody asked for a correction of this one
                layer(i).pinned = isPinned;
            } else if (layer(i).grid != usual && grid) {
                setGrid(layer(i), **grid);
            }
        }
    }

    [[nodiscard]] NearestPlan nearestTo(const QuantizationPlan& asked)
    {
        NearestPlan nearest{.plan = std::move(m_request.plan), .changes = {}};
        for (std::size_t i = 0; i < asked.layers.size(); ++i) {
            if (!(asked.layers[i] == nearest.plan.layers[i]))
                nearest.changes.push_back(changeOf(i, asked.layers[i], nearest.plan.layers[i]));
        }
        return nearest;
    }

    [[nodiscard]] PlanChange changeOf(std::size_t tensor, const LayerPlan& before, const LayerPlan& after) const
    {
        const TensorInfo& stored = m_checkpoint.tensors()[tensor];
        const Bytes kept = keptForm(m_exporter.id, m_checkpoint, tensor).bytes;
        return {.tensor = tensor,
                .from = formOf(before),
                .to = formOf(after),
                .bits = bitsOf(stored, after, kept) - bitsOf(stored, before, kept),
                .reason = m_reasons[tensor]};
    }

    const ExporterRow& m_exporter;
    ExportRequest m_request;
    const Checkpoint& m_checkpoint;
    ModelTopology m_topology;
    std::vector<bool> m_isForced;        // kept because it cannot be otherwise
    std::vector<std::string> m_reasons;  // by tensor: the first that the target gave
    std::vector<std::size_t> m_groupOf;  // by tensor; SIZE_MAX: it stays alone
    std::vector<std::vector<std::size_t>> m_groups;
    Error m_refusal;
};

}  // namespace

std::string wordsOf(const PlanChange& change)
{
    // A change that the form does not show is one of the encoder.
    return change.from == change.to
        ? fmt::format("{} by another encoder", change.to)
        : fmt::format("{} instead of {}, {:+.4g} bits per weight", change.to, change.from, change.bits);
}

Result<NearestPlan> nearestPlan(const ExporterRow& exporter, const ExportRequest& request)
{
    return Yielding(exporter, request).run();
}

std::vector<std::string> summaryOf(const NearestPlan& nearest, const Checkpoint& checkpoint, std::size_t most)
{
    std::map<std::string, std::vector<const PlanChange*>> kinds;
    for (const PlanChange& change : nearest.changes)
        kinds[wordsOf(change)].push_back(&change);
    std::vector<std::pair<std::string, std::vector<const PlanChange*>>> sorted(kinds.begin(), kinds.end());
    std::ranges::stable_sort(sorted, std::ranges::greater{}, [](const auto& kind) { return kind.second.size(); });
    std::vector<std::string> lines;
    for (const auto& [what, changes] : sorted) {
        if (lines.size() == most) {
            const std::size_t more = sorted.size() - most;
            lines.push_back(fmt::format("and {} further kind{} of change", more, more == 1 ? "" : "s"));
            break;
        }
        const auto told = std::ranges::find_if(changes, [](const PlanChange* change) { return !change->reason.empty(); });
        lines.push_back(fmt::format("{}: {} ({})",
                                    changes.size() == 1 ? escaped(checkpoint.tensors()[changes.front()->tensor].name)
                                                        : fmt::format("{} tensors", changes.size()),
                                    what, told == changes.end() ? std::string("as its siblings") : (*told)->reason));
    }
    return lines;
}

}  // namespace sigmascope
