// SPDX-License-Identifier: GPL-3.0-or-later
// Models written as safetensors where something stands already, where something fails, and in two goes.
#include "core/lowrank/CodedMatrices.h"
#include "support/FaultySystem.h"
#include "support/SafetensorsFixture.h"

using namespace sigmascope;
using namespace sigmascope::test;

class TestSafetensorsReplace : public QObject, private SafetensorsFixture {
    Q_OBJECT

private slots:
    void init() { makeFolder(); }

    /// reliability 86: whatever name reaches an input, links or another case of it, is that input.
    void inputsAreNeverWrittenOver_data() { eachTarget(); }
    void inputsAreNeverWrittenOver()
    {
        QFETCH(QString, target);
        const auto before = filesIn(m_folder);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        r.overwrite = true;
        fs::create_directory_symlink(m_folder, m_out / "link");
        for (const fs::path& output : {m_folder, m_out / "link", m_folder / "model.safetensors"}) {
            r.output = output;
            const auto refused = rowOf(target).make(r);
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, ErrorCode::OutputIsInput);
        }
        QCOMPARE(filesIn(m_folder), before);
    }

    void whatStandsThereIsReplacedOnlyWhenTold()
    {
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 0));
        r.splitMaxBytes = 90'000;
        QVERIFY(exported(makeBf16Exporter, r));
        ExportRequest whole = r;
        whole.splitMaxBytes = 5'000'000'000;
        const auto refused = makeBf16Exporter(whole);  // no file of the same name, but another model
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::WouldOverwrite);
        whole.overwrite = true;
        QVERIFY(exported(makeBf16Exporter, whole));
        QVERIFY(!fs::exists(r.output / "model.safetensors.index.json"));
        const auto copy = Checkpoint::open(r.output);
        QVERIFY(copy);
        QCOMPARE((*copy)->shardCount(), std::size_t{1});
        r.overwrite = true;
        QVERIFY(exported(makeBf16Exporter, r));
        QVERIFY(!fs::exists(r.output / "model.safetensors"));
        r.splitMaxBytes = 120'000;  // another number of shards: those of before are gone
        QVERIFY(exported(makeBf16Exporter, r));
        const auto sharded = Checkpoint::open(r.output);
        QCOMPARE(namesIn(r.output).size(), (*sharded)->shardCount() + 4);
        for (const std::string& name : namesIn(r.output))
            QVERIFY2(name.find("sigmascope") == std::string::npos && !name.starts_with('.'), name.c_str());
    }

    void aFailureOfAnyCallLeavesTheOldModelIntact_data() { eachTarget(); }
    void aFailureOfAnyCallLeavesTheOldModelIntact()
    {
        QFETCH(QString, target);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g128", 1));
        r.splitMaxBytes = 90'000;
        QVERIFY(exported(rowOf(target).make, r));
        const auto before = filesIn(r.output);
        const auto restore = [&] {
            fs::remove_all(r.output);
            fs::create_directories(r.output);
            for (const auto& [name, content] : before)
                writeFile(r.output / name, content);
        };
        ExportRequest other = folderRequest(quantizeBlock(*m_model, "int3-g32", 2));
        other.overwrite = true;
        other.splitMaxBytes = 60'000;
        int faults = 0;
        for (int n = 1;; n += n < 12 ? 1 : 3) {
            FaultySystem faulty(FaultySystem::Fault::Once, n);
            other.system = &faulty;
            const Status status = exported(rowOf(target).make, other);
            if (!faulty.hasFailed()) {
                QVERIFY(status);
                break;
            }
            if (status) {  // a name that could not be tidied up, and the like
                restore();
                continue;
            }
            if (status.error().detail.find("may not survive a power cut") != std::string::npos) {  // named, all of them
                QVERIFY(Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()}));
                restore();
                continue;
            }
            const auto after = filesIn(r.output);
            std::string differences;
            for (const auto& [name, content] : after)
                differences += !before.contains(name) ? " +" + name : content != before.at(name) ? " ~" + name : "";
            for (const auto& [name, content] : before)
                differences += !after.contains(name) ? " -" + name : "";
            QVERIFY2(differences.empty(), (std::to_string(n) + ": " + status.error().detail + ":" + differences).c_str());
            ++faults;
        }
        QVERIFY(faults > 10);
    }

    void aRunTakenUpEndsInTheSameBytes_data() { eachTarget(); }
    void aRunTakenUpEndsInTheSameBytes()
    {
        QFETCH(QString, target);
        ExportRequest r = folderRequest(quantizeBlock(*m_model, "int4-g32", 2), "whole");
        r.splitMaxBytes = 90'000;
        std::map<std::size_t, QuantizedLayer> layers;  // factors that did not fit F16
        for (std::size_t i = 0; i < r.plan.layers.size(); ++i)
            layers[i] = layerOf(r, i, {}, FactorType::BF16);
        const auto addTo = [&](Exporter& exporter, std::size_t first, std::size_t count, std::vector<LayerReceipt>* receipts) {
            for (std::size_t i = first; i < first + count; ++i) {
                QVERIFY(exporter.add(layers[exporter.order()[i]]));
                if (receipts != nullptr)
                    receipts->push_back(exporter.receipt());
            }
        };
        auto undisturbed = rowOf(target).make(r);
        QVERIFY(undisturbed);
        const std::size_t all = (*undisturbed)->order().size();
        addTo(**undisturbed, 0, all, nullptr);
        QVERIFY((*undisturbed)->finish());

        ExportRequest cut = r;
        cut.output = m_out / "cut";
        cut.journaled = Journaled{};
        std::vector<LayerReceipt> receipts;
        std::uint64_t layout = 0;
        {
            auto exporter = rowOf(target).make(cut);
            QVERIFY(exporter);
            layout = (*exporter)->layoutChecksum();
            addTo(**exporter, 0, all / 2, &receipts);
        }
        cut.journaled->takeUp = true;
        auto exporter = rowOf(target).make(cut);
        QVERIFY2(exporter, exporter ? "" : exporter.error().detail.c_str());
        QCOMPARE((*exporter)->layoutChecksum(), layout);
        LayerReceipt wrong = receipts[0];
        wrong.ranges[0].checksum ^= 1;
        QVERIFY(!(*exporter)->takeUp((*exporter)->order()[0], wrong, {}));
        wrong = receipts[0];
        wrong.note = "bf16:0,1,2,3,4";
        QVERIFY(!(*exporter)->takeUp((*exporter)->order()[0], wrong, {}));
        for (std::size_t i = 0; i < receipts.size(); ++i) {
            const Status taken = (*exporter)->takeUp((*exporter)->order()[i], receipts[i], {});
            QVERIFY2(taken, taken ? "" : taken.error().detail.c_str());
        }
        addTo(**exporter, receipts.size(), all - receipts.size(), nullptr);
        const Status finished = (*exporter)->finish();
        QVERIFY2(finished, finished ? "" : finished.error().detail.c_str());
        QVERIFY(filesIn(m_out / "cut") == filesIn(m_out / "whole"));
    }
};

QTEST_GUILESS_MAIN(TestSafetensorsReplace)
#include "tst_safetensors_replace.moc"
