// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/base/Result.h"
#include "core/base/Units.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <stop_token>

namespace sigmascope {

/// The system calls that writing a file makes, so that tests can let the n-th fail, or all of them from the n-th on as
/// after a power cut. Return values as of write(2), fsync(2), …: -1 with errno.
class FileSystem {
public:
    virtual ~FileSystem() = default;
    /// Reserves [offset, offset + size).
    virtual int preallocate(int fd, Bytes offset, Bytes size);
    virtual std::ptrdiff_t writeAt(int fd, const void* data, std::size_t size, Bytes offset);
    virtual std::ptrdiff_t readAt(int fd, void* data, std::size_t size, Bytes offset);
    virtual int truncate(int fd, Bytes size);
    virtual int sync(int fd);
    /// Begins to write the range to the disk and does not wait. A hint.
    virtual void startWriteback(int fd, Bytes offset, Bytes size);
    virtual int rename(const char* from, const char* to);
    /// Fails with EEXIST instead of replacing.
    virtual int renameToNew(const char* from, const char* to);
    /// A second name for a file. Fails with EEXIST.
    virtual int link(const char* from, const char* to);
    virtual int remove(const char* path);
    [[nodiscard]] static FileSystem& real();
};

/// The code of errno for something that was to be written; @p otherwise for the unusual.
[[nodiscard]] ErrorCode codeOfErrno(int error, ErrorCode otherwise);
[[nodiscard]] std::string textOfErrno(int error);

/// All of @p data at @p offset, short writes and EINTR retried. @p offset ends behind what was written, also on failure.
/// @return 0, or errno.
[[nodiscard]] int writeFully(FileSystem& system, int fd, std::span<const std::byte> data, Bytes& offset);
/// Fills @p data; EIO's text for a file that ends before. @return 0, or errno.
[[nodiscard]] int readFully(FileSystem& system, int fd, std::span<std::byte> data, Bytes offset);
/// fsync, also when interrupted by signals. A stop request ends the wait at once (ECANCELED), the disk goes on.
/// @return 0, or errno. @p system must outlive a call that was given up: the real one does.
[[nodiscard]] int syncFully(FileSystem& system, int fd, const std::stop_token& stop = {});
/// Makes names in @p folder survive a power cut. @return 0, or errno; a folder that cannot be opened is no failure.
[[nodiscard]] int syncFolder(FileSystem& system, const std::filesystem::path& folder);

/// The folder a path names something in, "." if it says none.
[[nodiscard]] std::filesystem::path folderOf(const std::filesystem::path& path);
/// What an unprivileged process may still write there; the largest number where the system does not tell.
[[nodiscard]] Bytes freeBytesIn(const std::filesystem::path& folder);

}  // namespace sigmascope
