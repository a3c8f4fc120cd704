// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/FileSystem.h"
#include "core/base/Job.h"
#include "core/base/LockedFile.h"
#include "core/base/Result.h"
#include "core/base/Units.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

namespace sigmascope {

struct AtomicFileOptions {
    bool overwrite = false;
    /// The temporary file has one name, partialPathFor(target), locked against other processes (OutputBusy), and stays
    /// when it is destroyed without commit() or discard(): for work that is journaled elsewhere and can be taken up.
    bool resumable = false;
    /// With `resumable`: takes up what stands under that name. A file of another size or none is begun anew.
    bool resume = false;
    /// With `resume`: inode of a file that had been finished; if it stands at the target already, that is it.
    std::optional<std::uint64_t> placedInode{};
    /// Ends the reservation of a large file.
    std::stop_token stop{};
};

/// A file that appears whole or not at all: written under a temporary name in the target folder, space
/// reserved first, synced, renamed over the target, folder synced. Destroyed without commit() it leaves
/// no trace and the old file intact (but see AtomicFileOptions::resumable). One thread.
class AtomicFile {
public:
    /// @param size  the whole size, reserved at once: NoSpace (naming needed and free bytes) comes before
    ///              hours of work.
    /// WouldOverwrite unless @p overwrite when the target exists. PermissionDenied for a folder that
    /// cannot be written.
    [[nodiscard]] static Result<std::unique_ptr<AtomicFile>> create(const std::filesystem::path& target, Bytes size,
                                                                    const AtomicFileOptions& options,
                                                                    FileSystem& system = FileSystem::real());
    [[nodiscard]] static Result<std::unique_ptr<AtomicFile>> create(const std::filesystem::path& target, Bytes size,
                                                                    bool overwrite,
                                                                    FileSystem& system = FileSystem::real());
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Short writes and EINTR are retried; errors name file, offset and errno's text.
    [[nodiscard]] Status write(std::span<const std::byte> data);
    [[nodiscard]] Status writeZeros(Bytes count);
    /// Moves on without writing: what stands there is left as it is.
    void skip(Bytes count);
    /// Where the next write() goes, forward or back. @pre offset <= the whole size.
    void moveTo(Bytes offset);
    /// Replaces bytes that are written already. @pre offset + data.size() <= position().
    [[nodiscard]] Status rewrite(Bytes offset, std::span<const std::byte> data);
    [[nodiscard]] Bytes position() const { return m_position; }
    /// Checksum (core/base/Checksum.h) of what stands in [begin, end) now, read in small pieces. Cancelled, IoFailed.
    [[nodiscard]] Result<std::uint64_t> checksum(Bytes begin, Bytes end, const JobContext& job = {}) const;
    /// Where the bytes stand now: to re-read for verification before commit().
    [[nodiscard]] const std::filesystem::path& temporaryPath() const { return m_temporary.empty() ? m_target : m_temporary; }
    [[nodiscard]] const std::filesystem::path& target() const { return m_target; }
    [[nodiscard]] FileSystem& system() const { return *m_system; }
    /// Of the bytes; kept when they get their name.
    [[nodiscard]] std::uint64_t inode() const;

    /// flush, rename, fsync of the folder. @pre position() == size, else VerifyFailed.
    [[nodiscard]] Status commit();
    /// Writes all to the disk. A stop request ends the wait (Cancelled).
    [[nodiscard]] Status flush(const std::stop_token& stop = {});

    /// commit() in steps, for files that shall appear together. place() gives the file its name; the old file keeps a
    /// second name until settle(). takeBack() undoes place(). @pre flush() succeeded and position() == size.
    [[nodiscard]] Status place();
    void takeBack();
    /// Removes the old file's second name.
    void settle();
    [[nodiscard]] bool isPlaced() const { return m_isPlaced; }
    /// Of a resumable file: destruction removes the temporary file after all.
    void discard() { m_keeps = false; }

private:
    AtomicFile() = default;
    Status openTemporary();
    Status openPartial(const AtomicFileOptions& options);
    Status openPlaced();
    Status reserve(const std::stop_token& stop);
    Status writeAll(std::span<const std::byte> data, Bytes& offset);
    [[nodiscard]] Status keepOld();
    [[nodiscard]] tl::unexpected<Error> failErrno(int error, std::string_view what) const;

    std::filesystem::path m_target;
    std::filesystem::path m_temporary;  // empty once it has its name
    FileSystem* m_system = nullptr;
    LockedFile m_locked;
    int m_fd = -1;                      // m_locked's, or its own
    Bytes m_size = 0;
    Bytes m_position = 0;
    Bytes m_notStarted = 0;             // written since the disk was last told to begin
    bool m_overwrite = false;
    bool m_resumable = false;
    bool m_keeps = false;               // leaves the temporary file when destroyed
    bool m_isPlaced = false;
    bool m_hasBackup = false;
};

/// "NAME.sigmascope-partial" beside the target: where a resumable file grows. Names that would get too long are cut.
[[nodiscard]] std::filesystem::path partialPathFor(const std::filesystem::path& target);
/// "NAME.sigmascope-old": the second name of a file that is being replaced, for a moment.
[[nodiscard]] std::filesystem::path backupPathFor(const std::filesystem::path& target);
/// "NAME.sigmascope-journal".
[[nodiscard]] std::filesystem::path journalPathFor(const std::filesystem::path& target);

/// Files that appear together: each gets its name; a failure takes back those that had theirs. Files
/// at @p obsolete are removed in the same stroke, and come back if it fails; one that an earlier process has replaced by one
/// of @p files already stays. @pre flush() of each succeeded.
[[nodiscard]] Status placeTogether(std::span<AtomicFile* const> files, std::span<const std::filesystem::path> obsolete,
                                   FileSystem& system);

/// True if the two names reach the same file (device and inode), also through links; false if either is absent.
[[nodiscard]] bool isSameFile(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace sigmascope
