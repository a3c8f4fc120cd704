// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Half.h"
#include "core/tensor/Decode.h"

#include <QTest>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;

namespace {

template <class T>
std::vector<std::byte> bytesOf(const std::vector<T>& values)
{
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

std::vector<float> decoded(DType type, std::span<const std::byte> bytes, std::size_t n)
{
    std::vector<float> out(n);
    decode(type, bytes, out);
    return out;
}

void put(std::vector<std::byte>& block, std::size_t at, float f16Value)
{
    const std::uint16_t half = floatToF16(f16Value);
    std::memcpy(block.data() + at, &half, sizeof(half));
}

/// Code of element e of the test blocks: every nibble value occurs, low and high halves differ.
unsigned testCode(std::size_t e, unsigned codes)
{
    return static_cast<unsigned>(e * 7 + 3) % codes;
}

/// Nibbles at `at`; the fifth bits as a 32-bit word at `high`, if any.
void putCodes(std::vector<std::byte>& block, std::size_t at, std::size_t high, unsigned codes)
{
    std::uint32_t fifth = 0;
    for (std::size_t e = 0; e < 32; ++e) {
        const unsigned code = testCode(e, codes);
        const unsigned nibble = (code & 15U) << (e < 16 ? 0 : 4);
        block[at + e % 16] |= static_cast<std::byte>(nibble);
        fifth |= (code >> 4) << e;
    }
    if (high != 0)
        std::memcpy(block.data() + high, &fifth, sizeof(fifth));
}

}  // namespace

class TestDecode : public QObject {
    Q_OBJECT

private slots:
    void sixteenBitFloatsAgreeWithTheScalarConversionForEveryCode()
    {
        std::vector<std::uint16_t> codes(65536);
        for (std::size_t i = 0; i < codes.size(); ++i)
            codes[i] = static_cast<std::uint16_t>(i);
        const auto bytes = bytesOf(codes);
        const auto f16 = decoded(DType::F16, bytes, codes.size());
        const auto bf16 = decoded(DType::BF16, bytes, codes.size());
        for (std::size_t i = 0; i < codes.size(); ++i) {
            QCOMPARE(std::bit_cast<std::uint32_t>(f16[i]), std::bit_cast<std::uint32_t>(f16ToFloat(codes[i])));
            QCOMPARE(std::bit_cast<std::uint32_t>(bf16[i]), std::bit_cast<std::uint32_t>(bf16ToFloat(codes[i])));
        }
    }

    void eightBitFloatsAgreeWithTheScalarConversionForEveryCode()
    {
        std::vector<std::uint8_t> codes(256);
        for (std::size_t i = 0; i < codes.size(); ++i)
            codes[i] = static_cast<std::uint8_t>(i);
        const auto bytes = bytesOf(codes);
        const auto e4m3 = decoded(DType::F8E4M3, bytes, 256);
        const auto e5m2 = decoded(DType::F8E5M2, bytes, 256);
        for (std::size_t i = 0; i < codes.size(); ++i) {
            QCOMPARE(std::bit_cast<std::uint32_t>(e4m3[i]), std::bit_cast<std::uint32_t>(f8e4m3ToFloat(codes[i])));
            QCOMPARE(std::bit_cast<std::uint32_t>(e5m2[i]), std::bit_cast<std::uint32_t>(f8e5m2ToFloat(codes[i])));
        }
    }

    void plainNumbersKeepTheirValue()
    {
        QCOMPARE(decoded(DType::F64, bytesOf<double>({0.1, -1e300, 5.0}), 3),
                 (std::vector<float>{0.1F, -std::numeric_limits<float>::infinity(), 5.0F}));
        QCOMPARE(decoded(DType::F32, bytesOf<float>({-0.25F, 1e-40F}), 2), (std::vector<float>{-0.25F, 1e-40F}));
        QCOMPARE(decoded(DType::I8, bytesOf<std::int8_t>({-128, 127}), 2), (std::vector<float>{-128, 127}));
        QCOMPARE(decoded(DType::U8, bytesOf<std::uint8_t>({0, 255}), 2), (std::vector<float>{0, 255}));
        QCOMPARE(decoded(DType::I16, bytesOf<std::int16_t>({-32768}), 1), (std::vector<float>{-32768}));
        QCOMPARE(decoded(DType::U16, bytesOf<std::uint16_t>({65535}), 1), (std::vector<float>{65535}));
        QCOMPARE(decoded(DType::I32, bytesOf<std::int32_t>({16777217}), 1), (std::vector<float>{16777216}));
        QCOMPARE(decoded(DType::U32, bytesOf<std::uint32_t>({4294967295U}), 1), (std::vector<float>{4294967296.0F}));
        QCOMPARE(decoded(DType::I64, bytesOf<std::int64_t>({-9007199254740993}), 1), (std::vector<float>{-9007199254740992.0F}));
        QCOMPARE(decoded(DType::U64, bytesOf<std::uint64_t>({~0ULL}), 1), (std::vector<float>{18446744073709551616.0F}));
        QCOMPARE(decoded(DType::Bool, bytesOf<std::uint8_t>({0, 1, 2}), 3), (std::vector<float>{0, 1, 1}));
    }

