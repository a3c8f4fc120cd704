// SPDX-License-Identifier: GPL-3.0-or-later
//
// Places that an export cannot or must not write, for every target: reliability 81, 83, 84, 85 and 86. What is refused
// is refused before any work, and leaves everything as it was.

#include "support/ResumeFixture.h"

#include "core/base/AtomicFile.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Verify.h"

#include <QProcess>

#include <clocale>
#include <cstdlib>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

enum class Thing { Folder, Fifo, Socket };
constexpr std::array kThings{Thing::Folder, Thing::Fifo, Thing::Socket};

bool makeThing(Thing thing, const fs::path& path)
{
    if (thing == Thing::Folder)
        return fs::create_directory(path);
    if (thing == Thing::Fifo)
        return ::mkfifo(path.c_str(), 0600) == 0;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.native().size() >= sizeof address.sun_path)
        return false;
    std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool made = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return made;
}

/// Everything below a folder, of whatever kind, but not what folders and special files hold.
std::vector<std::string> namesBelow(const fs::path& folder)
{
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        names.push_back(entry.path().lexically_relative(folder).native());
    std::ranges::sort(names);
    return names;
}

bool isPlain(const std::string& text)
{
    return std::ranges::none_of(text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f; })
           && text.find("\xff") == std::string::npos && text.find("\xe2\x80\xae") == std::string::npos;
}

}  // namespace

class HostileTargetsTest : public QObject, private ResumeFixture
{
    Q_OBJECT

private slots:
    void whatIsNoFileIsLeftAlone_data() { everyTarget(); }
    void whatIsNoFileIsLeftAlone();
    void namesThatTheRunNeedsItselfAreTakenOnlyFromItself_data() { everyTarget(); }
    void namesThatTheRunNeedsItselfAreTakenOnlyFromItself();
    void linksAtTheOutputAreReplacedNotFollowed_data() { everyTarget(); }
    void linksAtTheOutputAreReplacedNotFollowed();
    void foldersThatAreNoneAreRefused_data() { everyTarget(); }
    void foldersThatAreNoneAreRefused();
    void outputsThatReachAnInputAreRefused_data() { everyTarget(); }
    void outputsThatReachAnInputAreRefused();
    void anInputThatWouldHaveToGoIsRefused_data() { everyTarget(); }
    void anInputThatWouldHaveToGoIsRefused();
    void anExportInsideTheModelsFolderLeavesTheModelAlone_data() { everyTarget(); }
    void anExportInsideTheModelsFolderLeavesTheModelAlone();
    void anyNameIsWrittenReadAndPrinted_data();
    void anyNameIsWrittenReadAndPrinted();
    void theLocaleChangesNoByte_data() { everyTarget(); }
    void theLocaleChangesNoByte();
    void anotherNumberOfFilesTakesTheOldOnesPlaceAtWhateverCallItDies_data() { everyTarget(); }
    void anotherNumberOfFilesTakesTheOldOnesPlaceAtWhateverCallItDies();

private:
    void begin()
    {
        QFETCH(QString, target);
        useTarget(target);
        makeModel();
    }
    /// Of the files that a run of plan() writes.
    [[nodiscard]] std::vector<fs::path> outputs() const
    {
        const auto estimate = m_exporter->estimate(plan());
        std::vector<fs::path> paths;
        for (std::size_t i = 0; estimate && i < estimate->outputs.size(); ++i)
            paths.push_back(estimate->outputs[i].path);
        return paths;
    }
    /// With leave to replace; counts the layers that were worked on.
    [[nodiscard]] Result<RunResult> runOver(ExportRequest r, int& layers)
    {
        r.overwrite = true;
        return quantize(r, *m_exporter, *m_backend, {.onLayer = [&layers](const TensorResult&) { ++layers; }}, {});
    }
    void expectRefusal(const ExportRequest& r, const std::vector<ErrorCode>& codes, const fs::path& named)
    {
        int layers = 0;
        const auto result = runOver(r, layers);
        QVERIFY2(!result, named.c_str());
        QVERIFY2(std::ranges::find(codes, result.error().code) != codes.end(), (std::string(id(result.error().code)) + ": " + result.error().detail).c_str());
        QVERIFY2(result.error().detail.find(escaped(named.native(), 4096)) != std::string::npos, result.error().detail.c_str());
        QCOMPARE(layers, 0);
    }
    /// What a run of @p r left is whole: the model's values where it kept them, and no warning.
    void expectSound(const ExportRequest& r)
    {
        const fs::path path = m_ggufTensors > 0 ? outputsOf(r).front() : r.output;
        const auto opened = Checkpoint::open(path, {.strict = true, .coded = &codedFormats()});
        QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
        const auto verified = verifyModel(**opened, nullptr);
        std::string findings = verified ? "" : verified.error().detail;
        for (std::size_t i = 0; verified && i < verified->findings.size(); ++i)
            findings += verified->findings[i].text + '\n';
        QVERIFY2(findings.empty(), findings.c_str());
    }
    [[nodiscard]] std::vector<fs::path> outputsOf(const ExportRequest& r) const
    {
        const auto estimate = m_exporter->estimate(r);
        std::vector<fs::path> paths;
        for (std::size_t i = 0; estimate && i < estimate->outputs.size(); ++i)
            paths.push_back(estimate->outputs[i].path);
        return paths;
    }
    QTemporaryDir m_locales{scratch()};  // made once for all rows

