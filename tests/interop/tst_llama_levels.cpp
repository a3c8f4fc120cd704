// SPDX-License-Identifier: GPL-3.0-or-later
//
// Block types of few or uneven levels, and of codebooks, against ggml: bytes with and without an importance matrix,
// every code of every codebook, and models of each type that llama.cpp runs.
#include "support/Oracles.h"
#include "support/SampleModel.h"

#include "core/base/Random.h"
#include "core/calibration/Imatrix.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/compute/ops/LevelEncode.h"
#include "core/export/GgufWriter.h"
#include "core/model/TokenizerSpm.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Decode.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <string>

using namespace sigmascope;
using namespace sigmascope::test;
namespace fs = std::filesystem;

namespace {

constexpr std::array kCoded{DType::MXFP4, DType::NVFP4, DType::TQ1_0,  DType::TQ2_0,
                            DType::Q1_0,  DType::Q2_0,  DType::IQ4_NL, DType::IQ4_XS};

std::vector<float> someRows(const std::string& kind, std::size_t count, bool hasHalfScale)
{
    std::vector<double> normals(count);
    fillNormal<double>(41, normals);
    SplitMix64 random(42);
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        const double g = normals[i];
        double x = 0;  // "zero"
        if (kind == "gaussian")
            x = 0.02 * g;
        else if (kind == "heavy-tailed")
            x = 0.02 * std::pow(g, 5);
        else if (kind == "constant")
            x = (i / 256) % 2 == 0 ? 0.37 : -0.37;
        else if (kind == "huge")  // scales near the end of binary16, or of float
            x = hasHalfScale ? std::clamp(2.5e4 * g, -6.5e4, 6.5e4) : 5e37 * g;
        else if (kind == "subnormal")  // scales that are subnormal, or zero, in binary16
            x = g * (i % 512 < 256 ? 3e-6 : 1e-9);
        else if (kind == "tiny")
            x = g * 1e-35;
        else if (kind == "ties")
            x = static_cast<double>(std::lround(8 * g)) / 16.0;
        else if (kind == "outliers")
            x = i % 777 == 0 ? 60000 : g * 1e-3;
        else if (kind == "just below powers of two")  // where a logarithm in float is already the next integer
            x = std::ldexp(1 - static_cast<double>(random.next() % 60) * 0x1p-24, static_cast<int>((i / 32) % 30) - 15);
        values[i] = static_cast<float>(x);
    }
    return values;
}

std::vector<float> someImportances(const std::string& kind, std::size_t cols)
{
    if (kind == "none")
        return {};
    std::vector<float> values(cols);
    fillNormal<float>(43, values);
    for (std::size_t i = 0; i < cols; ++i) {
        values[i] = std::exp(2 * values[i]);
        if (kind == "with zeros" && i % 3 != 0)
            values[i] = 0;
        if (kind == "huge")
            values[i] *= 1e20F;
        if (kind == "equal")
            values[i] = 1;
    }
    return values;
}

/// A codebook's codes in turn, at every place of a block; the rest of the bits differ from block to block.
struct Codebook {
    DType type;
    std::size_t codes;
    std::size_t places;
    void (*put)(std::span<std::uint8_t> block, std::size_t place, unsigned code);
};

void setBits(std::uint8_t& byte, unsigned at, unsigned mask, unsigned value)
{
    byte = static_cast<std::uint8_t>((byte & ~(mask << at)) | (value & mask) << at);
}

