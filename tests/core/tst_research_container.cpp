// SPDX-License-Identifier: GPL-3.0-or-later
// The research container written and read back: every grid, every kind of factors, as weights like any other.
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Pipeline.h"
#include "support/ExporterFixture.h"

#include <cmath>
#include <map>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

std::vector<float> quantizedValues(const QuantizedTensor& quantized)
{
    std::vector<float> values(quantized.rows * quantized.cols);
    quantized.grid->decode(quantized.codes, quantized.rows, quantized.cols, values);
    return values;
}

}  // namespace

class TestResearchContainer : public QObject, private ExporterFixture {
    Q_OBJECT

    [[nodiscard]] ExportRequest researchRequest(QuantizationPlan plan) const
    {
        ExportRequest r = request(std::move(plan));
        r.output = m_out / "research";
        return r;
    }
    [[nodiscard]] static std::shared_ptr<const Checkpoint> reopened(const ExportRequest& r)
    {
        auto opened = Checkpoint::open(r.output, {.strict = true, .coded = &codedFormats()});
        if (!opened)
            QTest::qFail(opened.error().detail.c_str(), __FILE__, __LINE__);
        return opened ? *opened : nullptr;
    }
    [[nodiscard]] static Status written(const ExportRequest& r)
    {
        auto exporter = makeResearchExporter(r);
        if (!exporter)
            return passOn(exporter);
        for (const std::size_t tensor : (*exporter)->order()) {
            const FactorType type = r.plan.layers[tensor].factors;
            if (Status added = (*exporter)->add(layerOf(r, tensor, {}, type)); !added)
                return added;
        }
        return (*exporter)->finish();
    }

private slots:
    void init() { makeModel(); }

    void arraysOfEveryGridAreItsRows()
    {
        std::size_t grids = 0;
        for (const GridFamily& family : gridFamilies()) {
            for (const int bits : family.bits) {
                const Grid& grid = **gridOf(family.id, bits);
                for (const std::uint64_t cols : {std::uint64_t{32}, std::uint64_t{96}, std::uint64_t{33}, std::uint64_t{70000}}) {
                    if (!grid.accepts(cols))
                        continue;
                    std::size_t at = 0;
                    for (const CodedArray& array : arraysOf(grid, 7, cols)) {
                        QVERIFY2(array.name != "parameters", (grid.id() + ": its parameters have no names").c_str());
                        QCOMPARE(array.rowOffset, at);
                        QCOMPARE(checkedByteSize(array.dtype, array.shape), std::optional<Bytes>(7 * array.rowBytes));
                        at += array.rowBytes;
                    }
                    QCOMPARE(at, grid.rowBytes(cols));
                    ++grids;
                }
            }
        }
        QVERIFY(grids > 100);
    }

    void everyGridComesBackBitForBit()
    {
        // A layer whose rows are whole super-blocks, for the grids that take no others.
        std::vector<TinyTensor> tensors = tinyLlama();
        named(tensors, "down_proj") = random("model.layers.0.mlp.down_proj.weight", {kEmbedding, 256});
        m_model = writeFolder(m_dir.path().toStdString() + "/wide", tensors);
        QVERIFY(m_model);
        for (const GridFamily& family : gridFamilies()) {
            const std::string grid = (*gridOf(family.id, family.bits.front()))->id();
            ExportRequest r = researchRequest(quantizeBlock(*m_model, grid, 0));
            std::size_t coded = 0;
            for (std::size_t i = 0; i < r.plan.layers.size(); ++i) {
                LayerPlan& plan = r.plan.layers[i];
                plan.keep = plan.keep || !(*findGrid(grid))->accepts(m_model->tensors()[i].shape.back());
                coded += plan.keep ? 0 : 1;
            }
            QVERIFY2(coded > 0, grid.c_str());
            fs::remove_all(r.output);
            const Status status = written(r);
            QVERIFY2(status, status ? "" : status.error().detail.c_str());
            const auto found = reopened(r);
            QVERIFY(found);
            QCOMPARE(found->tensors().size(), m_model->tensors().size());
            for (std::size_t i = 0; i < r.plan.layers.size(); ++i) {
                const std::string& name = m_model->tensors()[i].name;
                const auto index = found->find(name);
                QVERIFY2(index, name.c_str());
                if (r.plan.layers[i].keep) {
                    QVERIFY(found->coded(*index) == nullptr);
                    continue;
                }
                QCOMPARE(found->coded(*index)->grid, grid);
                QCOMPARE(found->tensors()[*index].unknownDtype, grid);
                QCOMPARE(found->tensors()[*index].shape, m_model->tensors()[i].shape);
                QVERIFY2(valuesOf(*found, name) == quantizedValues(*layerOf(r, i).quantized), grid.c_str());
            }
        }
    }

