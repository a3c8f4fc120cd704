// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/CliRun.h"

#include "core/project/ProjectFile.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>

using namespace sigmascope;
using namespace sigmascope::test;

class TestCliReport : public QObject
{
    Q_OBJECT

private slots:
    void initTestCase();
    void aSessionBecomesOnePage();
    void figuresOfAnEarlierPlanAreMarked();
    void aModelThatIsGoneLeavesTheFigures();
    void withoutResultsNothingIsWritten();
    void damagedAndAbsentSessionsAreNamed();
    void theSessionIsNeverReplaced();

private:
    QString at(const char* name) const { return m_folder.filePath(QString::fromLatin1(name)); }
    void save(const char* name, const ProjectFile& project) const
    {
        const Status saved = saveProject(project, at(name).toStdString());
        QVERIFY2(saved, saved ? "" : saved.error().detail.c_str());
    }
    [[nodiscard]] QByteArray page(const char* name) const
    {
        QFile file(at(name));
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }

    QTemporaryDir m_folder;
    ProjectFile m_project;
};

void TestCliReport::initTestCase()
{
    QVERIFY(m_folder.isValid());
    // As the studio saves the sample after a run: every tensor with its plan, the planned ones measured.
    const auto checkpoint = Checkpoint::open(sampleFolder().toStdString());
    QVERIFY(checkpoint.has_value());
    const auto recipe = recipeFromPreset("l2qer-w4");
    QVERIFY(recipe.has_value());
    const auto resolved = resolve(*recipe, **checkpoint, ModelTopology(**checkpoint));
    QVERIFY(resolved.has_value());
    m_project.checkpoint = sampleFolder().toStdString();
    m_project.calibration = sampleImatrix().toStdString();
    m_project.fingerprint = structureOf(**checkpoint);
    m_project.plan = resolved->plan;
    for (std::size_t i = 0; i < m_project.plan.layers.size(); ++i) {
        m_project.tensors.push_back((*checkpoint)->tensors()[i].name);
        const LayerPlan& plan = m_project.plan.layers[i];
        TensorResult result{.name = m_project.tensors.back(), .grid = plan.grid, .method = plan.keep ? "keep" : "l2qer", .bitsPerWeight = 5.25};
        result.weightError = plan.keep ? 0.0 : 0.0713;
        if (!plan.keep)
            result.metricError = 0.0612;
        m_project.results.push_back({result, plan});
    }
}

void TestCliReport::aSessionBecomesOnePage()
{
    save("a.sgms", m_project);
    const CliRun run = cli({"report", at("a.sgms"), "-o", at("a.html"), "--json"});
    QVERIFY2(run.exitCode == 0, run.err.constData());
    QVERIFY(run.err.isEmpty());
    const QByteArray html = page("a.html");
    QCOMPARE(run.json()["bytes"].toInt(), html.size());
    QCOMPARE(run.json()["tensors"].toInt(), static_cast<int>(m_project.results.size()));
    QCOMPARE(run.json()["planned_otherwise"].toInt(), 0);
    QVERIFY(html.startsWith("<!DOCTYPE html>"));
    for (const char* text : {"7.13\u202f%", "6.12\u202f%", "imatrix.gguf", "a.sgms", "<svg", "&quot;preset&quot;: &quot;l2qer-w4&quot;"})
        QVERIFY2(html.contains(text), text);
    // Nothing is made up of files that a session does not know of, nothing is fetched, no folder of its author is told.
    for (const char* text : {"bytes written,", "SHA-256", "<script", "http:", "https:", "src="})
        QVERIFY2(!html.contains(text), text);
    QVERIFY(!html.contains(m_folder.path().toUtf8()));
    const CliRun again = cli({"report", at("a.sgms"), "-o", at("a.html")});
    QCOMPARE(again.exitCode, 0);
    QVERIFY(again.out.contains("a.html"));
    QCOMPARE(page("a.html"), html);
}

void TestCliReport::figuresOfAnEarlierPlanAreMarked()
{
    ProjectFile changed = m_project;
    const auto planned = std::ranges::find(changed.plan.layers, false, &LayerPlan::keep);
    planned->rank += 1;
    save("changed.sgms", changed);
    const CliRun run = cli({"report", at("changed.sgms"), "-o", at("changed.html"), "--json"});
    QCOMPARE(run.json()["planned_otherwise"].toInt(), 1);
    QVERIFY(page("changed.html").contains("1 of " + QByteArray::number(static_cast<qulonglong>(m_project.results.size())) + " tensors are planned otherwise"));
}

void TestCliReport::aModelThatIsGoneLeavesTheFigures()
{
    ProjectFile moved = m_project;
    moved.checkpoint = "/nowhere/model";
    save("moved.sgms", moved);
    const CliRun run = cli({"report", at("moved.sgms"), "-o", at("moved.html")});
    QCOMPARE(run.exitCode, 0);
    QVERIFY(run.err.contains("/nowhere/model"));
    QVERIFY(page("moved.html").contains("6.12\u202f%"));
    QVERIFY(!page("moved.html").contains("<h2>Recipe"));
}

void TestCliReport::withoutResultsNothingIsWritten()
{
    ProjectFile empty = m_project;
    empty.results.clear();
    save("empty.sgms", empty);
    const CliRun run = cli({"report", at("empty.sgms"), "-o", at("empty.html")});
    QCOMPARE(run.exitCode, 1);
    QVERIFY(run.err.contains("empty.sgms") && run.err.contains("no results"));
    QVERIFY(!QFile::exists(at("empty.html")));
}

void TestCliReport::damagedAndAbsentSessionsAreNamed()
{
    save("damaged.sgms", m_project);
    QFile file(at("damaged.sgms"));
    QVERIFY(file.open(QIODevice::ReadWrite) && file.seek(file.size() / 2) && file.write("x", 1) == 1);
    file.close();
    for (const char* name : {"damaged.sgms", "absent.sgms"}) {
        const CliRun run = cli({"report", at(name), "-o", at("none.html")});
        QVERIFY(!run.crashed);
        QCOMPARE(run.exitCode, 1);
        QVERIFY(run.err.contains(name));
        QVERIFY(!QFile::exists(at("none.html")));
    }
}

void TestCliReport::theSessionIsNeverReplaced()
{
    save("same.sgms", m_project);
    const QByteArray before = page("same.sgms");
    const CliRun run = cli({"report", at("same.sgms"), "-o", at("same.sgms")});
    QCOMPARE(run.exitCode, 1);
    QCOMPARE(page("same.sgms"), before);
}

QTEST_GUILESS_MAIN(TestCliReport)
#include "tst_cli_report.moc"
