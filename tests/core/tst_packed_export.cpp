// SPDX-License-Identifier: GPL-3.0-or-later
// compressed-tensors, GPTQ and AWQ folders: what they refuse and what they name instead, words and zero points as the
// formats have them, config.json as runtimes read it. (Unpacked by a script of another hand: tests/interop.)
#include "support/SafetensorsFixture.h"

#include "core/base/MappedFile.h"
#include "core/checkpoint/readers/ShardContent.h"
#include "core/export/PackedModel.h"
#include "core/export/writers/PackedWriters.h"
#include "core/plan/TargetGrids.h"
#include "core/project/Pipeline.h"

#include <limits>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

const std::string kQ = "model.layers.0.self_attn.q_proj";
const std::string kDown = "model.layers.0.mlp.down_proj";

Json jsonAt(const fs::path& path)
{
    const auto json = parseJson(readFile(path), path.string());
    return json ? *json : Json();
}

/// Bytes of one stored tensor.
template <class Value> std::vector<Value> storedIn(const fs::path& path, const std::string& name)
{
    const auto file = MappedFile::open(path);
    const auto content = file ? readSafetensors(**file, {}) : passOn(file);
    if (!content)
        return {};
    const auto found = std::ranges::find(content->tensors, name, &TensorInfo::name);
    if (found == content->tensors.end())
        return {};
    std::vector<Value> values(found->bytes / sizeof(Value));
    std::memcpy(values.data(), (*file)->bytes().data() + found->offset, found->bytes);
    return values;
}

}  // namespace

class TestPackedExport : public QObject, private SafetensorsFixture {
    Q_OBJECT

private slots:
    void init() { makeFolder(); }
    void whatCannotBeCarriedNamesTheNearest_data();
    void whatCannotBeCarriedNamesTheNearest();
    void siblingsOfOneFusedMatrixMustBeAlike();
    void awqHasOneSchemeForAll();
    void siblingsOfWhatHasToBeKeptAreKept();
    void modelsThatAreNoFolderAreRefused();
    void gptqStoresZeroPointsLessOneUnlessTheyDiffer();
    void groupsOfZerosGetAScaleThatIsNotZero();
    void symmetricCodesKeepTheirValues();
    void configNamesSchemesAndWhatIsKept();
    void differentSchemesNameTheirModules();
    void gptqNamesWhatDiffersByExpressionsThatMatchFusedModules();
    void whatARuntimeCannotTakeIsSaid();
    void theModelsOwnConfigStaysAsItWas();
    void theAdapterConfigScalesByOne();
    void anAdapterOfAnEarlierExportGoesWithItsModel();
    void anAdapterOfTheUserStays();
    void theOlderConfigGoesWithTheModelItSpeaksOf();
    void rowsThatAGroupDoesNotDivideGetANarrowerOne();
    void commandsNameAdapterAndRank();

private:
    [[nodiscard]] ExportRequest requestFor(const char* target, QuantizationPlan plan) const
    {
        ExportRequest r = folderRequest(std::move(plan), "m");
        r.plan.target = target;
        return r;
    }
    [[nodiscard]] LayerPlan& layer(QuantizationPlan& plan, const std::string& module) const
    {
        return plan.layers[*m_model->find(module + ".weight")];
    }
    [[nodiscard]] static bool isSaid(const SizeEstimate& sizes, std::string_view words)
    {
        return std::ranges::any_of(sizes.notes,
                                   [&](const std::string& note) { return note.find(words) != std::string::npos; });
    }
    [[nodiscard]] std::string refusal(const ExportRequest& r) const
    {
        const ExporterRow& row = *findExporter(r.plan.target);
        const auto before = std::distance(fs::directory_iterator(m_out), {});
        const auto made = row.make(r);
        const auto refused = sigmascope::refusalOf(row.accepts(r));
        if (made || row.estimate(r) || !refused || std::distance(fs::directory_iterator(m_out), {}) != before)
            return "not refused, or something was left";
        return made.error().code == ErrorCode::NotRepresentable ? refused->detail
                                                                : "another code: " + made.error().detail;
    }
};

