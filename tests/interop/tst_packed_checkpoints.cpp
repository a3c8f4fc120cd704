// SPDX-License-Identifier: GPL-3.0-or-later
// Quantized checkpoints as others define them: make_packed.py writes folders of every layout from the format's definition,
// with the values that the definition gives; ours are the same to the bit, and become a GGUF that llama.cpp runs.
#include "core/base/Half.h"
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Decode.h"
#include "support/Oracles.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cstring>
#include <filesystem>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const std::string kScript = SIGMASCOPE_SOURCE_DIR "/tests/interop/make_packed.py";
const fs::path kSample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

bool areSameBits(std::span<const float> a, std::span<const float> b)
{
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

std::vector<float> valuesOf(const Checkpoint& checkpoint, std::size_t tensor)
{
    const auto view = checkpoint.view(tensor);
    if (!view)
        return {};
    std::vector<float> values(view->elements());
    decode(view->dtype, view->bytes, values);
    return values;
}

}  // namespace

class TestPackedCheckpoints : public QObject {
    Q_OBJECT

    QTemporaryDir m_dir;
    std::unique_ptr<LlamaLibrary> m_llama;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();

    [[nodiscard]] fs::path at(const std::string& name) const { return fs::path(m_dir.path().toStdString()) / name; }
    [[nodiscard]] ExportRequest request(const std::shared_ptr<const Checkpoint>& model, const char* grid, const fs::path& output) const
    {
        ExportRequest r;
        r.checkpoint = model;
        r.output = output;
        r.plan.layers.resize(model->tensors().size());
        const ModelTopology topology(*model);
        for (std::size_t i = 0; i < r.plan.layers.size() && grid != nullptr; ++i) {
            if (topology.isQuantizable(i))
                r.plan.layers[i] = {.keep = false, .grid = grid, .metric = MetricKind::Plain};
        }
        return r;
    }

private slots:
    void initTestCase()
    {
        std::string problem;
        m_llama = LlamaLibrary::open(problem);
        QVERIFY2(m_llama != nullptr, problem.c_str());
        QVERIFY2(runPython({kScript, "layouts", at("layouts").string()}, problem), problem.c_str());
    }

    void everyLayoutDecodesToWhatItsDefinitionGives()
    {
        std::size_t folders = 0;
        std::size_t matrices = 0;
        for (const auto& entry : fs::directory_iterator(at("layouts") / "expected")) {
            const std::string name = entry.path().stem().string();
            const auto opened = Checkpoint::open(at("layouts") / name, {.strict = true, .coded = &codedFormats()});
            QVERIFY2(opened, (name + ": " + (opened ? "" : opened.error().detail)).c_str());
            const auto expected = Checkpoint::open(entry.path(), {.strict = true});
            QVERIFY2(expected, name.c_str());
            QCOMPARE((*opened)->tensors().size(), (*expected)->tensors().size());
            Bytes stored = 0;
            for (std::size_t i = 0; i < (*opened)->tensors().size(); ++i) {
                const TensorInfo& tensor = (*opened)->tensors()[i];
                const auto twin = (*expected)->find(tensor.name);
                QVERIFY2(twin, (name + ": " + tensor.name).c_str());
                QCOMPARE(tensor.shape, (*expected)->tensors()[*twin].shape);
                QVERIFY2((*opened)->packed(i) != nullptr, name.c_str());
                const auto values = valuesOf(**expected, *twin);
                QVERIFY2(areSameBits(valuesOf(**opened, i), values), (name + ": " + tensor.name).c_str());
                const std::uint64_t rows = tensor.elements() / tensor.shape.back();
                const std::uint64_t first = rows / 3;  // tiles that begin and end anywhere
                const std::uint64_t count = rows - first - 1;
                std::vector<float> some(count * tensor.shape.back());
                QVERIFY((*opened)->readPackedRows(i, first, count, some));
                QVERIFY2(areSameBits(some, std::span(values).subspan(first * tensor.shape.back(), some.size())), (name + ": rows of " + tensor.name).c_str());
                stored += tensor.bytes;
                ++matrices;
            }
            // Nothing of the file is left out of the count: codes, scales, zero points, indices, shapes.
            QVERIFY(stored == (*opened)->totalBytes());
            const Bytes file = fs::file_size(at("layouts") / name / "model.safetensors");
            QVERIFY2(stored < file && file - stored < 8192, name.c_str());
            ++folders;
        }
        QCOMPARE(folders, std::size_t{47});
        QVERIFY(matrices > 80);
    }

