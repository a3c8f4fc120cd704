// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/AtomicFile.h"

#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

using namespace sigmascope;
namespace fs = std::filesystem;

namespace {

enum class Call { Preallocate, Write, Sync, Rename, RenameToNew };

/// Lets the n-th call of one kind fail; everything else is the real system, in writes of a few bytes.
class FailingSystem : public FileSystem {
public:
    FailingSystem(Call call, int nth, int error) : m_call(call), m_left(nth), m_error(error) {}

    int preallocate(int fd, Bytes offset, Bytes size) override
    {
        return fails(Call::Preallocate) ? -1 : FileSystem::preallocate(fd, offset, size);
    }
    std::ptrdiff_t writeAt(int fd, const void* data, std::size_t size, Bytes offset) override
    {
        if (fails(Call::Write))
            return -1;
        return FileSystem::writeAt(fd, data, std::min<std::size_t>(size, 7), offset);
    }
    int sync(int fd) override { return fails(Call::Sync) ? -1 : FileSystem::sync(fd); }
    int rename(const char* from, const char* to) override { return fails(Call::Rename) ? -1 : FileSystem::rename(from, to); }
    int renameToNew(const char* from, const char* to) override
    {
        return fails(Call::RenameToNew) ? -1 : FileSystem::renameToNew(from, to);
    }
    [[nodiscard]] bool hasFailed() const { return m_left <= 0; }

private:
    bool fails(Call call)
    {
        if (call != m_call || --m_left != 0)
            return false;
        errno = m_error;
        return true;
    }

