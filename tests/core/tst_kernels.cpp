// SPDX-License-Identifier: GPL-3.0-or-later
// Every instruction set's kernels against the portable ones, bit by bit, and the portable ones against the
// encoders' published formulas.
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/compute/ComputeBackend.h"
#include "core/compute/Kernels.h"
#include "core/compute/ops/BlockEncode.h"
#include "core/tensor/Decode.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;
using kernels::BlockScan;
using kernels::BlockStats;
using kernels::KernelTable;

namespace {

constexpr std::array kEncoded{DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1};

/// Blocks of many kinds: Gaussian at several scales, ties, constants, zeros of both signs, subnormals.
std::vector<float> assortedBlocks(std::size_t blocks)
{
    std::vector<float> values(blocks * 32);
    fillNormal<float>(11, values);
    SplitMix64 random(12);
    for (std::size_t b = 0; b < blocks; ++b) {
        float* x = values.data() + b * 32;
        for (std::size_t e = 0; e < 32; ++e) {
            switch (b % 10) {
            case 0: x[e] *= 0.02F; break;
            case 1: x[e] *= std::ldexp(1.0F, static_cast<int>(b % 260) - 140); break;
            case 2: x[e] = (random.next() & 1U) != 0 ? 3.0F : -3.0F; break;
            case 3: x[e] = 0.7F; break;
            case 4: x[e] = (random.next() & 1U) != 0 ? 0.0F : -0.0F; break;
            case 5: x[e] = x[e] < 0 ? -0.0F : x[e]; break;
            case 6: x[e] = static_cast<float>(static_cast<int>(random.next() % 511) - 255) * 0.5F; break;
            case 7: x[e] = -std::fabs(x[e]) - 5; break;
            case 8: x[e] = static_cast<float>(random.next() % 4000) * 0x1p-149F; break;
            default: x[e] *= static_cast<float>(std::pow(random.uniform(), -0.8)); break;
            }
            x[e] = std::fmin(std::fmax(x[e], -60000.0F), 60000.0F);
        }
    }
    return values;
}

/// ggml's encoders in words (formats of GGUF: one pass, scale from the extreme, codes by the unrounded scale).
std::vector<std::uint8_t> referenceBlock(DType type, const float* x)
{
    const bool five = type == DType::Q5_0 || type == DType::Q5_1;
    const bool fromMinimum = type == DType::Q4_1 || type == DType::Q5_1;
    float extreme = 0;
    float amax = 0;
    float low = std::numeric_limits<float>::max();
    float high = -low;
    for (int e = 0; e < 32; ++e) {
        if (amax < std::fabs(x[e])) {
            amax = std::fabs(x[e]);
            extreme = x[e];
        }
        low = x[e] < low ? x[e] : low;
        high = x[e] > high ? x[e] : high;
    }
    std::vector<std::uint8_t> out;
    const auto putHalf = [&](float value) {
        const std::uint16_t half = floatToF16(value);
        out.push_back(static_cast<std::uint8_t>(half & 0xFFU));
        out.push_back(static_cast<std::uint8_t>(half >> 8));
    };
    // A conversion that does not fit gives 0x80000000 on x86, whose low byte is 0.
    const auto byteOf = [](float value) { return std::fabs(value) < 1e6F ? static_cast<int>(value) : 0; };
    if (type == DType::Q8_0) {
        const float d = amax / 127;
        const float id = d != 0 ? 1 / d : 0;
        putHalf(d);
        for (int e = 0; e < 32; ++e)
            out.push_back(static_cast<std::uint8_t>(byteOf(std::roundf(x[e] * id))));
        return out;
    }
    const float half = five ? 16 : 8;
    const float steps = 2 * half - 1;
    const float d = fromMinimum ? (high - low) / steps : extreme / -half;
    const float id = d != 0 ? 1 / d : 0;
    putHalf(d);
    if (fromMinimum)
        putHalf(low);
    unsigned codes[32];
    std::uint32_t fifth = 0;
    for (int e = 0; e < 32; ++e) {
        const float scaled = fromMinimum ? (x[e] - low) * id + 0.5F : x[e] * id + (half + 0.5F);
        codes[e] = static_cast<unsigned>(std::min(byteOf(scaled), static_cast<int>(steps)));
        fifth |= (codes[e] >> 4) << e;
    }
    for (int byte = 0; five && byte < 4; ++byte)
        out.push_back(static_cast<std::uint8_t>(fifth >> (8 * byte)));
    for (int e = 0; e < 16; ++e)
        out.push_back(static_cast<std::uint8_t>((codes[e] & 15U) | (codes[e + 16] & 15U) << 4));
    return out;
}

bool same(double a, double b)
{
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

bool same(const BlockStats& a, const BlockStats& b)
{
    return a.finite == b.finite && a.zeros == b.zeros && a.nan == b.nan && a.inf == b.inf && a.subnormal == b.subnormal
        && a.firstNonFinite == b.firstNonFinite && same(a.min, b.min) && same(a.max, b.max) && same(a.mean, b.mean)
        && same(a.m2, b.m2) && same(a.m3, b.m3) && same(a.m4, b.m4);
}

bool same(const BlockScan& a, const BlockScan& b)
{
    return a.finite == b.finite && same(a.min, b.min) && same(a.max, b.max) && same(a.sum, b.sum)
        && same(a.sumOfSquares, b.sumOfSquares);
}

/// Codes of a block to measure: Gaussian floats stored as `type`, with what `kind` puts among them.
std::vector<std::uint8_t> measuredBlock(DType type, std::size_t n, int kind)
{
    std::vector<float> values(n);
    fillNormal<float>(static_cast<std::uint64_t>(kind) + n, values, kind == 1 ? 1e-39 : 0.02);
    for (std::size_t i = 0; i < n; ++i) {
        if (kind == 2)
            values[i] += 1.0F;
        if (kind == 3 && i % 5 == 0)
            values[i] = i % 2 == 0 ? 0.0F : -0.0F;
        if (kind == 4 && i % 701 == 3)
            values[i] = i % 2 == 0 ? std::numeric_limits<float>::quiet_NaN() : -std::numeric_limits<float>::infinity();
        if (kind == 5)
            values[i] = -0.5F;
    }
    std::vector<std::uint8_t> bytes;
    for (const float v : values) {
        const std::uint32_t bits = type == DType::F32 ? std::bit_cast<std::uint32_t>(v)
            : type == DType::F16                      ? floatToF16(v)
                                                      : floatToBf16(v);
        for (unsigned byte = 0; byte < info(type).blockBits / 8; ++byte)
            bytes.push_back(static_cast<std::uint8_t>(bits >> (8 * byte)));
    }
    return bytes;
}

auto statsKernel(const KernelTable& table, DType type)
{
    return type == DType::F32 ? table.statsF32 : type == DType::F16 ? table.statsF16 : table.statsBf16;
}

auto scanKernel(const KernelTable& table, DType type)
{
    return type == DType::F32 ? table.scanF32 : type == DType::F16 ? table.scanF16 : table.scanBf16;
}

}  // namespace

class TestKernels : public QObject {
    Q_OBJECT

private slots:
    void theTableInUseIsOneThisCpuRuns()
    {
        const auto tables = usableKernelTables();
        QCOMPARE(std::string_view(tables.front()->level), std::string_view("scalar"));
        QVERIFY(std::ranges::find(tables, &kernelTable()) != tables.end());
        QCOMPARE(simdLevel(), std::string_view(kernelTable().level));
    }