    void factorsOfEveryTypeAreAddedBack_data()
    {
        QTest::addColumn<int>("type");
        QTest::addColumn<uint>("rank");
        QTest::newRow("f32") << static_cast<int>(FactorType::F32) << 3U;
        QTest::newRow("f16") << static_cast<int>(FactorType::F16) << 3U;
        QTest::newRow("bf16") << static_cast<int>(FactorType::BF16) << 1U;
        QTest::newRow("i8") << static_cast<int>(FactorType::I8) << 5U;
        QTest::newRow("q8_0") << static_cast<int>(FactorType::Q8_0) << 32U;
    }
    void factorsOfEveryTypeAreAddedBack()
    {
        QFETCH(int, type);
        QFETCH(uint, rank);
        ExportRequest r = researchRequest(quantizeBlock(*m_model, "int4-g32", rank));
        for (LayerPlan& layer : r.plan.layers)
            layer.factors = static_cast<FactorType>(type);
        const Status status = written(r);
        QVERIFY2(status, status ? "" : status.error().detail.c_str());
        const auto found = reopened(r);
        QVERIFY(found);
        for (std::size_t i = 0; i < r.plan.layers.size(); ++i) {
            if (r.plan.layers[i].keep)
                continue;
            const std::string& name = m_model->tensors()[i].name;
            const CodedTensor* coded = found->coded(*found->find(name));
            QVERIFY(coded != nullptr);
            QCOMPARE(coded->rank, rank);
            const QuantizedLayer layer = layerOf(r, i);
            const auto q = quantizedValues(*layer.quantized);
            const auto w = valuesOf(*found, name);
            // The factors are random, so the codes that are compared with come from a second drawing: only Q is the same.
            const auto view = found->view(*found->find(name));
            QCOMPARE(view->bytes.size(), 4 * q.size());
            double largest = 0;
            for (std::size_t e = 0; e < q.size(); ++e)
                largest = std::max(largest, std::abs(double{w[e]} - q[e]));
            QVERIFY2(largest > 1e-3, "the correction was not added");
            QVERIFY(largest < 1.0 * rank + 1.0);
        }
    }

