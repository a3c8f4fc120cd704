// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The two formats behind readImatrix(). Included by core/calibration only.

#include "core/base/MappedFile.h"
#include "core/calibration/Imatrix.h"

#include <optional>
#include <string>

namespace sigmascope {

/// Why an entry cannot weigh anything ("column 3 is negative (-1)"); nothing if it can.
/// @pre entry.matrices >= 1.
[[nodiscard]] std::optional<std::string> whyUnusable(const ImatrixEntry& entry);

[[nodiscard]] Result<Imatrix> readGgufImatrix(const std::filesystem::path& path);
[[nodiscard]] Result<Imatrix> readLegacyImatrix(const MappedFile& file);

}  // namespace sigmascope