    void q8_0IsScaleTimesCode()
    {
        std::vector<std::byte> block(34);
        put(block, 0, 0.5F);
        for (std::size_t e = 0; e < 32; ++e)
            block[2 + e] = static_cast<std::byte>(static_cast<int>(e) * 8 - 128);
        const auto values = decoded(DType::Q8_0, block, 32);
        for (std::size_t e = 0; e < 32; ++e)
            QCOMPARE(values[e], 0.5F * static_cast<float>(static_cast<int>(e) * 8 - 128));
    }

    void nibbleBlocksFollowTheirFormulas_data()
    {
        QTest::addColumn<int>("type");
        QTest::addColumn<int>("codes");
        QTest::addColumn<int>("zero");       // code of value 0, or -1 with a stored minimum
        QTest::addColumn<int>("highBits");   // offset of the fifth bits
        QTest::addColumn<int>("nibbles");
        QTest::newRow("Q4_0") << static_cast<int>(DType::Q4_0) << 16 << 8 << 0 << 2;
        QTest::newRow("Q4_1") << static_cast<int>(DType::Q4_1) << 16 << -1 << 0 << 4;
        QTest::newRow("Q5_0") << static_cast<int>(DType::Q5_0) << 32 << 16 << 2 << 6;
        QTest::newRow("Q5_1") << static_cast<int>(DType::Q5_1) << 32 << -1 << 4 << 8;
    }

    void nibbleBlocksFollowTheirFormulas()
    {
        QFETCH(int, type);
        QFETCH(int, codes);
        QFETCH(int, zero);
        QFETCH(int, highBits);
        QFETCH(int, nibbles);
        const auto dtype = static_cast<DType>(type);
        std::vector<std::byte> blocks(2 * (static_cast<std::size_t>(nibbles) + 16));
        std::vector<std::byte> block(blocks.size() / 2);
        put(block, 0, 0.25F);
        if (zero < 0)
            put(block, 2, -3.5F);
        putCodes(block, static_cast<std::size_t>(nibbles), static_cast<std::size_t>(highBits), static_cast<unsigned>(codes));
        std::memcpy(blocks.data() + block.size(), block.data(), block.size());  // the second one counts
        const auto values = decoded(dtype, blocks, 64);
        for (std::size_t e = 0; e < 32; ++e) {
            const auto code = static_cast<float>(testCode(e, static_cast<unsigned>(codes)));
            const float expected = zero < 0 ? code * 0.25F - 3.5F : (code - static_cast<float>(zero)) * 0.25F;
            QCOMPARE(values[32 + e], expected);
        }
    }

    void unalignedBytesDecodeAlike()
    {
        std::vector<std::byte> bytes{std::byte{0xFF}};
        const auto numbers = bytesOf<float>({1.5F, -2.25F, 3e7F});
        bytes.insert(bytes.end(), numbers.begin(), numbers.end());
        QCOMPARE(decoded(DType::F32, std::span(bytes).subspan(1), 3), (std::vector<float>{1.5F, -2.25F, 3e7F}));
    }

    void rowsAreCutOutOfAView()
    {
        const auto bytes = bytesOf<float>({1, 2, 3, 4, 5, 6});
        const TensorView view{DType::F32, {3, 2}, bytes};
        std::vector<float> out(4);
        QVERIFY(decodeRows(view, 1, 2, out).has_value());
        QCOMPARE(out, (std::vector<float>{3, 4, 5, 6}));
    }

    void typesThatCannotBeDecodedAreRefusedByName()
    {
        std::vector<std::byte> bytes(292);
        const TensorView view{DType::Q8_K, {1, 256}, bytes};
        std::vector<float> out(256);
        const Status status = decodeRows(view, 0, 1, out);
        QVERIFY(!status);
        QCOMPARE(status.error().code, ErrorCode::UnsupportedType);
        QVERIFY(status.error().detail.find("Q8_K") != std::string::npos);
    }
};

QTEST_APPLESS_MAIN(TestDecode)
#include "tst_decode.moc"