    void aRunMeasuresWhatTheReaderDecodes()
    {
        ExportRequest r = researchRequest(quantizeBlock(*m_model, "int3-g32-asym", 4));
        const auto backend = makeCpuBackend();
        const auto run = quantize(r, *findExporter("research"), *backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
        const auto found = reopened(r);
        QVERIFY(found);
        for (const TensorResult& result : run->tensors) {
            const auto original = valuesOf(*m_model, result.name);
            const auto stored = valuesOf(*found, result.name);
            double error = 0;
            double weight = 0;
            for (std::size_t i = 0; i < original.size(); ++i) {
                error += (double{original[i]} - stored[i]) * (double{original[i]} - stored[i]);
                weight += double{original[i]} * original[i];
            }
            // Products are summed in double there and in float here.
            QVERIFY2(std::abs(*result.weightError - std::sqrt(error / weight)) <= 1e-6, result.name.c_str());
            const TensorInfo& tensor = found->tensors()[*found->find(result.name)];
            QCOMPARE(result.bitsPerWeight, 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(tensor.elements()));
        }
    }

    void whatWasQuantizedOnceCanBeQuantizedAgain()
    {
        const ExportRequest first = researchRequest(quantizeBlock(*m_model, "int8-g32", 0));
        QVERIFY(written(first));
        const auto source = reopened(first);
        QVERIFY(source);
        // To another grid, from the decoded weights; the embedding, kept, is what it was.
        ExportRequest second = request(quantizeBlock(*source, "int4-g32", 0));
        second.checkpoint = source;
        second.output = m_out / "again";
        const auto backend = makeCpuBackend();
        const auto run = quantize(second, *findExporter("research"), *backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
        const auto again = reopened(second);
        const std::string name = "model.layers.0.mlp.up_proj.weight";
        const auto values = valuesOf(*source, name);
        const Grid& grid = **findGrid("int4-g32");
        std::vector<std::byte> codes(kFeedForward * grid.rowBytes(kEmbedding));
        QVERIFY(grid.encode(values, kFeedForward, kEmbedding, codes));
        std::vector<float> expected(values.size());
        grid.decode(codes, kFeedForward, kEmbedding, expected);
        QVERIFY(valuesOf(*again, name) == expected);
        // And to GGUF, where everything is a type of its own.
        ExportRequest gguf = request(quantizeBlock(*source, "q8_0", 0));
        gguf.checkpoint = source;
        const auto made = quantize(gguf, *findExporter("gguf"), *backend, {}, {});
        QVERIFY2(made, made ? "" : made.error().detail.c_str());
    }

    void codedTensorsThatAreKeptAreCopied()
    {
        const ExportRequest first = researchRequest(quantizeBlock(*m_model, "int4-g32-asym", 3));
        QVERIFY(written(first));
        const auto source = reopened(first);
        ExportRequest second = request(keepAll(*source));
        second.checkpoint = source;
        second.output = m_out / "copy";
        QVERIFY(written(second));
        const auto copy = reopened(second);
        QVERIFY(copy);
        for (const TensorInfo& tensor : source->tensors()) {
            QVERIFY2(valuesOf(*copy, tensor.name) == valuesOf(*source, tensor.name), tensor.name.c_str());
            QCOMPARE(copy->tensors()[*copy->find(tensor.name)].unknownDtype, tensor.unknownDtype);
        }
        // Kept in a dequantized copy it is what it decodes to.
        second.output = m_out / "bf16";
        auto exporter = makeBf16Exporter(second);
        QVERIFY2(exporter, exporter ? "" : exporter.error().detail.c_str());
    }

    void factorsThatOverflowF16BecomeBf16()
    {
        ExportRequest r = researchRequest(quantizeBlock(*m_model, "int4-g32", 2));
        auto exporter = makeResearchExporter(r);
        QVERIFY(exporter);
        for (const std::size_t tensor : (*exporter)->order())
            QVERIFY((*exporter)->add(layerOf(r, tensor, {}, FactorType::BF16)));
        const Bytes promised = (*exporter)->estimate().total;
        QVERIFY((*exporter)->finish());
        Bytes sum = 0;
        for (const auto& entry : fs::directory_iterator(r.output))
            sum += fs::file_size(entry.path());
        QCOMPARE(sum, promised);
        const auto found = reopened(r);
        QVERIFY(found);
        const CodedTensor* coded = found->coded(*found->find("model.layers.0.mlp.up_proj.weight"));
        const auto left = std::ranges::find(coded->parts, "left", &CodedPart::name);
        QCOMPARE(left->dtype, DType::BF16);
    }

    void withoutDecodersTheStoredTensorsAreListed()
    {
        const ExportRequest r = researchRequest(quantizeBlock(*m_model, "int4-g32-asym", 2));
        QVERIFY(written(r));
        const auto plain = Checkpoint::open(r.output, {.strict = true});
        QVERIFY(plain);
        for (const char* part : {"scales", "zeros", "codes", "left", "right"})
            QVERIFY2((*plain)->find(std::string("model.layers.0.mlp.up_proj.weight.") + part), part);
        QVERIFY(!(*plain)->find("model.layers.0.mlp.up_proj.weight"));
    }
};

QTEST_GUILESS_MAIN(TestResearchContainer)
#include "tst_research_container.moc"
