// SPDX-License-Identifier: GPL-3.0-or-later
#include "Hostile.h"

#include <QtTest>

// reliability 43-58: what a GGUF header can lie about before its data are placed.

using namespace sigmascope;
using namespace sigmascope::test;

Q_DECLARE_METATYPE(ErrorCode)

class TestHostileGguf : public QObject {
    Q_OBJECT

private slots:
    void refusesHeaders_data();
    void refusesHeaders();
    void refusesKeys_data();
    void refusesKeys();
    void refusesTensors_data();
    void refusesTensors();
    void everyKeyTypeOpensAndReadsBack();
    void alignmentBelowEightWarns();
    void wrongMagicIsNamedWhateverTheExtension();
};

namespace {

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kF16 = 1;
constexpr std::uint32_t kQ4_0 = 2;
constexpr std::uint32_t kQ4K = 12;

GgufBytes small()
{
    GgufBytes file;
    file.text("general.architecture", "llama").tensor("w", {8}, kF32, 0).withData(32);
    return file;
}

void addColumns()
{
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<ErrorCode>("code");
    QTest::addColumn<QStringList>("fragments");
}

void addRow(const char* name, const std::string& bytes, ErrorCode code, const QStringList& fragments)
{
    QTest::newRow(name) << QByteArray::fromStdString(bytes) << code << fragments;
}

void addRow(const char* name, const GgufBytes& file, ErrorCode code, const QStringList& fragments)
{
    addRow(name, file.bytes(), code, fragments);
}

void refuse()
{
    QFETCH(QByteArray, bytes);
    QFETCH(ErrorCode, code);
    QFETCH(QStringList, fragments);
    const Folder folder;
    const auto path = folder.write("bad.gguf", bytes.toStdString());
    std::vector<std::string> expected{path.native()};
    for (const QString& fragment : fragments)
        expected.push_back(fragment.toStdString());
    expectRefused(path, code, expected);
}

GgufBytes withVersion(std::uint32_t version)
{
    GgufBytes file = small();
    file.version = version;
    return file;
}

/// One key "k" with that type id and raw value.
GgufBytes withKey(std::uint32_t type, const std::string& value)
{
    GgufBytes file;
    file.key("k", type, value);
    return file;
}

std::string arrayOf(std::uint32_t type, std::uint64_t count, const std::string& elements = {})
{
    return le(type) + le(count) + elements;
}

}  // namespace

void TestHostileGguf::refusesHeaders_data()
{
    addColumns();
    for (const char* const magic : {"GGML", "GGJT", "lmgg", "tjgg"})
        addRow(qPrintable(QString("43 magic %1").arg(magic)), magic + std::string(60, '\0'), ErrorCode::WrongMagic,
               {"at byte 0", QString(magic).contains('j', Qt::CaseInsensitive) ? "GGJT" : "old"});
    addRow("43 gzip", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10) + std::string(40, 'x'), ErrorCode::WrongMagic, {"at byte 0", "gzip"});
    addRow("43 zip", "PK\x03\x04" + std::string(40, 'x'), ErrorCode::WrongMagic, {"at byte 0", "zip archive"});
    addRow("43 something else", std::string(40, 'x'), ErrorCode::WrongMagic, {"at byte 0", "expected the magic \"GGUF\"", "xxxx"});
    for (const std::uint32_t version : {0U, 1U, 4U})
        addRow(qPrintable(QString("44 version %1").arg(version)), withVersion(version), ErrorCode::UnsupportedVersion,
               {"at byte 4", QString("found %1").arg(version)});
    addRow("44 byte-swapped", withVersion(0x03000000), ErrorCode::UnsupportedVersion, {"at byte 4", "big-endian"});
    for (const int power : {61, 63}) {
        GgufBytes tensors = small();
        tensors.tensorCount = 1ULL << power;
        addRow(qPrintable(QString("45 n_tensors 2^%1").arg(power)), tensors, ErrorCode::MalformedHeader,
               {"at byte 8", "n_tensors", QString::number(1ULL << power)});
        GgufBytes keys = small();
        keys.keyCount = 1ULL << power;
        addRow(qPrintable(QString("45 n_kv 2^%1").arg(power)), keys, ErrorCode::MalformedHeader,
               {"at byte 16", "n_kv", QString::number(1ULL << power)});
    }
    GgufBytes crowded = small();
    crowded.keyCount = crowded.bytes().size() + 1;
    addRow("45 n_kv of the file's bytes + 1", crowded, ErrorCode::MalformedHeader, {"at byte 16", "n_kv", "hold at most"});
    crowded = small();
    crowded.tensorCount = crowded.bytes().size() + 1;
    addRow("45 n_tensors of the file's bytes + 1", crowded, ErrorCode::MalformedHeader, {"at byte 8", "n_tensors", "hold at most"});
}

void TestHostileGguf::refusesHeaders()
{
    refuse();
}

