// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "ui/widgets/SourceBadge.h"

#include <QString>
#include <QWidget>

#include <memory>

class QCustomPlot;
class QFrame;
class QHBoxLayout;
class QLabel;
class QMenu;
class QToolButton;

namespace sigmascope::ui {

enum class Series;
struct Exportable;
class ElidedLabel;
class PlotOverlay;

/// Header (legend as toggles, source badge, scale combo) · plot · read-out row. All plots use it: it owns their states,
/// zoom and pan, context menu and copying. The plot is never blanked: an old picture stays under "loading".
class PlotFrame : public QWidget {
    Q_OBJECT

public:
    enum class State { Empty, Loading, Ready, Stale, Failed };

    explicit PlotFrame(QWidget* parent = nullptr);
    ~PlotFrame() override;

    /// Axes, grid and one sentence that says what to do.
    void showEmpty(const QString& sentence);
    /// Nothing for 150 ms, then the old axes with "Spectrum, about 4 s" and a thin bar. Esc asks to cancel.
    void showLoading(const QString& what);
    /// Progress of the loading bar, 0..1; negative = unknown.
    void setLoadingProgress(double share);
    /// The picture no longer fits the plan: curves tx3 dashed, note in the header ("for 4 bits, now 5"), "updating…".
    void showStale(const QString& note);
    /// ✕ what was found, where, and one link ("" = none) that goes there.
    void showFailed(const QString& what, const QString& where, const QString& link = {});
    [[nodiscard]] State state() const { return m_state; }
    /// The surface that takes the mouse, for tests; positions of this frame work as well.
    [[nodiscard]] QWidget* canvas() const;
    /// Sentence shown over the plot, for tests and screen readers; empty when there is none.
    [[nodiscard]] QString message() const;

    /// Badge of the header: where the shown numbers come from.
    void setSource(Source source, const QString& words = {});

    /// Whose data these are: named in every file that is saved.
    void setSubject(const QString& subject);
    [[nodiscard]] QImage image() const;                   ///< frame without the header's controls, twice as dense
    [[nodiscard]] Exportable exportable() const;
    [[nodiscard]] QString csv() const;                    ///< subject and units as comments, then dataAsCsv()
    /// Units of the columns: "sigma: weight units"; empty if the header says it all.
    [[nodiscard]] virtual QString dataUnits() const { return {}; }
    [[nodiscard]] virtual QString dataAsCsv() const = 0;  ///< what is drawn, full precision, one column a series
    virtual void resetZoom() = 0;

    /// The entries of the context menu, for tests too.
    void fillContextMenu(QMenu& menu);

public slots:
    void copyImage();
    void copyData();
    /// Writes PNG, SVG or CSV by the suffix. False if the file could not be written.
    bool saveAs(const QString& path);

signals:
    void cancelRequested();   ///< Esc while loading
    void linkActivated();     ///< the link of a failure
    void saveFailed(const QString& path);

protected:
    [[nodiscard]] QCustomPlot* plot() const { return m_plot; }
    void setReady();
    /// What kind of plot this is, in file names and headers: "spectrum".
    void setTitle(const QString& title) { m_title = title; }
    [[nodiscard]] bool isStale() const { return m_state == State::Stale; }
    /// Legend entry that toggles a series; returns the button. Toggling calls seriesToggled().
    QToolButton* addLegend(Series series, const QString& text, const QString& explanation);
    /// Adds a widget right of the badge (combo, segments).
    void addHeaderWidget(QWidget* widget);
    /// Read-out row; rich text, mono. @p hint stands right, in tx3.
    void setReadout(const QString& html);
    void setHint(const QString& text);

    virtual void seriesToggled(Series series, bool visible) = 0;
    /// Colours and fonts of axes and curves from the theme; called at start and on a change of theme.
    virtual void applyLook() = 0;
    /// Visible x range wanted, x already limited to the data plus 5 %.
    virtual void setXRange(double lower, double upper) = 0;
    virtual void setYRange(double lower, double upper) = 0;
    /// Extent of the data, in axis coordinates.
    struct Extent {
        double xLower = 0, xUpper = 1, yLower = 0, yUpper = 1;
        bool xLog = false, yLog = false;
    };
    [[nodiscard]] virtual Extent dataExtent() const = 0;
    /// Pointer over the plot at widget position of plot(), or outside (x < 0).
    virtual void cursorMoved(const QPointF& position) = 0;
    /// Left button pressed and let go at one place of the plot, on no handle.
    virtual void clicked(const QPointF&) {}
    /// Lets a subclass take a press (a handle). True = taken; then the following moves and the release come to it too.
    virtual bool handlePressed(const QPointF&, Qt::KeyboardModifiers) { return false; }
    virtual void handleMoved(const QPointF&, Qt::KeyboardModifiers) {}
    virtual void handleReleased(const QPointF&, Qt::KeyboardModifiers) {}
    /// Escape while a handle is held.
    virtual void handleCancelled() {}

    /// Cursor shape and redraw of a hovered handle; called before cursorMoved().
    virtual bool isOverHandle(const QPointF&) const { return false; }
    /// Replots the overlay layer only.
    void replotOverlay();

    void changeEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    struct Gesture;
    void buildLayout();
    void setState(State state);
    void refreshLook();
    void zoom(const QPointF& at, double factor, bool vertical);
    void panTo(const QPointF& position);
    void zoomToBox(const QRectF& box);
    void openContextMenu(const QPoint& globalPosition);
    void saveWithDialog(const QString& suffix);
    [[nodiscard]] QString plotTitle() const;
    // Positions are those of the plot widget.
    bool pressed(const QPointF& position, Qt::MouseButton button, Qt::KeyboardModifiers modifiers);
    void moved(const QPointF& position, Qt::KeyboardModifiers modifiers);
    bool released(const QPointF& position, Qt::KeyboardModifiers modifiers, const QPoint& globalPosition);

    State m_state = State::Empty;
    bool m_hasPainted = false;
    bool m_isOverlayQueued = false;
    bool m_isBuilt = false;  ///< the subclass has shown its first state: its virtuals may be called
    QCustomPlot* m_plot = nullptr;
    PlotOverlay* m_overlay = nullptr;
    QHBoxLayout* m_legend = nullptr;
    QHBoxLayout* m_headerRight = nullptr;
    ElidedLabel* m_note = nullptr;
    SourceBadge* m_badge = nullptr;
    QLabel* m_readout = nullptr;
    ElidedLabel* m_hint = nullptr;
    QFrame* m_rule = nullptr;
    std::unique_ptr<Gesture> m_gesture;
    Source m_source = Source::None;
    QString m_sourceWords;
    QString m_title, m_subject;
};

}  // namespace sigmascope::ui
