// SPDX-License-Identifier: GPL-3.0-or-later
//
// llama.cpp gives texts the ids that Hugging Face's tokenizers library gives them: of every kind of byte-level BPE that is
// recognized (core/model/PreTokenizers.cpp), trained here on the sample's text.
#include "support/Oracles.h"

#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/export/GgufTokenizer.h"
#include "core/export/GgufWriter.h"
#include "core/project/Pipeline.h"

#include <QTemporaryDir>
#include <QTest>

#include <fstream>
#include <string>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const std::string kScript = SIGMASCOPE_SOURCE_DIR "/tests/interop/tokenizer_oracle.py";
constexpr std::uint32_t kVocabulary = 640;

const std::vector<std::string>& texts()
{
    static const std::vector<std::string> kTexts{
        "It is a truth universally acknowledged, that a single man in possession of a good fortune",
        "Hello world! I'll say: we've done it, he's 'told you, don't. I'D SAY'S NO'T",
        "1 12 123 1234 12345 1234567890 3.14 2,000,000 x1y22z333",
        "  two  spaces   three\ttab \t mixed    ",
        "line\nline\n\nline\r\nwindows\r\n\r\n  \n \n\n\ttail\n",
        "def f(x):\n    if x >= 10:\n        return x**2  # square!\n",
        "naïve café déjà vu, “quoted” — 1813… straße ½ Ⅻ",
        "我想在apple工作1314151天～ かな カナ 漢字 한국어",
        "нещо на Български, ελληνικά, עברית, العربية",
        "🚀 (normal) 😶‍🌫️ (joined) ✅ 🦙🦙 a🙂b",
        "------======= '''''' \"\"\"\" ......!!!!!! $100 @me #tag x/y/z",
        "a<think>b<|end|> c <|begin|>d",
        "x  indented  y",
        " ",
        "",
    };
    return kTexts;
}

QVector<int> asVector(const std::vector<std::int32_t>& ids)
{
    return {ids.begin(), ids.end()};
}

}  // namespace

class TestTokenizers : public QObject {
    Q_OBJECT

private:
    std::unique_ptr<LlamaLibrary> m_llama;
    QTemporaryDir m_dir;
    Json m_expected;

    [[nodiscard]] fs::path at(const std::string& name) const { return fs::path(m_dir.path().toStdString()) / name; }

    /// A GGUF of keys alone, which llama.cpp opens for its vocabulary.
    void writeVocabulary(const AnyTokenizer& tokenizer, const fs::path& path)
    {
        GgufKeys keys;
        keys.set("general.architecture", "llama");
        for (const char* key : {"context_length", "embedding_length", "block_count", "feed_forward_length", "attention.head_count"})
            keys.set(std::string("llama.") + key, std::uint32_t{8});
        keys.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
        setTokenizerKeys(tokenizer, keys);
        const auto layout = layoutGguf(keys, {});
        QVERIFY2(layout, layout ? "" : layout.error().detail.c_str());
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(layout->header.data()), static_cast<std::streamsize>(layout->header.size()));
    }

