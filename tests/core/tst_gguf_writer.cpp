// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/export/GgufWriter.h"

#include "core/checkpoint/Checkpoint.h"

#include <QTemporaryDir>
#include <QTest>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

std::string le(std::uint64_t value, std::size_t size)
{
    std::string bytes(size, '\0');
    std::memcpy(bytes.data(), &value, size);
    return bytes;
}

std::string text(std::string_view value)
{
    return le(value.size(), 8) + std::string(value);
}

std::string contentOf(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::byte> bytesOf(std::size_t size, std::uint8_t first = 1)
{
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::byte>(first + i);
    return bytes;
}

GgufKeys someKeys()
{
    GgufKeys keys;
    keys.set("general.architecture", "llama");
    keys.set("llama.block_count", std::uint32_t{2});
    return keys;
}

std::vector<GgufTensorSpec> someTensors()
{
    return {{"a", DType::F32, {3}}, {"b", DType::F16, {2, 5}}, {"c", DType::Q4_0, {1, 2, 32}}, {"d", DType::I8, {1}}};
}

/// Turns one byte of the file round just before it is read back.
class DamagingSystem : public FileSystem {
public:
    explicit DamagingSystem(Bytes offset) : m_offset(offset) {}
    std::ptrdiff_t writeAt(int fd, const void* data, std::size_t size, Bytes offset) override
    {
        std::vector<char> copy(static_cast<const char*>(data), static_cast<const char*>(data) + size);
        if (offset <= m_offset && m_offset < offset + size)
            copy[static_cast<std::size_t>(m_offset - offset)] ^= 0x10;
        return FileSystem::writeAt(fd, copy.data(), size, offset);
    }

private:
    Bytes m_offset;
};

class BrokenSync : public FileSystem {
public:
    int sync(int) override
    {
        errno = EIO;
        return -1;
    }
};

}  // namespace

class TestGgufWriter : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_dir;
    fs::path m_target;

    Status writeSome(FileSystem& system)
    {
        auto writer = GgufWriter::create(m_target, *layoutGguf(someKeys(), someTensors()), true, system);
        if (!writer)
            return passOn(std::move(writer));
        for (const Bytes size : writer->layout().sizes) {
            if (Status status = writer->append(bytesOf(size)); !status)
                return status;
        }
        return writer->finish();
    }

