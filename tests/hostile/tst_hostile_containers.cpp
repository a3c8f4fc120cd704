// SPDX-License-Identifier: GPL-3.0-or-later
// Research containers and session files that lie.
#include "core/lowrank/CodedMatrices.h"
#include "core/project/ProjectFile.h"
#include "hostile/Hostile.h"

#include <functional>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

/// A matrix of 4 x 8 on int4-g32: 16 bytes of codes, 4 scales.
struct Container {
    std::string version = "1";
    std::string description = R"({"grid":"int4-g32","shape":[4,8],"rank":0,"parts":["scales","codes"]})";
    std::string scales = entry("w.scales", "F16", {4, 1}, 0, 8);
    std::string codes = entry("w.codes", "U8", {4, 4}, 8, 24);
    std::string more{};
    std::size_t data = 24;

    [[nodiscard]] std::string bytes() const
    {
        std::string quoted;
        for (const char c : description)
            quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
        return safetensors(R"({"__metadata__":{"sigmascope.container":"research","sigmascope.container_version":")" + version
                               + R"(","sigmascope.tensors":"{\"w\":)" + quoted + "}\"}," + scales + "," + codes + more + "}",
                           data);
    }
};

OpenOptions coded(bool strict = false)
{
    return {.strict = strict, .coded = &codedFormats()};
}

std::vector<std::byte> asBytes(const std::string& text)
{
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    return {bytes.begin(), bytes.end()};
}

ProjectFile someProject()
{
    ProjectFile project;
    project.checkpoint = "/models/a model";
    project.fingerprint = "0123456789abcdef";
    project.view = R"({"page":1})";
    for (int i = 0; i < 5; ++i) {
        project.tensors.push_back("layer." + std::to_string(i));
        project.plan.layers.push_back({.keep = i == 0, .grid = i == 0 ? "" : "q4_0", .rank = static_cast<std::uint32_t>(i)});
    }
    project.results.push_back({{.name = "layer.1", .grid = "q4_0", .method = "lqer", .weightError = 0.25}, project.plan.layers[1]});
    return project;
}

}  // namespace

class TestHostileContainers : public QObject {
    Q_OBJECT

private slots:
    void aContainerAsItShouldBeOpens()
    {
        const Folder folder;
        const auto opened = Checkpoint::open(folder.write("c.safetensors", Container{}.bytes()), coded(true));
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        QCOMPARE((*opened)->tensors().size(), std::size_t{1});
        QCOMPARE((*opened)->view(0)->shape, (Shape{4, 8}));
    }

    void descriptionsThatLieAreRefused_data()
    {
        QTest::addColumn<QString>("description");
        QTest::addColumn<QString>("code");
        const auto row = [](const char* name, const char* description, const char* code) { QTest::newRow(name) << description << code; };
        row("no object", "3", "malformed-header");
        row("no grid", R"({"shape":[4,8],"parts":["scales","codes"]})", "malformed-header");
        row("grid of control characters", R"({"grid":"a\\u0001","shape":[4,8],"parts":["scales","codes"]})", "malformed-header");
        row("shape of one", R"({"grid":"int4-g32","shape":[32],"parts":["scales","codes"]})", "malformed-header");
        row("shape with zero", R"({"grid":"int4-g32","shape":[0,8],"parts":["scales","codes"]})", "malformed-header");
        row("shape negative", R"({"grid":"int4-g32","shape":[-4,8],"parts":["scales","codes"]})", "malformed-header");
        row("shape that overflows", R"({"grid":"int4-g32","shape":[4294967296,4294967296,4],"parts":["scales","codes"]})", "malformed-header");
        row("rank of 2^40", R"({"grid":"int4-g32","shape":[4,8],"rank":1099511627776,"parts":["scales","codes"]})", "malformed-header");
        row("no parts", R"({"grid":"int4-g32","shape":[4,8]})", "malformed-header");
        row("seventeen parts", R"({"grid":"int4-g32","shape":[4,8],"parts":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]})",
            "malformed-header");
        row("part that is not there", R"({"grid":"int4-g32","shape":[4,8],"parts":["scales","codes","left"]})", "missing-tensor");
        row("part twice", R"({"grid":"int4-g32","shape":[4,8],"parts":["codes","codes"]})", "overlap");
        row("larger shape", R"({"grid":"int4-g32","shape":[8,8],"parts":["scales","codes"]})", "shape-mismatch");
        row("huge rows", R"({"grid":"int4-g32","shape":[1152921504606846976,8],"parts":["scales","codes"]})", "shape-mismatch");
        row("huge columns", R"({"grid":"int4-g32","shape":[4,1152921504606846976],"parts":["scales","codes"]})", "shape-mismatch");
        row("another grid", R"({"grid":"int3-g32","shape":[4,8],"parts":["scales","codes"]})", "shape-mismatch");
        row("rows that the grid has not", R"({"grid":"q4_0","shape":[4,8],"parts":["scales","codes"]})", "shape-mismatch");
        row("rank without factors", R"({"grid":"int4-g32","shape":[4,8],"rank":2,"parts":["scales","codes"]})", "shape-mismatch");
    }
    void descriptionsThatLieAreRefused()
    {
        QFETCH(QString, description);
        QFETCH(QString, code);
        const Folder folder;
        Container container;
        container.description = description.toStdString();
        const auto opened = Checkpoint::open(folder.write("c.safetensors", container.bytes()), coded(true));
        QVERIFY(!opened);
        QCOMPARE(std::string(id(opened.error().code)), code.toStdString());
        QVERIFY2(opened.error().detail.find("'w'") != std::string::npos || code == "malformed-header", opened.error().detail.c_str());
    }