    [[nodiscard]] std::map<std::string, std::string> modelFiles() const
    {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::directory_iterator(m_folder))
            if (entry.is_regular_file())
                all[entry.path().filename().native()] = readFile(entry.path());
        return all;
    }
};

/// reliability 81, of the output: never replaced, never written into, never waited for.
void HostileTargetsTest::whatIsNoFileIsLeftAlone()
{
    begin();
    for (const fs::path& output : outputs()) {
        for (const Thing thing : kThings) {
            clear();
            fs::create_directories(output.parent_path());
            QVERIFY(makeThing(thing, output));
            const auto before = namesBelow(m_out);
            expectRefusal(plan(), {ErrorCode::NotRegularFile}, output);
            QVERIFY(namesBelow(m_out) == before);
        }
    }
    if (!writesFolder())
        return;
    for (const Thing thing : {Thing::Fifo, Thing::Socket}) {
        clear();
        QVERIFY(makeThing(thing, plan().output));
        expectRefusal(plan(), {ErrorCode::NotRegularFile}, plan().output);
        QCOMPARE(namesBelow(m_out).size(), std::size_t{1});
    }
}

/// The same of the names beside an output: a journal, a growing file, a file that is being replaced.
void HostileTargetsTest::namesThatTheRunNeedsItselfAreTakenOnlyFromItself()
{
    begin();
    const std::string victim = "precious";
    std::vector<fs::path> names{journalPathFor(plan().output)};
    for (const fs::path& output : outputs())
        names.push_back(partialPathFor(output));
    for (const fs::path& name : names) {
        for (int kind = 0; kind < 4; ++kind) {
            clear();
            fs::create_directories(name.parent_path());
            writeFile(m_out / "victim", victim);
            if (kind < 3)
                QVERIFY(makeThing(kThings[static_cast<std::size_t>(kind)], name));
            else
                fs::create_symlink(m_out / "victim", name);
            const auto before = namesBelow(m_out);
            // A folder cannot be opened for writing, whose errno has no code of its own; of a socket that is ENXIO.
            expectRefusal(plan(), {ErrorCode::NotRegularFile, ErrorCode::WriteFailed}, name);
            QCOMPARE(readFile(m_out / "victim"), victim);
            QVERIFY2(namesBelow(m_out) == before, name.c_str());
        }
    }
    for (const fs::path& output : outputs()) {  // where the old file would wait
        clear();
        fs::create_directories(output.parent_path());
        writeFile(output, "old");
        fs::create_directory(backupPathFor(output));
        expectRefusal(plan(), {ErrorCode::NotRegularFile}, backupPathFor(output));
        QCOMPARE(readFile(output), std::string("old"));
        QVERIFY(fs::is_directory(backupPathFor(output)));
    }
}

