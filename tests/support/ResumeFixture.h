// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A run that is cut short, and what an undisturbed one leaves: for the tests of faults and of taking up again.

#include "support/ExporterFixture.h"
#include "support/FaultySystem.h"

#include "core/project/Journal.h"
#include "core/project/Pipeline.h"

#include <QStringList>

#include <cstdint>
#include <map>

namespace sigmascope::test {

/// Beside the registry's rows: GGUF in three files and an adapter.
inline constexpr const char* kGgufInFiles = "gguf in files";

class ResumeFixture : protected ExporterFixture {
protected:
    /// A row for everything that is written: a new exporter is covered by what is shown for every row.
    static void everyTarget()
    {
        QTest::addColumn<QString>("target");
        for (const QString& target : allTargets())
            QTest::addRow("%s", qPrintable(target)) << target;
    }
    [[nodiscard]] static QStringList allTargets()
    {
        QStringList all{QString::fromLatin1(kGgufInFiles)};
        for (const ExporterRow& row : exporters())
            all << QString::fromStdString(std::string(row.id));
        return all;
    }
    /// What the runs from here on write: a file and its adapter (gguf), or a folder; two of them in shards.
    void useTarget(const QString& target)
    {
        m_ggufTensors = target == QLatin1String(kGgufInFiles) ? 5 : 0;
        m_exporter = findExporter(m_ggufTensors > 0 ? "gguf" : target.toStdString());
        QVERIFY(m_exporter != nullptr);
    }
    /// Notes what an undisturbed run leaves.
    void runUndisturbed()
    {
        makeModel();
        const auto result = run(plan());
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        m_undisturbed = files();
        QCOMPARE(m_undisturbed.size(), result->outputs.size()); // and no journal
        QVERIFY(m_undisturbed.size() > 1);
    }

    [[nodiscard]] bool writesFolder() const { return m_exporter->id != "gguf"; }
    [[nodiscard]] ExportRequest plan(std::uint32_t rank = 2, FileSystem* system = nullptr) const
    {
        const std::string grid = gridFor(m_exporter->id);
        ExportRequest r = request(quantizeBlock(*m_model, grid, 0));
        // Two corrected layers have all that seven have, in a third of the time.
        for (const char* name : {"q_proj", "o_proj"})
            r.plan.layers[*m_model->find(std::string("model.layers.0.self_attn.") + name + ".weight")] = onGrid(grid, rank);
        r.plan.target = m_exporter->id;
        r.system = system;
        if (writesFolder())
            r.output = m_out / "m";
        if (m_exporter->id == "research" || m_exporter->id == "compressed-tensors")
            r.splitMaxBytes = 90'000;
        r.ggufMaxTensors = m_ggufTensors;
        return r;
    }
    Result<RunResult> run(const ExportRequest& request, Unfinished unfinished = Unfinished::Refuse,
                          const JobContext& job = {})
    {
        return quantize(request, *m_exporter, *m_backend, {.unfinished = unfinished}, job);
    }
    /// Name -> bytes of all files beside and under the output.
    [[nodiscard]] std::map<std::string, std::string> files() const
    {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::recursive_directory_iterator(m_out)) {
            if (!fs::is_directory(entry.symlink_status()))
                all[entry.path().lexically_relative(m_out).string()] = readFile(entry.path());
        }
        return all;
    }
    /// Those that bear the names of a finished export, and not those of a run under way.
    [[nodiscard]] std::map<std::string, std::string> finishedFiles() const
    {
        auto all = files();
        std::erase_if(all, [](const auto& file) { return file.first.find(".sigmascope-") != std::string::npos; });
        return all;
    }
    /// Puts something else where the files of an undisturbed run would stand.
    std::map<std::string, std::string> writeOldFiles() const
    {
        std::map<std::string, std::string> old;
        for (const auto& [name, bytes] : m_undisturbed) {
            old[name] = "old " + name;
            fs::create_directories((m_out / name).parent_path());
            writeFile(m_out / name, old[name]);
        }
        return old;
    }
    void clear() const
    {
        for (const auto& entry : fs::directory_iterator(m_out))
            fs::remove_all(entry);
    }
    /// Cuts a run short once @p layers are in its journal.
    void leaveUnfinished(std::size_t layers, const ExportRequest& request)
    {
        std::stop_source stop;
        std::size_t seen = 0;
        const auto result = quantize(request, *m_exporter, *m_backend,
                                     {.onLayer =
                                          [&](const TensorResult&) {
                                              if (++seen == layers)
                                                  stop.request_stop();
                                          }},
                                     {.stop = stop.get_token()});
        QVERIFY(!result);
        QCOMPARE(result.error().code, ErrorCode::Cancelled);
        const auto left = unfinishedRunAt(request.output);
        QVERIFY(left && *left);
        QCOMPARE((*left)->finished, layers);
        QCOMPARE((*left)->planned, m_model->tensors().size());
    }

    const ExporterRow* m_exporter = findExporter("gguf");
    std::uint32_t m_ggufTensors = 0;  // in one file; 0: all
    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    std::map<std::string, std::string> m_undisturbed; // of plan()
};

}  // namespace sigmascope::test
