// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace sigmascope {

/// What the world did wrong (file, device, user). Stable: tests and translations name these.
/// A mistake of ours is an assert, never one of these.
enum class ErrorCode {
    // files
    NotFound,
    PermissionDenied,
    NotRegularFile,
    IoFailed,
    FileChanged,       ///< size, mtime or inode differ from when the file was opened
    FileBroken,        ///< pages vanished under a mapping (truncated or replaced while mapped)
    // contents
    WrongMagic,
    UnsupportedVersion,
    Truncated,
    HeaderTooLarge,
    MalformedHeader,
    InvalidUtf8,
    InvalidNumber,     ///< a number that is not the plain non-negative integer the format asks for
    DuplicateName,
    UnknownType,
    UnsupportedType,   ///< known and listed, but not decodable here
    ShapeMismatch,
    SizeOverflow,
    RangeOutOfFile,
    Overlap,
    Hole,
    UncoveredBytes,
    BadAlignment,
    UnsafePath,
    MissingShard,
    MissingTensor,
    InconsistentShards,
    InvalidMetadata,   ///< a key of the wrong type or value
    // values
    NonFinite,
    ScaleOutOfRange,
    BadCalibration,
    // intents
    InvalidOption,
    InvalidRecipe,
    NotRepresentable,  ///< the target cannot carry the plan; the message names the nearest plan
    WouldOverwrite,
    OutputIsInput,
    OutputBusy,        ///< another process is writing there
    UnfinishedRun,     ///< a run that was cut short left a journal beside the output, and nobody said what to do with it
    JournalMismatch,   ///< the journal is of another model, plan, calibration, device or program; the message names which
    // doing
    NoSpace,
    WriteFailed,
    VerifyFailed,
    DeviceUnavailable,
    DeviceFailed,
    NotConverged,
    OutOfMemory,
    LayersFailed,      ///< some layers could not be computed; all others are done and journaled
    Cancelled,
    Internal,          ///< an exception of a library reached the job runner
};

/// Stable kebab-case id of a code ("malformed-header"), for JSON, logs and translation tables.
[[nodiscard]] std::string_view id(ErrorCode code);

/// Where something was found: any part may be absent.
struct Where {
    std::string file{};                        ///< path as given, native bytes; shown escaped
    std::string tensor{};                      ///< tensor or key name, raw; shown escaped
    std::optional<std::uint64_t> offset{};     ///< byte offset in the file
};

struct Error {
    ErrorCode code = ErrorCode::Internal;
    /// English technical detail: file, tensor, offset, what was expected, what was found.
    std::string detail;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string detail)
{
    return tl::unexpected<Error>(Error{code, std::move(detail)});
}

/// "FILE: tensor 'NAME' at byte N: WHAT" with absent parts left out and control characters escaped.
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, const Where& where, std::string_view what);

/// Passes an error of one type on as another.
template <class T>
[[nodiscard]] tl::unexpected<Error> passOn(const Result<T>& failed)
{
    return tl::unexpected<Error>(failed.error());
}
template <class T>
[[nodiscard]] tl::unexpected<Error> passOn(Result<T>&& failed)
{
    return tl::unexpected<Error>(std::move(failed).error());
}

/// Text made safe for one line of a terminal or log: control characters, quotes' backslashes and
/// invalid UTF-8 become \xNN; longer than @p limit bytes is cut with "…".
[[nodiscard]] std::string escaped(std::string_view text, std::size_t limit = 200);

}  // namespace sigmascope
