// SPDX-License-Identifier: GPL-3.0-or-later
// Products of a residual with thin panels, and Gram matrices of panels, against double arithmetic.
//
// Tolerance of an element: 32 eps |p| |e|, |p| and |e| being the lengths of the vector and of the row or column met.
// 32 products are summed in float (31 additions and a product each: at most 32 eps/2 of the partial sum of magnitudes,
// itself at most the product of the lengths); the partial sums are joined with their rounding errors kept, so the
// length does not enter; the last rounding to float adds half an eps.

#include "SoftwareDevice.h"

#include "core/base/Random.h"
#include "core/compute/ops/Residual.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace sigmascope;

namespace {

std::vector<float> normal(std::uint64_t seed, std::size_t size, double scale)
{
    std::vector<float> values(size);
    fillNormal<float>(seed, values, scale);
    return values;
}

struct Matrix {
    std::uint64_t rows = 0, cols = 0;
    std::vector<float> weights{};
    std::vector<std::byte> codes{};
    std::vector<float> residual{};
    ResidualSource source{};

    Matrix(std::uint64_t r, std::uint64_t c, const std::optional<CodeFormat>& format)
        : rows(r)
        , cols(c)
        , weights(normal(r * 1000 + c, r * c, 0.02))
        , residual(r * c)
    {
        source = {weights, rows, cols, format, {}};
        if (format) {
            codes.resize(rows * format->rowBytes(cols));
            if (!makeCpuBackend()->encodeMeasured(*format, weights, rows, cols, {}, codes, {}))
                qFatal("not encoded");
            source.codes = codes;
        }
        residualRows(source, 0, rows, residual);
    }
    Matrix(const Matrix&) = delete;
    Matrix& operator=(const Matrix&) = delete;
};

constexpr double kTolerance = 32 * 0x1p-23;

/// Largest error of an element in units of its tolerance.
double worst(std::span<const float> found, std::span<const float> panel, std::uint64_t vectors, const Matrix& matrix,
             bool overRows)
{
    const std::uint64_t depth = overRows ? matrix.rows : matrix.cols;
    const std::uint64_t width = overRows ? matrix.cols : matrix.rows;
    double most = 0;
    for (std::uint64_t v = 0; v < vectors; ++v)
        for (std::uint64_t at = 0; at < width; ++at) {
            double sum = 0;
            double p2 = 0;
            double e2 = 0;
            for (std::uint64_t d = 0; d < depth; ++d) {
                const double e = matrix.residual[overRows ? d * matrix.cols + at : at * matrix.cols + d];
                const double p = panel[v * depth + d];
                sum += p * e;
                p2 += p * p;
                e2 += e * e;
            }
            const double error = std::fabs(static_cast<double>(found[v * width + at]) - sum);
            most = std::max(most, error / (kTolerance * std::sqrt(p2 * e2) + 1e-300));
        }
    return most;
}

}  // namespace

