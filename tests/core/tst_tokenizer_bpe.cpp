// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is read of byte-level BPE tokenizers, and what is refused. (That the ids are those of Hugging Face's own library:
// tests/interop/tst_tokenizers.cpp.)
#include "core/base/Json.h"
#include "core/model/PreTokenizers.h"
#include "core/model/Tokenizer.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const fs::path kSample = fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

constexpr const char* kTokenizer = R"({
  "normalizer": {"type":"NFC"},
  "pre_tokenizer": {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
  "post_processor": {"type":"Sequence","processors":[{"type":"ByteLevel","add_prefix_space":true},
    {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}]}]},
  "added_tokens": [{"id":6,"content":"<s>","special":true},{"id":7,"content":"<|odd|>","special":false},
                   {"id":9,"content":"<think>","special":false,"rstrip":true}],
  "model": {"type":"BPE","vocab":{"a":0,"b":1,"Ġ":2,"ab":3,"Ġa":4,"Ġab":5,"<s>":6},"merges":["a b","Ġ a",["Ġ","ab"]]}
})";

void writeText(const fs::path& path, const std::string& content)
{
    std::ofstream(path, std::ios::binary) << content;
}

/// A definition with one step that cuts by @p regex, or as @p step says.
Json cutting(const std::string& regex, bool ignoreMerges, const char* behavior = "Isolated", bool invert = false)
{
    return Json{{"pre_tokenizer",
                 {{"type", "Sequence"},
                  {"pretokenizers",
                   {{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", behavior}, {"invert", invert}},
                    {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}}},
                {"model", {{"type", "BPE"}, {"ignore_merges", ignoreMerges}}}};
}

std::string nameOf(const Json& tokenizer, std::string_view modelType = {}, bool cleans = true)
{
    const auto name = preTokenizerName(tokenizer, {modelType, cleans}, "tokenizer.json");
    return name ? *name : "refused: " + name.error().detail;
}

constexpr const char* kLlama =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTiktoken =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";

}  // namespace

class TestTokenizerBpe : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_dir;
    fs::path m_folder;

    [[nodiscard]] Result<TokenizerBpe> read(std::uint32_t size = 12, const char* config = "{}") const
    {
        auto tokenizer = readTokenizer(m_folder, *parseJson(config, "config.json"), size);
        if (!tokenizer)
            return passOn(std::move(tokenizer));
        auto* bpe = std::get_if<TokenizerBpe>(&*tokenizer);
        return bpe != nullptr ? Result<TokenizerBpe>(std::move(*bpe)) : fail(ErrorCode::Internal, "another kind");
    }

    /// kTokenizer with one place changed.
    void writeChanged(const std::string& from, const std::string& to) const
    {
        std::string text = kTokenizer;
        const std::size_t at = text.find(from);
        QVERIFY(at != std::string::npos);
        writeText(m_folder / "tokenizer.json", text.replace(at, from.size(), to));
    }

private slots:
    void init()
    {
        m_folder = fs::path(m_dir.path().toStdString()) / "model";
        fs::remove_all(m_folder);
        fs::create_directories(m_folder);
        writeText(m_folder / "tokenizer.json", kTokenizer);
    }

    void tokensTypesMergesAndPaddingAreRead()
    {
        const auto tokenizer = read();
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        QCOMPARE(tokenizer->pre, std::string("gpt-2"));
        QCOMPARE(tokenizer->tokens.size(), std::size_t{12});
        QCOMPARE(tokenizer->tokens[5].text, std::string("Ġab"));
        QVERIFY(tokenizer->tokens[5].type == TokenType::Normal);
        QVERIFY(tokenizer->tokens[6].type == TokenType::Control);
        QVERIFY(tokenizer->tokens[7].type == TokenType::Control);  // looks special
        QVERIFY(tokenizer->tokens[8].type == TokenType::Unused);
        QCOMPARE(tokenizer->tokens[8].text, std::string("[PAD8]"));
        QVERIFY(tokenizer->tokens[9].type == TokenType::UserDefined);
        QVERIFY((tokenizer->merges == std::vector<std::string>{"a b", "Ġ a", "Ġ ab"}));
        QCOMPARE(tokenizer->notes.size(), std::size_t{1});
        QVERIFY(tokenizer->notes[0].find("rstrip") != std::string::npos);
    }

    void unusedIdsGetNamesThatNoTokenHas()
    {
        writeChanged(R"("ab":3)", R"("ab":3,"[PAD8]":10)");
        const auto tokenizer = read();
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        QCOMPARE(tokenizer->tokens[8].text, std::string("[PAD8]_"));
    }

    void specialIdsComeFromTheFirstFileThatTellsThem()
    {
        writeText(m_folder / "tokenizer_config.json", R"({"eos_token":{"content":"<|odd|>"},"bos_token":null})");
        writeText(m_folder / "special_tokens_map.json", R"({"eos_token":"a","pad_token":{"content":"<think>"}})");
        writeText(m_folder / "generation_config.json", R"({"bos_token_id":2,"eos_token_id":[0,1]})");
        const auto tokenizer = read(12, R"({"bos_token_id":6,"unk_token_id":99})");
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        QCOMPARE(tokenizer->eosId.value_or(99), 7U);
        QCOMPARE(tokenizer->padId.value_or(99), 9U);
        QCOMPARE(tokenizer->bosId.value_or(99), 6U);
        QVERIFY(!tokenizer->unknownId && !tokenizer->eotId);
        QVERIFY(tokenizer->addBos && !tokenizer->addEos);
    }

    void aListOfEndsGivesTheFirstWhereNothingElseTells()
    {
        writeText(m_folder / "generation_config.json", R"({"eos_token_id":[7,9]})");
        QCOMPARE(read()->eosId.value_or(99), 7U);
    }

    void theTurnEndsWithTheEndThatTheChatTemplateWrites()
    {
        writeText(m_folder / "generation_config.json", R"({"eos_token_id":[7,9]})");
        writeText(m_folder / "tokenizer_config.json", R"({"chat_template":"{{ m }}<think>"})");
        QCOMPARE(read()->eotId.value_or(99), 9U);
        writeText(m_folder / "tokenizer_config.json", R"({"chat_template":"{{ m }}<think><|odd|>"})");
        QVERIFY(!read()->eotId);  // the end of text is written too: which of both ends a turn is not told
    }

    void flagsOfTheConfigWinOverThePostProcessor()
    {
        QVERIFY(read()->addBos);  // the template's token, although no file names BOS
        QCOMPARE(read()->bosId.value_or(99), 6U);
        writeText(m_folder / "tokenizer_config.json", R"({"add_bos_token":false,"add_eos_token":true})");
        QVERIFY(!read()->addBos);
        QVERIFY(!read()->addEos);  // there is no EOS to add
        writeText(m_folder / "tokenizer_config.json", R"({"bos_token":"a"})");
        const auto other = read();
        QVERIFY(!other->addBos);
        QCOMPARE(other->notes.size(), std::size_t{2});  // "<s>" goes before every text, which GGUF cannot say
    }

    void chatTemplatesAreReadInEveryForm()
    {
        writeText(m_folder / "tokenizer_config.json",
                  R"({"chat_template":[{"name":"tool use","template":"T"},{"name":"default","template":"D"},{"name":"rag","template":"R"}]})");
        auto templates = read()->chatTemplates;
        QCOMPARE(templates.main.value_or(""), std::string("D"));
        QCOMPARE(templates.named.size(), std::size_t{2});
        QCOMPARE(templates.named[0].first, std::string("tool_use"));
        QCOMPARE(templates.named[1].second, std::string("R"));
        writeText(m_folder / "chat_template.jinja", "J");
        QCOMPARE(read()->chatTemplates.main.value_or(""), std::string("D"));
        fs::remove(m_folder / "tokenizer_config.json");
        QCOMPARE(read()->chatTemplates.main.value_or(""), std::string("J"));
        QVERIFY(read()->chatTemplates.named.empty());
        fs::create_directory(m_folder / "additional_chat_templates");
        for (const char* name : {"tool use.jinja", "rag.jinja", "default.jinja", "note.txt"})
            writeText(m_folder / "additional_chat_templates" / name, std::string("of ") + name);
        templates = read()->chatTemplates;
        QCOMPARE(templates.main.value_or(""), std::string("J"));
        QCOMPARE(templates.named.size(), std::size_t{2});
        QVERIFY((templates.named[0] == std::pair<std::string, std::string>("rag", "of rag.jinja")));
        QVERIFY((templates.named[1] == std::pair<std::string, std::string>("tool_use", "of tool use.jinja")));
        // Whatever stands elsewhere is nobody's template: it would become part of the output.
        const fs::path elsewhere = m_folder.parent_path() / "elsewhere";
        fs::create_directories(elsewhere);
        writeText(elsewhere / "x.jinja", "a secret");
        const auto isRefused = [&](const fs::path& link, const fs::path& target) {
            fs::create_symlink(target, link);
            const auto refused = read();
            fs::remove(link);
            return !refused && refused.error().code == ErrorCode::UnsafePath
                && refused.error().detail.find(link.filename().string()) != std::string::npos;
        };
        QVERIFY(isRefused(m_folder / "additional_chat_templates" / "x.jinja", elsewhere / "x.jinja"));
        fs::remove_all(m_folder / "additional_chat_templates");
        QVERIFY(isRefused(m_folder / "additional_chat_templates", elsewhere));
        fs::remove(m_folder / "chat_template.jinja");
        QVERIFY(isRefused(m_folder / "chat_template.jinja", elsewhere / "x.jinja"));
        QVERIFY(!read()->chatTemplates.main && read()->chatTemplates.named.empty());
        writeText(m_folder / "chat_template.json", R"({"chat_template":"from JSON"})");
        QCOMPARE(read()->chatTemplates.main.value_or(""), std::string("from JSON"));
    }

    void vocabularyAndMergesInTwoFilesNeedAKnownClass()
    {
        fs::remove(m_folder / "tokenizer.json");
        writeText(m_folder / "vocab.json", R"({"a":0,"b":1,"ab":2})");
        writeText(m_folder / "merges.txt", "#version: 0.2\r\na b\r\n");
        writeText(m_folder / "added_tokens.json", R"({"<|end|>":3})");
        writeText(m_folder / "tokenizer_config.json", R"({"tokenizer_class":"Qwen2Tokenizer"})");
        const auto tokenizer = read(4);
        QVERIFY2(tokenizer, tokenizer ? "" : tokenizer.error().detail.c_str());
        QCOMPARE(tokenizer->pre, std::string("qwen2"));
        QVERIFY((tokenizer->merges == std::vector<std::string>{"a b"}));
        QVERIFY(tokenizer->tokens[3].type == TokenType::Control);
        writeText(m_folder / "tokenizer_config.json", R"({"tokenizer_class":"OtherTokenizer"})");
        const auto other = read(4);
        QVERIFY(!other && other.error().code == ErrorCode::NotRepresentable);
        QVERIFY2(other.error().detail.find("OtherTokenizer") != std::string::npos, other.error().detail.c_str());
    }

    void namesFollowFromPatternsAndFlags()
    {
        QCOMPARE(nameOf(cutting(kLlama, true)), std::string("llama-bpe"));
        QCOMPARE(nameOf(cutting(kLlama, false)), std::string("smaug-bpe"));
        QCOMPARE(nameOf(cutting(kLlama, false), "olmo2"), std::string("dbrx"));
        QCOMPARE(nameOf(cutting(kTiktoken, false, "Removed", true), "olmo2"), std::string("dbrx"));
        std::string oneDigit = kLlama;
        oneDigit.replace(oneDigit.find("{1,3}"), 5, "");
        QCOMPARE(nameOf(cutting(oneDigit, false)), std::string("qwen2"));
        QVERIFY(nameOf(cutting(oneDigit, true)).starts_with("refused"));  // llama.cpp has no such pair
        Json digits = *parseJson(R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
            {"type":"ByteLevel","add_prefix_space":false}]},"model":{}})",
                                 "t");
        QCOMPARE(nameOf(digits, "llama", false), std::string("smollm"));
        QCOMPARE(nameOf(digits, "starcoder2", true), std::string("starcoder"));
        QCOMPARE(nameOf(digits, "cohere", false), std::string("command-r"));
    }

    void whatLlamaCppDoesNotKnowIsRefusedWithTheReason_data()
    {
        QTest::addColumn<QString>("change");
        QTest::addColumn<QString>("to");
        QTest::addColumn<QString>("word");
        QTest::newRow("another pattern") << R"("use_regex":true)" << R"("use_regex":false)" << "pre-tokenizer (bytes)";
        QTest::newRow("a space before the text") << R"("add_prefix_space":false)" << R"("add_prefix_space":true)" << "a space before";
        QTest::newRow("another normalizer") << R"("NFC")" << R"("Lowercase")" << "Lowercase";
        QTest::newRow("another step") << R"("type":"ByteLevel","add_prefix_space":false)" << R"("type":"Whitespace")" << "Whitespace";
        QTest::newRow("another kind") << R"("type":"BPE")" << R"("type":"WordPiece")" << "WordPiece";
        QTest::newRow("a suffix of words") << R"("type":"BPE")" << R"("type":"BPE","end_of_word_suffix":"</w>")" << "end_of_word_suffix";
        QTest::newRow("random merges") << R"("type":"BPE")" << R"("type":"BPE","dropout":0.1)" << "dropout";
    }

    void whatLlamaCppDoesNotKnowIsRefusedWithTheReason()
    {
        QFETCH(QString, change);
        QFETCH(QString, to);
        QFETCH(QString, word);
        writeChanged(change.toStdString(), to.toStdString());
        const auto tokenizer = read();
        QVERIFY(!tokenizer);
        QCOMPARE(tokenizer.error().code, ErrorCode::NotRepresentable);
        QVERIFY2(tokenizer.error().detail.find(word.toStdString()) != std::string::npos, tokenizer.error().detail.c_str());
        QVERIFY2(tokenizer.error().detail.find("tokenizer.json") != std::string::npos, tokenizer.error().detail.c_str());
    }

    void hostileFilesAreErrorsThatNameWhatIsWrong_data()
    {
        QTest::addColumn<QByteArray>("change");
        QTest::addColumn<QByteArray>("to");
        QTest::addColumn<QByteArray>("word");
        const auto row = [](const char* name, const char* from, const char* to, const char* word) {
            QTest::newRow(name) << QByteArray(from) << QByteArray(to) << QByteArray(word);
        };
        row("an id past the embedding", R"("ab":3)", R"("ab":12)", "the id 12, the embedding has 12 rows");
        row("an enormous id", R"("ab":3)", R"("ab":18446744073709551615)", "18446744073709551615");
        row("a negative id", R"("ab":3)", R"("ab":-1)", "-1");
        row("a fractional id", R"("ab":3)", R"("ab":3.5)", "3.5");
        row("an id that is text", R"("ab":3)", R"("ab":"3")", "\"ab\"");
        row("one id twice", R"("ab":3)", R"("ab":1)", "the id 1 is given to");
        row("one token twice", R"("ab":3)", R"("ab":3,"ab":8)", "duplicate key");
        row("an added token over another", R"({"id":7,)", R"({"id":3,)", "the id 3 is given to");
        row("an added token with two ids", R"({"id":7,"content":"<|odd|>")", R"({"id":7,"content":"ab")", "has the ids 3 and 7");
        row("an added token that is none", R"({"id":7,"content":"<|odd|>","special":false})", "7", "not an object");
        row("a NUL in a token", R"("content":"<|odd|>")", R"("content":"<\u0000>")", "NUL");
        row("a merge of an unknown token", R"("a b")", R"("a c")", "needs the token");
        row("a merge into an unknown token", R"("a b")", R"("b a")", "needs the token");
        row("a merge of one token", R"("a b")", R"("ab")", "two texts");
        row("a merge of three", R"(["Ġ","ab"])", R"(["Ġ","a","b"])", "two texts");
        row("a merge that is a number", R"("a b")", "7", "two texts");
        row("text that is not UTF-8", "\"ab\":3", "\"\xff\":3", "UTF-8");
        row("text after the end", "\"ab\":3", "\"ab\":3}}}}", "JSON");
    }

    void hostileFilesAreErrorsThatNameWhatIsWrong()
    {
        QFETCH(QByteArray, change);
        QFETCH(QByteArray, to);
        QFETCH(QByteArray, word);
        writeChanged(change.toStdString(), to.toStdString());
        const auto tokenizer = read();
        QVERIFY(!tokenizer);
        QVERIFY2(tokenizer.error().detail.find(word.toStdString()) != std::string::npos, tokenizer.error().detail.c_str());
    }

    void otherShapesOfFilesAreRefused()
    {
        for (const std::string& content : {std::string("[]"), std::string("7"), std::string(""), std::string(300, '['),
                                           R"({"model":)" + std::string(200, '[') + std::string(200, ']') + "}"}) {
            writeText(m_folder / "tokenizer.json", content);
            QVERIFY(!read());
        }
        for (const char* side : {"tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "added_tokens.json"}) {
            writeText(m_folder / "tokenizer.json", kTokenizer);
            writeText(m_folder / side, "[1]");
            const auto tokenizer = read();
            QVERIFY(!tokenizer);
            QVERIFY2(tokenizer.error().detail.find(side) != std::string::npos, tokenizer.error().detail.c_str());
            fs::remove(m_folder / side);
        }
    }

    void enormousFilesAndCountsAreRefusedUnread()
    {
        fs::resize_file(m_folder / "tokenizer.json", 200ULL << 20);  // sparse
        const auto large = read();
        QVERIFY(!large);
        QCOMPARE(large.error().code, ErrorCode::HeaderTooLarge);
        writeText(m_folder / "tokenizer.json", kTokenizer);
        QVERIFY(!read(0xFFFFFFFF));
    }

    void aFolderWithoutATokenizerAsksForATemplate()
    {
        fs::remove(m_folder / "tokenizer.json");
        const auto tokenizer = read();
        QVERIFY(!tokenizer);
        QCOMPARE(tokenizer.error().code, ErrorCode::NotRepresentable);
        QVERIFY2(tokenizer.error().detail.find("--template") != std::string::npos, tokenizer.error().detail.c_str());
    }

    void sentencePieceInATokenizerJsonIsTheSameAsItsModelFile()
    {
        fs::copy_file(kSample / "tokenizer.json", m_folder / "tokenizer.json", fs::copy_options::overwrite_existing);
        fs::copy_file(kSample / "tokenizer_config.json", m_folder / "tokenizer_config.json");
        const Json config = *parseJson(R"({"bos_token_id":1,"eos_token_id":2})", "config.json");
        const auto fromJson = readTokenizer(m_folder, config, 2048);
        QVERIFY2(fromJson, fromJson ? "" : fromJson.error().detail.c_str());
        const auto* ours = std::get_if<TokenizerSpm>(&*fromJson);
        QVERIFY(ours != nullptr);
        const auto model = readTokenizerSpm(kSample, config, 2048);
        QVERIFY(model);
        QVERIFY(ours->addSpacePrefix == model->addSpacePrefix && ours->addBos == model->addBos && ours->bosId == model->bosId
                && ours->eosId == model->eosId && ours->unknownId == model->unknownId);
        for (std::size_t i = 0; i < model->tokens.size(); ++i) {
            QCOMPARE(ours->tokens[i].text, model->tokens[i].text);
            QCOMPARE(static_cast<int>(ours->tokens[i].type), static_cast<int>(model->tokens[i].type));
        }
        // Scores only order what merges make: texts of several characters, here in the order of their ids.
        float last = 1;
        int made = 0;
        for (std::size_t i = 259; i < model->tokens.size(); ++i) {
            const std::string& text = model->tokens[i].text;
            const auto letters = std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
            if (letters < 2)
                continue;
            QVERIFY2(ours->tokens[i].score < last, text.c_str());
            last = ours->tokens[i].score;
            ++made;
        }
        QVERIFY(made > 1000);
        fs::copy_file(kSample / "tokenizer.model", m_folder / "tokenizer.model");
        QVERIFY(std::holds_alternative<TokenizerSpm>(*readTokenizer(m_folder, config, 2048)));
        // llama 3 keeps tiktoken's file under that name.
        writeText(m_folder / "tokenizer.model", "IQ== 0\nIg== 1\n");
        writeText(m_folder / "tokenizer.json", kTokenizer);
        const auto bpe = readTokenizer(m_folder, Json::object(), 12);
        QVERIFY2(bpe, bpe ? "" : bpe.error().detail.c_str());
        QVERIFY(std::holds_alternative<TokenizerBpe>(*bpe));
    }

    void mergesThatNoScoresGiveAreRefused()
    {
        writeText(m_folder / "tokenizer.json", R"({"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"},
            "model":{"type":"BPE","byte_fallback":true,"vocab":{"a":0,"b":1,"ab":2,"aa":3,"aab":4},
            "merges":["a ab","a b","aa b","a a"]}})");
        const auto apart = readTokenizer(m_folder, Json::object(), 5);
        QVERIFY(!apart && apart.error().code == ErrorCode::NotRepresentable);
        QVERIFY2(apart.error().detail.find("aab") != std::string::npos, apart.error().detail.c_str());
    }
};

QTEST_GUILESS_MAIN(TestTokenizerBpe)
#include "tst_tokenizer_bpe.moc"