private slots:
    void init() { m_target = fs::path(m_dir.path().toStdString()) / "x.gguf"; }
    void cleanup() { fs::remove(m_target); }

    void everyByteStandsWhereTheFormatWantsIt()
    {
        GgufKeys keys;
        keys.set("u", std::uint32_t{7});
        keys.set("f", 1.5F);
        keys.set("b", true);
        keys.set("s", "xyz");
        keys.set("as", std::vector<std::string>{"p", "qr"});
        keys.set("ai", std::span<const std::int32_t>(std::array{-1, 2}));
        auto writer = GgufWriter::create(m_target, *layoutGguf(keys, {{"v", DType::F32, {2}}, {"m", DType::F32, {2, 3}}}), false);
        QVERIFY(writer);
        QVERIFY(writer->append(bytesOf(8)));
        QVERIFY(writer->append(bytesOf(10)));  // in pieces
        QVERIFY(writer->append(bytesOf(14, 11)));
        const Status finished = writer->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());

        std::string expected = "GGUF" + le(3, 4) + le(2, 8) + le(6, 8);
        expected += text("u") + le(4, 4) + le(7, 4);
        expected += text("f") + le(6, 4) + le(0x3FC00000, 4);
        expected += text("b") + le(7, 4) + le(1, 1);
        expected += text("s") + le(8, 4) + text("xyz");
        expected += text("as") + le(9, 4) + le(8, 4) + le(2, 8) + text("p") + text("qr");
        expected += text("ai") + le(9, 4) + le(5, 4) + le(2, 8) + le(0xFFFFFFFF, 4) + le(2, 4);
        expected += text("v") + le(1, 4) + le(2, 8) + le(0, 4) + le(0, 8);
        expected += text("m") + le(2, 4) + le(3, 8) + le(2, 8) + le(0, 4) + le(32, 8);
        expected.resize((expected.size() + 31) / 32 * 32);
        for (const int count : {8, 24}) {
            for (int i = 1; i <= count; ++i)
                expected += static_cast<char>(i);
            expected.resize((expected.size() + 31) / 32 * 32);
        }
        QVERIFY(contentOf(m_target) == expected);
    }

    void theSizeIsKnownBeforeTheFirstByte()
    {
        const auto layout = layoutGguf(someKeys(), someTensors());
        QVERIFY(layout);
        QCOMPARE(ggufHeaderBytes(someKeys(), someTensors()), Bytes{layout->header.size()});
        QVERIFY(writeSome(FileSystem::real()));
        QCOMPARE(Bytes{fs::file_size(m_target)}, layout->totalBytes);
    }

    void ourReaderFindsWhatWasWritten()
    {
        QVERIFY(writeSome(FileSystem::real()));
        const auto found = Checkpoint::open(m_target, {.strict = true});
        QVERIFY2(found, found ? "" : found.error().detail.c_str());
        QCOMPARE((*found)->tensors().size(), std::size_t{4});
        QCOMPARE((*found)->tensors()[1].shape, (Shape{2, 5}));
        QCOMPARE((*found)->tensors()[2].shape, (Shape{2, 32}));  // outer ones are not stored
        QVERIFY((*found)->tensors()[2].dtype == DType::Q4_0);
        QCOMPARE((*found)->gguf().u32("llama.block_count").value_or(0), 2U);
    }

    void anyDamagedDataByteIsFoundBeforeTheFileAppears()
    {
        const auto layout = layoutGguf(someKeys(), someTensors());
        for (std::size_t tensor = 0; tensor < 4; ++tensor) {
            for (const Bytes at : {Bytes{0}, layout->sizes[tensor] - 1}) {
                DamagingSystem system(layout->header.size() + layout->offsets[tensor] + at);
                const Status status = writeSome(system);
                QVERIFY(!status);
                QCOMPARE(status.error().code, ErrorCode::VerifyFailed);
                QVERIFY(status.error().detail.find("'" + someTensors()[tensor].name + "'") != std::string::npos);
                QVERIFY(!fs::exists(m_target));
            }
        }
    }

    void aDamagedHeaderIsFoundBeforeTheFileAppears()
    {
        DamagingSystem magic(0);
        QCOMPARE(writeSome(magic).error().code, ErrorCode::VerifyFailed);
        // A tensor's type: the last word of an entry but its offset.
        DamagingSystem type(layoutGguf(someKeys(), someTensors())->typeOffsets[0]);
        QCOMPARE(writeSome(type).error().code, ErrorCode::VerifyFailed);
        QVERIFY(!fs::exists(m_target));
    }

    void aDiskThatCannotFlushLeavesNothing()
    {
        BrokenSync system;
        const Status status = writeSome(system);
        QVERIFY(!status);
        QCOMPARE(status.error().code, ErrorCode::WriteFailed);
        QVERIFY(fs::is_empty(m_target.parent_path()));
    }

    void tooFewAndTooManyBytesAreRefused()
    {
        auto writer = GgufWriter::create(m_target, *layoutGguf(someKeys(), {{"a", DType::F32, {2}}}), true);
        QVERIFY(writer);
        QVERIFY(writer->append(bytesOf(4)));
        QCOMPARE(writer->finish().error().code, ErrorCode::VerifyFailed);
        QCOMPARE(writer->append(bytesOf(5)).error().code, ErrorCode::VerifyFailed);
        QVERIFY(writer->append(bytesOf(4)));
        QCOMPARE(writer->append(bytesOf(1)).error().code, ErrorCode::VerifyFailed);
        QVERIFY(writer->finish());
    }

    void whatGgufCannotHoldIsRefusedByName_data()
    {
        QTest::addColumn<QString>("name");
        QTest::addColumn<int>("dtype");
        QTest::addColumn<QVector<quint64>>("shape");
        const auto row = [](const char* title, const QString& name, DType dtype, const QVector<quint64>& shape) {
            QTest::newRow(title) << name << static_cast<int>(dtype) << shape;
        };
        row("64 bytes of name", QString(64, 'n'), DType::F32, {1});
        row("no name", "", DType::F32, {1});
        row("five dimensions", "five", DType::F32, {2, 2, 2, 2, 2});
        row("a type of safetensors", "f8", DType::F8E4M3, {4});
        row("rows that break a block", "block", DType::Q4_0, {4, 33});
        row("more than 2^64 bytes", "vast", DType::F32, {quint64{1} << 40, quint64{1} << 40});
        row("a name taken", "a", DType::F32, {1});
    }

    void whatGgufCannotHoldIsRefusedByName()
    {
        QFETCH(QString, name);
        QFETCH(int, dtype);
        QFETCH(QVector<quint64>, shape);
        const auto layout = layoutGguf(
            someKeys(), {{"a", DType::F32, {1}}, {name.toStdString(), static_cast<DType>(dtype), Shape(shape.begin(), shape.end())}});
        QVERIFY(!layout);
        QCOMPARE(layout.error().code, ErrorCode::NotRepresentable);
        QVERIFY(name.isEmpty() || layout.error().detail.find(name.toStdString()) != std::string::npos);
    }

    void keysAreReplacedCopiedAndRemovedInPlace()
    {
        auto writer = GgufWriter::create(m_target, *layoutGguf(someKeys(), {{"a", DType::I8, {1}}}), true);
        QVERIFY(writer && writer->append(bytesOf(1)) && writer->finish());
        const auto found = Checkpoint::open(m_target);
        QVERIFY(found);
        GgufKeys copy;
        for (const GgufKey& key : (*found)->gguf().keys())
            copy.copy(key);
        QCOMPARE(copy.count(), someKeys().count());
        for (std::size_t i = 0; i < copy.count(); ++i)
            QVERIFY(copy.encoded(i) == someKeys().encoded(i));
        copy.set("general.architecture", "other");
        QCOMPARE(copy.count(), someKeys().count());
        QVERIFY(copy.contains("llama.block_count"));
        copy.removeAll("llama.");
        QVERIFY(!copy.contains("llama.block_count"));
        copy.remove("general.architecture");
        QCOMPARE(copy.count(), std::size_t{0});
    }

    void aTensorMayChangeToATypeOfTheSameSize()
    {
        auto writer = GgufWriter::create(m_target, *layoutGguf(someKeys(), {{"a", DType::F16, {4}}}), true);
        QVERIFY(writer && writer->append(bytesOf(8)));
        QCOMPARE(writer->retype(0, DType::F32).error().code, ErrorCode::VerifyFailed);
        QVERIFY(writer->retype(0, DType::BF16));
        QVERIFY(writer->finish());
        const auto found = Checkpoint::open(m_target);
        QVERIFY(found && (*found)->tensors()[0].dtype == DType::BF16);
    }

    void aChecksumDependsOnTheBytesNotOnTheCut()
    {
        const auto bytes = bytesOf(100);
        Checksum whole;
        whole.add(bytes);
        for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
            Checksum parts;
            parts.add(std::span(bytes).first(cut));
            parts.add(std::span(bytes).subspan(cut));
            QCOMPARE(parts.value(), whole.value());
        }
        Checksum longer;
        longer.add(bytes);
        longer.add(std::array{std::byte{0}});
        QVERIFY(longer.value() != whole.value());
    }
};

QTEST_APPLESS_MAIN(TestGgufWriter)
#include "tst_gguf_writer.moc"
