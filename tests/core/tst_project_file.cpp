// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/ProjectFile.h"
#include "core/base/Hdf5.h"
#include "support/ExporterFixture.h"
#include "support/FaultySystem.h"

#include <fstream>
#include <iterator>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

ProjectFile project(std::size_t layers = 4)
{
    ProjectFile p;
    p.checkpoint = "/models/caf\xC3\xA9 \xFF";  // a native path need not be UTF-8
    p.calibration = "/models/imatrix.gguf";
    p.fingerprint = "0123456789abcdef";
    p.plan.target = "research";
    p.plan.seed = 0xFFFFFFFFFFFFFFFFULL;
    p.recipe = Recipe{.seed = p.plan.seed, .target = "research", .defaults = {.preset = "l2qer-w4", .rank = 7},
                      .rules = {{.match = "down|\xC3\xBC", .bits = 8, .solver = "clip-search"}, {.match = "^lm_head", .skip = true}},
                      .pins = {"model.layer.3"}};
    p.view = R"({"page":"inspect","selection":["layer.1"]})";
    for (std::size_t i = 0; i < layers; ++i) {
        p.tensors.push_back("model.layer." + std::to_string(i) + (i == 2 ? ".ü" : ""));
        p.plan.layers.push_back({.keep = i % 3 == 0, .preset = i == 1 ? "l2qer-w4" : "", .grid = i % 3 == 0 ? "" : "int4-g128",
                                 .rank = static_cast<std::uint32_t>(7 * i), .factors = i == 2 ? FactorType::F32 : FactorType::F16,
                                 .metric = i == 1 ? MetricKind::DiagonalRms : MetricKind::Plain, .pinned = i == 3});
    }
    TensorResult result{.name = p.tensors[1], .preset = "l2qer-w4", .grid = "int4-g128", .method = "l2qer"};
    result.bitsPerWeight = 4.625;
    result.publishedBits = 4.5;
    result.rank = 7;
    result.weightError = 0.125;
    result.weightErrorRank0 = 0.25;
    result.searchGain = 0.04;
    result.seconds = 1.5;
    result.device = "cpu";
    result.fallback = "no calibration for this tensor: plain metric";
    p.results.push_back({result, p.plan.layers[1]});
    return p;
}

}  // namespace

class TestProjectFile : public QObject {
    Q_OBJECT
    QTemporaryDir m_dir;
    [[nodiscard]] fs::path at(const char* name) const { return fs::path(m_dir.path().toStdString()) / name; }

private slots:
    void everythingSavedComesBack()
    {
        const ProjectFile saved = project();
        const Status status = saveProject(saved, at("a.sgms"));
        QVERIFY2(status, status ? "" : status.error().detail.c_str());
        const auto loaded = loadProject(at("a.sgms"));
        QVERIFY2(loaded, loaded ? "" : loaded.error().detail.c_str());
        QVERIFY(!loaded->program.empty());
        QCOMPARE(loaded->checkpoint, saved.checkpoint);
        QCOMPARE(loaded->calibration, saved.calibration);
        QCOMPARE(loaded->fingerprint, saved.fingerprint);
        QCOMPARE(loaded->tensors, saved.tensors);
        QVERIFY(loaded->plan == saved.plan);
        QVERIFY(loaded->recipe);
        QCOMPARE(dumpJson(toJson(*loaded->recipe)), dumpJson(toJson(*saved.recipe)));
        QCOMPARE(loaded->view, saved.view);
        QCOMPARE(loaded->results.size(), std::size_t{1});
        const TensorResult& result = loaded->results[0].result;
        const TensorResult& expected = saved.results[0].result;
        QVERIFY(loaded->results[0].plan == saved.results[0].plan);
        QCOMPARE(result.name, expected.name);
        QCOMPARE(result.preset, expected.preset);
        QCOMPARE(result.grid, expected.grid);
        QCOMPARE(result.method, expected.method);
        QCOMPARE(result.bitsPerWeight, expected.bitsPerWeight);
        QCOMPARE(result.publishedBits, expected.publishedBits);
        QCOMPARE(result.rank, expected.rank);
        QCOMPARE(result.weightError, expected.weightError);
        QVERIFY(!result.metricError && !result.metricErrorRank0);
        QCOMPARE(result.weightErrorRank0, expected.weightErrorRank0);
        QCOMPARE(result.searchGain, expected.searchGain);
        QCOMPARE(result.seconds, expected.seconds);
        QCOMPARE(result.device, expected.device);
        QCOMPARE(result.fallback, expected.fallback);
    }

    void anEmptySessionIsASessionToo()
    {
        QVERIFY(saveProject({}, at("empty.sgms")));
        const auto loaded = loadProject(at("empty.sgms"));
        QVERIFY2(loaded, loaded ? "" : loaded.error().detail.c_str());
        QVERIFY(loaded->tensors.empty() && loaded->results.empty());
    }

