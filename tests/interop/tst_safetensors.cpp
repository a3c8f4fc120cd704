// SPDX-License-Identifier: GPL-3.0-or-later
// Files of ours in the hands of others, and theirs in ours: the reference reader of safetensors, a reader written from
// docs/research-container.md alone, h5py, and the reference writer of split GGUF files.
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Pipeline.h"
#include "core/project/ProjectFile.h"
#include "core/tensor/Decode.h"
#include "support/Oracles.h"

#include <QCryptographicHash>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const fs::path kFolder = fs::path(SIGMASCOPE_SOURCE_DIR) / "tests" / "interop";

std::vector<QJsonObject> linesOf(const std::string& output)
{
    std::vector<QJsonObject> lines;
    for (const QByteArray& line : QByteArray::fromStdString(output).split('\n')) {
        if (!line.isEmpty())
            lines.push_back(QJsonDocument::fromJson(line).object());
    }
    return lines;
}

template <class Value>
std::vector<Value> valuesIn(const fs::path& path)
{
    std::ifstream file(path, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    std::vector<Value> values(bytes.size() / sizeof(Value));
    if (!values.empty())
        std::memcpy(values.data(), bytes.data(), values.size() * sizeof(Value));
    return values;
}

std::vector<float> decoded(const TensorView& view)
{
    std::vector<float> values(view.elements());
    decode(view.dtype, view.bytes, values);
    return values;
}

QString digest(std::span<const std::byte> bytes)
{
    const QByteArray data = QByteArray::fromRawData(reinterpret_cast<const char*>(bytes.data()), static_cast<qsizetype>(bytes.size()));
    return QString::fromLatin1(QCryptographicHash::hash(data, QCryptographicHash::Sha1).toHex());
}

}  // namespace

class TestSafetensorsInterop : public QObject {
    Q_OBJECT

    QTemporaryDir m_dir;
    std::shared_ptr<const Checkpoint> m_model;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();

