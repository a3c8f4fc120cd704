// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/base/Parallel.h"
#include "core/tensor/Blas.h"
#include "tests/golden/LowRankGolden.h"

#include <QProcess>
#include <QTest>

#include <cstring>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::golden;
using blas::Transpose;

namespace {

struct Threads {
    int before = threadCount();
    ~Threads() { setThreadCount(before); }
};

template <class Matrix>
bool sameBits(const Matrix& a, const Matrix& b)
{
    return a.size() == b.size()
        && std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(typename Matrix::Scalar)) == 0;
}

std::size_t size(Eigen::Index value)
{
    return static_cast<std::size_t>(value);
}

/// op(A) op(B) of shapes that cross tile borders, A and B drawn from @p seed.
template <class Matrix>
Matrix product(Transpose ta, Transpose tb, Eigen::Index m, Eigen::Index n, Eigen::Index k, const Matrix& a,
               const Matrix& b)
{
    using Real = typename Matrix::Scalar;
    Matrix c(m, n);
    blas::gemm(ta, tb, size(m), size(n), size(k), Real(1), a.data(), size(a.cols()), b.data(), size(b.cols()), Real(0),
               c.data(), size(n));
    return c;
}

struct Probe {
    QString kernel;
    QString starts;
    QString threads;
};

