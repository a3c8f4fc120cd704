// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/text/Numbers.h"

#include <QLocale>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

namespace sigmascope::ui {

namespace {

constexpr QChar kMinus(0x2212);
constexpr QChar kNarrow(0x202F);
constexpr const char* kPowersOfTen[] = {"B", "kB", "MB", "GB", "TB", "PB"};
constexpr const char* kPowersOfTwo[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

QString withTrueMinus(QString text)
{
    return text.replace(QLatin1Char('-'), kMinus);
}

QString scaled(double value, double step, std::span<const char* const> units)
{
    std::size_t unit = 0;
    // Where three digits would read 1,000 the next unit takes over.
    while (std::fabs(value) >= step * (unit == 0 ? 1.0 : 0.9995) && unit + 1 < units.size()) {
        value /= step;
        ++unit;
    }
    return (unit == 0 ? decimals(value, 0) : number3(value)) + kNarrow + QLatin1String(units[unit]);
}

}  // namespace

QString number3(double value)
{
    if (std::isnan(value))
        return QStringLiteral("–");
    if (std::isinf(value))
        return value < 0 ? kMinus + QStringLiteral("∞") : QStringLiteral("∞");
    if (value == 0)
        return QStringLiteral("0");
    // "5.20e-05": the power of ten of the first digit once three are kept; 9.996 has become 1.00e+01.
    const QString rounded = QString::number(value, 'e', 2);
    const int power = rounded.section(QLatin1Char('e'), 1).toInt();
    if (power >= -4 && power < 6)
        return decimals(value, std::max(0, 2 - power));
    return decimals(rounded.section(QLatin1Char('e'), 0, 0).toDouble(), 2) + QStringLiteral("·10") + superscript(power);
}

QString decimals(double value, int count)
{
    return withTrueMinus(QLocale().toString(value, 'f', count));
}

QString wholeNumber(std::uint64_t value)
{
    return QLocale().toString(static_cast<qulonglong>(value));
}

QString superscript(int value)
{
    static const QString digits = QStringLiteral("⁰¹²³⁴⁵⁶⁷⁸⁹");
    QString text = QString::number(std::abs(value));
    for (QChar& c : text)
        c = digits.at(c.digitValue());
    return value < 0 ? QStringLiteral("⁻") + text : text;
}

QString percent(double ratio)
{
    return number3(100 * ratio) + kNarrow + QLatin1Char('%');
}

QString bounded(const QString& figure, bool isUpperBound)
{
    return isUpperBound ? QStringLiteral("≤") + kNarrow + figure : figure;
}

QString fileSize(Bytes bytes)
{
    return scaled(static_cast<double>(bytes), 1000, kPowersOfTen);
}

QString tensorSize(Bytes bytes)
{
    return scaled(static_cast<double>(bytes), 1024, kPowersOfTwo);
}

QString addedSize(double bytes)
{
    return (bytes < 0 ? QString(kMinus) : QStringLiteral("+")) + scaled(std::fabs(bytes), 1024, kPowersOfTwo);
}

}  // namespace sigmascope::ui
