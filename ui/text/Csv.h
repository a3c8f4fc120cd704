// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QString>

#include <cmath>

namespace sigmascope::ui {

/// 17 significant digits and a point: reads back as the same double, in every locale. Empty for what is no number.
[[nodiscard]] inline QString csvNumber(double value)
{
    return std::isnan(value) ? QString() : QString::number(value, 'g', 17);
}

/// Quoted where it holds a comma, a quote or a line end.
[[nodiscard]] inline QString csvField(const QString& text)
{
    if (!text.contains(QLatin1Char(',')) && !text.contains(QLatin1Char('"')) && !text.contains(QLatin1Char('\n'))
        && !text.contains(QLatin1Char('\r')))
        return text;
    QString quoted = text;
    return QLatin1Char('"') + quoted.replace(QLatin1Char('"'), QLatin1String("\"\"")) + QLatin1Char('"');
}

}  // namespace sigmascope::ui
