// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/base/Units.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace sigmascope {

/// What told one version of a file from another when it was opened.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    Bytes size = 0;
    std::int64_t mtimeNs = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// A regular file mapped read-only. The descriptor is closed after mapping (1,500 shards must not need
/// 1,500 descriptors). Directories, FIFOs, sockets and devices are refused before anything is read.
///
/// A file truncated while mapped raises SIGBUS on the next touch: one process-wide handler lays zero
/// pages over the registered mapping and marks it broken; readers see zeros, never a signal, and must ask
/// isBroken() / checkUnchanged() before they believe a result. A SIGBUS elsewhere keeps its old meaning.
/// Thread-safe after open.
class MappedFile {
public:
    [[nodiscard]] static Result<std::unique_ptr<MappedFile>> open(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    [[nodiscard]] std::span<const std::byte> bytes() const { return {m_data, m_size}; }
    [[nodiscard]] const std::filesystem::path& path() const { return m_path; }
    [[nodiscard]] const FileIdentity& identity() const { return m_identity; }
    /// Pages vanished under the mapping at some time.
    [[nodiscard]] bool isBroken() const;
    /// FileBroken or FileChanged (size, mtime, inode of the path against those at open).
    [[nodiscard]] Status checkUnchanged() const;
    /// Tells the system that the first @p length bytes are not needed soon: their pages leave this
    /// process's memory and are read again when touched. Never changes what bytes() shows.
    void release(Bytes length) const { release(0, length); }
    /// The same for a range: whole pages inside it only, so that neighbours stay. What walks through a model calls
    /// this behind every tensor, or the whole file ends up in this process's memory.
    void release(Bytes offset, Bytes length) const;

private:
    MappedFile() = default;
    std::filesystem::path m_path;
    FileIdentity m_identity;
    const std::byte* m_data = nullptr;
    std::size_t m_size = 0;
    int m_slot = -1;  // in the handler's table of mappings
};

}  // namespace sigmascope