    void partsOfAnotherTypeOrShapeAreRefused()
    {
        const Folder folder;
        for (const std::string& scales : {entry("w.scales", "BF16", {4, 1}, 0, 8), entry("w.scales", "F16", {1, 4}, 0, 8),
                                          entry("w.scales", "U8", {4, 2}, 0, 8), entry("w.scales", "F16", {4}, 0, 8)}) {
            Container container;
            container.description = R"({"grid":"int4-g32","shape":[4,8],"parts":["scales","codes"]})";
            container.scales = scales;
            expectRefused(folder.write("c.safetensors", container.bytes()), ErrorCode::ShapeMismatch, {"scales"}, coded());
        }
    }

    void unknownGridsAndVersionsAreListedWithoutAnalysis()
    {
        const Folder folder;
        Container container;
        container.description = R"({"grid":"vq9-k7","shape":[4,8],"parts":["scales","codes"]})";
        const auto opened = Checkpoint::open(folder.write("c.safetensors", container.bytes()), coded());
        QVERIFY(opened);
        QCOMPARE((*opened)->tensors().size(), std::size_t{1});
        QCOMPARE((*opened)->tensors()[0].unknownDtype, std::string("vq9-k7"));
        QCOMPARE((*opened)->tensors()[0].bytes, Bytes{24});
        QCOMPARE((*opened)->warnings().size(), std::size_t{1});
        const auto view = (*opened)->view(0);
        QVERIFY(!view);
        QCOMPARE(view.error().code, ErrorCode::UnknownType);
        Container newer;
        newer.version = "2";
        const auto listed = Checkpoint::open(folder.write("n.safetensors", newer.bytes()), coded());
        QVERIFY(listed);
        QCOMPARE((*listed)->tensors().size(), std::size_t{2});
        QCOMPARE((*listed)->warnings()[0].code, ErrorCode::UnsupportedVersion);
    }

    void aNameThatIsCodedAndStoredIsRefused()
    {
        const Folder folder;
        Container container;
        container.description = R"({"grid":"int4-g32","shape":[4,8],"parts":["scales","codes"]})";
        container.more = "," + entry("w", "U8", {1}, 24, 25);
        container.data = 25;
        expectRefused(folder.write("c.safetensors", container.bytes()), ErrorCode::DuplicateName, {"'w'"}, coded());
    }

    void everyByteOfAContainerMayBeWrong()
    {
        const Folder folder;
        Container container;
        container.description = R"({"grid":"int4-g32","shape":[4,8],"parts":["scales","codes"]})";
        const std::string good = container.bytes();
        std::size_t opened = 0;
        for (std::size_t i = 0; i < good.size(); ++i) {
            constexpr std::string_view kFlips = "\x01\x20\x7F";
            std::string bad = good;
            bad[i] = static_cast<char>(bad[i] ^ kFlips[i % kFlips.size()]);
            expectNoCrash(folder, good.substr(0, i));
            const auto found = Checkpoint::open(folder.write("c.safetensors", bad), coded());
            if (!found)
                continue;
            ++opened;
            for (std::size_t t = 0; t < (*found)->tensors().size(); ++t)
                static_cast<void>((*found)->view(t));
        }
        QVERIFY(opened >= 24);  // the data at least
    }

    void sessionsCutShortAtEveryPointAreRefused()
    {
        const auto whole = encodeProject(someProject());
        QVERIFY2(whole, whole ? "" : whole.error().detail.c_str());
        QVERIFY(decodeProject(*whole, "s.sgms"));
        for (std::size_t size = 0; size < whole->size(); size += size < 600 ? 1 : 97) {
            const auto cut = decodeProject(std::span(*whole).first(size), "s.sgms");
            QVERIFY(!cut);
            QVERIFY2(cut.error().code == ErrorCode::Truncated || cut.error().code == ErrorCode::WrongMagic, cut.error().detail.c_str());
            QVERIFY(cut.error().detail.starts_with("s.sgms"));
        }
    }

    void sessionsWithAnyBitWrongAreRefused()
    {
        const auto whole = encodeProject(someProject());
        QVERIFY(whole);
        std::size_t tried = 0;
        for (std::size_t i = 0; i < whole->size(); i += i < 40 ? 1 : 41) {
            auto bad = *whole;
            bad[i] ^= std::byte{0x10};
            QVERIFY2(!decodeProject(bad, "s.sgms"), std::to_string(i).c_str());
            ++tried;
        }
        QVERIFY(tried > 100);
    }

    void sessionsOfANewerProgramAndOtherFilesSayWhatTheyAre()
    {
        const Folder folder;
        auto newer = *encodeProject(someProject());
        newer[8] = std::byte{9};
        expectError(decodeProject(newer, "s.sgms").error(), ErrorCode::UnsupportedVersion, {"s.sgms", "version 9", "newer"});
        expectError(decodeProject(asBytes("{\"schema\":1}"), "s.sgms").error(), ErrorCode::WrongMagic, {"session"});
        expectError(decodeProject({}, "s.sgms").error(), ErrorCode::WrongMagic, {});
        QCOMPARE(loadProject(folder.path() / "absent.sgms").error().code, ErrorCode::NotFound);
        QCOMPARE(loadProject(folder.path()).error().code, ErrorCode::NotRegularFile);
        auto longer = *encodeProject(someProject());
        longer.push_back(std::byte{0});
        QCOMPARE(decodeProject(longer, "s.sgms").error().code, ErrorCode::UncoveredBytes);
    }

private:
    static void expectNoCrash(const Folder& folder, const std::string& bytes)
    {
        const auto found = Checkpoint::open(folder.write("t.safetensors", bytes), coded());
        QVERIFY(!found);
    }
};

QTEST_GUILESS_MAIN(TestHostileContainers)
#include "tst_hostile_containers.moc"
