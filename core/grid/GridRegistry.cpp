// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/grid/Grid.h"
#include "core/grid/grids/Grids.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

namespace sigmascope {

namespace {

constexpr std::string_view kGgmlSource = "ggml (llama.cpp), block formats";
constexpr std::string_view kIntSource = "uniform integer grid; scale rounded to f16 before codes are chosen";

struct IntRow {
    std::string_view id;
    std::string_view title;
    std::uint64_t group;
    bool asymmetric;
};

constexpr std::array kIntRows{
    IntRow{"int-g32", "INT, symmetric, group 32", 32, false},
    IntRow{"int-g64", "INT, symmetric, group 64", 64, false},
    IntRow{"int-g128", "INT, symmetric, group 128", 128, false},
    IntRow{"int-row", "INT, symmetric, one scale per row", 0, false},
    IntRow{"int-g32-asym", "INT, asymmetric, group 32", 32, true},
    IntRow{"int-g64-asym", "INT, asymmetric, group 64", 64, true},
    IntRow{"int-g128-asym", "INT, asymmetric, group 128", 128, true},
    IntRow{"int-row-asym", "INT, asymmetric, one scale and zero point per row", 0, true},
};

struct MxRow {
    std::string_view id;
    std::string_view title;
    std::string_view source;
    std::uint64_t block;
    bool blockFloat;
};

constexpr std::string_view kQeraSource = "QERA (Zhang et al., ICLR 2025, arXiv 2410.06040), mxint";
constexpr std::string_view kLqerSource = "LQER (Zhang et al., ICML 2024, arXiv 2402.02446), block_fp";

constexpr std::array kMxRows{
    MxRow{"mxint-b16", "MXINT, blocks of 16", kQeraSource, 16, false},
    MxRow{"mxint-b32", "MXINT, blocks of 32", kQeraSource, 32, false},
    MxRow{"bfp-b16", "MXINT of LQER (block_fp), blocks of 16", kLqerSource, 16, true},
    MxRow{"bfp-b32", "MXINT of LQER (block_fp), blocks of 32", kLqerSource, 32, true},
};

struct NormalFloatRow {
    std::string_view id;
    std::string_view title;
    std::uint64_t group;
    bool doubleQuantized;
};

constexpr std::string_view kNormalFloatSource = "QLoRA (Dettmers et al., NeurIPS 2023, arXiv 2305.14314); 3 bit by the same rule";

constexpr std::array kNormalFloatRows{
    NormalFloatRow{"nf-g64", "NormalFloat, group 64", 64, false},
    NormalFloatRow{"nf-g128", "NormalFloat, group 128", 128, false},
    NormalFloatRow{"nf-g64-dq", "NormalFloat, group 64, scales in 8 bit", 64, true},
};

struct GgufRow {
    std::string_view id;
    std::string_view title;
    DType type;
};

constexpr std::array kGgufRows{
    GgufRow{"q4_0", "GGUF Q4_0", DType::Q4_0}, GgufRow{"q4_1", "GGUF Q4_1", DType::Q4_1},
    GgufRow{"q5_0", "GGUF Q5_0", DType::Q5_0}, GgufRow{"q5_1", "GGUF Q5_1", DType::Q5_1},
    GgufRow{"q8_0", "GGUF Q8_0", DType::Q8_0},
};

constexpr std::array kSuperBlockRows{
    GgufRow{"q2_k", "GGUF Q2_K", DType::Q2_K}, GgufRow{"q3_k", "GGUF Q3_K", DType::Q3_K},
    GgufRow{"q4_k", "GGUF Q4_K", DType::Q4_K}, GgufRow{"q5_k", "GGUF Q5_K", DType::Q5_K},
    GgufRow{"q6_k", "GGUF Q6_K", DType::Q6_K},
};

struct CodedRow {
    std::string_view id;
    std::string_view title;
    DType type;
    const Grid& (*grid)(DType);
};

constexpr std::array kCodedRows{
    CodedRow{"iq4_nl", "GGUF IQ4_NL", DType::IQ4_NL, unevenLevelGrid},
    CodedRow{"iq4_xs", "GGUF IQ4_XS", DType::IQ4_XS, unevenLevelGrid},
    CodedRow{"mxfp4", "GGUF MXFP4", DType::MXFP4, microFloatGrid},
    CodedRow{"nvfp4", "GGUF NVFP4", DType::NVFP4, microFloatGrid},
    CodedRow{"tq1_0", "GGUF TQ1_0, ternary", DType::TQ1_0, fewLevelGrid},
    CodedRow{"tq2_0", "GGUF TQ2_0, ternary", DType::TQ2_0, fewLevelGrid},
    CodedRow{"q1_0", "GGUF Q1_0, signs", DType::Q1_0, fewLevelGrid},
    CodedRow{"q2_0", "GGUF Q2_0, ternary", DType::Q2_0, fewLevelGrid},
};

/// Every grid of every family at every width. Built once, on first use; lives for the process.
class Registry {
public:
    Registry()
    {
        for (const GgufRow& row : kGgufRows) {
            const Grid& grid = ggufBlockGrid(row.type);
            m_families.push_back({row.id, row.title, kGgmlSource, {grid.bits()}});
            add(grid, m_families.size() - 1);
        }
        for (const GgufRow& row : kSuperBlockRows) {
            const Grid& grid = superBlockGrid(row.type);
            m_families.push_back({row.id, row.title, kGgmlSource, {grid.bits()}});
            add(grid, m_families.size() - 1);
        }
        for (const CodedRow& row : kCodedRows) {
            const Grid& grid = row.grid(row.type);
            m_families.push_back({row.id, row.title, kGgmlSource, {grid.bits()}});
            add(grid, m_families.size() - 1);
        }
        for (const IntRow& row : kIntRows)
            addInt(row);
        for (const MxRow& row : kMxRows) {
            m_families.push_back({row.id, row.title, row.source, {2, 3, 4, 5, 6, 7, 8}});
            for (const int bits : m_families.back().bits)
                own(makeMxInt(bits, row.block, row.blockFloat));
        }
        for (const NormalFloatRow& row : kNormalFloatRows) {
            m_families.push_back({row.id, row.title, kNormalFloatSource, {3, 4}});
            for (const int bits : m_families.back().bits)
                own(makeNormalFloat(bits, row.group, row.doubleQuantized));
        }
    }

