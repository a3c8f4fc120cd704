// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/calibration/Imatrix.h"
#include "support/FileBuilders.h"

#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

const std::filesystem::path kSample = std::filesystem::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample";

std::string floats(const std::vector<float>& values)
{
    std::string bytes;
    for (const float value : values)
        bytes += le(value);
    return bytes;
}

std::string legacyEntry(std::string_view name, std::int32_t calls, const std::vector<float>& values)
{
    return le(static_cast<std::int32_t>(name.size())) + std::string(name) + le(calls) +
           le(static_cast<std::int32_t>(values.size())) + floats(values);
}

std::string padded(std::string bytes)
{
    bytes.resize((bytes.size() + 31) / 32 * 32, '\0');
    return bytes;
}

/// One GGUF imatrix entry: sums [matrices x cols] and counts.
std::string ggufImatrix(const std::vector<float>& sums, const std::vector<float>& counts, std::string_view kind = "imatrix",
                        std::string_view countsName = "w.weight.counts")
{
    GgufBytes file;
    file.text("general.type", kind).u32("imatrix.chunk_count", 3).u32("imatrix.chunk_size", 256);
    const std::string data = padded(floats(sums));
    file.tensor("w.weight.in_sum2", {sums.size() / counts.size(), counts.size()}, 0, 0);
    file.tensor(countsName, {1, counts.size()}, 0, data.size());
    file.data = data + padded(floats(counts));
    return file.bytes();
}

}  // namespace

class ImatrixTest : public QObject {
    Q_OBJECT

private slots:
    void bothFormatsOfTheSampleSayTheSame();
    void ggufNamesAndHfNamesFindTheSameEntry();
    void contentDecidesTheFormatNotTheExtension();
    void legacyValuesAreDividedByTheCalls();
    void ggufSumsAreDividedByTheTokens();
    void unusableEntriesAreListedNotUsed_data();
    void unusableEntriesAreListedNotUsed();
    void wrongGgufFilesAreRefusedByName_data();
    void wrongGgufFilesAreRefusedByName();
    void wrongLegacyFilesAreRefusedByOffset_data();
    void wrongLegacyFilesAreRefusedByOffset();
    void fileCutAnywhereNeverPassesForWhole();
    void absentFileIsNotFound();

private:
    std::filesystem::path write(std::string_view bytes, const char* name = "imatrix.dat") const
    {
        return writeFile(std::filesystem::path(m_folder.path().toStdString()) / name, bytes);
    }
    QTemporaryDir m_folder;
};

void ImatrixTest::bothFormatsOfTheSampleSayTheSame()
{
    const auto gguf = readImatrix(kSample / "imatrix.gguf");
    const auto legacy = readImatrix(kSample / "imatrix.dat");
    QVERIFY2(gguf, gguf ? "" : gguf.error().detail.c_str());
    QVERIFY2(legacy, legacy ? "" : legacy.error().detail.c_str());
    QVERIFY(!gguf->legacy && legacy->legacy);
    QCOMPARE(gguf->datasets, std::vector<std::string>{"calibration.txt"});
    QCOMPARE(legacy->datasets, gguf->datasets);
    QCOMPARE(gguf->chunks, 159U);
    QCOMPARE(legacy->chunks, 159U);
    QCOMPARE(gguf->chunkSize, 256U);
    QCOMPARE(gguf->entries.size(), std::size_t(29));  // 4 blocks of 7 matrices, and the output
    QCOMPARE(legacy->entries.size(), gguf->entries.size());
    QVERIFY(gguf->unusable.empty() && legacy->unusable.empty());
    for (const auto& [name, entry] : gguf->entries) {
        const auto& other = legacy->entries.at(name).meanSquares;
        QCOMPARE(other.size(), entry.meanSquares.size());
        QVERIFY(entry.tokens > 0);
        // Sums, their quotient and the calls are each rounded to float: a few 2^-24.
        for (std::size_t i = 0; i < other.size(); ++i)
            QVERIFY(std::abs(other[i] - entry.meanSquares[i]) <= 4e-7F * entry.meanSquares[i]);
    }
}

void ImatrixTest::ggufNamesAndHfNamesFindTheSameEntry()
{
    const auto imatrix = readImatrix(kSample / "imatrix.gguf");
    QVERIFY(imatrix);
    const ImatrixEntry* entry = imatrix->find("blk.2.ffn_down.weight", 768);
    QVERIFY(entry != nullptr);
    QCOMPARE(imatrix->find("model.layers.2.mlp.down_proj.weight", 768), entry);
    QVERIFY(imatrix->find("model.layers.2.mlp.down_proj.weight", 256) == nullptr);
    QVERIFY(imatrix->find("model.layers.9.mlp.down_proj.weight", 768) == nullptr);
    QVERIFY(imatrix->find("model.embed_tokens.weight", 256) == nullptr);
}

