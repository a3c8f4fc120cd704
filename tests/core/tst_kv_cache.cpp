// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/model/KvCache.h"
#include "support/FileBuilders.h"

#include <QTemporaryDir>
#include <QTest>

using namespace sigmascope;
using namespace sigmascope::test;

class KvCacheTest : public QObject {
    Q_OBJECT

private slots:
    void theSampleNeedsWhatItsConfigurationSays();
    void aGgufSaysItInItsKeys();
    void slidingBlocksKeepTheirWindow();
    void headsThatDifferByBlockAreNotGuessed();
    void hostileSizesAreRefused();

private:
    Result<KvShape> shapeOf(GgufBytes bytes)
    {
        bytes.tensor("blk.0.ffn_up.weight", {32, 1}, 0, 0).withData(128);
        const auto path = std::filesystem::path(m_folder.path().toStdString()) / (std::to_string(++m_count) + ".gguf");
        const auto checkpoint = Checkpoint::open(writeFile(path, bytes.bytes()));
        if (!checkpoint)
            return passOn(checkpoint);
        return kvShapeOf(**checkpoint);
    }
    QTemporaryDir m_folder;
    int m_count = 0;
};

void KvCacheTest::theSampleNeedsWhatItsConfigurationSays()
{
    const auto checkpoint = Checkpoint::open(std::filesystem::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample");
    QVERIFY(checkpoint);
    const auto shape = kvShapeOf(**checkpoint);
    QVERIFY2(shape, shape ? "" : shape.error().detail.c_str());
    QCOMPARE(shape->trainedContext, 256U);
    // 4 blocks, 4 heads of 32 keys and 32 values, 2 bytes each.
    QCOMPARE(*kvCacheBytes(*shape, 256), Bytes(4 * 4 * (32 + 32) * 256 * 2));
    QCOMPARE(*kvCacheBytes(*shape, 256, 4), 2 * *kvCacheBytes(*shape, 256));
    QCOMPARE(*kvCacheBytes(*shape, 0), Bytes(0));
}

void KvCacheTest::aGgufSaysItInItsKeys()
{
    GgufBytes bytes;
    bytes.text("general.architecture", "llama").u32("llama.block_count", 32).u32("llama.embedding_length", 4096);
    bytes.u32("llama.attention.head_count", 32)
        .u32("llama.attention.head_count_kv", 8)
        .u32("llama.context_length", 8192);
    const auto shape = shapeOf(bytes);
    QVERIFY2(shape, shape ? "" : shape.error().detail.c_str());
    // The well-known gibibyte of an 8B llama at 8,192 tokens.
    QCOMPARE(*kvCacheBytes(*shape, 8192), Bytes(1) << 30U);
    bytes.u32("llama.attention.key_length", 256);
    QCOMPARE(shapeOf(bytes)->keyLength, 256U);
    QCOMPARE(shapeOf(bytes)->valueLength, 128U);
}

void KvCacheTest::slidingBlocksKeepTheirWindow()
{
    GgufBytes bytes;
    bytes.text("general.architecture", "gemma3").u32("gemma3.block_count", 26).u32("gemma3.embedding_length", 1152);
    bytes.u32("gemma3.attention.head_count", 4).u32("gemma3.attention.head_count_kv", 1).u32("gemma3.attention.key_length", 256);
    bytes.u32("gemma3.attention.value_length", 256).u32("gemma3.attention.sliding_window", 512);
    const auto shape = shapeOf(bytes);
    QVERIFY2(shape, shape ? "" : shape.error().detail.c_str());
    // Blocks 5, 11, 17 and 23 of 26 see everything; the others 512 tokens and a batch of 512. 2 · 256 values of 2 bytes.
    QCOMPARE(*kvCacheBytes(*shape, 32768), Bytes((4 * 32768 + 22 * 1024) * 512 * 2));
    QCOMPARE(*kvCacheBytes(*shape, 100), Bytes(26 * 100 * 512 * 2));
    // OLMo 3 is an olmo2 with a window: the fourth of five blocks sees everything.
    GgufBytes olmo;
    olmo.text("general.architecture", "olmo2").u32("olmo2.block_count", 5).u32("olmo2.embedding_length", 64);
    olmo.u32("olmo2.attention.head_count", 2).u32("olmo2.attention.sliding_window", 512);
    QCOMPARE(*kvCacheBytes(*shapeOf(olmo), 4096), Bytes((4096 + 4 * 1024) * 2 * 64 * 2));
    // llama.cpp keeps no window in other families, whatever a file says.
    GgufBytes other;
    other.text("general.architecture", "llama").u32("llama.block_count", 2).u32("llama.embedding_length", 64);
    other.u32("llama.attention.head_count", 2).u32("llama.attention.sliding_window", 16);
    QCOMPARE(*kvCacheBytes(*shapeOf(other), 1000), Bytes(2 * 2 * 64 * 1000 * 2));
}

void KvCacheTest::headsThatDifferByBlockAreNotGuessed()
{
    GgufBytes bytes;
    bytes.text("general.architecture", "llama").u32("llama.block_count", 2).u32("llama.embedding_length", 64);
    bytes.u32("llama.attention.head_count", 2);
    QCOMPARE(shapeOf(bytes)->kvHeads, 2U);  // absent: as many as heads
    bytes.key("llama.attention.head_count_kv", 9,
              le<std::uint32_t>(4) + le<std::uint64_t>(2) + le<std::uint32_t>(2) + le<std::uint32_t>(1));
    const auto shape = shapeOf(bytes);
    QVERIFY(!shape);
    QCOMPARE(shape.error().code, ErrorCode::NotRepresentable);
}

void KvCacheTest::hostileSizesAreRefused()
{
    GgufBytes bytes;
    bytes.text("general.architecture", "llama")
        .u32("llama.block_count", UINT32_MAX)
        .u32("llama.embedding_length", UINT32_MAX);
    bytes.u32("llama.attention.head_count", 1).u32("llama.attention.head_count_kv", UINT32_MAX);
    const auto shape = shapeOf(bytes);
    QVERIFY(shape);
    const auto cache = kvCacheBytes(*shape, UINT64_MAX);
    QVERIFY(!cache);
    QCOMPARE(cache.error().code, ErrorCode::SizeOverflow);
    GgufBytes none;
    none.text("general.architecture", "llama").u32("llama.block_count", 2).u32("llama.embedding_length", 64);
    none.u32("llama.attention.head_count", 0);
    QVERIFY(!shapeOf(none));
}

QTEST_APPLESS_MAIN(KvCacheTest)
#include "tst_kv_cache.moc"
