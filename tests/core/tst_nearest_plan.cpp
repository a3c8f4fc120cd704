// SPDX-License-Identifier: GPL-3.0-or-later
// The plan that a target takes instead of one that it refuses: for every exporter, and plans of every grid there is.
#include "support/ExporterFixture.h"

#include "core/export/NearestPlan.h"
#include "core/plan/TargetGrids.h"

#include <QSet>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

/// One block whose feed-forward is a mixture of three experts.
std::vector<TinyTensor> tinyMixtral()
{
    std::vector<TinyTensor> tensors = tinyLlama();
    std::erase_if(tensors, [](const TinyTensor& tensor) { return tensor.name.find(".mlp.") != std::string::npos; });
    const std::string block = "model.layers.0.block_sparse_moe.";
    tensors.push_back(random(block + "gate.weight", {3, kEmbedding}));
    for (int expert = 0; expert < 3; ++expert) {
        const std::string name = block + "experts." + std::to_string(expert);
        tensors.push_back(random(name + ".w1.weight", {kFeedForward, kEmbedding}));
        tensors.push_back(random(name + ".w2.weight", {kEmbedding, kFeedForward}));
        tensors.push_back(random(name + ".w3.weight", {kFeedForward, kEmbedding}));
    }
    return tensors;
}

std::string mixtralConfig()
{
    std::string text = config(R"(,"num_local_experts":3,"num_experts_per_tok":2)");
    text.replace(text.find("Llama"), 5, "Mixtral");
    return text;
}

/// Every grid of the registry, one a width and family.
std::vector<std::string> everyGrid()
{
    std::vector<std::string> grids;
    for (const GridFamily& family : gridFamilies()) {
        for (const int bits : family.bits) {
            if (const auto grid = gridOf(family.id, bits))
                grids.push_back((*grid)->id());
        }
    }
    return grids;
}

std::string wordsOfAll(const NearestPlan& nearest, const Checkpoint& checkpoint)
{
    std::string text;
    for (const std::string& line : summaryOf(nearest, checkpoint, 100))
        text += line + '\n';
    return text;
}

}  // namespace

class TestNearestPlan : public QObject, private ExporterFixture {
    Q_OBJECT

private slots:
    void init()
    {
        makeModel();
        m_mixtral = writeFolder(m_dir.filePath("mixtral").toStdString(), tinyMixtral(), mixtralConfig());
        QVERIFY(m_mixtral);
    }
    void whatATargetTakesIsItsOwnNearest();
    void plansOfEveryGridHaveANearestThatIsTaken();
    void plansAtRandomHaveANearestThatIsTaken();
    void asLittleAsPossibleGivesWay_data();
    void asLittleAsPossibleGivesWay();
    void siblingsGiveWayTogether();
    void whoeverPinnedALayerAsKeptFindsItKept();
    void aModelThatATargetCannotCarryHasNoNearest();
    void changesAreToldByKindWithTheirReason();
    void everyNearestPresetIsCarried();
    void everyNearestGridIsCarried();
    void readOnceServesEveryQuestion();

private:
    [[nodiscard]] ExportRequest requestFor(const ExporterRow& row, std::shared_ptr<const Checkpoint> model, QuantizationPlan plan) const
    {
        ExportRequest r = request(std::move(plan));
        r.checkpoint = std::move(model);
        r.plan.target = row.id;
        r.output = m_out / (row.id == "gguf" ? "m.gguf" : "m");
        return r;
    }
    /// Found, taken, sized, its own nearest; told where it differs, and only there.
    [[nodiscard]] std::string fault(const ExporterRow& row, ExportRequest r) const
    {
        const auto nearest = nearestPlan(row, r);
        if (!nearest)
            return "none: " + nearest.error().detail;
        const bool wasTaken = row.accepts(r).refusals.empty();
        if (wasTaken != nearest->changes.empty() || wasTaken != (nearest->plan == r.plan))
            return "changed although it is taken, or not although it is refused";
        std::size_t differing = 0;
        for (std::size_t i = 0; i < r.plan.layers.size(); ++i)
            differing += r.plan.layers[i] == nearest->plan.layers[i] ? 0 : 1;
        if (differing != nearest->changes.size())
            return "not every change is told";
        r.plan = nearest->plan;
        if (const PlanVerdict verdict = row.accepts(r); !verdict.refusals.empty())
            return "refused again: " + verdict.refusals.front().detail;
        if (const auto sizes = row.estimate(r); !sizes)
            return "without sizes: " + sizes.error().detail;
        const auto again = nearestPlan(row, r);
        return again && again->changes.empty() && again->plan == r.plan ? std::string() : "not its own nearest";
    }