/// reliability 85, of the output.
void HostileTargetsTest::linksAtTheOutputAreReplacedNotFollowed()
{
    begin();
    const auto victim = m_out.parent_path() / "victim";
    for (const fs::path& output : outputs()) {
        for (const char* const kind : {"dangling", "loop", "to a file"}) {
            clear();
            writeFile(victim, "precious");
            fs::create_directories(output.parent_path());
            fs::create_symlink(kind == std::string("dangling") ? m_out / "nowhere" : kind == std::string("loop") ? output : victim, output);
            const auto refused = run(plan());
            QVERIFY(!refused);
            QCOMPARE(refused.error().code, ErrorCode::WouldOverwrite);
            QVERIFY2(refused.error().detail.find(output.native()) != std::string::npos, refused.error().detail.c_str());
            QVERIFY(fs::is_symlink(output) && finishedFiles().size() <= 1);
            ExportRequest r = plan();
            r.overwrite = true;
            const auto result = run(r);
            QVERIFY2(result, result ? "" : result.error().detail.c_str());
            QVERIFY(fs::is_regular_file(fs::symlink_status(output)));
            QVERIFY(!fs::exists(m_out / "nowhere"));
            QCOMPARE(readFile(victim), std::string("precious"));
            expectSound(r);
        }
    }
}

/// reliability 81, 85: what should be the folder of the output is a file, a FIFO, a loop of links or leads nowhere.
void HostileTargetsTest::foldersThatAreNoneAreRefused()
{
    begin();
    const fs::path name = plan().output.filename();
    const auto refusedIn = [&](const fs::path& folder) {
        ExportRequest r = plan();
        r.output = folder / name;
        expectRefusal(r, {ErrorCode::NotFound, ErrorCode::NotRegularFile, ErrorCode::IoFailed, ErrorCode::WriteFailed}, folder);
    };
    fs::create_symlink(m_out / "loop", m_out / "loop");
    fs::create_symlink(m_out / "nowhere", m_out / "dangling");
    writeFile(m_out / "file", "a file");
    QVERIFY(makeThing(Thing::Fifo, m_out / "fifo"));
    const auto before = namesBelow(m_out);
    for (const char* folder : {"loop", "dangling", "file", "fifo"}) {
        refusedIn(m_out / folder);
        QVERIFY2(namesBelow(m_out) == before, folder);
        if (!writesFolder())
            continue;
        ExportRequest r = plan();  // the folder to write itself
        r.output = m_out / folder;
        expectRefusal(r, {ErrorCode::NotRegularFile, ErrorCode::WriteFailed}, r.output);
        QVERIFY2(namesBelow(m_out) == before, folder);
    }
    QCOMPARE(readFile(m_out / "file"), std::string("a file"));
    // A link to a folder is one.
    fs::create_directory(m_out / "real");
    fs::create_directory_symlink(m_out / "real", m_out / "link");
    ExportRequest r = plan();
    r.output = m_out / "link" / name;
    QVERIFY(run(r));
    expectSound(r);
    QVERIFY(fs::exists(m_out / "real"));
}

/// reliability 86: by links of either kind, also under the names beside the output.
void HostileTargetsTest::outputsThatReachAnInputAreRefused()
{
    begin();
    const auto before = modelFiles();
    std::vector<fs::path> names;
    for (const fs::path& output : outputs()) {
        names.push_back(output);
        names.push_back(partialPathFor(output));
        names.push_back(backupPathFor(output));
    }
    names.push_back(journalPathFor(plan().output));
    for (const char* const input : {"model.safetensors", "config.json", "tokenizer.model"}) {
        for (const fs::path& name : names) {
            for (const bool isHard : {false, true}) {
                clear();
                fs::create_directories(name.parent_path());
                if (isHard)
                    fs::create_hard_link(m_folder / input, name);
                else
                    fs::create_symlink(m_folder / input, name);
                int layers = 0;
                const auto result = runOver(plan(), layers);
                QVERIFY2(!result, name.c_str());
                // The journal comes first, and takes neither a link nor a file that is none of its own.
                QVERIFY2(result.error().code == ErrorCode::OutputIsInput || name == names.back(), result.error().detail.c_str());
                QCOMPARE(layers, 0);
                QVERIFY(modelFiles() == before);
                QVERIFY(isSameFile(name, m_folder / input));
            }
        }
    }
}

