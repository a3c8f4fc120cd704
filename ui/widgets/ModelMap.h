// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QImage>
#include <QString>
#include <QStringList>
#include <QWidget>

#include <functional>
#include <optional>
#include <vector>

namespace sigmascope::ui {

/// Blocks × roles and one value a cell, ready computed.
struct ModelMapView {
    /// Heat: ground to E, on a logarithmic scale where all values are positive. Bits: the colours of widths.
    enum class Colours { Heat, Bits };

    QString name;                       ///< "output error"
    QStringList rows;                   ///< roles, top to bottom
    int columns = 0;                    ///< blocks
    std::vector<float> values;          ///< rows × columns, row-major; NaN: not known, infinity: no such layer
    Colours colours = Colours::Heat;
    bool isLogarithmic = true;
    std::function<QString(double)> format;  ///< a value with its unit
};

/// Heat map of the model: one image of a pixel per cell, scaled by whole factors. A click or an arrow key chooses a
/// cell. More blocks than pixels are pooled by the largest value (bits: the smallest).
class ModelMap : public QWidget {
    Q_OBJECT

public:
    struct Cell {
        int row = 0, column = 0;
        friend bool operator==(const Cell&, const Cell&) = default;
    };

    explicit ModelMap(QWidget* parent = nullptr);

    void show(ModelMapView view);
    using QWidget::show;
    [[nodiscard]] const ModelMapView& view() const { return m_view; }
    void setCurrent(std::optional<Cell> cell);
    [[nodiscard]] std::optional<Cell> current() const { return m_current; }
    /// "Block 12 · down_proj · 2.2 %" of the cell under the pointer, else of the current one.
    [[nodiscard]] QString reading() const;
    /// Smallest and largest value on the scale; nothing if none is known.
    [[nodiscard]] std::optional<std::pair<double, double>> range() const { return m_range; }

    /// Where a cell is drawn, for tests; and what stands at a point.
    [[nodiscard]] QRect cellRect(Cell cell) const;
    [[nodiscard]] std::optional<Cell> cellAt(const QPoint& position) const;
    [[nodiscard]] QString dataAsCsv() const;

    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override;

signals:
    void cellChosen(int row, int column);
    void readingChanged(const QString& text);

protected:
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void changeEvent(QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    bool event(QEvent* event) override;

private:
    void arrange();
    void redraw();
    void choose(Cell cell);
    void hover(std::optional<Cell> cell);
    [[nodiscard]] float valueAt(Cell cell) const;
    [[nodiscard]] QRgb colourOf(float value) const;
    [[nodiscard]] int labelWidth() const;
    [[nodiscard]] QString textOf(Cell cell) const;

    ModelMapView m_view;
    std::optional<std::pair<double, double>> m_range;
    std::optional<Cell> m_current, m_hovered;
    QImage m_image;        // a pixel per drawn cell
    QRect m_area;          // of all cells, in widget pixels
    int m_pool = 1;        // blocks a drawn cell stands for
    int m_cellWidth = 1, m_cellHeight = 1;
};

/// Scale of a ModelMap: smallest value, six steps, largest value; or the widths in use with their colours.
class ModelMapLegend : public QWidget {
    Q_OBJECT

public:
    explicit ModelMapLegend(QWidget* parent = nullptr);
    void show(const ModelMapView& view, const std::optional<std::pair<double, double>>& range);
    using QWidget::show;
    [[nodiscard]] QSize sizeHint() const override;
    [[nodiscard]] QSize minimumSizeHint() const override { return sizeHint(); }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    ModelMapView::Colours m_colours = ModelMapView::Colours::Heat;
    QString m_low, m_high;
};

}  // namespace sigmascope::ui