    std::span<const GridFamily> families() const { return m_families; }
    const Grid* find(std::string_view id) const
    {
        const auto it = m_byId.find(id);
        return it == m_byId.end() ? nullptr : it->second.grid;
    }
    const GridFamily& familyOf(const Grid& grid) const
    {
        const auto it = m_byId.find(grid.id());
        assert(it != m_byId.end());
        return m_families[it->second.family];
    }
    /// First grid of a family at a width: the one with f16 scales.
    const Grid* of(std::string_view family, int bits) const
    {
        for (const Entry& entry : m_entries) {
            if (m_families[entry.family].id == family && entry.grid->bits() == bits)
                return entry.grid;
        }
        return nullptr;
    }
    std::string_view nearestTo(std::string_view id) const;

private:
    struct Entry {
        const Grid* grid = nullptr;
        std::size_t family = 0;
        std::string id{};
    };

    void add(const Grid& grid, std::size_t family)
    {
        m_entries.push_back({&grid, family, grid.id()});
        m_byId.emplace(m_entries.back().id, m_entries.back());
    }
    /// A grid of the newest family.
    void own(std::unique_ptr<const Grid> grid)
    {
        m_owned.push_back(std::move(grid));
        add(*m_owned.back(), m_families.size() - 1);
    }
    void addInt(const IntRow& row)
    {
        m_families.push_back({row.id, row.title, kIntSource, {2, 3, 4, 5, 6, 7, 8}});
        for (const ScaleType scale : {ScaleType::F16, ScaleType::F32, ScaleType::F64}) {
            for (const int bits : m_families.back().bits)
                own(makeIntGroup({bits, row.group, row.asymmetric, scale}));
        }
    }

    std::vector<GridFamily> m_families;
    std::vector<std::unique_ptr<const Grid>> m_owned;
    std::deque<Entry> m_entries;  // a deque: m_byId holds views of the ids
    std::unordered_map<std::string_view, Entry> m_byId;
};

const Registry& registry()
{
    static const Registry instance;
    return instance;
}

std::size_t editDistance(std::string_view a, std::string_view b)
{
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replace}));
        }
    }
    return row.back();
}

/// An id without its width, and the width: ("int#-g128", 16) of "int16-g128".
std::pair<std::string, int> split(std::string_view id)
{
    const std::size_t begin = std::min(id.find_first_of("0123456789"), id.size());
    const std::size_t end = std::min(id.find_first_not_of("0123456789", begin), id.size());
    int number = 0;
    std::from_chars(id.data() + begin, id.data() + end, number);
    return {std::string(id.substr(0, begin)) + (begin < end ? "#" : "") + std::string(id.substr(end)), number};
}

/// The id spelled most like @p id; among those the one of the nearest width, so that int16-g128 leads to int8-g128.
std::string_view Registry::nearestTo(std::string_view id) const
{
    constexpr std::size_t kLongest = 64;  // nobody means more than this, and the distance costs length times length
    const auto [skeleton, number] = split(id.substr(0, kLongest));
    std::pair<std::size_t, int> best{SIZE_MAX, 0};
    std::string_view nearest;
    for (const Entry& entry : m_entries) {
        const auto [candidate, width] = split(entry.id);
        const std::pair<std::size_t, int> distance{editDistance(skeleton, candidate), std::abs(width - number)};
        if (distance < best) {
            best = distance;
            nearest = entry.id;
        }
    }
    return nearest;
}

}  // namespace

std::span<const GridFamily> gridFamilies()
{
    return registry().families();
}

Result<const Grid*> findGrid(std::string_view id)
{
    if (const Grid* grid = registry().find(id))
        return grid;
    return fail(ErrorCode::InvalidOption,
                fmt::format("no grid '{}'; nearest: {}", escaped(id), registry().nearestTo(id)));
}

Result<const Grid*> gridOf(std::string_view familyId, int bits)
{
    if (const Grid* grid = registry().of(familyId, bits))
        return grid;
    for (const GridFamily& family : gridFamilies()) {
        if (family.id == familyId)
            return fail(ErrorCode::InvalidOption, fmt::format("grid family '{}' has no width of {} bits, only {}", familyId,
                                                              bits, fmt::join(family.bits, ", ")));
    }
    return fail(ErrorCode::InvalidOption,
                fmt::format("no grid family '{}'; nearest grid: {}", escaped(familyId), registry().nearestTo(familyId)));
}

const GridFamily& familyOf(const Grid& grid)
{
    return registry().familyOf(grid);
}

}  // namespace sigmascope
