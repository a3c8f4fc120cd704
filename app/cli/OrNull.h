// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"

#include <optional>
#include <string_view>

namespace sigmascope::cli
{

/// A value that does not exist is null in every verb's JSON.
[[nodiscard]] inline Json orNull(std::optional<double> value)
{
    return value ? Json(*value) : Json();
}

[[nodiscard]] inline Json orNull(std::string_view text)
{
    return text.empty() ? Json() : Json(text);
}

} // namespace sigmascope::cli
