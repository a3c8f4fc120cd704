// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/base/MappedFile.h"

#include "core/base/Parallel.h"
#include "support/FileBuilders.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>

#include <chrono>
#include <sys/mman.h>

using namespace sigmascope;
using namespace sigmascope::test;

class TestMappedFile : public QObject {
    Q_OBJECT

private slots:
    void showsTheBytesAndClosesItsDescriptor();
    void emptyFileHasNoBytes();
    void refusesWhatIsNoRegularFile_data();
    void refusesWhatIsNoRegularFile();
    void namesTheFileThatIsMissingOrForbidden();
    void anyFileNameOpens_data();
    void anyFileNameOpens();
    void truncationWhileMappedShowsZerosAndMarksTheMapping();
    void truncationInManyThreadsMarksOnlyTheTruncatedFiles();
    void aBusErrorElsewhereStillKills();
    void changeIsNoticed_data();
    void changeIsNoticed();
    void releasedPagesAreReadAgain();

private:
    QTemporaryDir m_dir;
    [[nodiscard]] std::filesystem::path file(const std::string& name) const { return m_dir.path().toStdString() + "/" + name; }
};

namespace {

constexpr int kSurvived = 42;
constexpr const char* kFaultArgument = "--fault-in-a-foreign-mapping";

/// Faults in a mapping that is not ours. Run as a process of its own, without Qt Test's crash handler.
int faultInAForeignMapping(const char* path)
{
    const auto ours = MappedFile::open(path);  // the handler is in place
    const int fd = ::open(path, O_RDWR);
    const auto* bytes = static_cast<const volatile char*>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0));
    if (!ours || fd < 0 || bytes == MAP_FAILED || ftruncate(fd, 0) != 0)
        return kSurvived;
    static_cast<void>(bytes[0]);
    return kSurvived;
}

std::size_t openDescriptors()
{
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

std::uint64_t sum(std::span<const std::byte> bytes)
{
    std::uint64_t total = 0;
    for (const std::byte b : bytes)
        total += std::to_integer<std::uint64_t>(b);
    return total;
}

}  // namespace

void TestMappedFile::showsTheBytesAndClosesItsDescriptor()
{
    const auto path = writeFile(file("plain"), "hello");
    const std::size_t before = openDescriptors();
    const auto mapped = MappedFile::open(path);
    QVERIFY(mapped);
    QCOMPARE(openDescriptors(), before);
    QCOMPARE((*mapped)->bytes().size(), 5U);
    QVERIFY((*mapped)->bytes()[4] == std::byte{'o'});
    QCOMPARE((*mapped)->identity().size, 5U);
    QVERIFY((*mapped)->checkUnchanged());
    QVERIFY(!(*mapped)->isBroken());
}

void TestMappedFile::emptyFileHasNoBytes()
{
    const auto mapped = MappedFile::open(writeFile(file("empty"), ""));
    QVERIFY(mapped);
    QVERIFY((*mapped)->bytes().empty());
    QVERIFY(!(*mapped)->isBroken());
    QVERIFY((*mapped)->checkUnchanged());
}

void TestMappedFile::refusesWhatIsNoRegularFile_data()
{
    QTest::addColumn<QString>("kind");
    for (const char* const kind : {"directory", "FIFO", "socket", "device"})
        QTest::newRow(kind) << kind;
}