    std::shared_ptr<const Checkpoint> m_mixtral;
};

void TestNearestPlan::whatATargetTakesIsItsOwnNearest()
{
    for (const ExporterRow& row : exporters()) {
        const ExportRequest r = requestFor(row, m_model, quantizeBlock(*m_model, gridFor(row.id), 4));
        const auto nearest = nearestPlan(row, r);
        QVERIFY2(nearest.has_value(), row.id.data());
        QVERIFY(nearest->plan == r.plan);
        QVERIFY(nearest->changes.empty());
    }
}

void TestNearestPlan::plansOfEveryGridHaveANearestThatIsTaken()
{
    for (const ExporterRow& row : exporters()) {
        for (const std::string& grid : everyGrid()) {
            for (const std::uint32_t rank : {0U, 4U, 60U}) {
                const ExportRequest r = requestFor(row, m_model, quantizeBlock(*m_model, grid, rank));
                const std::string what = fault(row, r);
                const std::string title = std::string(row.id) + ", " + grid + ", rank " + std::to_string(rank) + ": ";
                QVERIFY2(what.empty(), (title + what).c_str());
                // Codes and corrections stay what they are: only a GGUF type whose rows do not divide and that has no
                // stand-in leaves a layer as it was.
                if ((*findGrid(grid))->ggufType() && row.id != "awq" && row.id != "gptq" && row.id != "compressed-tensors")
                    continue;
                const auto nearest = nearestPlan(row, r);
                for (std::size_t i = 0; !nearest->changes.empty() && i < r.plan.layers.size(); ++i) {
                    const LayerPlan& after = nearest->plan.layers[i];
                    QVERIFY2(r.plan.layers[i].keep == after.keep, (title + m_model->tensors()[i].name).c_str());
                    const Shape& shape = m_model->tensors()[i].shape;
                    const std::uint64_t most = shape.size() < 2 ? 0 : std::min<std::uint64_t>({rank, shape[0], shape[1]});
                    QVERIFY2(after.keep || after.rank == most, (title + "another rank").c_str());
                }
            }
        }
    }
}

/// Grids, ranks, factors and kept tensors in any mixture, on a model with experts too; also what is no matrix is coded.
void TestNearestPlan::plansAtRandomHaveANearestThatIsTaken()
{
    const std::vector<std::string> grids = everyGrid();
    constexpr std::array kFactors{FactorType::F16, FactorType::F32, FactorType::BF16, FactorType::I8, FactorType::Q8_0};
    constexpr std::array<std::uint32_t, 5> kRanks{0, 0, 3, 32, 70};
    for (std::uint64_t seed = 0; seed < 24; ++seed) {
        const auto& model = seed % 3 == 2 ? m_mixtral : m_model;
        QuantizationPlan plan = keepAll(*model);
        for (std::size_t i = 0; i < plan.layers.size(); ++i) {
            SplitMix64 dice(seedFor(seed, model->tensors()[i].name));
            const auto pick = [&dice](std::size_t count) { return static_cast<std::size_t>(dice.next() % count); };
            // Few grids in a plan, so that siblings are often alike.
            if (pick(3) != 0)
                plan.layers[i] = onGrid(grids[(seed * 7 + pick(3)) % grids.size()], kRanks[pick(kRanks.size())], kFactors[pick(kFactors.size())]);
        }
        plan.layers[*model->find("model.layers.0.self_attn.o_proj.weight")] = onGrid(grids[seed % grids.size()]);
        for (const ExporterRow& row : exporters()) {
            const std::string what = fault(row, requestFor(row, model, plan));
            QVERIFY2(what.empty(), (std::string(row.id) + ", seed " + std::to_string(seed) + ": " + what).c_str());
        }
    }
}

