// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/lowrank/ErrorSpectrum.h"
#include "ui/plots/PlotFrame.h"

#include <cstddef>
#include <vector>

namespace sigmascope::ui {

/// Singular values of one matrix, descending. Empty = absent: neither faked nor drawn.
struct SingularValues {
    std::vector<double> values;
    std::size_t total = 0;        ///< min(rows, cols)
    bool lowerBound = false;      ///< Ritz values of an incomplete spectrum
    std::size_t certified = 0;    ///< leading values within the asked tolerance
    double floor = 0;             ///< values below it are not resolved
    double unresolvedShare = 0;   ///< energy of the values not computed, 0..1
    double noiseEdge = 0;         ///< 0 = none
};

struct SpectrumView {
    SingularValues w, e, es;
    ErrorSpectrum weightError;    ///< of E; empty = not drawn
    ErrorSpectrum outputError;    ///< of E·S; empty with the plain metric
    int maxRank = 0;              ///< limit of the marker, min(rows, cols)
    int rankStep = 1;             ///< block of the stored factors: 1, or 32 for Q8_0
    QString plainReason;          ///< why E·S is absent: "no calibration"
};

/// What the bubble beside the marker says; formatted by the caller, so that it follows in the same frame.
struct MarkerReadout {
    QString identity;     ///< "rank 32"
    QString captured;     ///< "49.6 % of E·S energy"
    QString consequence;  ///< "error 3.1 % → 2.2 % · +0.09 bpw · +0.60 MiB"
    bool isEstimated = false;
};

/// Singular values of W, E and E·S over the rank, the error left below, and the draggable rank marker.
/// Rank axis is log2 from 1; rank 0 has a slot of its own left of 1.
class SpectrumPlot : public PlotFrame {
    Q_OBJECT

public:
    explicit SpectrumPlot(QWidget* parent = nullptr);
    ~SpectrumPlot() override;

    void show(const SpectrumView& view);
    using QWidget::show;
    /// Marker at @p rank with its words; replots the overlay only. Cheap: called on every mouse move of a drag, from
    /// the slot of rankDragged().
    void setMarker(int rank, const MarkerReadout& readout);
    /// No marker: kept layer.
    void hideMarker();
    /// A locked handle is dashed and hollow; the reason is its tooltip. Empty = free.
    void setMarkerLocked(const QString& reason);
    void setLogY(bool on);
    [[nodiscard]] bool isLogY() const;

    [[nodiscard]] int markerRank() const;
    /// Centre of the grip, in coordinates of this widget. Where a test or a user presses.
    [[nodiscard]] QPoint markerPosition() const;
    /// Where the grip would be at a rank; x only differs.
    [[nodiscard]] QPoint positionOfRank(int rank) const;
    /// Rank under a point of this widget: whole, within the limits.
    [[nodiscard]] int rankAt(const QPoint& position) const;
    [[nodiscard]] bool isDragging() const;
    /// Points handed to the plot for a series, for tests of the two-a-column rule.
    [[nodiscard]] int pointCount(Series series) const;
    [[nodiscard]] bool isSeriesDrawn(Series series) const;
    /// First rank of the hatched zone; 0 = none.
    [[nodiscard]] int lowerBoundFrom() const;

    [[nodiscard]] QString dataAsCsv() const override;
    [[nodiscard]] QString dataUnits() const override;
    void resetZoom() override;

signals:
    void rankDragStarted();
    void rankDragged(int rank);
    void rankDragFinished(int rank);
    void rankDragCancelled();

protected:
    void seriesToggled(Series series, bool visible) override;
    void applyLook() override;
    void setXRange(double lower, double upper) override;
    void setYRange(double lower, double upper) override;
    [[nodiscard]] Extent dataExtent() const override;
    void cursorMoved(const QPointF& position) override;
    bool handlePressed(const QPointF& position, Qt::KeyboardModifiers modifiers) override;
    void handleMoved(const QPointF& position, Qt::KeyboardModifiers modifiers) override;
    void handleReleased(const QPointF& position, Qt::KeyboardModifiers modifiers) override;
    void handleCancelled() override;
    [[nodiscard]] bool isOverHandle(const QPointF& position) const override;
    void keyPressEvent(QKeyEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;

private:
    struct Parts;
    void buildRects();
    void buildItems();
    void styleCurves();
    void chooseLayout();
    void layOut();
    void ensureLaidOut() const;
    void fillCurves();
    void fitY();
    void placeZones();
    void placeLabels();
    void placeLabel(int entry, const QRectF& area);
    void placeMarker();
    /// Curve points and labels that a box of the upper rect would cover.
    [[nodiscard]] int coveredBy(const QRectF& box) const;
    void decideBubble();
    void dragTo(int rank);
    void moveByKey(int rank);
    [[nodiscard]] int rankAtPixel(double x, Qt::KeyboardModifiers modifiers) const;
    [[nodiscard]] QString readoutAt(int rank) const;

    std::unique_ptr<Parts> m;
};

}  // namespace sigmascope::ui
