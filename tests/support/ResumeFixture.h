// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// A run that is cut short, and what an undisturbed one leaves: for the tests of faults and of taking up again.

#include "support/ExporterFixture.h"
#include "support/FaultySystem.h"

#include "core/project/Journal.h"
#include "core/project/Pipeline.h"

#include <map>

namespace sigmascope::test {

class ResumeFixture : protected ExporterFixture {
protected:
    /// Notes what an undisturbed run leaves.
    void runUndisturbed()
    {
        makeModel();
        const auto result = run(plan());
        QVERIFY2(result, result ? "" : result.error().detail.c_str());
        m_undisturbed = files();
        QCOMPARE(m_undisturbed.size(), std::size_t(2)); // model and adapter, and no journal
    }

    [[nodiscard]] ExportRequest plan(std::uint32_t rank = 2, FileSystem* system = nullptr) const
    {
        ExportRequest r = request(quantizeBlock(*m_model, "q4_0", rank));
        r.system = system;
        return r;
    }
    Result<RunResult> run(const ExportRequest& request, Unfinished unfinished = Unfinished::Refuse,
                          const JobContext& job = {})
    {
        return quantize(request, *findExporter("gguf"), *m_backend, {.unfinished = unfinished}, job);
    }
    /// Name -> bytes of all files beside the output.
    [[nodiscard]] std::map<std::string, std::string> files() const
    {
        std::map<std::string, std::string> all;
        for (const auto& entry : fs::directory_iterator(m_out))
            all[entry.path().filename().string()] = readFile(entry.path());
        return all;
    }
    void clear() const
    {
        for (const auto& entry : fs::directory_iterator(m_out))
            fs::remove(entry);
    }
    /// Cuts a run short once @p layers are in its journal.
    void leaveUnfinished(std::size_t layers, const ExportRequest& request)
    {
        std::stop_source stop;
        std::size_t seen = 0;
        const auto result = quantize(request, *findExporter("gguf"), *m_backend,
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

    std::unique_ptr<ComputeBackend> m_backend = makeCpuBackend();
    std::map<std::string, std::string> m_undisturbed; // of plan()
};

}  // namespace sigmascope::test
