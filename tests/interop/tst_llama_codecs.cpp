// SPDX-License-Identifier: GPL-3.0-or-later
//
// Our encoders and decoders of GGUF block types against those of ggml: the same bytes, the same bits.
#include "support/Oracles.h"

#include "core/base/Random.h"
#include "core/checkpoint/Checkpoint.h"
#include "core/compute/ComputeBackend.h"
#include "core/export/GgufWriter.h"
#include "core/project/Pipeline.h"
#include "core/tensor/Decode.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

/// @param most  largest magnitude whose scale, or minimum, still fits binary16.
std::vector<float> someRows(const std::string& kind, std::size_t count, double most)
{
    std::vector<double> normals(count);
    fillNormal<double>(7, normals);
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) {
        const double g = normals[i];
        if (kind == "gaussian")
            values[i] = static_cast<float>(0.02 * g);
        else if (kind == "heavy-tailed")
            values[i] = static_cast<float>(0.02 * g * g * g * g * g);
        else if (kind == "constant")
            values[i] = (i / 256) % 2 == 0 ? 0.37F : -0.37F;
        else if (kind == "huge")  // scales near the end of binary16
            values[i] = static_cast<float>(std::clamp(0.4 * most * g, -most, most));
        else if (kind == "subnormal")  // scales that are subnormal, or zero, in binary16
            values[i] = static_cast<float>(g * (i % 512 < 256 ? 3e-6 : 1e-9));
        else if (kind == "tiny")  // next to the subnormal floats: the reciprocal of the scale is still finite
            values[i] = static_cast<float>(g * 1e-35);
        else if (kind == "ties")  // values halfway between codes
            values[i] = static_cast<float>(std::lround(8 * g)) / 16.0F;
    }
    return values;
}

}  // namespace

class TestLlamaCodecs : public QObject {
    Q_OBJECT

private:
    std::unique_ptr<LlamaLibrary> m_llama;
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    QTemporaryDir m_dir;

    [[nodiscard]] fs::path at(const char* name) const { return fs::path(m_dir.path().toStdString()) / name; }

private slots:
    void initTestCase()
    {
        std::string problem;
        m_llama = LlamaLibrary::open(problem);
        QVERIFY2(m_llama != nullptr, problem.c_str());
    }

    void encodersGiveTheBytesOfGgml_data()
    {
        QTest::addColumn<QString>("grid");
        QTest::addColumn<QString>("kind");
        for (const char* grid : {"q8_0", "q4_0", "q4_1", "q5_0", "q5_1"}) {
            for (const char* kind : {"gaussian", "heavy-tailed", "constant", "zero", "huge", "subnormal", "tiny", "ties"})
                QTest::addRow("%s %s", grid, kind) << grid << kind;
        }
    }

    void encodersGiveTheBytesOfGgml()
    {
        QFETCH(QString, grid);
        QFETCH(QString, kind);
        constexpr std::uint64_t kRows = 64;
        constexpr std::uint64_t kCols = 4096;
        const double most = grid.endsWith("_1") ? 6.5e4 : grid == "q4_0" ? 5.2e5 : 1e6;
        const std::vector<float> values = someRows(kind.toStdString(), kRows * kCols, most);
        const auto found = findGrid(grid.toStdString());
        QVERIFY(found);
        const DType type = *(*found)->ggufType();
        const auto expected = m_llama->quantize(type, values, kRows, kCols);

        std::vector<std::byte> ours(kRows * (*found)->rowBytes(kCols));
        const Status encoded = (*found)->encode(values, kRows, kCols, ours);
        QVERIFY2(encoded, encoded ? "" : encoded.error().detail.c_str());
        QVERIFY(ours == expected);
        std::vector<std::byte> native(ours.size());
        QVERIFY(m_backend->encode(type, values, kRows, kCols, native, {}));
        QVERIFY(native == expected);

        std::vector<float> decoded(values.size());
        decode(type, ours, decoded);
        const auto reference = m_llama->toFloat(type, expected, static_cast<std::int64_t>(values.size()));
        QVERIFY(std::memcmp(decoded.data(), reference.data(), 4 * decoded.size()) == 0);
    }

    void decodersGiveTheBitsOfGgmlForAnyBytes_data()
    {
        QTest::addColumn<int>("type");
        QTest::newRow("F16") << static_cast<int>(DType::F16);
        QTest::newRow("BF16") << static_cast<int>(DType::BF16);
        for (const DTypeInfo& type : allDTypes()) {
            if (type.quantized && type.decodable)
                QTest::addRow("%s", std::string(type.name).c_str()) << static_cast<int>(type.dtype);
        }
    }

