// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/Result.h"

#include "core/base/Utf8.h"

#include <algorithm>

namespace sigmascope {

std::string_view id(ErrorCode code)
{
    switch (code) {
    case ErrorCode::NotFound: return "not-found";
    case ErrorCode::PermissionDenied: return "permission-denied";
    case ErrorCode::NotRegularFile: return "not-regular-file";
    case ErrorCode::IoFailed: return "io-failed";
    case ErrorCode::FileChanged: return "file-changed";
    case ErrorCode::FileBroken: return "file-broken";
    case ErrorCode::WrongMagic: return "wrong-magic";
    case ErrorCode::UnsupportedVersion: return "unsupported-version";
    case ErrorCode::Truncated: return "truncated";
    case ErrorCode::HeaderTooLarge: return "header-too-large";
    case ErrorCode::MalformedHeader: return "malformed-header";
    case ErrorCode::InvalidUtf8: return "invalid-utf8";
    case ErrorCode::InvalidNumber: return "invalid-number";
    case ErrorCode::DuplicateName: return "duplicate-name";
    case ErrorCode::UnknownType: return "unknown-type";
    case ErrorCode::UnsupportedType: return "unsupported-type";
    case ErrorCode::ShapeMismatch: return "shape-mismatch";
    case ErrorCode::SizeOverflow: return "size-overflow";
    case ErrorCode::RangeOutOfFile: return "range-out-of-file";
    case ErrorCode::Overlap: return "overlap";
    case ErrorCode::Hole: return "hole";
    case ErrorCode::UncoveredBytes: return "uncovered-bytes";
    case ErrorCode::BadAlignment: return "bad-alignment";
    case ErrorCode::UnsafePath: return "unsafe-path";
    case ErrorCode::MissingShard: return "missing-shard";
    case ErrorCode::MissingTensor: return "missing-tensor";
    case ErrorCode::InconsistentShards: return "inconsistent-shards";
    case ErrorCode::InvalidMetadata: return "invalid-metadata";
    case ErrorCode::NonFinite: return "non-finite";
    case ErrorCode::ScaleOutOfRange: return "scale-out-of-range";
    case ErrorCode::BadCalibration: return "bad-calibration";
    case ErrorCode::InvalidOption: return "invalid-option";
    case ErrorCode::InvalidRecipe: return "invalid-recipe";
    case ErrorCode::NotRepresentable: return "not-representable";
    case ErrorCode::WouldOverwrite: return "would-overwrite";
    case ErrorCode::OutputIsInput: return "output-is-input";
    case ErrorCode::OutputBusy: return "output-busy";
    case ErrorCode::UnfinishedRun: return "unfinished-run";
    case ErrorCode::JournalMismatch: return "journal-mismatch";
    case ErrorCode::NoSpace: return "no-space";
    case ErrorCode::WriteFailed: return "write-failed";
    case ErrorCode::VerifyFailed: return "verify-failed";
    case ErrorCode::DeviceUnavailable: return "device-unavailable";
    case ErrorCode::DeviceFailed: return "device-failed";
    case ErrorCode::NotConverged: return "not-converged";
    case ErrorCode::OutOfMemory: return "out-of-memory";
    case ErrorCode::LayersFailed: return "layers-failed";
    case ErrorCode::Cancelled: return "cancelled";
    case ErrorCode::Internal: return "internal";
    }
    return "internal";
}

tl::unexpected<Error> fail(ErrorCode code, const Where& where, std::string_view what)
{
    std::string detail;
    if (!where.file.empty())
        detail += escaped(where.file, 4096) + ": ";
    if (!where.tensor.empty())
        detail += "tensor '" + escaped(where.tensor) + "'" + (where.offset ? " " : ": ");
    if (where.offset)
        detail += "at byte " + std::to_string(*where.offset) + ": ";
    detail += what;
    return tl::unexpected<Error>(Error{code, std::move(detail)});
}

std::string escaped(std::string_view text, std::size_t limit)
{
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out;
    out.reserve(std::min(text.size(), limit) + 8);
    for (std::size_t i = 0; i < text.size();) {
        if (out.size() >= limit)
            return out + "…";
        const std::size_t length = utf8SequenceLength(text.substr(i));
        const auto byte = static_cast<unsigned char>(text[i]);
        // Besides ASCII controls, C1 controls and bidirectional marks can forge a line of output.
        const bool control = byte < 0x20 || byte == 0x7f || isInvisibleControl(text.substr(i, length));
        if (length == 0 || control) {
            const std::size_t count = length == 0 ? 1 : length;
            for (std::size_t k = 0; k < count; ++k) {
                const auto b = static_cast<unsigned char>(text[i + k]);
                out += {'\\', 'x', kHex[b >> 4], kHex[b & 15]};
            }
            i += count;
            continue;
        }
        out += text.substr(i, length);
        i += length;
    }
    return out;
}

}  // namespace sigmascope