/// reliability 86: not by its own name, but as a part of the export that is replaced.
void HostileTargetsTest::anInputThatWouldHaveToGoIsRefused()
{
    begin();
    // An earlier export in another number of files.
    ExportRequest earlier = plan(0);
    earlier.splitMaxBytes = writesFolder() ? 90'000 : earlier.splitMaxBytes;
    earlier.ggufMaxTensors = m_ggufTensors > 0 ? 4 : 6;
    QVERIFY(run(earlier));
    const fs::path part = writesFolder() ? outputsOf(earlier).at(outputsOf(earlier).size() - 2) : outputsOf(earlier).front();
    QVERIFY2(part.native().find("-of-") != std::string::npos, part.c_str());
    const auto before = files();
    // The model that is read now is a part of it, under a name elsewhere.
    const fs::path elsewhere = m_folder.parent_path() / "elsewhere";
    fs::create_directories(elsewhere);
    fs::copy_file(m_folder / "config.json", elsewhere / "config.json");
    const fs::path link = elsewhere / (writesFolder() ? "part.safetensors" : "part.gguf");
    fs::create_symlink(part, link);
    const auto opened = Checkpoint::open(link, {.alone = true});
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    ExportRequest r = plan(0);
    r.checkpoint = *opened;
    r.plan.layers.assign((*opened)->tensors().size(), {});
    r.splitMaxBytes = 5'000'000'000;
    r.ggufMaxTensors = 0;
    if (const auto possible = m_exporter->accepts(r); !possible.refusals.empty())
        return;  // it would read none of these
    int layers = 0;
    const auto result = runOver(r, layers);
    QVERIFY(!result);
    QVERIFY2(result.error().code == ErrorCode::OutputIsInput, result.error().detail.c_str());
    QCOMPARE(layers, 0);
    QVERIFY(files() == before);
}

void HostileTargetsTest::anExportInsideTheModelsFolderLeavesTheModelAlone()
{
    begin();
    const auto before = modelFiles();
    ExportRequest r = plan();
    r.output = m_folder / r.output.filename();
    const auto result = run(r);
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    const auto after = modelFiles();
    for (const auto& [name, bytes] : before)
        QVERIFY2(after.at(name) == bytes, name.c_str());
    expectSound(r);
    const auto again = Checkpoint::open(m_folder);
    QVERIFY2(again, again ? "" : again.error().detail.c_str());
    QCOMPARE((*again)->tensors().size(), m_model->tensors().size());
    r.overwrite = true;  // and once more, with what has come to lie there
    QVERIFY(run(r));
    expectSound(r);
}

void HostileTargetsTest::anyNameIsWrittenReadAndPrinted_data()
{
    QTest::addColumn<QString>("target");
    QTest::addColumn<QByteArray>("name");
    const QByteArray longName(150, 'n');
    for (const QString& target : allTargets()) {
        const auto add = [&](const char* what, const QByteArray& name) { QTest::addRow("%s, %s", qPrintable(target), what) << target << name; };
        add("spaces and quotes", "a 'b' \"c\" $d `e` \\f;g&h*");
        add("newline and controls", "a\nb\x1b[31m\t");
        add("not UTF-8", "a\xff\xfe");
        add("right to left", "a\xe2\x80\xae" "b");
        add("leading dash", "-rf");
        add("dots", "..a/./../..a");
        add("long", longName + "/" + longName + "/" + longName);
        add("4000 characters", QByteArray((longName + "/").repeated(25)).chopped(1));
    }
}

/// reliability 83: of the output's folder and of the model's; and the printed command reaches the files.
void HostileTargetsTest::anyNameIsWrittenReadAndPrinted()
{
    begin();
    QFETCH(QByteArray, name);
    const fs::path below = name.toStdString();
    fs::create_directories(m_out / below);
    fs::create_directories(m_folder.parent_path() / "models" / below);
    const fs::path model = m_folder.parent_path() / "models" / below;
    for (const auto& [file, bytes] : modelFiles())
        writeFile(model / file, bytes);
    const auto opened = Checkpoint::open(model);
    QVERIFY2(opened, opened ? "" : opened.error().detail.c_str());
    ExportRequest r = plan();
    r.checkpoint = *opened;
    r.output = m_out / below / (writesFolder() ? name.left(20).replace('/', '_').toStdString() : name.left(20).replace('/', '_').toStdString() + ".gguf");
    const auto result = run(r);
    QVERIFY2(result, result ? "" : result.error().detail.c_str());
    expectSound(r);
    const auto again = run(r);
    QVERIFY(!again);
    QCOMPARE(again.error().code, ErrorCode::WouldOverwrite);
    QVERIFY2(isPlain(again.error().detail), again.error().detail.c_str());

    const std::string command = m_exporter->loadCommand(result->estimate);
    QVERIFY2(isPlain(command) && command.find('\n') == std::string::npos, command.c_str());
    const fs::path script = m_folder.parent_path() / "command.sh";
    std::string text = "f() { printf '%s\\0' \"$@\"; }\n";
    for (const char* program : {"llama-cli", "vllm", "python3", "sigmascope-cli"})
        text += std::string(program) + "() { f \"$@\"; }\n";
    writeFile(script, text + command + "\n");
    QProcess bash;
    bash.start("bash", {"--norc", QString::fromStdString(script.string())});
    QVERIFY(bash.waitForFinished());
    QCOMPARE(bash.readAllStandardError(), QByteArray());
    const QByteArray arguments = '\0' + bash.readAllStandardOutput();
    const fs::path loaded = writesFolder() ? r.output : result->outputs.front().path;
    QVERIFY2(arguments.contains(QByteArray(1, '\0') + QByteArray::fromStdString(loaded.native()) + '\0'), command.c_str());
    fs::remove_all(m_out);  // names that are no UTF-8 are beyond QTemporaryDir
    fs::remove_all(m_folder.parent_path() / "models");
}