constexpr std::array kCodebooks{
    Codebook{DType::IQ2_XXS, 256, 32,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) {
                 b[2 + 8 * (p / 4) + p % 4] = static_cast<std::uint8_t>(c);
             }},
    Codebook{DType::IQ2_XS, 512, 32,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) {
                 b[2 + 2 * p] = static_cast<std::uint8_t>(c & 255U);
                 setBits(b[3 + 2 * p], 0, 1, c >> 8);
             }},
    Codebook{DType::IQ2_S, 1024, 32,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) {
                 b[2 + p] = static_cast<std::uint8_t>(c & 255U);
                 setBits(b[66 + p / 4], static_cast<unsigned>(2 * (p % 4)), 3, c >> 8);
             }},
    Codebook{DType::IQ3_XXS, 256, 64,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) { b[2 + p] = static_cast<std::uint8_t>(c); }},
    Codebook{DType::IQ3_S, 512, 64,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) {
                 b[2 + p] = static_cast<std::uint8_t>(c & 255U);
                 setBits(b[66 + p / 8], static_cast<unsigned>(p % 8), 1, c >> 8);
             }},
    Codebook{DType::IQ1_S, 2048, 32,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) {
                 b[2 + p] = static_cast<std::uint8_t>(c & 255U);
                 unsigned word = b[34 + 2 * (p / 4)] | static_cast<unsigned>(b[35 + 2 * (p / 4)]) << 8;
                 const auto at = static_cast<unsigned>(3 * (p % 4));
                 word = (word & ~(7U << at)) | (c >> 8) << at;
                 b[34 + 2 * (p / 4)] = static_cast<std::uint8_t>(word & 255U);
                 b[35 + 2 * (p / 4)] = static_cast<std::uint8_t>(word >> 8);
             }},
    Codebook{DType::IQ1_M, 2048, 32,
             [](std::span<std::uint8_t> b, std::size_t p, unsigned c) {
                 b[p] = static_cast<std::uint8_t>(c & 255U);
                 setBits(b[32 + p / 2], static_cast<unsigned>(4 * (p % 2)), 7, c >> 8);
             }},
};

/// As many blocks as there are codes; every code comes to every place.
std::vector<std::byte> everyCode(const Codebook& book)
{
    const std::size_t size = info(book.type).blockBits / 8;
    std::vector<std::byte> bytes(book.codes * size);
    SplitMix64 random(44);
    for (std::size_t n = 0; n < book.codes; ++n) {
        const std::span block(reinterpret_cast<std::uint8_t*>(bytes.data()) + n * size, size);
        for (std::uint8_t& byte : block)
            byte = static_cast<std::uint8_t>(random.next() >> 56);
        for (std::size_t place = 0; place < book.places; ++place)
            book.put(block, place, static_cast<unsigned>((n + 97 * place) % book.codes));
        if (book.type != DType::IQ1_M)  // whose scale is spread over four words
            block[1] = 0x2C;  // finite
    }
    return bytes;
}

}  // namespace

class TestLlamaLevels : public QObject {
    Q_OBJECT

private:
    std::unique_ptr<LlamaLibrary> m_llama;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    std::shared_ptr<const Checkpoint> m_model;
    std::optional<Imatrix> m_imatrix;
    std::vector<std::int32_t> m_tokens;
    QTemporaryDir m_dir;

    [[nodiscard]] fs::path at(const std::string& name) const { return fs::path(m_dir.path().toStdString()) / name; }

