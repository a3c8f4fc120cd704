// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/Compare.h"

#include "core/base/Parallel.h"
#include "core/export/GgufSource.h"
#include "core/tensor/Decode.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include <fmt/format.h>

namespace sigmascope {

namespace {

/// A tensor of A and its twin in B, and what GGUF changed on the way from a folder.
struct Pair {
    std::size_t a = 0, b = 0;
    bool ggufIsB = true;
    std::uint32_t heads = 0;  ///< whose rows GGUF interleaves; 0: rows in place
    float offset = 0;         ///< what GGUF has more in every value
    std::uint32_t parts = 1, part = 0;  ///< the folder's tensor is one of so many that GGUF has as one
};

struct Sums {
    double difference = 0;  ///< squared
    double reference = 0;   ///< squared, of A
    double largest = 0;
    bool finite = true;
};

using ByName = std::unordered_map<std::string, std::size_t>;

ByName namesOf(const Checkpoint& checkpoint)
{
    ByName names;
    const auto tensors = checkpoint.tensors();
    names.reserve(tensors.size());
    for (std::size_t i = 0; i < tensors.size(); ++i)
        names.emplace(tensors[i].name, i);
    return names;
}

std::vector<Pair> pairsByName(const Checkpoint& a, const Checkpoint& b)
{
    const ByName names = namesOf(b);
    std::vector<Pair> pairs;
    for (std::size_t i = 0; i < a.tensors().size(); ++i) {
        if (const auto twin = names.find(a.tensors()[i].name); twin != names.end())
            pairs.push_back({.a = i, .b = twin->second});
    }
    return pairs;
}

/// A folder's tensors and a GGUF's, as an export of the one under the keys of the other would have them.
Result<std::vector<Pair>> pairsByMeaning(const Checkpoint& a, const Checkpoint& b, std::vector<std::size_t>& apart)
{
    const bool ggufIsB = b.format() == CheckpointFormat::Gguf;
    const Checkpoint& folder = ggufIsB ? a : b;
    const Checkpoint& gguf = ggufIsB ? b : a;
    const auto source = ggufSourceOf(folder, &gguf);
    if (!source)
        return passOn(source);
    apart = source->apart;
    const ByName names = namesOf(gguf);
    std::vector<Pair> pairs;
    for (const GgufTarget& target : source->targets) {
        const auto twin = names.find(target.name);
        if (twin == names.end())
            continue;
        pairs.push_back({.a = ggufIsB ? target.tensor : twin->second,
                         .b = ggufIsB ? twin->second : target.tensor,
                         .ggufIsB = ggufIsB,
                         .heads = target.heads,
                         .offset = target.offset,
                         .parts = target.parts,
                         .part = target.part});
    }
    std::ranges::sort(pairs, {}, [](const Pair& pair) { return std::tuple(pair.a, pair.part); });
    return pairs;
}

Result<std::vector<Pair>> pairsOf(const Checkpoint& a, const Checkpoint& b, ModelComparison& found)
{
    Result<std::vector<Pair>> pairs = pairsByName(a, b);
    if (a.format() != b.format())
        pairs = pairsByMeaning(a, b, found.apart);
    if (!pairs)
        return pairs;
    std::vector<char> takenA(a.tensors().size(), 0);
    std::vector<char> takenB(b.tensors().size(), 0);
    for (const Pair& pair : *pairs)
        takenA[pair.a] = takenB[pair.b] = 1;
    for (const std::size_t i : found.apart)
        (b.format() == CheckpointFormat::Gguf ? takenA : takenB)[i] = 1;
    for (std::size_t i = 0; i < takenA.size(); ++i)
        if (takenA[i] == 0)
            found.onlyA.push_back(i);
    for (std::size_t i = 0; i < takenB.size(); ++i)
        if (takenB[i] == 0)
            found.onlyB.push_back(i);
    return pairs;
}

bool holdSameValues(const Shape& a, const Shape& b)
{
    // A vector may be stored as [n] or [1, n]; leading ones hold no values.
    const auto isNotOne = [](std::uint64_t extent) { return extent != 1; };
    return std::equal(std::find_if(a.begin(), a.end(), isNotOne), a.end(), std::find_if(b.begin(), b.end(), isNotOne),
                      b.end());
}

/// Rows [first, first + count) of the pair's plain order.
struct RowReader {
    const TensorView& view;
    std::uint32_t heads;
    float offset;

    Status read(std::uint64_t first, std::uint64_t count, std::span<float> out) const
    {
        Status done = readRows(first, count, out);
        if (done && offset != 0) {
            for (float& value : out)
                value += offset;
        }
        return done;
    }

    Status readRows(std::uint64_t first, std::uint64_t count, std::span<float> out) const
    {
        if (heads == 0)
            return decodeRows(view, first, count, out);
        for (std::uint64_t i = 0; i < count; ++i)
            if (const Status row = decodeRows(view, interleavedRow(first + i), 1, out.subspan(i * view.cols(), view.cols())); !row)
                return passOn(row);
        return {};
    }