    Call m_call;
    int m_left;
    int m_error;
};

std::span<const std::byte> bytesOf(std::string_view text)
{
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string contentOf(const fs::path& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t entriesIn(const fs::path& folder)
{
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

constexpr std::string_view kNew = "the new content, longer than one short write";

Status writeNew(const fs::path& target, bool overwrite, FileSystem& system)
{
    auto file = AtomicFile::create(target, kNew.size() + 5, overwrite, system);
    if (!file)
        return passOn(std::move(file));
    if (auto written = (*file)->write(bytesOf(kNew)); !written)
        return written;
    if (auto written = (*file)->writeZeros(5); !written)
        return written;
    return (*file)->commit();
}

}  // namespace

class TestAtomicFile : public QObject {
    Q_OBJECT

private:
    QTemporaryDir m_dir;
    fs::path m_target;

private slots:
    void init()
    {
        QVERIFY(m_dir.isValid());
        fs::remove_all(m_dir.path().toStdString());
        fs::create_directories(m_dir.path().toStdString());
        m_target = fs::path(m_dir.path().toStdString()) / "model.gguf";
    }

    void aFileAppearsWhole()
    {
        QVERIFY(writeNew(m_target, false, FileSystem::real()));
        QCOMPARE(contentOf(m_target), std::string(kNew) + std::string(5, '\0'));
        QCOMPARE(entriesIn(m_target.parent_path()), std::size_t{1});
    }

    void nothingStandsAtTheTargetBeforeCommit()
    {
        auto file = AtomicFile::create(m_target, 3, false);
        QVERIFY(file);
        QVERIFY((*file)->write(bytesOf("abc")));
        QVERIFY(!fs::exists(m_target));
        QCOMPARE(contentOf((*file)->temporaryPath()), std::string("abc"));
        const std::string name = (*file)->temporaryPath().filename().string();
        QVERIFY(name.starts_with(".model.gguf.partial-"));
        file->reset();
        QCOMPARE(entriesIn(m_target.parent_path()), std::size_t{0});
    }

    void anExistingFileIsKeptUnlessToldOtherwise()
    {
        std::ofstream(m_target) << "old";
        const auto refused = AtomicFile::create(m_target, 3, false);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::WouldOverwrite);
        QVERIFY(refused.error().detail.find("model.gguf") != std::string::npos);
        QVERIFY(writeNew(m_target, true, FileSystem::real()));
        QVERIFY(contentOf(m_target).starts_with(kNew));
    }

    void aFileThatAppearsMeanwhileIsNotReplaced()
    {
        auto file = AtomicFile::create(m_target, 3, false);
        QVERIFY(file);
        QVERIFY((*file)->write(bytesOf("abc")));
        std::ofstream(m_target) << "theirs";
        const Status status = (*file)->commit();
        QVERIFY(!status);
        QCOMPARE(status.error().code, ErrorCode::WouldOverwrite);
        file->reset();
        QCOMPARE(contentOf(m_target), std::string("theirs"));
        QCOMPARE(entriesIn(m_target.parent_path()), std::size_t{1});
    }

    void everyFailingCallLeavesTheOldFileAndNoTemporary_data()
    {
        QTest::addColumn<int>("call");
        QTest::addColumn<int>("error");
        QTest::addColumn<bool>("overwrite");
        QTest::addColumn<int>("code");
        const auto row = [](const char* name, Call call, int error, bool overwrite, ErrorCode code) {
            QTest::newRow(name) << static_cast<int>(call) << error << overwrite << static_cast<int>(code);
        };
        row("preallocate: full", Call::Preallocate, ENOSPC, true, ErrorCode::NoSpace);
        row("preallocate: quota", Call::Preallocate, EDQUOT, true, ErrorCode::NoSpace);
        row("write: full", Call::Write, ENOSPC, true, ErrorCode::NoSpace);
        row("write: broken disk", Call::Write, EIO, true, ErrorCode::WriteFailed);
        row("sync: broken disk", Call::Sync, EIO, true, ErrorCode::WriteFailed);
        row("rename: forbidden", Call::Rename, EACCES, true, ErrorCode::PermissionDenied);
        row("rename to new: broken disk", Call::RenameToNew, EIO, false, ErrorCode::WriteFailed);
    }

    void everyFailingCallLeavesTheOldFileAndNoTemporary()
    {
        QFETCH(int, call);
        QFETCH(int, error);
        QFETCH(bool, overwrite);
        QFETCH(int, code);
        int failures = 0;
        for (int nth = 1;; ++nth) {
            fs::remove(m_target);
            if (overwrite)
                std::ofstream(m_target) << "old";
            FailingSystem system(static_cast<Call>(call), nth, error);
            const Status status = writeNew(m_target, overwrite, system);
            if (!system.hasFailed()) {
                QVERIFY(status);
                break;
            }
            ++failures;
            QVERIFY(!status);
            QCOMPARE(static_cast<int>(status.error().code), code);
            QVERIFY(status.error().detail.find(m_target.string()) != std::string::npos);
            const bool folderSync = static_cast<Call>(call) == Call::Sync && nth == 2;
            if (folderSync)  // the rename is done: the new file stands, whole, and the error says what is in doubt
                QVERIFY(contentOf(m_target).starts_with(kNew) && status.error().detail.find("power cut") != std::string::npos);
            else
                QCOMPARE(contentOf(m_target), std::string(overwrite ? "old" : ""));
            QCOMPARE(entriesIn(m_target.parent_path()), std::size_t{overwrite || folderSync ? 1U : 0U});
        }
        QVERIFY(failures >= 1);
    }

    void interruptedCallsAreRetried()
    {
        for (const Call call : {Call::Preallocate, Call::Write, Call::Sync}) {
            FailingSystem system(call, 1, EINTR);
            QVERIFY(writeNew(m_target, true, system));
            QVERIFY(system.hasFailed());
            QVERIFY(contentOf(m_target).starts_with(kNew));
        }
    }

    void aFileSystemThatCannotReserveIsTolerated()
    {
        FailingSystem system(Call::Preallocate, 1, EOPNOTSUPP);
        QVERIFY(writeNew(m_target, true, system));
        QVERIFY(system.hasFailed());
    }

    void moreThanTheDiskHoldsIsRefusedNamingNeededAndFree()
    {
        const Bytes huge = Bytes{1} << 60;
        const auto file = AtomicFile::create(m_target, huge, false);
        QVERIFY(!file);
        QCOMPARE(file.error().code, ErrorCode::NoSpace);
        QVERIFY(file.error().detail.find(std::to_string(huge)) != std::string::npos);
        QVERIFY(file.error().detail.find("free") != std::string::npos);
        QCOMPARE(entriesIn(m_target.parent_path()), std::size_t{0});
    }

    void aSizeOtherThanAnnouncedIsNeverPublished()
    {
        auto file = AtomicFile::create(m_target, 4, false);
        QVERIFY(file);
        QVERIFY((*file)->write(bytesOf("abc")));
        QCOMPARE((*file)->commit().error().code, ErrorCode::VerifyFailed);
        QCOMPARE((*file)->write(bytesOf("de")).error().code, ErrorCode::VerifyFailed);
        QVERIFY(!fs::exists(m_target));
    }

    /// reliability 82.
    void foldersThatCannotTakeTheFileAreRefused()
    {
        const auto absent = AtomicFile::create(m_target.parent_path() / "absent" / "x.gguf", 1, false);
        QVERIFY(!absent && absent.error().code == ErrorCode::NotFound);
        const auto folder = AtomicFile::create(m_target.parent_path(), 1, true);
        QVERIFY(!folder && folder.error().code == ErrorCode::NotRegularFile);
        std::ofstream(m_target) << "a file";
        const auto below = AtomicFile::create(m_target / "x.gguf", 1, false);
        QVERIFY(!below && below.error().code == ErrorCode::NotFound);
        // /proc refuses new files even to root, as a read-only file system does.
        const auto forbidden = AtomicFile::create("/proc/x.gguf", 1, false);
        QVERIFY(!forbidden);
        QVERIFY(forbidden.error().code == ErrorCode::PermissionDenied || forbidden.error().code == ErrorCode::NotFound);
    }

    void anyNameTheFileSystemTakesIsTaken()
    {
        for (const std::string& name : {std::string("-o\n\"quoted\" \xff\xfe.gguf"), std::string(255, 'n')}) {
            const fs::path target = m_target.parent_path() / name;
            QVERIFY(writeNew(target, false, FileSystem::real()));
            QVERIFY(contentOf(target).starts_with(kNew));
        }
    }

    void oneFileIsKnownByAllItsNames()
    {
        std::ofstream(m_target) << "x";
        const fs::path folder = m_target.parent_path();
        std::ofstream(folder / "other") << "x";
        fs::create_symlink(m_target, folder / "soft");
        fs::create_hard_link(m_target, folder / "hard");
        QVERIFY(isSameFile(m_target, folder / "soft"));
        QVERIFY(isSameFile(folder / "hard", folder / "." / "model.gguf"));
        QVERIFY(!isSameFile(m_target, folder / "other"));
        QVERIFY(!isSameFile(m_target, folder / "absent"));
    }
};

QTEST_APPLESS_MAIN(TestAtomicFile)
#include "tst_atomic_file.moc"
