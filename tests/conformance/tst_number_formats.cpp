// SPDX-License-Identifier: GPL-3.0-or-later
//
// F1 to F3 of methods-lowrank §13, for every registered grid that each applies to.

#include "EveryGrid.h"

#include "core/base/Random.h"

#include <cmath>

using namespace sigmascope;
using namespace sigmascope::test;

namespace {

bool isMxint(const Grid& grid)
{
    return grid.id().starts_with("mxint");
}

/// LQER's block_fp.
bool isBlockFloat(const Grid& grid)
{
    return grid.id().starts_with("bfp");
}

bool isInteger(const Grid& grid)
{
    return grid.id().starts_with("int");
}

bool isAsymmetric(const Grid& grid)
{
    return grid.id().find("-asym") != std::string::npos;
}

/// Levels of both signs that encode() uses alike. Q4_0 and Q5_0 give their one extra level to the sign of the largest.
bool isMirrored(const Grid& grid)
{
    return isMxint(grid) || isBlockFloat(grid) || (isInteger(grid) && !isAsymmetric(grid)) || grid.id() == "q4_0"
        || grid.id() == "q5_0" || grid.id() == "q8_0";
}

/// Scales are those of the group's extremes. (Others are searched for by sums, which depend on the order.)
bool isScaledByExtremes(const Grid& grid)
{
    const auto type = grid.ggufType();
    return !type || *type == DType::Q4_0 || *type == DType::Q4_1 || *type == DType::Q5_0 || *type == DType::Q5_1
        || *type == DType::Q8_0;
}

std::uint64_t groupOf(const Grid& grid, std::uint64_t cols = kEveryCols)
{
    return grid.groupSize() == 0 ? cols : grid.groupSize();
}

std::vector<float> someWeights(std::uint64_t seed = 5)
{
    std::vector<float> weights(kEveryCols);
    fillNormal<float>(seed, weights, 0.02);
    return weights;
}

/// The formulas of §3.1, element by element in double.
std::vector<float> byFormula(const Grid& grid, const std::vector<float>& weights)
{
    const int magnitudeBits = grid.bits() - 1;
    const double most = std::exp2(magnitudeBits) - 1;
    std::vector<float> out;
    for (std::size_t begin = 0; begin < weights.size(); begin += grid.groupSize()) {
        const std::size_t end = std::min(weights.size(), begin + grid.groupSize());
        double largest = 0;
        for (std::size_t i = begin; i < end; ++i)
            largest = std::max(largest, std::abs(double{weights[i]}));
        const double exponent = isBlockFloat(grid) ? std::ceil(std::log2(largest)) - magnitudeBits
                                                   : std::floor(std::log2(largest)) - (grid.bits() - 2);
        const double step = largest > 0 ? std::exp2(exponent) : 1;
        for (std::size_t i = begin; i < end; ++i) {
            const double code = std::min(std::nearbyint(std::abs(double{weights[i]}) / step), most);
            out.push_back(static_cast<float>(std::copysign(code * step, double{weights[i]})));
        }
    }
    return out;
}

}  // namespace

class NumberFormats : public QObject {
    Q_OBJECT

private slots:
    void f1GoldensOfBothMxintVariants_data()
    {
        gridRows([](const Grid& grid) { return (isMxint(grid) || isBlockFloat(grid)) && grid.bits() == 4; });
    }
    void f1GoldensOfBothMxintVariants()
    {
        QFETCH(const Grid*, grid);
        const std::vector<float> golden{1, 0.5F, 0.3F, -0.26F, 0.06F, -1, 0, 0.13F};
        const std::vector<float> block{0.875F, 0.5F, 0.25F, -0.25F, 0, -0.875F, 0, 0.125F};
        const std::vector<float> mxint{1, 0.5F, 0.25F, -0.25F, 0, -1, 0, 0.25F};
        QCOMPARE(roundTrip(*grid, golden), isBlockFloat(*grid) ? block : mxint);
    }

