// SPDX-License-Identifier: GPL-3.0-or-later
// Runs of the built program that are killed, cancelled, limited and started twice.
#include "cli/CliRun.h"
#include "cli/TinyModel.h"
#include "support/Scratch.h"

#include <QElapsedTimer>
#include <QRandomGenerator>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <csignal>
#include <memory>

using namespace sigmascope::test;

namespace
{

constexpr int kKills = 20;

/// A correction in one block of four: each process computes what it must, and no more.
constexpr const char* kRecipe = R"({"schema":1,"target":"gguf","default":{"preset":"rtn-w4"},
    "rules":[{"match":"layers\\.0\\.","preset":"l2qer-w%1"}]})";

std::unique_ptr<QProcess> started(const QStringList& arguments, const QString& program = cliPath())
{
    auto process = std::make_unique<QProcess>();
    process->setProcessEnvironment(cliEnvironment());
    process->start(program, arguments);
    return process->waitForStarted() ? std::move(process) : nullptr;
}

QStringList filesIn(const QString& folder)
{
    return QDir(folder).entryList(QDir::Files | QDir::Hidden, QDir::Name);
}

/// Waits until the run has put something into its journal beyond what the run depends on.
bool waitForLayers(QProcess& process, const QString& output, int lines)
{
    QElapsedTimer timer;
    timer.start();
    while (process.state() == QProcess::Running && timer.elapsed() < 60'000) {
        QFile journal(output + ".sigmascope-journal");
        if (journal.open(QIODevice::ReadOnly) && journal.readAll().count('\n') > lines)
            return true;
        process.waitForFinished(1);
    }
    return false;
}

} // namespace

class TestCliResume : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase();
    void killedAtRandomItEndsInTheSameBytes();
    void cancelledItKeepsWhatIsFinished();
    void withoutResumeAnUnfinishedRunIsRefusedAndSaysHow();
    void anotherModelPlanOrCalibrationIsRefusedByName();
    void resumeWithoutAJournalBegins();
    void twoProcessesDoNotWriteOneFile();
    void aLimitOnFileSizesIsTold();
    void unusualNamesAreWrittenAndResumed_data();
    void unusualNamesAreWrittenAndResumed();
    void aFolderThatCannotBeWrittenIsRefusedAtOnce();
    void journalPartialAndBackupAreNeverInputs();
    void resumedResultsAreCompleteAndMarked();

