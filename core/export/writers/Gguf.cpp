// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/Exporter.h"
#include "core/export/GgufPlanner.h"
#include "core/export/ReplacedFiles.h"
#include "core/export/RowStream.h"
#include "core/export/writers/GgufLora.h"

#include "core/tensor/Decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

class GgufExporter : public Exporter {
public:
    GgufExporter(ExportRequest request, std::shared_ptr<const GgufPlanner> planner, GgufDesign design,
                 std::vector<GgufWriter> models, std::optional<GgufWriter> adapter, std::vector<fs::path> obsolete)
        : m_request(std::move(request)), m_planner(std::move(planner)), m_design(std::move(design)), m_models(std::move(models)),
          m_adapter(std::move(adapter)), m_obsolete(std::move(obsolete))
    {
        // Names, types, shapes, metadata and places are all in the headers. Before any factor is retyped.
        Checksum layout;
        for (const GgufWriter& model : m_models)
            layout.add(model.layout().header);
        if (m_adapter)
            layout.add(m_adapter->layout().header);
        for (const GgufExtra& extra : m_planner->source().extras)
            layout.add(extra.bytes);
        m_layoutChecksum = layout.value();
        m_targetOf.assign(m_planner->checkpoint().tensors().size(), SIZE_MAX);
        for (const GgufTarget& target : m_planner->source().targets) {
            m_targetOf[target.tensor] = m_order.size();
            m_order.push_back(target.tensor);
        }
        m_hasCome.resize(m_order.size());
    }

    [[nodiscard]] const SizeEstimate& estimate() const override { return m_design.estimate; }
    [[nodiscard]] const std::vector<std::size_t>& order() const override { return m_order; }

    [[nodiscard]] Status add(const QuantizedLayer& layer, const JobContext& job) override
    {
        if (Status moved = moveTo(layer.tensor); !moved)
            return moved;
        const GgufTarget& target = m_planner->source().targets[m_next];
        const LayerPlan& plan = m_request.plan.layers[layer.tensor];
        if (layer.quantized.has_value() == plan.keep)
            return refuse(target, plan.keep ? "was quantized although the plan keeps it" : "was kept although the plan quantizes it");
        Status added = plan.keep ? addKept(target, job) : addQuantized(target, layer, job);
        if (added)
            noteCome();
        return added;
    }

    [[nodiscard]] LayerReceipt receipt() const override
    {
        LayerReceipt receipt;
        const auto addRange = [&receipt](std::size_t output, const GgufWriter& writer, std::size_t tensor) {
            const FilePlace& place = writer.tensors().places()[tensor];
            if (const auto checksum = writer.tensors().checksum(tensor))
                receipt.ranges.push_back({output, place.begin, place.begin + place.size, *checksum});
        };
        if (!m_last)
            return receipt;
        const Place at = placeOf(*m_last);
        addRange(at.file, m_models[at.file], at.tensor);
        for (const std::size_t i : factorTensorsOf(*m_last)) {
            addRange(m_models.size(), *m_adapter, i);
            receipt.note = info(m_adapter->layout().tensors[i].dtype).name;
        }
        return receipt;
    }