    /// Inverse of sourceRow(): where the HF row stands in the file.
    [[nodiscard]] std::uint64_t interleavedRow(std::uint64_t row) const
    {
        const std::uint64_t length = view.rows() / heads;
        const std::uint64_t inHead = row % length;
        return row - inHead + (inHead % (length / 2)) * 2 + inHead / (length / 2);
    }
};

void addUp(std::span<const float> a, std::span<const float> b, Sums& sums)
{
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = a[i];
        const double d = x - static_cast<double>(b[i]);
        sums.reference += x * x;
        sums.difference += d * d;
        sums.largest = std::max(sums.largest, std::abs(d));
    }
    // A NaN or an infinity in either survives in one of the sums of squares: f32 squares cannot overflow a double.
    sums.finite = std::isfinite(sums.reference) && std::isfinite(sums.difference);
}

Result<Sums> difference(const TensorView& a, const TensorView& b, const Pair& pair, const JobContext& job)
{
    const std::uint64_t rows = a.rows();
    const std::uint64_t cols = a.cols();
    const std::uint64_t step = std::max<std::uint64_t>(1, kReductionChunk / std::max<std::uint64_t>(1, cols));
    const std::size_t chunks = static_cast<std::size_t>((rows + step - 1) / step);
    std::vector<Sums> parts(chunks);
    std::vector<Status> states(chunks);
    const RowReader left{a, pair.ggufIsB ? 0U : pair.heads, pair.ggufIsB ? pair.offset : 0.0F};
    const RowReader right{b, pair.ggufIsB ? pair.heads : 0U, pair.ggufIsB ? 0.0F : pair.offset};
    parallelFor(chunks, [&](std::size_t i) {
        if (job.cancelled())
            return;
        const std::uint64_t first = i * step;
        const std::uint64_t count = std::min(step, rows - first);
        std::vector<float> x(count * cols);
        std::vector<float> y(count * cols);
        states[i] = left.read(first, count, x);
        if (states[i])
            states[i] = right.read(first, count, y);
        if (states[i])
            addUp(x, y, parts[i]);
    });
    if (job.cancelled())
        return cancelledError();
    Sums sums;
    for (std::size_t i = 0; i < chunks; ++i) {
        if (!states[i])
            return passOn(states[i]);
        sums.reference += parts[i].reference;
        sums.difference += parts[i].difference;
        sums.largest = std::max(sums.largest, parts[i].largest);
        sums.finite = sums.finite && parts[i].finite;
    }
    return sums;
}

std::string incomparable(const TensorInfo& a, const TensorInfo& b, const TensorView& left, const TensorView& right)
{
    if (!holdSameValues(left.shape, right.shape))
        return fmt::format("shapes differ: {} and {}", toString(left.shape), toString(right.shape));
    for (const TensorInfo* tensor : {&a, &b})
        if (!info(tensor->dtype).decodable)
            return fmt::format("values of type {} are not decoded", escaped(tensor->typeName()));
    return {};
}

/// One part of a stack's rows.
void narrow(TensorView& stack, const Pair& pair)
{
    if (pair.parts < 2 || stack.shape.empty() || stack.shape.front() != pair.parts)
        return;
    const std::size_t size = stack.bytes.size() / pair.parts;
    stack.bytes = stack.bytes.subspan(pair.part * size, size);
    stack.shape.erase(stack.shape.begin());
}

Result<TensorDifference> compareOne(const Checkpoint& a, const Checkpoint& b, const Pair& pair, Sums& all, const JobContext& job)
{
    TensorDifference found{.a = pair.a, .b = pair.b, .name = a.tensors()[pair.a].name, .reason = {}};
    auto left = a.view(pair.a);
    auto right = b.view(pair.b);
    if (!left || !right) {
        found.reason = left ? right.error().detail : left.error().detail;
        return found;
    }
    narrow(pair.ggufIsB ? *right : *left, pair);
    // A view of fewer dimensions folds its rows alike, so bytes of one type in one order are the same values.
    found.sameBytes = pair.heads == 0 && pair.offset == 0 && left->dtype == right->dtype && left->dtype != DType::Unknown
        && left->shape == right->shape
        && std::ranges::equal(left->bytes, right->bytes);
    found.reason = incomparable(a.tensors()[pair.a], b.tensors()[pair.b], *left, *right);
    if (found.reason.empty() && left->elements() > 0) {
        if (pair.heads != 0 && left->shape.size() == 1)  // a bias: each element is a row
            left->shape.push_back(1);
        right->shape = left->shape;
        auto sums = difference(*left, *right, pair, job);
        if (!sums)
            return passOn(sums);
        if (!sums->finite) {
            found.reason = "non-finite values";
        } else {
            if (sums->reference > 0 || sums->difference == 0)
                found.relativeError = sums->difference == 0 ? 0.0 : std::sqrt(sums->difference / sums->reference);
            found.largest = sums->largest;
            all.reference += sums->reference;
            all.difference += sums->difference;
        }
    }
    for (const Status& same : {a.checkUnchanged(pair.a), b.checkUnchanged(pair.b)})
        if (!same)
            return passOn(same);
    return found;
}

}  // namespace

Result<ModelComparison> compareModels(const Checkpoint& a, const Checkpoint& b, const JobContext& job)
{
    ModelComparison found;
    auto pairs = pairsOf(a, b, found);
    if (!pairs)
        return passOn(pairs);
    const auto size = [&](const Pair& pair) { return static_cast<double>(a.tensors()[pair.a].elements() + 1); };
    const double work = std::transform_reduce(pairs->begin(), pairs->end(), 0.0, std::plus<>(), size);
    double done = 0;
    Sums all;
    found.tensors.reserve(pairs->size());
    for (const Pair& pair : *pairs) {
        job.report(done / work, a.tensors()[pair.a].name);
        auto one = compareOne(a, b, pair, all, job);
        if (!one)
            return passOn(one);
        found.tensors.push_back(std::move(*one));
        done += size(pair);
    }
    if (all.reference > 0)
        found.relativeError = std::sqrt(all.difference / all.reference);
    job.report(1.0, {});
    return found;
}

}  // namespace sigmascope
