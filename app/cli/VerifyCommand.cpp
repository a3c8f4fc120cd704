// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/OrNull.h"
#include "app/cli/Table.h"
#include "app/cli/TensorReport.h"
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/base/Json.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Verify.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

class Verify final : public Verb
{
public:
    explicit Verify(CLI::App& root)
        : m_app(root.add_subcommand("verify", "Read a file to its last value and tell what is wrong with it"))
    {
        m_app->add_option("FILE", m_file, "safetensors or GGUF file, folder, or *.index.json")->required();
        m_app->add_option("--against", m_model, "The model it was made from: every tensor is compared with it");
        m_app->add_flag("--json", m_json, "One JSON object instead of text");
        m_app->footer("Exit status: 0 all is well, 1 something is wrong with the file, 2 wrong usage.");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }
    [[nodiscard]] int exitCode() const override { return m_isGood ? kExitDone : kExitFailed; }

    [[nodiscard]] Result<std::string> run(const std::stop_token& stop) override
    {
        Progress progress(stop);
        const JobContext job = progress.job();
        const auto file = Checkpoint::open(m_file, {.coded = &codedFormats()}, job);
        if (!file)
            return passOn(file);
        std::shared_ptr<const Checkpoint> model;
        if (!m_model.empty()) {
            auto opened = Checkpoint::open(m_model, {.coded = &codedFormats()}, job);
            if (!opened)
                return passOn(opened);
            model = std::move(*opened);
        }
        const auto found = verifyModel(**file, model.get(), job);
        progress.clear();
        if (!found)
            return passOn(found);
        m_isGood = found->findings.empty();
        return m_json ? json(*found, model.get(), **file) : text(*found, model.get());
    }

private:
    [[nodiscard]] std::string json(const Verification& found, const Checkpoint* model, const Checkpoint& file) const
    {
        Json object;
        object["tensors"] = found.tensors;
        object["bytes"] = found.bytes;
        object["values"] = found.values;
        object["undecoded"] = found.undecoded;
        object["problems"] = Json::array();
        for (const Finding& one : found.findings)
            object["problems"].push_back({{"tensor", orNull(one.tensor)}, {"text", one.text}});
        object["against"] = nullptr;
        if (model != nullptr) {
            Json& against = object["against"];
            against["weight_rel_error"] = orNull(found.against->relativeError);
            against["tensors"] = Json::array();
            for (const TensorDifference& one : found.against->tensors)
                against["tensors"].push_back({{"name", file.tensors()[one.b].name},
                                              {"weight_rel_error", orNull(one.relativeError)},
                                              {"largest_difference", orNull(one.largest)},
                                              {"same_bytes", one.sameBytes}});
        }
        return dumpJson(object, 2) + '\n';
    }

    [[nodiscard]] std::string text(const Verification& found, const Checkpoint* model) const
    {
        Table table({{"tensor", Align::Left}, {"what is wrong", Align::Left}});
        for (const Finding& one : found.findings)
            table.add({one.tensor.empty() ? "the file" : escaped(one.tensor), one.text});
        std::string out = table.isEmpty() ? std::string() : table.toString() + '\n';
        out += fmt::format("{} tensors, {}: {} values read", found.tensors, formatBytes(found.bytes), grouped(found.values));
        if (found.undecoded > 0)
            out += fmt::format(", {} tensors of types without known values", found.undecoded);
        out += '\n';
        if (model != nullptr)
            out += againstText(*found.against, *model);
        out += found.findings.empty() ? "All is well.\n"
                                      : fmt::format("{} problem{}.\n", found.findings.size(), found.findings.size() == 1 ? "" : "s");
        return out;
    }

    static std::string againstText(const ModelComparison& against, const Checkpoint& model)
    {
        std::string out = fmt::format("Against the model: weight error {} over all compared tensors", percent(against.relativeError));
        const auto worst = std::ranges::max_element(against.tensors, {}, [](const TensorDifference& one) {
            return one.relativeError.value_or(-1);
        });
        if (worst != against.tensors.end() && worst->relativeError.value_or(0) > 0)
            out += fmt::format(", largest {} in {}", percent(worst->relativeError), escaped(model.tensors()[worst->a].name));
        return out + '\n';
    }

    CLI::App* m_app;
    std::string m_file;
    std::string m_model;
    bool m_json = false;
    bool m_isGood = true;
};

} // namespace

std::unique_ptr<Verb> makeVerify(CLI::App& root)
{
    return std::make_unique<Verify>(root);
}

} // namespace sigmascope::cli