    void everyLevelMeasuresTheSameBits()
    {
        const auto tables = usableKernelTables();
        for (const DType type : {DType::F32, DType::F16, DType::BF16}) {
            for (const std::size_t n : {1U, 15U, 16U, 31U, 33U, 100U, 1023U, 1025U, 1056U, 8191U, 8192U}) {
                for (int kind = 0; kind < 6; ++kind) {
                    const auto bytes = measuredBlock(type, n, kind);
                    BlockStats stats{};
                    BlockScan scan{};
                    statsKernel(*tables.front(), type)(bytes.data(), n, &stats);
                    scanKernel(*tables.front(), type)(bytes.data(), n, &scan);
                    for (const KernelTable* table : tables) {
                        BlockStats otherStats{};
                        BlockScan otherScan{};
                        statsKernel(*table, type)(bytes.data(), n, &otherStats);
                        scanKernel(*table, type)(bytes.data(), n, &otherScan);
                        QVERIFY2(same(stats, otherStats), table->level);
                        QVERIFY2(same(scan, otherScan), table->level);
                    }
                }
            }
        }
    }

    void everyLevelCountsTheSameOutliers()
    {
        const auto tables = usableKernelTables();
        std::vector<std::uint16_t> codes(5003);
        std::vector<std::uint32_t> words(5003);
        SplitMix64 random(4);
        for (std::size_t i = 0; i < codes.size(); ++i) {
            codes[i] = static_cast<std::uint16_t>(random.next());
            words[i] = static_cast<std::uint32_t>(random.next());
        }
        std::uint64_t expected16 = 0;
        std::uint64_t expected32 = 0;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            const int key16 = codes[i] >= 0x8000U ? static_cast<int>(codes[i] ^ 0x7FFFU) - 65536 : codes[i];
            expected16 += key16 < -20000 || key16 > 15000 ? 1U : 0U;
            const auto key32 = static_cast<std::int32_t>(words[i] >= 0x80000000U ? words[i] ^ 0x7FFFFFFFU : words[i]);
            expected32 += key32 < -900000000 || key32 > 800000000 ? 1U : 0U;
        }
        for (const KernelTable* table : tables) {
            QCOMPARE(table->outside16(codes.data(), codes.size(), -20000, 15000), expected16);
            QCOMPARE(table->outside32(words.data(), words.size(), -900000000, 800000000), expected32);
        }
    }