void TestPackedExport::whatCannotBeCarriedNamesTheNearest_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("grid");
    QTest::addColumn<QString>("told");
    QTest::newRow("3 bits") << "compressed-tensors" << "int3-g32" << "nearest: int4-g32";
    QTest::newRow("5 bits") << "compressed-tensors" << "int5-g32-asym" << "nearest: int8-g32-asym";
    QTest::newRow("a GGUF type") << "compressed-tensors" << "q4_0" << "nearest: int4-g128";
    QTest::newRow("F64 scales") << "compressed-tensors" << "int4-g32-f64" << "nearest: int4-g32";
    QTest::newRow("odd groups") << "compressed-tensors" << "int4-g128" << "groups of 128 do not divide";
    QTest::newRow("gptq, 6 bits") << "gptq" << "int6-g32" << "nearest: int8-g32";
    QTest::newRow("gptq, F32 scales") << "gptq" << "int4-g32-f32" << "nearest: int4-g32";
    QTest::newRow("awq, symmetric") << "awq" << "int4-g32" << "nearest: int4-g32-asym";
    QTest::newRow("awq, 8 bits") << "awq" << "int8-g32-asym" << "nearest: int4-g32-asym";
}

void TestPackedExport::whatCannotBeCarriedNamesTheNearest()
{
    QFETCH(QString, target);
    QFETCH(QString, grid);
    QFETCH(QString, told);
    const std::string found
        = refusal(requestFor(target.toLatin1().constData(), quantizeBlock(*m_model, grid.toStdString(), 0)));
    QVERIFY2(found.find(told.toStdString()) != std::string::npos && found.find(kQ) != std::string::npos, found.c_str());
    if (target != "compressed-tensors")
        return;
    // Not the grid, but what it is asked for.
    for (const char* name : {"model.embed_tokens", "lm_head"}) {
        QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
        layer(plan, name) = onGrid("int4-g32");
        const std::string why = refusal(requestFor("compressed-tensors", plan));
        QVERIFY2(why.find("no linear layer of a block") != std::string::npos && why.find(name) != std::string::npos,
                 why.c_str());
    }
    QuantizationPlan coded = quantizeBlock(*m_model, "int4-g32", 2);
    layer(coded, kDown).factors = FactorType::I8;
    const std::string factors = refusal(requestFor("compressed-tensors", coded));
    QVERIFY2(factors.find("nearest: factors of 16 bits") != std::string::npos, factors.c_str());
    const std::string nothing = refusal(requestFor("compressed-tensors", keepAll(*m_model)));
    QVERIFY2(nothing.find("quantizes no layer") != std::string::npos, nothing.c_str());
}

void TestPackedExport::siblingsOfOneFusedMatrixMustBeAlike()
{
    for (const char* target : {"compressed-tensors", "gptq"}) {
        QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
        layer(plan, kQ) = onGrid("int8-g32");
        const std::string grids = refusal(requestFor(target, plan));
        QVERIFY2(grids.find(
                     "is int8-g32, its siblings are int4-g32; vLLM merges them into model.layers.0.self_attn.qkv_proj")
                         != std::string::npos
                     && grids.find("nearest: int4-g32 for all of them") != std::string::npos,
                 grids.c_str());
        layer(plan, kQ) = LayerPlan{};
        const std::string kept = refusal(requestFor(target, plan));
        QVERIFY2(kept.find("is kept, its siblings are int4-g32") != std::string::npos, kept.c_str());
        // Alike but for the rank, or other than layers that are no siblings: carried.
        layer(plan, kQ) = onGrid("int4-g32", 3);
        layer(plan, kDown) = onGrid("int8-g32");
        const auto sizes = findExporter(target)->estimate(requestFor(target, plan));
        QVERIFY2(sizes, sizes ? "" : sizes.error().detail.c_str());
    }
}