/// reliability 84. Locales are made here: few machines have these.
void HostileTargetsTest::theLocaleChangesNoByte()
{
    begin();
    QVERIFY(run(plan()));
    const auto expected = files();
    const fs::path made = m_locales.path().toStdString();
    ::setenv("LOCPATH", made.c_str(), 1);
    for (const char* locale : {"de_DE", "tr_TR", "ar_EG"}) {
        const std::string name = std::string(locale) + ".UTF-8";
        if (!fs::exists(made / name)) {  // without its order of letters, which takes seconds to make and nothing here asks for
            std::string text = "LC_COLLATE\ncopy \"POSIX\"\nEND LC_COLLATE\n";
            for (const char* category : {"CTYPE", "MONETARY", "NUMERIC", "TIME", "MESSAGES", "PAPER", "NAME", "ADDRESS", "TELEPHONE",
                                         "MEASUREMENT", "IDENTIFICATION"})
                text += std::string("LC_") + category + "\ncopy \"" + locale + "\"\nEND LC_" + category + '\n';
            writeFile(made / "source", text);
            const auto path = [](const fs::path& file) { return QString::fromStdString(file.string()); };
            QCOMPARE(QProcess::execute("localedef", {"-c", "-i", path(made / "source"), "-f", "UTF-8", path(made / name)}), 0);
        }
        QVERIFY2(std::setlocale(LC_ALL, name.c_str()) != nullptr, name.c_str());
        QVERIFY(locale == std::string("ar_EG") || std::localeconv()->decimal_point == std::string(","));
        clear();
        const auto result = run(plan());
        std::setlocale(LC_ALL, "C");
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        QVERIFY2(files() == expected, name.c_str());
    }
}

/// An export of another number of files is replaced whole, or not at all, and taken up where it was cut short.
void HostileTargetsTest::anotherNumberOfFilesTakesTheOldOnesPlaceAtWhateverCallItDies()
{
    begin();
    ExportRequest old = plan(0);
    old.splitMaxBytes = 60'000;
    old.ggufMaxTensors = m_ggufTensors > 0 ? 4 : 6;
    QVERIFY(run(plan()));
    const auto expected = files();
    bool survived = false;
    for (int nth = 1; !survived; nth += 7) {
        clear();
        QVERIFY(run(old));
        const auto before = files();
        FaultySystem system(FaultySystem::Fault::Death, nth);
        ExportRequest r = plan(2, &system);
        r.overwrite = true;
        static_cast<void>(run(r));
        survived = !system.hasFailed();
        const auto found = finishedFiles();
        for (const auto& [name, bytes] : found)
            QVERIFY2((before.contains(name) && before.at(name) == bytes) || (expected.contains(name) && expected.at(name) == bytes),
                     (name + " at call " + std::to_string(nth)).c_str());
        r.system = nullptr;
        if (!survived) {
            const auto resumed = run(r, Unfinished::Resume);
            QVERIFY2(resumed, resumed ? "" : (std::to_string(nth) + ": " + resumed.error().detail).c_str());
        }
        std::string there;
        for (const auto& [name, bytes] : files())
            there += " " + name + (expected.contains(name) && expected.at(name) == bytes ? "" : " (wrong)");
        QVERIFY2(files() == expected, (std::to_string(nth) + ":" + there).c_str());
    }
}

QTEST_GUILESS_MAIN(HostileTargetsTest)
#include "tst_hostile_targets.moc"
