// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/OrNull.h"
#include "app/cli/Table.h"
#include "app/cli/Verb.h"
#include "core/base/Json.h"
#include "core/plan/Plan.h"
#include "core/solve/Solver.h"

#include <CLI/CLI.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace sigmascope::cli
{

namespace
{

/// What may be added back to a matrix on a grid.
struct Correction {
    std::string_view id;
    std::string_view title;
    std::string_view source;
};

constexpr Correction kCorrections[] = {
    {"none", "No correction", "project"},
    {"low-rank", "Low rank, error-first: Q + L R, any rank, factors of 8, 16 or 32 bit",
     "LQER, Zhang et al. 2024; QERA 2024"},
};

template <class Row> Json describedRow(const Row& row)
{
    Json json;
    json["id"] = row.id;
    json["title"] = row.title;
    json["source"] = row.source;
    return json;
}

class Methods final : public Verb
{
public:
    explicit Methods(CLI::App& root)
        : m_app(root.add_subcommand("methods", "List presets, grids, solvers and corrections"))
    {
        m_app->add_flag("--json", m_json, "One JSON object instead of tables");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token&) override { return m_json ? json() : tables(); }

private:
    /// Those that GGUF carries, then those that only other targets do.
    static std::vector<const Preset*> everyPreset()
    {
        std::vector<const Preset*> every;
        for (const std::string_view target : {"gguf", "research"}) {
            for (const Preset& preset : presets(target)) {
                if (std::ranges::find(every, &preset) == every.end())
                    every.push_back(&preset);
            }
        }
        return every;
    }

    static std::string json()
    {
        Json object;
        object["presets"] = Json::array();
        for (const Preset* preset : everyPreset()) {
            Json row = describedRow(*preset);
            row["needs"] = orNull(preset->needs);
            object["presets"].push_back(std::move(row));
        }
        object["grids"] = Json::array();
        for (const GridFamily& family : gridFamilies()) {
            Json row = describedRow(family);
            row["bits"] = family.bits;
            object["grids"].push_back(std::move(row));
        }
        object["solvers"] = Json::array();
        for (const Solver& solver : solvers())
            object["solvers"].push_back(describedRow(solver));
        object["corrections"] = Json::array();
        for (const Correction& correction : kCorrections)
            object["corrections"].push_back(describedRow(correction));
        return dumpJson(object, 2) + '\n';
    }

    static std::string tables()
    {
        Table presetTable(
            {{"preset", Align::Left}, {"title", Align::Left}, {"needs", Align::Left}, {"source", Align::Left}});
        for (const Preset* preset : everyPreset())
            presetTable.add({std::string(preset->id), std::string(preset->title),
                             preset->needs.empty() ? "–" : std::string(preset->needs), std::string(preset->source)});
        Table gridTable(
            {{"grid", Align::Left}, {"bits", Align::Left}, {"title", Align::Left}, {"source", Align::Left}});
        for (const GridFamily& family : gridFamilies())
            gridTable.add({std::string(family.id), fmt::format("{}", fmt::join(family.bits, " ")),
                           std::string(family.title), std::string(family.source)});
        Table solverTable({{"solver", Align::Left}, {"title", Align::Left}, {"source", Align::Left}});
        for (const Solver& solver : solvers())
            solverTable.add({std::string(solver.id), std::string(solver.title), std::string(solver.source)});
        Table correctionTable({{"correction", Align::Left}, {"title", Align::Left}, {"source", Align::Left}});
        for (const Correction& correction : kCorrections)
            correctionTable.add(
                {std::string(correction.id), std::string(correction.title), std::string(correction.source)});
        return presetTable.toString() + '\n' + gridTable.toString() + '\n' + solverTable.toString() + '\n'
            + correctionTable.toString();
    }

    CLI::App* m_app;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makeMethods(CLI::App& root)
{
    return std::make_unique<Methods>(root);
}

} // namespace sigmascope::cli
