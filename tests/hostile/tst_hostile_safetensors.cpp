// SPDX-License-Identifier: GPL-3.0-or-later
#include "Hostile.h"

#include <QtTest>

// reliability 1-5, 7-12, 14-22, 24-33; the large ones are in tst_hostile_large.cpp.

using namespace sigmascope;
using namespace sigmascope::test;

Q_DECLARE_METATYPE(ErrorCode)

class TestHostileSafetensors : public QObject {
    Q_OBJECT

private slots:
    void refuses_data();
    void refuses();
    void trailingSpacesOpen();
    void controlCharactersInNamesOpenAndAreShownEscaped();
    void warnsLenientlyAndRefusesStrictly_data();
    void warnsLenientlyAndRefusesStrictly();
    void oddButValidOpens_data();
    void oddButValidOpens();
    void unknownTypesAreListedWithTheirSizeAndNotViewed_data();
    void unknownTypesAreListedWithTheirSizeAndNotViewed();
    void oddFloat4CountRefusesThatTensorOnly();
    void bytesOfABigEndianProducerAreReadAsTheyAre();
};

namespace {

std::string object(const std::string& members)
{
    return "{" + members + "}";
}

/// One tensor "w" whose field is given as raw JSON text.
std::string withShape(const std::string& shape)
{
    return R"({"w":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,4]}})";
}

std::string withOffsets(const std::string& offsets)
{
    return R"({"w":{"dtype":"U8","shape":[4],"data_offsets":)" + offsets + "}}";
}

void addRow(const char* name, const std::string& bytes, ErrorCode code, const QStringList& fragments)
{
    QTest::newRow(name) << QByteArray::fromStdString(bytes) << code << fragments;
}

void addHeaderRow(const char* name, const std::string& header, ErrorCode code, const QStringList& fragments)
{
    addRow(name, safetensors(header, 4), code, fragments);
}

std::vector<std::string> plain(const QStringList& fragments)
{
    std::vector<std::string> out;
    for (const QString& fragment : fragments)
        out.push_back(fragment.toStdString());
    return out;
}

void addFrameRows()
{
    const std::string good = object(entry("w", "U8", {4}, 0, 4));
    addRow("1 empty file", "", ErrorCode::Truncated, {"at byte 0", "too short for a header", "found 0"});
    addRow("2 seven bytes", std::string("\x02\0\0\0\0\0\0", 7), ErrorCode::Truncated, {"at byte 0", "too short for a header", "found 7"});
    addRow("3 header longer than the file", safetensors(good, 4, good.size() + 5), ErrorCode::Truncated,
           {"at byte 0", "header needs " + QString::number(good.size() + 5),
            QString("incomplete, %1 of at least %2 bytes").arg(good.size() + 12).arg(good.size() + 13)});
    addRow("4 header length 2^63", safetensors(good, 4, 1ULL << 63), ErrorCode::HeaderTooLarge, {"at byte 0", "9223372036854775808"});
    addRow("4 header length 2^64-1", safetensors(good, 4, ~0ULL), ErrorCode::HeaderTooLarge, {"at byte 0", "18446744073709551615"});
    addRow("5 header length 100,000,001", safetensors(good, 4, 100'000'001), ErrorCode::HeaderTooLarge, {"at byte 0", "100000001", "100000000"});
    addRow("7 header length 0", safetensors("", 4), ErrorCode::MalformedHeader, {"at byte 0", "header length 0"});
    addRow("7 header length 1", safetensors("{", 4), ErrorCode::MalformedHeader, {"at byte 0", "header length 1"});
    addHeaderRow("8 leading whitespace", " " + good, ErrorCode::MalformedHeader, {"at byte 8", "expected '{'"});
    addHeaderRow("9 trailing garbage", good + "x", ErrorCode::MalformedHeader,
                 {"at byte " + QString::number(8 + good.size()), "follows the end"});
    addHeaderRow("9 a second object", good + "{}", ErrorCode::MalformedHeader,
                 {"at byte " + QString::number(8 + good.size()), "follows the end"});
    addHeaderRow("12 nested 100,000 deep", R"({"w":)" + std::string(100'000, '[') + "}", ErrorCode::MalformedHeader,
                 {"tensor 'w'", "at byte"});
    addHeaderRow("12 nested 100,000 deep in a field", R"({"__metadata__":{"k":)" + std::string(100'000, '{') + "}}",
                 ErrorCode::MalformedHeader, {"at byte"});
    addHeaderRow("12 nested nine deep in an unknown field", R"({"w":{"extra":[[[[[[[1]]]]]]]}})", ErrorCode::MalformedHeader,
                 {"tensor 'w'", "nested deeper than 8 levels", "at byte"});
}

void addTextRows()
{
    const std::string tail = R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
    addHeaderRow("11 invalid UTF-8 in a name", "{\"a\xff" + tail, ErrorCode::InvalidUtf8, {"at byte 11"});
    addHeaderRow("11 overlong form in a name", "{\"a\xc0\xaf" + tail, ErrorCode::InvalidUtf8, {"at byte 11"});
    addHeaderRow("11 encoded surrogate in a name", "{\"a\xed\xa0\x80" + tail, ErrorCode::InvalidUtf8, {"at byte 11"});
    addHeaderRow("11 lone high surrogate escape", R"({"a\ud800)" + tail, ErrorCode::InvalidUtf8, {"at byte 11", "surrogate"});
    addHeaderRow("11 lone low surrogate escape", R"({"a\udc00)" + tail, ErrorCode::InvalidUtf8, {"at byte 11", "surrogate"});
    addHeaderRow("11 high surrogate before a letter", R"({"a\ud800\u0041)" + tail, ErrorCode::InvalidUtf8, {"at byte 11", "surrogate"});
    addHeaderRow("11 raw control character in a name", "{\"a\n" + tail, ErrorCode::MalformedHeader, {"at byte 11", "control"});
}

void addNumberRows()
{
    const auto number = [](const char* row, const std::string& header, const char* found) {
        addHeaderRow(row, header, ErrorCode::InvalidNumber, {"tensor 'w'", "at byte", found});
    };
    number("14 float in shape", withShape("[4.0]"), "4.0");
    number("14 negative in shape", withShape("[-4]"), "-4");
    number("14 exponent in shape", withShape("[4e0]"), "4e0");
    number("14 2^64 in shape", withShape("[18446744073709551616]"), "18446744073709551616");
    number("14 leading zero in shape", withShape("[04]"), "04");
    number("14 string in shape", withShape("[\"4\"]"), "\"4\"");
    number("14 null in shape", withShape("[null]"), "null");
    number("14 float in offsets", withOffsets("[0,4.5]"), "4.5");
    number("14 negative in offsets", withOffsets("[-1,4]"), "-1");
    number("14 1e3 in offsets", withOffsets("[0,1e3]"), "1e3");
}

void addMeaningRows()
{
    const std::string w = entry("w", "U8", {4}, 0, 4);
    addHeaderRow("15 duplicate tensor", object(w + "," + entry("w", "U8", {0}, 4, 4)), ErrorCode::DuplicateName, {"tensor 'w'", "at byte"});
    addHeaderRow("15 duplicate tensor by an escape", object(w + "," + entry("\\u0077", "U8", {0}, 4, 4)), ErrorCode::DuplicateName,
                 {"tensor 'w'", "at byte"});
    addHeaderRow("15 duplicate field", R"({"w":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                 ErrorCode::DuplicateName, {"tensor 'w'", "'dtype' twice", "at byte 27"});
    addHeaderRow("16 duplicate __metadata__", object(R"("__metadata__":{},)" + w + R"(,"__metadata__":{})"), ErrorCode::DuplicateName,
                 {"__metadata__", "at byte"});
    addHeaderRow("16 duplicate metadata key", object(R"("__metadata__":{"k":"a","k":"b"},)" + w), ErrorCode::DuplicateName,
                 {"'k' twice", "at byte"});
    addHeaderRow("18 begin after end", object(entry("w", "U8", {4}, 4, 0)), ErrorCode::MalformedHeader,
                 {"tensor 'w'", "at byte 9", "[4, 0]"});
    addHeaderRow("19 end past the buffer", object(entry("w", "U8", {5}, 0, 5)), ErrorCode::Truncated,
                 {"tensor 'w'", "at byte " + QString::number(8 + object(entry("w", "U8", {5}, 0, 5)).size()),
                  QString("incomplete, %1 of %2 bytes").arg(12 + object(entry("w", "U8", {5}, 0, 5)).size())
                      .arg(13 + object(entry("w", "U8", {5}, 0, 5)).size())});
    addHeaderRow("19 end past any file", object(entry("w", "U8", {18446744073709551615ULL}, 0, ~0ULL)), ErrorCode::RangeOutOfFile,
                 {"tensor 'w'", "at byte 9"});
    addHeaderRow("20 overlap", object(entry("a", "U8", {3}, 0, 3) + "," + entry("w", "U8", {2}, 2, 4)), ErrorCode::Overlap,
                 {"tensor 'w'", "tensor 'a' by 1", "at byte"});
    addHeaderRow("21 hole", object(entry("a", "U8", {1}, 0, 1) + "," + entry("w", "U8", {2}, 2, 4)), ErrorCode::Hole,
                 {"tensor 'w'", "hole of 1 bytes", "at byte"});
    addHeaderRow("21 hole at the start", object(entry("w", "U8", {3}, 1, 4)), ErrorCode::Hole, {"tensor 'w'", "at byte", "hole of 1 bytes"});
    addHeaderRow("24 element count overflows", object(entry("w", "U8", {1ULL << 32, 1ULL << 32, 3}, 0, 4)), ErrorCode::SizeOverflow,
                 {"tensor 'w'", "at byte 9", "4294967296"});
    addHeaderRow("24 byte size overflows", object(entry("w", "F64", {1ULL << 62}, 0, 4)), ErrorCode::SizeOverflow,
                 {"tensor 'w'", "at byte 9", "4611686018427387904"});
    addHeaderRow("25 shape and range differ", object(entry("w", "F16", {4}, 0, 4)), ErrorCode::ShapeMismatch,
                 {"tensor 'w'", "at byte 9", "needs 8 bytes", "hold 4"});
    addHeaderRow("25 one offset only", withOffsets("[4]"), ErrorCode::MalformedHeader, {"tensor 'w'", "at byte", "found 1"});
    addHeaderRow("25 three offsets", withOffsets("[0,4,4]"), ErrorCode::MalformedHeader, {"tensor 'w'", "at byte"});
    addHeaderRow("25 no dtype", R"({"w":{"shape":[4],"data_offsets":[0,4]}})", ErrorCode::MalformedHeader, {"tensor 'w'", "lacks", "at byte 9"});
}

}  // namespace

void TestHostileSafetensors::refuses_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<ErrorCode>("code");
    QTest::addColumn<QStringList>("fragments");
    addFrameRows();
    addTextRows();
    addNumberRows();
    addMeaningRows();
}

void TestHostileSafetensors::refuses()
{
    QFETCH(QByteArray, bytes);
    QFETCH(ErrorCode, code);
    QFETCH(QStringList, fragments);
    const Folder folder;
    const auto path = folder.write("bad.safetensors", bytes.toStdString());
    std::vector<std::string> expected = plain(fragments);
    expected.push_back(path.native());
    expectRefused(path, code, expected);
}

void TestHostileSafetensors::trailingSpacesOpen()  // 10
{
    const Folder folder;
    const auto opened = openedClean(folder.write("a.safetensors", safetensors(object(entry("w", "U8", {4}, 0, 4)) + "     ", 4)));
    QVERIFY(opened);
    QCOMPARE(opened->tensors().size(), 1U);
}

void TestHostileSafetensors::controlCharactersInNamesOpenAndAreShownEscaped()  // 11
{
    const Folder folder;
    const auto opened = openedClean(folder.write("a.safetensors", safetensors(object(entry("a\\u0000b\\ud83d\\ude00", "U8", {4}, 0, 4)), 4)));
    QVERIFY(opened);
    const std::string name = std::string("a\0b", 3) + "\xF0\x9F\x98\x80";
    QVERIFY(opened->tensors()[0].name == name);
    QVERIFY(opened->find(name).has_value());
    QCOMPARE(escaped(name), std::string("a\\x00b\xF0\x9F\x98\x80"));
}

void TestHostileSafetensors::warnsLenientlyAndRefusesStrictly_data()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<ErrorCode>("code");
    QTest::addColumn<QStringList>("fragments");
    const std::string w = entry("w", "U8", {4}, 0, 4);
    addHeaderRow("17 number in metadata", object(R"("__metadata__":{"format":"pt","epoch":3},)" + w), ErrorCode::InvalidMetadata,
                 {"'epoch'", "at byte 39"});
    addHeaderRow("17 object in metadata", object(R"("__metadata__":{"a":{"b":[1,true,null,-2.5e3]}},)" + w), ErrorCode::InvalidMetadata,
                 {"'a'", "at byte"});
    addHeaderRow("17 metadata is null", object(R"("__metadata__":null,)" + w), ErrorCode::InvalidMetadata, {"__metadata__", "at byte 9"});
    addRow("22 uncovered tail", safetensors(object(w), 7), ErrorCode::UncoveredBytes,
           {"at byte " + QString::number(8 + object(w).size() + 4), "3 bytes follow"});
    addHeaderRow("31 F4 with an odd count", object(entry("w", "F4", {7}, 0, 4)), ErrorCode::ShapeMismatch,
                 {"tensor 'w'", "whole bytes", "at byte 9"});
    addHeaderRow("unknown field of a tensor", R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"strides":[1]}})",
                 ErrorCode::InvalidMetadata, {"tensor 'w'", "'strides'", "at byte"});
}

