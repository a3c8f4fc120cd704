// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/widgets/SourceBadge.h"

#include <QString>
#include <QWidget>

#include <optional>

namespace sigmascope::ui {

/// What the budget strip shows, ready computed. Sizes in bytes (shown in MB and GB, powers of ten).
struct BudgetView {
    quint64 fileBytes = 0;                     ///< all files of the export together
    std::optional<quint64> targetBytes;
    quint64 codeBytes = 0;                     ///< codes and scales
    quint64 factorBytes = 0;                   ///< low-rank factors
    quint64 keptBytes = 0;                     ///< embeddings, norms, metadata: all that is kept as it is
    double bitsPerWeight = 0;
    Source sizeSource = Source::Exact;
    std::optional<double> outputError;         ///< mean relative output error of the plan; absent while unknown
    Source errorSource = Source::Estimated;
    std::optional<quint64> memoryBytes;        ///< weights and keys and values of memoryContext tokens; estimated
    quint64 memoryContext = 0;
    int fallbacks = 0;
    QString fallbackText;                      ///< why, in a few words; tooltip
    bool isRecomputing = false;                ///< figures keep their old value in tx3
};

/// File size as one painted bar and the figures beside it. 60 high; one line of 32 when compact.
class BudgetStrip : public QWidget {
    Q_OBJECT

public:
    explicit BudgetStrip(QWidget* parent = nullptr);

    void show(const BudgetView& view);
    using QWidget::show;
    /// The one-line form, for windows under 760 high.
    void setCompact(bool compact);
    [[nodiscard]] bool isCompact() const { return m_isCompact; }
    [[nodiscard]] const BudgetView& view() const { return m_view; }

    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

signals:
    void fallbacksClicked();

protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    bool event(QEvent* event) override;

private:
    void paintFull(QPainter& painter);
    void paintCompact(QPainter& painter);
    void paintBar(QPainter& painter, const QRect& bar) const;
    void paintLegend(QPainter& painter, QRect area) const;

    BudgetView m_view;
    bool m_isCompact = false;
    QRect m_fallbackRect;
};

}  // namespace sigmascope::ui
