// SPDX-License-Identifier: GPL-3.0-or-later
// What each target says of a plan before anything is written: part by part, and in one sentence where it refuses.
#include "support/ExporterFixture.h"

#include "core/project/Pipeline.h"

using namespace sigmascope;
using namespace sigmascope::test;

class TestPlanVerdict : public QObject, private ExporterFixture {
    Q_OBJECT

private slots:
    void init() { makeModel(); }
    void aPlanIsTakenExactlyWhereItsSizesAreKnown_data();
    void aPlanIsTakenExactlyWhereItsSizesAreKnown();
    void everyLayerThatStandsAgainstItIsCounted();
    void theRunRefusesWithTheSameSentenceBeforeItBegins();
    void partsAreCountedAndTold();
    void whatIsStoredOtherwiseSaysWhy();
    void aPlanWithoutCorrectionHasNone();
    void theTokenizerIsTold();
    void everyTargetHasACommandThatNamesItsFiles();

private:
    [[nodiscard]] ExportRequest requestFor(const ExporterRow& row, QuantizationPlan plan) const
    {
        ExportRequest r = request(std::move(plan));
        r.plan.target = row.id;
        r.output = m_out / (row.id == "gguf" ? "m.gguf" : "m");
        return r;
    }
    [[nodiscard]] QuantizationPlan planOf(const QString& kind) const
    {
        if (kind == "q4_0 rank 4")
            return quantizeBlock(*m_model, "q4_0", 4);
        if (kind == "int4")
            return quantizeBlock(*m_model, "int4-g32", 0);
        if (kind == "rank too high")
            return quantizeBlock(*m_model, "q4_0", 60);
        if (kind == "norm coded") {
            QuantizationPlan plan = keepAll(*m_model);
            plan.layers[*m_model->find("model.norm.weight")] = onGrid("q4_0");
            return plan;
        }
        if (kind == "other model") {
            QuantizationPlan plan = keepAll(*m_model);
            plan.layers.pop_back();
            return plan;
        }
        return keepAll(*m_model);
    }
};

void TestPlanVerdict::aPlanIsTakenExactlyWhereItsSizesAreKnown_data()
{
    QTest::addColumn<QString>("kind");
    for (const char* kind : {"kept", "q4_0 rank 4", "int4", "rank too high", "norm coded"})
        QTest::newRow(kind) << QString::fromLatin1(kind);
}

void TestPlanVerdict::aPlanIsTakenExactlyWhereItsSizesAreKnown()
{
    QFETCH(QString, kind);
    for (const ExporterRow& row : exporters()) {
        const ExportRequest r = requestFor(row, planOf(kind));
        const PlanVerdict verdict = row.accepts(r);
        const auto sizes = row.estimate(r);
        QVERIFY2(verdict.refusals.empty() == sizes.has_value(), row.id.data());
        QCOMPARE(verdict.parts.size(), std::size_t(6));
        if (!sizes)
            QCOMPARE(verdict.refusals.front().detail, sizes.error().detail);
        // A part is refused exactly where a tensor is named.
        const bool isRefused
            = std::ranges::any_of(verdict.parts, [](const CarriedPart& p) { return p.carriage == Carriage::Refused; });
        QVERIFY2(isRefused == !verdict.refusals.empty(), row.id.data());
    }
}

void TestPlanVerdict::everyLayerThatStandsAgainstItIsCounted()
{
    const ExporterRow& gguf = *findExporter("gguf");
    const PlanVerdict verdict = gguf.accepts(requestFor(gguf, planOf("int4")));
    QCOMPARE(verdict.refusals.size(), std::size_t(7));  // q k v o gate up down
    QCOMPARE(partIn(verdict, PlanPart::Codes).layers, std::size_t(7));
    QCOMPARE(partIn(verdict, PlanPart::Codes).changed, std::size_t(7));
    const auto refusal = sigmascope::refusalOf(verdict);
    QVERIFY(refusal.has_value());
    QCOMPARE(refusal->code, ErrorCode::NotRepresentable);
    QVERIFY2(refusal->detail.find("GGUF has no type for the grid int4-g32; the nearest is q4_0") != std::string::npos
                 && refusal->detail.find("; 6 more tensors cannot be carried") != std::string::npos
                 && refusal->detail.find("self_attn.q_proj.weight") != std::string::npos,
             refusal->detail.c_str());
    const ExporterRow& research = *findExporter("research");
    QVERIFY(!sigmascope::refusalOf(research.accepts(requestFor(research, planOf("int4")))));
}

void TestPlanVerdict::theRunRefusesWithTheSameSentenceBeforeItBegins()
{
    const ExporterRow& gguf = *findExporter("gguf");
    const ExportRequest r = requestFor(gguf, planOf("int4"));
    const auto backend = makeCpuBackend();
    bool looked = false;
    RunOptions options;
    options.onStage = [&looked](RunStage, std::optional<std::size_t>) { looked = true; };
    const auto result = quantize(r, gguf, *backend, options, {});
    QVERIFY(!result);
    QCOMPARE(result.error().code, ErrorCode::NotRepresentable);
    QCOMPARE(result.error().detail, sigmascope::refusalOf(gguf.accepts(r))->detail);
    QVERIFY(!looked);
    QVERIFY(fs::is_empty(m_out));
}

