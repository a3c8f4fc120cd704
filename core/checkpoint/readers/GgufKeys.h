// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/checkpoint/GgufMetadata.h"
#include "core/checkpoint/readers/ByteCursor.h"

namespace sigmascope {

/// Reads one key/value at the cursor and validates it to its last byte. Borrows the file.
[[nodiscard]] Result<GgufKey> readGgufKey(ByteCursor& cursor);

}  // namespace sigmascope
