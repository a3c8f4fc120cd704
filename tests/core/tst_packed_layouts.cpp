// SPDX-License-Identifier: GPL-3.0-or-later
// Weights that a quantized checkpoint stores as several tensors, as one matrix like any other.
#include "core/checkpoint/layouts/CheckpointLayout.h"
#include "core/checkpoint/ModelTopology.h"
#include "support/PackedFolder.h"

#include <QTemporaryDir>
#include <QTest>

#include <cstring>

using namespace sigmascope;
using namespace sigmascope::test;

class TestPackedLayouts : public QObject {
    Q_OBJECT

    QTemporaryDir m_dir;

    [[nodiscard]] std::shared_ptr<const Checkpoint> opened(const PackedFolder& folder) const
    {
        const auto checkpoint = Checkpoint::open(folder.write(m_dir.path().toStdString()), {.strict = true});
        if (!checkpoint)
            QTest::qFail(checkpoint.error().detail.c_str(), __FILE__, __LINE__);
        return checkpoint ? *checkpoint : nullptr;
    }
    static void expectSums(const Checkpoint& checkpoint, std::size_t tensor)
    {
        const auto view = checkpoint.view(tensor);
        QVERIFY2(view, view ? "" : view.error().detail.c_str());
        QCOMPARE(view->shape, (Shape{8, 16}));
        for (std::size_t i = 0; i < 128; ++i) {
            float value = 0;
            std::memcpy(&value, view->bytes.data() + i * sizeof value, sizeof value);
            QCOMPARE(value, valueOfSum(i / 16, i % 16));
        }
    }

private slots:
    void everyLayoutShowsOneMatrixForItsParts_data()
    {
        QTest::addColumn<int>("which");
        QTest::addColumn<QString>("format");
        QTest::addColumn<int>("bytes");  // of one matrix, everything counted
        QTest::newRow("gptq") << 0 << "GPTQ int4 g8" << 64 + 64 + 8 + 32;
        QTest::newRow("awq") << 1 << "AWQ int4 g8" << 64 + 8 + 32;
        QTest::newRow("compressed-tensors") << 2 << "compressed-tensors int4 g8" << 64 + 32 + 16;
        QTest::newRow("bitsandbytes") << 3 << "bitsandbytes NF4 b64 double" << 64 + 2 + 4 + 1024 + 64 + static_cast<int>(std::strlen(kBlockState));
        QTest::newRow("bitsandbytes int8") << 4 << "bitsandbytes int8 per row" << 128 + 32;
        QTest::newRow("scaled int8") << 5 << "scaled int8 per row" << 128 + 16;
    }
    void everyLayoutShowsOneMatrixForItsParts()
    {
        QFETCH(int, which);
        QFETCH(QString, format);
        QFETCH(int, bytes);
        PackedFolder (*const makers[])() = {gptqFolder, awqFolder, compressedFolder, blockFolder, rowScaledFolder, scaledFolder};
        PackedFolder folder = makers[which]();
        folder.tensors.push_back({"a.bias", "F16", {8}, numbers(8, kHalfF16)});
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        QCOMPARE(checkpoint->tensors().size(), std::size_t{3});
        for (std::size_t i = 0; i < 2; ++i) {
            const TensorInfo& tensor = checkpoint->tensors()[i];
            QCOMPARE(QString::fromStdString(tensor.name), i == 0 ? "a.weight" : "b.weight");
            QCOMPARE(QString::fromStdString(tensor.unknownDtype), format);
            QVERIFY(tensor.dtype == DType::F32);
            QCOMPARE(tensor.bytes, static_cast<Bytes>(bytes));
            QCOMPARE(checkpoint->find(tensor.name), std::optional(i));
            QVERIFY(checkpoint->packed(i) != nullptr);
            expectSums(*checkpoint, i);
            QVERIFY(checkpoint->checkUnchanged(i));
        }
        QVERIFY(checkpoint->packed(2) == nullptr);
        QCOMPARE(QString::fromStdString(checkpoint->tensors()[2].name), "a.bias");
    }

    void rowsAreReadFromAnyFirstToAnyLast()
    {
        const auto checkpoint = opened(gptqFolder());
        QVERIFY(checkpoint);
        for (std::uint64_t first = 0; first < 8; ++first) {
            for (std::uint64_t count = 1; first + count <= 8; ++count) {
                std::vector<float> rows(count * 16);
                QVERIFY(checkpoint->readPackedRows(0, first, count, rows));
                for (std::size_t i = 0; i < rows.size(); ++i)
                    QCOMPARE(rows[i], valueOfSum(first + i / 16, i % 16));
            }
        }
    }

    void actOrderTakesTheGroupOfEveryColumn()
    {
        PackedFolder folder = gptqFolder();
        std::string index;
        for (std::int32_t i = 0; i < 16; ++i)
            index += le(i % 2);
        folder["a.g_idx"].data = index;
        folder["a.scales"].data = numbers(8, kHalfF16) + numbers<std::uint16_t>(8, 0x4000);  // the second group: 2
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        std::vector<float> row(16);
        QVERIFY(checkpoint->readPackedRows(0, 3, 1, row));
        for (std::size_t i = 0; i < row.size(); ++i)
            QCOMPARE(row[i], valueOfSum(3, i) * (i % 2 == 0 ? 1.0F : 4.0F));
    }

