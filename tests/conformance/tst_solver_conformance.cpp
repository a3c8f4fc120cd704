// SPDX-License-Identifier: GPL-3.0-or-later
//
// The promises of Solver, held by every row of the registry on every family of grids.

#include "core/solve/Solver.h"

#include <QTest>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

using namespace sigmascope;

namespace {

/// Values of both signs without a pattern that a group could catch.
std::vector<float> wild(std::uint64_t rows, std::uint64_t cols)
{
    std::vector<float> values(rows * cols);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(0.03 * std::sin(1.7 * static_cast<double>(i)) * std::cos(0.013 * static_cast<double>(i * i)));
    return values;
}

/// A device that does what the CPU does and says its own name, or fails.
class NamedBackend final : public ComputeBackend {
public:
    DeviceInfo device() const override { return {.id = "test:0"}; }
    Result<TensorStats> statistics(const TensorView& view, const JobContext& job) override { return m_cpu->statistics(view, job); }
    Status encode(DType type, std::span<const float> weights, std::uint64_t rows, std::uint64_t cols,
                  std::span<std::byte> out, const JobContext& job) override
    {
        ++encodes;
        return broken ? Status(fail(ErrorCode::DeviceFailed, "test:0 is gone")) : m_cpu->encode(type, weights, rows, cols, out, job);
    }
    bool supports(Op, DType) const override { return true; }
    std::string deviceFor(Op, DType) const override { return "test:0"; }

    int encodes = 0;
    bool broken = false;

private:
    std::unique_ptr<ComputeBackend> m_cpu = makeCpuBackend();
};

}  // namespace

Q_DECLARE_METATYPE(const sigmascope::Grid*)
Q_DECLARE_METATYPE(const sigmascope::Solver*)

class SolverConformanceTest : public QObject {
    Q_OBJECT

private slots:
    void idsLeadToSolversAndBack();
    void neverWorseThanNearestOnItsOwnObjective_data() { everySolverAndGrid(); }
    void neverWorseThanNearestOnItsOwnObjective();
    void nonFiniteWeightsAreRefusedByPlaceAndNumber_data() { everySolverAndGrid(); }
    void nonFiniteWeightsAreRefusedByPlaceAndNumber();
    void scaleOutOfRangeNamesTheRowOfTheWholeMatrix_data() { everySolverAndGrid(); }
    void scaleOutOfRangeNamesTheRowOfTheWholeMatrix();
    void cancelledWorkSaysSo_data() { everySolverAndGrid(); }
    void cancelledWorkSaysSo();
    void resultNamesTheDeviceThatRanIt();
    void deviceErrorsPassThrough();
    void rowsThatDoNotFitAreRefused();

private:
    void everySolverAndGrid();
    std::unique_ptr<ComputeBackend> m_cpu = makeCpuBackend();
};

void SolverConformanceTest::everySolverAndGrid()
{
    QTest::addColumn<const Solver*>("solver");
    QTest::addColumn<const Grid*>("grid");
    for (const Solver& solver : solvers()) {
        for (const GridFamily& family : gridFamilies()) {
            for (const int bits : family.bits) {
                const auto grid = gridOf(family.id, bits);
                QTest::addRow("%s %s", std::string(solver.id).c_str(), (*grid)->id().c_str()) << &solver << *grid;
            }
        }
    }
}

void SolverConformanceTest::idsLeadToSolversAndBack()
{
    QVERIFY(!solvers().empty());
    for (const Solver& solver : solvers()) {
        QCOMPARE(findSolver(solver.id), &solver);
        QVERIFY(!solver.title.empty() && !solver.source.empty());
    }
    QVERIFY(findSolver("nearest") != nullptr);
    QVERIFY(findSolver("furthest") == nullptr);
}

void SolverConformanceTest::neverWorseThanNearestOnItsOwnObjective()
{
    QFETCH(const Solver*, solver);
    QFETCH(const Grid*, grid);
    const std::uint64_t rows = 40;
    const std::uint64_t cols = 128;
    const auto weights = wild(rows, cols);
    const Metric plain;
    const auto solution = solver->solve({weights, rows, cols, grid, &plain, m_cpu.get()}, {});
    QVERIFY2(solution, solution ? "" : solution.error().detail.c_str());
    QCOMPARE(solution->quantized.grid, grid);
    QCOMPARE(solution->quantized.rows, rows);
    QCOMPARE(solution->quantized.cols, cols);
    QCOMPARE(solution->device, std::string("cpu"));

    std::vector<std::byte> nearest(rows * grid->rowBytes(cols));
    QVERIFY(grid->encode(weights, rows, cols, nearest));
    const auto energy = [&](std::span<const std::byte> codes) {
        std::vector<float> values(weights.size());
        grid->decode(codes, rows, cols, values);
        double sum = 0;
        for (std::size_t i = 0; i < values.size(); ++i)
            sum += std::pow(static_cast<double>(weights[i]) - values[i], 2);
        return sum;
    };
    QVERIFY(energy(solution->quantized.codes) <= energy(nearest) * (1 + 1e-12));
    if (solver->id == "nearest")
        QCOMPARE(solution->quantized.codes, nearest);
}

