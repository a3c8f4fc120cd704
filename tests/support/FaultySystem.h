// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A file system that fails on purpose: one call, or every call from one on as when the process is killed or the power
// goes. Counts only calls that change something.

#include "core/base/FileSystem.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <fcntl.h>

namespace sigmascope::test
{

class FaultySystem final : public FileSystem
{
public:
    enum class Fault {
        None,
        Death, ///< this call and all after it fail; a write that dies has written half
        Full, ///< every write and reservation from here on fails with ENOSPC
        Once, ///< this call alone fails with EIO
    };
    FaultySystem() = default;
    FaultySystem(Fault fault, int nth)
        : m_fault(fault)
        , m_nth(nth)
    {
    }
    ~FaultySystem() override
    {
        for (auto& [inode, file] : m_files)
            ::close(file.fd);
    }

    /// Asked before each call with its number, from 1.
    std::function<void(int)> onCall;
    /// What calls fail with, instead of EIO, or ENOSPC of a full disk: ESTALE of a server that is gone, EDQUOT of a quota.
    int error = 0;
    /// Writes and reads that stop short and are interrupted, as signals and network mounts make them.
    bool stutters = false;

    [[nodiscard]] int calls() const { return m_calls; }
    [[nodiscard]] bool hasFailed() const { return m_failed; }

    /// What no sync has put on the disk is lost: reads as zeros.
    void losePower()
    {
        for (const auto& [inode, file] : m_files) {
            for (const auto& [offset, size] : file.unsynced) {
                const std::vector<char> zeros(size, 0);
                static_cast<void>(::pwrite(file.fd, zeros.data(), zeros.size(), static_cast<off_t>(offset)));
            }
        }
    }

    int preallocate(int fd, Bytes offset, Bytes size) override
    {
        return fails(Kind::Space) ? -1 : FileSystem::preallocate(fd, offset, size);
    }
    std::ptrdiff_t writeAt(int fd, const void* data, std::size_t size, Bytes offset) override
    {
        if (stutters && ++m_stutter % 3 == 0) {
            errno = EINTR;
            return -1;
        }
        const std::size_t part = stutters ? std::max<std::size_t>(1, size / 2) : size;
        const bool dead = m_dead;
        if (fails(Kind::Space)) {
            if (m_dead && !dead)
                note(fd, offset, static_cast<std::size_t>(
                                     std::max<std::ptrdiff_t>(0, FileSystem::writeAt(fd, data, size / 2, offset))));
            errno = m_error;
            return -1;
        }
        const std::ptrdiff_t written = FileSystem::writeAt(fd, data, part, offset);
        note(fd, offset, static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, written)));
        return written;
    }
    std::ptrdiff_t readAt(int fd, void* data, std::size_t size, Bytes offset) override
    {
        if (stutters && ++m_stutter % 3 == 0) {
            errno = EINTR;
            return -1;
        }
        if (m_dead || --m_readsLeft == 0) {
            errno = error != 0 ? error : EIO;
            return -1;
        }
        return FileSystem::readAt(fd, data, stutters ? std::max<std::size_t>(1, size / 2) : size, offset);
    }
    int truncate(int fd, Bytes size) override { return fails(Kind::Other) ? -1 : FileSystem::truncate(fd, size); }
    int sync(int fd) override
    {
        if (stutters && ++m_stutter % 3 == 0) {
            errno = EINTR;
            return -1;
        }
        if (fails(Kind::Other))
            return -1;
        {
            const std::scoped_lock lock(m_mutex);
            if (const auto found = m_files.find(inodeOf(fd)); found != m_files.end())
                found->second.unsynced.clear();
        }
        return FileSystem::sync(fd);
    }
    int rename(const char* from, const char* to) override
    {
        return fails(Kind::Other) ? -1 : FileSystem::rename(from, to);
    }
    int renameToNew(const char* from, const char* to) override
    {
        return fails(Kind::Other) ? -1 : FileSystem::renameToNew(from, to);
    }
    int link(const char* from, const char* to) override { return fails(Kind::Other) ? -1 : FileSystem::link(from, to); }
    int remove(const char* path) override { return fails(Kind::Other) ? -1 : FileSystem::remove(path); }

    /// The n-th read from now fails with EIO.
    void failRead(int nth) { m_readsLeft = nth; }

private:
    enum class Kind { Space, Other };
    struct File {
        int fd = -1;
        std::vector<std::pair<Bytes, std::size_t>> unsynced;
    };

    static ino_t inodeOf(int fd)
    {
        struct stat status{};
        return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
    }
    void note(int fd, Bytes offset, std::size_t size)
    {
        const std::scoped_lock lock(m_mutex);
        File& file = m_files[inodeOf(fd)];
        // Opened anew: a duplicate would go on holding the lock of a process that is to be dead.
        if (file.fd < 0)
            file.fd = ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC);
        file.unsynced.emplace_back(offset, size);
    }
    bool fails(Kind kind)
    {
        // A sync may run on a thread of its own, and be left behind there.
        const std::scoped_lock lock(m_mutex);
        if (m_dead) {
            errno = m_error = error != 0 ? error : EIO;
            return true;
        }
        const int call = ++m_calls;
        if (onCall)
            onCall(call);
        bool failed = false;
        if (m_fault == Fault::Death)
            failed = m_dead = call == m_nth;
        else if (m_fault == Fault::Full)
            failed = kind == Kind::Space && call >= m_nth;
        else if (m_fault == Fault::Once)
            failed = call == m_nth;
        m_failed = m_failed || failed;
        if (failed)
            errno = m_error = error != 0 ? error : m_fault == Fault::Full ? ENOSPC : EIO;
        return failed;
    }

    Fault m_fault = Fault::None;
    int m_nth = 0;
    int m_calls = 0;
    int m_stutter = 0;
    int m_readsLeft = 0;
    int m_error = EIO;
    bool m_dead = false;
    bool m_failed = false;
    std::mutex m_mutex;
    std::map<ino_t, File> m_files;
};

} // namespace sigmascope::test
