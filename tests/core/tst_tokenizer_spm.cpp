// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/MappedFile.h"
#include "core/model/ModelConfig.h"
#include "core/model/TokenizerSpm.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const fs::path kSample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

/// One protobuf field: number, then a length-delimited value.
std::string field(int number, const std::string& value)
{
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(value.size()) + value;
}

std::string varint(int number, int value)
{
    return std::string(1, static_cast<char>(number << 3)) + static_cast<char>(value);
}

std::string piece(const std::string& text, float score, int type)
{
    std::string bits(4, '\0');
    std::memcpy(bits.data(), &score, 4);
    return field(1, field(1, text) + std::string(1, static_cast<char>(2 << 3 | 5)) + bits + varint(3, type));
}

/// A BPE model of five pieces, without a space before the text.
std::string tinyModel()
{
    return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("a", -1, 1) + piece("<me>", 0, 4) + piece("<0x41>", 0, 6)
           + field(2, varint(3, 2)) + field(3, varint(3, 0));
}

Result<SentencePieceModel> parse(const std::string& bytes)
{
    return parseSentencePiece(std::as_bytes(std::span(bytes.data(), bytes.size())), "tokenizer.model");
}

void writeText(const fs::path& path, const std::string& content)
{
    std::ofstream(path, std::ios::binary) << content;
}

Json llama()
{
    return *parseJson(R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"intermediate_size":96,"num_hidden_layers":1,
        "num_attention_heads":4,"max_position_embeddings":128,"rms_norm_eps":1e-6,"vocab_size":40})",
                      "config.json");
}

}  // namespace

class TestTokenizerSpm : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_dir;
    fs::path m_folder;