class VulkanProducts : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        m_gpu = validatedBackend();
        QVERIFY2(m_gpu, "a software Vulkan device (lavapipe) is needed");
    }
    void cleanupTestCase() { QCOMPARE(validationMessages(*m_gpu), QString()); }

    void bothProductsAreRight_data()
    {
        QTest::addColumn<quint64>("rows");
        QTest::addColumn<quint64>("cols");
        QTest::addColumn<quint64>("vectors");
        QTest::addColumn<int>("format");
        for (int format = 0; format < 5; ++format) {
            QTest::addRow("one block, format %d", format) << quint64{1} << quint64{32} << quint64{1} << format;
            QTest::addRow("tile + 1, format %d", format) << quint64{65} << quint64{96} << quint64{33} << format;
        }
        QTest::newRow("one element") << quint64{1} << quint64{1} << quint64{1} << 0;
        QTest::newRow("subgroup - 1") << quint64{7} << quint64{7} << quint64{7} << 3;
        QTest::newRow("primes") << quint64{131} << quint64{257} << quint64{5} << 4;
        QTest::newRow("long rows") << quint64{3} << quint64{4099} << quint64{2} << 3;
        QTest::newRow("long columns") << quint64{4099} << quint64{3} << quint64{2} << 3;
    }
    void bothProductsAreRight()
    {
        QFETCH(quint64, rows);
        QFETCH(quint64, cols);
        QFETCH(quint64, vectors);
        QFETCH(int, format);
        const Matrix matrix(rows, cols, formatOf(format));
        const auto device = m_gpu->products(matrix.source, {});
        QVERIFY(device);
        const auto cpu = makeCpuBackend()->products(matrix.source, {});
        QVERIFY(cpu);
        for (MatrixProducts* products : {device->get(), cpu->get()}) {
            const auto rowPanel = normal(5, vectors * rows, 1.0);
            std::vector<float> out(vectors * cols, 99.0F);
            Status done = products->timesRows(rowPanel, vectors, out, {});
            QVERIFY2(done, done ? "" : done.error().detail.c_str());
            const double overRows = worst(out, rowPanel, vectors, matrix, true);
            // BLAS sums in its own order: the CPU is held to the length of the sum.
            const double allowed = products == cpu->get() ? 1 + static_cast<double>(rows + cols) / 32 : 1;
            QVERIFY2(overRows <= allowed, qPrintable(QString::number(overRows)));
            const auto colPanel = normal(6, vectors * cols, 1.0);
            out.assign(vectors * rows, 99.0F);
            done = products->timesCols(colPanel, vectors, out, {});
            QVERIFY2(done, done ? "" : done.error().detail.c_str());
            const double overCols = worst(out, colPanel, vectors, matrix, false);
            QVERIFY2(overCols <= allowed, qPrintable(QString::number(overCols)));
        }
    }

    /// Neither a binding that holds only some rows, nor memory for one slice at a time, changes a bit.
    void slicingChangesNoBit_data()
    {
        QTest::addColumn<quint64>("bindingBytes");
        QTest::addColumn<quint64>("memoryBytes");
        QTest::newRow("parts of 64 rows") << quint64{64} * 260 * 5 << quint64{0};
        QTest::newRow("two vectors at a time") << quint64{50000} << quint64{0};
        QTest::newRow("rows sent each time") << quint64{0} << (quint64{1} << 20);
    }
    void slicingChangesNoBit()
    {
        QFETCH(quint64, bindingBytes);
        QFETCH(quint64, memoryBytes);
        const Matrix matrix(500, 257, CodeFormat{.groups = {4, 64, false}});
        const auto small = validatedBackend({.bindingBytes = bindingBytes, .memoryBytes = memoryBytes});
        QVERIFY(small);
        const auto panel = normal(7, 6 * 500, 1.0);
        const auto wide = normal(8, 6 * 257, 1.0);
        std::vector<std::vector<float>> results;
        for (ComputeBackend* backend : {m_gpu.get(), small.get()}) {
            const auto products = backend->products(matrix.source, {});
            QVERIFY(products);
            std::vector<float> out(6 * 257);
            Status done = (*products)->timesRows(panel, 6, out, {});
            QVERIFY2(done, done ? "" : done.error().detail.c_str());
            results.push_back(out);
            out.resize(6 * 500);
            done = (*products)->timesCols(wide, 6, out, {});
            QVERIFY2(done, done ? "" : done.error().detail.c_str());
            results.push_back(out);
        }
        QVERIFY(results[0] == results[2]);
        QVERIFY(results[1] == results[3]);
        QCOMPARE(validationMessages(*small), QString());
    }

    /// Relative to the lengths of the rows, 1e-7 at most: what products of floats can tell, however long they are.
    void gramsAreNearlyDouble_data()
    {
        QTest::addColumn<quint64>("a");
        QTest::addColumn<quint64>("b");
        QTest::addColumn<quint64>("length");
        QTest::newRow("one") << quint64{1} << quint64{1} << quint64{1};
        QTest::newRow("tiles + 1") << quint64{33} << quint64{65} << quint64{129};
        QTest::newRow("long") << quint64{4} << quint64{9} << quint64{9973};
    }
    void gramsAreNearlyDouble()
    {
        QFETCH(quint64, a);
        QFETCH(quint64, b);
        QFETCH(quint64, length);
        const auto left = normal(1, a * length, 1e-3);
        const auto right = normal(2, b * length, 1e-3);
        const PanelPair panels{left, a, right, b, length};
        std::vector<double> expected(a * b);
        panelGram(panels, expected);
        const Matrix any(1, 1, std::nullopt);
        const auto products = m_gpu->products(any.source, {});
        QVERIFY(products);
        std::vector<double> found(a * b, -1);
        const Status done = (*products)->gram(panels, found, {});
        QVERIFY2(done, done ? "" : done.error().detail.c_str());
        const double scale = 1e-6 * static_cast<double>(length);
        for (std::size_t i = 0; i < found.size(); ++i)
            QVERIFY2(std::fabs(found[i] - expected[i]) <= 4e-6 / std::sqrt(static_cast<double>(length)) * scale + 1e-30,
                     qPrintable(QStringLiteral("%1: %2, %3").arg(i).arg(found[i]).arg(expected[i])));
    }

    /// A product is a step of something larger, whose progress must not jump.
    void saysWhereItRanButNotHowFarItIs()
    {
        const Matrix matrix(65, 96, std::nullopt);
        const auto products = m_gpu->products(matrix.source, {});
        QVERIFY(products);
        int reports = 0;
        std::vector<std::string> ran;
        JobContext job;
        job.progress = [&](double, std::string_view) { ++reports; };
        job.ran = [&](std::string_view op, std::string_view device, std::string_view why) {
            ran.push_back(std::string(op) + '@' + std::string(device) + std::string(why));
        };
        std::vector<float> panel(65, 1.0F);
        std::vector<float> out(96);
        QVERIFY((*products)->timesRows(panel, 1, out, job));
        QCOMPARE(ran, std::vector<std::string>{"sketch@" + m_gpu->device().id});
        QCOMPARE(reports, 0);
    }

    void stopsWhenAsked()
    {
        const Matrix matrix(512, 256, std::nullopt);
        const auto products = m_gpu->products(matrix.source, {});
        QVERIFY(products);
        std::stop_source source;
        source.request_stop();
        std::vector<float> panel(512, 1.0F);
        std::vector<float> out(256);
        const Status done = (*products)->timesRows(panel, 1, out, {.stop = source.get_token()});
        QVERIFY(!done);
        QCOMPARE(done.error().code, ErrorCode::Cancelled);
    }

private:
    static std::optional<CodeFormat> formatOf(int index)
    {
        switch (index) {
        case 1:
            return CodeFormat{.block = DType::Q4_0};
        case 2:
            return CodeFormat{.block = DType::Q8_0};
        case 3:
            return CodeFormat{.groups = {4, 128, false}};
        case 4:
            return CodeFormat{.groups = {3, 32, true}};
        default:
            return std::nullopt;
        }
    }

    std::unique_ptr<ComputeBackend> m_gpu;
};

QTEST_GUILESS_MAIN(VulkanProducts)
#include "tst_vulkan_products.moc"
