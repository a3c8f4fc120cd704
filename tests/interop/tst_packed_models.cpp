// SPDX-License-Identifier: GPL-3.0-or-later
// compressed-tensors, GPTQ and AWQ folders in the hands of a script that was written from the formats' definitions:
// every weight it unpacks equals what our grid decodes, bit for bit, and so does what our own reader makes of the
// folder.
#include "core/project/Pipeline.h"
#include "core/tensor/Decode.h"
#include "support/Oracles.h"

#include <QCryptographicHash>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

#include <filesystem>
#include <map>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

const fs::path kOracle = fs::path(SIGMASCOPE_SOURCE_DIR) / "tests" / "interop" / "packed_oracle.py";

QString sha1(std::span<const std::byte> bytes)
{
    const QByteArray data
        = QByteArray::fromRawData(reinterpret_cast<const char*>(bytes.data()), static_cast<qsizetype>(bytes.size()));
    return QString::fromLatin1(QCryptographicHash::hash(data, QCryptographicHash::Sha1).toHex());
}

QString sha1(std::span<const float> values)
{
    return sha1(std::as_bytes(values));
}

}  // namespace

class TestPackedModels : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        const auto model = Checkpoint::open(fs::path(SIGMASCOPE_SOURCE_DIR) / "resources" / "sample");
        QVERIFY(model);
        m_model = *model;
    }
    void anIndependentScriptUnpacksWhatWeMeant_data();
    void anIndependentScriptUnpacksWhatWeMeant();
    void theAdapterIsAppliedWithFactorOne_data();
    void theAdapterIsAppliedWithFactorOne();

private:
    QTemporaryDir m_dir;
    std::shared_ptr<const Checkpoint> m_model;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();

    [[nodiscard]] std::optional<ExportRequest> requested(const QString& target, const QString& rules)
    {
        const QString text = QStringLiteral("{\"schema\":1,\"target\":\"%1\",%2}").arg(target, rules);
        const auto recipe = parseRecipe(text.toStdString(), "r.json");
        const auto resolved = recipe ? resolve(*recipe, *m_model, ModelTopology(*m_model)) : passOn(recipe);
        if (!resolved) {
            QTest::qFail(resolved.error().detail.c_str(), __FILE__, __LINE__);
            return std::nullopt;
        }
        ExportRequest r;
        r.checkpoint = m_model;
        r.plan = resolved->plan;
        r.output = fs::path(m_dir.path().toStdString()) / "m";
        fs::remove_all(r.output);
        return r;
    }
    /// Runs the plan and the script; its lines.
    [[nodiscard]] std::vector<QJsonObject> unpacked(const ExportRequest& r) const
    {
        const auto run = quantize(r, *findExporter(r.plan.target), *m_backend, {}, {});
        if (!run) {
            QTest::qFail(run.error().detail.c_str(), __FILE__, __LINE__);
            return {};
        }
        std::string problem;
        const auto output = runPython({kOracle.string(), r.output.string()}, problem);
        if (!output)
            QTest::qFail(problem.c_str(), __FILE__, __LINE__);
        std::vector<QJsonObject> lines;
        for (const QByteArray& line : QByteArray::fromStdString(output.value_or("")).split('\n')) {
            if (!line.isEmpty())
                lines.push_back(QJsonDocument::fromJson(line).object());
        }
        return lines;
    }
    /// What the grid of the plan makes of a tensor.
    [[nodiscard]] QString meant(const ExportRequest& r, std::size_t tensor) const
    {
        const auto outcome
            = quantizeLayer(*m_model, tensor, r.plan.layers[tensor], nullptr, r.plan.seed, *m_backend, {});
        if (!outcome || !outcome->layer.quantized)
            return {};
        const QuantizedTensor& quantized = *outcome->layer.quantized;
        std::vector<float> values(quantized.rows * quantized.cols);
        quantized.grid->decode(quantized.codes, quantized.rows, quantized.cols, values);
        return sha1(values);
    }
};

