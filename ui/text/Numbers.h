// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Units.h"

#include <QString>

#include <cstdint>

namespace sigmascope::ui {

/// How every number of the studio is written: digits and separators of the user's locale, a true minus, a narrow
/// no-break space before units and %. What is no number is a dash, what has no bound is ∞.

/// Three significant digits: "0.0221", "12.0", "5,120"; "5.20·10⁻⁵" below 10⁻⁴ and from 10⁶ on.
[[nodiscard]] QString number3(double value);
/// As many decimals as a column has: "4.50".
[[nodiscard]] QString decimals(double value, int count);
/// All digits: "58,720,256".
[[nodiscard]] QString wholeNumber(std::uint64_t value);
/// "⁻⁵"
[[nodiscard]] QString superscript(int value);

/// "2.21 %" from 0.0221.
[[nodiscard]] QString percent(double ratio);
/// "≤ 2.21 %": a figure that the truth lies at or below.
[[nodiscard]] QString bounded(const QString& figure, bool isUpperBound);
/// "4.69 GB": powers of ten, for files and budgets. Whole bytes below 1,000.
[[nodiscard]] QString fileSize(Bytes bytes);
/// "39.1 MiB": powers of two, for memory and single tensors.
[[nodiscard]] QString tensorSize(Bytes bytes);
/// "+0.600 MiB": with its sign.
[[nodiscard]] QString addedSize(double bytes);

}  // namespace sigmascope::ui
