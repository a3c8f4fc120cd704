// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/widgets/SourceBadge.h"

#include <QString>
#include <QStringList>
#include <QWidget>

#include <optional>
#include <vector>

class QAbstractButton;
class QSpinBox;

namespace sigmascope::ui {

enum class Verdict;

/// What the budget strip shows, ready computed. Sizes in bytes (shown in MB and GB, powers of ten).
struct BudgetView {
    quint64 fileBytes = 0;                     ///< all files of the export together; 0 where there is none
    std::optional<quint64> targetBytes;
    quint64 codeBytes = 0;                     ///< codes and scales
    quint64 factorBytes = 0;                   ///< low-rank factors
    quint64 keptBytes = 0;                     ///< embeddings, norms, metadata: all that is kept as it is
    double bitsPerWeight = 0;
    Source sizeSource = Source::Exact;
    std::optional<double> outputError;         ///< mean relative error of the plan's layers; absent while unknown
    bool isWeightError = false;                ///< of the weights: nothing is known of activations
    Source errorSource = Source::Estimated;
    std::optional<quint64> memoryBytes;        ///< weights and keys and values of memoryContext tokens; estimated
    quint64 memoryContext = 0;
    int fallbacks = 0;
    double fallbackBytes = 0;                  ///< what they add to the files, or save
    QString fallbackText;                      ///< why, in a few words; tooltip
    QString refusal;                           ///< where there is no size: why, in a few words
    bool isRecomputing = false;                ///< figures keep their old value in tx3
};

/// File size as one painted bar and the figures beside it, each with its source. 60 high; one line of 32 when compact.
/// Where room is short the memory goes first, then the error, then the words of the bar's parts; what went is in the
/// tooltip, as are the captions that the one line has no room for.
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
    /// Tokens that the memory is counted for; hidden with its column.
    [[nodiscard]] QSpinBox* contextField() const { return m_context; }
    /// Over the fallbacks, so that they can be reached by the keyboard; hidden where there are none.
    [[nodiscard]] QAbstractButton* fallbackButton() const { return m_fallbackButton; }
    /// The figures shown, left to right, as they are read: "Under target 12.0 MB", for tests and screen readers.
    [[nodiscard]] QStringList figures() const;

    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

signals:
    void fallbacksClicked();
    void contextChosen(quint64 tokens);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    bool event(QEvent* event) override;

private:
    /// A figure right of the bar: caption and source above, value and unit below.
    struct Column {
        enum class Kind { Target, Bits, Error, Memory, Fallbacks };
        Kind kind;
        QString title, value, unit;
        Source source = Source::None;
        Verdict verdict{};
        int width = 0;
        QRect rect;
    };
    [[nodiscard]] std::vector<Column> columns() const;
    [[nodiscard]] int widthOf(const Column& column) const;
    [[nodiscard]] int leftWidth() const;
    void layOut();
    void layOutFull();
    void paintFull(QPainter& painter);
    void paintColumn(QPainter& painter, const Column& column) const;
    /// One line; drawn, or measured for the places of its parts.
    void compactLine(QPainter& painter, bool isDrawn);
    [[nodiscard]] QString errorTitle() const;
    [[nodiscard]] QString memoryText() const;
    /// Of the compact line's last figure.
    [[nodiscard]] int fallbackWidth() const;
    void paintBar(QPainter& painter, const QRect& bar) const;
    void paintRefusal(QPainter& painter) const;
    void paintLegend(QPainter& painter, QRect area) const;
    [[nodiscard]] QString toolTipText() const;
    /// As the field can hold it.
    [[nodiscard]] int shownContext() const;

    BudgetView m_view;
    bool m_isCompact = false;
    bool m_hasCompactMemory = false;  ///< the one line has room for it
    std::vector<Column> m_columns;
    QRect m_bar;
    QSpinBox* m_context = nullptr;
    QAbstractButton* m_fallbackButton = nullptr;
};

}  // namespace sigmascope::ui