void TestPackedModels::anIndependentScriptUnpacksWhatWeMeant_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("rules");
    const auto add = [](const char* target, const char* grid) {
        QTest::addRow("%s, %s", target, grid)
            << QString(target) << QStringLiteral("\"default\":{\"grid\":\"%1\"}").arg(QLatin1String(grid));
    };
    for (const char* grid :
         {"int4-g128", "int4-g32-asym", "int4-row", "int8-g64", "int8-g128-asym", "int8-row-asym", "int4-g64-f32"})
        add("compressed-tensors", grid);
    for (const char* grid : {"int2-g32", "int3-g64", "int4-g128", "int8-row", "int2-g64-asym", "int3-g128-asym",
                             "int4-row-asym", "int8-g32-asym"})
        add("gptq", grid);
    for (const char* grid : {"int4-g128-asym", "int4-g32-asym", "int4-row-asym"})
        add("awq", grid);
    // Several schemes, kept layers, whole groups of siblings among them.
    const QString mixed = QStringLiteral(R"("default":{"grid":"int4-g128"},"rules":[
        {"match":"layers\\.0\\..*down_proj","grid":"int8-g128"},{"match":"layers\\.1\\.self_attn\\.[qkv]_proj","grid":"int4-g64-asym"},
        {"match":"layers\\.2\\.mlp\\.(gate|up)_proj","skip":true},{"match":"layers\\.3\\.self_attn\\.o_proj","grid":"int8-row"}])");
    QTest::newRow("compressed-tensors, mixed") << "compressed-tensors" << mixed;
    QTest::newRow("gptq, mixed") << "gptq" << mixed;
    // The output matrix too, as the others and by itself.
    for (const char* target : {"compressed-tensors", "gptq"}) {
        for (const char* grid : {"int4-g128", "int8-g32"})
            QTest::addRow("%s, output of %s", target, grid)
                << QString(target)
                << QStringLiteral(R"("default":{"grid":"int4-g128"},"rules":[{"match":"^lm_head","grid":"%1"}])")
                       .arg(QLatin1String(grid));
    }
    QTest::newRow("awq, some kept")
        << "awq"
        << QStringLiteral(
               R"("default":{"grid":"int4-g64-asym"},"rules":[{"match":"layers\\.1\\.self_attn\\.[qkv]_proj","skip":true}])");
}

void TestPackedModels::anIndependentScriptUnpacksWhatWeMeant()
{
    QFETCH(QString, target);
    QFETCH(QString, rules);
    auto r = requested(target, rules);
    QVERIFY(r);
    r->splitMaxBytes = 1'500'000;
    const auto lines = unpacked(*r);
    QCOMPARE(lines.size(), m_model->tensors().size());
    const auto opened = Checkpoint::open(r->output, {.strict = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    QVERIFY((*opened)->shardCount() > 1);
    QCOMPARE((*opened)->tensors().size(), m_model->tensors().size());
    for (const QJsonObject& line : lines) {
        const std::string name = line["name"].toString().toStdString();
        const auto index = m_model->find(name);
        QVERIFY2(index, name.c_str());
        const LayerPlan& plan = r->plan.layers[*index];
        QCOMPARE(line["packed"].toBool(), !plan.keep);
        const auto view = (*opened)->view((*opened)->find(name).value());
        QVERIFY2(view, view ? "" : view.error().detail.c_str());
        if (plan.keep) {
            QCOMPARE(line["digest"].toString(), sha1(m_model->view(*index)->bytes));
            QCOMPARE(line["digest"].toString(), sha1(view->bytes));
            continue;
        }
        QVERIFY2(line["digest"].toString() == meant(*r, *index), name.c_str());
        std::vector<float> values(view->elements());
        decode(view->dtype, view->bytes, values);
        QVERIFY2(line["digest"].toString() == sha1(values), name.c_str());
    }
}

void TestPackedModels::theAdapterIsAppliedWithFactorOne_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<int>("factorBits");
    QTest::newRow("compressed-tensors") << "compressed-tensors" << 16;
    QTest::newRow("gptq") << "gptq" << 32;
    QTest::newRow("awq") << "awq" << 16;
}

/// Ranks mixed in one adapter, and a layer without.
void TestPackedModels::theAdapterIsAppliedWithFactorOne()
{
    QFETCH(QString, target);
    QFETCH(int, factorBits);
    const auto r = requested(target,
                             QStringLiteral(R"("default":{"preset":"lqer-w4","rank":8,"factor_bits":%1},"rules":[
        {"match":"down_proj","rank":3},{"match":"layers\\.0\\.self_attn\\.q_proj","rank":12},{"match":"layers\\.1\\.mlp\\.up_proj","rank":0}])")
                                 .arg(factorBits));
    QVERIFY(r);
    std::map<QString, QJsonObject> adapters;
    for (const QJsonObject& line : unpacked(*r)) {
        if (line.contains("rank"))
            adapters[line["name"].toString()] = line;
    }
    QCOMPARE(adapters.size(), std::size_t(4 * 7 - 1));
    for (std::size_t i = 0; i < r->plan.layers.size(); ++i) {
        const LayerPlan& plan = r->plan.layers[i];
        const std::string& name = m_model->tensors()[i].name;
        const auto found = adapters.find(QString::fromStdString(name.substr(0, name.rfind('.'))));
        QCOMPARE(found != adapters.end(), plan.rank > 0);
        if (plan.rank == 0)
            continue;
        QCOMPARE(found->second["rank"].toInt(), static_cast<int>(plan.rank));
        for (const QJsonValue& scale : found->second["scales"].toArray())  // as PEFT and as vLLM compute it
            QCOMPARE(scale.toDouble(), 1.0);
        const auto outcome = quantizeLayer(*m_model, i, plan, nullptr, r->plan.seed, *m_backend, {});
        QVERIFY(outcome && outcome->layer.factors);
        QCOMPARE(found->second["A"].toString(), sha1(outcome->layer.factors->right));
        QCOMPARE(found->second["B"].toString(), sha1(outcome->layer.factors->left));
    }
}

QTEST_GUILESS_MAIN(TestPackedModels)
#include "tst_packed_models.moc"
