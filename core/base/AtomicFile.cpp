// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/AtomicFile.h"

#include "core/base/Checksum.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <limits>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace sigmascope {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 255;
/// What the disk is told to begin writing at once, so that the last flush finds little left.
constexpr Bytes kWritebackStep = Bytes{32} << 20;
/// A reservation in one call may take a file system seconds.
constexpr Bytes kReserveStep = Bytes{256} << 20;
constexpr Bytes kReadStep = Bytes{1} << 20;

/// The name must stay within NAME_MAX even when the target's own name fills it.
fs::path temporaryNameFor(const fs::path& target)
{
    constexpr std::size_t kLongestStem
        = kLongestName - std::string_view(".").size() - std::string_view(".partial-").size() - 16;
    std::random_device entropy;
    const std::uint64_t random = (std::uint64_t{entropy()} << 32) | entropy();
    const std::string stem = target.filename().string().substr(0, kLongestStem);
    return folderOf(target) / fmt::format(".{}.partial-{:016x}", stem, random);
}

/// "NAMEsuffix"; a name that would not fit is cut and told from its like by a checksum of the whole.
fs::path besides(const fs::path& path, std::string_view suffix)
{
    const fs::path target = path.has_filename() ? path : path.parent_path();  // "folder/" is the folder
    std::string name = target.filename().string();
    if (name.size() + suffix.size() > kLongestName) {
        Checksum whole;
        whole.add(std::as_bytes(std::span(name.data(), name.size())));
        name = fmt::format("{}~{:016x}", name.substr(0, kLongestName - suffix.size() - 17), whole.value());
    }
    return folderOf(target) / (name + std::string(suffix));
}

Status refuseUnsuitableTarget(const fs::path& target, bool overwrite)
{
    if (!target.has_filename() || target.filename() == "." || target.filename() == "..")
        return fail(ErrorCode::InvalidOption, Where{target.string()}, "a file name is expected");
    std::error_code error;
    const fs::file_status folder = fs::status(folderOf(target), error);
    if (folder.type() == fs::file_type::none)
        return fail(codeOfErrno(error.value(), ErrorCode::IoFailed), Where{target.string()}, "folder: " + error.message());
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
    // Where the old file waits while it is replaced: said now, not after hours of work.
    if (fs::exists(present) && fs::is_directory(fs::symlink_status(backupPathFor(target), error)))
        return fail(ErrorCode::NotRegularFile, Where{backupPathFor(target).string()}, "is a folder");
    return {};
}

/// The second name of @p path becomes @p backup, or its only one where the file system has no second names.
/// @return 0, or errno.
int keepAs(FileSystem& system, const fs::path& path, const fs::path& backup)
{
    for (bool again = true;; again = false) {
        if (system.link(path.c_str(), backup.c_str()) == 0)
            return 0;
        if (errno == EEXIST && again) {  // of a run that was cut short between two renames
            if (system.remove(backup.c_str()) != 0)
                return errno;
            continue;
        }
        break;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
        return errno;
    return system.rename(path.c_str(), backup.c_str()) == 0 ? 0 : errno;
}

bool isThere(const fs::path& path)
{
    std::error_code error;
    return fs::exists(fs::symlink_status(path, error));
}

}  // namespace

fs::path partialPathFor(const fs::path& target)
{
    return besides(target, ".sigmascope-partial");
}

fs::path backupPathFor(const fs::path& target)
{
    return besides(target, ".sigmascope-old");
}

fs::path journalPathFor(const fs::path& target)
{
    return besides(target, ".sigmascope-journal");
}

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const fs::path& target, Bytes size, bool overwrite,
                                                       FileSystem& system)
{
    return create(target, size, AtomicFileOptions{.overwrite = overwrite}, system);
}