    void f1BlocksAreTheirFormula_data()
    {
        gridRows([](const Grid& grid) { return isMxint(grid) || isBlockFloat(grid); });
    }
    void f1BlocksAreTheirFormula()
    {
        QFETCH(const Grid*, grid);
        auto weights = someWeights();
        weights[3] = -0.125F;  // the one case in which the variants differ: a power of two is the largest
        std::fill_n(weights.begin() + 64, 32, 0.0F);
        weights.resize(250);  // a short last block
        QCOMPARE(roundTrip(*grid, weights), byFormula(*grid, weights));
    }

    void f1CodingTwiceChangesNothing_data() { gridRows(isMxint); }
    void f1CodingTwiceChangesNothing()
    {
        QFETCH(const Grid*, grid);
        const auto once = roundTrip(*grid, someWeights());
        QCOMPARE(roundTrip(*grid, once), once);
    }

    /// Never code an already block_fp tensor again: a largest value that became a power of two is clipped.
    void f1CodingBlockFloatsTwiceClips_data() { gridRows(isBlockFloat); }
    void f1CodingBlockFloatsTwiceClips()
    {
        QFETCH(const Grid*, grid);
        const double step = std::exp2(1 - grid->bits());
        const auto once = roundTrip(*grid, {static_cast<float>(0.5 + 0.4 * step)});
        QCOMPARE(once, std::vector<float>{0.5F});
        QCOMPARE(roundTrip(*grid, once), std::vector<float>{static_cast<float>(0.5 - 0.5 * step)});
    }

    void f2UnsaturatedValuesLieWithinHalfAStep_data() { gridRows(); }
    void f2UnsaturatedValuesLieWithinHalfAStep()
    {
        QFETCH(const Grid*, grid);
        const auto weights = someWeights();
        std::vector<std::byte> codes(grid->rowBytes(kEveryCols));
        QVERIFY(grid->encode(weights, 1, kEveryCols, codes));
        std::vector<float> values(kEveryCols);
        grid->decode(codes, 1, kEveryCols, values);
        const auto scales = grid->groupScales(codes, 1, kEveryCols);
        const auto levels = grid->levels();
        std::size_t inside = 0;
        for (std::size_t i = 0; i < kEveryCols; ++i) {
            const Grid::GroupScale& group = scales[i / groupOf(*grid)];
            const double level = (double{values[i]} - group.offset) / group.scale;
            const auto at = static_cast<std::size_t>(
                std::ranges::min_element(levels, {}, [&](double l) { return std::abs(l - level); }) - levels.begin());
            if (at == 0 || at + 1 == levels.size())
                continue;
            ++inside;
            const double gap = std::max(levels[at + 1] - levels[at], levels[at] - levels[at - 1]) * std::abs(group.scale);
            // GGUF types choose codes before they round the scale, and the minimum, to binary16.
            const double stored = grid->ggufType() ? (std::abs(level * group.scale) + std::abs(group.offset)) * 0x1.01p-11 : 0;
            const double error = std::abs(double{weights[i]} - values[i]);
            QVERIFY2(error <= gap / 2 + stored + 1e-6 * std::abs(values[i]),
                     qPrintable(QString("element %1: %2 became %3, step %4").arg(i).arg(weights[i]).arg(values[i]).arg(gap)));
        }
        QVERIFY(inside > 0 || levels.size() == 2);  // of two levels both are the outermost
    }

    void f2SignsCommute_data() { gridRows(isMirrored); }
    void f2SignsCommute()
    {
        QFETCH(const Grid*, grid);
        const auto turned = [](std::vector<float> values) {
            for (float& value : values)
                value = -value;
            return values;
        };
        QCOMPARE(turned(roundTrip(*grid, turned(someWeights()))), roundTrip(*grid, someWeights()));
    }

