// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/MappedFile.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <string>
#include <system_error>

namespace sigmascope {

namespace {

// The kernel's default limit of mappings in a process is 65,530. Untouched slots cost no memory.
constexpr std::size_t kSlots = 65536;

/// One registered mapping. Only the owner writes; the signal handler reads with a sequence lock, so that
/// a slot being reused by another thread is never mistaken for the one that faults.
struct Slot {
    std::atomic<std::uint32_t> sequence{0};  // odd while begin and end change
    std::atomic<bool> taken{false};
    std::atomic<bool> broken{false};
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::uintptr_t> end{0};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

std::array<Slot, kSlots> g_slots;
std::atomic<std::size_t> g_slotsUsed{0};  // no slot at or above it was ever taken
std::atomic<std::size_t> g_firstGuess{0};
struct sigaction g_previous;
std::uintptr_t g_pageSize = 4096;

void setRange(Slot& slot, std::uintptr_t begin, std::uintptr_t end)
{
    slot.sequence.fetch_add(1, std::memory_order_acq_rel);
    slot.begin.store(begin, std::memory_order_release);
    slot.end.store(end, std::memory_order_release);
    slot.sequence.fetch_add(1, std::memory_order_acq_rel);
}

/// -1 if the table is full.
int takeSlot(const void* data, std::size_t size)
{
    const std::size_t start = g_firstGuess.load(std::memory_order_relaxed);
    for (std::size_t k = 0; k < kSlots; ++k) {
        const std::size_t i = (start + k) % kSlots;
        Slot& slot = g_slots[i];
        bool expected = false;
        if (slot.taken.load(std::memory_order_relaxed) || !slot.taken.compare_exchange_strong(expected, true))
            continue;
        slot.broken.store(false, std::memory_order_relaxed);
        const auto begin = reinterpret_cast<std::uintptr_t>(data);
        const std::uintptr_t length = (size + g_pageSize - 1) / g_pageSize * g_pageSize;
        std::size_t used = g_slotsUsed.load();
        while (used < i + 1 && !g_slotsUsed.compare_exchange_weak(used, i + 1)) {
        }
        setRange(slot, begin, begin + length);
        g_firstGuess.store(i + 1, std::memory_order_relaxed);
        return static_cast<int>(i);
    }
    return -1;
}

void giveSlotBack(int index)
{
    Slot& slot = g_slots[static_cast<std::size_t>(index)];
    setRange(slot, 0, 0);
    slot.taken.store(false, std::memory_order_release);
    g_firstGuess.store(static_cast<std::size_t>(index), std::memory_order_relaxed);
}

/// Async-signal-safe. Lays zero pages from the faulting page to the mapping's end; false if the address
/// belongs to no registered mapping.
bool healMapping(std::uintptr_t address)
{
    const std::size_t used = g_slotsUsed.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < used; ++i) {
        Slot& slot = g_slots[i];
        const std::uint32_t before = slot.sequence.load(std::memory_order_acquire);
        const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire);
        const std::uintptr_t end = slot.end.load(std::memory_order_acquire);
        if ((before & 1U) != 0 || slot.sequence.load(std::memory_order_acquire) != before)
            continue;  // being changed by its owner, so not the mapping that is being read
        if (address < begin || address >= end)
            continue;
        slot.broken.store(true, std::memory_order_release);
        const std::uintptr_t page = address & ~(g_pageSize - 1);
        // The bare system call: a sanitizer's interceptor of mmap is not safe in a signal handler.
        const long mapped = syscall(SYS_mmap, page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
        return mapped != -1;
    }
    return false;
}

void restoreDefaultAction()
{
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    sigaction(SIGBUS, &standard, nullptr);
}

/// A signal that is not ours means what it meant before our handler came.
void callPrevious(int number, siginfo_t* info, void* context)
{
    // One-shot handlers (Qt Test's) rely on the default action when the fault comes again.
    if ((g_previous.sa_flags & SA_RESETHAND) != 0)
        restoreDefaultAction();
    const bool fault = info->si_code > 0;
    if ((g_previous.sa_flags & SA_SIGINFO) != 0 && g_previous.sa_sigaction != nullptr) {
        g_previous.sa_sigaction(number, info, context);
    } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
        g_previous.sa_handler(number);
    } else if (fault || g_previous.sa_handler == SIG_DFL) {
        restoreDefaultAction();  // returning to the instruction that faulted runs it again, and that is the end
        if (!fault)
            raise(SIGBUS);
    }
}

extern "C" void sigmascopeOnBusError(int number, siginfo_t* info, void* context)
{
    const int savedErrno = errno;
    const bool fault = info->si_code > 0;  // not sent by kill() or raise()
    if (fault && healMapping(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
        errno = savedErrno;
        return;
    }
    callPrevious(number, info, context);
    errno = savedErrno;
}

void installHandlerOnce()
{
    static std::once_flag once;
    std::call_once(once, [] {
        g_pageSize = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
        sigaction(SIGBUS, nullptr, &g_previous);  // known before ours can run
        struct sigaction ours {};
        ours.sa_sigaction = &sigmascopeOnBusError;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        sigemptyset(&ours.sa_mask);
        sigaction(SIGBUS, &ours, nullptr);
    });
}

Where whole(const std::filesystem::path& path)
{
    return Where{path.native(), {}, {}};
}

tl::unexpected<Error> failMapping(const std::filesystem::path& path, std::string_view what, int error)
{
    ErrorCode code = ErrorCode::IoFailed;
    if (error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP)
        code = ErrorCode::NotFound;
    else if (error == EACCES || error == EPERM)
        code = ErrorCode::PermissionDenied;
    return fail(code, whole(path), std::string(what) + ": " + std::generic_category().message(error));
}

std::string_view kindOf(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a pipe (FIFO)";
    if (S_ISSOCK(mode))
        return "a socket";
    return "a device";
}

FileIdentity identityOf(const struct stat& status)
{
    return {.device = status.st_dev,
            .inode = status.st_ino,
            .size = static_cast<Bytes>(status.st_size),
            .mtimeNs = static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec};
}

/// Closes on every way out.
struct Descriptor {
    int fd;
    explicit Descriptor(int number) : fd(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor()
    {
        if (fd >= 0)
            close(fd);
    }
};

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::filesystem::path& path)
{
    if (path.empty() || path.native().find('\0') != std::string::npos)
        return fail(ErrorCode::NotFound, whole(path), "not a file name");
    struct stat status {};
    // Asked before open(): opening a device can already do something.
    if (stat(path.c_str(), &status) != 0)
        return failMapping(path, "cannot be opened", errno);
    if (!S_ISREG(status.st_mode))
        return fail(ErrorCode::NotRegularFile, whole(path),
                    "expected a regular file, found " + std::string(kindOf(status.st_mode)));
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (file.fd < 0)
        return failMapping(path, "cannot be opened", errno);
    if (fstat(file.fd, &status) != 0)
        return failMapping(path, "cannot be examined", errno);
    if (!S_ISREG(status.st_mode))
        return fail(ErrorCode::NotRegularFile, whole(path),
                    "expected a regular file, found " + std::string(kindOf(status.st_mode)));

    std::unique_ptr<MappedFile> mapped(new MappedFile);
    mapped->m_path = path;
    mapped->m_identity = identityOf(status);
    if (mapped->m_identity.size == 0)
        return mapped;
    installHandlerOnce();
    const auto size = static_cast<std::size_t>(mapped->m_identity.size);
    void* const data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
    if (data == MAP_FAILED)
        return failMapping(path, "cannot be mapped into memory", errno);
    mapped->m_slot = takeSlot(data, size);
    if (mapped->m_slot < 0) {
        munmap(data, size);
        return fail(ErrorCode::IoFailed, whole(path), "too many files are mapped at once");
    }
    mapped->m_data = static_cast<const std::byte*>(data);
    mapped->m_size = size;
    return mapped;
}

MappedFile::~MappedFile()
{
    if (m_slot < 0)
        return;
    giveSlotBack(m_slot);
    munmap(const_cast<std::byte*>(m_data), m_size);
}

bool MappedFile::isBroken() const
{
    return m_slot >= 0 && g_slots[static_cast<std::size_t>(m_slot)].broken.load(std::memory_order_acquire);
}

Status MappedFile::checkUnchanged() const
{
    if (isBroken())
        return fail(ErrorCode::FileBroken, whole(m_path), "the file was truncated or became unreadable while it was in use");
    struct stat status {};
    if (stat(m_path.c_str(), &status) != 0)
        return fail(ErrorCode::FileChanged, whole(m_path),
                    "the file is gone since it was opened: " + std::generic_category().message(errno));
    const FileIdentity now = identityOf(status);
    if (now == m_identity)
        return {};
    if (now.size != m_identity.size)
        return fail(ErrorCode::FileChanged, whole(m_path),
                    "the file changed since it was opened: " + std::to_string(m_identity.size) + " bytes then, "
                        + std::to_string(now.size) + " now");
    const bool replaced = now.inode != m_identity.inode || now.device != m_identity.device;
    return fail(ErrorCode::FileChanged, whole(m_path),
                replaced ? "the file was replaced by another since it was opened"
                         : "the file was written to since it was opened");
}

void MappedFile::release(Bytes offset, Bytes length) const
{
    if (m_data == nullptr || isBroken() || offset >= m_size)
        return;
    const auto end = std::min<Bytes>(m_size, length > m_size - offset ? m_size : offset + length);
    const Bytes firstPage = (offset + g_pageSize - 1) / g_pageSize * g_pageSize;
    // The last page of the file is ours alone, whole or not.
    const Bytes pastLastPage = end == m_size ? end : end / g_pageSize * g_pageSize;
    if (firstPage < pastLastPage)
        madvise(const_cast<std::byte*>(m_data) + firstPage, static_cast<std::size_t>(pastLastPage - firstPage), MADV_DONTNEED);
}

}  // namespace sigmascope