void SolverConformanceTest::nonFiniteWeightsAreRefusedByPlaceAndNumber()
{
    QFETCH(const Solver*, solver);
    QFETCH(const Grid*, grid);
    auto weights = wild(40, 128);
    weights[39 * 128 + 127] = std::numeric_limits<float>::quiet_NaN();
    const Metric plain;
    const auto solution = solver->solve({weights, 40, 128, grid, &plain, m_cpu.get()}, {});
    QVERIFY(!solution);
    QCOMPARE(solution.error().code, ErrorCode::NonFinite);
    QVERIFY2(solution.error().detail.find("non-finite values: 1, first at row 39, column 127") != std::string::npos,
             solution.error().detail.c_str());
}

void SolverConformanceTest::scaleOutOfRangeNamesTheRowOfTheWholeMatrix()
{
    QFETCH(const Solver*, solver);
    QFETCH(const Grid*, grid);
    // Rows past the first slice of work: the number must not start over there.
    const std::uint64_t cols = 4096;
    const std::uint64_t rows = 300;
    std::vector<float> weights(rows * cols, 0.01F);
    weights[290 * cols + 130] = 3e38F;
    const Metric plain;
    const auto solution = solver->solve({weights, rows, cols, grid, &plain, m_cpu.get()}, {});
    QVERIFY(!solution);
    QCOMPARE(solution.error().code, ErrorCode::ScaleOutOfRange);
    QVERIFY2(solution.error().detail.find("row 290, column") != std::string::npos, solution.error().detail.c_str());
}

void SolverConformanceTest::cancelledWorkSaysSo()
{
    QFETCH(const Solver*, solver);
    QFETCH(const Grid*, grid);
    std::stop_source stop;
    stop.request_stop();
    const auto weights = wild(40, 128);
    const Metric plain;
    const auto solution = solver->solve({weights, 40, 128, grid, &plain, m_cpu.get()}, {.stop = stop.get_token()});
    QVERIFY(!solution);
    QCOMPARE(solution.error().code, ErrorCode::Cancelled);
}

void SolverConformanceTest::resultNamesTheDeviceThatRanIt()
{
    NamedBackend backend;
    const auto weights = wild(4, 64);
    const Metric plain;
    const auto onDevice = findSolver("nearest")->solve({weights, 4, 64, *findGrid("q4_0"), &plain, &backend}, {});
    QVERIFY(onDevice);
    QCOMPARE(onDevice->device, std::string("test:0"));
    QCOMPARE(backend.encodes, 1);
    const auto onCpu = findSolver("nearest")->solve({weights, 4, 64, *findGrid("int4-g32"), &plain, &backend}, {});
    QVERIFY(onCpu);
    QCOMPARE(onCpu->device, std::string("cpu"));
    QCOMPARE(backend.encodes, 1);
}

void SolverConformanceTest::deviceErrorsPassThrough()
{
    NamedBackend backend;
    backend.broken = true;
    const auto weights = wild(4, 64);
    const Metric plain;
    const auto solution = findSolver("nearest")->solve({weights, 4, 64, *findGrid("q8_0"), &plain, &backend}, {});
    QVERIFY(!solution);
    QCOMPARE(solution.error().code, ErrorCode::DeviceFailed);
}

void SolverConformanceTest::rowsThatDoNotFitAreRefused()
{
    const auto weights = wild(4, 33);
    const Metric plain;
    const auto solution = findSolver("nearest")->solve({weights, 4, 33, *findGrid("q4_0"), &plain, m_cpu.get()}, {});
    QVERIFY(!solution);
    QCOMPARE(solution.error().code, ErrorCode::NotRepresentable);
    QVERIFY(solution.error().detail.find("33") != std::string::npos);
}

QTEST_GUILESS_MAIN(SolverConformanceTest)
#include "tst_solver_conformance.moc"