private slots:
    void initTestCase()
    {
        std::string problem;
        m_llama = LlamaLibrary::open(problem);
        QVERIFY2(m_llama != nullptr, problem.c_str());
        const std::string corpus = SIGMASCOPE_SOURCE_DIR "/resources/sample/calibration.txt";
        QVERIFY2(runPython({kScript, "train", corpus, at("kinds").string()}, problem), problem.c_str());
        std::ofstream(at("texts.json"), std::ios::binary) << dumpJson(Json(texts()));
        const auto output = runPython({kScript, "encode", at("kinds").string(), at("texts.json").string()}, problem);
        QVERIFY2(output, problem.c_str());
        const auto json = parseJson(*output, "tokenizer_oracle.py");
        QVERIFY2(json, json ? "" : json.error().detail.c_str());
        m_expected = *json;
    }

    void idsAreThoseOfHuggingFace_data()
    {
        QTest::addColumn<QString>("kind");
        for (const char* kind : {"llama-bpe", "smaug-bpe", "qwen2", "gpt-2", "smollm", "seed-coder", "falcon", "tekken", "gpt-4o",
                                 "deepseek-coder", "deepseek-llm", "deepseek-v3"})
            QTest::newRow(kind) << kind;
    }

    void idsAreThoseOfHuggingFace()
    {
        QFETCH(QString, kind);
        const std::string name = kind.toStdString();
        const auto tokenizer = readTokenizer(at("kinds/" + name), Json::object(), kVocabulary);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        const auto* bpe = std::get_if<TokenizerBpe>(&*tokenizer);
        QVERIFY(bpe != nullptr);
        QCOMPARE(bpe->pre, name);
        QCOMPARE(bpe->addBos, name == "llama-bpe" || name == "tekken");
        writeVocabulary(*tokenizer, at(name + ".gguf"));
        for (std::size_t i = 0; i < texts().size(); ++i) {
            std::string problem;
            const auto ids = m_llama->tokenize(at(name + ".gguf"), texts()[i], problem, true);
            QVERIFY2(ids, problem.c_str());
            const auto expected = m_expected[name][i].get<std::vector<std::int32_t>>();
            QVERIFY2(asVector(*ids) == asVector(expected),
                     (texts()[i] + "\nllama.cpp " + dumpJson(Json(*ids)) + "\nexpected  " + dumpJson(Json(expected))).c_str());
        }
    }

    void anotherNameWouldGiveOtherIds_data()
    {
        QTest::addColumn<QString>("kind");
        QTest::addColumn<QString>("name");
        QTest::newRow("digits by threes and one by one") << "llama-bpe" << "qwen2";
        QTest::newRow("digits in runs and one by one") << "gpt-2" << "smollm";
    }

    void anotherNameWouldGiveOtherIds()
    {
        QFETCH(QString, kind);
        QFETCH(QString, name);
        auto tokenizer = readTokenizer(at("kinds/" + kind.toStdString()), Json::object(), kVocabulary);
        QVERIFY(tokenizer);
        std::get<TokenizerBpe>(*tokenizer).pre = name.toStdString();
        writeVocabulary(*tokenizer, at("wrong.gguf"));
        bool differs = false;
        for (std::size_t i = 0; i < texts().size(); ++i) {
            std::string problem;
            const auto ids = m_llama->tokenize(at("wrong.gguf"), texts()[i], problem, true);
            QVERIFY2(ids, problem.c_str());
            differs = differs || *ids != m_expected[kind.toStdString()][i].get<std::vector<std::int32_t>>();
        }
        QVERIFY(differs);
    }

    void sentencePieceOfATokenizerJsonAloneGivesTheSameIds()
    {
        const fs::path sample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";
        fs::create_directories(at("json-only"));
        for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
            fs::copy_file(sample / name, at("json-only") / name);
        const auto tokenizer = readTokenizer(at("json-only"), Json::object(), 2048);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        writeVocabulary(*tokenizer, at("json-only.gguf"));
        for (const std::string& text : texts()) {
            if (text.find('<') != std::string::npos)  // names of added tokens that this one does not have
                continue;
            std::string problem;
            const auto ids = m_llama->tokenize(at("json-only.gguf"), text, problem, true);
            QVERIFY2(ids, problem.c_str());
            auto expected = encodeWithSentencePiece(sample / "tokenizer.model", text);
            QVERIFY(expected);
            expected->insert(expected->begin(), 1);
            QVERIFY2(asVector(*ids) == asVector(*expected), (text + "\n" + dumpJson(Json(*ids)) + "\n" + dumpJson(Json(*expected))).c_str());
        }
    }

    void aFolderOfThisKindBecomesAModelThatRuns()
    {
        auto model = Checkpoint::open(at("kinds/llama-bpe"));
        QVERIFY2(model, model ? "" : model.error().detail.c_str());
        auto resolved = resolve(*recipeFromPreset("rtn-w4"), **model, ModelTopology(**model));
        QVERIFY2(resolved, resolved ? "" : resolved.error().detail.c_str());
        ExportRequest request;
        request.checkpoint = *model;
        request.plan = std::move(resolved->plan);
        request.output = at("model.gguf");
        const auto backend = makeCpuBackend();
        const auto run = quantize(request, *findExporter("gguf"), *backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
        std::string problem;
        const auto ids = m_llama->tokenize(request.output, texts()[0], problem, true);
        QVERIFY2(ids, problem.c_str());
        QVERIFY(*ids == m_expected["llama-bpe"][0].get<std::vector<std::int32_t>>());
        const auto logits = m_llama->evaluate(request.output, {}, *ids, problem);
        QVERIFY2(logits, problem.c_str());
        QCOMPARE(logits->vocabulary, std::size_t{kVocabulary});
    }
};

QTEST_GUILESS_MAIN(TestTokenizers)
#include "tst_tokenizers.moc"