private slots:
    void init()
    {
        m_folder = fs::path(m_dir.path().toStdString()) / "model";
        fs::remove_all(m_folder);
        fs::create_directories(m_folder);
    }

    void piecesOfTheSampleAreThoseOfItsTokenizerJson()
    {
        // An independent record of the same vocabulary, read by Qt.
        QFile file(QString::fromStdString((kSample / "tokenizer.json").string()));
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QJsonObject vocabulary = QJsonDocument::fromJson(file.readAll())["model"]["vocab"].toObject();
        const auto tokenizer = readTokenizerSpm(kSample, Json::object(), 2048);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        QCOMPARE(tokenizer->tokens.size(), static_cast<std::size_t>(vocabulary.size()));
        for (std::size_t i = 0; i < tokenizer->tokens.size(); ++i) {
            const Token& token = tokenizer->tokens[i];
            QCOMPARE(vocabulary[QString::fromStdString(token.text)].toInt(-1), static_cast<int>(i));
            const bool isByte = i >= 3 && i < 259;
            QCOMPARE(static_cast<int>(token.type), i == 0 ? 2 : i < 3 ? 3 : isByte ? 6 : 1);
            QCOMPARE(token.score, i < 259 ? 0.0F : 259.0F - static_cast<float>(i));
        }
        QCOMPARE(tokenizer->bosId.value_or(99), 1U);
        QCOMPARE(tokenizer->eosId.value_or(99), 2U);
        QCOMPARE(tokenizer->unknownId.value_or(99), 0U);
        QVERIFY(!tokenizer->padId && tokenizer->addBos == true && tokenizer->addEos == false && tokenizer->addSpacePrefix);
        QVERIFY(!tokenizer->chatTemplates.main);
    }

    void everyKindOfPieceIsRead()
    {
        const auto model = parse(tinyModel());
        QVERIFY2(model, model ? "" : model.error().detail.c_str());
        QVERIFY(model->isBpe && !model->addsDummyPrefix);
        QCOMPARE(model->pieces.size(), std::size_t{5});
        QVERIFY(model->pieces[3].type == TokenType::UserDefined && model->pieces[4].type == TokenType::Byte);
        QCOMPARE(model->pieces[2].score, -1.0F);
    }

    void sideFilesAddTokensIdsAndTemplate()
    {
        writeText(m_folder / "tokenizer.model", tinyModel());
        writeText(m_folder / "added_tokens.json", R"({"<extra>": 5, "<too far>": 99})");
        writeText(m_folder / "tokenizer_config.json",
                  R"({"added_tokens_decoder":{"6":{"content":"<|end|>"},"2":{"content":"a▁b","special":false}},
                      "eos_token":{"content":"<|end|>"},"bos_token":"<s>","add_prefix_space":true,
                      "chat_template":[{"name":"tool","template":"T"},{"name":"default","template":"D"}]})");
        const auto tokenizer = readTokenizerSpm(m_folder, *parseJson(R"({"pad_token_id":5})", "c"), 8);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        QCOMPARE(tokenizer->tokens.size(), std::size_t{8});
        QCOMPARE(tokenizer->tokens[5].text, std::string("<extra>"));
        QVERIFY(tokenizer->tokens[5].type == TokenType::UserDefined);
        QVERIFY(tokenizer->tokens[6].type == TokenType::Control);  // looks special
        QCOMPARE(tokenizer->tokens[2].text, std::string("a b"));
        QCOMPARE(tokenizer->tokens[7].text, std::string("[PAD7]"));
        QVERIFY(tokenizer->tokens[7].type == TokenType::Unused);
        QCOMPARE(tokenizer->eosId.value_or(0), 6U);
        QCOMPARE(tokenizer->padId.value_or(0), 5U);
        QVERIFY(tokenizer->addSpacePrefix);
        QCOMPARE(tokenizer->chatTemplates.main.value_or(""), std::string("D"));
    }

    void aTemplateFileCountsWhenTheConfigHasNone()
    {
        writeText(m_folder / "tokenizer.model", tinyModel());
        writeText(m_folder / "chat_template.jinja", "from the file");
        QCOMPARE(readTokenizerSpm(m_folder, Json::object(), 5)->chatTemplates.main.value_or(""), std::string("from the file"));
    }

    void foldersWithoutASuitableTokenizerAskForATemplate()
    {
        const auto absent = readTokenizerSpm(m_folder, Json::object(), 5);
        QCOMPARE(absent.error().code, ErrorCode::NotRepresentable);
        QVERIFY(absent.error().detail.find("template") != std::string::npos);
        writeText(m_folder / "tokenizer.model", piece("a", 0, 1) + field(2, varint(3, 1)));
        const auto unigram = readTokenizerSpm(m_folder, Json::object(), 5);
        QCOMPARE(unigram.error().code, ErrorCode::NotRepresentable);
    }

    void damagedModelsAreRefusedWithTheOffset()
    {
        const std::string whole = tinyModel();
        std::size_t refused = 0;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const auto model = parse(whole.substr(0, size));
            if (model)
                continue;  // cut between two pieces: a shorter model
            ++refused;
            QCOMPARE(model.error().code, ErrorCode::MalformedHeader);
            QVERIFY(model.error().detail.find("tokenizer.model: at byte ") == 0);
        }
        QCOMPARE(refused, whole.size() - 6);  // whole are: one to five pieces, and these with the trainer's part
        QCOMPARE(parse(piece("a", 0, 7)).error().code, ErrorCode::MalformedHeader);
        QCOMPARE(parse(piece("\xff", 0, 1)).error().code, ErrorCode::InvalidUtf8);
        QCOMPARE(parse("\x0b").error().code, ErrorCode::MalformedHeader);                                // wire type 3
        QCOMPARE(parse(std::string("\x08") + std::string(11, '\xff')).error().code, ErrorCode::MalformedHeader);  // 77-bit number
        QCOMPARE(parse("version https://git-lfs").error().code, ErrorCode::MalformedHeader);
    }

    void configurationOfTheSampleIsRead()
    {
        const auto file = MappedFile::open(kSample / "config.json");
        QVERIFY(file);
        const auto bytes = (*file)->bytes();
        const auto json = parseJson({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "config.json");
        const auto config = modelConfigFromHf(*json, "config.json");
        QVERIFY2(config, config ? "" : config.error().detail.c_str());
        QCOMPARE(config->architecture, std::string("llama"));
        QCOMPARE(config->embeddingLength, 256U);
        QCOMPARE(config->heads, 8U);
        QCOMPARE(config->kvHeads, 4U);
        QCOMPARE(config->headLength, 32U);
        QCOMPARE(config->rmsEpsilon, 1e-5F);
        QCOMPARE(config->ropeBase, 10000.0F);
        QVERIFY(config->tiedEmbeddings == false && config->rope.kind == RopeScaling::Kind::None);
    }

    void whatAConfigurationLeavesOutHasItsDefault()
    {
        const auto config = modelConfigFromHf(llama(), "config.json");
        QVERIFY2(config, config ? "" : config.error().detail.c_str());
        QCOMPARE(config->kvHeads, 4U);
        QCOMPARE(config->headLength, 16U);
        QVERIFY(!config->tiedEmbeddings);
    }

    void wrongConfigurationsAreRefusedByKey_data()
    {
        QTest::addColumn<QString>("change");
        QTest::addColumn<int>("code");
        QTest::addColumn<QString>("named");
        const auto row = [](const char* change, ErrorCode code, const char* named) {
            QTest::newRow(change) << change << static_cast<int>(code) << named;
        };
        row(R"({"architectures":["MambaForCausalLM"]})", ErrorCode::NotRepresentable, "template");
        row(R"({"hidden_act":"gelu"})", ErrorCode::NotRepresentable, "gelu");
        row(R"({"num_local_experts":8})", ErrorCode::NotRepresentable, "experts");
        row(R"({"quantization_config":{}})", ErrorCode::NotRepresentable, "quantized");
        row(R"({"rope_scaling":{"type":"dynamic","factor":2}})", ErrorCode::NotRepresentable, "dynamic");
        row(R"({"hidden_size":-64})", ErrorCode::InvalidMetadata, "hidden_size");
        row(R"({"hidden_size":"64"})", ErrorCode::InvalidMetadata, "hidden_size");
        row(R"({"hidden_size":4294967296})", ErrorCode::InvalidMetadata, "hidden_size");
        row(R"({"vocab_size":null})", ErrorCode::InvalidMetadata, "vocab_size");
        row(R"({"rms_norm_eps":0})", ErrorCode::InvalidMetadata, "rms_norm_eps");
        row(R"({"num_key_value_heads":3})", ErrorCode::InvalidMetadata, "key/value");
        row(R"({"head_dim":15})", ErrorCode::InvalidMetadata, "pairs");
        row(R"({"tie_word_embeddings":"no"})", ErrorCode::InvalidMetadata, "tie_word_embeddings");
        row(R"({"rope_scaling":7})", ErrorCode::InvalidMetadata, "rope_scaling");
        row(R"({"architectures":[]})", ErrorCode::InvalidMetadata, "architectures");
    }

    void wrongConfigurationsAreRefusedByKey()
    {
        QFETCH(QString, change);
        QFETCH(int, code);
        QFETCH(QString, named);
        Json json = llama();
        json.update(*parseJson(change.toStdString(), "change"));
        const auto config = modelConfigFromHf(json, "config.json");
        QVERIFY(!config);
        QCOMPARE(static_cast<int>(config.error().code), code);
        QVERIFY2(config.error().detail.find(named.toStdString()) != std::string::npos, config.error().detail.c_str());
    }

    void llama3ScalingBecomesFrequencyFactors()
    {
        Json json = llama();
        json.update(*parseJson(R"({"head_dim":128,"rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,
            "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}})",
                               "change"));
        const auto factors = ropeFrequencyFactors(*modelConfigFromHf(json, "config.json"));
        QCOMPARE(factors.size(), std::size_t{64});
        QCOMPARE(factors.front(), 1.0F);
        QCOMPARE(factors.back(), 8.0F);
        // Pair 32: frequency 500000^-1/2, wave 2 pi sqrt(500000) = 4442.88, between 2048 and 8192:
        // smooth = (8192 / 4442.88 - 1) / 3 = 0.281281; 1 / (0.718719 / 8 + 0.281281) = 2.69453.
        QVERIFY(std::abs(factors[32] - 2.69453F) < 1e-4F);
        QVERIFY(std::is_sorted(factors.begin(), factors.end()));
        json["rope_scaling"] = *parseJson(R"({"type":"linear","factor":2.0})", "change");
        const auto linear = modelConfigFromHf(json, "config.json");
        QVERIFY(linear->rope.kind == RopeScaling::Kind::Linear && linear->rope.factor == 2.0F);
        QVERIFY(ropeFrequencyFactors(*linear).empty());
    }
};

QTEST_APPLESS_MAIN(TestTokenizerSpm)
#include "tst_tokenizer_spm.moc"