    void theSameSessionIsTheSameBytes()
    {
        QVERIFY(*encodeProject(project()) == *encodeProject(project()));
        QVERIFY(*encodeProject(project()) != *encodeProject(project(5)));
    }

    void aHundredThousandLayersAreSavedInATrice()
    {
        const ProjectFile large = project(100000);
        QVERIFY(saveProject(large, at("large.sgms")));
        const auto loaded = loadProject(at("large.sgms"));
        QVERIFY(loaded);
        QVERIFY(loaded->plan == large.plan);
    }

    void filesWithoutARecipeOpenAndOthersKeepOnlyWhatIsOne()
    {
        ProjectFile old = project();
        old.recipe.reset();  // as versions before wrote
        const auto loaded = decodeProject(*encodeProject(old), "o.sgms");
        QVERIFY2(loaded, loaded ? "" : loaded.error().detail.c_str());
        QVERIFY(!loaded->recipe && loaded->plan == old.plan);
        ProjectFile wrong = project();
        wrong.recipe->rules[0].bits = 17;
        const auto refused = decodeProject(*encodeProject(wrong), "w.sgms");
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::InvalidRecipe);
        for (const char* word : {"w.sgms", "rules[0]", "17 bits"})
            QVERIFY2(refused.error().detail.find(word) != std::string::npos, refused.error().detail.c_str());
    }

    void columnsOfDifferentLengthAreRefused()
    {
        ProjectFile wrong = project();
        wrong.tensors.pop_back();
        QCOMPARE(encodeProject(wrong).error().code, ErrorCode::InvalidOption);
    }

    void aPlanThatThisVersionCannotMeanIsRefused()
    {
        ProjectFile future = project();
        future.plan.layers[1].grid = "int4-g127";
        const auto loaded = decodeProject(*encodeProject(future), "f.sgms");
        QVERIFY(!loaded);
        QVERIFY2(loaded.error().detail.find("int4-g127") != std::string::npos, loaded.error().detail.c_str());
    }

    void aFailureOfAnyCallLeavesTheOldFileIntact()
    {
        QVERIFY(saveProject(project(), at("b.sgms")));
        const std::string before = readFile(at("b.sgms"));
        int faults = 0;
        for (int n = 1;; ++n) {
            FaultySystem faulty(FaultySystem::Fault::Death, n);
            const Status status = saveProject(project(9), at("b.sgms"), faulty);
            if (!faulty.hasFailed())
                break;
            if (status || readFile(at("b.sgms")) != before) {  // named already: then it is the new one, whole
                const auto loaded = loadProject(at("b.sgms"));
                QVERIFY(loaded);
                QCOMPARE(loaded->tensors.size(), std::size_t{9});
                QVERIFY(saveProject(project(), at("b.sgms")));
            }
            ++faults;
        }
        QVERIFY(faults >= 4);
    }

    void fingerprintsTellModelsApart()
    {
        const auto model = writeFolder(at("m"), tinyLlama());
        const auto same = writeFolder(at("same"), tinyLlama());
        auto tensors = tinyLlama();
        tensors[0].name += "x";
        const auto other = writeFolder(at("other"), tensors);
        QCOMPARE(structureOf(*model).size(), std::size_t{16});
        QCOMPARE(structureOf(*model), structureOf(*same));
        QVERIFY(structureOf(*model) != structureOf(*other));
    }

    void hdf5ObjectsOfAnotherKindAreRefused()
    {
        Hdf5Writer writer;
        writer.group("/g");
        writer.attribute("/g", "n", std::uint64_t{7});
        writer.attribute("/g", "t", "text");
        const std::vector<double> doubles{1, 2};
        writer.column("/g/d", std::span(doubles));
        const auto image = writer.finish();
        QVERIFY2(image, image ? "" : image.error().detail.c_str());
        const auto reader = Hdf5Reader::open(*image);
        QVERIFY(reader);
        QCOMPARE(*reader->number("/g", "n"), std::uint64_t{7});
        QCOMPARE(*reader->text("/g", "t"), std::string("text"));
        QCOMPARE(*reader->doubles("/g/d"), doubles);
        QCOMPARE(reader->number("/g", "t").error().code, ErrorCode::MalformedHeader);
        QCOMPARE(reader->text("/g", "n").error().code, ErrorCode::MalformedHeader);
        QCOMPARE(reader->number("/g", "absent").error().code, ErrorCode::MissingTensor);
        QCOMPARE(reader->numbers("/g/d").error().code, ErrorCode::MalformedHeader);
        QCOMPARE(reader->texts("/g/d").error().code, ErrorCode::MalformedHeader);
        QCOMPARE(reader->bytes("/g/absent").error().code, ErrorCode::MissingTensor);
        QCOMPARE(reader->doubles("/g").error().code, ErrorCode::MalformedHeader);
    }
};

QTEST_GUILESS_MAIN(TestProjectFile)
#include "tst_project_file.moc"
