// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/checkpoint/ModelTopology.h"

#include "support/FileBuilders.h"

#include <QtTest>

#include <set>

using namespace sigmascope;
using namespace sigmascope::test;

Q_DECLARE_METATYPE(Role)
Q_DECLARE_METATYPE(FusedGroup)

class TestModelTopology : public QObject {
    Q_OBJECT

private slots:
    void namesHaveTheirPlaceAndTwin_data();
    void namesHaveTheirPlaceAndTwin();
    void otherNamesAreOther_data();
    void otherNamesAreOther();
    void ggufNamesMapToThemselves();
    void expertsArePartsOfTheirStack();
    void routersAndTheirGatesAreLeftAlone();
    void sampleModelIsUnderstood();
    void onlyTheBlocksLinearLayersAreQuantizable();
    void rolesHaveDistinctIds();
};

void TestModelTopology::namesHaveTheirPlaceAndTwin_data()
{
    QTest::addColumn<QString>("hf");
    QTest::addColumn<QString>("gguf");
    QTest::addColumn<int>("block");
    QTest::addColumn<Role>("role");
    QTest::addColumn<FusedGroup>("group");
    const auto row = [](const char* hf, const char* gguf, int block, Role role, FusedGroup group = FusedGroup::None) {
        QTest::newRow(hf) << hf << gguf << block << role << group;
    };
    row("model.embed_tokens.weight", "token_embd.weight", -1, Role::Embedding);
    row("lm_head.weight", "output.weight", -1, Role::Output);
    row("model.norm.weight", "output_norm.weight", -1, Role::OutputNorm);
    // the model of text in one that takes images
    row("language_model.model.embed_tokens.weight", "token_embd.weight", -1, Role::Embedding);
    row("language_model.model.layers.3.self_attn.q_proj.weight", "blk.3.attn_q.weight", 3, Role::AttnQ, FusedGroup::Qkv);
    row("language_model.lm_head.weight", "output.weight", -1, Role::Output);
    row("model.language_model.norm.weight", "output_norm.weight", -1, Role::OutputNorm);
    row("model.language_model.layers.3.mlp.down_proj.weight", "blk.3.ffn_down.weight", 3, Role::FfnDown);
    row("model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight", 0, Role::AttnNorm);
    row("model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", 0, Role::AttnQ, FusedGroup::Qkv);
    row("model.layers.10.self_attn.k_proj.bias", "blk.10.attn_k.bias", 10, Role::AttnK, FusedGroup::Qkv);
    row("model.layers.79.self_attn.v_proj.weight", "blk.79.attn_v.weight", 79, Role::AttnV, FusedGroup::Qkv);
    row("model.layers.3.self_attn.o_proj.weight", "blk.3.attn_output.weight", 3, Role::AttnOutput);
    row("model.layers.3.self_attn.q_norm.weight", "blk.3.attn_q_norm.weight", 3, Role::AttnQNorm);
    row("model.layers.3.self_attn.k_norm.weight", "blk.3.attn_k_norm.weight", 3, Role::AttnKNorm);
    row("model.layers.3.post_attention_layernorm.weight", "blk.3.ffn_norm.weight", 3, Role::FfnNorm);
    row("model.layers.3.mlp.gate_proj.weight", "blk.3.ffn_gate.weight", 3, Role::FfnGate, FusedGroup::GateUp);
    row("model.layers.3.mlp.up_proj.weight", "blk.3.ffn_up.weight", 3, Role::FfnUp, FusedGroup::GateUp);
    row("model.layers.3.mlp.down_proj.weight", "blk.3.ffn_down.weight", 3, Role::FfnDown);
    row("model.layers.3.mlp.gate.weight", "blk.3.ffn_gate_inp.weight", 3, Role::Other);
    row("model.layers.3.mlp.shared_expert_gate.weight", "blk.3.ffn_gate_inp_shexp.weight", 3, Role::Other);
    row("model.layers.3.mlp.shared_expert.up_proj.weight", "blk.3.ffn_up_shexp.weight", 3, Role::FfnUp, FusedGroup::GateUp);
    row("model.layers.3.self_attn.qkv_proj.weight", "blk.3.attn_qkv.weight", 3, Role::AttnQkv);
    row("model.layers.3.post_feedforward_layernorm.weight", "blk.3.post_ffw_norm.weight", 3, Role::FfnPostNorm);
    row("model.layers.3.mlp.experts.12.up_proj.weight", "", 3, Role::FfnUp, FusedGroup::GateUp);
    row("model.layers.3.block_sparse_moe.experts.7.w2.weight", "", 3, Role::FfnDown);
}