    [[nodiscard]] Status takeUp(std::size_t tensor, const LayerReceipt& receipt, const JobContext& job) override
    {
        const auto refused = [&] {
            return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), nameOf(tensor), {}},
                        "the journal speaks of other places than this plan's");
        };
        if (Status moved = moveTo(tensor); !moved)
            return moved;
        const std::vector<std::size_t> factors = factorTensorsOf(m_next);
        const Place at = placeOf(m_next);
        if (receipt.ranges.size() != 1 + factors.size() || !stands(receipt.ranges[0], at.file, m_models[at.file], at.tensor))
            return refused();
        for (std::size_t i = 0; i < factors.size(); ++i) {
            if (!stands(receipt.ranges[1 + i], m_models.size(), *m_adapter, factors[i]))
                return refused();
        }
        // Factors are read before anything moves, so that a layer is taken up whole or not at all.
        for (std::size_t i = 0; i < factors.size(); ++i) {
            const WrittenRange& range = receipt.ranges[1 + i];
            const auto found = m_adapter->tensors().file().checksum(range.begin, range.end, {.stop = job.stop});
            if (!found)
                return passOn(found);
            if (*found != range.checksum)
                return refused();
        }
        if (Status retyped = retypeFactors(receipt.note, factors); !retyped)
            return retyped;
        if (Status taken = m_models[at.file].tensors().takeUp(receipt.ranges[0].checksum, {.stop = job.stop}); !taken)
            return taken;
        for (std::size_t i = 0; i < factors.size(); ++i) {
            if (Status moved = m_adapter->tensors().seek(factors[i]); !moved)
                return moved;
            if (Status taken = m_adapter->tensors().takeUp(receipt.ranges[1 + i].checksum, {.stop = job.stop}); !taken)
                return taken;
        }
        noteCome();
        return {};
    }

    [[nodiscard]] std::uint64_t layoutChecksum() const override { return m_layoutChecksum; }

    [[nodiscard]] Status verify(const JobContext& job) override
    {
        if (const auto missing = std::ranges::find(m_hasCome, false); missing != m_hasCome.end())
            return refuse(m_planner->source().targets[static_cast<std::size_t>(missing - m_hasCome.begin())],
                          "is missing: the export ends before it");
        for (std::size_t i = 0; i < m_planner->source().extras.size(); ++i) {
            const Place at = placeOf(m_order.size() + i);
            GgufWriter& file = m_models[at.file];
            if (file.tensors().checksum(at.tensor))
                continue;
            if (Status moved = file.tensors().seek(at.tensor); !moved)
                return moved;
            if (Status status = file.append(m_planner->source().extras[i].bytes); !status)
                return status;
        }
        const auto partOf = [&job](double begin, double end) {
            return JobContext{.stop = job.stop, .progress = [&job, begin, end](double fraction, std::string_view subject) {
                                  job.report(begin + (end - begin) * fraction, subject);
                              }};
        };
        double done = 0;
        for (GgufWriter& model : m_models) {
            const double next = done + static_cast<double>(model.layout().totalBytes) / static_cast<double>(m_design.estimate.total);
            if (Status verified = model.verify(partOf(done, next)); !verified)
                return verified;
            done = next;
        }
        return m_adapter ? m_adapter->verify(partOf(done, 1)) : Status();
    }

protected:
    [[nodiscard]] std::vector<AtomicFile*> files() override
    {
        std::vector<AtomicFile*> all;
        for (GgufWriter& model : m_models)
            all.push_back(&model.tensors().file());
        if (m_adapter)
            all.push_back(&m_adapter->tensors().file());
        return all;
    }
    [[nodiscard]] std::vector<fs::path> obsoleteFiles() const override { return m_obsolete; }

