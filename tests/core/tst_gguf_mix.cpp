// SPDX-License-Identifier: GPL-3.0-or-later
//
// llama-quantize's choice of types, on models that are names and shapes only (tests/interop compares the sample's).
#include "core/plan/Plan.h"

#include <QTest>

#include <map>
#include <string>
#include <vector>

using namespace sigmascope;

namespace {

/// A llama of so many layers; names in an order of the file's own.
std::vector<MixTensor> llama(int layers, bool isTied = false)
{
    std::vector<MixTensor> tensors{{"token_embd.weight", 4096, 2}, {"output_norm.weight", 4096, 1}};
    if (!isTied)
        tensors.push_back({"output.weight", 4096, 2});
    for (int layer = layers - 1; layer >= 0; --layer) {
        for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
            tensors.push_back({"blk." + std::to_string(layer) + "." + part + ".weight", 4096, 2});
        tensors.push_back({"blk." + std::to_string(layer) + ".attn_norm.weight", 4096, 1});
        tensors.push_back({"blk." + std::to_string(layer) + ".attn_q.bias", 4096, 1});
    }
    return tensors;
}

std::map<std::string, std::string> chosen(GgufMix mix, const std::vector<MixTensor>& tensors, const MixModel& model)
{
    std::map<std::string, std::string> names;
    const auto types = mixedTypes(mix, tensors, model);
    for (std::size_t i = 0; i < types.size(); ++i)
        names[tensors[i].name] = types[i] ? std::string(info(*types[i]).name) : "kept";
    return names;
}

/// Types of one part over the layers, as one word each: "6 4 4 6".
std::string over(const std::map<std::string, std::string>& names, const std::string& part, int layers)
{
    std::string line;
    for (int layer = 0; layer < layers; ++layer)
        line += (layer == 0 ? "" : " ") + names.at("blk." + std::to_string(layer) + "." + part + ".weight").substr(1, 1);
    return line;
}

}  // namespace

class TestGgufMix : public QObject {
    Q_OBJECT

private slots:
    void mixturesGiveMoreBitsWhereTheyTell_data()
    {
        QTest::addColumn<int>("mix");
        QTest::addColumn<int>("queriesPerKey");
        QTest::addColumn<QString>("values");
        QTest::addColumn<QString>("down");
        QTest::addColumn<QString>("outputs");
        QTest::addColumn<QString>("queries");
        const auto row = [](const char* name, GgufMix mix, int gqa, const char* values, const char* down, const char* outputs, const char* queries) {
            QTest::newRow(name) << static_cast<int>(mix) << gqa << values << down << outputs << queries;
        };
        // 16 layers: an eighth is 2, so 0, 1, 14, 15 and each third from 2 on; a sixteenth is 1.
        const char* all2 = "2 2 2 2 2 2 2 2 2 2 2 2 2 2 2 2";
        const char* all3 = "3 3 3 3 3 3 3 3 3 3 3 3 3 3 3 3";
        const char* all4 = "4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4";
        const char* all5 = "5 5 5 5 5 5 5 5 5 5 5 5 5 5 5 5";
        const char* more4 = "6 6 4 4 6 4 4 6 4 4 6 4 4 6 6 6";
        const char* more5 = "6 6 5 5 6 5 5 6 5 5 6 5 5 6 6 6";
        row("Q4_K_M", GgufMix::Q4_K_M, 1, more4, more4, all4, all4);
        row("Q5_K_M", GgufMix::Q5_K_M, 1, more5, more5, all5, all5);
        row("Q4_K_S", GgufMix::Q4_K_S, 1, "5 5 5 5 4 4 4 4 4 4 4 4 4 4 4 4", "5 5 4 4 4 4 4 4 4 4 4 4 4 4 4 4", all4, all4);
        row("Q5_K_S", GgufMix::Q5_K_S, 1, all5, all5, all5, all5);
        row("Q3_K_S", GgufMix::Q3_K_S, 1, all3, all3, all3, all3);
        row("Q3_K_M", GgufMix::Q3_K_M, 1, "5 5 4 4 4 4 4 4 4 4 4 4 4 4 4 4", "5 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4", all4, all3);
        row("Q3_K_L", GgufMix::Q3_K_L, 1, all5, all5, all5, all3);
        row("Q2_K", GgufMix::Q2_K, 1, all3, all3, all3, all2);
        row("Q2_K, four queries a key", GgufMix::Q2_K, 4, all4, all3, all3, all2);
        const char* allQ = "Q Q Q Q Q Q Q Q Q Q Q Q Q Q Q Q";  // of IQ4
        const char* earlyQ = "5 5 Q Q Q Q Q Q Q Q Q Q Q Q Q Q";
        row("IQ4_XS", GgufMix::IQ4_XS, 1, allQ, earlyQ, allQ, allQ);
        row("IQ4_NL, four queries a key", GgufMix::IQ4_NL, 4, all5, earlyQ, allQ, allQ);
        row("plain Q4_K", GgufMix::PlainQ4_K, 4, all4, all4, all4, all4);
    }

