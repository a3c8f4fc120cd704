// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Report.h"

#include "core/base/Digits.h"
#include "core/checkpoint/ModelTopology.h"
#include "core/project/ReportChart.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace sigmascope {

namespace {

constexpr std::size_t kWorst = 10;

// The studio's colours (ui/Theme), so that a figure means the same in both.
constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--base:#fff;--panel:#f6f7f8;--line:#d5d9dd;--grid:#eceef0;--tx:#1b1f24;--tx2:#454d56;--e:#b85c00;--es:#0068b0;--q:#13855f;--lr:#8f3070}
@media (prefers-color-scheme:dark){:root{--base:#191b1e;--panel:#212428;--line:#34393f;--grid:#26292e;--tx:#e4e7ea;--tx2:#b0b7bf;--e:#f0a03c;--es:#4a9fe0;--q:#2b9f79;--lr:#e9acd6}}
body{font:15px/1.45 Inter,system-ui,sans-serif;background:var(--base);color:var(--tx);max-width:1000px;margin:32px auto;padding:0 20px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:32px 0 8px}p,figcaption,.note{color:var(--tx2)}
table{border-collapse:collapse;width:100%;font-size:13px}th{text-align:left;color:var(--tx2);font-weight:500;border-bottom:1px solid var(--line)}
td,th{padding:3px 10px 3px 0;vertical-align:top}td.n,th.n{text-align:right;font-family:"JetBrains Mono",ui-monospace,monospace;white-space:nowrap}
td.m,pre,code{font-family:"JetBrains Mono",ui-monospace,monospace;font-size:12px;overflow-wrap:anywhere}pre{background:var(--panel);padding:12px;white-space:pre-wrap}
.map td{text-align:right;padding:4px 8px;border:1px solid var(--base);font-family:"JetBrains Mono",ui-monospace,monospace;font-size:12px}
figure{margin:12px 0}svg{width:100%;height:auto;display:block}.grid{stroke:var(--grid)}.tick{fill:var(--tx2);font-size:11px;text-anchor:end}
.e{fill:var(--e)}.es{fill:none;stroke:var(--es);stroke-width:1.5}.bits{fill:var(--q)}.rank{fill:var(--lr)}
.key{display:inline-block;width:9px;height:9px;border-radius:5px;margin:0 5px 0 14px}.key.e{background:var(--e)}.key.es{border:1.5px solid var(--es);box-sizing:border-box}
@media print{:root{--base:#fff;--panel:#fff;--tx:#000;--tx2:#333}body{margin:0;max-width:none}h2{break-after:avoid}figure,tr{break-inside:avoid}}
)";

std::string percent(const std::optional<double>& ratio)
{
    return ratio ? fmt::format("{:.3g}\u202f%", 100 * *ratio) : std::string("–");
}

bool isQuantized(const TensorResult& tensor)
{
    return tensor.method != "keep";
}

/// Output error where there is a metric, else weight error: what the layers are ranked by.
const std::optional<double>& mainError(const TensorResult& tensor)
{
    return tensor.metricError ? tensor.metricError : tensor.weightError;
}

std::vector<const TensorResult*> quantizedOf(const RunResult& run)
{
    std::vector<const TensorResult*> layers;
    for (const TensorResult& tensor : run.tensors)
        if (isQuantized(tensor))
            layers.push_back(&tensor);
    return layers;
}

std::string head(const ReportInput& input)
{
    const RunResult& run = input.run;
    std::string out = fmt::format("<h1>{}</h1>\n<p>", markup(input.model));
    if (!run.outputs.empty()) {
        const double bits = run.elements == 0 ? 0 : 8.0 * static_cast<double>(run.writtenBytes) / static_cast<double>(run.elements);
        out += fmt::format("{} bytes written, {:.4g} bits per weight over all files; ", grouped(run.writtenBytes), bits);
    }
    out += fmt::format("{} of {} tensors quantized.</p>\n", quantizedOf(run).size(), run.tensors.size());
    if (input.facts.empty())
        return out;
    out += "<table>";
    for (const auto& [name, value] : input.facts)
        out += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", markup(name), markup(value));
    return out + "</table>\n";
}

std::string filesSection(const ReportInput& input)
{
    if (input.run.outputs.empty())
        return {};
    std::string out = "<h2>Files</h2>\n<table><tr><th>file</th><th>kind</th><th class=\"n\">bytes</th><th>SHA-256</th></tr>\n";
    for (std::size_t i = 0; i < input.run.outputs.size(); ++i) {
        const OutputFile& file = input.run.outputs[i];
        out += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"m\">{}</td></tr>\n",
                           markup(file.path.filename().string()), markup(file.kind), grouped(file.bytes),
                           i < input.sha256.size() ? markup(input.sha256[i]) : "not computed");
    }
    return out + "</table>\n";
}

std::string charts(const std::vector<const TensorResult*>& layers)
{
    std::vector<std::string> names;
    ChartSeries weight{"weight error", "e", {}};
    ChartSeries output{"output error", "es", {}};
    ChartSeries bits{"bits", "bits", {}};
    ChartSeries rank{"rank", "rank", {}};
    const auto inPercent = [](const std::optional<double>& ratio) {
        return ratio ? std::optional(100 * *ratio) : std::nullopt;
    };
    for (const TensorResult* layer : layers) {
        names.push_back(layer->name);
        weight.values.push_back(inPercent(layer->weightError));
        output.values.push_back(inPercent(layer->metricError));
        bits.values.emplace_back(layer->bitsPerWeight);
        rank.values.emplace_back(layer->rank);
    }
    const bool isWeighted = std::ranges::any_of(output.values, [](const auto& value) { return value.has_value(); });
    Chart errors{"Error of every layer, in depth order", "%", names, {weight}, true};
    if (isWeighted)
        errors.series.push_back(output);
    std::string out = "<h2>Layers</h2>\n" + svgChart(errors);
    out += svgChart({"Bits per weight with scales and factors", "", names, {bits}, false});
    if (std::ranges::any_of(layers, [](const TensorResult* layer) { return layer->rank > 0; }))
        out += svgChart({"Rank of the low-rank correction", "", names, {rank}, false});
    return out;
}

/// Blocks down, roles across; shade and figure both tell the error.
std::string errorMap(const std::vector<const TensorResult*>& layers)
{
    std::vector<Role> roles;
    std::map<std::pair<std::int32_t, Role>, double> cells;
    double largest = 0;
    for (const TensorResult* layer : layers) {
        const TensorPlace place = placeOf(layer->name);
        if (place.block < 0 || place.role == Role::Other || !mainError(*layer))
            continue;
        if (std::ranges::find(roles, place.role) == roles.end())
            roles.push_back(place.role);
        double& cell = cells[{place.block, place.role}];  // stacked experts share a cell: their worst counts
        cell = std::max(cell, *mainError(*layer));
        largest = std::max(largest, cell);
    }
    if (cells.empty() || largest <= 0)
        return {};
    std::ranges::sort(roles);
    std::string out = "<h2>Error by block and role, %</h2>\n<table class=\"map\"><tr><th>block</th>";
    for (const Role role : roles)
        out += fmt::format("<th class=\"n\">{}</th>", id(role));
    out += "</tr>\n";
    const std::int32_t last = cells.rbegin()->first.first;
    for (std::int32_t block = cells.begin()->first.first; block <= last; ++block) {
        out += fmt::format("<tr><th>{}</th>", block);
        for (const Role role : roles) {
            const auto cell = cells.find({block, role});
            if (cell == cells.end())
                out += "<td>–</td>";
            else
                out += fmt::format("<td style=\"background:color-mix(in srgb,var(--e) {:.0f}%,transparent)\">{:.3g}</td>",
                                   60 * cell->second / largest, 100 * cell->second);
        }
        out += "</tr>\n";
    }
    return out + "</table>\n";
}

std::string row(const TensorResult& tensor)
{
    return fmt::format("<tr><td class=\"m\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{:.3f}</td><td class=\"n\">{}</td>"
                       "<td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"note\">{}</td></tr>\n",
                       markup(tensor.name), markup(tensor.method), markup(tensor.grid), tensor.bitsPerWeight, tensor.rank,
                       percent(tensor.weightError), percent(tensor.metricError), markup(tensor.device), markup(tensor.fallback));
}

constexpr std::string_view kColumns
    = "<table><tr><th>tensor</th><th>method</th><th>grid</th><th class=\"n\">bits</th><th class=\"n\">rank</th>"
      "<th class=\"n\">weight error</th><th class=\"n\">output error</th><th>device</th><th>fallback</th></tr>\n";

std::string worstSection(std::vector<const TensorResult*> layers)
{
    std::erase_if(layers, [](const TensorResult* layer) { return !mainError(*layer); });
    std::ranges::stable_sort(layers, std::greater(), [](const TensorResult* layer) { return *mainError(*layer); });
    layers.resize(std::min(kWorst, layers.size()));
    if (layers.empty())
        return {};
    std::string out = fmt::format("<h2>The {} largest errors</h2>\n{}", layers.size(), kColumns);
    for (const TensorResult* layer : layers)
        out += row(*layer);
    return out + "</table>\n";
}

std::string tableSection(const RunResult& run)
{
    std::string out = "<h2>Every tensor</h2>\n" + std::string(kColumns);
    for (const TensorResult& tensor : run.tensors)
        out += row(tensor);
    return out + "</table>\n";
}

constexpr std::string_view kMeaning
    = "<h2>What the numbers mean</h2>\n<p>All figures were measured on the bytes written. Weight error: ‖W − Ŵ‖ / ‖W‖, where Ŵ "
      "is the decoded layer with its correction, after every rounding. Output error: the same with each input channel weighted "
      "by the calibration's activations, ‖(W − Ŵ)S‖ / ‖WS‖; “–” where there was no calibration. Bits of a tensor count its "
      "codes, scales and stored factors; bits per weight of the files count every byte of all files over all weights.</p>\n";

}  // namespace

std::string htmlReport(const ReportInput& input)
{
    const std::vector<const TensorResult*> layers = quantizedOf(input.run);
    std::string out = fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                  "<meta name=\"viewport\" content=\"width=device-width\"><title>{}</title>\n<style>{}</style></head><body>\n",
                                  markup(input.model), kStyle);
    out += head(input) + filesSection(input);
    if (!layers.empty())
        out += charts(layers) + errorMap(layers) + worstSection(layers);
    out += tableSection(input.run);
    if (!input.recipe.empty())
        out += fmt::format("<h2>Recipe</h2>\n<pre>{}</pre>\n", [&] {
            std::string text;  // line by line: escaping would show the line ends
            std::string_view rest = input.recipe;
            while (!rest.empty()) {
                const std::size_t end = std::min(rest.find('\n'), rest.size());
                text += markup(rest.substr(0, end)) + '\n';
                rest.remove_prefix(std::min(end + 1, rest.size()));
            }
            return text;
        }());
    return out + std::string(kMeaning) + "</body></html>\n";
}

}  // namespace sigmascope
