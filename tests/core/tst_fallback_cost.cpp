// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/plan/FallbackCost.h"
#include "cli/TinyModel.h"

#include <QTemporaryDir>
#include <QTest>

using namespace sigmascope;
using namespace sigmascope::test;

class FallbackCostTest : public QObject {
    Q_OBJECT
    QTemporaryDir m_folder;

    static TinyTensor zeros(const std::string& name, const char* dtype, std::size_t elementBytes, std::uint64_t rows, std::uint64_t cols)
    {
        return {name, dtype, {rows, cols}, std::string(rows * cols * elementBytes, '\0')};
    }
    /// Of the one matrix of a model, in bytes; nothing without a fallback.
    [[nodiscard]] std::optional<double> cost(const TinyTensor& tensor, const char* recipe) const
    {
        const std::filesystem::path path = m_folder.filePath(QStringLiteral("model.safetensors")).toStdString();
        writeFile(path, safetensorsBytes({tensor}));
        const auto checkpoint = Checkpoint::open(path);
        const auto parsed = parseRecipe(recipe, "r.json");
        if (!checkpoint || !parsed)
            qFatal("not a model, or not a recipe");
        const auto resolved = resolve(*parsed, **checkpoint, ModelTopology(**checkpoint));
        const auto rules = decidingRules(*parsed, **checkpoint);
        if (!resolved || !rules)
            qFatal("not resolved");
        const auto costs = fallbackCosts(*parsed, *resolved, *rules, **checkpoint);
        if (!costs)
            qFatal("%s", costs.error().detail.c_str());
        if (resolved->fallbacks.empty() != costs->empty())
            qFatal("a fallback without its cost");
        return costs->empty() ? std::optional<double>() : costs->begin()->second;
    }

private slots:
    void aPlanThatFitsCostsNothing()
    {
        QCOMPARE(cost(zeros("model.layers.0.mlp.down_proj.weight", "BF16", 2, 8, 64), R"({"schema":1,"target":"gguf","default":{"preset":"rtn-w4"}})"),
                 std::optional<double>());
    }

    void rowsThatFitNoBlockCostTheirTypeLessTheBlocks()
    {
        // 8 rows of 48 in BF16 take 768 bytes; in Q4_0, 18 bytes for every 32, they would take 8 · 48 · 18 / 32.
        QCOMPARE(cost(zeros("model.layers.0.mlp.down_proj.weight", "BF16", 2, 8, 48), R"({"schema":1,"target":"gguf","default":{"preset":"rtn-w4"}})"),
                 std::optional(768.0 - 216.0));
        // F64 is kept as F32.
        QCOMPARE(cost(zeros("model.layers.0.mlp.down_proj.weight", "F64", 8, 8, 48), R"({"schema":1,"target":"gguf","default":{"preset":"rtn-w4"}})"),
                 std::optional(1536.0 - 216.0));
    }

    void factorsInSixteenBitsInsteadOfEightCostTheDifference()
    {
        // Rank 8 is no block of Q8_0: 8 · (64 + 64) values of 16 bits instead of 8.5.
        QCOMPARE(cost(zeros("model.layers.0.mlp.down_proj.weight", "BF16", 2, 64, 64),
                      R"({"schema":1,"target":"gguf","default":{"preset":"lqer-w4","rank":8,"factor_bits":8}})"),
                 std::optional(8.0 * 128 * (2 - 8.5 / 8)));
    }

    void aRankThatIsCutSavesBytes()
    {
        // The preset's rank over min(rows, cols) = 4 is cut to 4.
        const auto saved = cost(zeros("model.layers.0.mlp.down_proj.weight", "BF16", 2, 4, 64),
                                R"({"schema":1,"target":"gguf","default":{"preset":"lqer-w4"}})");
        QVERIFY(saved.has_value());
        const Preset* preset = findPreset("lqer-w4");
        QCOMPARE(*saved, -2.0 * (preset->rank - 4) * (4 + 64));
    }
};

QTEST_GUILESS_MAIN(FallbackCostTest)
#include "tst_fallback_cost.moc"