/// Runs the probe with OPENBLAS_CORETYPE as given (null: unset).
Probe probe(const QString& coreType, const QStringList& arguments)
{
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    for (const char* name :
         {"OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "SIGMASCOPE_KERNELS_CORRECTED", "PROBE_STARTS"})
        environment.remove(QString::fromLatin1(name));
    if (!coreType.isNull())
        environment.insert("OPENBLAS_CORETYPE", coreType);
    QProcess process;
    process.setProcessEnvironment(environment);
    process.start(SIGMASCOPE_KERNEL_PROBE, arguments);
    if (!process.waitForFinished(60000) || process.exitCode() != 0)
        return {};
    const QStringList words = QString::fromLatin1(process.readAllStandardOutput()).simplified().split(' ');
    return words.size() == 3 ? Probe{words[0], words[1], words[2]} : Probe{};
}

bool cpuHasAvx512()
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

}  // namespace

class BlasTest : public QObject {
    Q_OBJECT

private slots:
    void productsMatchTheDefinition();
    void alphaAndBetaAreHonoured();
    void sameBitsOnOneAndManyThreads();
    void gramIsSymmetricAndRight();
    void eigenvectorsDiagonalise();
    void eigenvaluesOnlyAreTheSame();
    void nonFiniteInputNeverReachesLapack();
    void orthonormalPanelSpansTheSameSpace();
    void rankDeficientPanelGetsOrthonormalFill();
    void triangleRebuildsThePanel();
    void singularValuesMatchAKnownMatrix();
    void coreTypeIsCorrectedOnlyWhereItHelps();
    void wrongKernelsAreCorrectedByOneRestart();
    void kernelsChosenByTheUserStay();
};

void BlasTest::productsMatchTheDefinition()
{
    constexpr Eigen::Index kM = 531;
    constexpr Eigen::Index kN = 67;
    constexpr Eigen::Index kK = 129;
    const MatrixD a = gauss(1, kM, kK);
    const MatrixD b = gauss(2, kK, kN);
    MatrixD expected(kM, kN);
    for (Eigen::Index i = 0; i < kM; ++i)
        for (Eigen::Index j = 0; j < kN; ++j)
            expected(i, j) = a.row(i).dot(b.col(j));
    const MatrixD at = a.transpose();
    const MatrixD bt = b.transpose();
    for (const Transpose ta : {Transpose::No, Transpose::Yes})
        for (const Transpose tb : {Transpose::No, Transpose::Yes}) {
            const MatrixD& left = ta == Transpose::No ? a : at;
            const MatrixD& right = tb == Transpose::No ? b : bt;
            QVERIFY((product(ta, tb, kM, kN, kK, left, right) - expected).cwiseAbs().maxCoeff() < 1e-12);
            const MatrixF f = product<MatrixF>(ta, tb, kM, kN, kK, left.cast<float>(), right.cast<float>());
            // k products of size ~1, f32: sqrt(129) * 6e-8 * a few
            QVERIFY((f.cast<double>() - expected).cwiseAbs().maxCoeff() < 1e-4);
        }
}

void BlasTest::alphaAndBetaAreHonoured()
{
    const MatrixD a = gauss(3, 5, 4);
    const MatrixD b = gauss(4, 4, 6);
    MatrixD c = gauss(5, 5, 6);
    const MatrixD expected = 0.5 * (a * b) - 2.0 * c;
    blas::gemm(Transpose::No, Transpose::No, 5, 6, 4, 0.5, a.data(), 4, b.data(), 6, -2.0, c.data(), 6);
    QVERIFY((c - expected).cwiseAbs().maxCoeff() < 1e-14);
    // Beta 0 overwrites even NaN.
    c.setConstant(std::numeric_limits<double>::quiet_NaN());
    blas::gemm(Transpose::No, Transpose::No, 5, 6, 4, 1.0, a.data(), 4, b.data(), 6, 0.0, c.data(), 6);
    QVERIFY((c - a * b).cwiseAbs().maxCoeff() < 1e-14);
}

void BlasTest::sameBitsOnOneAndManyThreads()
{
    const Threads restore;
    const MatrixF a = gauss(6, 700, 333).cast<float>();
    const MatrixF b = gauss(7, 333, 1100).cast<float>();
    const MatrixD d = gauss(8, 700, 333);
    setThreadCount(1);
    const MatrixF one = product(Transpose::No, Transpose::No, 700, 1100, 333, a, b);
    const MatrixD oneDouble = product(Transpose::No, Transpose::Yes, 700, 700, 333, d, d);
    MatrixD oneGram(700, 700);
    blas::gram(700, 333, d.data(), 333, oneGram.data(), 700);
    for (const int threads : {2, 3, 7}) {
        setThreadCount(threads);
        QVERIFY(sameBits(product(Transpose::No, Transpose::No, 700, 1100, 333, a, b), one));
        QVERIFY(sameBits(product(Transpose::No, Transpose::Yes, 700, 700, 333, d, d), oneDouble));
        MatrixD gram(700, 700);
        blas::gram(700, 333, d.data(), 333, gram.data(), 700);
        QVERIFY(sameBits(gram, oneGram));
    }
}

void BlasTest::gramIsSymmetricAndRight()
{
    for (const Eigen::Index rows : {1, 63, 300, 700}) {
        const MatrixD a = gauss(9, rows, 45);
        MatrixD g(rows, rows);
        blas::gram(size(rows), 45, a.data(), 45, g.data(), size(rows));
        QVERIFY((g - a * a.transpose()).cwiseAbs().maxCoeff() < 1e-12);
        QVERIFY(sameBits(g, MatrixD(g.transpose())));
    }
}

void BlasTest::eigenvectorsDiagonalise()
{
    const MatrixD half = gauss(10, 90, 90);
    const MatrixD a = half + half.transpose();
    MatrixD v = a;
    std::vector<double> values(90);
    QVERIFY(blas::symmetricEigen(90, v.data(), 90, values, true));
    QVERIFY(std::is_sorted(values.begin(), values.end()));
    const VectorD lambda = Eigen::Map<const VectorD>(values.data(), 90);
    QVERIFY((a * v - v * lambda.asDiagonal()).cwiseAbs().maxCoeff() < 1e-12 * 90);
    QVERIFY((v.transpose() * v - MatrixD::Identity(90, 90)).cwiseAbs().maxCoeff() < 1e-13 * 90);
}

void BlasTest::eigenvaluesOnlyAreTheSame()
{
    MatrixD a(2, 2);
    a << 2, 1, 1, 2;
    std::vector<double> values(2);
    QVERIFY(blas::symmetricEigen(2, a.data(), 2, values, false));
    QVERIFY(std::abs(values[0] - 1) < 1e-15 && std::abs(values[1] - 3) < 1e-15);
    QVERIFY(blas::symmetricEigen(0, a.data(), 2, {}, false));
}

void BlasTest::nonFiniteInputNeverReachesLapack()
{
    MatrixD bad = MatrixD::Identity(4, 4);
    bad(2, 1) = std::numeric_limits<double>::quiet_NaN();
    MatrixF badFloat = MatrixF::Identity(4, 4);
    badFloat(3, 3) = std::numeric_limits<float>::infinity();
    std::vector<double> values(4);
    std::vector<float> floats(4);
    const Status failed[] = {
        blas::symmetricEigen(4, bad.data(), 4, values, true),
        blas::orthonormalize(4, 4, bad.data(), 4),
        blas::orthonormalize(4, 4, badFloat.data(), 4),
        blas::singularValues(4, 4, bad.data(), 4, values),
        blas::singularValues(4, 4, badFloat.data(), 4, floats),
    };
    for (const Status& status : failed) {
        QVERIFY(!status);
        QCOMPARE(status.error().code, ErrorCode::NonFinite);
    }
}

void BlasTest::orthonormalPanelSpansTheSameSpace()
{
    const MatrixD a = gauss(11, 400, 20);
    MatrixD q = a;
    QVERIFY(blas::orthonormalize(400, 20, q.data(), 20));
    QVERIFY((q.transpose() * q - MatrixD::Identity(20, 20)).cwiseAbs().maxCoeff() < 1e-13);
    QVERIFY((a - q * (q.transpose() * a)).cwiseAbs().maxCoeff() < 1e-12);
    MatrixF f = a.cast<float>();
    QVERIFY(blas::orthonormalize(400, 20, f.data(), 20));
    QVERIFY((f.transpose() * f - MatrixF::Identity(20, 20)).cwiseAbs().maxCoeff() < 1e-5F);
}

void BlasTest::rankDeficientPanelGetsOrthonormalFill()
{
    MatrixF panel = MatrixF::Zero(50, 6);
    panel.col(1) = gauss(12, 50, 1).cast<float>();
    panel.col(4) = 3.0F * panel.col(1);
    QVERIFY(blas::orthonormalize(50, 6, panel.data(), 6));
    QVERIFY(panel.allFinite());
    QVERIFY((panel.transpose() * panel - MatrixF::Identity(6, 6)).cwiseAbs().maxCoeff() < 1e-5F);
    MatrixD zeros = MatrixD::Zero(7, 7);
    QVERIFY(blas::orthonormalize(7, 7, zeros.data(), 7));
    QVERIFY((zeros.transpose() * zeros - MatrixD::Identity(7, 7)).cwiseAbs().maxCoeff() < 1e-14);
}

void BlasTest::triangleRebuildsThePanel()
{
    const MatrixD rows = gauss(13, 8, 60);
    MatrixD q = rows;
    std::vector<double> r(64);
    QVERIFY(blas::orthonormalizeRows(8, 60, q.data(), 60, r));
    const MatrixD triangle = Eigen::Map<const MatrixD>(r.data(), 8, 8);
    // The panel is kept transposed: A^T = Q^T R.
    QVERIFY((q.transpose() * triangle - rows.transpose()).cwiseAbs().maxCoeff() < 1e-13);
    for (Eigen::Index i = 0; i < 8; ++i)
        for (Eigen::Index j = 0; j < i; ++j)
            QCOMPARE(triangle(i, j), 0.0);
}

void BlasTest::singularValuesMatchAKnownMatrix()
{
    MatrixD a(2, 3);
    a << 3, 0, 0, 0, 0, -4;
    std::vector<double> values(2);
    QVERIFY(blas::singularValues(2, 3, a.data(), 3, values));
    QVERIFY(std::abs(values[0] - 4) < 1e-14 && std::abs(values[1] - 3) < 1e-14);
    MatrixF tall(3, 2);
    tall << 3, 0, 0, 0, 0, -4;
    std::vector<float> floats(2);
    QVERIFY(blas::singularValues(3, 2, tall.data(), 2, floats));
    QVERIFY(std::abs(floats[0] - 4) < 1e-6F && std::abs(floats[1] - 3) < 1e-6F);
}

void BlasTest::coreTypeIsCorrectedOnlyWhereItHelps()
{
    QCOMPARE(blas::betterCoreType("Haswell", true, false), std::string("SKYLAKEX"));
    QCOMPARE(blas::betterCoreType("Zen", true, true), std::string("COOPERLAKE"));
    QCOMPARE(blas::betterCoreType("SkylakeX", true, true), std::string());
    QCOMPARE(blas::betterCoreType("Cooperlake", true, true), std::string());
    QCOMPARE(blas::betterCoreType("Haswell", false, false), std::string());
}

void BlasTest::wrongKernelsAreCorrectedByOneRestart()
{
    // OpenBLAS loads with Haswell kernels, and nothing in the environment says so any more.
    const Probe corrected = probe("Haswell", {"forget"});
    if (cpuHasAvx512()) {
        QVERIFY2(corrected.kernel == "SkylakeX" || corrected.kernel == "Cooperlake", qPrintable(corrected.kernel));
        QCOMPARE(corrected.starts, QString("2"));
        QCOMPARE(corrected.threads, QString("1"));
    } else {
        QCOMPARE(corrected.kernel, QString("Haswell"));
        QCOMPARE(corrected.starts, QString("1"));
    }
    const Probe own = probe({}, {});
    if (cpuHasAvx512())
        QVERIFY2(own.kernel == "SkylakeX" || own.kernel == "Cooperlake" || own.kernel == "SapphireRapids",
                 qPrintable(own.kernel));
    QVERIFY(!own.kernel.isEmpty());
}

void BlasTest::kernelsChosenByTheUserStay()
{
    const Probe chosen = probe("Haswell", {});
    QCOMPARE(chosen.kernel, QString("Haswell"));
    QCOMPARE(chosen.starts, QString("1"));
}

QTEST_GUILESS_MAIN(BlasTest)
#include "tst_blas.moc"