void TestPackedExport::awqHasOneSchemeForAll()
{
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32-asym", 0);
    layer(plan, kDown) = onGrid("int4-row-asym");
    const std::string why = refusal(requestFor("awq", plan));
    QVERIFY2(why.find(kDown) != std::string::npos
                 && why.find("nearest: int4-g32-asym, or keep it") != std::string::npos,
             why.c_str());
    layer(plan, kDown) = LayerPlan{};
    QVERIFY(findExporter("awq")->estimate(requestFor("awq", plan)));
}

/// A value that is not finite keeps a tensor by policy; the file must load all the same.
void TestPackedExport::siblingsOfWhatHasToBeKeptAreKept()
{
    auto tensors = tinyLlama();
    std::vector<float> values(kHead * kEmbedding, 0.25F);
    values[5] = std::numeric_limits<float>::quiet_NaN();
    named(tensors, "k_proj").bytes = rawBytes(values);
    m_model = writeFolder(m_folder, tensors);
    const ExportRequest r = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    const auto run = quantize(r, *findExporter("gptq"), *makeCpuBackend(), {}, {});
    QVERIFY2(run, run ? "" : run.error().detail.c_str());
    std::size_t kept = 0;
    for (const TensorResult& result : run->tensors) {
        const bool isSibling = result.name == kQ + ".weight" || result.name.find("v_proj") != std::string::npos;
        if (isSibling)
            QVERIFY2(result.fallback.find(
                         "k_proj.weight is kept, and the two become one: kept as F32 instead of int4-g32, +")
                         != std::string::npos,
                     result.fallback.c_str());
        kept += result.method == "keep" && result.name.find("_proj") != std::string::npos ? 1 : 0;
    }
    QCOMPARE(kept, std::size_t(3));
    QCOMPARE(jsonAt(r.output / "quantize_config.json")["dynamic"].size(), std::size_t(1));
}

void TestPackedExport::modelsThatAreNoFolderAreRefused()
{
    ExportRequest r = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    r.output = m_out / "m.safetensors";
    QVERIFY2(refusal(r).find("nearest: the name of a folder") != std::string::npos, refusal(r).c_str());
    fs::remove(m_folder / "config.json");
    m_model = *Checkpoint::open(m_folder);
    r = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY2(refusal(r).find("config.json") != std::string::npos, refusal(r).c_str());
    m_model = writeFolder(m_folder, tinyLlama(), config(R"(,"quantization_config":{"quant_method":"fp8"})"));
    QVERIFY(m_model);
    r = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY2(refusal(r).find("quantized already") != std::string::npos, refusal(r).c_str());
}

void TestPackedExport::gptqStoresZeroPointsLessOneUnlessTheyDiffer()
{
    const ExportRequest symmetric = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY(exported(makeGptqExporter, symmetric));
    const auto zeros = storedIn<std::uint32_t>(symmetric.output / "model.safetensors", kQ + ".qzeros");
    QCOMPARE(zeros, std::vector<std::uint32_t>(2 * 64 / 8, 0x77777777U));
    QCOMPARE(jsonAt(symmetric.output / "quantize_config.json")["checkpoint_format"], Json("gptq"));
    const auto index = storedIn<std::int32_t>(symmetric.output / "model.safetensors", kQ + ".g_idx");
    QCOMPARE(index.size(), std::size_t(64));
    QVERIFY(index[0] == 0 && index[31] == 0 && index[32] == 1 && index[63] == 1);

    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
    layer(plan, kDown) = onGrid("int8-g32-asym");
    ExportRequest mixed = requestFor("gptq", plan);
    mixed.output = m_out / "mixed";
    QVERIFY(exported(makeGptqExporter, mixed));
    QCOMPARE(storedIn<std::uint32_t>(mixed.output / "model.safetensors", kQ + ".qzeros"),
             std::vector<std::uint32_t>(2 * 64 / 8, 0x88888888U));
    QCOMPARE(jsonAt(mixed.output / "quantize_config.json")["checkpoint_format"], Json("gptq_v2"));
    QCOMPARE(jsonAt(mixed.output / "config.json")["quantization_config"],
             jsonAt(mixed.output / "quantize_config.json"));
}

