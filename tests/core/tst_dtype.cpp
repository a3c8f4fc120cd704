// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/tensor/DType.h"

#include <QTest>

#include <set>

using namespace sigmascope;

class TestDType : public QObject {
    Q_OBJECT

private slots:
    void everyNameFindsItsTypeWhateverItsCase()
    {
        for (const DTypeInfo& type : allDTypes()) {
            std::string lower(type.name);
            for (char& c : lower)
                c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
            QCOMPARE(dtypeFromName(type.name), type.dtype);
            QCOMPARE(dtypeFromName(lower), type.dtype);
        }
        QVERIFY(!dtypeFromName("Q4_7"));
        QVERIFY(!dtypeFromName(""));
    }

    void everySafetensorsNameFindsItsType()
    {
        for (const DTypeInfo& type : allDTypes()) {
            if (!type.safetensorsName.empty())
                QCOMPARE(dtypeFromSafetensors(type.safetensorsName), type.dtype);
        }
        QVERIFY(!dtypeFromSafetensors(""));
        QVERIFY(!dtypeFromSafetensors("bf16"));  // the file format is case-sensitive
    }

    void retiredAndUnknownGgmlIdsFindNothing()
    {
        std::set<int> known;
        for (const DTypeInfo& type : allDTypes()) {
            if (type.ggmlId < 0)
                continue;
            QVERIFY(known.insert(type.ggmlId).second);
            QCOMPARE(dtypeFromGgml(static_cast<std::uint32_t>(type.ggmlId)), type.dtype);
        }
        for (const std::uint32_t id : {4U, 5U, 31U, 32U, 33U, 36U, 37U, 38U, 43U, 255U, 0x80000000U, 0xFFFFFFFFU})
            QVERIFY(!dtypeFromGgml(id));
    }

    void blockSizesAreThoseOfTheFormats()
    {
        const auto bytes = [](DType type) { return info(type).blockBits / 8; };
        QCOMPARE(bytes(DType::Q4_0), 18U);
        QCOMPARE(bytes(DType::Q4_1), 20U);
        QCOMPARE(bytes(DType::Q5_0), 22U);
        QCOMPARE(bytes(DType::Q5_1), 24U);
        QCOMPARE(bytes(DType::Q8_0), 34U);
        QCOMPARE(bytes(DType::Q6_K), 210U);
        QCOMPARE(bytes(DType::IQ4_XS), 136U);
        QCOMPARE(info(DType::Q6_K).blockElements, 256U);
        QCOMPARE(info(DType::NVFP4).blockElements, 64U);
    }

    void elementCountsThatOverflowAreNothing()
    {
        const Shape big{1ULL << 32, 1ULL << 32};
        const Shape bigButEmpty{1ULL << 32, 1ULL << 32, 0};
        const Shape scalar;
        QVERIFY(!checkedElementCount(big));
        QCOMPARE(checkedElementCount(bigButEmpty), std::uint64_t{0});
        QCOMPARE(checkedElementCount(scalar), std::uint64_t{1});
    }

    void byteSizesAreNothingWhereBytesOrBlocksDoNotFit()
    {
        const Shape odd{3, 33};
        const Shape even{3, 64};
        const Shape huge{1ULL << 62};
        const Shape three{3};
        QVERIFY(!checkedByteSize(DType::Q4_0, odd));
        QCOMPARE(checkedByteSize(DType::Q4_0, even), Bytes{3 * 2 * 18});
        QVERIFY(!checkedByteSize(DType::F32, huge));
        QVERIFY(!checkedByteSize(DType::F4, three));
        QCOMPARE(checkedByteSize(DType::BF16, odd), Bytes{198});
    }

    void shapesAreWrittenInBrackets()
    {
        const Shape matrix{4096, 14336};
        QCOMPARE(toString(matrix), std::string("[4096, 14336]"));
        QCOMPARE(toString(Shape{}), std::string("[]"));
    }
};

QTEST_APPLESS_MAIN(TestDType)
#include "tst_dtype.moc"
