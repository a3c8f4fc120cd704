// SPDX-License-Identifier: GPL-3.0-or-later
//
// What llama.cpp's own library makes of our models and adapters. One thread, F32 KV cache, no flash attention, weights not
// repacked: so that differences are those of the files. (Encoders and decoders: tst_llama_codecs.cpp.)
#include "interop/WrongFactors.h"
#include "support/Oracles.h"
#include "support/SampleModel.h"

#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/export/GgufWriter.h"
#include "core/model/TokenizerSpm.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Decode.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <string>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

namespace {

std::vector<float> scoresOf(const GgufKey& key)
{
    std::vector<float> values(key.count);
    const std::size_t words = key.value.size() - 4 * values.size();  // element type and count
    std::memcpy(values.data(), key.value.data() + words, 4 * values.size());
    return values;
}

}  // namespace

class TestLlamaCpp : public QObject {
    Q_OBJECT

private:
    std::unique_ptr<LlamaLibrary> m_llama;
    std::shared_ptr<const Checkpoint> m_model;
    std::optional<Imatrix> m_imatrix;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    std::vector<std::int32_t> m_tokens;
    QTemporaryDir m_dir;
    std::map<fs::path, std::vector<float>> m_logits;

    [[nodiscard]] fs::path at(const char* name) const { return fs::path(m_dir.path().toStdString()) / name; }

    /// A plan by preset, then changed tensor by tensor.
    [[nodiscard]] QuantizationPlan plan(const char* preset, const std::function<void(const TensorInfo&, LayerPlan&)>& change = {}) const
    {
        auto resolved = resolve(*recipeFromPreset(preset), *m_model, ModelTopology(*m_model));
        QuantizationPlan plan = std::move(resolved->plan);
        for (std::size_t i = 0; change && i < plan.layers.size(); ++i)
            change(m_model->tensors()[i], plan.layers[i]);
        return plan;
    }

    /// Ranks of all sizes, on the embedding and output too.
    [[nodiscard]] QuantizationPlan mixedRanks(FactorType factors) const
    {
        std::uint32_t next = 0;
        return plan("l2qer-w4", [&](const TensorInfo& tensor, LayerPlan& layer) {
            constexpr std::array<std::uint32_t, 6> kRanks{32, 7, 1, 64, 0, 16};
            const bool outer = tensor.name == "model.embed_tokens.weight" || tensor.name == "lm_head.weight";
            if (layer.keep && !outer)
                return;
            layer = {.keep = false, .grid = outer ? "q8_0" : "q4_0", .rank = outer ? 5 : kRanks[next++ % kRanks.size()], .factors = factors};
        });
    }

    enum class Form { AsPlanned, Dequantized, Merged };

    /// Runs the plan; what went wrong, or nothing.
    [[nodiscard]] std::string write(const fs::path& output, const QuantizationPlan& plan, Form form = Form::AsPlanned,
                                    const std::shared_ptr<const Checkpoint>& templateGguf = {},
                                    const std::shared_ptr<const Checkpoint>& model = {})
    {
        ExportRequest request;
        request.checkpoint = model ? model : m_model;
        request.plan = plan;
        request.output = output;
        request.templateGguf = templateGguf;
        request.calibration = &*m_imatrix;
        request.dequantized = form != Form::AsPlanned;
        request.merged = form == Form::Merged;
        const auto run = quantize(request, *findExporter("gguf"), *m_backend, {}, {});
        if (!run)
            return run.error().detail;
        return run->writtenBytes == run->estimate.total ? std::string() : "the estimate is not what was written";
    }

    /// Logits of the sample text; empty, after a failed check, if llama.cpp refuses.
    [[nodiscard]] std::vector<float> logits(const fs::path& model, const fs::path& adapter = {})
    {
        std::string problem;
        const auto run = m_llama->evaluate(model, adapter, m_tokens, problem);
        if (!run)
            qWarning("%s", problem.c_str());
        return run ? run->logits : std::vector<float>{};
    }

