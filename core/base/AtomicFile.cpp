// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/AtomicFile.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <system_error>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

std::string textOf(int error)
{
    return std::generic_category().message(error);
}

ErrorCode codeOf(int error, ErrorCode otherwise)
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
    default:
        return otherwise;
    }
}

fs::path folderOf(const fs::path& target)
{
    return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

Bytes freeBytes(const fs::path& folder)
{
    struct statvfs information {};
    if (::statvfs(folder.c_str(), &information) != 0)
        return std::numeric_limits<Bytes>::max();
    return Bytes{information.f_bavail} * information.f_frsize;
}

/// The name must stay within NAME_MAX even when the target's own name fills it.
fs::path temporaryNameFor(const fs::path& target)
{
    constexpr std::size_t kLongestStem = 255 - std::string_view(".").size() - std::string_view(".partial-").size() - 16;
    std::random_device entropy;
    const std::uint64_t random = (std::uint64_t{entropy()} << 32) | entropy();
    const std::string stem = target.filename().string().substr(0, kLongestStem);
    return folderOf(target) / fmt::format(".{}.partial-{:016x}", stem, random);
}

Status refuseUnsuitableTarget(const fs::path& target, bool overwrite)
{
    if (!target.has_filename() || target.filename() == "." || target.filename() == "..")
        return fail(ErrorCode::InvalidOption, Where{target.string()}, "a file name is expected");
    std::error_code error;
    const fs::file_status folder = fs::status(folderOf(target), error);
    if (folder.type() == fs::file_type::none)
        return fail(codeOf(error.value(), ErrorCode::IoFailed), Where{target.string()}, "folder: " + error.message());
    if (folder.type() == fs::file_type::not_found)
        return fail(ErrorCode::NotFound, Where{target.string()},
                    "the folder " + escaped(folderOf(target).string(), 4096) + " does not exist");
    if (!fs::is_directory(folder))
        return fail(ErrorCode::NotFound, Where{target.string()},
                    escaped(folderOf(target).string(), 4096) + " is not a folder");
    const fs::file_status present = fs::symlink_status(target, error);
    if (fs::is_directory(present))
        return fail(ErrorCode::NotRegularFile, Where{target.string()}, "is a folder");
    if (fs::exists(present) && !overwrite)
        return fail(ErrorCode::WouldOverwrite, Where{target.string()}, "exists already");
    // A FIFO or device would be replaced by a plain file, which nobody means.
    if (fs::exists(present) && !fs::is_regular_file(present) && !fs::is_symlink(present))
        return fail(ErrorCode::NotRegularFile, Where{target.string()}, "is not a regular file");
    return {};
}

}  // namespace

int FileSystem::preallocate(int fd, Bytes size)
{
    // Not posix_fallocate: where the file system cannot reserve, glibc writes every block instead.
    return ::fallocate(fd, 0, 0, static_cast<off_t>(size));
}

std::ptrdiff_t FileSystem::writeAt(int fd, const void* data, std::size_t size, Bytes offset)
{
    return ::pwrite(fd, data, size, static_cast<off_t>(offset));
}

int FileSystem::sync(int fd)
{
    return ::fsync(fd);
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

FileSystem& FileSystem::real()
{
    static FileSystem system;
    return system;
}

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const fs::path& target, Bytes size, bool overwrite,
                                                       FileSystem& system)
{
    if (auto suitable = refuseUnsuitableTarget(target, overwrite); !suitable)
        return passOn(std::move(suitable));
    if (size > static_cast<Bytes>(std::numeric_limits<off_t>::max()))
        return fail(ErrorCode::SizeOverflow, Where{target.string()}, fmt::format("{} bytes are more than a file can hold", size));

    auto file = std::unique_ptr<AtomicFile>(new AtomicFile);
    file->m_target = target;
    file->m_system = &system;
    file->m_size = size;
    file->m_overwrite = overwrite;
    const fs::path temporary = temporaryNameFor(target);
    do
        file->m_fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    while (file->m_fd < 0 && errno == EINTR);
    if (file->m_fd < 0) {
        const int error = errno;
        return fail(codeOf(error, ErrorCode::WriteFailed), Where{target.string()},
                    fmt::format("cannot write into the folder: {}", textOf(error)));
    }
    file->m_temporary = temporary;
    if (auto reserved = file->reserve(); !reserved)
        return passOn(std::move(reserved));
    return file;
}