    [[nodiscard]] fs::path at(const char* name) const { return fs::path(m_dir.path().toStdString()) / name; }
    [[nodiscard]] ExportRequest request(const char* grid, std::uint32_t rank, const fs::path& output, FactorType factors = FactorType::F16) const
    {
        ExportRequest r;
        r.checkpoint = m_model;
        r.output = output;
        r.plan.layers.resize(m_model->tensors().size());
        const ModelTopology topology(*m_model);
        for (std::size_t i = 0; i < r.plan.layers.size(); ++i) {
            if (topology.isQuantizable(i))
                r.plan.layers[i] = {.keep = false, .grid = grid, .rank = rank, .factors = factors, .metric = MetricKind::Plain};
        }
        return r;
    }
    bool ran(const ExportRequest& r, const char* target) const
    {
        const auto run = quantize(r, *findExporter(target), *m_backend, {}, {});
        if (!run)
            QTest::qFail(run.error().detail.c_str(), __FILE__, __LINE__);
        return run.has_value();
    }

private slots:
    void initTestCase()
    {
        const auto model = Checkpoint::open(fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample");
        QVERIFY(model);
        m_model = *model;
    }

    void theReferenceReaderSeesOurDequantizedShards()
    {
        ExportRequest r = request("int4-g128", 8, at("bf16"));
        r.splitMaxBytes = 1'500'000;
        QVERIFY(ran(r, "bf16"));
        std::string problem;
        const auto output = runPython({(kFolder / "safetensors_oracle.py").string(), r.output.string()}, problem);
        QVERIFY2(output, problem.c_str());
        const auto lines = linesOf(*output);
        const auto copy = Checkpoint::open(r.output, {.strict = true});
        QVERIFY2(copy, copy ? "" : copy.error().detail.c_str());
        QVERIFY((*copy)->shardCount() > 2);
        QCOMPARE(lines.size(), m_model->tensors().size());
        for (const QJsonObject& line : lines) {
            const std::string name = line["name"].toString().toStdString();
            const auto index = (*copy)->find(name);
            QVERIFY2(index, name.c_str());
            const auto view = (*copy)->view(*index);
            QCOMPARE(line["dtype"].toString().toStdString(), std::string(info(view->dtype).safetensorsName));
            const auto values = decoded(*view);
            const auto bytes = view->dtype == DType::BF16 ? std::as_bytes(std::span(values)) : view->bytes;
            QCOMPARE(line["digest"].toString(), digest(bytes));
        }
    }

    void aReaderWrittenFromTheDocumentDecodesOurCodes_data()
    {
        QTest::addColumn<QString>("grid");
        QTest::addColumn<uint>("rank");
        QTest::addColumn<int>("factors");
        QTest::newRow("int4-g128 plain") << "int4-g128" << 0U << static_cast<int>(FactorType::F16);
        QTest::newRow("int3-g32-asym, F16 factors") << "int3-g32-asym" << 4U << static_cast<int>(FactorType::F16);
        QTest::newRow("int5-row-asym-f32, F32 factors") << "int5-row-asym-f32" << 3U << static_cast<int>(FactorType::F32);
        QTest::newRow("int8-g64-f64, 8-bit factors") << "int8-g64-f64" << 4U << static_cast<int>(FactorType::I8);
        QTest::newRow("mxint4-b32") << "mxint4-b32" << 0U << static_cast<int>(FactorType::F16);
        QTest::newRow("bfp3-b16, BF16 factors") << "bfp3-b16" << 2U << static_cast<int>(FactorType::BF16);
        QTest::newRow("nf4-g64") << "nf4-g64" << 0U << static_cast<int>(FactorType::F16);
    }
    void aReaderWrittenFromTheDocumentDecodesOurCodes()
    {
        QFETCH(QString, grid);
        QFETCH(uint, rank);
        QFETCH(int, factors);
        const fs::path folder = at("research");
        fs::remove_all(folder);
        fs::create_directories(folder);
        const ExportRequest r = request(grid.toStdString().c_str(), rank, folder / "model.safetensors", static_cast<FactorType>(factors));
        QVERIFY(ran(r, "research"));
        std::string problem;
        const auto output = runPython({(kFolder / "research_oracle.py").string(), r.output.string(), folder.string()}, problem);
        QVERIFY2(output, problem.c_str());
        const auto lines = linesOf(*output);
        QVERIFY(lines.size() >= 28);
        const auto opened = Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()});
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        for (const QJsonObject& line : lines) {
            const std::string number = std::to_string(line["number"].toInt());
            const auto index = (*opened)->find(line["name"].toString().toStdString());
            QVERIFY(index);
            const auto ours = decoded(*(*opened)->view(*index));
            const auto codes = valuesIn<float>(folder / (number + ".q"));
            const auto whole = valuesIn<double>(folder / (number + ".w"));
            QCOMPARE(ours.size(), codes.size());
            QCOMPARE(ours.size(), whole.size());
            if (rank == 0) {
                QVERIFY2(std::memcmp(ours.data(), codes.data(), 4 * ours.size()) == 0, qPrintable(line["name"].toString()));
                continue;
            }
            double largest = 0;
            for (const double value : whole)
                largest = std::max(largest, std::abs(value));
            for (std::size_t i = 0; i < ours.size(); ++i)  // the product is summed in float here
                QVERIFY2(std::abs(ours[i] - whole[i]) <= 1e-6 * largest, qPrintable(line["name"].toString()));
        }
    }

    void h5pyOpensASession()
    {
        ProjectFile session;
        session.checkpoint = "/models/x";
        session.fingerprint = structureOf(*m_model);
        session.view = R"({"page":"inspect"})";
        session.plan = request("int4-g128", 8, {}).plan;
        session.plan.target = "research";
        session.plan.seed = 42;
        session.recipe = *recipeFromPreset("l2qer-w4", "research");
        session.recipe->rules.push_back({.match = "down", .bits = 8});
        for (const TensorInfo& tensor : m_model->tensors())
            session.tensors.push_back(tensor.name);
        session.results.push_back({{.name = session.tensors[2], .method = "lqer", .weightError = 0.125}, session.plan.layers[2]});
        const Status saved = saveProject(session, at("s.sgms"));
        QVERIFY2(saved, saved ? "" : saved.error().detail.c_str());
        std::string problem;
        const auto output = runPython({(kFolder / "session_oracle.py").string(), at("s.sgms").string()}, problem);
        QVERIFY2(output, problem.c_str());
        const QJsonObject found = QJsonDocument::fromJson(QByteArray::fromStdString(*output)).object();
        QCOMPARE(found["schema"].toInt(), 1);
        QCOMPARE(found["model"].toString(), QStringLiteral("/models/x"));
        QCOMPARE(found["fingerprint"].toString().toStdString(), session.fingerprint);
        QCOMPARE(found["target"].toString(), QStringLiteral("research"));
        QCOMPARE(found["seed"].toInt(), 42);
        const QJsonObject plan = found["plan"].toObject();
        QCOMPARE(static_cast<std::size_t>(plan["name"].toArray().size()), session.tensors.size());
        for (std::size_t i = 0; i < session.tensors.size(); ++i) {
            const auto row = static_cast<qsizetype>(i);
            const LayerPlan& layer = session.plan.layers[i];
            QCOMPARE(plan["name"].toArray()[row].toString().toStdString(), session.tensors[i]);
            QCOMPARE(plan["keep"].toArray()[row].toInt() != 0, layer.keep);
            QCOMPARE(plan["grid"].toArray()[row].toString().toStdString(), layer.grid);
            QCOMPARE(plan["rank"].toArray()[row].toInt(), static_cast<int>(layer.rank));
        }
        QCOMPARE(found["results"].toObject()["weight_rel_error"].toArray()[0].toDouble(), 0.125);
        const QJsonObject recipe = found["recipe"].toObject();
        QCOMPARE(recipe["default"].toObject()["preset"].toString(), QStringLiteral("l2qer-w4"));
        QCOMPARE(recipe["rules"].toArray()[0].toObject()["match"].toString(), QStringLiteral("down"));
        QCOMPARE(found["view"].toObject()["page"].toString(), QStringLiteral("inspect"));
    }

    void splitGgufsOfTheReferenceWriterOpenFromAnyPart()
    {
        std::string problem;
        const auto output = runPython({(kFolder / "split_oracle.py").string(), at("split").string()}, problem);
        QVERIFY2(output, problem.c_str());
        for (const char* part : {"split-00001-of-00003.gguf", "split-00002-of-00003.gguf", "split-00003-of-00003.gguf"}) {
            const auto opened = Checkpoint::open(at(part), {.strict = true});
            QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
            QCOMPARE((*opened)->shardCount(), std::size_t{3});
            QCOMPARE((*opened)->tensors().size(), std::size_t{5});
            QCOMPARE((*opened)->gguf().string("general.name").value_or(""), std::string_view("split"));
            for (int i = 0; i < 5; ++i) {
                const auto index = (*opened)->find("blk.0.t" + std::to_string(i) + ".weight");
                QVERIFY(index);
                const auto values = decoded(*(*opened)->view(*index));
                QCOMPARE(values.size(), std::size_t{64});
                QCOMPARE(values[63], 63.0F + static_cast<float>(i));
            }
        }
        fs::remove(at("split-00002-of-00003.gguf"));
        const auto missing = Checkpoint::open(at("split-00003-of-00003.gguf"));
        QVERIFY(missing);
        QVERIFY((*missing)->isIncomplete());
    }
};

QTEST_GUILESS_MAIN(TestSafetensorsInterop)
#include "tst_safetensors.moc"
