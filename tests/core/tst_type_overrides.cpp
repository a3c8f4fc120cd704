// SPDX-License-Identifier: GPL-3.0-or-later
//
// Types by hand, as llama-quantize's --tensor-type has them. (That they choose as llama-quantize does:
// tests/interop/tst_llama_k_quants.cpp.)
#include "cli/TinyModel.h"

#include "core/plan/FallbackCost.h"
#include "core/plan/TypeOverrides.h"

#include <QTemporaryDir>
#include <QTest>

#include <map>
#include <string>

using namespace sigmascope;
using namespace sigmascope::test;

class TestTypeOverrides : public QObject {
    Q_OBJECT
    QTemporaryDir m_folder;
    std::shared_ptr<const Checkpoint> m_model;

    static TinyTensor zeros(const std::string& name, const std::vector<std::uint64_t>& shape)
    {
        std::uint64_t count = 1;
        for (const std::uint64_t n : shape)
            count *= n;
        return {name, "BF16", shape, std::string(2 * count, '\0')};
    }

    [[nodiscard]] Recipe recipe(const char* preset, const std::vector<std::string>& types) const
    {
        Recipe recipe = *recipeFromPreset(preset);
        for (const std::string& text : types)
            recipe.types.push_back(*parseTypeOverride(text));
        return recipe;
    }

    /// Grid of each tensor, "" for what is kept; what went wrong under "error".
    [[nodiscard]] std::map<std::string, std::string> grids(const Recipe& recipe) const
    {
        std::map<std::string, std::string> found;
        const auto resolved = resolve(recipe, *m_model, ModelTopology(*m_model));
        if (!resolved)
            return {{"error", resolved.error().detail}};
        for (std::size_t i = 0; i < m_model->tensors().size(); ++i)
            found[m_model->tensors()[i].name] = resolved->plan.layers[i].grid;
        return found;
    }

private slots:
    void initTestCase()
    {
        std::vector<TinyTensor> tensors{zeros("model.embed_tokens.weight", {16, 256}), zeros("lm_head.weight", {16, 256}),
                                        zeros("model.norm.weight", {256})};
        for (const char* layer : {"0", "1"}) {
            const std::string block = std::string("model.layers.") + layer + ".";
            for (const char* part : {"self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"})
                tensors.push_back(zeros(block + part + ".weight", {16, 256}));
            tensors.push_back(zeros(block + "mlp.down_proj.weight", {16, 96}));  // no multiple of 256
            tensors.push_back(zeros(block + "input_layernorm.weight", {256}));
        }
        const std::filesystem::path path = m_folder.filePath(QStringLiteral("model.safetensors")).toStdString();
        writeFile(path, safetensorsBytes(tensors));
        const auto opened = Checkpoint::open(path);
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        m_model = *opened;
    }

    void textIsCutAtTheFirstEqualsAndPutInSmallLetters()
    {
        const auto type = parseTypeOverride(R"(BLK\.\D+=Q6_K)");
        QVERIFY2(type, type ? "" : type.error().detail.c_str());
        QVERIFY((*type == TypeOverride{R"(blk\.\d+)", "q6_k"}));
    }

    void whatIsNoPatternOrTypeIsRefused_data()
    {
        QTest::addColumn<QString>("text");
        QTest::addColumn<QString>("word");
        QTest::newRow("no type") << "attn" << "REGEX=TYPE";
        QTest::newRow("empty pattern") << "=q4_k" << "REGEX=TYPE";
        QTest::newRow("empty type") << "attn=" << "REGEX=TYPE";
        QTest::newRow("unknown type") << "attn=q9_k" << "no type 'q9_k'";
        QTest::newRow("a grid that is no GGUF type") << "attn=int4-g128" << "no type 'int4-g128'";
        QTest::newRow("a float type") << "attn=F16" << "\"skip\"";
        QTest::newRow("an open group") << "(attn=q4_k" << "pattern '(attn'";
        QTest::newRow("cut inside a look-ahead") << "attn(?=_v)=q4_k" << "_v)=q4_k";
        QTest::newRow("a back-reference") << R"((a)\1=q4_k)" << "back-references";
        QTest::newRow("too long") << QString(2000, 'a') + "=q4_k" << "1000 at most";
    }

