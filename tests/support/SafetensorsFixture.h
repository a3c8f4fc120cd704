// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

// The two exporters of safetensors, and the folders they write: for the tests of both.

#include "support/ExporterFixture.h"

#include <map>
#include <set>

namespace sigmascope::test {

using Make = Result<std::unique_ptr<Exporter>> (*)(ExportRequest);

inline std::set<std::string> namesIn(const fs::path& folder)
{
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.insert(entry.path().filename().string());
    return names;
}

inline std::map<std::string, std::string> filesIn(const fs::path& folder)
{
    std::map<std::string, std::string> files;
    for (const std::string& name : namesIn(folder))
        files[name] = readFile(folder / name);
    return files;
}

inline Status exported(Make make, const ExportRequest& request, SizeEstimate* estimate = nullptr, FactorType type = FactorType::F16)
{
    auto exporter = make(request);
    if (!exporter)
        return passOn(exporter);
    for (const std::size_t tensor : (*exporter)->order()) {
        if (Status added = (*exporter)->add(layerOf(request, tensor, {}, type)); !added)
            return added;
    }
    if (estimate != nullptr)
        *estimate = (*exporter)->estimate();
    return (*exporter)->finish();
}

class SafetensorsFixture : protected ExporterFixture {
protected:
    /// A model folder with files for runtimes and one that is none of their business.
    void makeFolder()
    {
        makeModel();
        writeFile(m_folder / "generation_config.json", "{}");
        writeFile(m_folder / "notes.txt", "not for runtimes");
    }
    [[nodiscard]] ExportRequest folderRequest(QuantizationPlan plan, const char* name = "hf") const
    {
        ExportRequest r = request(std::move(plan));
        r.output = m_out / name;
        return r;
    }
    static void eachTarget()
    {
        QTest::addColumn<QString>("target");
        QTest::newRow("bf16") << "bf16";
        QTest::newRow("research") << "research";
    }
    static const ExporterRow& rowOf(const QString& target) { return *findExporter(target.toStdString()); }
};

}  // namespace sigmascope::test