private:
    /// Where one of the design's tensors stands among the model's files.
    struct Place {
        std::size_t file = 0, tensor = 0;
    };
    [[nodiscard]] Place placeOf(std::size_t tensor) const
    {
        const auto run = std::ranges::upper_bound(m_design.runs, tensor, {}, &GgufRun::begin) - 1;
        return {static_cast<std::size_t>(run - m_design.runs.begin()), tensor - run->begin};
    }
    /// The file that holds the target being written.
    [[nodiscard]] GgufWriter& model() { return m_models[placeOf(m_next).file]; }

    [[nodiscard]] std::string nameOf(std::size_t tensor) const
    {
        return tensor < m_targetOf.size() ? m_planner->checkpoint().tensors()[tensor].name : std::string();
    }
    [[nodiscard]] tl::unexpected<Error> refuse(const GgufTarget& target, std::string_view what) const
    {
        return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), nameOf(target.tensor), {}}, what);
    }

    /// The tensor becomes the one that is written next, at its place in model and adapter.
    [[nodiscard]] Status moveTo(std::size_t tensor)
    {
        const std::size_t target = tensor < m_targetOf.size() ? m_targetOf[tensor] : SIZE_MAX;
        if (target == SIZE_MAX || m_hasCome[target])
            return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), nameOf(tensor), {}},
                        target == SIZE_MAX ? "is not part of the file" : "comes a second time");
        m_next = target;
        const Place at = placeOf(target);
        return m_models[at.file].tensors().seek(at.tensor);
    }
    void noteCome()
    {
        m_last = m_next;
        m_hasCome[m_next] = true;
    }

    /// Those of the adapter's tensors that belong to a target: lora_a and lora_b, or none.
    [[nodiscard]] std::vector<std::size_t> factorTensorsOf(std::size_t target) const
    {
        const auto& places = m_design.factors[target];
        return places ? std::vector<std::size_t>{places->a, places->b} : std::vector<std::size_t>();
    }

    [[nodiscard]] static bool stands(const WrittenRange& range, std::size_t output, const GgufWriter& writer, std::size_t tensor)
    {
        const FilePlace& place = writer.tensors().places()[tensor];
        return range.output == output && range.begin == place.begin && range.end == place.begin + place.size;
    }

    /// @param type  a type's name as receipt() noted it.
    [[nodiscard]] Status retypeFactors(std::string_view type, const std::vector<std::size_t>& factors)
    {
        for (const std::size_t i : factors) {
            if (info(m_adapter->layout().tensors[i].dtype).name == type)
                continue;
            if (type != info(DType::BF16).name)
                return fail(ErrorCode::VerifyFailed, Where{m_request.output.string(), m_adapter->layout().tensors[i].name, {}},
                            fmt::format("the journal names the type '{}'", escaped(type, 40)));
            if (Status status = m_adapter->retype(i, DType::BF16); !status)
                return status;
        }
        return {};
    }

    [[nodiscard]] Status addKept(const GgufTarget& target, const JobContext& job)
    {
        const Checkpoint& checkpoint = m_planner->checkpoint();
        const auto view = checkpoint.view(target.tensor);
        if (!view)
            return passOn(view);
        const DType stored = m_design.tensors[m_next].dtype;
        StoredRows rows{
            .bytes = view->bytes, .rows = view->rows(), .cols = view->cols(), .heads = target.heads, .stop = job.stop};
        if (target.heads != 0 && view->shape.size() == 1)  // a bias: each element is a row
            std::swap(rows.rows, rows.cols);
        Status written;
        if (stored == view->dtype && target.offset == 0) {
            written = writeRows(model(), rows);
        } else {
            rows.decode = [dtype = view->dtype, offset = target.offset](std::span<const std::byte> bytes, std::uint64_t,
                                                                        std::span<float> out) {
                decode(dtype, bytes, out);
                for (float& value : out)
                    value += offset;
            };
            written = writeRowsAsFloat(model(), rows);
        }
        // A page that vanished makes write(2) fail too: what happened to the input is the better message.
        const Status same = checkpoint.checkUnchanged(target.tensor);
        return same ? written : same;
    }

    [[nodiscard]] Status addQuantized(const GgufTarget& target, const QuantizedLayer& layer, const JobContext& job)
    {
        const QuantizedTensor& quantized = *layer.quantized;
        const GgufTensorSpec& spec = m_design.tensors[m_next];
        const std::uint64_t elements = checkedElementCount(spec.shape).value_or(0);
        if (quantized.grid == nullptr || quantized.cols != spec.shape.back() || quantized.rows * quantized.cols != elements
            || quantized.codes.size() != quantized.rows * quantized.grid->rowBytes(quantized.cols))
            return refuse(target, fmt::format("codes for {} rows of {} do not fill the shape {}", quantized.rows, quantized.cols,
                                              toString(spec.shape)));
        const bool asFloat = m_request.dequantized || m_request.merged;
        if (!asFloat && quantized.grid->ggufType() != spec.dtype)
            return refuse(target, fmt::format("is on the grid {}, planned was {}", quantized.grid->id(), info(spec.dtype).name));
        const StoredRows rows{.bytes = quantized.codes,
                              .rows = quantized.rows,
                              .cols = quantized.cols,
                              .heads = target.heads,
                              .decode = [&quantized](std::span<const std::byte> bytes, std::uint64_t count, std::span<float> out) {
                                  quantized.grid->decode(bytes, count, quantized.cols, out);
                              },
                              .stop = job.stop};
        const StoredFactors* folded = m_request.merged && layer.factors ? &*layer.factors : nullptr;
        Status written = asFloat ? writeRowsAsFloat(model(), rows, folded) : writeRows(model(), rows);
        const std::optional<FactorPlaces>& places = m_design.factors[m_next];
        return written && places ? addFactors(target, layer, *places) : written;
    }

    [[nodiscard]] Status addFactors(const GgufTarget& target, const QuantizedLayer& layer, const FactorPlaces& places)
    {
        const std::uint32_t rank = places.rank;
        const QuantizedTensor& quantized = *layer.quantized;
        const DType planned = m_adapter->layout().tensors[places.a].dtype;
        // A residual of zero has no factors: the adapter then holds zeros, as its size was promised.
        StoredFactors factors = layer.factors.value_or(
            StoredFactors{.type = m_request.plan.layers[layer.tensor].factors, .rows = quantized.rows, .cols = quantized.cols});
        if (factors.rows != quantized.rows || factors.cols != quantized.cols || factors.rank > rank)
            return refuse(target, fmt::format("factors of {} x {} and rank {} do not fit {} x {} and the planned rank {}", factors.rows,
                                              factors.cols, factors.rank, quantized.rows, quantized.cols, rank));
        if (planned == DType::F32 && factors.type != FactorType::F32)
            factors = asFloat(factors);
        if (const DType found = ggufTypeOf(factors.type); found != planned) {
            for (const std::size_t i : {places.a, places.b}) {
                if (Status status = m_adapter->retype(i, found); !status)
                    return status;
            }
        }
        return writeFactors(*m_adapter, factors, places, target);
    }

    /// The same values, stored wider.
    [[nodiscard]] static StoredFactors asFloat(const StoredFactors& factors)
    {
        StoredFactors wide{.type = FactorType::F32, .rows = factors.rows, .cols = factors.cols, .rank = factors.rank};
        const auto bytesOf = [](const MatrixF& matrix) {
            const auto bytes = std::as_bytes(std::span(matrix.data(), static_cast<std::size_t>(matrix.size())));
            return std::vector<std::byte>(bytes.begin(), bytes.end());
        };
        wide.left = bytesOf(factors.decodedLeft());
        wide.right = bytesOf(factors.decodedRight());
        return wide;
    }

    ExportRequest m_request;
    std::shared_ptr<const GgufPlanner> m_planner;
    GgufDesign m_design;
    std::vector<GgufWriter> m_models;        // one for each run of the design
    std::optional<GgufWriter> m_adapter;
    std::vector<std::size_t> m_order;
    std::vector<std::size_t> m_targetOf;     // by tensor; SIZE_MAX: not in the file
    std::vector<bool> m_hasCome;             // of each target
    std::size_t m_next = 0;                  // target that is being written
    std::optional<std::size_t> m_last;       // target that came last
    std::uint64_t m_layoutChecksum = 0;
    std::vector<fs::path> m_obsolete;
};

