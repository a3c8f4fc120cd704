// SPDX-License-Identifier: GPL-3.0-or-later

#include "core/lowrank/ErrorSpectrum.h"

#include <QTest>

#include <cmath>
#include <limits>

using sigmascope::ErrorSpectrum;

class ErrorSpectrumTest : public QObject {
    Q_OBJECT

private slots:
    void errorsFollowFromTheTailByHand();
    void energyOutsideTheComputedValuesStays();
    void errorNeverRises();
    void pastTheLastRankTheBoundIsReturned();
    void rankForErrorIsTheSmallestThatReachesIt();
    void roundingPastTheTotalLeavesZeroNotNaN();
    void smallTailSurvivesBesideLargeValues();
    void emptySpectrumAnswers();
};

void ErrorSpectrumTest::errorsFollowFromTheTailByHand()
{
    const double sigma[] = {4, 3};
    const ErrorSpectrum spectrum(sigma, 25, 100);
    QCOMPARE(spectrum.maxRank(), std::size_t(2));
    QCOMPARE(spectrum.errorAtRank(0), 0.5);   // sqrt(25 / 100)
    QCOMPARE(spectrum.errorAtRank(1), 0.3);   // sqrt( 9 / 100)
    QCOMPARE(spectrum.errorAtRank(2), 0.0);
    QCOMPARE(spectrum.capturedAtRank(0), 0.0);
    QVERIFY(std::abs(spectrum.capturedAtRank(1) - 16.0 / 25.0) < 1e-15);
    QCOMPARE(spectrum.capturedAtRank(2), 1.0);
}

void ErrorSpectrumTest::energyOutsideTheComputedValuesStays()
{
    const double sigma[] = {2};
    const ErrorSpectrum spectrum(sigma, 13, 1);
    QCOMPARE(spectrum.errorAtRank(1), 3.0);
    QVERIFY(std::abs(spectrum.errorAtRank(0) - std::sqrt(13.0)) < 1e-15);
}

void ErrorSpectrumTest::errorNeverRises()
{
    std::vector<double> sigma;
    for (int i = 0; i < 200; ++i)
        sigma.push_back(std::exp(-0.2 * i));
    const ErrorSpectrum spectrum(sigma, 1.0 / (1 - std::exp(-0.4)), 3);
    for (std::size_t r = 1; r <= spectrum.maxRank(); ++r)
        QVERIFY(spectrum.errorAtRank(r) <= spectrum.errorAtRank(r - 1));
}

void ErrorSpectrumTest::pastTheLastRankTheBoundIsReturned()
{
    const double sigma[] = {2, 1};
    const ErrorSpectrum spectrum(sigma, 6, 1);
    QCOMPARE(spectrum.errorAtRank(2), 1.0);
    QCOMPARE(spectrum.errorAtRank(3), 1.0);
    QCOMPARE(spectrum.errorAtRank(100000), 1.0);
}

void ErrorSpectrumTest::rankForErrorIsTheSmallestThatReachesIt()
{
    const double sigma[] = {4, 3, 2, 1};
    const ErrorSpectrum spectrum(sigma, 30, 30);
    for (std::size_t r = 0; r <= 4; ++r)
        QCOMPARE(spectrum.rankForError(spectrum.errorAtRank(r)), r);
    QCOMPARE(spectrum.rankForError(2.0), std::size_t(0));
    QCOMPARE(spectrum.rankForError(std::nextafter(spectrum.errorAtRank(2), 0.0)), std::size_t(3));
    QCOMPARE(spectrum.rankForError(-1.0), std::size_t(4));
}

void ErrorSpectrumTest::roundingPastTheTotalLeavesZeroNotNaN()
{
    const double sigma[] = {1.0000001};
    const ErrorSpectrum spectrum(sigma, 1.0, 1.0);
    QCOMPARE(spectrum.errorAtRank(1), 0.0);
    QVERIFY(std::isfinite(spectrum.errorAtRank(0)));
}

void ErrorSpectrumTest::smallTailSurvivesBesideLargeValues()
{
    // Summed from the large end in this order, 1e-9 squared would drown in 1.
    const double sigma[] = {1, 1e-9, 1e-9};
    const ErrorSpectrum spectrum(sigma, 1.0, 1.0);
    QVERIFY(std::abs(spectrum.errorAtRank(1) - std::sqrt(2.0) * 1e-9) < 1e-15);
    QVERIFY(std::abs(spectrum.errorAtRank(2) - 1e-9) < 1e-15);
}

void ErrorSpectrumTest::emptySpectrumAnswers()
{
    const ErrorSpectrum none;
    QVERIFY(none.isEmpty());
    QCOMPARE(none.maxRank(), std::size_t(0));
    QCOMPARE(none.errorAtRank(5), 0.0);
    QCOMPARE(none.rankForError(0.1), std::size_t(0));
    const ErrorSpectrum noValues({}, 4, 16);
    QVERIFY(!noValues.isEmpty());
    QCOMPARE(noValues.errorAtRank(0), 0.5);
}

QTEST_APPLESS_MAIN(ErrorSpectrumTest)
#include "tst_error_spectrum.moc"