void TestHostileSafetensors::warnsLenientlyAndRefusesStrictly()
{
    QFETCH(QByteArray, bytes);
    QFETCH(ErrorCode, code);
    QFETCH(QStringList, fragments);
    const Folder folder;
    const auto path = folder.write("odd.safetensors", bytes.toStdString());
    std::vector<std::string> expected = plain(fragments);
    expected.push_back(path.native());
    expectWarned(path, code, expected);
}

void TestHostileSafetensors::oddButValidOpens_data()
{
    QTest::addColumn<QByteArray>("header");
    QTest::addColumn<int>("dataBytes");
    QTest::addColumn<QList<qulonglong>>("sizes");
    const auto row = [](const char* name, const std::string& members, int dataBytes, const QList<qulonglong>& sizes) {
        QTest::newRow(name) << QByteArray::fromStdString(object(members)) << dataBytes << sizes;
    };
    row("26 zero dimension", entry("w", "F32", {3, 0, 5}, 0, 0), 0, {0});
    row("26 zero dimension beside one that would overflow", entry("w", "F32", {1ULL << 63, 4, 0}, 0, 0), 0, {0});
    row("27 two empty tensors at one offset",
        entry("a", "U8", {4}, 0, 4) + "," + entry("b", "F32", {0}, 4, 4) + "," + entry("c", "F32", {0, 2}, 4, 4) + ","
            + entry("d", "U8", {2}, 4, 6), 6, {4, 0, 0, 2});
    row("28 scalar", entry("s", "F32", {}, 0, 4), 4, {4});
    row("29 rank ten", entry("w", "U8", {1, 2, 1, 2, 1, 1, 1, 1, 1, 1}, 0, 4), 4, {4});
    row("32 odd data start and offsets", entry("a", "U8", {1}, 0, 1) + "," + entry("w", "F32", {2}, 1, 9) + " ", 9, {1, 8});
    row("listed out of order", entry("b", "U8", {2}, 2, 4) + "," + entry("a", "U8", {2}, 0, 2), 4, {2, 2});
    row("no tensor at all", R"("__metadata__":{"format":"pt"})", 0, {});
}