    void decodersGiveTheBitsOfGgmlForAnyBytes()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        constexpr std::size_t kBlocks = 10000;
        std::vector<std::byte> bytes(kBlocks * info(dtype).blockBits / 8);
        SplitMix64 random(11);
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>(random.next() >> 56);
        std::vector<float> ours(kBlocks * info(dtype).blockElements);
        decode(dtype, bytes, ours);
        const auto reference = m_llama->toFloat(dtype, bytes, static_cast<std::int64_t>(ours.size()));
        for (std::size_t i = 0; i < ours.size(); ++i) {
            // Which NaN comes out of arithmetic on NaNs is the compiler's choice of operand order.
            const bool same = std::memcmp(&ours[i], &reference[i], 4) == 0 || (std::isnan(ours[i]) && std::isnan(reference[i]));
            if (!same)
                QFAIL(qPrintable(QString("element %1: %2, ggml has %3").arg(i).arg(ours[i]).arg(reference[i])));
        }
    }

    void codesOfGgmlDecodeToItsOwnBits_data()
    {
        QTest::addColumn<int>("type");
        for (const DTypeInfo& type : allDTypes()) {
            // ggml's search in codebooks takes half a minute to set up (tst_llama_levels asks for each of their codes).
            const bool isCodebook = type.name.starts_with("IQ") && !type.name.starts_with("IQ4");
            if (type.quantized && type.decodable && !isCodebook)
                QTest::addRow("%s", std::string(type.name).c_str()) << static_cast<int>(type.dtype);
        }
    }

    void codesOfGgmlDecodeToItsOwnBits()
    {
        QFETCH(int, type);
        const auto dtype = static_cast<DType>(type);
        constexpr std::size_t kRows = 16;
        constexpr std::size_t kCols = 1024;
        for (const char* kind : {"gaussian", "heavy-tailed", "constant", "huge", "subnormal", "ties"}) {
            const auto values = someRows(kind, kRows * kCols, 1000);
            const auto codes = m_llama->quantize(dtype, values, kRows, kCols);
            std::vector<float> ours(values.size());
            decode(dtype, codes, ours);
            const auto reference = m_llama->toFloat(dtype, codes, static_cast<std::int64_t>(ours.size()));
            QVERIFY2(std::memcmp(ours.data(), reference.data(), 4 * ours.size()) == 0, kind);
        }
    }

    /// A GGUF of types that only llama.cpp writes: looked at, and coded anew from its values.
    void tensorsOfSuperBlocksAreReadAndCodedAnew()
    {
        constexpr std::size_t kRows = 64;
        constexpr std::size_t kCols = 512;
        const auto values = someRows("gaussian", kRows * kCols, 1000);
        constexpr std::array kTypes{DType::Q2_K, DType::Q3_K,   DType::Q4_K,   DType::Q5_K,
                                    DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS, DType::MXFP4};
        GgufKeys keys;
        keys.set("general.architecture", std::string("llama"));
        std::vector<GgufTensorSpec> specs;
        for (std::size_t i = 0; i < kTypes.size(); ++i)
            specs.push_back({"blk." + std::to_string(i) + ".ffn_down.weight", kTypes[i], {kRows, kCols}});
        auto writer = GgufWriter::create(at("super.gguf"), *layoutGguf(keys, specs), false);
        QVERIFY(writer);
        for (const DType type : kTypes)
            QVERIFY(writer->append(m_llama->quantize(type, values, kRows, kCols)));
        QVERIFY(writer->finish());

        const auto model = Checkpoint::open(at("super.gguf"));
        QVERIFY2(model, model ? "" : model.error().detail.c_str());
        const auto resolved = resolve(*recipeFromPreset("rtn-w8"), **model, ModelTopology(**model));
        QVERIFY2(resolved, resolved ? "" : resolved.error().detail.c_str());
        QVERIFY2(resolved->fallbacks.empty(), resolved->fallbacks.empty() ? "" : resolved->fallbacks[0].detail.c_str());
        ExportRequest request;
        request.checkpoint = *model;
        request.plan = resolved->plan;
        request.output = at("anew.gguf");
        const auto run = quantize(request, *findExporter("gguf"), *m_backend, {}, {});
        QVERIFY2(run, run ? "" : run.error().detail.c_str());
        const auto anew = Checkpoint::open(at("anew.gguf"));
        QVERIFY(anew);
        for (std::size_t i = 0; i < kTypes.size(); ++i) {
            const auto source = (*model)->view(i);
            const auto decoded = m_llama->toFloat(kTypes[i], source->bytes, kRows * kCols);
            const auto stats = m_backend->statistics(*source, {});
            QVERIFY(stats);
            QCOMPARE(stats->max, double{*std::ranges::max_element(decoded)});
            const auto expected = m_llama->quantize(DType::Q8_0, decoded, kRows, kCols);
            const auto coded = (*anew)->view(i);
            QCOMPARE((*anew)->tensors()[i].dtype, DType::Q8_0);
            QVERIFY(std::ranges::equal(coded->bytes, expected));
        }
    }
};

QTEST_GUILESS_MAIN(TestLlamaCodecs)
#include "tst_llama_codecs.moc"