/// What must be allowed, and no input, before it may go.
Status checkObsolete(const ExportRequest& request, const GgufPlanner& planner, const fs::path& path, std::string_view what)
{
    if (!request.overwrite)
        return fail(ErrorCode::WouldOverwrite, Where{path.string(), {}, {}}, what);
    if (std::ranges::any_of(planner.source().inputs, [&](const fs::path& input) { return isSameFile(path, input); }))
        return fail(ErrorCode::OutputIsInput, Where{path.string(), {}, {}}, "is an input and would have to go");
    return {};
}

/// What has to go, if it may.
Result<std::vector<fs::path>> obsoleteFilesOf(const ExportRequest& request, const GgufPlanner& planner, const GgufDesign& design)
{
    const bool takesUp = request.journaled && request.journaled->takeUp;
    std::vector<fs::path> obsolete = obsoleteGgufFiles(request.output, design.estimate.outputs, takesUp);
    for (const fs::path& path : obsolete) {
        // What the run that is taken up had set aside itself was allowed then.
        std::error_code error;
        if (takesUp && !fs::exists(fs::symlink_status(path, error)))
            continue;
        const std::string_view what = path == adapterPathFor(request.output)
            ? "is the adapter of an earlier export and would be taken for this model's, which has none"
            : "is a model that an earlier export left under this name in another number of files";
        if (Status possible = checkObsolete(request, planner, path, what); !possible)
            return passOn(possible);
    }
    return obsolete;
}

