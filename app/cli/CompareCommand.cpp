// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/OrNull.h"
#include "app/cli/Table.h"
#include "app/cli/TensorReport.h"
#include "app/cli/Terminal.h"
#include "app/cli/Verb.h"
#include "core/base/Json.h"
#include "core/lowrank/CodedMatrices.h"
#include "core/project/Compare.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace sigmascope::cli
{

namespace
{

class Compare final : public Verb
{
public:
    explicit Compare(CLI::App& root)
        : m_app(root.add_subcommand("compare", "Compare two models tensor by tensor, largest weight error first"))
    {
        m_app->add_option("A", m_a, "The reference: safetensors or GGUF file, folder, or *.index.json")->required();
        m_app->add_option("B", m_b, "The model compared with it")->required();
        m_app->add_flag("--json", m_json, "One JSON object instead of a table, in A's order");
    }

    [[nodiscard]] const CLI::App& command() const override { return *m_app; }

    [[nodiscard]] Result<std::string> run(const std::stop_token& stop) override
    {
        Progress progress(stop);
        const JobContext job = progress.job();
        const auto a = Checkpoint::open(m_a, {.coded = &codedFormats()}, job);
        if (!a)
            return passOn(a);
        const auto b = Checkpoint::open(m_b, {.coded = &codedFormats()}, job);
        if (!b)
            return passOn(b);
        const auto found = compareModels(**a, **b, job);
        progress.clear();
        if (!found)
            return passOn(found);
        for (const auto& checkpoint : {*a, *b})
            printWarnings(*checkpoint);
        return m_json ? json(**a, **b, *found) : table(**a, **b, *found);
    }

private:
    static std::string json(const Checkpoint& a, const Checkpoint& b, const ModelComparison& found)
    {
        Json tensors = Json::array();
        for (const TensorDifference& one : found.tensors) {
            const TensorInfo& left = a.tensors()[one.a];
            const TensorInfo& right = b.tensors()[one.b];
            Json row;
            row["name"] = one.name;
            row["name_b"] = right.name;
            row["shape"] = std::vector<std::uint64_t>(left.shape.begin(), left.shape.end());
            row["dtype_a"] = escaped(left.typeName());
            row["dtype_b"] = escaped(right.typeName());
            row["bytes_a"] = left.bytes;
            row["bytes_b"] = right.bytes;
            row["weight_rel_error"] = orNull(one.relativeError);
            row["largest_difference"] = orNull(one.largest);
            row["same_bytes"] = one.sameBytes;
            row["reason"] = orNull(one.reason);
            tensors.push_back(std::move(row));
        }
        Json object;
        object["tensors"] = std::move(tensors);
        object["only_a"] = names(a, found.onlyA);
        object["only_b"] = names(b, found.onlyB);
        object["totals"]["bytes_a"] = a.totalBytes();
        object["totals"]["bytes_b"] = b.totalBytes();
        object["totals"]["weight_rel_error"] = orNull(found.relativeError);
        return dumpJson(object, 2) + '\n';
    }

    static std::string table(const Checkpoint& a, const Checkpoint& b, const ModelComparison& found)
    {
        std::vector<const TensorDifference*> worst;
        worst.reserve(found.tensors.size());
        for (const TensorDifference& one : found.tensors)
            worst.push_back(&one);
        // What could not be compared stands last: it is a note, not an error of zero.
        std::ranges::stable_sort(worst, std::greater(),
                                 [](const TensorDifference* one) { return one->relativeError.value_or(-1); });
        Table text({{"tensor", Align::Left}, {"A", Align::Left}, {"B", Align::Left}, {"bytes A"}, {"bytes B"},
                    {"weight error"}, {"largest"}, {"note", Align::Left}});
        for (const TensorDifference* one : worst) {
            const TensorInfo& left = a.tensors()[one->a];
            const TensorInfo& right = b.tensors()[one->b];
            text.add({escaped(one->name), escaped(left.typeName()), escaped(right.typeName()), grouped(left.bytes), grouped(right.bytes),
                      percent(one->relativeError), shortNumber(one->largest),
                      one->sameBytes ? "same bytes" : escaped(one->reason)});
        }
        std::string out = text.isEmpty() ? std::string() : text.toString() + '\n';
        for (const auto& [checkpoint, indices, side] : {std::tuple(&a, &found.onlyA, 'A'), std::tuple(&b, &found.onlyB, 'B')})
            for (const std::size_t i : *indices)
                out += fmt::format("only in {}: {}\n", side, escaped(checkpoint->tensors()[i].name));
        out += fmt::format("all compared tensors: weight error {}; A {} bytes, B {} bytes of tensors\n",
                           percent(found.relativeError), grouped(a.totalBytes()), grouped(b.totalBytes()));
        return out;
    }

    static Json names(const Checkpoint& checkpoint, const std::vector<std::size_t>& indices)
    {
        Json list = Json::array();
        for (const std::size_t i : indices)
            list.push_back(checkpoint.tensors()[i].name);
        return list;
    }

    CLI::App* m_app;
    std::string m_a;
    std::string m_b;
    bool m_json = false;
};

} // namespace

std::unique_ptr<Verb> makeCompare(CLI::App& root)
{
    return std::make_unique<Compare>(root);
}

} // namespace sigmascope::cli