void TestNearestPlan::asLittleAsPossibleGivesWay_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("tensor");
    QTest::addColumn<QString>("grid");
    QTest::addColumn<int>("rank");
    QTest::addColumn<QString>("to");
    const auto row = [](const char* title, const char* target, const char* tensor, const char* grid, int rank, const char* to) {
        QTest::newRow(title) << target << tensor << grid << rank << to;
    };
    const char* down = "model.layers.0.mlp.down_proj.weight";
    const char* output = "model.layers.0.self_attn.o_proj.weight";
    row("a grid of the same width", "gguf", down, "int4-g32", 4, "q4_0, rank 4");
    row("a stand-in for one that does not fit", "gguf", output, "int6-g128", 0, "q8_0");
    row("a super-block that does not fit", "gguf", down, "int3-g32", 0, "q4_0");
    row("the highest rank", "gguf", down, "q4_0", 65, "q4_0, rank 64");
    row("no codes in a norm", "gguf", "model.norm.weight", "q4_0", 0, "kept");
    row("a width that is there", "compressed-tensors", output, "int5-g32", 4, "int8-g32, rank 4");
    row("an asymmetric one stays so", "gptq", output, "int5-g32-asym", 0, "int8-g32-asym");
    row("symmetric for a target without", "awq", output, "int4-g32", 0, "int4-g32-asym");
    row("a group that divides", "gptq", down, "int4-g64", 0, "int4-g32");
    row("no codes outside the blocks", "gptq", "lm_head.weight", "int4-g32", 0, "kept");
    row("no codes of embeddings", "awq", "model.embed_tokens.weight", "int4-g32-asym", 0, "kept");
    row("no rank above the shape", "research", down, "int4-g32", 65, "int4-g32, rank 64");
}

void TestNearestPlan::asLittleAsPossibleGivesWay()
{
    QFETCH(QString, target);
    QFETCH(QString, tensor);
    QFETCH(QString, grid);
    QFETCH(int, rank);
    const ExporterRow& row = *findExporter(target.toStdString());
    QuantizationPlan plan = quantizeBlock(*m_model, gridFor(row.id), 0);
    const std::size_t index = *m_model->find(tensor.toStdString());
    plan.layers[index] = onGrid(grid.toStdString(), static_cast<std::uint32_t>(rank));
    const auto nearest = nearestPlan(row, requestFor(row, m_model, plan));
    QVERIFY2(nearest, nearest ? "" : nearest.error().detail.c_str());
    QCOMPARE(nearest->changes.size(), std::size_t(1));
    QCOMPARE(nearest->changes.front().tensor, index);
    QTEST(QString::fromStdString(nearest->changes.front().to), "to");
    QVERIFY(!nearest->changes.front().reason.empty());
}

void TestNearestPlan::siblingsGiveWayTogether()
{
    const auto gridOf = [](const QuantizationPlan& plan, const Checkpoint& model, const char* name) {
        return plan.layers[*model.find(std::string("model.layers.0.") + name + ".weight")].grid;
    };
    // Two of three decide; the third follows without a fault of its own.
    const ExporterRow& gptq = *findExporter("gptq");
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
    for (const char* name : {"model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.v_proj.weight"})
        plan.layers[*m_model->find(name)] = onGrid("int8-g32");
    auto nearest = nearestPlan(gptq, requestFor(gptq, m_model, plan));
    QVERIFY(nearest);
    QCOMPARE(nearest->changes.size(), std::size_t(1));
    QCOMPARE(gridOf(nearest->plan, *m_model, "self_attn.k_proj"), std::string("int8-g32"));
    QCOMPARE(gridOf(nearest->plan, *m_model, "self_attn.o_proj"), std::string("int4-g32"));
    // The experts of a kind are one tensor of a GGUF.
    const ExporterRow& gguf = *findExporter("gguf");
    plan = quantizeBlock(*m_mixtral, "q4_0", 0);
    plan.layers[*m_mixtral->find("model.layers.0.block_sparse_moe.experts.1.w1.weight")] = onGrid("q8_0");
    plan.layers[*m_mixtral->find("model.layers.0.block_sparse_moe.experts.2.w2.weight")] = LayerPlan{};
    nearest = nearestPlan(gguf, requestFor(gguf, m_mixtral, plan));
    QVERIFY(nearest);
    QCOMPARE(nearest->changes.size(), std::size_t(2));
    QCOMPARE(gridOf(nearest->plan, *m_mixtral, "block_sparse_moe.experts.1.w1"), std::string("q4_0"));
    QCOMPARE(gridOf(nearest->plan, *m_mixtral, "block_sparse_moe.experts.2.w2"), std::string("q4_0"));
}