    void f2PowersOfTwoCommute_data() { gridRows(); }
    void f2PowersOfTwoCommute()
    {
        QFETCH(const Grid*, grid);
        const auto times = [](std::vector<float> values, float factor) {
            for (float& value : values)
                value *= factor;
            return values;
        };
        // Within the normal numbers of what scales are stored in; binary8 of NVFP4 has the fewest.
        const auto weights = times(someWeights(), 32);
        for (const float factor : {16.0F, 256.0F})
            QCOMPARE(roundTrip(*grid, times(weights, factor)), times(roundTrip(*grid, weights), factor));
    }

    void f2AGroupOfZerosIsZerosAmongOthers_data() { gridRows(); }
    void f2AGroupOfZerosIsZerosAmongOthers()
    {
        QFETCH(const Grid*, grid);
        const std::uint64_t group = groupOf(*grid);
        auto weights = someWeights();
        const std::uint64_t begin = group == kEveryCols ? 0 : group;
        std::fill_n(weights.begin() + static_cast<std::ptrdiff_t>(begin), group, 0.0F);
        const auto values = roundTrip(*grid, weights);
        for (std::uint64_t i = 0; i < kEveryCols; ++i)
            QVERIFY(values[i] == 0 || i < begin || i >= begin + group);
        QVERIFY(group == kEveryCols || std::ranges::any_of(values, [](float value) { return value != 0; }));
    }

    void f2OrderInsideAGroupDoesNotMatter_data() { gridRows(isScaledByExtremes); }
    void f2OrderInsideAGroupDoesNotMatter()
    {
        QFETCH(const Grid*, grid);
        const auto turn = [&](std::vector<float> row) {
            for (auto at = row.begin(); at != row.end(); at += static_cast<std::ptrdiff_t>(groupOf(*grid)))
                std::reverse(at, at + static_cast<std::ptrdiff_t>(groupOf(*grid)));
            return row;
        };
        QCOMPARE(turn(roundTrip(*grid, turn(someWeights()))), roundTrip(*grid, someWeights()));
    }

    void f3TwoBitsAreMinusOneZeroAndOne_data()
    {
        gridRows([](const Grid& grid) { return grid.bits() == 2 && isMirrored(grid); });
    }
    void f3TwoBitsAreMinusOneZeroAndOne()
    {
        QFETCH(const Grid*, grid);
        QCOMPARE(grid->levels(), (std::vector<double>{-1, 0, 1}));
        // Largest 1.75: scale 1.75 for INT, a step of 1 for both MXINT. 0.5 lies on a tie or below it.
        const float scale = isInteger(*grid) ? 1.75F : 1.0F;
        QCOMPARE(roundTrip(*grid, {1.75F, -1.75F, 0.5F, -0.5F, 1.5F, 0.0F}),
                 (std::vector<float>{scale, -scale, 0, 0, scale, 0}));
    }

    /// Halfway between two codes the even one is taken, at every code of every width.
    void f3TiesGoToTheEvenCode_data()
    {
        gridRows([](const Grid& grid) { return isInteger(grid) || isMxint(grid) || isBlockFloat(grid); });
    }
    void f3TiesGoToTheEvenCode()
    {
        QFETCH(const Grid*, grid);
        const auto levels = grid->levels();
        const std::size_t group = grid->groupSize() == 0 ? levels.size() : grid->groupSize();
        // A first element that makes the step 1: the largest code, and a little more where it would be a power of two.
        const auto first = static_cast<float>(levels.back() + (isInteger(*grid) ? 0 : 0.25));
        std::vector<float> weights;
        for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
            if (weights.size() % group == 0)
                weights.push_back(first);
            weights.push_back(static_cast<float>(levels[i] + 0.5));
        }
        const auto values = roundTrip(*grid, weights);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const bool isFirst = i % group == 0;
            QCOMPARE(double{values[i]}, isFirst ? levels.back() : std::nearbyint(double{weights[i]}));
        }
    }
};

QTEST_APPLESS_MAIN(NumberFormats)
#include "tst_number_formats.moc"