void TestModelTopology::namesHaveTheirPlaceAndTwin()
{
    QFETCH(QString, hf);
    QFETCH(QString, gguf);
    QFETCH(int, block);
    QFETCH(Role, role);
    QFETCH(FusedGroup, group);
    const auto twin = ggufNameOf(hf.toStdString());
    QCOMPARE(twin.value_or(""), gguf.toStdString());
    for (const QString& name : {hf, gguf}) {
        if (name.isEmpty())
            continue;
        const TensorPlace place = placeOf(name.toStdString());
        QCOMPARE(place.block, block);
        QCOMPARE(place.role, role);
        QCOMPARE(place.group, group);
        QCOMPARE(place.bias, name.endsWith(".bias"));
    }
}

void TestModelTopology::otherNamesAreOther_data()
{
    QTest::addColumn<QString>("name");
    for (const char* const name :
         {"", ".weight", "weight", "transformer.h.0.attn.c_attn.weight", "model.layers.x.mlp.up_proj.weight",
          "model.layers.-1.mlp.up_proj.weight", "model.layers.01.mlp.up_proj.weight", "model.layers.4000000000.mlp.up_proj.weight",
          "model.layers.99999999999999999999.mlp.up_proj.weight", "model.layers.", "model.layers.3", "model.layers.3.",
          "model.embed_tokens", "blk.", "blk.1"})
        QTest::newRow(name) << name;
}