    void aPackedModelBecomesTheGgufOfItsValues_data()
    {
        QTest::addColumn<QString>("layout");
        QTest::addColumn<QString>("format");
        QTest::newRow("gptq") << "gptq" << "GPTQ int4 g32";
        QTest::newRow("awq") << "awq" << "AWQ int4 g32";
        QTest::newRow("compressed-tensors") << "compressed" << "compressed-tensors int4 g32";
        QTest::newRow("bitsandbytes") << "nf4" << "bitsandbytes NF4 b64";
    }
    void aPackedModelBecomesTheGgufOfItsValues()
    {
        QFETCH(QString, layout);
        QFETCH(QString, format);
        std::string problem;
        const std::string name = layout.toStdString();
        QVERIFY2(runPython({kScript, "model", name, kSample.string(), at(name).string()}, problem), problem.c_str());
        const auto packed = Checkpoint::open(at(name), {.strict = true, .coded = &codedFormats()});
        QVERIFY2(packed, packed ? "" : packed.error().detail.c_str());
        const auto plain = Checkpoint::open(at(name + "-plain"), {.strict = true});
        QVERIFY2(plain, plain ? "" : plain.error().detail.c_str());
        QCOMPARE((*packed)->tensors().size(), (*plain)->tensors().size());
        QVERIFY((*packed)->totalBytes() < (*plain)->totalBytes() / 2);
        const auto index = (*packed)->find("model.layers.0.self_attn.q_proj.weight");
        QVERIFY(index);
        QCOMPARE(QString::fromStdString((*packed)->tensors()[*index].unknownDtype), format);

        for (const auto& [model, file] : {std::pair(*packed, "packed"), std::pair(*plain, "plain")}) {
            const auto run = quantize(request(model, "q4_k", at(name + "-" + file + ".gguf")), *findExporter("gguf"), *m_backend, {}, {});
            QVERIFY2(run, run ? "" : run.error().detail.c_str());
            const bool isTold = std::ranges::any_of(run->estimate.notes, [&](const std::string& note) {
                return note.find(format.toStdString()) != std::string::npos && note.find("28 of") != std::string::npos;
            });
            QCOMPARE(isTold, std::string(file) == "packed");
        }
        const auto ours = Checkpoint::open(at(name + "-packed.gguf"), {.strict = true});
        const auto theirs = Checkpoint::open(at(name + "-plain.gguf"), {.strict = true});
        QVERIFY(ours && theirs);
        QCOMPARE((*ours)->tensors().size(), (*theirs)->tensors().size());
        for (std::size_t i = 0; i < (*theirs)->tensors().size(); ++i) {
            const auto same = (*ours)->find((*theirs)->tensors()[i].name);
            QVERIFY(same);
            QVERIFY((*ours)->tensors()[*same].dtype == (*theirs)->tensors()[i].dtype);
            QVERIFY(std::ranges::equal((*ours)->view(*same)->bytes, (*theirs)->view(i)->bytes));
        }
        const std::vector<std::int32_t> tokens{1, 20, 300, 41, 5, 66, 7, 800};
        const auto logits = m_llama->evaluate(at(name + "-packed.gguf"), {}, tokens, problem);
        QVERIFY2(logits, problem.c_str());
        const auto reference = m_llama->evaluate(at(name + "-plain.gguf"), {}, tokens, problem);
        QVERIFY2(reference, problem.c_str());
        QVERIFY(logits->logits == reference->logits);
        QVERIFY(std::ranges::any_of(logits->logits, [](float value) { return value != 0; }));
    }

    void aPackedModelBecomesBf16WithItsLoss()
    {
        std::string problem;
        QVERIFY2(runPython({kScript, "model", "gptq", kSample.string(), at("source").string()}, problem), problem.c_str());
        const auto packed = Checkpoint::open(at("source"), {.strict = true});
        QVERIFY(packed);
        const auto run = quantize(request(*packed, nullptr, at("bf16")), *findExporter("bf16"), *m_backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
        const auto copy = Checkpoint::open(at("bf16"), {.strict = true});
        QVERIFY2(copy, copy ? "" : copy.error().detail.c_str());
        QVERIFY(!(*copy)->config().contains("quantization_config"));
        for (std::size_t i = 0; i < (*packed)->tensors().size(); ++i) {
            const TensorInfo& tensor = (*packed)->tensors()[i];
            const auto twin = (*copy)->find(tensor.name);
            QVERIFY(twin);
            QVERIFY((*copy)->tensors()[*twin].dtype == DType::BF16);
            std::vector<float> values = valuesOf(**packed, i);
            for (float& value : values)
                value = bf16ToFloat(floatToBf16(value));
            QVERIFY2(areSameBits(valuesOf(**copy, *twin), values), tensor.name.c_str());
            const auto result = std::ranges::find(run->tensors, tensor.name, &TensorResult::name);
            QVERIFY(result != run->tensors.end() && result->weightError.has_value());
            // Codes of 4 bits times scales of 11 do not fit 8 bits; rounding loses at most half a unit of the last.
            const bool isPacked = (*packed)->packed(i) != nullptr;
            QVERIFY(isPacked ? *result->weightError > 0 && *result->weightError < 0x1.0p-8 : *result->weightError == 0);
        }
    }

    void aPackedModelIsPackedAnewAndKeepsWhatItIsToldTo()
    {
        const auto source = Checkpoint::open(at("source"), {.strict = true});
        QVERIFY(source);
        const std::string kept = "model.layers.1.mlp.down_proj.weight";
        for (const char* const target : {"compressed-tensors", "research"}) {
            ExportRequest r = request(*source, "int4-g32", at(target));
            r.plan.layers[*(*source)->find(kept)] = {};
            const auto run = quantize(r, *findExporter(target), *m_backend, {}, {});
            QVERIFY2(run, run ? "" : run.error().detail.c_str());
            const auto written = Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()});
            QVERIFY2(written, written ? "" : written.error().detail.c_str());
            QCOMPARE((*written)->tensors().size(), (*source)->tensors().size());
            for (std::size_t i = 0; i < (*source)->tensors().size(); ++i) {
                const TensorInfo& tensor = (*source)->tensors()[i];
                const auto twin = (*written)->find(tensor.name);
                QVERIFY2(twin, tensor.name.c_str());
                const bool isSame = areSameBits(valuesOf(**source, i), valuesOf(**written, *twin));
                QVERIFY2(isSame == (tensor.name == kept || (*source)->packed(i) == nullptr), tensor.name.c_str());
            }
        }
    }
};

QTEST_GUILESS_MAIN(TestPackedCheckpoints)
#include "tst_packed_checkpoints.moc"