    void mixturesGiveMoreBitsWhereTheyTell()
    {
        QFETCH(int, mix);
        QFETCH(int, queriesPerKey);
        const auto names = chosen(static_cast<GgufMix>(mix), llama(16), {.layers = 16, .queriesPerKey = queriesPerKey});
        QTEST(QString::fromStdString(over(names, "attn_v", 16)), "values");
        QTEST(QString::fromStdString(over(names, "ffn_down", 16)), "down");
        QTEST(QString::fromStdString(over(names, "attn_output", 16)), "outputs");
        QTEST(QString::fromStdString(over(names, "attn_q", 16)), "queries");
        QCOMPARE(over(names, "ffn_gate", 16), over(names, "attn_q", 16));
        QCOMPARE(names.at("blk.3.attn_norm.weight"), std::string("kept"));
        QCOMPARE(names.at("output_norm.weight"), std::string("kept"));
        QCOMPARE(names.at("blk.3.attn_q.bias"), std::string("kept"));
    }

    void theOutputTakesSixBitsAndATiedEmbeddingItsPlace()
    {
        const auto apart = chosen(GgufMix::Q4_K_M, llama(4), {.layers = 4});
        QCOMPARE(apart.at("output.weight"), std::string("Q6_K"));
        QCOMPARE(apart.at("token_embd.weight"), std::string("Q4_K"));
        QCOMPARE(chosen(GgufMix::Q2_K, llama(4, true), {.layers = 4}).at("token_embd.weight"), std::string("Q6_K"));
        QCOMPARE(chosen(GgufMix::PlainQ2_K, llama(4, true), {.layers = 4}).at("token_embd.weight"), std::string("Q2_K"));
        auto odd = llama(4);
        odd[2].cols = 4100;
        QCOMPARE(chosen(GgufMix::Q4_K_M, odd, {.layers = 4}).at("output.weight"), std::string("Q8_0"));
    }

    void anImportanceMatrixSparesIq4ItsEarlyLayers()
    {
        const auto calibrated = chosen(GgufMix::IQ4_XS, llama(16), {.layers = 16, .isCalibrated = true});
        QCOMPARE(calibrated.at("blk.0.ffn_down.weight"), std::string("IQ4_XS"));
        QCOMPARE(chosen(GgufMix::TQ2_0, llama(4), {.layers = 4}).at("token_embd.weight"), std::string("Q4_K"));
        QCOMPARE(chosen(GgufMix::Q1_0, llama(4), {.layers = 4}).at("token_embd.weight"), std::string("Q1_0"));
        QCOMPARE(chosen(GgufMix::Q2_0, llama(4), {.layers = 4}).at("output.weight"), std::string("Q6_K"));
    }

    void typesByHandAreNotCounted()
    {
        auto tensors = llama(16);
        for (MixTensor& tensor : tensors)
            tensor.byHand = tensor.name == "blk.0.ffn_down.weight" || tensor.name == "blk.1.ffn_down.weight";
        const auto names = chosen(GgufMix::Q4_K_M, tensors, {.layers = 16});
        QCOMPARE(names.at("blk.0.ffn_down.weight"), std::string("kept"));  // not the mixture's to choose
        QCOMPARE(over(names, "ffn_down", 16).substr(4), std::string("6 6 4 4 6 4 4 6 4 4 6 4 4 6"));
    }