void ImatrixTest::contentDecidesTheFormatNotTheExtension()
{
    const auto gguf = readImatrix(write(ggufImatrix({2, 4}, {2}), "misnamed.dat"));
    QVERIFY2(gguf && !gguf->legacy, gguf ? "" : gguf.error().detail.c_str());
    const auto legacy = readImatrix(write(le(1) + legacyEntry("w", 1, {1}), "misnamed.gguf"));
    QVERIFY2(legacy && legacy->legacy, legacy ? "" : legacy.error().detail.c_str());
}

void ImatrixTest::legacyValuesAreDividedByTheCalls()
{
    const std::string entries = le(2) + legacyEntry("a.weight", 4, {8, 2}) + legacyEntry("b.weight", 1, {3});
    const auto imatrix = readImatrix(write(entries + le(7) + le(4) + "text"));
    QVERIFY2(imatrix, imatrix ? "" : imatrix.error().detail.c_str());
    QCOMPARE(imatrix->entries.at("a.weight").meanSquares, (std::vector{2.0F, 0.5F}));
    QCOMPARE(imatrix->entries.at("b.weight").meanSquares, std::vector{3.0F});
    QCOMPARE(imatrix->entries.at("a.weight").tokens, 0.0);  // the format does not tell
    QCOMPARE(imatrix->chunks, 7U);
    QCOMPARE(imatrix->datasets, std::vector<std::string>{"text"});
    QVERIFY(readImatrix(write(entries)));  // files of 2023 end here
}

void ImatrixTest::ggufSumsAreDividedByTheTokens()
{
    const auto imatrix = readImatrix(write(ggufImatrix({8, 2, 9, 6}, {4, 3})));
    QVERIFY2(imatrix, imatrix ? "" : imatrix.error().detail.c_str());
    const ImatrixEntry& entry = imatrix->entries.at("w.weight");
    QCOMPARE(entry.matrices, std::uint64_t(2));
    QCOMPARE(entry.meanSquares, (std::vector{2.0F, 0.5F, 3.0F, 2.0F}));
    QCOMPARE(entry.tokens, 3.0);  // the fewest of the experts
    QCOMPARE(imatrix->chunkSize, 256U);
}

void ImatrixTest::unusableEntriesAreListedNotUsed_data()
{
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kInf = std::numeric_limits<float>::infinity();
    QTest::addColumn<QByteArray>("file");
    QTest::addColumn<QString>("reason");
    const auto row = [](const char* title, const std::string& file, const char* reason) {
        QTest::newRow(title) << QByteArray::fromStdString(file) << reason;
    };
    row("NaN", ggufImatrix({1, kNan}, {1}), "column 1 is not finite");
    row("infinite", ggufImatrix({kInf, 1}, {1}), "column 0 is not finite");
    row("negative", ggufImatrix({1, 1, -2}, {1}), "column 2 is negative");
    row("all zero", ggufImatrix({0, 0}, {1}), "all columns are zero");
    row("no tokens", ggufImatrix({1, 2}, {0}), "no tokens");
    row("negative tokens", ggufImatrix({1, 2}, {-5}), "a token count of -5");
    row("NaN tokens", ggufImatrix({1, 2}, {kNan}), "a token count of nan");
    row("one expert without tokens", ggufImatrix({1, 2, 3, 4}, {5, 0}), "expert 1 has no tokens");
    row("one expert all zero", ggufImatrix({0, 0, 3, 4}, {5, 5}), "all columns of expert 0 are zero");
    row("legacy NaN", le(1) + legacyEntry("w.weight", 1, {kNan}), "column 0 is not finite");
    row("legacy without calls", le(1) + legacyEntry("w.weight", 0, {1}), "a call count of 0");
    row("legacy all zero", le(1) + legacyEntry("w.weight", 2, {0, 0}), "all columns are zero");
}

void ImatrixTest::unusableEntriesAreListedNotUsed()
{
    QFETCH(QByteArray, file);
    QFETCH(QString, reason);
    const auto imatrix = readImatrix(write(file.toStdString()));
    QVERIFY2(imatrix, imatrix ? "" : imatrix.error().detail.c_str());
    QVERIFY(imatrix->entries.empty());
    QCOMPARE(imatrix->unusable.size(), std::size_t(1));
    const std::string& listed = imatrix->unusable.front();
    QVERIFY2(listed.starts_with("w.weight: ") && listed.find(reason.toStdString()) != std::string::npos, listed.c_str());
}

void ImatrixTest::wrongGgufFilesAreRefusedByName_data()
{
    QTest::addColumn<QByteArray>("file");
    QTest::addColumn<QString>("names");
    const auto row = [](const char* title, const std::string& file, const char* names) {
        QTest::newRow(title) << QByteArray::fromStdString(file) << names;
    };
    row("a model", ggufImatrix({1}, {1}, "model"), "general.type");
    row("no counts", ggufImatrix({1}, {1}, "imatrix", "other.counts"), "w.weight.in_sum2");
    GgufBytes half;
    half.text("general.type", "imatrix").tensor("w.in_sum2", {2}, 1, 0).tensor("w.counts", {1}, 0, 32);
    row("F16 sums", half.withData(64).bytes(), "w.in_sum2");
    GgufBytes uneven;
    uneven.text("general.type", "imatrix").tensor("w.in_sum2", {2}, 0, 0).tensor("w.counts", {3}, 0, 32);
    row("three counts for one matrix", uneven.withData(64).bytes(), "w.counts");
    GgufBytes none;
    none.text("general.type", "imatrix").tensor("w.in_sum", {2}, 0, 0);
    row("nothing to weigh", none.withData(32).bytes(), "no entries");
}