/// One writer for each of the model's files; those made already are discarded when one cannot be, unless a run is taken up.
Result<std::vector<GgufWriter>> writersOf(const ExportRequest& request, const GgufDesign& design, std::vector<GgufLayout> layouts,
                                          std::optional<GgufLayout> adapter, FileSystem& system)
{
    std::vector<GgufWriter> writers;
    if (adapter)
        layouts.push_back(std::move(*adapter));
    for (std::size_t i = 0; i < layouts.size(); ++i) {
        auto writer = GgufWriter::create(design.estimate.outputs[i].path, std::move(layouts[i]), fileOptionsOf(request, i), system);
        if (writer) {
            writers.push_back(std::move(*writer));
            continue;
        }
        if (!request.journaled || !request.journaled->takeUp) {
            for (GgufWriter& made : writers)
                made.tensors().file().discard();
        }
        return passOn(std::move(writer));
    }
    return writers;
}

/// What was prepared, unless it is of another model.
Result<std::shared_ptr<const GgufPlanner>> ggufPlannerOf(const ExportRequest& request)
{
    if (request.prepared != nullptr && &request.prepared->checkpoint() == request.checkpoint.get())
        return request.prepared;
    return GgufPlanner::create(request.checkpoint, request.templateGguf);
}

}  // namespace

Result<SizeEstimate> estimateGguf(const ExportRequest& request)
{
    const auto planner = ggufPlannerOf(request);
    if (!planner)
        return passOn(planner);
    auto design = (*planner)->design(request);
    if (!design)
        return passOn(std::move(design));
    return std::move(design->estimate);
}

PlanVerdict acceptsGguf(const ExportRequest& request)
{
    const auto planner = ggufPlannerOf(request);
    if (planner)
        return (*planner)->verdict(request);
    PlanVerdict verdict{.parts = partsOf(request.plan), .refusals = {}};
    refuse(verdict, planner.error());
    return verdict;
}

void prepareGguf(ExportRequest& request)
{
    request.prepared = ggufPlannerOf(request).value_or(nullptr);
}

Result<std::unique_ptr<Exporter>> makeGgufExporter(ExportRequest request)
{
    auto planner = ggufPlannerOf(request);
    if (!planner)
        return passOn(std::move(planner));
    auto design = (*planner)->design(request);
    if (!design)
        return passOn(std::move(design));
    if (Status possible = checkOutputs(request, design->estimate.outputs, (*planner)->source().inputs); !possible)
        return passOn(std::move(possible));
    auto obsolete = obsoleteFilesOf(request, **planner, *design);
    if (!obsolete)
        return passOn(std::move(obsolete));
    FileSystem& system = request.system != nullptr ? *request.system : FileSystem::real();
    auto layouts = (*planner)->modelLayouts(*design);
    if (!layouts)
        return passOn(std::move(layouts));
    std::optional<GgufLayout> adapterLayout;
    if (!design->adapter.empty()) {
        auto layout = GgufPlanner::adapterLayout(*design);
        if (!layout)
            return passOn(std::move(layout));
        adapterLayout = std::move(*layout);
    }
    auto writers = writersOf(request, *design, std::move(*layouts), std::move(adapterLayout), system);
    if (!writers)
        return passOn(std::move(writers));
    std::optional<GgufWriter> adapter;
    if (!design->adapter.empty()) {
        adapter = std::move(writers->back());
        writers->pop_back();
    }
    return std::make_unique<GgufExporter>(std::move(request), std::move(*planner), std::move(*design), std::move(*writers),
                                          std::move(adapter), std::move(*obsolete));
}

}  // namespace sigmascope