void TestPackedExport::groupsOfZerosGetAScaleThatIsNotZero()
{
    auto tensors = tinyLlama();
    std::vector<float> values(kEmbedding * kFeedForward, 0.5F);
    std::fill_n(values.begin(), 32, 0.0F);  // the first group of the first row
    named(tensors, kDown).bytes = rawBytes(values);
    m_model = writeFolder(m_folder, tensors);
    const ExportRequest r = requestFor("compressed-tensors", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    const auto scales = storedIn<std::uint16_t>(r.output / "model.safetensors", kDown + ".weight_scale");
    QCOMPARE(f16ToFloat(scales[0]), 0x1p-23F);
    QCOMPARE(std::ranges::count(scales, 0), std::ptrdiff_t(0));
    const auto words = storedIn<std::uint32_t>(r.output / "model.safetensors", kDown + ".weight_packed");
    QCOMPARE(words[0], 0x88888888U);  // codes of 0
    QCOMPARE(words[4], 0xFFFFFFFFU);  // and of the largest
}

void TestPackedExport::symmetricCodesKeepTheirValues()
{
    auto tensors = tinyLlama();
    std::vector<float> values(kEmbedding * kFeedForward, 0.0F);
    for (std::size_t i = 0; i < 15; ++i)
        values[i] = static_cast<float>(i) - 7;  // with a scale of 1 every code but the one that is not used
    named(tensors, kDown).bytes = rawBytes(values);
    m_model = writeFolder(m_folder, tensors);
    const ExportRequest r = requestFor("compressed-tensors", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    const auto words = storedIn<std::uint32_t>(r.output / "model.safetensors", kDown + ".weight_packed");
    QCOMPARE(words[0], 0x87654321U);
    QCOMPARE(words[1], 0x8FEDCBA9U);
    QCOMPARE(storedIn<std::uint64_t>(r.output / "model.safetensors", kDown + ".weight_shape"),
             (std::vector<std::uint64_t>{kEmbedding, kFeedForward}));
}

void TestPackedExport::configNamesSchemesAndWhatIsKept()
{
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32-asym", 0);
    layer(plan, kDown) = LayerPlan{};
    const ExportRequest r = requestFor("compressed-tensors", plan);
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    const Json config = jsonAt(r.output / "config.json")["quantization_config"];
    QCOMPARE(config["quant_method"], Json("compressed-tensors"));
    QCOMPARE(config["format"], Json("pack-quantized"));
    QCOMPARE(config["ignore"], Json::array({kDown, "lm_head"}));
    QCOMPARE(config["config_groups"].size(), std::size_t(1));
    const Json& group = config["config_groups"]["group_0"];
    QCOMPARE(group["targets"], Json::array({"Linear"}));
    const Json& scheme = group["weights"];
    QVERIFY(scheme["num_bits"] == 4 && scheme["symmetric"] == false && scheme["strategy"] == "group"
            && scheme["group_size"] == 32);
    // Everything that is not quantized has its own bytes.
    const auto stored = storedIn<std::byte>(r.output / "model.safetensors", kDown + ".weight");
    QVERIFY(std::ranges::equal(stored, m_model->view(*m_model->find(kDown + ".weight"))->bytes));

    ExportRequest awq = requestFor("awq", plan);
    awq.output = m_out / "awq";
    QVERIFY(exported(makeAwqExporter, awq));
    const Json ofAwq = jsonAt(awq.output / "config.json")["quantization_config"];
    QCOMPARE(ofAwq["modules_to_not_convert"], Json::array({"lm_head", kDown}));
    const Json& skipped = ofAwq["dynamic"];  // what GPTQModel reads instead
    QVERIFY(skipped.size() == 1 && skipped.contains("-:^" + regexOf(kDown) + "$"));
    QVERIFY(ofAwq["bits"] == 4 && ofAwq["group_size"] == 32 && ofAwq["zero_point"] == true
            && ofAwq["version"] == "gemm");
}

void TestPackedExport::differentSchemesNameTheirModules()
{
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
    layer(plan, kDown) = onGrid("int8-row");
    const ExportRequest r = requestFor("compressed-tensors", plan);
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    const Json groups = jsonAt(r.output / "config.json")["quantization_config"]["config_groups"];
    QCOMPARE(groups.size(), std::size_t(2));
    std::size_t named = 0;
    for (const auto& [id, group] : groups.items()) {
        named += group["targets"].size();
        const bool isDown = group["targets"] == Json::array({kDown});
        QCOMPARE(group["weights"]["num_bits"], Json(isDown ? 8 : 4));
        QCOMPARE(group["weights"]["strategy"], Json(isDown ? "channel" : "group"));
        QCOMPARE(group["weights"]["group_size"].is_null(), isDown);
    }
    QCOMPARE(named, std::size_t(7));
}

void TestPackedExport::gptqNamesWhatDiffersByExpressionsThatMatchFusedModules()
{
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 0);
    layer(plan, kDown) = onGrid("int8-row");
    for (const char* word : {"q", "k", "v"})
        layer(plan, std::string("model.layers.0.self_attn.") + word + "_proj") = LayerPlan{};
    const ExportRequest r = requestFor("gptq", plan);
    SizeEstimate sizes;
    QVERIFY(exported(makeGptqExporter, r, &sizes));
    const Json dynamic = jsonAt(r.output / "quantize_config.json")["dynamic"];
    QCOMPARE(dynamic.size(), std::size_t(2));
    QCOMPARE(dynamic["-:^model\\.layers\\.0\\.self_attn\\.(q_proj|k_proj|v_proj|qkv_proj)$"], Json::object());
    const Json& down = dynamic["+:^model\\.layers\\.0\\.mlp\\.down_proj$"];
    QVERIFY(down["bits"] == 8 && down["group_size"] == -1 && down["sym"] == true);
    QVERIFY(isSaid(sizes, "plain transformers does not") && !isSaid(sizes, "vLLM takes symmetric"));
}

void TestPackedExport::whatARuntimeCannotTakeIsSaid()
{
    const auto sizesOf = [&](const char* target, const char* grid, const char* ofDown, std::uint32_t rank) {
        QuantizationPlan plan = quantizeBlock(*m_model, grid, rank);
        layer(plan, kDown).grid = ofDown;
        return findExporter(target)->estimate(requestFor(target, plan)).value_or(SizeEstimate{});
    };
    QVERIFY(isSaid(sizesOf("gptq", "int3-g32", "int3-g32", 0), "vLLM takes symmetric GPTQ of 4 and 8 bits only"));
    QVERIFY(isSaid(sizesOf("gptq", "int4-g32", "int4-g32-asym", 0), "vLLM takes symmetric GPTQ of 4 and 8 bits only"));
    QVERIFY(!isSaid(sizesOf("gptq", "int4-g32", "int8-g32", 0), "vLLM takes"));
    const char* const zeros = "load no zero points in transformers";
    QVERIFY(isSaid(sizesOf("compressed-tensors", "int4-g32", "int8-g32-asym", 0), zeros));
    QVERIFY(!isSaid(sizesOf("compressed-tensors", "int4-g32", "int8-g32", 4), zeros));
    QVERIFY(isSaid(sizesOf("compressed-tensors", "int4-g32", "int8-g32", 4), "dequantize=True"));
}

void TestPackedExport::theModelsOwnConfigStaysAsItWas()
{
    m_model = writeFolder(m_folder, tinyLlama(),
                          config(R"(,"torch_dtype":"bfloat16","rope_theta":5e5,"zz":[1,{"a":null}])"));
    const ExportRequest r = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    SizeEstimate sizes;
    QVERIFY(exported(makeGptqExporter, r, &sizes));
    Json written = jsonAt(r.output / "config.json");
    QCOMPARE(std::prev(written.end()).key(), std::string("quantization_config"));
    written.erase("quantization_config");
    QVERIFY(written.dump() == m_model->config().dump());  // order too
    QCOMPARE(namesIn(r.output),
             (std::set<std::string>{"config.json", "generation_config.json", "model.safetensors",
                                    "quantize_config.json", "tokenizer.model"}));
    QVERIFY(isSaid(sizes, "computes in BF16"));
}

void TestPackedExport::theAdapterConfigScalesByOne()
{
    QuantizationPlan plan = quantizeBlock(*m_model, "int4-g32", 3);
    layer(plan, kDown).rank = 9;
    layer(plan, kQ).rank = 0;
    const ExportRequest r = requestFor("compressed-tensors", plan);
    SizeEstimate sizes;
    QVERIFY(exported(makeCompressedTensorsExporter, r, &sizes));
    QCOMPARE(sizes.adapterRank, 16U);  // vLLM's next
    const Json config = jsonAt(r.output / "lora" / "adapter_config.json");
    QVERIFY(config["peft_type"] == "LORA" && config["r"] == 16 && config["lora_alpha"] == 16
            && config["use_rslora"] == false);
    QCOMPARE(config["rank_pattern"], config["alpha_pattern"]);
    QCOMPARE(config["rank_pattern"][kDown], Json(9));
    QCOMPARE(config["rank_pattern"].size(), std::size_t(6));
    QVERIFY(std::ranges::find(config["target_modules"], Json("down_proj")) != config["target_modules"].end());
    QVERIFY(std::ranges::find(config["target_modules"], Json("q_proj")) == config["target_modules"].end());
    const fs::path adapter = r.output / "lora" / "adapter_model.safetensors";
    QCOMPARE(storedIn<std::uint16_t>(adapter, "base_model.model." + kDown + ".lora_A.weight").size(), 9 * kFeedForward);
    QCOMPARE(storedIn<std::uint16_t>(adapter, "base_model.model." + kDown + ".lora_B.weight").size(), 9 * kEmbedding);
    QVERIFY(storedIn<std::uint16_t>(adapter, "base_model.model." + kQ + ".lora_A.weight").empty());
    Bytes factors = 0;
    for (std::size_t i = 0; i < plan.layers.size(); ++i) {
        const Shape& shape = m_model->tensors()[i].shape;
        factors += plan.layers[i].rank == 0 ? 0 : 2 * plan.layers[i].rank * (shape[0] + shape[1]);
    }
    QCOMPARE(sizes.factors, factors);
}

/// Left behind it would correct another model.
void TestPackedExport::anAdapterOfAnEarlierExportGoesWithItsModel()
{
    ExportRequest r = requestFor("compressed-tensors", quantizeBlock(*m_model, "int4-g32", 2));
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    QCOMPARE(namesIn(r.output / "lora"), (std::set<std::string>{"adapter_config.json", "adapter_model.safetensors"}));
    r.plan = quantizeBlock(*m_model, "int4-g32", 0);
    r.overwrite = true;
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    QVERIFY(!fs::exists(r.output / "lora" / "adapter_config.json")
            && !fs::exists(r.output / "lora" / "adapter_model.safetensors"));
    QVERIFY(Checkpoint::open(r.output, {.strict = true}));
}

/// Somebody's own work may lie in a folder of that name.
void TestPackedExport::anAdapterOfTheUserStays()
{
    ExportRequest r = requestFor("compressed-tensors", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    fs::create_directories(r.output / "lora");
    fs::copy_file(r.output / "model.safetensors", r.output / "lora" / "adapter_model.safetensors");
    test::writeFile(r.output / "lora" / "adapter_config.json", "{}");
    r.overwrite = true;
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    QVERIFY(fs::exists(r.output / "lora" / "adapter_config.json") && fs::exists(r.output / "lora" / "adapter_model.safetensors"));
}

/// GPTQModel would take the folder for GPTQ.
void TestPackedExport::theOlderConfigGoesWithTheModelItSpeaksOf()
{
    ExportRequest r = requestFor("gptq", quantizeBlock(*m_model, "int4-g32", 0));
    QVERIFY(exported(makeGptqExporter, r));
    QVERIFY(fs::exists(r.output / "quantize_config.json"));
    r.plan.target = "compressed-tensors";
    r.overwrite = true;
    QVERIFY(exported(makeCompressedTensorsExporter, r));
    QVERIFY(!fs::exists(r.output / "quantize_config.json"));
}

void TestPackedExport::rowsThatAGroupDoesNotDivideGetANarrowerOne()
{
    // Rows of 64, of the last layer 96.
    const auto resolvedFor = [this](const char* target) {
        const auto recipe = recipeFromPreset("rtn-w4", target);
        return resolve(*recipe, *m_model, ModelTopology(*m_model));
    };
    const auto packed = resolvedFor("compressed-tensors");
    QVERIFY(packed);
    QCOMPARE(packed->plan.layers[*m_model->find(kQ + ".weight")].grid, std::string("int4-g64"));
    QCOMPARE(packed->plan.layers[*m_model->find(kDown + ".weight")].grid, std::string("int4-g32"));
    QCOMPARE(packed->fallbacks.size(), std::size_t(7));
    QVERIFY2(
        packed->fallbacks.back().detail.find("row length 96 is no multiple of 128: int4-g32 instead of int4-g128, +")
            != std::string::npos,
        packed->fallbacks.back().detail.c_str());
    QVERIFY(findExporter("compressed-tensors")->estimate(requestFor("compressed-tensors", packed->plan)));
    // One scheme: all follow the narrowest.
    const auto awq = resolvedFor("awq");
    QVERIFY(awq);
    QCOMPARE(awq->plan.layers[*m_model->find(kQ + ".weight")].grid, std::string("int4-g32-asym"));
    QVERIFY(findExporter("awq")->estimate(requestFor("awq", awq->plan)));
    // The research container takes short groups as they are.
    QVERIFY(gridForRows("research", **findGrid("int4-g128"), 96) == *findGrid("int4-g128"));
    QVERIFY(gridForRows("gptq", **findGrid("int4-g128"), 100) == *findGrid("int4-row"));
}

void TestPackedExport::commandsNameAdapterAndRank()
{
    const ExportRequest r = requestFor("compressed-tensors", quantizeBlock(*m_model, "int4-g32", 20));
    const ExporterRow& row = *findExporter("compressed-tensors");
    const std::string command = row.loadCommand(*row.estimate(r));
    QVERIFY2(command.starts_with("vllm serve ")
                 && command.find("--max-lora-rank 32 --lora-modules") != std::string::npos
                 && command.find((r.output / "lora").string()) != std::string::npos,
             command.c_str());
    const ExporterRow& gptq = *findExporter("gptq");
    const std::string peft = gptq.loadCommand(*gptq.estimate(requestFor("gptq", r.plan)));
    QVERIFY2(peft.find("peft.PeftModel.from_pretrained(gptqmodel.GPTQModel.load") != std::string::npos
                 && peft.ends_with("lora"),
             peft.c_str());
}

QTEST_GUILESS_MAIN(TestPackedExport)
#include "tst_packed_export.moc"
