// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/base/Units.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace sigmascope {

/// The system calls AtomicFile makes, so that tests can let the n-th fail. Return values as of write(2),
/// fsync(2), …: -1 with errno.
class FileSystem {
public:
    virtual ~FileSystem() = default;
    virtual int preallocate(int fd, Bytes size);
    virtual std::ptrdiff_t writeAt(int fd, const void* data, std::size_t size, Bytes offset);
    virtual int sync(int fd);
    virtual int rename(const char* from, const char* to);
    /// Fails with EEXIST instead of replacing.
    virtual int renameToNew(const char* from, const char* to);
    [[nodiscard]] static FileSystem& real();
};

/// A file that appears whole or not at all: written under a temporary name in the target folder, space
/// reserved first, synced, renamed over the target, folder synced. Destroyed without commit() it leaves
/// no trace and the old file intact. One thread.
class AtomicFile {
public:
    /// @param size  the whole size, reserved at once: NoSpace (naming needed and free bytes) comes before
    ///              hours of work.
    /// WouldOverwrite unless @p overwrite when the target exists. PermissionDenied for a folder that
    /// cannot be written.
    [[nodiscard]] static Result<std::unique_ptr<AtomicFile>> create(const std::filesystem::path& target, Bytes size,
                                                                    bool overwrite,
                                                                    FileSystem& system = FileSystem::real());
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Short writes and EINTR are retried; errors name file, offset and errno's text.
    [[nodiscard]] Status write(std::span<const std::byte> data);
    [[nodiscard]] Status writeZeros(Bytes count);
    /// Replaces bytes that are written already. @pre offset + data.size() <= position().
    [[nodiscard]] Status rewrite(Bytes offset, std::span<const std::byte> data);
    [[nodiscard]] Bytes position() const { return m_position; }
    /// Path to re-read for verification before commit().
    [[nodiscard]] const std::filesystem::path& temporaryPath() const { return m_temporary; }
    /// fsync, rename, fsync of the folder. @pre position() == size, else VerifyFailed.
    [[nodiscard]] Status commit();

private:
    AtomicFile() = default;
    Status reserve();
    Status writeAll(std::span<const std::byte> data, Bytes& offset);
    Status syncDescriptor(int fd, const char* what);
    std::filesystem::path m_target;
    std::filesystem::path m_temporary;
    FileSystem* m_system = nullptr;
    Bytes m_size = 0;
    Bytes m_position = 0;
    int m_fd = -1;
    bool m_overwrite = false;
};

/// True if the two names reach the same file (device and inode), also through links; false if either is absent.
[[nodiscard]] bool isSameFile(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace sigmascope