void TestHostileGguf::refusesKeys_data()
{
    addColumns();
    const std::string room(200, 'x');
    const auto raw = [&](const std::string& keys) {
        GgufBytes file;
        file.keys = keys + room;
        file.keyCount = 1;
        return file;
    };
    addRow("46 empty key", raw(ggufString("") + le(4U) + le(1U)), ErrorCode::MalformedHeader, {"at byte 24", "0 bytes"});
    addRow("46 key over 64 KiB", raw(ggufString(std::string(65'536, 'k')) + le(4U) + le(1U)), ErrorCode::MalformedHeader,
           {"at byte 24", "65536"});
    addRow("46 key past the end", raw(le<std::uint64_t>(100'000)), ErrorCode::Truncated, {"at byte 32", "100000"});
    addRow("47 string of 2^64-1 bytes", withKey(8, le(~0ULL) + room), ErrorCode::Truncated, {"'k'", "18446744073709551615", "at byte"});
    addRow("48 count times size wraps", withKey(9, arrayOf(10, 1ULL << 61) + room), ErrorCode::SizeOverflow,
           {"'k'", "2305843009213693952", "at byte 49"});
    addRow("48 count past the end", withKey(9, arrayOf(0, 1ULL << 40) + room), ErrorCode::Truncated, {"'k'", "at byte"});
    addRow("48 count of strings past the end", withKey(9, arrayOf(8, 1ULL << 61) + room), ErrorCode::Truncated, {"'k'", "strings", "at byte"});
    addRow("48 string in an array past the end", withKey(9, arrayOf(8, 2, ggufString("a") + le(~0ULL)) + room), ErrorCode::Truncated,
           {"'k'", "at byte"});
    addRow("49 array of arrays", withKey(9, arrayOf(9, 1, arrayOf(4, 1, le(1U)))), ErrorCode::MalformedHeader,
           {"'k'", "array of arrays", "at byte 37"});
    addRow("50 unknown element type", withKey(9, arrayOf(13, 1) + room), ErrorCode::UnknownType, {"'k'", "13", "at byte 37"});
    addRow("50 unknown value type", withKey(0x80000000U, room), ErrorCode::UnknownType, {"'k'", "2147483648", "at byte 33"});
    addRow("51 bool of 2", withKey(7, "\x02"), ErrorCode::InvalidMetadata, {"'k'", "found 2", "at byte 37"});
    addRow("51 bool of 255 in an array", withKey(9, arrayOf(7, 3, std::string("\0\x01\xff", 3))), ErrorCode::InvalidMetadata,
           {"'k'", "found 255", "at byte 51"});
    addRow("a key twice", small().text("general.architecture", "x"), ErrorCode::DuplicateName, {"'general.architecture'", "twice", "at byte"});
    for (const std::uint32_t alignment : {0U, 3U, 1U << 31})
        addRow(qPrintable(QString("52 alignment %1").arg(alignment)), small().u32("general.alignment", alignment), ErrorCode::BadAlignment,
               {"'general.alignment'", QString::number(alignment), "at byte"});
    addRow("52 alignment as u64", small().key("general.alignment", 10, le<std::uint64_t>(32)), ErrorCode::InvalidMetadata,
           {"'general.alignment'", "expected a u32", "at byte"});
    addRow("52 alignment as text", small().text("general.alignment", "32"), ErrorCode::InvalidMetadata,
           {"'general.alignment'", "expected a u32", "at byte"});
    addRow("52 alignment twice", small().u32("general.alignment", 32).u32("general.alignment", 32), ErrorCode::DuplicateName,
           {"'general.alignment'", "at byte"});
}

void TestHostileGguf::refusesKeys()
{
    refuse();
}

void TestHostileGguf::refusesTensors_data()
{
    addColumns();
    const auto one = [](const std::vector<std::uint64_t>& ne, std::uint32_t type) {
        GgufBytes file;
        file.tensor("blk.0.w", ne, type, 0).withData(64);
        return file;
    };
    addRow("53 n_dims 0", one({}, kF32), ErrorCode::MalformedHeader, {"tensor 'blk.0.w'", "n_dims", "found 0", "at byte 39"});
    addRow("53 n_dims 5", one({1, 1, 1, 1, 1}, kF32), ErrorCode::MalformedHeader, {"tensor 'blk.0.w'", "n_dims", "found 5", "at byte 39"});
    GgufBytes many;
    many.tensors = ggufString("blk.0.w") + le(~0U) + std::string(200, '\x01');
    many.tensorCount = 1;
    addRow("53 n_dims 2^32-1", many, ErrorCode::MalformedHeader, {"tensor 'blk.0.w'", "n_dims", "4294967295", "at byte 39"});
    addRow("54 ne[0] = 0", one({0, 4}, kF32), ErrorCode::ShapeMismatch, {"tensor 'blk.0.w'", "ne[0] is 0", "at byte 43"});
    addRow("54 ne[1] = 0", one({4, 0}, kF32), ErrorCode::ShapeMismatch, {"tensor 'blk.0.w'", "ne[1] is 0", "at byte 51"});
    addRow("55 ne negative", one({4, ~0ULL}, kF32), ErrorCode::SizeOverflow, {"tensor 'blk.0.w'", "ne[1] is negative", "at byte 51"});
    addRow("56 product wraps", one({1ULL << 32, 1ULL << 32, 4}, kF32), ErrorCode::SizeOverflow, {"tensor 'blk.0.w'", "overflows", "at byte"});
    addRow("56 product over int64", one({1ULL << 62, 2}, kF16), ErrorCode::SizeOverflow, {"tensor 'blk.0.w'", "overflows", "at byte 39"});
    addRow("56 bytes wrap", one({1ULL << 62}, kF32), ErrorCode::SizeOverflow, {"tensor 'blk.0.w'", "byte size", "overflows", "at byte 51"});
    addRow("57 row of 40 in blocks of 32", one({40, 2}, kQ4_0), ErrorCode::ShapeMismatch, {"tensor 'blk.0.w'", "ne[0] is 40", "32", "at byte"});
    addRow("57 row of 128 in blocks of 256", one({128, 2}, kQ4K), ErrorCode::ShapeMismatch, {"tensor 'blk.0.w'", "Q4_K", "256", "at byte 59"});
    for (const std::uint32_t id : {4U, 5U, 31U, 32U, 33U, 36U, 37U, 38U})
        addRow(qPrintable(QString("58 retired type %1").arg(id)), one({32}, id), ErrorCode::UnknownType,
               {"tensor 'blk.0.w'", QString("type: the id %1 is retired").arg(id), "at byte 51"});
    for (const std::uint32_t id : {43U, 255U, 1U << 31, ~0U})
        addRow(qPrintable(QString("58 unknown type %1").arg(id)), one({32}, id), ErrorCode::UnknownType,
               {"tensor 'blk.0.w'", QString("type: the id %1 is not known").arg(id), "at byte 51"});
    GgufBytes longName;
    longName.tensors = ggufString(std::string(70'000, 'n')) + std::string(100, '\0');
    longName.tensorCount = 1;
    addRow("64 name over 64 KiB", longName, ErrorCode::MalformedHeader, {"70000", "at byte 24"});
}

void TestHostileGguf::refusesTensors()
{
    refuse();
}

void TestHostileGguf::everyKeyTypeOpensAndReadsBack()
{
    GgufBytes file;
    file.version = 2;
    file.key("u8", 0, le<std::uint8_t>(1)).key("i8", 1, le<std::int8_t>(-1)).key("u16", 2, le<std::uint16_t>(1));
    file.key("i16", 3, le<std::int16_t>(-1)).u32("u32", 7).key("i32", 5, le(-7)).key("f32", 6, le(1.5F)).key("bool", 7, "\x01");
    file.text("text", "abc").key("u64", 10, le(8ULL)).key("i64", 11, le(-8LL)).key("f64", 12, le(2.5));
    file.key("texts", 9, arrayOf(8, 2, ggufString("one") + ggufString(""))).key("none", 9, arrayOf(8, 0));
    file.key("numbers", 9, arrayOf(5, 2, le(1) + le(2)));
    const Folder folder;
    const auto opened = openedClean(folder.write("keys.gguf", file.bytes()));
    QVERIFY(opened);
    const GgufMetadata& keys = opened->gguf();
    QCOMPARE(keys.keys().size(), 15U);
    QCOMPARE(keys.u32("u32").value_or(0), 7U);
    QVERIFY(!keys.u32("i32") && !keys.u32("u64") && !keys.u32("absent"));  // exactly typed, as llama.cpp's getters
    QCOMPARE(keys.f32("f32").value_or(0), 1.5F);
    QVERIFY(!keys.f32("f64"));
    QVERIFY(keys.string("text").value_or("") == "abc");
    QVERIFY(!keys.string("u32"));
    const auto texts = keys.strings("texts");
    QVERIFY(texts && texts->size() == 2 && texts->at(0) == "one" && texts->at(1).empty());
    QVERIFY(keys.strings("none") && keys.strings("none")->empty());
    QVERIFY(!keys.strings("numbers"));
    QCOMPARE(keys.find("numbers")->count, 2U);
    QCOMPARE(keys.find("numbers")->value.size(), 12U + 8U);
    QCOMPARE(keys.find("u32")->value.size(), 4U);
}

void TestHostileGguf::alignmentBelowEightWarns()
{
    GgufBytes file;
    file.alignment = 4;
    file.u32("general.alignment", 4).tensor("w", {3}, kF32, 0).withData(12);
    const Folder folder;
    expectWarned(folder.write("a.gguf", file.bytes()), ErrorCode::BadAlignment, {"a.gguf", "general.alignment", "found 4", "at byte"});
}

void TestHostileGguf::wrongMagicIsNamedWhateverTheExtension()  // 43
{
    const Folder folder;
    expectRefused(folder.write("a.safetensors", "GGJT" + std::string(60, '\0')), ErrorCode::WrongMagic,
                  {"a.safetensors", "at byte 0", "GGJT"});
    expectRefused(folder.write("b.safetensors", "PK\x03\x04" + std::string(60, 'x')), ErrorCode::WrongMagic,
                  {"b.safetensors", "at byte 0", "zip"});
    // A GGUF under another name is still one.
    QVERIFY(openedClean(folder.write("c.bin", small().bytes())));
}

QTEST_APPLESS_MAIN(TestHostileGguf)
#include "tst_hostile_gguf.moc"