    /// The adapter with its tensors or alpha changed, written as a new file.
    void writeChangedAdapter(const fs::path& from, const fs::path& to, float alpha,
                             const std::function<void(std::vector<GgufTensorSpec>&, std::vector<std::vector<std::byte>>&)>& change)
    {
        const auto adapter = Checkpoint::open(from);
        QVERIFY(adapter);
        GgufKeys keys;
        for (const GgufKey& key : (*adapter)->gguf().keys())
            keys.copy(key);
        keys.set("adapter.lora.alpha", alpha);
        std::vector<GgufTensorSpec> specs;
        std::vector<std::vector<std::byte>> bytes;
        for (std::size_t i = 0; i < (*adapter)->tensors().size(); ++i) {
            const TensorInfo& tensor = (*adapter)->tensors()[i];
            specs.push_back({tensor.name, tensor.dtype, tensor.shape});
            const auto view = (*adapter)->view(i);
            bytes.emplace_back(view->bytes.begin(), view->bytes.end());
        }
        change(specs, bytes);
        auto writer = GgufWriter::create(to, *layoutGguf(keys, specs), true);
        QVERIFY(writer);
        for (const auto& tensor : bytes)
            QVERIFY(writer->append(tensor));
        const Status finished = writer->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());
    }

private slots:
    void initTestCase()
    {
        std::string problem;
        m_llama = LlamaLibrary::open(problem);
        QVERIFY2(m_llama != nullptr, problem.c_str());
        auto sample = openSample(problem);
        QVERIFY2(sample, problem.c_str());
        m_model = std::move(sample->model);
        m_imatrix = std::move(sample->imatrix);
        std::ifstream text(kSample / "test.txt");
        const std::string content{std::istreambuf_iterator<char>(text), {}};
        auto tokens = encodeWithSentencePiece(kSample / "tokenizer.model", content.substr(0, 400));
        QVERIFY(tokens);
        m_tokens = {1};
        m_tokens.insert(m_tokens.end(), tokens->begin(), tokens->end());
        m_tokens.resize(std::min<std::size_t>(m_tokens.size(), 64));
        QCOMPARE(m_tokens.size(), std::size_t{64});
    }

    void textBecomesTheTokensOfSentencePiece()
    {
        QVERIFY(write(at("kept.gguf"), plan("rtn-w4", [](const TensorInfo&, LayerPlan& layer) { layer = {}; })).empty());
        for (const std::string& text : {std::string("It is a truth universally acknowledged, that a single man"), std::string("  two  spaces "),
                                        std::string("naïve café, 漢字 and 🙂"), std::string("“quoted” — 1813\n\nnew line")}) {
            std::string problem;
            const auto theirs = m_llama->tokenize(at("kept.gguf"), text, problem);
            QVERIFY2(theirs, problem.c_str());
            auto expected = encodeWithSentencePiece(kSample / "tokenizer.model", text);
            QVERIFY(expected);
            expected->insert(expected->begin(), 1);
            QCOMPARE(QVector<int>(theirs->begin(), theirs->end()), QVector<int>(expected->begin(), expected->end()));
        }
    }

    void aQ4ModelSaysWhatItsDecodedValuesSay()
    {
        QCOMPARE(write(at("rtn.gguf"), plan("rtn-w4")), std::string());
        QCOMPARE(write(at("rtn-f32.gguf"), plan("rtn-w4"), Form::Dequantized), std::string());
        const auto quantized = logits(at("rtn.gguf"));
        const auto exact = logits(at("rtn-f32.gguf"));
        const double scale = largest(exact);
        // The one difference: llama.cpp rounds activations to 8 bits for Q4_0 (half a step of amax/127, 0.4 % of the
        // largest of 32) and to BF16 for the kept output. Independent over 28 products; 2 % leaves room for the tails.
        const double difference = largestDifference(quantized, exact);
        qInfo("q4_0 against its F32 values: %.4f of the largest logit", difference / scale);
        QVERIFY(difference <= 0.02 * scale);
        QVERIFY(difference > 0);
        // The weights' own rounding is far larger: the bound above would not pass another model.
        const auto original = logits(at("kept.gguf"));
        QVERIFY(largestDifference(exact, original) > 2 * 0.02 * scale);
    }

    void folderTemplateAndGgufSourceAgree()
    {
        std::string problem;
        const std::string script = SIGMASCOPE_SOURCE_DIR "/tests/interop/gguf_oracle.py";
        QVERIFY2(runPython({script, "write", kSample.string(), at("reference.gguf").string()}, problem), problem.c_str());
        const auto reference = Checkpoint::open(at("reference.gguf"));
        QVERIFY2(reference, reference ? "" : reference.error().detail.c_str());
        const QuantizationPlan ours = plan("rtn-w4");
        QCOMPARE(write(at("templated.gguf"), ours, Form::AsPlanned, *reference), std::string());

        // The same intent for the GGUF's own tensor order.
        QuantizationPlan theirs;
        for (const TensorInfo& tensor : (*reference)->tensors()) {
            const auto twin = std::find_if(m_model->tensors().begin(), m_model->tensors().end(),
                                           [&](const TensorInfo& t) { return ggufNameOf(t.name) == tensor.name; });
            QVERIFY(twin != m_model->tensors().end());
            theirs.layers.push_back(ours.layers[static_cast<std::size_t>(twin - m_model->tensors().begin())]);
        }
        QCOMPARE(write(at("from-gguf.gguf"), theirs, Form::AsPlanned, {}, *reference), std::string());

        const auto fromFolder = logits(at("rtn.gguf"));
        QVERIFY(!fromFolder.empty());
        QVERIFY(fromFolder == logits(at("templated.gguf")));
        QVERIFY(fromFolder == logits(at("from-gguf.gguf")));

        // And the folder's own BF16 export holds the reference's bytes, keys included.
        const auto kept = Checkpoint::open(at("kept.gguf"));
        QVERIFY(kept);
        for (std::size_t i = 0; i < (*reference)->tensors().size(); ++i) {
            const auto expected = (*reference)->view(i);
            const auto index = (*kept)->find((*reference)->tensors()[i].name);
            QVERIFY(index);
            const auto found = (*kept)->view(*index);
            QVERIFY(found->dtype == expected->dtype && found->shape == expected->shape);
            QVERIFY(std::ranges::equal(found->bytes, expected->bytes));
        }
        for (const GgufKey& key : (*reference)->gguf().keys()) {
            const GgufKey* found = (*kept)->gguf().find(key.key);
            QVERIFY2(found != nullptr, std::string(key.key).c_str());
            if (key.key == "tokenizer.ggml.scores")  // the first merge scores -0 here, 0 there
                QVERIFY(scoresOf(*found) == scoresOf(key));
            else if (key.key != "general.name")
                QVERIFY2(found->type == key.type && std::ranges::equal(found->value, key.value), std::string(key.key).c_str());
        }
    }

    void aFloatBaseWithItsAdapterEqualsTheMerge()
    {
        QCOMPARE(write(at("lora-f32.gguf"), mixedRanks(FactorType::F16), Form::Dequantized), std::string());
        QCOMPARE(write(at("merged.gguf"), mixedRanks(FactorType::F16), Form::Merged), std::string());
        QVERIFY(!fs::exists(at("merged-lora.gguf")));
        const auto merged = logits(at("merged.gguf"));
        const auto together = logits(at("lora-f32.gguf"), at("lora-f32-lora.gguf"));
        const double scale = largest(merged);
        const double difference = largestDifference(together, merged);
        qInfo("F32 base + F32 adapter against the merge: %.2e of the largest logit", difference / scale);
        QVERIFY(difference <= 1e-4 * scale);
        // The adapter does something: without it the base is far from the merge.
        QVERIFY(largestDifference(logits(at("lora-f32.gguf")), merged) > 1e-2 * scale);
    }

    void wrongFactorsDoNotEqualTheMerge_data()
    {
        QTest::addColumn<QString>("wrong");
        QTest::newRow("A and B swapped") << "swapped";
        QTest::newRow("divided by the rank") << "unscaled";
        QTest::newRow("rows of B left in the order of the folder") << "unpermuted";
    }

    void wrongFactorsDoNotEqualTheMerge()
    {
        QFETCH(QString, wrong);
        int changed = 0;
        const auto spoil = [&](std::vector<GgufTensorSpec>& specs, std::vector<std::vector<std::byte>>& bytes) {
            for (std::size_t i = 0; i + 1 < specs.size(); i += 2) {
                const std::string& name = specs[i].name;
                const bool square = specs[i].shape.back() == specs[i + 1].shape[0] && name.starts_with("blk.");
                const bool rotated = name.find("attn_q") != std::string::npos || name.find("attn_k") != std::string::npos;
                if (wrong == "swapped" && square)
                    swapFactors(specs[i], bytes[i], bytes[i + 1]);
                else if (wrong == "unpermuted" && rotated)
                    undoPermutation(specs[i + 1], bytes[i + 1]);
                else
                    continue;
                ++changed;
            }
        };
        writeChangedAdapter(at("lora-f32-lora.gguf"), at("wrong-lora.gguf"), wrong == "unscaled" ? 1.0F : 0.0F, spoil);
        QVERIFY(wrong == "unscaled" || changed >= 4);
        const auto merged = logits(at("merged.gguf"));
        const auto together = logits(at("lora-f32.gguf"), at("wrong-lora.gguf"));
        QVERIFY(!together.empty());
        const double difference = largestDifference(together, merged) / largest(merged);
        qInfo("wrong factors (%s): %.2e of the largest logit", qPrintable(wrong), difference);
        QVERIFY(difference > 10 * 1e-4);
    }

    void aQ4BaseWithItsAdapterEqualsTheMergeAsWellAsTheBaseEqualsItself_data()
    {
        QTest::addColumn<int>("factors");
        QTest::newRow("Q8_0 factors") << static_cast<int>(FactorType::Q8_0);
        QTest::newRow("F16 factors") << static_cast<int>(FactorType::F16);
        QTest::newRow("BF16 factors") << static_cast<int>(FactorType::BF16);
    }

    void aQ4BaseWithItsAdapterEqualsTheMergeAsWellAsTheBaseEqualsItself()
    {
        QFETCH(int, factors);
        const QuantizationPlan corrected = plan("l2qer-w4", [&](const TensorInfo&, LayerPlan& layer) {
            layer.factors = static_cast<FactorType>(factors);
        });
        const QuantizationPlan alone = plan("rtn-w4");
        for (const char* stale : {"q4.gguf", "q4-lora.gguf", "q4-merged.gguf"})
            fs::remove(at(stale));
        QCOMPARE(write(at("q4.gguf"), corrected), std::string());
        QCOMPARE(write(at("q4-merged.gguf"), corrected, Form::Merged), std::string());
        const auto merged = logits(at("q4-merged.gguf"));
        const double withAdapter = largestDifference(logits(at("q4.gguf"), at("q4-lora.gguf")), merged) / largest(merged);
        const auto exact = logits(at("rtn-f32.gguf"));
        const double baseAlone = largestDifference(logits(at("rtn.gguf")), exact) / largest(exact);
        qInfo("Q4_0 base + adapter against the merge: %.4f; base alone against its values: %.4f", withAdapter, baseAlone);
        QVERIFY(withAdapter <= 2 * baseAlone);
        // And it is a correction: the pair is nearer to the original than the base alone.
        const auto original = logits(at("kept.gguf"));
        QVERIFY(largestDifference(merged, original) < largestDifference(exact, original));
    }

    void theReferenceReaderSeesTheSameTensors_data()
    {
        QTest::addColumn<QString>("file");
        for (const char* file : {"q4.gguf", "q4-lora.gguf", "merged.gguf", "lora-f32-lora.gguf"})
            QTest::newRow(file) << file;
    }

    void theReferenceReaderSeesTheSameTensors()
    {
        QFETCH(QString, file);
        const fs::path path = at(file.toStdString().c_str());
        std::string problem;
        const std::string script = SIGMASCOPE_SOURCE_DIR "/tests/interop/gguf_oracle.py";
        const auto output = runPython({script, "read", path.string(), at("values.f32").string()}, problem);
        QVERIFY2(output, problem.c_str());
        const auto listing = parseJson(*output, "gguf_oracle.py");
        QVERIFY2(listing, listing ? "" : listing.error().detail.c_str());
        const auto ours = Checkpoint::open(path);
        QVERIFY(ours);
        QCOMPARE((*listing)["tensors"].size(), (*ours)->tensors().size());
        QCOMPARE((*listing)["keys"]["general.architecture"].get<std::string>(), std::string("llama"));

        std::ifstream values(at("values.f32"), std::ios::binary);
        for (std::size_t i = 0; i < (*ours)->tensors().size(); ++i) {
            const TensorInfo& tensor = (*ours)->tensors()[i];
            const Json& theirs = (*listing)["tensors"][i];
            QCOMPARE(theirs["name"].get<std::string>(), tensor.name);
            QCOMPARE(theirs["type"].get<std::string>(), std::string(info(tensor.dtype).name));
            QVERIFY(theirs["shape"].get<Shape>() == tensor.shape);
            const auto view = (*ours)->view(i);
            std::vector<float> decoded(view->elements());
            decode(view->dtype, view->bytes, decoded);
            std::vector<float> expected(decoded.size());
            values.read(reinterpret_cast<char*>(expected.data()), static_cast<std::streamsize>(4 * expected.size()));
            QVERIFY(values.good());
            QVERIFY2(std::memcmp(decoded.data(), expected.data(), 4 * decoded.size()) == 0, tensor.name.c_str());
        }
    }
};

QTEST_GUILESS_MAIN(TestLlamaCpp)
#include "tst_llama_cpp.moc"
