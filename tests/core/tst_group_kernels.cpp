// SPDX-License-Identifier: GPL-3.0-or-later
// The kernels of rows in groups: every instruction set's against the formulas in double.
#include "core/base/Half.h"
#include "core/base/Random.h"
#include "core/compute/Kernels.h"

#include <QTest>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace sigmascope;
using kernels::KernelTable;

namespace {

template <class Real>
bool same(Real a, Real b)
{
    return std::memcmp(&a, &b, sizeof a) == 0;
}

/// Weights of groups of many kinds, halves and near halves of their scales among them.
std::vector<float> groupedWeights(std::size_t n, std::size_t group, std::uint64_t seed)
{
    std::vector<float> values(n);
    fillNormal<float>(seed, values);
    SplitMix64 random(seed + 1);
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t kind = (i / group + seed) % 8;
        const auto steps = static_cast<float>(static_cast<int>(random.next() % 511) - 255);
        if (kind == 1)
            values[i] *= std::ldexp(1.0F, static_cast<int>(i / group % 200) - 140);
        else if (kind == 2)
            values[i] = steps * 0.5F;
        else if (kind == 3)
            values[i] = std::nextafter(steps * 0.5F, i % 2 == 0 ? 1e9F : -1e9F);
        else if (kind == 4)
            values[i] = i % 2 == 0 ? 0.0F : -0.0F;
        else if (kind == 5)
            values[i] = std::fabs(values[i]);
        else if (kind == 6)
            values[i] = steps * 0x1p-149F;
    }
    return values;
}

/// The formula: one division in double, ties to even.
int dividedCode(float weight, double scale, int zero, int top)
{
    const double nearest = std::nearbyint(static_cast<double>(weight) / (scale == 0 ? 1 : scale)) + zero;
    return static_cast<int>(std::fmin(std::fmax(nearest, 0), top));
}

/// Scales as groups have them: some as floats, some as f16, some so that weights are clipped.
std::vector<float> scalesFor(const std::vector<float>& weights, std::size_t group, int top)
{
    std::vector<float> scales;
    for (std::size_t begin = 0; begin < weights.size(); begin += group) {
        float amax = 0;
        for (std::size_t i = begin; i < std::min(begin + group, weights.size()); ++i)
            amax = std::fmax(amax, std::fabs(weights[i]));
        const std::size_t g = scales.size();
        float scale = amax * (g % 3 == 0 ? 0.4F : 1.0F) * 2 / static_cast<float>(top);
        if (g % 2 == 0 && scale > 0x1p-14F)
            scale = f16ToFloat(floatToF16(scale));
        if (g % 5 == 2 && scale > 0x1p-120F)
            scale = std::ldexp(1.0F, std::ilogb(scale));
        scales.push_back(scale);
    }
    return scales;
}

constexpr std::array<std::size_t, 6> kGroups{1, 7, 16, 32, 100, 128};

}  // namespace

class TestGroupKernels : public QObject {
    Q_OBJECT

private slots:
    void rangesOfGroupsAreThoseOfTheirWeights()
    {
        for (const std::size_t group : kGroups) {
            for (const std::size_t n : {1U, 16U, 255U, 1024U, 1031U}) {
                const auto weights = groupedWeights(n, group, n);
                const std::size_t count = (n + group - 1) / group;
                for (const KernelTable* table : usableKernelTables()) {
                    std::vector<float> most(count, -1);
                    std::vector<float> low(count, -1);
                    std::vector<float> high(count, -1);
                    table->groupMagnitudes(weights.data(), n, group, most.data());
                    table->groupRanges(weights.data(), n, group, low.data(), high.data());
                    for (std::size_t g = 0; g < count; ++g) {
                        float least = 0;
                        float largest = 0;
                        for (std::size_t i = g * group; i < std::min(n, (g + 1) * group); ++i) {
                            least = std::fmin(least, weights[i]);
                            largest = std::fmax(largest, weights[i]);
                        }
                        QVERIFY2(low[g] == least && high[g] == largest && !std::signbit(high[g]), table->level);
                        QVERIFY2(same(most[g], std::fmax(largest, -least)), table->level);
                    }
                }
            }
        }
    }

    void aWeightThatIsNotFiniteMakesTheRangeInfinite()
    {
        for (const float odd : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
            for (std::size_t at = 0; at < 40; ++at) {
                std::vector<float> weights(40, 0.25F);
                weights[at] = odd;
                for (const KernelTable* table : usableKernelTables()) {
                    std::array<float, 2> most{};
                    std::array<float, 2> low{};
                    std::array<float, 2> high{};
                    table->groupMagnitudes(weights.data(), 40, 20, most.data());
                    table->groupRanges(weights.data(), 40, 20, low.data(), high.data());
                    QVERIFY2(std::isinf(most[at / 20]) && std::isinf(high[at / 20]), table->level);
                    QCOMPARE(most[1 - at / 20], 0.25F);
                    QCOMPARE(high[1 - at / 20], 0.25F);
                }
            }
        }
    }

