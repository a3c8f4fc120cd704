// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/LockedFile.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> failErrno(const fs::path& path, const char* what, int error)
{
    ErrorCode code = ErrorCode::WriteFailed;
    if (error == EACCES || error == EPERM || error == EROFS)
        code = ErrorCode::PermissionDenied;
    else if (error == ENOENT || error == ENOTDIR)
        code = ErrorCode::NotFound;
    else if (error == ENOSPC || error == EDQUOT)
        code = ErrorCode::NoSpace;
    else if (error == ELOOP)
        code = ErrorCode::NotRegularFile;
    return fail(code, Where{path.string(), {}, {}}, what + std::generic_category().message(error));
}

int openRetrying(const fs::path& path, int flags)
{
    int fd = -1;
    do
        fd = ::open(path.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/// False if another holds it. File systems without locks count as locked.
bool isLocked(int fd)
{
    int status = 0;
    do
        status = ::flock(fd, LOCK_EX | LOCK_NB);
    while (status != 0 && errno == EINTR);
    return status == 0 || errno != EWOULDBLOCK;
}

/// The name may have been taken from the file (renamed, removed) between open() and flock().
bool isStillNamed(int fd, const fs::path& path)
{
    struct stat opened {};
    struct stat named {};
    return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev
           && opened.st_ino == named.st_ino;
}

}  // namespace

LockedFile::LockedFile(LockedFile&& other) noexcept
    : m_fd(std::exchange(other.m_fd, -1)), m_isNew(other.m_isNew)
{
}

LockedFile& LockedFile::operator=(LockedFile&& other) noexcept
{
    std::swap(m_fd, other.m_fd);
    std::swap(m_isNew, other.m_isNew);
    return *this;
}

LockedFile::~LockedFile()
{
    if (m_fd >= 0)
        ::close(m_fd);
}

Result<LockedFile> LockedFile::open(const fs::path& path, Mode mode)
{
    // Every turn means that another process made, moved or removed the file in this very moment.
    constexpr int kMostTurns = 100;
    bool creates = false;
    for (int turn = 0; turn < kMostTurns; ++turn) {
        LockedFile file;
        file.m_fd = openRetrying(path, creates ? O_CREAT | O_EXCL : 0);
        file.m_isNew = creates;
        if (file.m_fd < 0) {
            if (errno == ENOENT && !creates && mode != Mode::OpenExisting) {
                creates = true;
                continue;
            }
            if (errno == EEXIST && creates) {
                creates = false;
                continue;
            }
            return failErrno(path, "cannot be opened for writing: ", errno);
        }
        struct stat status {};
        if (::fstat(file.m_fd, &status) != 0 || !S_ISREG(status.st_mode))
            return fail(ErrorCode::NotRegularFile, Where{path.string(), {}, {}}, "is not a regular file");
        if (!isLocked(file.m_fd))
            return fail(ErrorCode::OutputBusy, Where{path.string(), {}, {}}, "another process is writing it");
        if (!isStillNamed(file.m_fd, path)) {
            creates = false;
            continue;
        }
        if (mode != Mode::CreateAnew || creates)
            return file;
        if (::unlink(path.c_str()) != 0)
            return failErrno(path, "cannot be replaced: ", errno);
        creates = true;
    }
    return fail(ErrorCode::OutputBusy, Where{path.string(), {}, {}}, "other processes keep making and removing it");
}

}  // namespace sigmascope
