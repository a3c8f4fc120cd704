// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Json.h"
#include "core/compute/ComputeBackend.h"
#include "core/export/Exporter.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sigmascope
{

/// All that the bytes of a run depend on. Two runs with equal fingerprints write the same bytes, so one may finish
/// what the other began. Paths, times and thread counts are not part of it.
struct RunFingerprint {
    struct Tensor {
        std::string name;
        std::uint64_t content = 0; ///< of type, shape and every byte
        std::string plan; ///< "keep", "q4_0 rank 16 f16 l2qer"

        friend bool operator==(const Tensor&, const Tensor&) = default;
    };
    std::string program; ///< its version: another may compute otherwise
    std::string format; ///< the exporter's id
    std::string device; ///< with its kernels where floating-point results depend on them
    std::uint64_t seed = 0;
    std::uint64_t layout = 0; ///< Exporter::layoutChecksum(): metadata, tokenizer, recipe, places
    std::optional<std::uint64_t> calibration{};
    std::vector<OutputFile> outputs; ///< names without their folder, kinds, sizes
    std::vector<Tensor> tensors;
};

/// Everything but `layout` and `outputs`, which the exporter knows.
///
/// @param contents  contentOf() each tensor.
[[nodiscard]] RunFingerprint fingerprintOf(const ExportRequest& request, std::string_view format,
                                           ComputeBackend& backend, const std::vector<std::uint64_t>& contents);
/// What is told of each piece of a tensor's bytes while they lie in a cache: where it begins, and the piece. From any thread.
using SeenPiece = std::function<void(std::size_t begin, std::span<const std::byte> piece)>;
inline constexpr std::size_t kSeenBytes = std::size_t{128} << 10; ///< of each piece but the last

/// A checksum of one tensor's type, shape and bytes; of one that is not there, of type and shape alone. Reads it once, on
/// all threads. Worth nothing once a stop is requested.
///
/// @param seen  may be empty; what is stored in several parts is shown to nobody.
[[nodiscard]] std::uint64_t contentOf(const Checkpoint& checkpoint, std::size_t tensor, const JobContext& job,
                                      const SeenPiece& seen = {});

/// What @p now has otherwise than @p stored, as words for the user: "the model: tensor 'x' holds other values". Empty:
/// nothing.
[[nodiscard]] std::string differences(const RunFingerprint& stored, const RunFingerprint& now);

[[nodiscard]] Json toJson(const RunFingerprint& fingerprint);
/// Absent if the JSON, which may hold anything, is not of this form.
[[nodiscard]] std::optional<RunFingerprint> fingerprintFrom(const Json& json);

/// Sixteen hexadecimal digits: JSON numbers are not exact beyond 2^53 everywhere.
[[nodiscard]] std::string hex(std::uint64_t value);
[[nodiscard]] std::optional<std::uint64_t> fromHex(const Json& json);

} // namespace sigmascope