    void codesOfGroupsAreThoseOfADivision()
    {
        for (const int bits : {2, 3, 4, 5, 8}) {
            for (const std::size_t group : kGroups) {
                constexpr std::size_t kCount = 20011;
                const int top = (1 << bits) - (group % 2 == 0 ? 1 : 2);
                const auto weights = groupedWeights(kCount, group, static_cast<std::uint64_t>(bits));
                const auto scales = scalesFor(weights, group, top);
                std::vector<double> inverse;
                std::vector<std::int32_t> zero;
                for (std::size_t g = 0; g < scales.size(); ++g) {
                    inverse.push_back(scales[g] == 0 ? 0 : 1 / static_cast<double>(scales[g]));
                    zero.push_back(static_cast<std::int32_t>(g * 7 % static_cast<std::size_t>(top + 1)));
                }
                std::vector<std::uint8_t> expected;
                std::vector<float> stored;
                for (std::size_t i = 0; i < kCount; ++i) {
                    const std::size_t g = i / group;
                    const int code = dividedCode(weights[i], scales[g], zero[g], top);
                    expected.push_back(static_cast<std::uint8_t>(code));
                    stored.push_back(static_cast<float>(static_cast<double>(scales[g]) * (code - zero[g])));
                }
                for (const KernelTable* table : usableKernelTables()) {
                    std::vector<std::uint8_t> codes(kCount, 0xA5);
                    table->codeGroups(weights.data(), kCount, group, inverse.data(), zero.data(), top, codes.data());
                    QVERIFY2(codes == expected, table->level);
                    std::vector<float> values(kCount, -1);
                    table->restoreGroups(codes.data(), kCount, group, scales.data(), zero.data(), values.data());
                    QVERIFY2(std::memcmp(values.data(), stored.data(), kCount * sizeof(float)) == 0, table->level);
                }
            }
        }
    }

    void levelsAreFoundByTheirMiddles()
    {
        for (const std::size_t group : kGroups) {
            constexpr std::size_t kCount = 5003;
            for (const std::size_t count : {7U, 15U}) {
                const auto weights = groupedWeights(kCount, group, count);
                std::vector<float> middles((kCount + group - 1) / group * count);
                fillNormal<float>(group, middles);
                for (std::size_t g = 0; g < middles.size(); g += count)
                    std::sort(middles.begin() + static_cast<std::ptrdiff_t>(g), middles.begin() + static_cast<std::ptrdiff_t>(g + count));
                for (const KernelTable* table : usableKernelTables()) {
                    std::vector<std::uint8_t> codes(kCount, 0xA5);
                    table->codeLevels(weights.data(), kCount, group, middles.data(), count, codes.data());
                    for (std::size_t i = 0; i < kCount; ++i) {
                        const float* own = middles.data() + i / group * count;
                        QVERIFY2(codes[i] == std::lower_bound(own, own + count, weights[i]) - own, table->level);
                    }
                }
            }
        }
    }

    void lossesAreTheSameBitsAtEveryLevelAndNearThePlainSum()
    {
        const auto tables = usableKernelTables();
        for (const std::size_t n : {1U, 15U, 16U, 33U, 64U, 128U, 300U}) {
            std::vector<float> weights(n);
            fillNormal<float>(n, weights);
            std::vector<double> importance(n);
            fillNormal<double>(n + 1, importance);
            for (double& value : importance)
                value *= value;
            const float scale = 0.3F;
            const std::array<float, 3> middles{-0.8F, 0.1F, 0.9F};
            const std::array<float, 4> values{-1.5F, -0.2F, 0.4F, 1.3F};
            for (const double* weighted : {static_cast<const double*>(nullptr), static_cast<const double*>(importance.data())}) {
                double byGroup = 0;
                double byLevel = 0;
                std::vector<float> stored(n);
                for (std::size_t i = 0; i < n; ++i) {
                    const double factor = weighted == nullptr ? 1 : weighted[i];
                    stored[i] = scale * static_cast<float>(dividedCode(weights[i], static_cast<double>(scale), 3, 6) - 3);
                    byGroup += factor * std::pow(static_cast<double>(weights[i]) - static_cast<double>(stored[i]), 2);
                    const auto level = static_cast<std::size_t>(std::ranges::lower_bound(middles, weights[i]) - middles.begin());
                    byLevel += factor * std::pow(static_cast<double>(weights[i]) - static_cast<double>(values[level]), 2);
                }
                const auto groupLoss = [&](const KernelTable& table) {
                    return table.groupLoss(weights.data(), weighted, n, scale, 1 / static_cast<double>(scale), 3, 6);
                };
                const auto levelLoss = [&](const KernelTable& table) {
                    return table.levelLoss(weights.data(), weighted, n, middles.data(), values.data(), middles.size());
                };
                const double storedLoss = tables.front()->storedLoss(weights.data(), stored.data(), weighted, n);
                // n additions of positive terms, each rounded once.
                const double tolerance = static_cast<double>(n) * std::numeric_limits<double>::epsilon();
                QVERIFY(std::fabs(storedLoss - byGroup) <= tolerance * byGroup);
                QVERIFY(std::fabs(levelLoss(*tables.front()) - byLevel) <= tolerance * byLevel);
                for (const KernelTable* table : tables) {
                    QVERIFY2(same(table->storedLoss(weights.data(), stored.data(), weighted, n), storedLoss), table->level);
                    QVERIFY2(same(groupLoss(*table), storedLoss), table->level);
                    QVERIFY2(same(levelLoss(*table), levelLoss(*tables.front())), table->level);
                }
            }
        }
    }
};

QTEST_APPLESS_MAIN(TestGroupKernels)
#include "tst_group_kernels.moc"
