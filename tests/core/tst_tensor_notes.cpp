// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/TensorNotes.h"

#include "core/base/Half.h"
#include "core/compute/ComputeBackend.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using namespace sigmascope;

namespace {

constexpr float kTiny = std::numeric_limits<float>::denorm_min();

/// Gaussian weights, the channels' scales spread over @p octaves powers of two.
std::vector<float> weights(std::size_t count, double sigma, int octaves = 0)
{
    std::mt19937 bits(7);
    std::vector<float> values(count);
    for (std::size_t i = 0; i + 1 < count; i += 2) {  // Box-Muller: library distributions differ
        const double radius = std::sqrt(-2 * std::log((bits() + 1.0) / 4294967296.0));
        const double angle = 6.283185307179586 * bits() / 4294967296.0;
        const double scale = sigma * std::exp2(octaves == 0 ? 0 : static_cast<int>(i / 64) % octaves);
        values[i] = static_cast<float>(scale * radius * std::cos(angle));
        values[i + 1] = static_cast<float>(scale * radius * std::sin(angle));
    }
    return values;
}

std::vector<float> with(std::vector<float> values, std::initializer_list<std::pair<std::size_t, float>> changes)
{
    for (const auto& [at, value] : changes)
        values[at] = value;
    return values;
}

std::vector<std::byte> stored(DType type, const std::vector<float>& values, bool bigEndian)
{
    const std::size_t width = info(type).blockBits / 8;
    std::vector<std::byte> bytes(values.size() * width);
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::byte* const at = bytes.data() + i * width;
        const double wide = values[i] * 1.000000123456789;  // F64 mantissas use all their bits
        const std::uint16_t half = type == DType::F16 ? floatToF16(values[i]) : floatToBf16(values[i]);
        if (type == DType::F64)
            std::memcpy(at, &wide, width);
        else if (type == DType::F32)
            std::memcpy(at, &values[i], width);
        else
            std::memcpy(at, &half, width);
        if (bigEndian)
            std::reverse(at, at + width);
    }
    return bytes;
}

}  // namespace

