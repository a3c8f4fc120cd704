// SPDX-License-Identifier: GPL-3.0-or-later
//
// A model in several GGUF files, and what its metadata say of where it comes from: read by PyPI gguf, run by llama.cpp.
#include "support/Oracles.h"
#include "support/SampleModel.h"

#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/export/GgufSplit.h"
#include "core/project/Pipeline.h"

#include <QTemporaryDir>
#include <QTest>

#include <array>
#include <fstream>
#include <iterator>
#include <string>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

class TestGgufParts : public QObject {
    Q_OBJECT

private:
    std::unique_ptr<LlamaLibrary> m_llama;
    std::shared_ptr<const Checkpoint> m_model;
    std::optional<Imatrix> m_imatrix;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    QTemporaryDir m_dir;
    std::size_t m_count = 0;  ///< files of the model in several

    [[nodiscard]] fs::path at(const std::string& name) const { return fs::path(m_dir.path().toStdString()) / name; }

    Result<RunResult> write(const std::string& name, Bytes most)
    {
        auto resolved = resolve(*recipeFromPreset("l2qer-w4"), *m_model, ModelTopology(*m_model));
        if (!resolved)
            return passOn(resolved);
        ExportRequest request;
        request.checkpoint = m_model;
        request.plan = std::move(resolved->plan);
        request.output = at(name);
        request.calibration = &*m_imatrix;
        request.ggufMaxBytes = most;
        return quantize(request, *findExporter("gguf"), *m_backend, {}, {});
    }

    /// Keys and tensors by the reference reader; null after a failed check.
    [[nodiscard]] Json readByReference(const fs::path& path) const
    {
        std::string problem;
        const std::string script = SIGMASCOPE_SOURCE_DIR "/tests/interop/gguf_oracle.py";
        const auto output = runPython({script, "read", path.string(), at("values.f32").string()}, problem);
        if (!output) {
            qWarning("%s", problem.c_str());
            return {};
        }
        return parseJson(*output, "gguf_oracle.py").value_or(Json());
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
        QVERIFY(write("whole.gguf", 0));
        const auto split = write("parts.gguf", 1'500'000);
        QVERIFY2(split, split ? "" : split.error().detail.c_str());
        QVERIFY(split->outputs.size() > 3);
        m_count = split->outputs.size() - 1;  // and the adapter
    }

    void llamaCppRunsTheSameModelFromItsFirstFile()
    {
        const std::array<std::int32_t, 8> tokens{1, 5, 60, 7, 300, 12, 9, 2};
        std::string problem;
        const auto whole = m_llama->evaluate(at("whole.gguf"), at("whole-lora.gguf"), tokens, problem);
        QVERIFY2(whole, problem.c_str());
        const auto first = splitPathFor(at("parts.gguf"), 0, m_count);
        const auto parts = m_llama->evaluate(first, at("parts-lora.gguf"), tokens, problem);
        QVERIFY2(parts, problem.c_str());
        QVERIFY(!whole->logits.empty() && whole->logits == parts->logits);
        // Without one of them it does not load.
        fs::rename(splitPathFor(at("parts.gguf"), 1, m_count), at("aside"));
        const auto incomplete = m_llama->evaluate(first, {}, tokens, problem);
        fs::rename(at("aside"), splitPathFor(at("parts.gguf"), 1, m_count));
        QVERIFY(!incomplete);
    }

    void theReferenceReaderFindsEveryTensorOnce()
    {
        const Json whole = readByReference(at("whole.gguf"));
        std::ifstream wholeValues(at("values.f32"), std::ios::binary);
        const std::string expected{std::istreambuf_iterator<char>(wholeValues), {}};
        std::string found;
        Json tensors = Json::array();
        for (std::size_t number = 0; number < m_count; ++number) {
            const Json part = readByReference(splitPathFor(at("parts.gguf"), number, m_count));
            QVERIFY(part.is_object());
            QCOMPARE(part["keys"]["split.no"].get<std::size_t>(), number);
            QCOMPARE(part["keys"]["split.count"].get<std::size_t>(), m_count);
            QCOMPARE(part["keys"]["split.tensors.count"].get<std::size_t>(), whole["tensors"].size());
            QCOMPARE(part["keys"].contains("general.architecture"), number == 0);
            for (const Json& tensor : part["tensors"])
                tensors.push_back(tensor);
            std::ifstream values(at("values.f32"), std::ios::binary);
            found += std::string{std::istreambuf_iterator<char>(values), {}};
        }
        QVERIFY(tensors == whole["tensors"]);
        QVERIFY(!found.empty() && found == expected);
    }

    void metadataTellWhereTheModelComesFrom()
    {
        const Json keys = readByReference(at("whole.gguf"))["keys"];
        QCOMPARE(keys["general.type"].get<std::string>(), std::string("model"));
        QCOMPARE(keys["general.architecture"].get<std::string>(), std::string("llama"));
        QVERIFY(!keys["general.name"].get<std::string>().empty());
        QCOMPARE(keys["general.quantization_version"].get<int>(), 2);
        QCOMPARE(keys["general.file_type"].get<int>(), 2);  // mostly Q4_0
        QCOMPARE(keys["quantize.imatrix.file"].get<std::string>(), std::string("imatrix.gguf"));
        QCOMPARE(keys["quantize.imatrix.dataset"].get<std::string>(), m_imatrix->datasets.front());
        QCOMPARE(keys["quantize.imatrix.entries_count"].get<std::size_t>(), m_imatrix->entries.size());
        QCOMPARE(keys["quantize.imatrix.chunks_count"].get<std::uint32_t>(), m_imatrix->chunks);
        QVERIFY(!keys["sigmascope.version"].get<std::string>().empty());
        // The recipe is one that gives this plan again.
        const auto recipe = parseRecipe(keys["sigmascope.recipe"].get<std::string>(), "sigmascope.recipe");
        QVERIFY2(recipe, recipe ? "" : recipe.error().detail.c_str());
        const auto again = resolve(*recipe, *m_model, ModelTopology(*m_model));
        const auto first = resolve(*recipeFromPreset("l2qer-w4"), *m_model, ModelTopology(*m_model));
        QVERIFY(again && first && again->plan.layers == first->plan.layers);
    }

    void withoutACalibrationNoneIsNamed()
    {
        auto resolved = resolve(*recipeFromPreset("rtn-w4"), *m_model, ModelTopology(*m_model));
        QVERIFY(resolved);
        ExportRequest request;
        request.checkpoint = m_model;
        request.plan = std::move(resolved->plan);
        request.output = at("plain.gguf");
        request.calibration = &*m_imatrix;  // there, but nothing asks it
        QVERIFY(quantize(request, *findExporter("gguf"), *m_backend, {}, {}));
        const Json keys = readByReference(at("plain.gguf"))["keys"];
        QVERIFY(keys.contains("sigmascope.version"));
        for (const char* key : {"file", "dataset", "entries_count", "chunks_count"})
            QVERIFY(!keys.contains(std::string("quantize.imatrix.") + key));
    }
};

QTEST_GUILESS_MAIN(TestGgufParts)
#include "tst_gguf_parts.moc"
