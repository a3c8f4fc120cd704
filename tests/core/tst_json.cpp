// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Json.h"

#include <QtTest>

#include <iterator>
#include <string>

#include <cmath>
#include <limits>

using namespace sigmascope;

Q_DECLARE_METATYPE(ErrorCode)

class TestJson : public QObject {
    Q_OBJECT

private slots:
    void keepsTheOrderOfKeys();
    void aVocabularyOfNamesIsRead();
    void refuses_data();
    void refuses();
    void depthLimitIsTheNumberOfNestedLevels();
    void numbersSurviveARoundTrip();
    void whatJsonCannotSayBecomesNull();
    void invalidTextIsReplacedWhenWritten();
};

void TestJson::keepsTheOrderOfKeys()
{
    const auto json = parseJson(R"({"z":1,"a":[true,null,"é\u00e9"],"m":{"y":-2,"b":0.5}})", "x.json");
    QVERIFY(json);
    QCOMPARE(dumpJson(*json), std::string("{\"z\":1,\"a\":[true,null,\"éé\"],\"m\":{\"y\":-2,\"b\":0.5}}"));
}

/// As large as a tokenizer's: minutes, if every name were looked for among all before it.
void TestJson::aVocabularyOfNamesIsRead()
{
    constexpr int kNames = 250'000;
    std::string text = "{";
    for (int i = 0; i < kNames; ++i)
        text += (i == 0 ? "\"token " : ",\"token ") + std::to_string(i) + "\":" + std::to_string(i);
    const auto json = parseJson(text + "}", "x.json");
    QVERIFY(json);
    QCOMPARE(json->size(), std::size_t{kNames});
    QCOMPARE(json->front().get<int>(), 0);
    QCOMPARE(json->back().get<int>(), kNames - 1);
    QCOMPARE(std::prev(json->end()).key(), "token " + std::to_string(kNames - 1));
    const auto twice = parseJson(text + ",\"token 7\":0}", "x.json");
    QVERIFY(!twice);
    QCOMPARE(twice.error().code, ErrorCode::DuplicateName);
}

void TestJson::refuses_data()
{
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<ErrorCode>("code");
    QTest::addColumn<QString>("fragment");
    const auto row = [](const char* name, const QByteArray& text, ErrorCode code, const char* fragment) {
        QTest::newRow(name) << text << code << QString(fragment);
    };
    row("nothing", "", ErrorCode::MalformedHeader, "JSON");
    row("trailing garbage", "{} x", ErrorCode::MalformedHeader, "at byte");
    row("comment", "{/**/}", ErrorCode::MalformedHeader, "at byte");
    row("NaN", "[NaN]", ErrorCode::MalformedHeader, "at byte");
    row("number too large", "[1e999]", ErrorCode::MalformedHeader, "at byte");
    row("duplicate key", R"({"a":1,"a":2})", ErrorCode::DuplicateName, "\"a\"");
    row("duplicate key below", R"([{"b":{"a":1,"a":2}}])", ErrorCode::DuplicateName, "\"a\"");
    row("invalid UTF-8", "[\"\xff\"]", ErrorCode::InvalidUtf8, "at byte 2");
    row("lone surrogate", R"(["\ud800"])", ErrorCode::MalformedHeader, "at byte");
    row("100,000 levels", QByteArray(100'000, '['), ErrorCode::MalformedHeader, "deeper than");
}

void TestJson::refuses()
{
    QFETCH(QByteArray, text);
    QFETCH(ErrorCode, code);
    QFETCH(QString, fragment);
    const auto json = parseJson(text.toStdString(), "x.json");
    QVERIFY(!json);
    QCOMPARE(json.error().code, code);
    QVERIFY2(json.error().detail.find(fragment.toStdString()) != std::string::npos, json.error().detail.c_str());
    QVERIFY2(json.error().detail.starts_with("x.json: "), json.error().detail.c_str());
}

void TestJson::depthLimitIsTheNumberOfNestedLevels()
{
    QVERIFY(parseJson("[[[1]]]", "x", {.depth = 3}));
    QVERIFY(!parseJson("[[[[1]]]]", "x", {.depth = 3}));
    QVERIFY(!parseJson(R"({"a":{"a":{"a":{}}}})", "x", {.depth = 3}));
}

void TestJson::numbersSurviveARoundTrip()
{
    for (const double value : {0.1, 1e-300, 1.0 / 3, 5e-324, 1.7976931348623157e308, -0.0}) {
        const auto back = parseJson(dumpJson(Json(value)), "x");
        QVERIFY(back);
        QCOMPARE(back->get<double>(), value);
        QCOMPARE(std::signbit(back->get<double>()), std::signbit(value));
    }
    QCOMPARE(dumpJson(Json(std::numeric_limits<std::uint64_t>::max())), std::string("18446744073709551615"));
}

void TestJson::whatJsonCannotSayBecomesNull()
{
    QCOMPARE(dumpJson(Json(std::numeric_limits<double>::quiet_NaN())), std::string("null"));
    QCOMPARE(dumpJson(Json(std::numeric_limits<double>::infinity())), std::string("null"));
}

void TestJson::invalidTextIsReplacedWhenWritten()
{
    QCOMPARE(dumpJson(Json("a\xff")), std::string("\"a\xEF\xBF\xBD\""));
}

QTEST_APPLESS_MAIN(TestJson)
#include "tst_json.moc"