class TestTensorNotes : public QObject {
    Q_OBJECT

private:
    std::vector<TensorNote> notesOf(DType type, const std::vector<float>& values, bool bigEndian = false)
    {
        const auto bytes = stored(type, values, bigEndian);
        const TensorView view{type, {values.size()}, bytes};
        const auto stats = m_backend->statistics(view, {});
        const auto notes = stats ? tensorNotes(view, *stats, {}) : Result<std::vector<TensorNote>>(passOn(stats));
        if (!notes)
            qFatal("%s", notes.error().detail.c_str());
        return *notes;
    }
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();

private slots:
    void bytesInTheWrongOrderAreNoticed_data()
    {
        QTest::addColumn<int>("type");
        QTest::addColumn<int>("count");
        for (const DType type : {DType::F16, DType::BF16, DType::F32, DType::F64}) {
            for (const int count : {1024, 4096, 200'000})
                QTest::addRow("%s %d", std::string(info(type).name).c_str(), count) << static_cast<int>(type) << count;
        }
    }

    void bytesInTheWrongOrderAreNoticed()
    {
        QFETCH(int, type);
        QFETCH(int, count);
        const auto dtype = static_cast<DType>(type);
        const auto values = weights(static_cast<std::size_t>(count), 0.02);
        QVERIFY(notesOf(dtype, values).empty());
        const auto notes = notesOf(dtype, values, true);
        QCOMPARE(notes.size(), std::size_t{1});
        QCOMPARE(notes[0].kind, TensorNoteKind::ExponentSpread);
        const std::string& text = notes[0].text;
        QVERIFY2(text.find("exponent spread: magnitudes from 2^-") == 0, text.c_str());
        // Two bytes can be turned round exactly, so the note knows; wider ones leave the question open.
        const bool knows = dtype == DType::F16 || dtype == DType::BF16;
        QVERIFY2(text.find(knows ? "the producer was big-endian" : "may be big-endian") != std::string::npos,
                 text.c_str());
    }

    void oddWeightsAreNotAbsurd_data()
    {
        QTest::addColumn<std::vector<float>>("values");
        const auto row = [](const char* name, std::vector<float> values) { QTest::newRow(name) << std::move(values); };
        row("ordinary", weights(4096, 0.02));
        row("large", weights(4096, 3000));
        row("71 all zero", std::vector<float>(4096, 0.0F));
        row("72 constant", std::vector<float>(4096, 60000.0F));
        row("73 one outlier", with(std::vector<float>(4096, 1e-5F), {{17, 60000.0F}}));
        row("73 outliers at both ends", with(weights(4096, 1e-3), {{0, 65504.0F}, {1, 6e-8F}, {2, -65504.0F}}));
        row("74 subnormals only", std::vector<float>(4096, 5 * kTiny));
        row("channels of scales 2^0 to 2^11", weights(1 << 16, 1.0, 12));
        auto dead = weights(4096, 500);
        for (std::size_t i = 0; i < dead.size(); i += 2)
            dead[i] *= 1e-7F;
        row("every other weight dead", std::move(dead));
        row("too few to tell", {1e-30F, 1e-20F, 1e-10F, 1.0F, 1e10F, 1e20F, 1e30F});
        row("none", {});
    }

    void oddWeightsAreNotAbsurd()
    {
        QFETCH(std::vector<float>, values);
        for (const DType type : {DType::F16, DType::BF16, DType::F32, DType::F64}) {
            for (const TensorNote& note : notesOf(type, values))
                QVERIFY2(note.kind == TensorNoteKind::NoElements && values.empty(), note.text.c_str());
        }
        const auto bits = stored(DType::F32, values, false);
        for (const DType type :
             {DType::I32, DType::U8, DType::F8E4M3, DType::F8E5M2}) {  // any bytes are ordinary there
            const std::size_t count = bits.size() / (info(type).blockBits / 8);
            const TensorView view{type, {count}, bits};
            const auto stats = m_backend->statistics(view, {});
            QVERIFY(stats && !maySpread(type, *stats));
        }
    }

    /// Subnormals of every size span 23 powers of two and are still no swapped weights.
    void manySubnormalsAreNotAbsurd()
    {
        std::mt19937 bits(3);
        std::vector<float> values(4096);
        for (float& value : values)
            value = static_cast<float>(bits() % (1U << 23)) * kTiny;
        QVERIFY(notesOf(DType::F32, values).empty());
        values[9] = 1e38F;
        QVERIFY(notesOf(DType::F32, values).empty());
    }

    void theSpreadIsMeasuredExactly()
    {
        // Forty powers of two, one value each; a window of 32 holds 32 of them.
        std::vector<float> values;
        for (int i = 0; i < 40; ++i)
            values.push_back(std::ldexp(i % 2 == 0 ? 1.5F : -1.0F, i - 20));
        const auto bytes = stored(DType::BF16, values, false);
        const auto codes = codeCounts({DType::BF16, {values.size()}, bytes}, {});
        QVERIFY(codes);
        const ExponentSpread spread = exponentSpread(*codes);
        QCOMPARE(spread.values, std::uint64_t{40});
        QCOMPARE(spread.lowest, -20);
        QCOMPARE(spread.highest, 19);
        QCOMPARE(spread.window, 32);
        QCOMPARE(spread.fullest, 32.0 / 40);
        QVERIFY(!spread.isAbsurd());
        // 30 values at each of three places 64 apart: a third of them in any window.
        std::vector<float> apart;
        for (int i = 0; i < 90; ++i)
            apart.push_back(std::ldexp(1.0F, 64 * (i % 3) - 64));
        const auto threeBytes = stored(DType::F32, apart, false);
        const auto three = codeCounts({DType::F32, {apart.size()}, threeBytes}, {});
        QVERIFY(three);
        QCOMPARE(exponentSpread(*three).fullest, 1.0 / 3);
        QVERIFY(exponentSpread(*three).isAbsurd());
        QCOMPARE(exponentSpread(*three).fullestSwapped, 0.0);
    }

    void shapesAreExplained()
    {
        const auto kindOf = [](const Shape& shape) {
            const auto note = shapeNote(shape);
            return note ? std::string(id(note->kind)) + ": " + note->text : std::string();
        };
        QVERIFY(kindOf({}).empty() && kindOf({4}).empty() && kindOf({64, 512, 512}).empty());
        QVERIFY(kindOf({1, 2, 1, 2, 1, 2, 1, 2}).empty());
        QCOMPARE(kindOf({3, 0, 5}),
                 std::string("no-elements: a dimension of [3, 0, 5] is 0: no elements, left out of every operation"));
        QCOMPARE(
            kindOf({1, 2, 1, 2, 1, 1, 1, 1, 3}),
            std::string(
                "flattened: 9 dimensions: looked at as a matrix of 4 x 3, all but the last of them folded into rows"));
        QVERIFY(kindOf({1, 1, 1, 1, 1, 1, 1, 1, 1, 0}).starts_with("no-elements"));
        QVERIFY(kindOf(Shape(9, 1ULL << 40)).empty());  // no such tensor opens; nothing overflows here
    }
};

QTEST_APPLESS_MAIN(TestTensorNotes)
#include "tst_tensor_notes.moc"