private:
    [[nodiscard]] QString path(const QString& name) const { return m_folder.filePath(name); }
    [[nodiscard]] QStringList quantizeTo(const QString& output, const QStringList& more = {}) const
    {
        return QStringList{"quantize",      sampleFolder(), "--recipe", path("recipes/4.json"), "--calibration",
                           sampleImatrix(), "--to",         "gguf",     "-o",                   output,
                           "--json"}
            + more;
    }
    [[nodiscard]] bool isUndisturbed(const QString& name) const
    {
        return readFile(path(name + ".gguf").toStdString()) == m_model
            && readFile(path(name + "-lora.gguf").toStdString()) == m_adapter;
    }
    /// A run of which at least @p layers are in the journal, killed.
    void leaveUnfinished(const QString& name, int layers = 5)
    {
        const auto process = started(quantizeTo(path(name + ".gguf"), {"--threads", "1"}));
        QVERIFY(process);
        QVERIFY(waitForLayers(*process, path(name + ".gguf"), layers));
        process->kill();
        QVERIFY(process->waitForFinished(60'000));
        QVERIFY(!QFile::exists(path(name + ".gguf")));
    }

    QTemporaryDir m_folder{scratch(std::uintmax_t{256} << 20)};
    std::string m_model; // of an undisturbed run
    std::string m_adapter;
    QJsonObject m_result;
    qint64 m_wallMs = 0;
};

void TestCliResume::initTestCase()
{
    QVERIFY(QDir(m_folder.path()).mkdir("recipes"));
    for (const int bits : {4, 5})
        writeFile(path(QString("recipes/%1.json").arg(bits)).toStdString(), QString(kRecipe).arg(bits).toStdString());
    QElapsedTimer timer;
    timer.start();
    const CliRun run = cli(quantizeTo(path("whole.gguf")));
    m_wallMs = timer.elapsed();
    QVERIFY2(run.exitCode == 0, run.err);
    m_result = run.json();
    m_model = readFile(path("whole.gguf").toStdString());
    m_adapter = readFile(path("whole-lora.gguf").toStdString());
    QVERIFY(m_model.size() > 1'000'000 && m_adapter.size() > 50'000);
    QCOMPARE(filesIn(m_folder.path()), (QStringList{"whole-lora.gguf", "whole.gguf"}));
}

/// reliability 90: SIGKILL at 20 moments drawn over the time a run takes; each time the same command with --resume ends in
/// the bytes of the undisturbed run.
void TestCliResume::killedAtRandomItEndsInTheSameBytes()
{
    QRandomGenerator random(20260101);
    int killed = 0;
    for (int attempt = 0; killed < kKills; ++attempt) {
        QVERIFY2(attempt < 4 * kKills, qPrintable(QString("only %1 were killed in time").arg(killed)));
        const QString name = "kill";
        QElapsedTimer timer;
        timer.start();
        const auto process = started(quantizeTo(path("kill.gguf")));
        QVERIFY(process);
        // One in each twentieth of the time, so that all parts of a run are met.
        const double moment = (killed + random.generateDouble()) / kKills;
        if (process->waitForFinished(static_cast<int>(moment * static_cast<double>(m_wallMs))))
            m_wallMs = std::min(m_wallMs, timer.elapsed());  // it takes less than was thought
        else
            process->kill();
        QVERIFY(process->state() == QProcess::NotRunning || process->waitForFinished(60'000));
        killed += process->exitStatus() == QProcess::CrashExit ? 1 : 0;
        QVERIFY(!QFile::exists(path("kill.gguf")) || isUndisturbed(name));
        const CliRun again = cli(quantizeTo(path("kill.gguf"), {"--resume", "--overwrite"}));
        QVERIFY2(again.exitCode == 0, again.err);
        QVERIFY2(isUndisturbed(name), qPrintable(QString("killed at %1").arg(moment)));
        const QJsonArray tensors = again.json()[u"tensors"].toArray();
        QCOMPARE(tensors.size(), m_result[u"tensors"].toArray().size());
        QVERIFY(again.json()[u"totals"][u"seconds"].toDouble() > 0);
        QCOMPARE(filesIn(m_folder.path()).size(), 4);
        QVERIFY(QFile::remove(path("kill.gguf")) && QFile::remove(path("kill-lora.gguf")));
    }
}

/// reliability 105.
void TestCliResume::cancelledItKeepsWhatIsFinished()
{
    const auto process = started(quantizeTo(path("cancel.gguf"), {"--threads", "1"}));
    QVERIFY(process);
    QVERIFY(waitForLayers(*process, path("cancel.gguf"), 5));
    QElapsedTimer timer;
    timer.start();
    QCOMPARE(::kill(static_cast<pid_t>(process->processId()), SIGINT), 0);
    QVERIFY(process->waitForFinished(60'000));
    QCOMPARE(process->exitStatus(), QProcess::NormalExit);
    QCOMPARE(process->exitCode(), 1);
    const QByteArray error = process->readAllStandardError();
    QVERIFY2(error.contains("cancelled") && error.contains("of 39 tensors are finished") && error.contains("--resume"), error);
    QVERIFY(!QFile::exists(path("cancel.gguf")));
    const CliRun again = cli(quantizeTo(path("cancel.gguf"), {"--resume"}));
    QVERIFY2(again.exitCode == 0, again.err);
    QVERIFY(isUndisturbed("cancel"));
    QVERIFY(!QFile::exists(path("cancel.gguf.sigmascope-journal")));
}

void TestCliResume::withoutResumeAnUnfinishedRunIsRefusedAndSaysHow()
{
    leaveUnfinished("left");
    for (const QStringList& more : {QStringList{}, QStringList{"--overwrite"}}) {
        const CliRun run = cli(quantizeTo(path("left.gguf"), more));
        QCOMPARE(run.exitCode, 1);
        QVERIFY2(run.err.contains("--resume") && run.err.contains("left.gguf.sigmascope-journal")
                     && run.err.contains("of 39"),
                 run.err);
    }
    // The other way on that the message names.
    QVERIFY(QFile::remove(path("left.gguf.sigmascope-journal")));
    const CliRun anew = cli(quantizeTo(path("left.gguf")));
    QVERIFY2(anew.exitCode == 0, anew.err);
    QVERIFY(isUndisturbed("left"));
    QVERIFY(!QFile::exists(path("left.gguf.sigmascope-partial")));
}

void TestCliResume::anotherModelPlanOrCalibrationIsRefusedByName()
{
    leaveUnfinished("other");
    const auto refusal = [&](QStringList arguments) {
        const CliRun run = cli(std::move(arguments));
        return run.exitCode == 1 ? run.err : QByteArray("was not refused");
    };
    QStringList arguments = quantizeTo(path("other.gguf"), {"--resume"});
    arguments.replace(3, path("recipes/5.json"));
    QVERIFY2(refusal(arguments).contains("the plan: tensor 'model.layers.0"), refusal(arguments));
    arguments = quantizeTo(path("other.gguf"), {"--resume"});
    arguments.removeAt(5);
    arguments.removeAt(4);
    QVERIFY2(refusal(arguments).contains("the calibration: there was one"), refusal(arguments));
    const std::filesystem::path model = path("moved/sample").toStdString();
    QVERIFY(QDir(m_folder.path()).mkdir("moved"));
    copySample(model);
    std::string weights = readFile(model / "model.safetensors");
    weights[weights.size() - 2] ^= 1;
    std::filesystem::permissions(model / "model.safetensors", std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    writeFile(model / "model.safetensors", weights);
    arguments = quantizeTo(path("other.gguf"), {"--resume"});
    arguments.replace(1, qpath(model));
    const QByteArray changed = refusal(arguments);
    QVERIFY2(changed.contains("the model: tensor '") && changed.contains("remove"), changed);
    // The same model at another place is the same model; its folder's name is a name in the file.
    std::filesystem::remove_all(model);
    copySample(model);
    const CliRun moved = cli(arguments);
    QVERIFY2(moved.exitCode == 0, moved.err);
    QVERIFY(isUndisturbed("other"));
}

void TestCliResume::resumeWithoutAJournalBegins()
{
    const CliRun run = cli(quantizeTo(path("fresh.gguf"), {"--resume"}));
    QVERIFY2(run.exitCode == 0, run.err);
    QVERIFY(isUndisturbed("fresh"));
}

/// reliability 91.
void TestCliResume::twoProcessesDoNotWriteOneFile()
{
    const auto first = started(quantizeTo(path("two.gguf"), {"--threads", "1"}));
    QVERIFY(first);
    QVERIFY(waitForLayers(*first, path("two.gguf"), 1));
    QCOMPARE(::kill(static_cast<pid_t>(first->processId()), SIGSTOP), 0);  // or it might be done before the others ask
    for (const QStringList& more : {QStringList{}, QStringList{"--resume"}, QStringList{"--overwrite"}}) {
        const CliRun second = cli(quantizeTo(path("two.gguf"), more));
        QCOMPARE(second.exitCode, 1);
        QVERIFY2(second.err.contains("another process is writing it"), second.err);
    }
    QCOMPARE(::kill(static_cast<pid_t>(first->processId()), SIGCONT), 0);
    QVERIFY(first->waitForFinished(60'000));
    QCOMPARE(first->exitCode(), 0);
    QVERIFY(isUndisturbed("two"));
}

/// reliability 88 by a real limit: the space is asked for before any work.
void TestCliResume::aLimitOnFileSizesIsTold()
{
    writeFile(path("limit.gguf").toStdString(), "old");
    const QStringList command = quantizeTo(path("limit.gguf"), {"--overwrite"});
    const CliRun run = runProgram("/bin/sh", QStringList{"-c", "ulimit -f 1000; exec \"$0\" \"$@\"", cliPath()} + command);
    QCOMPARE(run.exitCode, 1);
    QVERIFY(!run.crashed);
    QVERIFY2(run.err.contains("bytes") && run.err.contains("needed") && run.err.contains("free"), run.err);
    QCOMPARE(readFile(path("limit.gguf").toStdString()), std::string("old"));
    QVERIFY(filesIn(m_folder.path()).filter("limit") == QStringList{"limit.gguf"});
}

void TestCliResume::unusualNamesAreWrittenAndResumed_data()
{
    QTest::addColumn<QByteArray>("name");
    QTest::newRow("spaces and quotes") << QByteArray("a 'b' \"c\" $d");
    QTest::newRow("newline and controls") << QByteArray("a\nb\x1b[31m");
    QTest::newRow("not UTF-8") << QByteArray("a\xff\xfe");
    QTest::newRow("right to left") << QByteArray("a\xe2\x80\xae" "b");
    QTest::newRow("leading dash") << QByteArray("-rf");
    QTest::newRow("as long as names get") << QByteArray(250, 'n');
}

/// reliability 83.
void TestCliResume::unusualNamesAreWrittenAndResumed()
{
    QFETCH(QByteArray, name);
    const QTemporaryDir folder;
    // QProcess converts names; a shell takes them as bytes.
    const std::filesystem::path script = folder.filePath("run.sh").toStdString();
    const std::string output = (name.size() > 240 ? name.toStdString() : name.toStdString() + ".gguf");
    writeFile(script, "cd \"$1\" && shift && exec \"$@\" -o \"$(cat name; echo x)\"\n");
    writeFile(folder.filePath("name").toStdString(), output);
    // $(…) drops trailing newlines, hence the x, which is part of the name then.
    const std::string written = output + "x";
    const CliRun run = runProgram("/bin/sh", {qpath(script), folder.path(), cliPath(), "quantize", sampleFolder(), "--preset",
                                              "rtn-w4", "--to", "gguf", "--resume"});
    if (name.startsWith('-')) {
        // An option's value that begins with a dash needs "-o=" or "./": refused as wrong usage or taken, never worse.
        QVERIFY(run.exitCode == 0 || run.exitCode == 2);
        return;
    }
    QVERIFY2(run.exitCode == 0, run.err);
    QVERIFY(!run.out.contains('\x1b') && !run.err.contains('\x1b'));
    QVERIFY(readFile(std::filesystem::path(folder.path().toStdString()) / written).starts_with("GGUF"));
    QCOMPARE(std::distance(std::filesystem::directory_iterator(folder.path().toStdString()), {}), std::ptrdiff_t(3));
    std::filesystem::remove_all(folder.path().toStdString());  // names that are no UTF-8 are beyond QTemporaryDir
}

/// reliability 82. /proc refuses new files even to root, as a read-only file system does.
void TestCliResume::aFolderThatCannotBeWrittenIsRefusedAtOnce()
{
    for (const char* output : {"/proc/x.gguf", "/proc/sys/x.gguf"}) {
        const CliRun run = cli(quantizeTo(output));
        QCOMPARE(run.exitCode, 1);
        QVERIFY2(run.err.contains(output), run.err);
    }
    const CliRun absent = cli(quantizeTo(path("absent/x.gguf")));
    QCOMPARE(absent.exitCode, 1);
    QVERIFY2(absent.err.contains("absent"), absent.err);
}

/// reliability 86: also the names that a run needs beside its output.
void TestCliResume::journalPartialAndBackupAreNeverInputs()
{
    for (const char* suffix : {".sigmascope-partial", ".sigmascope-old"}) {
        const QString input = path("in.gguf") + suffix;
        QVERIFY(QFile::copy(path("whole.gguf"), input));
        QStringList arguments = quantizeTo(path("in.gguf"), {"--overwrite"});
        arguments.replace(1, input);
        const CliRun run = cli(arguments);
        QCOMPARE(run.exitCode, 1);
        QVERIFY2(run.err.contains("is the input"), run.err);
        QVERIFY(readFile(input.toStdString()) == m_model);
        QVERIFY(QFile::remove(input));
    }
    // In place of the journal a model is no journal: left alone.
    const QString input = path("in.gguf.sigmascope-journal");
    QVERIFY(QFile::copy(path("whole.gguf"), input));
    QCOMPARE(cli(quantizeTo(path("in.gguf"), {"--overwrite", "--resume"})).exitCode, 1);
    QVERIFY(readFile(input.toStdString()) == m_model);
    QVERIFY(QFile::remove(input));
}

void TestCliResume::resumedResultsAreCompleteAndMarked()
{
    leaveUnfinished("marked", 8);
    QStringList arguments = quantizeTo(path("marked.gguf"), {"--resume"});
    arguments.removeAll("--json");
    const CliRun run = cli(arguments);
    QVERIFY2(run.exitCode == 0, run.err);
    QVERIFY2(run.out.contains("earlier run") && run.out.contains("Resumed: "), run.out);
    QVERIFY(isUndisturbed("marked"));
    leaveUnfinished("json", 8);
    const CliRun json = cli(quantizeTo(path("json.gguf"), {"--resume"}));
    QVERIFY2(json.exitCode == 0, json.err);
    const QJsonArray tensors = json.json()[u"tensors"].toArray();
    QCOMPARE(tensors.size(), m_result[u"tensors"].toArray().size());
    for (int i = 0; i < tensors.size(); ++i) {
        QJsonObject now = tensors[i].toObject();
        QJsonObject then = m_result[u"tensors"].toArray()[i].toObject();
        now.remove("seconds");
        then.remove("seconds");
        QCOMPARE(now, then);
    }
}

QTEST_GUILESS_MAIN(TestCliResume)
#include "tst_cli_resume.moc"
