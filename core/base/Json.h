// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to nlohmann-json.

#include "core/base/Result.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace sigmascope {

/// Keys in the order written, so that a config.json keeps its order when it is rewritten.
using Json = nlohmann::ordered_json;

struct JsonLimits {
    int depth = 64;
};

/// Parses hostile text: duplicate keys, depth beyond the limit, invalid UTF-8 and trailing garbage are
/// errors that name the byte offset. Never throws. @p file names the source in the error.
[[nodiscard]] Result<Json> parseJson(std::string_view text, std::string_view file, JsonLimits limits = {});

/// The text at @p key of an object; empty where there is none, or something else.
[[nodiscard]] std::string textIn(const Json& object, const char* key);

/// Locale-free, doubles in shortest round-trip form, NaN and Inf as null; invalid UTF-8 replaced.
[[nodiscard]] std::string dumpJson(const Json& value, int indent = -1);

}  // namespace sigmascope
