// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/LockedFile.h"
#include "core/project/Fingerprint.h"
#include "core/project/Pipeline.h"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

namespace sigmascope
{

/// A finished layer as the journal keeps it.
struct JournaledLayer {
    std::size_t tensor = 0;
    LayerReceipt receipt;
    TensorResult result;
};

/// What an earlier run wrote down before it was cut short.
struct EarlierRun {
    RunFingerprint fingerprint;
    std::map<std::size_t, JournaledLayer> layers; ///< by tensor
    /// Inodes of the finished files, when it was already giving them their names.
    std::vector<std::uint64_t> placing;
};

/// The record of a run beside its output ("OUT.sigmascope-journal"): what the run depends on, then one line a finished
/// layer. It is also the run's lock: a second process with the same output is refused.
///
/// Every line ends in a newline and begins with its own checksum, so a line that a crash tore apart, and everything
/// behind it, is as if it had never been written. Layers count only when their bytes are found in the files.
class Journal
{
public:
    /// OutputBusy if another process has it. UnsupportedVersion or MalformedHeader for a journal that this version
    /// cannot read: it is left alone. A journal without a whole first line is one whose run never began.
    [[nodiscard]] static Result<Journal> open(const std::filesystem::path& output,
                                              FileSystem& system = FileSystem::real());
    /// Leaves no file behind unless it holds finished layers.
    ~Journal();
    Journal(Journal&& other) noexcept;
    Journal& operator=(Journal&& other) = delete;

    /// Absent: there was none, or it had not finished a layer.
    [[nodiscard]] const std::optional<EarlierRun>& earlier() const { return m_earlier; }
    [[nodiscard]] const std::filesystem::path& path() const { return m_path; }
    /// What stood there is gone.
    [[nodiscard]] Status clear();
    /// Starts over.
    [[nodiscard]] Status begin(const RunFingerprint& fingerprint);
    [[nodiscard]] Status add(const JournaledLayer& layer);
    [[nodiscard]] Status addPlacing(const std::vector<std::uint64_t>& inodes);
    [[nodiscard]] Status sync(const std::stop_token& stop = {});
    /// The layers that can be continued from.
    [[nodiscard]] std::size_t layerCount() const { return m_layers; }
    /// The run is complete: nothing to continue.
    void remove();

private:
    Journal() = default;
    Status read();
    Status append(const Json& record);
    [[nodiscard]] tl::unexpected<Error> failErrno(const char* what, int error) const;

    std::filesystem::path m_path;
    FileSystem* m_system = nullptr;
    LockedFile m_file;
    std::optional<EarlierRun> m_earlier;
    Bytes m_end = 0; // of the last whole line
    std::size_t m_layers = 0;
    bool m_isTorn = false; // something stands behind m_end
    bool m_isRead = false; // until then it may hold anything, and is not this object's to remove
};

} // namespace sigmascope