    void oddModelsHaveRulesOfTheirOwn()
    {
        const auto big = chosen(GgufMix::Q4_K_M, llama(80), {.layers = 80, .queriesPerKey = 8, .is70B = true});
        QCOMPARE(big.at("blk.0.attn_v.weight"), std::string("Q6_K"));
        QCOMPARE(big.at("blk.10.attn_v.weight"), std::string("Q5_K"));
        QCOMPARE(big.at("blk.10.attn_q.weight"), std::string("Q4_K"));
        const auto falcon = chosen(GgufMix::Q4_K_M, llama(32), {.layers = 32, .isFalcon = true});
        QCOMPARE(falcon.at("output.weight"), std::string("Q8_0"));
        QCOMPARE(over(falcon, "ffn_down", 8), std::string("6 6 5 5 4 4 5 4"));
        auto experts = llama(8);
        for (MixTensor& tensor : experts) {
            if (const auto at = tensor.name.find("ffn_down"); at != std::string::npos)
                tensor.name.replace(at, 8, "ffn_down_exps");
        }
        experts.push_back({"blk.0.ffn_gate_inp.weight", 4096, 2});
        const auto mixtral = chosen(GgufMix::Q4_K_M, experts, {.layers = 8, .experts = 8});
        QCOMPARE(mixtral.at("blk.3.attn_v.weight"), std::string("Q8_0"));
        QCOMPARE(mixtral.at("blk.3.attn_k.weight"), std::string("Q8_0"));
        QCOMPARE(mixtral.at("blk.3.attn_output.weight"), std::string("Q5_K"));
        QCOMPARE(over(mixtral, "ffn_down_exps", 8), std::string("6 4 4 6 4 4 6 6"));
        QCOMPARE(mixtral.at("blk.0.ffn_gate_inp.weight"), std::string("kept"));
        const std::vector<MixTensor> fused{{"blk.0.attn_qkv.weight", 4096, 2}, {"blk.1.attn_qkv.weight", 4096, 2}};
        QCOMPARE(over(chosen(GgufMix::Q3_K_L, fused, {.layers = 2}), "attn_qkv", 2), std::string("5 5"));
    }

    void plainChoicesGiveEveryMatrixOneType()
    {
        const std::pair<GgufMix, DType> all[] = {{GgufMix::PlainIQ4_NL, DType::IQ4_NL}, {GgufMix::PlainIQ4_XS, DType::IQ4_XS},
                                                 {GgufMix::PlainMXFP4, DType::MXFP4},   {GgufMix::PlainNVFP4, DType::NVFP4},
                                                 {GgufMix::PlainTQ1_0, DType::TQ1_0},   {GgufMix::PlainTQ2_0, DType::TQ2_0},
                                                 {GgufMix::PlainQ6_K, DType::Q6_K}};
        for (const auto& [mix, type] : all) {
            QCOMPARE(baseTypeOf(mix), type);
            for (const auto& [tensor, name] : chosen(mix, llama(8), {.layers = 8})) {
                const bool isKept = tensor.find("norm") != std::string::npos || tensor.ends_with(".bias");
                QCOMPARE(name, isKept ? std::string("kept") : std::string(info(type).name));
            }
        }
    }

    void oddRowsFallBackAsInLlamaQuantize_data()
    {
        QTest::addColumn<QString>("grid");
        QTest::addColumn<QString>("instead");
        QTest::newRow("Q2_K") << "q2_k" << "q4_0";
        QTest::newRow("Q3_K") << "q3_k" << "q4_0";
        QTest::newRow("Q4_K") << "q4_k" << "q5_0";
        QTest::newRow("Q5_K") << "q5_k" << "q5_1";
        QTest::newRow("Q6_K") << "q6_k" << "q8_0";
        QTest::newRow("IQ4_XS") << "iq4_xs" << "iq4_nl";
        QTest::newRow("TQ1_0") << "tq1_0" << "q4_0";
        QTest::newRow("TQ2_0") << "tq2_0" << "q4_0";
    }

    void oddRowsFallBackAsInLlamaQuantize()
    {
        QFETCH(QString, grid);
        QFETCH(QString, instead);
        const Grid& asked = **findGrid(grid.toStdString());
        const Grid* found = gridForOddRows(asked, 288);
        QVERIFY(found != nullptr);
        QCOMPARE(QString::fromStdString(found->id()), instead);
        QVERIFY(gridForOddRows(asked, 100) == nullptr);
        QVERIFY(gridForOddRows(*found, 100) == nullptr);
    }
};

QTEST_APPLESS_MAIN(TestGgufMix)
#include "tst_gguf_mix.moc"