void TestMappedFile::refusesWhatIsNoRegularFile()
{
    QFETCH(QString, kind);
    std::filesystem::path path = "/dev/zero";
    int listener = -1;
    if (kind == "directory") {
        path = m_dir.path().toStdString();
    } else if (kind == "FIFO") {
        path = file("fifo");
        QCOMPARE(mkfifo(path.c_str(), 0600), 0);
    } else if (kind == "socket") {
        path = file("socket");
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        listener = socket(AF_UNIX, SOCK_STREAM, 0);
        QCOMPARE(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    const auto mapped = MappedFile::open(path);  // would wait for a writer, or for ever, if it were read
    QVERIFY(!mapped);
    QCOMPARE(mapped.error().code, ErrorCode::NotRegularFile);
    QVERIFY(mapped.error().detail.find(path.native()) != std::string::npos);
    QVERIFY(mapped.error().detail.find(kind.toStdString()) != std::string::npos);
    if (listener >= 0)
        close(listener);
}

void TestMappedFile::namesTheFileThatIsMissingOrForbidden()
{
    const auto missing = MappedFile::open(file("missing"));
    QVERIFY(!missing);
    QCOMPARE(missing.error().code, ErrorCode::NotFound);
    QVERIFY(missing.error().detail.find("missing") != std::string::npos);
    std::filesystem::create_symlink("nowhere", file("dangling"));
    QCOMPARE(MappedFile::open(file("dangling")).error().code, ErrorCode::NotFound);
    std::filesystem::create_symlink("loop", file("loop"));
    QCOMPARE(MappedFile::open(file("loop")).error().code, ErrorCode::NotFound);
    QCOMPARE(MappedFile::open(file(std::string(4000, 'x'))).error().code, ErrorCode::NotFound);
    QCOMPARE(MappedFile::open(std::string("a\0b", 3)).error().code, ErrorCode::NotFound);
    const auto secret = writeFile(file("secret"), "x");
    QCOMPARE(chmod(secret.c_str(), 0), 0);
    const auto opened = MappedFile::open(secret);
    if (geteuid() == 0)
        QVERIFY(opened);  // nothing is forbidden to root
    else
        QCOMPARE(opened.error().code, ErrorCode::PermissionDenied);
}

void TestMappedFile::anyFileNameOpens_data()
{
    QTest::addColumn<QByteArray>("name");
    QTest::newRow("spaces and quotes") << QByteArray("a b\"'c");
    QTest::newRow("newline") << QByteArray("a\nb");
    QTest::newRow("not UTF-8") << QByteArray("a\xff\xfe");
    QTest::newRow("right to left") << QByteArray("a\xe2\x80\xae" "b");
    QTest::newRow("dash first") << QByteArray("-rf");
}

void TestMappedFile::anyFileNameOpens()
{
    QFETCH(QByteArray, name);
    const auto path = writeFile(file(name.toStdString()), "abc");
    const auto mapped = MappedFile::open(path);
    QVERIFY(mapped);
    QCOMPARE((*mapped)->bytes().size(), 3U);
    std::filesystem::remove(path);
    const auto changed = (*mapped)->checkUnchanged();
    QVERIFY(!changed);
    QVERIFY(changed.error().detail.find('\n') == std::string::npos);  // shown escaped
}

void TestMappedFile::truncationWhileMappedShowsZerosAndMarksTheMapping()
{
    constexpr std::size_t kSize = 1 << 20;
    constexpr std::size_t kKept = 64 << 10;
    const auto path = writeFile(file("cut"), std::string(kSize, '\x01'));
    const auto other = MappedFile::open(writeFile(file("whole"), std::string(kSize, '\x01')));
    const auto mapped = MappedFile::open(path);
    QVERIFY(mapped && other);
    QCOMPARE(sum((*mapped)->bytes()), kSize);
    std::filesystem::resize_file(path, kKept);
    QCOMPARE(sum((*mapped)->bytes()), kKept);  // dies here of SIGBUS without the handler
    QVERIFY((*mapped)->isBroken());
    QVERIFY(!(*other)->isBroken());
    const auto status = (*mapped)->checkUnchanged();
    QVERIFY(!status);
    QCOMPARE(status.error().code, ErrorCode::FileBroken);
    QVERIFY(status.error().detail.find("cut") != std::string::npos);
    QVERIFY((*other)->checkUnchanged());
}

void TestMappedFile::truncationInManyThreadsMarksOnlyTheTruncatedFiles()
{
    constexpr std::size_t kFiles = 200;
    constexpr std::size_t kSize = 64 << 10;
    std::vector<std::unique_ptr<MappedFile>> files(kFiles);
    std::vector<std::uint64_t> sums(kFiles);
    const int threads = threadCount();
    setThreadCount(4);
    parallelFor(kFiles, [&](std::size_t i) {
        const auto path = writeFile(file("many" + std::to_string(i)), std::string(kSize, '\x01'));
        files[i] = std::move(*MappedFile::open(path));
        if (i % 2 == 1)
            std::filesystem::resize_file(path, 0);
        sums[i] = sum(files[i]->bytes());
        if (i % 3 == 0) {  // slots are given back and taken again meanwhile
            files[i].reset();
            files[i] = std::move(*MappedFile::open(path));
        }
    });
    setThreadCount(threads);
    for (std::size_t i = 0; i < kFiles; ++i) {
        QCOMPARE(sums[i], i % 2 == 1 ? 0U : kSize);
        QCOMPARE(files[i]->isBroken(), i % 2 == 1 && i % 3 != 0);
    }
}

void TestMappedFile::aBusErrorElsewhereStillKills()
{
    const auto path = writeFile(file("foreign"), std::string(8192, '\x01'));
    const pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);  // a sanitizer's report of this death is no news
        execl("/proc/self/exe", "tst_mapped_file", kFaultArgument, path.c_str(), nullptr);
        _exit(kSurvived);
    }
    int status = 0;
    QCOMPARE(waitpid(child, &status, 0), child);
    const bool survived = WIFEXITED(status) && WEXITSTATUS(status) == kSurvived;
    QVERIFY2(!survived, "a bus error outside our mappings was swallowed");
}

void TestMappedFile::changeIsNoticed_data()
{
    QTest::addColumn<QString>("change");
    for (const char* const change : {"grown", "rewritten", "replaced", "removed"})
        QTest::newRow(change) << change;
}

void TestMappedFile::changeIsNoticed()
{
    QFETCH(QString, change);
    const auto path = writeFile(file("changing"), "12345678");
    // An old date, so that a write in the same tick of the file system's clock still shows.
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    const auto mapped = MappedFile::open(path);
    QVERIFY(mapped);
    QVERIFY((*mapped)->checkUnchanged());
    if (change == "grown") {
        writeFile(path, "123456789");
    } else if (change == "rewritten") {
        writeFile(path, "87654321");
    } else if (change == "replaced") {
        const auto date = std::filesystem::last_write_time(path);
        writeFile(file("new"), "12345678");
        std::filesystem::last_write_time(file("new"), date);
        std::filesystem::rename(file("new"), path);
    } else {
        std::filesystem::remove(path);
    }
    const auto status = (*mapped)->checkUnchanged();
    QVERIFY(!status);
    QCOMPARE(status.error().code, ErrorCode::FileChanged);
    QVERIFY(status.error().detail.find("changing") != std::string::npos);
}

void TestMappedFile::releasedPagesAreReadAgain()
{
    const auto mapped = MappedFile::open(writeFile(file("pages"), std::string(100'000, '\x01')));
    QVERIFY(mapped);
    QCOMPARE(sum((*mapped)->bytes()), 100'000U);
    (*mapped)->release(50'000);
    (*mapped)->release(1'000'000);
    QCOMPARE(sum((*mapped)->bytes()), 100'000U);
}

int main(int argc, char** argv)
{
    if (argc == 3 && std::string_view(argv[1]) == kFaultArgument)
        return faultInAForeignMapping(argv[2]);
    TestMappedFile test;
    return QTest::qExec(&test, argc, argv);
}

#include "tst_mapped_file.moc"
