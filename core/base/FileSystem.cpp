// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/FileSystem.h"

#include "core/base/Parallel.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <system_error>

namespace sigmascope {

int FileSystem::preallocate(int fd, Bytes offset, Bytes size)
{
    // Not posix_fallocate: where the file system cannot reserve, glibc writes every block instead.
    return ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(size));
}

std::ptrdiff_t FileSystem::writeAt(int fd, const void* data, std::size_t size, Bytes offset)
{
    return ::pwrite(fd, data, size, static_cast<off_t>(offset));
}

std::ptrdiff_t FileSystem::readAt(int fd, void* data, std::size_t size, Bytes offset)
{
    return ::pread(fd, data, size, static_cast<off_t>(offset));
}

int FileSystem::truncate(int fd, Bytes size)
{
    return ::ftruncate(fd, static_cast<off_t>(size));
}

int FileSystem::sync(int fd)
{
    return ::fsync(fd);
}

void FileSystem::startWriteback(int fd, Bytes offset, Bytes size)
{
    static_cast<void>(::sync_file_range(fd, static_cast<off64_t>(offset), static_cast<off64_t>(size), SYNC_FILE_RANGE_WRITE));
}

int FileSystem::rename(const char* from, const char* to)
{
    return ::rename(from, to);
}

int FileSystem::renameToNew(const char* from, const char* to)
{
    const int renamed = static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
    if (renamed == 0 || (errno != EINVAL && errno != ENOSYS))
        return renamed;
    // Network and older file systems: a hard link refuses an existing name just as well.
    return ::link(from, to) == 0 ? ::unlink(from) : -1;
}

int FileSystem::link(const char* from, const char* to)
{
    return ::link(from, to);
}

int FileSystem::remove(const char* path)
{
    return ::unlink(path);
}

FileSystem& FileSystem::real()
{
    static FileSystem system;
    return system;
}

ErrorCode codeOfErrno(int error, ErrorCode otherwise)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
        return ErrorCode::PermissionDenied;
    case ENOENT:
    case ENOTDIR:
        return ErrorCode::NotFound;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ErrorCode::NoSpace;
    case EEXIST:
        return ErrorCode::WouldOverwrite;
    case ECANCELED:
        return ErrorCode::Cancelled;
    default:
        return otherwise;
    }
}

std::string textOfErrno(int error)
{
    return std::generic_category().message(error);
}

int writeFully(FileSystem& system, int fd, std::span<const std::byte> data, Bytes& offset)
{
    while (!data.empty()) {
        const std::ptrdiff_t written = system.writeAt(fd, data.data(), data.size(), offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written == 0 ? EIO : errno;
        offset += static_cast<Bytes>(written);
        data = data.subspan(static_cast<std::size_t>(written));
    }
    return 0;
}

int readFully(FileSystem& system, int fd, std::span<std::byte> data, Bytes offset)
{
    while (!data.empty()) {
        const std::ptrdiff_t count = system.readAt(fd, data.data(), data.size(), offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? EIO : errno;
        offset += static_cast<Bytes>(count);
        data = data.subspan(static_cast<std::size_t>(count));
    }
    return 0;
}

int syncFully(FileSystem& system, int fd, const std::stop_token& stop)
{
    const auto syncNow = [&system](int descriptor) {
        int status = 0;
        do
            status = system.sync(descriptor);
        while (status != 0 && errno == EINTR);
        return status == 0 ? 0 : errno;
    };
    if (!stop.stop_possible())
        return syncNow(fd);
    // A descriptor of its own: the wait may be given up and the file closed while the disk is still busy.
    // Closed in any case, work that is never begun included: it holds the file's lock.
    struct Twin {
        explicit Twin(int own) : fd(own) {}
        ~Twin() { ::close(fd); }
        Twin(const Twin&) = delete;
        Twin& operator=(const Twin&) = delete;
        int fd;
    };
    const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0)
        return syncNow(fd);
    auto twin = std::make_shared<Twin>(duplicate);
    const auto error = std::make_shared<int>(0);
    const bool done = runAbandonable(stop, [syncNow, twin = std::move(twin), error]() mutable {
        *error = syncNow(twin->fd);
        twin.reset();
    });
    return done ? *error : ECANCELED;
}

int syncFolder(FileSystem& system, const std::filesystem::path& folder)
{
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;  // a folder that may be written but not read: nothing more can be done for durability
    const int error = syncFully(system, fd);
    ::close(fd);
    return error;
}

std::filesystem::path folderOf(const std::filesystem::path& path)
{
    return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

Bytes freeBytesIn(const std::filesystem::path& folder)
{
    struct statvfs information {};
    if (::statvfs(folder.c_str(), &information) != 0)
        return std::numeric_limits<Bytes>::max();
    return Bytes{information.f_bavail} * information.f_frsize;
}

}  // namespace sigmascope