Result<std::unique_ptr<AtomicFile>> AtomicFile::create(const fs::path& target, Bytes size,
                                                       const AtomicFileOptions& options, FileSystem& system)
{
    if (size > static_cast<Bytes>(std::numeric_limits<off_t>::max()))
        return fail(ErrorCode::SizeOverflow, Where{target.string()}, fmt::format("{} bytes are more than a file can hold", size));
    auto file = std::unique_ptr<AtomicFile>(new AtomicFile);
    file->m_target = target;
    file->m_system = &system;
    file->m_size = size;
    file->m_overwrite = options.overwrite;
    file->m_resumable = options.resumable;
    if (options.resumable && options.resume && options.placedInode) {
        struct stat status {};
        if (::lstat(target.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_ino == *options.placedInode
            && static_cast<Bytes>(status.st_size) == size) {
            if (auto opened = file->openPlaced(); !opened)
                return passOn(std::move(opened));
            return file;
        }
    }
    // A run without second names was cut short between two renames: the old file comes back.
    if (options.resumable && isThere(backupPathFor(target)) && !isThere(target))
        static_cast<void>(system.renameToNew(backupPathFor(target).c_str(), target.c_str()));
    if (auto suitable = refuseUnsuitableTarget(target, options.overwrite); !suitable)
        return passOn(std::move(suitable));
    if (auto opened = options.resumable ? file->openPartial(options) : file->openTemporary(); !opened)
        return passOn(std::move(opened));
    if (auto reserved = file->reserve(options.stop); !reserved) {
        if (!options.resume)  // else what an earlier run wrote would go
            file->discard();
        return passOn(std::move(reserved));
    }
    return file;
}

tl::unexpected<Error> AtomicFile::failErrno(int error, std::string_view what) const
{
    if (error == ECANCELED)
        return cancelledError();
    return fail(codeOfErrno(error, ErrorCode::WriteFailed), Where{m_target.string()},
                fmt::format("{}: {}", what, textOfErrno(error)));
}

Status AtomicFile::openTemporary()
{
    const fs::path temporary = temporaryNameFor(m_target);
    do
        m_fd = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    while (m_fd < 0 && errno == EINTR);
    if (m_fd < 0)
        return failErrno(errno, "cannot write into the folder");
    m_temporary = temporary;
    return {};
}

Status AtomicFile::openPartial(const AtomicFileOptions& options)
{
    const fs::path partial = partialPathFor(m_target);
    auto locked = LockedFile::open(partial, options.resume ? LockedFile::Mode::OpenOrCreate : LockedFile::Mode::CreateAnew);
    if (!locked)
        return passOn(std::move(locked));
    if (!locked->isNew()) {
        struct stat status {};
        // With a second name elsewhere the bytes are not ours alone.
        if (::fstat(locked->descriptor(), &status) != 0 || static_cast<Bytes>(status.st_size) != m_size || status.st_nlink != 1) {
            *locked = LockedFile();
            locked = LockedFile::open(partial, LockedFile::Mode::CreateAnew);
            if (!locked)
                return passOn(std::move(locked));
        }
    }
    m_locked = std::move(*locked);
    m_fd = m_locked.descriptor();
    m_temporary = partial;
    m_keeps = true;
    return {};
}

Status AtomicFile::openPlaced()
{
    do
        m_fd = ::open(m_target.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    while (m_fd < 0 && errno == EINTR);
    if (m_fd < 0)
        return failErrno(errno, "cannot be read back");
    m_isPlaced = true;
    m_hasBackup = isThere(backupPathFor(m_target));
    return {};
}

Status AtomicFile::reserve(const std::stop_token& stop)
{
    const Bytes available = freeBytesIn(folderOf(m_target));
    int error = 0;
    for (Bytes at = 0; at < m_size && error == 0;) {
        if (stop.stop_requested())
            return cancelledError();
        const Bytes step = std::min(kReserveStep, m_size - at);
        if (m_system->preallocate(m_fd, at, step) == 0)
            at += step;
        else if (errno != EINTR)
            error = errno;
    }
    if (error == 0)
        return {};
    const bool cannotReserve = error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
    if (cannotReserve && available >= m_size)
        return m_system->truncate(m_fd, m_size) == 0 ? Status() : failErrno(errno, "cannot be given its size");
    if (cannotReserve || codeOfErrno(error, ErrorCode::WriteFailed) == ErrorCode::NoSpace)
        return fail(ErrorCode::NoSpace, Where{m_target.string()},
                    fmt::format("{} bytes ({}) are needed, {} bytes ({}) are free: {}", m_size, formatBytes(m_size), available,
                                formatBytes(available), textOfErrno(error)));
    return failErrno(error, fmt::format("cannot reserve {} bytes", m_size));
}

AtomicFile::~AtomicFile()
{
    if (!m_temporary.empty() && !m_keeps)
        m_system->remove(m_temporary.c_str());
    if (m_fd >= 0 && !m_locked.isOpen())
        ::close(m_fd);
}

Status AtomicFile::write(std::span<const std::byte> data)
{
    if (data.size() > m_size - m_position)
        return fail(ErrorCode::VerifyFailed, Where{m_target.string(), {}, m_position},
                    fmt::format("{} bytes to write where {} are left of {}", data.size(), m_size - m_position, m_size));
    const Bytes begin = m_position;
    Status written = writeAll(data, m_position);
    m_notStarted += m_position - begin;
    if (m_notStarted >= kWritebackStep) {
        m_system->startWriteback(m_fd, m_position - m_notStarted, m_notStarted);
        m_notStarted = 0;
    }
    return written;
}

void AtomicFile::skip(Bytes count)
{
    assert(count <= m_size - m_position);
    moveTo(m_position + count);
}

void AtomicFile::moveTo(Bytes offset)
{
    assert(offset <= m_size);
    if (offset == m_position)
        return;
    if (m_notStarted > 0)
        m_system->startWriteback(m_fd, m_position - m_notStarted, m_notStarted);
    m_notStarted = 0;
    m_position = offset;
}

Status AtomicFile::rewrite(Bytes offset, std::span<const std::byte> data)
{
    assert(offset <= m_position && data.size() <= m_position - offset);
    return writeAll(data, offset);
}

Status AtomicFile::writeAll(std::span<const std::byte> data, Bytes& offset)
{
    if (m_isPlaced) {  // complete since an earlier run: only verify() has a say about its bytes
        offset += data.size();
        return {};
    }
    const Bytes size = data.size();
    const int error = writeFully(*m_system, m_fd, data, offset);
    if (error == 0)
        return {};
    std::string what = fmt::format("cannot write {} bytes: {}", size, textOfErrno(error));
    if (codeOfErrno(error, ErrorCode::WriteFailed) == ErrorCode::NoSpace)
        what += fmt::format("; {} bytes are needed, {} are free", m_size - offset, freeBytesIn(folderOf(m_target)));
    return fail(codeOfErrno(error, ErrorCode::WriteFailed), Where{m_target.string(), {}, offset}, what);
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

Result<std::uint64_t> AtomicFile::checksum(Bytes begin, Bytes end, const JobContext& job) const
{
    Checksum sum;
    std::vector<std::byte> piece(static_cast<std::size_t>(std::min(kReadStep, end - begin)));
    for (Bytes at = begin; at < end;) {
        if (job.cancelled())
            return cancelledError();
        const auto part = std::span(piece).first(static_cast<std::size_t>(std::min<Bytes>(kReadStep, end - at)));
        if (const int error = readFully(*m_system, m_fd, part, at); error != 0)
            return fail(ErrorCode::IoFailed, Where{m_target.string(), {}, at},
                        fmt::format("cannot read {} bytes back: {}", part.size(), textOfErrno(error)));
        sum.add(part);
        at += part.size();
        job.report(static_cast<double>(at - begin) / static_cast<double>(end - begin));
    }
    return sum.value();
}

std::uint64_t AtomicFile::inode() const
{
    struct stat status {};
    return ::fstat(m_fd, &status) == 0 ? status.st_ino : 0;
}

Status AtomicFile::flush(const std::stop_token& stop)
{
    if (m_isPlaced)
        return {};
    const int error = syncFully(*m_system, m_fd, stop);
    return error == 0 ? Status() : failErrno(error, "cannot flush to the disk");
}

Status AtomicFile::keepOld()
{
    if (!m_overwrite || !isThere(m_target))
        return {};
    const int error = keepAs(*m_system, m_target, backupPathFor(m_target));
    if (error != 0)
        return failErrno(error, "cannot keep the old file while it is replaced");
    m_hasBackup = true;
    return {};
}

Status AtomicFile::place()
{
    if (m_isPlaced)
        return {};
    if (auto kept = keepOld(); !kept)
        return kept;
    const int renamed = m_overwrite ? m_system->rename(m_temporary.c_str(), m_target.c_str())
                                    : m_system->renameToNew(m_temporary.c_str(), m_target.c_str());
    if (renamed != 0) {
        const int error = errno;
        if (m_hasBackup && !isThere(m_target))
            m_system->rename(backupPathFor(m_target).c_str(), m_target.c_str());
        else
            settle();
        m_hasBackup = false;
        return failErrno(error, "cannot rename the finished file");
    }
    m_isPlaced = true;
    return {};
}

void AtomicFile::takeBack()
{
    if (!m_isPlaced || m_temporary.empty())
        return;
    if (m_system->rename(m_target.c_str(), m_temporary.c_str()) != 0)
        return;
    m_isPlaced = false;
    if (m_hasBackup)
        m_system->rename(backupPathFor(m_target).c_str(), m_target.c_str());
    m_hasBackup = false;
}

void AtomicFile::settle()
{
    if (m_hasBackup)
        m_system->remove(backupPathFor(m_target).c_str());
    m_hasBackup = false;
    if (m_isPlaced)
        m_temporary.clear();
}

Status AtomicFile::commit()
{
    if (m_position != m_size)
        return fail(ErrorCode::VerifyFailed, Where{m_target.string()},
                    fmt::format("{} bytes were written where {} were announced", m_position, m_size));
    if (auto flushed = flush(); !flushed)
        return flushed;
    AtomicFile* const self = this;
    return placeTogether({&self, 1}, {}, *m_system);
}

Status placeTogether(std::span<AtomicFile* const> files, std::span<const fs::path> obsolete, FileSystem& system)
{
    std::size_t removed = 0;
    std::size_t placed = 0;
    Status status;
    const auto isNew = [&](const fs::path& path) {
        return std::ranges::any_of(files, [&](const AtomicFile* file) { return file->isPlaced() && file->target() == path; });
    };
    try {
        for (; removed < obsolete.size() && status; ++removed) {
            if (isThere(obsolete[removed]) && !isNew(obsolete[removed])
                && system.rename(obsolete[removed].c_str(), backupPathFor(obsolete[removed]).c_str()) != 0)
                status = fail(codeOfErrno(errno, ErrorCode::WriteFailed), Where{obsolete[removed].string()},
                              "cannot be taken away: " + textOfErrno(errno));
        }
        for (; placed < files.size() && status; ++placed)
            status = files[placed]->place();
    } catch (const std::bad_alloc&) {  // by what comes before a name is changed
        status = fail(ErrorCode::OutOfMemory, "not enough memory to give the finished files their names");
    }
    if (!status) {
        while (placed-- > 0)
            files[placed]->takeBack();
        while (removed-- > 0)
            static_cast<void>(system.renameToNew(backupPathFor(obsolete[removed]).c_str(), obsolete[removed].c_str()));
        return status;
    }
    int error = 0;
    for (AtomicFile* file : files) {
        if (error == 0)
            error = syncFolder(system, folderOf(file->target()));
    }
    for (AtomicFile* file : files)
        file->settle();
    for (const fs::path& path : obsolete)
        system.remove(backupPathFor(path).c_str());
    if (error == 0 || files.empty())
        return {};
    return fail(codeOfErrno(error, ErrorCode::WriteFailed), Where{files.front()->target().string()},
                "the file is complete, but its name may not survive a power cut: " + textOfErrno(error));
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
