// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The one door to OpenSSL's libcrypto.

#include "core/base/Job.h"
#include "core/base/Result.h"

#include <filesystem>
#include <string>

namespace sigmascope {

/// SHA-256 of a file's bytes, 64 hexadecimal digits, as `sha256sum` prints it and model hubs show it. Reads a megabyte
/// at a time and polls the job between them. IoFailed with the system's words; Cancelled.
[[nodiscard]] Result<std::string> sha256OfFile(const std::filesystem::path& path, const JobContext& job = {});

}  // namespace sigmascope
