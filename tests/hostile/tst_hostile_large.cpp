// SPDX-License-Identifier: GPL-3.0-or-later
#include "Hostile.h"
#include "support/AllocationMeter.h"

#include <QtTest>

// reliability 6, 13, 23 and 34, and the promise that refusing allocates little. Made at
// run time. Times are not judged here (sanitizers run these tests too) but in tests/bench.

using namespace sigmascope;
using namespace sigmascope::test;

class TestHostileLarge : public QObject {
    Q_OBJECT

private slots:
    void headerOfExactlyTheLimitOpens();
    void hugeMetadataIsNotCopied();
    void manyTensorsOnTheSameBytesAreRefusedBeforeTheyAreKept();
    void manyTensorsInManyShardsWithLongNamesOpen();
    void refusingALyingLengthAllocatesNothing();
};

namespace {

constexpr std::size_t kLimit = 100'000'000;

/// Written in pieces: the test must not need several times the file in memory.
class Writer {
public:
    explicit Writer(const std::filesystem::path& path) : m_file(path, std::ios::binary) {}
    void put(std::string_view bytes)
    {
        m_file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        m_written += bytes.size();
    }
    void spaces(std::size_t count)
    {
        put(std::string(count, ' '));
    }
    [[nodiscard]] std::size_t written() const { return m_written; }

private:
    std::ofstream m_file;
    std::size_t m_written = 0;
};

}  // namespace

void TestHostileLarge::headerOfExactlyTheLimitOpens()  // 6
{
    const Folder folder;
    const auto path = folder.path() / "limit.safetensors";
    const std::string filler(300, 'x');
    std::size_t count = 0;
    {
        Writer file(path);
        file.put(le<std::uint64_t>(kLimit));
        file.put("{");
        while (file.written() < kLimit - 1000) {
            const std::string name = "layer." + std::to_string(count) + "." + filler;
            file.put((count == 0 ? "" : ",") + entry(name, "U8", {1}, count, count + 1));
            ++count;
        }
        file.put("}");
        file.spaces(8 + kLimit - file.written());
        file.put(std::string(count, '\x07'));
    }
    const auto opened = openedClean(path);
    QVERIFY(opened);
    QCOMPARE(opened->tensors().size(), count);
    QVERIFY(count > 200'000);
    QVERIFY(opened->view(count - 1)->bytes[0] == std::byte{7});
}

void TestHostileLarge::hugeMetadataIsNotCopied()  // 13
{
    const Folder folder;
    const auto path = folder.path() / "metadata.safetensors";
    const std::string tail = "\"}," + entry("w", "U8", {4}, 0, 4) + "}";
    {
        const std::string head = R"({"__metadata__":{"story":")";
        Writer file(path);
        file.put(le<std::uint64_t>(head.size() + 90'000'000 + tail.size()));
        file.put(head);
        const std::string million(1'000'000, 'a');
        for (int i = 0; i < 90; ++i)
            file.put(million);
        file.put(tail + "1234");
    }
    resetAllocationPeak();
    const auto opened = openedClean(path);
    QVERIFY(opened);
    QVERIFY2(allocationPeak() < 1'000'000, std::to_string(allocationPeak()).c_str());
    QCOMPARE(opened->notes().size(), 1U);
    QCOMPARE(opened->notes()[0].key, std::string("story"));
    QVERIFY(opened->notes()[0].value.size() < 300 && opened->notes()[0].value.ends_with("…"));
}

void TestHostileLarge::manyTensorsOnTheSameBytesAreRefusedBeforeTheyAreKept()  // 23
{
    std::string header = "{";
    for (int i = 0; i < 100'000; ++i)
        header += (i == 0 ? "" : ",") + entry("t" + std::to_string(i), "U8", {160'000}, 0, 160'000);
    const Folder folder;
    const auto path = folder.write("many.safetensors", safetensors(header + "}", 160'000));
    resetAllocationPeak();
    expectRefused(path, ErrorCode::Overlap, {"tensor 't1'", "tensor 't0' by 160000", "at byte"});
    QVERIFY2(allocationPeak() < 2 * header.size(), std::to_string(allocationPeak()).c_str());
}

void TestHostileLarge::manyTensorsInManyShardsWithLongNamesOpen()  // 34
{
    constexpr std::size_t kTensors = 100'000;
    constexpr std::size_t kShards = 1'500;
    const Folder folder;
    const std::string filler(1000, 'n');
    {
        Writer index(folder.path() / "model.safetensors.index.json");
        index.put(R"({"weight_map":{)");
        for (std::size_t s = 0; s < kShards; ++s) {
            const std::string file = "model-" + std::to_string(s) + ".safetensors";
            std::string header = "{";
            std::size_t inShard = 0;
            for (std::size_t t = s; t < kTensors; t += kShards, ++inShard) {
                const std::string name = "tensor." + std::to_string(t) + "." + filler;
                header += (inShard == 0 ? "" : ",") + entry(name, "U8", {2}, inShard * 2, inShard * 2 + 2);
                index.put((t == 0 ? "\"" : ",\"") + name + "\":\"" + file + "\"");
            }
            folder.write(file, safetensors(header + "}", inShard * 2));
        }
        index.put("}}");
    }
    resetAllocationPeak();
    const auto opened = openedClean(folder.path());
    QVERIFY(opened);
    QCOMPARE(opened->tensors().size(), kTensors);
    QCOMPARE(opened->shardCount(), kShards);
    const auto last = opened->find("tensor.99999." + filler);
    QVERIFY(last && opened->view(*last));
    // The names alone are 100 MB.
    QVERIFY2(allocationPeak() < 400'000'000, std::to_string(allocationPeak()).c_str());
}

void TestHostileLarge::refusingALyingLengthAllocatesNothing()  // 3, 4, 5, 45, 47, 48
{
    const Folder folder;
    const std::vector<std::uint64_t> lies{kLimit, kLimit + 1, 1ULL << 40, 1ULL << 63, ~0ULL};
    for (const std::uint64_t lie : lies) {
        GgufBytes counts;
        counts.tensorCount = lie;
        counts.keyCount = lie;
        GgufBytes text;
        text.key("k", 8, le(lie));
        GgufBytes array;
        array.key("k", 9, le(8U) + le(lie));
        for (const std::string& bytes : {safetensors("{}", 0, lie), counts.bytes(), text.bytes(), array.bytes()}) {
            const auto path = folder.write("liar", bytes);
            resetAllocationPeak();
            QVERIFY(!Checkpoint::open(path));
            QVERIFY2(allocationPeak() < 65'536, std::to_string(allocationPeak()).c_str());
        }
    }
}

QTEST_APPLESS_MAIN(TestHostileLarge)
#include "tst_hostile_large.moc"
