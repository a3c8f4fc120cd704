// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/CompareRuns.h"

#include "core/checkpoint/ModelTopology.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>
#include <unordered_map>

namespace sigmascope {

namespace {

/// Fewer observations say nothing about their spread.
constexpr std::size_t kFewestLayers = 4;

std::string commonName(const std::string& name)
{
    return ggufNameOf(name).value_or(name);
}

bool isKept(const TensorResult& layer)
{
    return layer.method == "keep";
}

std::optional<double> errorOf(const TensorResult& layer, ErrorKind kind)
{
    const std::optional<double>& error = kind == ErrorKind::Output ? layer.metricError : layer.weightError;
    // Kept exactly: no metric is needed to know that nothing is lost.
    if (!error && isKept(layer) && layer.weightError == 0.0)
        return 0.0;
    return error;
}

bool isPlannedAlike(const TensorResult& a, const TensorResult& b)
{
    return a.grid == b.grid && a.method == b.method && a.rank == b.rank && a.bitsPerWeight == b.bitsPerWeight;
}

LayerVerdict verdictOf(const TensorResult& a, const TensorResult& b, const RunDifference& pair)
{
    const bool isMeasured = pair.errorA && pair.errorB;
    if (!isMeasured || std::abs(*pair.errorB - *pair.errorA) <= kNoDifference * std::max(*pair.errorA, *pair.errorB))
        return isPlannedAlike(a, b) ? LayerVerdict::Same : LayerVerdict::Changed;
    return *pair.errorB < *pair.errorA ? LayerVerdict::Better : LayerVerdict::Worse;
}

std::vector<RunDifference> pairsOf(const ComparedRun& a, const ComparedRun& b, RunComparison& found)
{
    std::unordered_map<std::string, std::size_t> names;
    names.reserve(b.layers.size());
    for (std::size_t i = 0; i < b.layers.size(); ++i)
        names.emplace(commonName(b.layers[i].name), i);
    std::vector<char> isTaken(b.layers.size(), 0);
    std::vector<RunDifference> pairs;
    for (std::size_t i = 0; i < a.layers.size(); ++i) {
        const auto twin = names.find(commonName(a.layers[i].name));
        if (twin == names.end() || isTaken[twin->second] != 0) {
            found.onlyA.push_back(i);
            continue;
        }
        isTaken[twin->second] = 1;
        pairs.push_back({.a = i, .b = twin->second});
    }
    for (std::size_t i = 0; i < isTaken.size(); ++i)
        if (isTaken[i] == 0)
            found.onlyB.push_back(i);
    return pairs;
}

/// Two-sided 95 % of Student's t: Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5), within 1 % from 3 degrees on.
double studentT95(double degrees)
{
    constexpr double z = 1.959963984540054;
    const double z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z, z9 = z7 * z * z;
    return z + (z3 + z) / (4 * degrees) + (5 * z5 + 16 * z3 + 3 * z) / (96 * degrees * degrees)
        + (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * std::pow(degrees, 3))
        + (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * std::pow(degrees, 4));
}

std::optional<ErrorRatio> ratioOf(const std::vector<RunDifference>& pairs)
{
    std::vector<double> logs;
    for (const RunDifference& pair : pairs)
        if (pair.errorA.value_or(0) > 0 && pair.errorB.value_or(0) > 0)
            logs.push_back(std::log(*pair.errorB / *pair.errorA));
    if (logs.size() < kFewestLayers)
        return std::nullopt;
    const auto n = static_cast<double>(logs.size());
    double sum = 0;
    for (const double value : logs)
        sum += value;
    const double mean = sum / n;
    double squares = 0;
    for (const double value : logs)
        squares += (value - mean) * (value - mean);
    const double half = studentT95(n - 1) * std::sqrt(squares / (n - 1) / n);
    return ErrorRatio{std::exp(mean), std::exp(mean - half), std::exp(mean + half), logs.size()};
}

RunTotals sizesOf(const ComparedRun& run)
{
    RunTotals totals;
    Bytes bytes = 0;
    std::uint64_t elements = 0;
    for (std::size_t i = 0; i < run.layers.size(); ++i) {
        if (run.elements[i] == 0)
            return totals;
        // Bits are 8 · bytes / elements, so this gives the bytes back to the last one.
        bytes += static_cast<Bytes>(std::llround(run.layers[i].bitsPerWeight * static_cast<double>(run.elements[i]) / 8));
        elements += run.elements[i];
    }
    if (elements == 0)
        return totals;
    totals.bytes = bytes;
    totals.bitsPerWeight = 8.0 * static_cast<double>(bytes) / static_cast<double>(elements);
    return totals;
}

/// Means of both errors over the pairs that have both, but for those that both runs kept.
void addMeanErrors(const ComparedRun& a, const ComparedRun& b, RunComparison& found)
{
    double sumA = 0, sumB = 0, weights = 0;
    const bool hasSizes = found.a.bytes.has_value();
    for (const RunDifference& pair : found.layers) {
        if (!pair.errorA || !pair.errorB || (isKept(a.layers[pair.a]) && isKept(b.layers[pair.b])))
            continue;
        const double weight = hasSizes ? static_cast<double>(a.elements[pair.a]) : 1.0;
        sumA += weight * *pair.errorA * *pair.errorA;
        sumB += weight * *pair.errorB * *pair.errorB;
        weights += weight;
    }
    if (weights <= 0)
        return;
    found.a.error = std::sqrt(sumA / weights);
    found.b.error = std::sqrt(sumB / weights);
}

}  // namespace

std::optional<double> RunDifference::change() const
{
    if (!errorA || !errorB || *errorA <= 0)
        return std::nullopt;
    return *errorB / *errorA - 1;
}

LayerVerdict ErrorRatio::verdict() const
{
    return upper < 1 ? LayerVerdict::Better : lower > 1 ? LayerVerdict::Worse : LayerVerdict::Same;
}

bool canCompareBy(ErrorKind kind, const ComparedRun& a, const ComparedRun& b)
{
    RunComparison unpaired;
    return std::ranges::any_of(pairsOf(a, b, unpaired), [&](const RunDifference& pair) {
        return (!isKept(a.layers[pair.a]) || !isKept(b.layers[pair.b])) && errorOf(a.layers[pair.a], kind)
            && errorOf(b.layers[pair.b], kind);
    });
}

RunComparison compareRuns(const ComparedRun& a, const ComparedRun& b, ErrorKind kind)
{
    assert(a.elements.size() == a.layers.size() && b.elements.size() == b.layers.size());
    RunComparison found{.kind = kind};
    found.layers = pairsOf(a, b, found);
    for (RunDifference& pair : found.layers) {
        pair.errorA = errorOf(a.layers[pair.a], kind);
        pair.errorB = errorOf(b.layers[pair.b], kind);
        pair.verdict = verdictOf(a.layers[pair.a], b.layers[pair.b], pair);
    }
    found.a = sizesOf(a);
    found.b = sizesOf(b);
    addMeanErrors(a, b, found);
    found.ratio = ratioOf(found.layers);
    return found;
}

}  // namespace sigmascope