void TestHostileSafetensors::oddButValidOpens()
{
    QFETCH(QByteArray, header);
    QFETCH(int, dataBytes);
    QFETCH(QList<qulonglong>, sizes);
    const Folder folder;
    const auto opened = openedClean(folder.write("odd.safetensors", safetensors(header.toStdString(), static_cast<std::size_t>(dataBytes))));
    QVERIFY(opened);
    QCOMPARE(opened->tensors().size(), static_cast<std::size_t>(sizes.size()));
    for (std::size_t i = 0; i < opened->tensors().size(); ++i) {
        const auto view = opened->view(i);
        QVERIFY2(view, view ? "" : view.error().detail.c_str());
        QCOMPARE(static_cast<qulonglong>(view->bytes.size()), sizes[static_cast<qsizetype>(i)]);
        // The builder's data count up from 0, so the first byte tells where the view lies.
        const std::uint64_t dataStart = 8 + static_cast<std::uint64_t>(header.size());
        if (!view->bytes.empty())
            QCOMPARE(std::to_integer<std::uint64_t>(view->bytes[0]), opened->tensors()[i].offset - dataStart);
    }
}

void TestHostileSafetensors::unknownTypesAreListedWithTheirSizeAndNotViewed_data()
{
    QTest::addColumn<QString>("dtype");
    QTest::addColumn<qulonglong>("elements");
    QTest::addColumn<bool>("named");
    QTest::newRow("30 F8_E8M0") << "F8_E8M0" << 4ULL << true;
    QTest::newRow("30 F4") << "F4" << 8ULL << true;
    QTest::newRow("30 of the future") << "I24" << 3ULL << false;
}