Status AtomicFile::reserve()
{
    if (m_size == 0)
        return {};
    const Bytes available = freeBytes(folderOf(m_target));
    int status = 0;
    do
        status = m_system->preallocate(m_fd, m_size);
    while (status != 0 && errno == EINTR);
    const int error = status == 0 ? 0 : errno;
    const bool cannotReserve = error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
    if (error == 0 || (cannotReserve && available >= m_size))
        return {};
    if (cannotReserve || codeOf(error, ErrorCode::WriteFailed) == ErrorCode::NoSpace)
        return fail(ErrorCode::NoSpace, Where{m_target.string()},
                    fmt::format("{} bytes ({}) are needed, {} bytes ({}) are free", m_size, formatBytes(m_size), available,
                                formatBytes(available)));
    return fail(codeOf(error, ErrorCode::WriteFailed), Where{m_target.string()},
                fmt::format("cannot reserve {} bytes: {}", m_size, textOf(error)));
}

AtomicFile::~AtomicFile()
{
    if (m_fd >= 0)
        ::close(m_fd);
    if (!m_temporary.empty())
        ::unlink(m_temporary.c_str());
}

Status AtomicFile::write(std::span<const std::byte> data)
{
    if (data.size() > m_size - m_position)
        return fail(ErrorCode::VerifyFailed, Where{m_target.string(), {}, m_position},
                    fmt::format("{} bytes to write where {} are left of {}", data.size(), m_size - m_position, m_size));
    return writeAll(data, m_position);
}

Status AtomicFile::rewrite(Bytes offset, std::span<const std::byte> data)
{
    assert(offset <= m_position && data.size() <= m_position - offset);
    return writeAll(data, offset);
}

Status AtomicFile::writeAll(std::span<const std::byte> data, Bytes& offset)
{
    while (!data.empty()) {
        const std::ptrdiff_t written = m_system->writeAt(m_fd, data.data(), data.size(), offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            const int error = written == 0 ? EIO : errno;
            std::string what = fmt::format("cannot write {} bytes: {}", data.size(), textOf(error));
            if (codeOf(error, ErrorCode::WriteFailed) == ErrorCode::NoSpace)
                what += fmt::format("; {} bytes are needed, {} are free", m_size - offset, freeBytes(folderOf(m_target)));
            return fail(codeOf(error, ErrorCode::WriteFailed), Where{m_target.string(), {}, offset}, what);
        }
        offset += static_cast<Bytes>(written);
        data = data.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Status AtomicFile::writeZeros(Bytes count)
{
    static constexpr std::array<std::byte, 4096> kZeros{};
    while (count > 0) {
        const std::size_t step = static_cast<std::size_t>(std::min<Bytes>(count, kZeros.size()));
        if (auto written = write(std::span(kZeros).first(step)); !written)
            return written;
        count -= step;
    }
    return {};
}

Status AtomicFile::syncDescriptor(int fd, const char* what)
{
    int status = 0;
    do
        status = m_system->sync(fd);
    while (status != 0 && errno == EINTR);
    if (status == 0)
        return {};
    const int error = errno;
    return fail(codeOf(error, ErrorCode::WriteFailed), Where{m_target.string()}, fmt::format("{}: {}", what, textOf(error)));
}

Status AtomicFile::commit()
{
    if (m_position != m_size)
        return fail(ErrorCode::VerifyFailed, Where{m_target.string()},
                    fmt::format("{} bytes were written where {} were announced", m_position, m_size));
    if (auto synced = syncDescriptor(m_fd, "cannot flush to the disk"); !synced)
        return synced;
    const int renamed = m_overwrite ? m_system->rename(m_temporary.c_str(), m_target.c_str())
                                    : m_system->renameToNew(m_temporary.c_str(), m_target.c_str());
    if (renamed != 0) {
        const int error = errno;
        return fail(codeOf(error, ErrorCode::WriteFailed), Where{m_target.string()},
                    fmt::format("cannot rename the finished file: {}", textOf(error)));
    }
    m_temporary.clear();

    const int folder = ::open(folderOf(m_target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return {};  // a folder that may be written but not read: nothing more can be done for durability
    auto synced = syncDescriptor(folder, "the file is complete, but its name may not survive a power cut");
    ::close(folder);
    return synced;
}

bool isSameFile(const fs::path& a, const fs::path& b)
{
    struct stat first {};
    struct stat second {};
    if (::stat(a.c_str(), &first) != 0 || ::stat(b.c_str(), &second) != 0)
        return false;
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace sigmascope