    void theSecondVersionStoresZeroPointsAsTheyAre()
    {
        PackedFolder folder = gptqFolder();
        folder.config = R"({"quant_method":"gptq","bits":4,"group_size":8,"checkpoint_format":"gptq_v2"})";
        for (const std::string module : {"a", "b"})
            folder[module + ".qzeros"].data = numbers<std::uint32_t>(2, 0x88888888U);
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        QCOMPARE(QString::fromStdString(checkpoint->tensors()[0].unknownDtype), "GPTQ v2 int4 g8");
        expectSums(*checkpoint, 0);
    }

    void aFirstVersionsZeroPointOfNoughtWrapsRound()
    {
        PackedFolder folder = gptqFolder();
        folder["a.qzeros"].data = numbers<std::uint32_t>(2, 0xFFFFFFFFU);
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        std::vector<float> row(16);
        QVERIFY(checkpoint->readPackedRows(0, 0, 1, row));
        for (std::size_t i = 0; i < row.size(); ++i)
            QCOMPARE(row[i], static_cast<float>(i) * 0.5F);
    }

    void modulesOfOtherBitsAreReadWhereTheConfigAllowsThem()
    {
        PackedFolder folder = gptqFolder();
        folder.config = R"({"quant_method":"gptq","bits":4,"group_size":8,"dynamic":{"+:b":{"bits":8,"group_size":16}}})";
        folder.remove("b.g_idx");
        folder["b.qweight"] = {"b.qweight", "I32", {4, 8}, numbers<std::uint32_t>(32, 0x84848484U)};
        folder["b.qzeros"] = {"b.qzeros", "I32", {1, 2}, numbers<std::uint32_t>(2, 0x7F7F7F7FU)};
        folder["b.scales"] = {"b.scales", "F16", {1, 8}, numbers(8, kHalfF16)};
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        expectSums(*checkpoint, 0);
        QCOMPARE(QString::fromStdString(checkpoint->tensors()[1].unknownDtype), "GPTQ int8 per row");
        std::vector<float> row(16);
        QVERIFY(checkpoint->readPackedRows(1, 7, 1, row));
        for (const float value : row)
            QCOMPARE(value, (0x84 - 0x80) * 0.5F);
    }

    void aSymmetricLayerMayStandAmongOthersOfItsWidth()
    {
        PackedFolder folder = compressedFolder();
        folder.config = R"({"quant_method":"compressed-tensors","config_groups":{)"
                        R"("g0":{"weights":{"num_bits":4,"group_size":8,"symmetric":false}},)"
                        R"("g1":{"weights":{"num_bits":4,"group_size":8,"symmetric":true}}}})";
        folder.tensors.push_back({"a.weight_zero_point", "I32", {1, 2}, numbers<std::uint32_t>(2, 0x99999999U)});
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        expectSums(*checkpoint, 1);
        std::vector<float> row(16);
        QVERIFY(checkpoint->readPackedRows(0, 5, 1, row));
        for (std::size_t i = 0; i < row.size(); ++i)
            QCOMPARE(row[i], valueOfSum(5, i) - 0.5F);
    }

    void anOlderSettingsFileBesideTheModelCounts()
    {
        PackedFolder folder = gptqFolder();
        const std::string settings = R"({"bits":4,"group_size":8,"desc_act":true})";
        folder.config.clear();
        const std::filesystem::path path = m_dir.path().toStdString();
        writeFile(path / "quantize_config.json", settings);
        const auto checkpoint = opened(folder);
        std::filesystem::remove(path / "quantize_config.json");
        QVERIFY(checkpoint);
        QCOMPARE(QString::fromStdString(checkpoint->tensors()[0].unknownDtype), "GPTQ int4 g8 act-order");
    }

    void partsMayLieInSeveralFiles()
    {
        const PackedFolder whole = gptqFolder();
        QTemporaryDir dir;
        const std::filesystem::path path = dir.path().toStdString();
        std::string map;
        for (std::size_t i = 0; i < whole.tensors.size(); ++i) {
            PackedFolder one{.config = whole.config, .tensors = {whole.tensors[i]}};
            one.write(path);
            const std::string file = "m" + std::to_string(i) + ".safetensors";
            std::filesystem::rename(path / "model.safetensors", path / file);
            map += (i == 0 ? "" : ",") + ("\"" + whole.tensors[i].name + "\":\"" + file + "\"");
        }
        writeFile(path / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
        const auto checkpoint = Checkpoint::open(path, {.strict = true});
        QVERIFY2(checkpoint, checkpoint ? "" : checkpoint.error().detail.c_str());
        QCOMPARE((*checkpoint)->tensors().size(), std::size_t{2});
        expectSums(**checkpoint, 0);
        expectSums(**checkpoint, 1);
        // A file that is gone takes its matrix along, no other one.
        std::filesystem::remove(path / "m3.safetensors");
        const auto torn = Checkpoint::open(path);
        QVERIFY(torn);
        QVERIFY((*torn)->find("b.weight"));
        expectSums(**torn, *(*torn)->find("b.weight"));
        QVERIFY(!(*torn)->find("a.weight"));
        QVERIFY((*torn)->isIncomplete());
    }

    void quantizableLayersAreFoundAmongPackedOnes()
    {
        PackedFolder folder = gptqFolder();
        for (auto& stored : folder.tensors)
            stored.name = "model.layers.0.self_attn." + std::string(stored.name.starts_with("a") ? "q" : "k") + "_proj" + stored.name.substr(1);
        const auto checkpoint = opened(folder);
        QVERIFY(checkpoint);
        const ModelTopology topology(*checkpoint);
        QVERIFY(topology.isQuantizable(0) && topology.isQuantizable(1));
        QVERIFY(topology.place(0).role == Role::AttnQ);
    }
};

QTEST_GUILESS_MAIN(TestPackedLayouts)
#include "tst_packed_layouts.moc"