void TestNearestPlan::whoeverPinnedALayerAsKeptFindsItKept()
{
    const ExporterRow& gptq = *findExporter("gptq");
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
    const std::size_t key = *m_model->find("model.layers.0.self_attn.k_proj.weight");
    plan.layers[key] = LayerPlan{.pinned = true};
    const auto nearest = nearestPlan(gptq, requestFor(gptq, m_model, plan));
    QVERIFY(nearest);
    QCOMPARE(nearest->changes.size(), std::size_t(2));  // q and v, which become one with it
    QVERIFY(nearest->plan.layers[key].keep && nearest->plan.layers[key].pinned);
}

void TestNearestPlan::aModelThatATargetCannotCarryHasNoNearest()
{
    ExportRequest r = request(quantizeBlock(*m_model, "q4_0", 0));
    QVERIFY(runExport(r));
    const auto gguf = written();
    QVERIFY(gguf);
    for (const char* target : {"gptq", "awq", "compressed-tensors", "bf16"}) {
        const ExporterRow& row = *findExporter(target);
        const ExportRequest packed = requestFor(row, gguf, keepAll(*gguf));
        const auto nearest = nearestPlan(row, packed);
        QVERIFY(!nearest);
        QCOMPARE(nearest.error().detail, sigmascope::refusalOf(row.accepts(packed))->detail);
    }
}

void TestNearestPlan::changesAreToldByKindWithTheirReason()
{
    const ExporterRow& gguf = *findExporter("gguf");
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
    plan.layers[*m_model->find("model.norm.weight")] = onGrid("q4_0");
    const auto nearest = nearestPlan(gguf, requestFor(gguf, m_model, plan));
    QVERIFY(nearest);
    const std::string text = wordsOfAll(*nearest, *m_model);
    QVERIFY2(text.starts_with("7 tensors: q4_0 instead of int4-g32, +0 bits per weight (GGUF has no type for the grid int4-g32)\n"), text.c_str());
    QVERIFY2(text.find("model.norm.weight: kept instead of q4_0, +27.5 bits per weight (llama.cpp reads norms") != std::string::npos, text.c_str());
    QCOMPARE(summaryOf(*nearest, *m_model, 1).back(), std::string("and 1 further kind of change"));
    // Factors are told where they are no plain halves; the tensor's name stands before its reason, not in it.
    const ExporterRow& gptq = *findExporter("gptq");
    plan = quantizeBlock(*m_model, "int4-g32", 0);
    plan.layers[*m_model->find("model.layers.0.mlp.down_proj.weight")] = onGrid("int4-g32", 4, FactorType::I8);
    const auto halves = nearestPlan(gptq, requestFor(gptq, m_model, plan));
    QVERIFY(halves);
    const std::string factors = wordsOfAll(*halves, *m_model);
    QVERIFY2(factors.starts_with("model.layers.0.mlp.down_proj.weight: int4-g32, rank 4 instead of int4-g32, rank 4 in i8, +"), factors.c_str());
    QVERIFY2(factors.find("bits per weight (a PEFT adapter holds") != std::string::npos, factors.c_str());
}

