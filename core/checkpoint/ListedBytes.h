// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Job.h"
#include "core/checkpoint/Checkpoint.h"

#include <functional>
#include <span>

namespace sigmascope {

/// Its values are made by decoding: it is listed as F32, and the bytes at its place are others.
[[nodiscard]] bool isDecoded(const Checkpoint& checkpoint, std::size_t tensor);

/// Size of a tensor stored as the type it is listed with.
[[nodiscard]] Bytes listedBytes(const Checkpoint& checkpoint, std::size_t tensor);

/// Hands a tensor, stored as the type it is listed with, to @p take piece by piece: as it lies in the checkpoint, or
/// decoded to F32. Ends at the first failure; Cancelled. @pre its state is Ok.
[[nodiscard]] Status forListedBytes(const Checkpoint& checkpoint, std::size_t tensor, const JobContext& job,
                                    const std::function<Status(std::span<const std::byte>)>& take);

}  // namespace sigmascope
