// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/text/Numbers.h"

#include <QLocale>
#include <QTest>

#include <cmath>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::ui;

class NumbersTest : public QObject {
    Q_OBJECT

private slots:
    void init() { QLocale::setDefault(QLocale(QLocale::English, QLocale::UnitedStates)); }
    void cleanupTestCase() { QLocale::setDefault(QLocale::c()); }

    void threeDigitsAreKept_data();
    void threeDigitsAreKept();
    void whatIsNoNumberIsADash();
    void digitsAndSeparatorsAreTheUsers();
    void unitsFollowANarrowSpace();
    void filesCountInThousandsAndMemoryIn1024();
    void aUnitNeverShowsAThousand();
    void signsAreTrueSigns();
};

void NumbersTest::threeDigitsAreKept_data()
{
    QTest::addColumn<double>("value");
    QTest::addColumn<QString>("text");
    const auto row = [](const char* name, double value, const char* text) {
        QTest::newRow(name) << value << QString::fromUtf8(text);
    };
    row("zero", 0.0, "0");
    row("hundreds", 446.4, "446");
    row("tens", 12.04, "12.0");
    row("ones", 2.3449, "2.34");
    row("below one", 0.02213, "0.0221");
    row("rounding adds a digit", 9.996, "10.0");
    row("rounding does not yet", 9.994, "9.99");
    row("rounding across one", 0.99951, "1.00");
    row("a whole thousand", 1000, "1,000");
    row("the last plain one", 999499, "999,499");
    row("the first power", 999500, "1.00·10⁶");
    row("a large one", 5.872e7, "5.87·10⁷");
    row("the smallest plain one", 1.0e-4, "0.000100");
    row("just under it, rounded up", 9.9999e-5, "0.000100");
    row("a small one", 5.2e-5, "5.20·10⁻⁵");
    row("rounding of a mantissa", 9.996e-7, "1.00·10⁻⁶");
    row("a denormal", 4.9406564584124654e-324, "4.94·10⁻³²⁴");
    row("the largest", std::numeric_limits<double>::max(), "1.80·10³⁰⁸");
    row("negative", -3.5, "−3.50");
    row("negative and small", -1.5e-9, "−1.50·10⁻⁹");
}

void NumbersTest::threeDigitsAreKept()
{
    QFETCH(double, value);
    QFETCH(QString, text);
    QCOMPARE(number3(value), text);
}

void NumbersTest::whatIsNoNumberIsADash()
{
    QCOMPARE(number3(std::nan("")), QStringLiteral("–"));
    QCOMPARE(number3(std::numeric_limits<double>::infinity()), QStringLiteral("∞"));
    QCOMPARE(number3(-std::numeric_limits<double>::infinity()), QStringLiteral("−∞"));
}

void NumbersTest::digitsAndSeparatorsAreTheUsers()
{
    QLocale::setDefault(QLocale(QLocale::German, QLocale::Germany));
    QCOMPARE(number3(0.02213), QStringLiteral("0,0221"));
    QCOMPARE(number3(5.2e-5), QStringLiteral("5,20·10⁻⁵"));
    QCOMPARE(wholeNumber(58720256), QStringLiteral("58.720.256"));
    QCOMPARE(decimals(-4.5, 2), QStringLiteral("−4,50"));
}

void NumbersTest::unitsFollowANarrowSpace()
{
    QCOMPARE(percent(0.0312), QStringLiteral("3.12\u202F%"));
    QCOMPARE(percent(1), QStringLiteral("100\u202F%"));
    QCOMPARE(percent(5.2e-7), QStringLiteral("5.20·10⁻⁵\u202F%"));
    QCOMPARE(fileSize(4690000000ULL), QStringLiteral("4.69\u202FGB"));
    QCOMPARE(bounded(percent(0.0312), true), QStringLiteral("≤\u202F3.12\u202F%"));
    QCOMPARE(bounded(percent(0.0312), false), percent(0.0312));
}

void NumbersTest::filesCountInThousandsAndMemoryIn1024()
{
    QCOMPARE(fileSize(0), QStringLiteral("0\u202FB"));
    QCOMPARE(fileSize(999), QStringLiteral("999\u202FB"));
    QCOMPARE(fileSize(1000), QStringLiteral("1.00\u202FkB"));
    QCOMPARE(fileSize(1200), QStringLiteral("1.20\u202FkB"));
    QCOMPARE(tensorSize(1000), QStringLiteral("1,000\u202FB"));
    QCOMPARE(tensorSize(1024), QStringLiteral("1.00\u202FKiB"));
    QCOMPARE(tensorSize(41000960), QStringLiteral("39.1\u202FMiB"));
}

void NumbersTest::aUnitNeverShowsAThousand()
{
    QCOMPARE(fileSize(999499), QStringLiteral("999\u202FkB"));
    QCOMPARE(fileSize(999500), QStringLiteral("1.00\u202FMB"));
    QCOMPARE(fileSize(999999999999ULL), QStringLiteral("1.00\u202FTB"));
}

void NumbersTest::signsAreTrueSigns()
{
    QCOMPARE(addedSize(0.6 * 1024 * 1024), QStringLiteral("+614\u202FKiB"));
    QCOMPARE(addedSize(-2.5 * 1024 * 1024), QStringLiteral("−2.50\u202FMiB"));
    QCOMPARE(addedSize(0), QStringLiteral("+0\u202FB"));
}

QTEST_MAIN(NumbersTest)
#include "tst_numbers.moc"