void TestNearestPlan::everyNearestPresetIsCarried()
{
    QSet<QString> ids{"Q4_K_M", "gguf-Q4_K_M", "q8_0", "IQ2_XS", "gguf-iq3_s", "rtn-w1", "lqer-w9", "gptq-w4", "awq-w3", "gptvq-2d-w2", "gguf-x"};
    for (const ExporterRow& row : exporters()) {
        for (const Preset& preset : presets(row.id))
            ids.insert(QString::fromUtf8(preset.id.data(), static_cast<qsizetype>(preset.id.size())));
    }
    for (const ExporterRow& row : exporters()) {
        for (const QString& id : std::as_const(ids)) {
            const std::string preset = id.toStdString();
            const std::string nearest = nearestPreset(preset, row.id);
            const auto asked = recipeFromPreset(preset, row.id);
            QVERIFY2(asked.has_value() == (nearest == preset), preset.c_str());
            const auto taken = recipeFromPreset(nearest, row.id);
            QVERIFY2(taken, (preset + " for " + std::string(row.id) + ": " + (taken ? "" : taken.error().detail)).c_str());
            QCOMPARE(nearestPreset(nearest, row.id), nearest);
            // Whoever reads the refusal is sent to the same one.
            const bool isOutOfRange = !asked && asked.error().detail.find("out of range") != std::string::npos;
            QVERIFY2(asked || isOutOfRange || asked.error().detail.find("nearest: " + nearest) != std::string::npos,
                     asked ? "" : asked.error().detail.c_str());
        }
        QCOMPARE(nearestPreset("magic", row.id), std::string());
    }
    QCOMPARE(nearestPreset("Q4_K_M"), std::string("gguf-q4_k_m"));
    QCOMPARE(nearestPreset("Q4_K"), std::string("gguf-q4_k_m"));  // as llama-quantize has it
    QCOMPARE(nearestPreset("IQ4_XS"), std::string("gguf-iq4_xs-mix"));
    QCOMPARE(nearestPreset("gguf-Q4_K"), std::string("gguf-q4_k"));
    QCOMPARE(nearestPreset("gguf-q2_k", "awq"), std::string("rtn-w4"));
    QCOMPARE(nearestPreset("l2qer-w7"), std::string("l2qer-w8"));
}

void TestNearestPlan::everyNearestGridIsCarried()
{
    for (const ExporterRow& row : exporters()) {
        for (const std::string& id : everyGrid()) {
            const Grid& grid = **findGrid(id);
            const Grid* nearest = nearestGrid(row.id, grid);
            QVERIFY2(nearest != nullptr, id.c_str());
            QVERIFY(checkRepresentable(row.id, *nearest));
            QCOMPARE(nearestGrid(row.id, *nearest), nearest);
            const Status carried = checkRepresentable(row.id, grid);
            QCOMPARE(nearest == &grid, carried.has_value());
            QVERIFY(carried || carried.error().detail.find("nearest: " + nearest->id()) != std::string::npos);
        }
    }
}

/// The tokenizer is the expensive part of a GGUF: read once, it may even be gone.
void TestNearestPlan::readOnceServesEveryQuestion()
{
    const ExporterRow& gguf = *findExporter("gguf");
    ExportRequest r = requestFor(gguf, m_model, quantizeBlock(*m_model, "q4_0", 0));
    const auto before = gguf.estimate(r);
    gguf.prepare(r);
    QVERIFY(r.prepared != nullptr && before);
    fs::remove(m_folder / "tokenizer.model");
    QVERIFY(gguf.accepts(r).refusals.empty());
    QCOMPARE(gguf.estimate(r)->total, before->total);
    QVERIFY(gguf.make(r).has_value());
    // Of another model it does not speak.
    r.checkpoint = m_mixtral;
    r.plan = keepAll(*m_mixtral);
    QVERIFY(gguf.accepts(r).refusals.empty());
    r.prepared = nullptr;
    r.checkpoint = m_model;
    r.plan = quantizeBlock(*m_model, "q4_0", 0);
    QVERIFY(!gguf.accepts(r).refusals.empty());
}

QTEST_GUILESS_MAIN(TestNearestPlan)
#include "tst_nearest_plan.moc"
