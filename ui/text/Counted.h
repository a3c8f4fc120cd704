// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/text/Numbers.h"

#include <QString>

#include <cstdint>

namespace sigmascope::ui {

/// "1 layer", "12 layers": @p many holds %1. The source language has no plural forms of its own in Qt without a
/// translation file, so both are sentences to be translated.
[[nodiscard]] inline QString counted(std::uint64_t count, const QString& one, const QString& many)
{
    return count == 1 ? one : many.arg(wholeNumber(count));
}

}  // namespace sigmascope::ui
