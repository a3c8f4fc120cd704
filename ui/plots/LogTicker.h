// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// Inside ui/plots only.

#include "ui/plots/PlotKit.h"

#include <cmath>

namespace sigmascope::ui {

/// Decades where there are at least two of them, else 1, 2, 5 and, closer still, whole tenths of a decade's end.
class LogTicker : public DecadeTicker {
protected:
    QVector<double> createTickVector(double step, const QCPRange& range) override
    {
        if (range.lower <= 0 || std::log10(range.upper / range.lower) >= 2)
            return DecadeTicker::createTickVector(step, range);
        static const std::array<double, 3> few{1, 2, 5};
        static const std::array<double, 9> many{1, 2, 3, 4, 5, 6, 7, 8, 9};
        const std::span<const double> factors
            = range.upper / range.lower > 8 ? std::span<const double>(few) : std::span<const double>(many);
        QVector<double> ticks;
        const int first = static_cast<int>(std::floor(std::log10(range.lower)));
        const int last = static_cast<int>(std::floor(std::log10(range.upper)));
        for (int e = first; e <= last; ++e)
            for (const double factor : factors)
                if (const double tick = factor * std::pow(10.0, e); tick >= range.lower && tick <= range.upper)
                    ticks.append(tick);
        return ticks;
    }
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar, int precision) override
    {
        const double exponent = std::log10(tick);
        if (std::abs(exponent - std::round(exponent)) < 1e-9 && std::abs(exponent) > 3.5)
            return DecadeTicker::getTickLabel(tick, locale, formatChar, precision);
        if (std::abs(exponent - std::round(exponent)) < 1e-9 && isDecadesOnly)
            return DecadeTicker::getTickLabel(tick, locale, formatChar, precision);
        return QLocale().toString(tick, 'g', 2).replace(QLatin1Char('-'), QChar(0x2212));
    }
    int getSubTickCount(double step) override { return isDecadesOnly ? DecadeTicker::getSubTickCount(step) : 0; }

public:
    void generate(const QCPRange& range, const QLocale& locale, QChar formatChar, int precision, QVector<double>& ticks,
                  QVector<double>* subTicks, QVector<QString>* tickLabels) override
    {
        isDecadesOnly = range.lower > 0 && std::log10(range.upper / range.lower) >= 2;
        DecadeTicker::generate(range, locale, formatChar, precision, ticks, subTicks, tickLabels);
    }

private:
    bool isDecadesOnly = true;
};

}  // namespace sigmascope::ui