    /// The sample with every matrix changed that preset rtn-w4 codes.
    void writeModel(const fs::path& output, const std::function<void(LayerPlan&)>& change)
    {
        auto resolved = resolve(*recipeFromPreset("rtn-w4"), *m_model, ModelTopology(*m_model));
        QVERIFY2(resolved, resolved ? "" : resolved.error().detail.c_str());
        for (LayerPlan& layer : resolved->plan.layers) {
            if (!layer.keep)
                change(layer);
        }
        ExportRequest request;
        request.checkpoint = m_model;
        request.plan = resolved->plan;
        request.output = output;
        request.calibration = &*m_imatrix;
        const auto run = quantize(request, *findExporter("gguf"), *m_backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
    }

private slots:
    void initTestCase()
    {
        std::string problem;
        m_llama = LlamaLibrary::open(problem);
        QVERIFY2(m_llama != nullptr, problem.c_str());
        auto sample = openSample(problem);
        QVERIFY2(sample, problem.c_str());
        m_model = std::move(sample->model);
        m_imatrix = std::move(sample->imatrix);
        const auto tokens
            = encodeWithSentencePiece(kSample / "tokenizer.model", "It is a truth universally acknowledged");
        QVERIFY(tokens);
        m_tokens = {1};
        m_tokens.insert(m_tokens.end(), tokens->begin(), tokens->end());
    }

    void encodersGiveTheBytesOfGgml_data()
    {
        QTest::addColumn<int>("type");
        QTest::addColumn<QString>("importances");
        for (const DType type : kCoded) {
            for (const char* importances : {"none", "uneven", "with zeros", "huge", "equal"})
                QTest::addRow("%s, importances %s", std::string(info(type).name).c_str(), importances)
                    << static_cast<int>(type) << importances;
        }
    }

    void encodersGiveTheBytesOfGgml()
    {
        QFETCH(int, type);
        QFETCH(QString, importances);
        const auto dtype = static_cast<DType>(type);
        constexpr std::uint64_t kRows = 7;
        constexpr std::uint64_t kCols = 1792;
        const auto given = someImportances(importances.toStdString(), kCols);
        for (const char* kind : {"gaussian", "heavy-tailed", "constant", "zero", "huge", "subnormal", "tiny", "ties",
                                 "outliers", "just below powers of two"}) {
            if (importances == "huge" && std::string(kind) == "huge")
                continue;  // sums overflow: NaN in ggml
            const auto values = someRows(kind, kRows * kCols, dtype != DType::MXFP4);
            const auto expected = m_llama->quantize(dtype, values, kRows, kCols, given);
            std::vector<std::byte> ours(expected.size());
            const auto note = encodeLevels(dtype, values, kRows, kCols, given, ours, {});
            QVERIFY2(note, note ? "" : note.error().detail.c_str());
            QVERIFY2(ours == expected, kind);
            QCOMPARE(*note, std::string());
            if (!given.empty())
                continue;
            std::vector<std::byte> native(expected.size());
            QVERIFY(m_backend->encode(dtype, values, kRows, kCols, native, {}));
            QVERIFY2(native == expected, kind);
        }
    }

    /// Every exponent there is, also just below each power of two. (Below 2^-125 ggml's byte wraps round.)
    void exponentsOfMxfp4AreGgmls()
    {
        std::vector<float> values;
        for (int exponent = -124; exponent <= 128; ++exponent) {
            for (int missing = exponent == 128 ? 1 : 0; missing < 64; ++missing) {
                values.resize(values.size() + 32, 0.0F);
                values.end()[-5] = static_cast<float>(std::ldexp(1.0 - missing * 0x1p-24, exponent));
                values.end()[-9] = -0.3F * values.end()[-5];
            }
        }
        const std::int64_t rows = static_cast<std::int64_t>(values.size() / 32);
        std::vector<std::byte> ours(static_cast<std::size_t>(rows) * 17);
        QVERIFY(encodeLevels(DType::MXFP4, values, static_cast<std::uint64_t>(rows), 32, {}, ours, {}));
        QVERIFY(ours == m_llama->quantize(DType::MXFP4, values, rows, 32));
    }

    void everyCodeOfACodebookIsGgmls_data()
    {
        QTest::addColumn<int>("row");
        for (std::size_t i = 0; i < kCodebooks.size(); ++i)
            QTest::addRow("%s", std::string(info(kCodebooks[i].type).name).c_str()) << static_cast<int>(i);
    }

    void everyCodeOfACodebookIsGgmls()
    {
        QFETCH(int, row);
        const Codebook& book = kCodebooks[static_cast<std::size_t>(row)];
        const auto bytes = everyCode(book);
        std::vector<float> ours(book.codes * 256);
        decode(book.type, bytes, ours);
        const auto reference = m_llama->toFloat(book.type, bytes, static_cast<std::int64_t>(ours.size()));
        for (std::size_t i = 0; i < ours.size(); ++i) {
            const bool same
                = std::memcmp(&ours[i], &reference[i], 4) == 0 || (std::isnan(ours[i]) && std::isnan(reference[i]));
            if (!same)
                QFAIL(qPrintable(QString("element %1: %2, ggml has %3").arg(i).arg(ours[i]).arg(reference[i])));
        }
    }

    /// A file of codebooks is looked at: the values are ggml's.
    void tensorsOfCodebooksAreRead()
    {
        GgufKeys keys;
        keys.set("general.architecture", std::string("llama"));
        std::vector<GgufTensorSpec> specs;
        for (const Codebook& book : kCodebooks)
            specs.push_back({"blk." + std::to_string(specs.size()) + ".ffn_down.weight", book.type, {book.codes, 256}});
        auto writer = GgufWriter::create(at("codebooks.gguf"), *layoutGguf(keys, specs), false);
        QVERIFY(writer);
        for (const Codebook& book : kCodebooks)
            QVERIFY(writer->append(everyCode(book)));
        QVERIFY(writer->finish());
        const auto model = Checkpoint::open(at("codebooks.gguf"));
        QVERIFY2(model, model ? "" : model.error().detail.c_str());
        for (std::size_t i = 0; i < kCodebooks.size(); ++i) {
            const auto view = (*model)->view(i);
            QVERIFY(view);
            const auto decoded
                = m_llama->toFloat(kCodebooks[i].type, view->bytes, static_cast<std::int64_t>(view->elements()));
            const auto stats = m_backend->statistics(*view, {});
            QVERIFY2(stats, stats ? "" : stats.error().detail.c_str());
            float low = 0;
            float high = 0;
            std::uint64_t finite = 0;
            for (const float value : decoded) {
                if (!std::isfinite(value))
                    continue;
                low = std::min(low, value);
                high = std::max(high, value);
                ++finite;
            }
            QCOMPARE(stats->finite, finite);
            QCOMPARE(stats->min, double{low});
            QCOMPARE(stats->max, double{high});
        }
    }

    void calibratedModelsHoldTheBytesOfGgml_data()
    {
        QTest::addColumn<QString>("grid");
        QTest::newRow("iq4_nl") << "iq4_nl";
        QTest::newRow("iq4_xs") << "iq4_xs";
    }

    /// Solver `imatrix` hands the calibration's own numbers to the encoder.
    void calibratedModelsHoldTheBytesOfGgml()
    {
        QFETCH(QString, grid);
        const fs::path file = at(grid.toStdString() + "-calibrated.gguf");
        const DType type = *(*findGrid(grid.toStdString()))->ggufType();
        writeModel(file, [&](LayerPlan& layer) {
            layer.grid = grid.toStdString();
            layer.solver = "imatrix";
            layer.metric = MetricKind::DiagonalRms;
        });
        const auto written = Checkpoint::open(file);
        QVERIFY(written);
        QCOMPARE((*written)->gguf().string("quantize.imatrix.file").value_or(""), std::string("imatrix.gguf"));
        QCOMPARE((*written)->gguf().u32("general.file_type").value_or(0), grid == "iq4_nl" ? 25U : 30U);
        constexpr std::array kNames{std::pair{"model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"},
                                    std::pair{"model.layers.3.self_attn.v_proj.weight", "blk.3.attn_v.weight"}};
        for (const auto& [source, target] : kNames) {
            const auto from = m_model->view(*m_model->find(source));
            const auto to = (*written)->view(*(*written)->find(target));
            QVERIFY(from && to && to->dtype == type);
            std::vector<float> values(from->elements());
            decode(from->dtype, from->bytes, values);
            const ImatrixEntry* entry = m_imatrix->find(target, from->cols());
            QVERIFY(entry != nullptr);
            const auto rows = static_cast<std::int64_t>(from->rows());
            const auto cols = static_cast<std::int64_t>(from->cols());
            QVERIFY(std::ranges::equal(to->bytes, m_llama->quantize(type, values, rows, cols, entry->meanSquares)));
            QVERIFY(!std::ranges::equal(to->bytes, m_llama->quantize(type, values, rows, cols)));
        }
    }

    void modelsOfEachTypeLoadAndGenerate_data()
    {
        QTest::addColumn<QString>("grid");
        for (const char* grid : {"iq4_nl", "iq4_xs", "mxfp4", "nvfp4", "tq1_0", "tq2_0", "q1_0", "q2_0"})
            QTest::newRow(grid) << grid;
    }

    void modelsOfEachTypeLoadAndGenerate()
    {
        QFETCH(QString, grid);
        const fs::path file = at(grid.toStdString() + ".gguf");
        const DType type = *(*findGrid(grid.toStdString()))->ggufType();
        writeModel(file, [&](LayerPlan& layer) { layer.grid = grid.toStdString(); });
        const auto written = Checkpoint::open(file);
        QVERIFY(written);
        QVERIFY(std::ranges::count_if((*written)->tensors(), [&](const TensorInfo& t) { return t.dtype == type; })
                >= 28);
        std::vector<std::int32_t> tokens = m_tokens;
        for (int step = 0; step < 2; ++step) {
            std::string problem;
            const auto run = m_llama->evaluate(file, {}, tokens, problem);
            QVERIFY2(run, problem.c_str());
            QVERIFY(std::ranges::all_of(run->logits, [](float logit) { return std::isfinite(logit); }));
            const auto last = std::span(run->logits).last(run->vocabulary);
            tokens.push_back(static_cast<std::int32_t>(std::ranges::max_element(last) - last.begin()));
        }
        qInfo("%s: %.2f bits, next tokens %d %d", qPrintable(grid),
              static_cast<double>(info(type).blockBits) / info(type).blockElements, tokens.end()[-2], tokens.end()[-1]);
    }
};

QTEST_GUILESS_MAIN(TestLlamaLevels)
#include "tst_llama_levels.moc"
