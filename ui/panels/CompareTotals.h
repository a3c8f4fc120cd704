// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/session/Comparison.h"
#include "ui/widgets/LayerDelegate.h"

#include <QWidget>

#include <array>
#include <optional>

class QHBoxLayout;

namespace sigmascope::ui {

class ElidedLabel;
class SourceBadge;

/// ✓ ≈ ▲ ✕ before its words; nothing while there is no verdict.
class VerdictGlyph : public QWidget {
    Q_OBJECT

public:
    explicit VerdictGlyph(QWidget* parent = nullptr);
    void setVerdict(std::optional<Verdict> verdict);
    [[nodiscard]] std::optional<Verdict> verdict() const { return m_verdict; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::optional<Verdict> m_verdict;
};

[[nodiscard]] Verdict verdictOf(LayerVerdict verdict);

/// The comparison in one line of four figures: verdict, error, bits per weight, size.
class CompareTotals : public QWidget {
    Q_OBJECT

public:
    enum Figure { Judgement, Error, Bits, Size, FigureCount };

    explicit CompareTotals(QWidget* parent = nullptr);

    /// Null: dashes.
    void show(const ComparisonResult* result);
    using QWidget::show;
    /// Value and note of a figure, for tests and screen readers.
    [[nodiscard]] QString text(Figure figure) const;
    [[nodiscard]] std::optional<Verdict> verdict() const { return m_glyph->verdict(); }

private:
    struct Block {
        ElidedLabel* title = nullptr;
        SourceBadge* badge = nullptr;
        ElidedLabel* value = nullptr;
        ElidedLabel* note = nullptr;
    };
    void addBlock(QHBoxLayout* row, Figure figure, int stretch);
    void fill(Figure figure, const QString& title, const QString& value, const QString& note, const QString& explanation);
    void showJudgement(const ComparisonResult& result);
    void showError(const ComparisonResult& result);
    void showSizes(const ComparisonResult& result);

    std::array<Block, FigureCount> m_blocks;
    VerdictGlyph* m_glyph = nullptr;
};

}  // namespace sigmascope::ui