void TestHostileSafetensors::unknownTypesAreListedWithTheirSizeAndNotViewed()
{
    QFETCH(QString, dtype);
    QFETCH(qulonglong, elements);
    QFETCH(bool, named);
    const Folder folder;
    const auto opened =
        openedClean(folder.write("a.safetensors", safetensors(object(entry("w", dtype.toStdString(), {elements}, 0, 4)), 4)));
    QVERIFY(opened);
    const TensorInfo& tensor = opened->tensors()[0];
    QCOMPARE(tensor.bytes, 4U);
    QVERIFY(!info(tensor.dtype).decodable);
    const auto view = opened->view(0);
    if (named) {
        QVERIFY(view);  // its bytes are known to fit its shape; only decoding is missing
        QCOMPARE(tensor.unknownDtype, std::string());
        return;
    }
    QVERIFY(!view);
    expectError(view.error(), ErrorCode::UnknownType, {"a.safetensors", "tensor 'w'", "I24", "at byte " + std::to_string(tensor.offset)});
    QCOMPARE(tensor.unknownDtype, std::string("I24"));
}

void TestHostileSafetensors::oddFloat4CountRefusesThatTensorOnly()  // 31
{
    const Folder folder;
    const auto opened = Checkpoint::open(
        folder.write("a.safetensors", safetensors(object(entry("bad", "F4", {3}, 0, 2) + "," + entry("good", "U8", {2}, 2, 4)), 4)));
    QVERIFY(opened);
    QVERIFY((*opened)->view(*(*opened)->find("good")));
    const auto bad = (*opened)->view(*(*opened)->find("bad"));
    QVERIFY(!bad);
    expectError(bad.error(), ErrorCode::UnknownType, {"a.safetensors", "tensor 'bad'", "F4", "at byte"});
}

void TestHostileSafetensors::bytesOfABigEndianProducerAreReadAsTheyAre()  // 33
{
    // 1.0f written big-endian: nothing in the container tells, so it opens and its values look absurd.
    const std::string header = object(entry("w", "F32", {1}, 0, 4));
    const Folder folder;
    const auto opened = openedClean(folder.write("a.safetensors", safetensors(header, 0) + std::string("\x3f\x80\0\0", 4)));
    QVERIFY(opened);
    float value = 0;
    std::memcpy(&value, opened->view(0)->bytes.data(), 4);
    QVERIFY(value > 0 && value < 1e-38F);
}

QTEST_APPLESS_MAIN(TestHostileSafetensors)
#include "tst_hostile_safetensors.moc"