    void everyLevelEncodesTheBytesOfTheFormulas()
    {
        constexpr std::size_t kBlocks = 3000;
        const std::vector<float> values = assortedBlocks(kBlocks);
        for (const DType type : kEncoded) {
            const std::size_t size = info(type).blockBits / 8;
            for (const KernelTable* table : usableKernelTables()) {
                std::vector<std::byte> out(kBlocks * size, std::byte{0xA5});
                const Status status = encodeBlocks(type, values, kBlocks / 10, 320, out, {}, *table);
                QVERIFY2(status.has_value(), status ? "" : status.error().detail.c_str());
                for (std::size_t b = 0; b < kBlocks; ++b) {
                    const auto expected = referenceBlock(type, values.data() + b * 32);
                    QVERIFY2(std::memcmp(out.data() + b * size, expected.data(), size) == 0,
                             (std::string(info(type).name) + " block " + std::to_string(b) + " " + table->level).c_str());
                }
            }
        }
    }

    void scalesAreRoundedToF16AsHalfDoes()
    {
        // The scale of a Q8_0 block is amax / 127, so it takes every magnitude that f16 can round.
        SplitMix64 random(21);
        for (int i = 0; i < 20000; ++i) {
            float x[32] = {};
            x[5] = static_cast<float>(std::ldexp(1 + random.uniform(), static_cast<int>(random.next() % 45) - 28));
            const std::uint16_t expected = floatToF16(x[5] / 127);
            for (const KernelTable* table : usableKernelTables()) {
                std::uint8_t out[34];
                QCOMPARE(table->encodeQ8_0(x, 1, out), 0U);
                std::uint16_t found = 0;
                std::memcpy(&found, out, sizeof(found));
                QCOMPARE(found, expected);
            }
        }
    }

    void nonFiniteWeightsAreRefusedWithPlaceAndNumber()
    {
        std::vector<float> values = assortedBlocks(40);
        values[7 * 64 + 33] = std::numeric_limits<float>::quiet_NaN();
        values[9 * 64 + 1] = -std::numeric_limits<float>::infinity();
        for (const DType type : kEncoded) {
            for (const KernelTable* table : usableKernelTables()) {
                std::vector<std::byte> out(40 * info(type).blockBits / 8);
                const Status status = encodeBlocks(type, values, 20, 64, out, {}, *table);
                QVERIFY(!status);
                QCOMPARE(status.error().code, ErrorCode::NonFinite);
                QCOMPARE(status.error().detail, std::string("non-finite values: 2, first at row 7, column 33"));
            }
        }
    }

    void aScaleBeyondF16IsRefusedWithItsPlace()
    {
        for (const DType type : kEncoded) {
            std::vector<float> values(20 * 64, 0.5F);
            values[3 * 64 + 40] = 3e7F;  // / 127 is still beyond 65504
            for (const KernelTable* table : usableKernelTables()) {
                std::vector<std::byte> out(40 * info(type).blockBits / 8);
                const Status status = encodeBlocks(type, values, 20, 64, out, {}, *table);
                QVERIFY(!status);
                QCOMPARE(status.error().code, ErrorCode::ScaleOutOfRange);
                QVERIFY(status.error().detail.find("row 3, columns 32 to 63") != std::string::npos);
            }
        }
    }

    void rowsThatDoNotFillBlocksAndTypesWithoutEncoderAreRefused()
    {
        const std::vector<float> values(66);
        std::vector<std::byte> out(66);
        QCOMPARE(encodeBlocks(DType::Q4_0, values, 2, 33, out, {}).error().code, ErrorCode::ShapeMismatch);
        QCOMPARE(encodeBlocks(DType::IQ2_XXS, values, 2, 33, out, {}).error().code, ErrorCode::UnsupportedType);
    }

    void aStoppedEncodeAnswersCancelled()
    {
        std::stop_source stop;
        stop.request_stop();
        const std::vector<float> values(64);
        std::vector<std::byte> out(36);
        QCOMPARE(encodeBlocks(DType::Q4_0, values, 1, 64, out, JobContext{stop.get_token(), {}}).error().code, ErrorCode::Cancelled);
    }
};

QTEST_APPLESS_MAIN(TestKernels)
#include "tst_kernels.moc"