void TestPlanVerdict::partsAreCountedAndTold()
{
    struct Row {
        const char* target;
        Carriage codes, correction, factors, kept, recipe;
    };
    for (const Row& row :
         {Row{"gguf", Carriage::Exact, Carriage::Adapter, Carriage::Exact, Carriage::Exact, Carriage::Inside},
          Row{"compressed-tensors", Carriage::Exact, Carriage::Adapter, Carriage::Exact, Carriage::Exact, Carriage::Inside},
          Row{"gptq", Carriage::Exact, Carriage::Adapter, Carriage::Exact, Carriage::Exact, Carriage::Inside},
          Row{"awq", Carriage::Exact, Carriage::Adapter, Carriage::Exact, Carriage::Exact, Carriage::Inside},
          Row{"bf16", Carriage::Decoded, Carriage::Folded, Carriage::Folded, Carriage::Exact, Carriage::Inside},
          Row{"research", Carriage::Exact, Carriage::Inside, Carriage::Exact, Carriage::Exact, Carriage::Inside}}) {
        const ExporterRow& exporter = *findExporter(row.target);
        const PlanVerdict verdict = exporter.accepts(requestFor(exporter, quantizeBlock(*m_model, gridFor(row.target), 4)));
        QCOMPARE(partIn(verdict, PlanPart::Codes).carriage, row.codes);
        QCOMPARE(partIn(verdict, PlanPart::Correction).carriage, row.correction);
        QCOMPARE(partIn(verdict, PlanPart::Correction).layers, std::size_t(7));
        QCOMPARE(partIn(verdict, PlanPart::Factors).carriage, row.factors);
        QCOMPARE(partIn(verdict, PlanPart::Kept).layers, std::size_t(5));
        QCOMPARE(partIn(verdict, PlanPart::Kept).carriage, row.kept);
        QCOMPARE(partIn(verdict, PlanPart::Recipe).carriage, row.recipe);
    }
}

void TestPlanVerdict::whatIsStoredOtherwiseSaysWhy()
{
    QuantizationPlan plan = planOf("q4_0 rank 4");
    for (LayerPlan& layer : plan.layers)
        layer.factors = FactorType::I8;
    const ExporterRow& gguf = *findExporter("gguf");
    const PlanVerdict verdict = gguf.accepts(requestFor(gguf, plan));
    const CarriedPart& factors = partIn(verdict, PlanPart::Factors);
    QCOMPARE(factors.carriage, Carriage::Widened);
    QCOMPARE(factors.changed, std::size_t(7));
    QVERIFY(factors.reason.find("F32 instead") != std::string::npos);
    // And so they are: 7 layers of rank 4 with four bytes a value.
    const auto sizes = gguf.estimate(requestFor(gguf, plan));
    const auto narrow = gguf.estimate(requestFor(gguf, planOf("q4_0 rank 4")));
    QVERIFY(sizes && narrow);
    QCOMPARE(sizes->factors, 2 * narrow->factors);
    const ExporterRow& research = *findExporter("research");
    QCOMPARE(partIn(research.accepts(requestFor(research, plan)), PlanPart::Factors).carriage, Carriage::Exact);
}

void TestPlanVerdict::aPlanWithoutCorrectionHasNone()
{
    for (const ExporterRow& row : exporters()) {
        const PlanVerdict verdict = row.accepts(requestFor(row, quantizeBlock(*m_model, gridFor(row.id), 0)));
        QVERIFY2(verdict.refusals.empty(), row.id.data());
        QCOMPARE(partIn(verdict, PlanPart::Correction).carriage, Carriage::None);
        QCOMPARE(partIn(verdict, PlanPart::Correction).changed, std::size_t(0));
        QCOMPARE(partIn(verdict, PlanPart::Factors).carriage, Carriage::None);
    }
}

void TestPlanVerdict::theTokenizerIsTold()
{
    const ExporterRow& gguf = *findExporter("gguf");
    const ExporterRow& bf16 = *findExporter("bf16");
    const QuantizationPlan plan = keepAll(*m_model);
    QCOMPARE(partIn(gguf.accepts(requestFor(gguf, plan)), PlanPart::Tokenizer).carriage, Carriage::Inside);
    QCOMPARE(partIn(bf16.accepts(requestFor(bf16, plan)), PlanPart::Tokenizer).carriage, Carriage::Copied);
    ExportRequest one = requestFor(bf16, plan);
    one.output = m_out / "one.safetensors";
    const CarriedPart alone = partIn(bf16.accepts(one), PlanPart::Tokenizer);
    QCOMPARE(alone.carriage, Carriage::Left);
    QVERIFY(!alone.reason.empty());
}

void TestPlanVerdict::everyTargetHasACommandThatNamesItsFiles()
{
    for (const ExporterRow& row : exporters()) {
        const ExportRequest r = requestFor(row, quantizeBlock(*m_model, gridFor(row.id), 4));
        const auto sizes = row.estimate(r);
        QVERIFY2(sizes.has_value(), sizes ? "" : sizes.error().detail.c_str());
        const std::string command = row.loadCommand(*sizes);
        QVERIFY2(command.find(r.output.string()) != std::string::npos, command.c_str());
        QVERIFY(!row.runtime.empty() && !row.suffix.empty());
    }
}

QTEST_GUILESS_MAIN(TestPlanVerdict)
#include "tst_plan_verdict.moc"