    void whatIsNoPatternOrTypeIsRefused()
    {
        QFETCH(QString, text);
        QFETCH(QString, word);
        const auto type = parseTypeOverride(text.toStdString());
        QVERIFY(!type);
        QCOMPARE(type.error().code, ErrorCode::InvalidOption);
        QVERIFY2(type.error().detail.find(word.toStdString()) != std::string::npos, type.error().detail.c_str());
    }

    void filesHoldOneEntryAWord()
    {
        const auto types = parseTypeOverrides("attn_v=q8_0\n\n  ffn=Q4_K\tembd=q6_k ", "types.txt");
        QVERIFY2(types, types ? "" : types.error().detail.c_str());
        QCOMPARE(types->size(), std::size_t{3});
        QCOMPARE((*types)[1].type, std::string("q4_k"));
        const auto wrong = parseTypeOverrides("attn_v=q8_0 ffn", "types.txt");
        QVERIFY(!wrong);
        QVERIFY2(wrong.error().detail.find("types.txt") != std::string::npos && wrong.error().detail.find("byte 12") != std::string::npos,
                 wrong.error().detail.c_str());
    }

    void theFirstMatchDecidesByTheGgufName()
    {
        const auto found = grids(recipe("rtn-w4", {R"(blk\.1\.attn_q=q8_0)", "attn=q5_0", "token_embd=q6_k"}));
        QCOMPARE(found.at("model.layers.1.self_attn.q_proj.weight"), std::string("q8_0"));
        QCOMPARE(found.at("model.layers.0.self_attn.q_proj.weight"), std::string("q5_0"));
        QCOMPARE(found.at("model.layers.1.self_attn.v_proj.weight"), std::string("q5_0"));
        QCOMPARE(found.at("model.layers.0.mlp.up_proj.weight"), std::string("q4_0"));
        QCOMPARE(found.at("model.embed_tokens.weight"), std::string("q6_k"));
        QCOMPARE(found.at("lm_head.weight"), std::string());
        QCOMPARE(found.at("model.layers.0.input_layernorm.weight"), std::string());  // "attn_norm"
        // The tensor's own name is not searched.
        QCOMPARE(grids(recipe("rtn-w4", {"q_proj=q8_0"})).at("model.layers.0.self_attn.q_proj.weight"), std::string("q4_0"));
    }

    void theyStandBeforeTheRules()
    {
        Recipe typed = recipe("rtn-w4", {"attn_q=q8_0"});
        typed.rules.push_back({.match = "q_proj", .skip = true});
        QCOMPARE(grids(typed).at("model.layers.0.self_attn.q_proj.weight"), std::string("q8_0"));
    }

    void aTypeAloneAsksForNoCorrection()
    {
        const auto resolved = resolve(recipe("l2qer-w4", {"output=q8_0", "attn_q=q5_0"}), *m_model, ModelTopology(*m_model));
        QVERIFY2(resolved, resolved ? "" : resolved.error().detail.c_str());
        const auto layer = [&](const char* name) { return resolved->plan.layers[*m_model->find(name)]; };
        QCOMPARE(layer("lm_head.weight").rank, 0U);  // the preset alone would leave it as it is
        QVERIFY(layer("model.layers.0.self_attn.q_proj.weight").rank > 0);
    }

    void aSolverThatCannotChooseForTheTypeIsRefused()
    {
        Recipe typed = recipe("rtn-w4", {"attn_q=q6_k"});
        typed.defaults.solver = "clip-search";
        const auto found = grids(typed);
        QVERIFY2(found.contains("error") && found.at("error").find("clip-search") != std::string::npos, "accepted");
    }