void ImatrixTest::wrongGgufFilesAreRefusedByName()
{
    QFETCH(QByteArray, file);
    QFETCH(QString, names);
    const auto path = write(file.toStdString());
    const auto imatrix = readImatrix(path);
    QVERIFY(!imatrix);
    QCOMPARE(imatrix.error().code, ErrorCode::BadCalibration);
    const std::string& detail = imatrix.error().detail;
    QVERIFY2(detail.find(names.toStdString()) != std::string::npos, detail.c_str());
    QVERIFY2(detail.find(path.filename().string()) != std::string::npos, detail.c_str());
}

void ImatrixTest::wrongLegacyFilesAreRefusedByOffset_data()
{
    QTest::addColumn<QByteArray>("file");
    QTest::addColumn<int>("code");
    QTest::addColumn<QString>("offset");
    const auto row = [](const char* title, const std::string& file, ErrorCode code, const char* offset) {
        QTest::newRow(title) << QByteArray::fromStdString(file) << static_cast<int>(code) << offset;
    };
    const std::string good = legacyEntry("w", 1, {1, 2});  // 21 bytes
    row("two billion entries", le(0x7FFFFFFF) + good, ErrorCode::BadCalibration, "byte 0");
    row("minus one entry", le(-1) + good, ErrorCode::BadCalibration, "byte 0");
    row("something else altogether", "not an imatrix at all, sorry", ErrorCode::BadCalibration, "byte 0");
    row("name of 2 GB", le(1) + le(0x7FFFFFFF) + std::string(40, 'w'), ErrorCode::Truncated, "byte 4");
    row("name of -1 bytes", le(1) + le(-1) + std::string(40, 'w'), ErrorCode::BadCalibration, "byte 4");
    row("empty name", le(1) + legacyEntry("", 1, {1, 2}), ErrorCode::BadCalibration, "byte 4");
    row("name of no UTF-8", le(1) + legacyEntry("\xFF", 1, {1, 2}), ErrorCode::BadCalibration, "byte 4");
    row("two billion values", le(1) + le(1) + "w" + le(1) + le(0x7FFFFFFF) + le(1.0F), ErrorCode::Truncated, "byte 13");
    row("minus four values", le(1) + le(1) + "w" + le(1) + le(-4) + le(1.0F), ErrorCode::BadCalibration, "byte 13");
    row("the same name twice", le(2) + good + good, ErrorCode::DuplicateName, "byte 25");
    row("dataset of 2 GB", le(1) + good + le(1) + le(0x7FFFFFFF), ErrorCode::Truncated, "byte 29");
    row("bytes after the end", le(1) + good + le(1) + le(1) + "d!", ErrorCode::BadCalibration, "byte 34");
}

void ImatrixTest::wrongLegacyFilesAreRefusedByOffset()
{
    QFETCH(QByteArray, file);
    QFETCH(int, code);
    QFETCH(QString, offset);
    const auto path = write(file.toStdString());
    const auto imatrix = readImatrix(path);
    QVERIFY(!imatrix);
    const std::string& detail = imatrix.error().detail;
    QVERIFY2(imatrix.error().code == static_cast<ErrorCode>(code), detail.c_str());
    QVERIFY2(detail.find(offset.toStdString()) != std::string::npos, detail.c_str());
    QVERIFY2(detail.find(path.filename().string()) != std::string::npos, detail.c_str());
}

void ImatrixTest::fileCutAnywhereNeverPassesForWhole()
{
    const std::string legacy = le(2) + legacyEntry("a.weight", 4, {8, 2}) + legacyEntry("b.weight", 1, {3}) + le(7) + le(4) + "text";
    const std::size_t withoutTrailer = legacy.size() - 12;
    for (std::size_t size = 0; size < legacy.size(); ++size)
        QCOMPARE(readImatrix(write(legacy.substr(0, size))).has_value(), size == withoutTrailer);
    const std::string gguf = ggufImatrix({8, 2, 9, 6}, {4, 3});
    const std::size_t padding = 24;  // of the counts' 8 bytes
    for (std::size_t size = 0; size < gguf.size() - padding; ++size)
        QVERIFY2(!readImatrix(write(gguf.substr(0, size))), qPrintable(QString::number(size)));
}

void ImatrixTest::absentFileIsNotFound()
{
    const auto imatrix = readImatrix(std::filesystem::path(m_folder.path().toStdString()) / "absent.gguf");
    QVERIFY(!imatrix);
    QCOMPARE(imatrix.error().code, ErrorCode::NotFound);
}

QTEST_GUILESS_MAIN(ImatrixTest)
#include "tst_imatrix.moc"