void TestModelTopology::otherNamesAreOther()
{
    QFETCH(QString, name);
    const TensorPlace place = placeOf(name.toStdString());
    QCOMPARE(place.role, Role::Other);
    QVERIFY(place.block < 100'000);
    QVERIFY(!ggufNameOf(name.toStdString()));
}

void TestModelTopology::ggufNamesMapToThemselves()
{
    for (const char* const name : {"blk.3.ffn_down.weight", "blk.0.attn_q.bias", "output.weight", "rope_freqs.weight", "blk.2.ssm_a"})
        QCOMPARE(ggufNameOf(name).value_or(""), std::string(name));
}

void TestModelTopology::expertsArePartsOfTheirStack()
{
    const auto mixtral = expertPartOf("model.layers.2.block_sparse_moe.experts.7.w3.weight");
    QVERIFY(mixtral && mixtral->stack == "blk.2.ffn_up_exps.weight" && mixtral->expert == 7);
    const auto qwen = expertPartOf("model.layers.11.mlp.experts.127.down_proj.weight");
    QVERIFY(qwen && qwen->stack == "blk.11.ffn_down_exps.weight" && qwen->expert == 127);
    QCOMPARE(placeOf("model.layers.2.block_sparse_moe.experts.7.w3.weight").expert, 7);
    for (const char* const name : {"model.layers.2.mlp.up_proj.weight", "blk.2.ffn_up_exps.weight", "model.layers.2.mlp.experts.7.w9.weight",
                                   "model.layers.2.mlp.experts.07.w1.weight", "model.layers.2.mlp.experts.4294967296.w1.weight",
                                   "model.layers.2.mlp.experts.7.w1.bias", "model.layers.2.mlp.experts..w1.weight"}) {
        QVERIFY2(!expertPartOf(name), name);
    }
}

void TestModelTopology::routersAndTheirGatesAreLeftAlone()
{
    std::string entries;
    std::uint64_t at = 0;
    for (const char* const name : {"model.layers.0.mlp.gate.weight", "model.layers.0.mlp.shared_expert_gate.weight",
                                   "model.layers.0.mlp.experts.0.gate_proj.weight", "model.layers.0.self_attn.qkv_proj.weight"}) {
        entries += (at == 0 ? "{" : ",") + entry(name, "F32", {1, 4}, at, at + 16);
        at += 16;
    }
    QTemporaryDir folder;
    const auto model = Checkpoint::open(writeFile(folder.filePath("m.safetensors").toStdString(), safetensors(entries + "}", at)));
    QVERIFY2(model, model ? "" : model.error().detail.c_str());
    const ModelTopology topology(**model);
    const auto isQuantizable = [&](const char* name) { return topology.isQuantizable(*(*model)->find(name)); };
    QVERIFY(!isQuantizable("model.layers.0.mlp.gate.weight") && !isQuantizable("model.layers.0.mlp.shared_expert_gate.weight"));
    QVERIFY(isQuantizable("model.layers.0.mlp.experts.0.gate_proj.weight") && isQuantizable("model.layers.0.self_attn.qkv_proj.weight"));
}

void TestModelTopology::sampleModelIsUnderstood()
{
    const auto opened = Checkpoint::open(SIGMASCOPE_SOURCE_DIR "/resources/sample", {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    const ModelTopology topology(**opened);
    QCOMPARE(topology.blockCount(), 4U);
    std::size_t quantizable = 0;
    for (std::size_t i = 0; i < (*opened)->tensors().size(); ++i) {
        QVERIFY2(topology.place(i).role != Role::Other, (*opened)->tensors()[i].name.c_str());
        quantizable += topology.isQuantizable(i) ? 1 : 0;
    }
    QCOMPARE(quantizable, 4U * 7U);
    QVERIFY(!topology.isQuantizable(*(*opened)->find("lm_head.weight")));
    QVERIFY((*opened)->config().is_object());
}

void TestModelTopology::onlyTheBlocksLinearLayersAreQuantizable()
{
    const std::vector<std::pair<std::string, bool>> expected{
        {"blk.0.attn_q.weight", true},   {"blk.0.ffn_down_exps.weight", true}, {"blk.0.attn_qkv.weight", true},
        {"blk.0.ffn_gate_inp.weight", false}, {"blk.0.ssm_conv1d.weight", false}, {"token_embd.weight", false},
        {"output.weight", false},        {"blk.0.attn_q.bias", false},
    };
    GgufBytes file;
    for (std::size_t i = 0; i < expected.size(); ++i)
        file.tensor(expected[i].first, {4, 2}, 0, i * 32);
    file.tensor("blk.0.attn_norm.weight", {8}, 0, expected.size() * 32);
    file.tensor("blk.0.attn_k.weight", {4, 2}, 26, expected.size() * 32 + 32);  // I32: packed codes of some other scheme
    file.withData((expected.size() + 2) * 32);
    const QTemporaryDir dir;
    const auto opened = Checkpoint::open(writeFile(dir.path().toStdString() + "/a.gguf", file.bytes()), {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    const ModelTopology topology(**opened);
    for (const auto& [name, quantizable] : expected)
        QVERIFY2(topology.isQuantizable(*(*opened)->find(name)) == quantizable, name.c_str());
    QVERIFY(!topology.isQuantizable(expected.size()));
    QVERIFY(!topology.isQuantizable(expected.size() + 1));
}

void TestModelTopology::rolesHaveDistinctIds()
{
    std::set<std::string_view> ids;
    for (int i = 0; i <= static_cast<int>(Role::Other); ++i)
        ids.insert(id(static_cast<Role>(i)));
    QCOMPARE(ids.size(), static_cast<std::size_t>(Role::Other) + 1);
    QVERIFY(id(Role::AttnQ) == "q_proj" && id(Role::FfnDown) == "down_proj" && id(Role::Embedding) == "embed_tokens");
}

QTEST_APPLESS_MAIN(TestModelTopology)
#include "tst_model_topology.moc"