    void recipesCarryThem()
    {
        const Recipe typed = recipe("gguf-q4_k_m", {"attn_q=q8_0", "ffn=q4_k"});
        const auto again = parseRecipe(dumpJson(toJson(typed)), "recipe.json");
        QVERIFY2(again, again ? "" : again.error().detail.c_str());
        QVERIFY(again->types == typed.types);
        const std::string before = "{\"schema\":1,\"tensor_types\":";
        for (const std::string& wrong : {before + "{}}", before + "[{\"match\":\"a\"}]}", before + "[{\"match\":\"a\",\"type\":\"q4_k\",\"bits\":4}]}",
                                         before + "[{\"match\":\"(\",\"type\":\"q4_k\"}]}", before + "[{\"match\":\"a\",\"type\":\"q99\"}]}",
                                         before + "[{\"match\":\"a\",\"type\":\"q4_k\"}],\"target\":\"bf16\"}"}) {
            const auto refused = parseRecipe(wrong, "recipe.json");
            QVERIFY2(!refused && refused.error().code == ErrorCode::InvalidRecipe, wrong.c_str());
        }
    }

    void aPlanBuiltOnThemKeepsWhatWasChangedSince()
    {
        const Recipe base = recipe("rtn-w4", {"attn_q=q8_0"});
        const ModelTopology topology(*m_model);
        auto plan = resolve(base, *m_model, topology)->plan;
        plan.layers[*m_model->find("model.layers.1.self_attn.q_proj.weight")].grid = "q5_0";
        const auto saved = recipeOf(plan, *m_model, topology, base);
        QVERIFY2(saved, saved ? "" : saved.error().detail.c_str());
        QVERIFY(resolve(*saved, *m_model, topology)->plan.layers == plan.layers);
    }

    void patternsThatWouldBacktrackForeverDoNot()
    {
        // One that did would run into the test's time limit.
        const auto found = grids(recipe("rtn-w4", {"(([a-z_.]+)+)+!=q8_0", "(a|a|aa)*(a|aa)*b{20}=q8_0"}));
        QVERIFY(!found.contains("error"));
    }

    void fallbacksCostWhatTheMixtureAskedFor()
    {
        // Rows of 96 hold no super-block: Q5_0 and Q8_0 instead of what the mixture chose for this tensor, Q4_K and Q6_K.
        const Recipe mixture = recipe("gguf-q4_k_m", {});
        const auto resolved = resolve(mixture, *m_model, ModelTopology(*m_model));
        QVERIFY(resolved);
        const auto costs = fallbackCosts(mixture, *resolved, *decidingRules(mixture, *m_model), *m_model);
        QVERIFY2(costs, costs ? "" : costs.error().detail.c_str());
        int seen = 0;
        for (const Fallback& fallback : resolved->fallbacks) {
            const std::string& grid = resolved->plan.layers[fallback.tensor].grid;
            QVERIFY2(fallback.asked == (grid == "q8_0" ? "q6_k" : "q4_k"), (fallback.asked + " for " + grid).c_str());
            const double stored = grid == "q8_0" ? 34.0 : 22.0;
            const double wanted = fallback.asked == "q6_k" ? 210.0 / 8 : 144.0 / 8;
            QCOMPARE(costs->at(fallback.tensor), 16.0 * 3 * (stored - wanted));
            ++seen;
        }
        QCOMPARE(seen, 2);
        // And what was asked for by hand.
        const Recipe typed = recipe("gguf-q4_k_m", {"ffn_down=q5_k"});
        const auto byHand = resolve(typed, *m_model, ModelTopology(*m_model));
        QVERIFY(byHand && byHand->fallbacks.size() == 2);
        QCOMPARE(byHand->fallbacks[0].asked, std::string("q5_k"));
        QCOMPARE(byHand->plan.layers[byHand->fallbacks[0].tensor].grid, std::string("q5_1"));
    }
};

QTEST_GUILESS_MAIN(TestTypeOverrides)
#include "tst_type_overrides.moc"
