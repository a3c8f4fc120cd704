// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/plan/Plan.h"

#include <QRect>
#include <QString>
#include <QTimer>
#include <QWidget>

#include <functional>
#include <optional>
#include <vector>

class QLabel;
class QPushButton;
class QToolButton;

namespace sigmascope::ui {

class ElidedLabel;
class GuideRing;
class RunController;
class Session;

/// Where a step of the tour points: a widget, or a part of it in its own coordinates.
struct GuideTarget {
    QWidget* widget = nullptr;
    QRect part{};  ///< empty = all of it
};

/// The tour of five steps on the sample model: one line that says what to do, a thin ring around the place, nothing
/// dimmed, nothing blocked. A step ends when the user has really done it; Esc or Close leaves at any time, and the
/// next start goes on where it was left.
class GuidePanel : public QWidget {
    Q_OBJECT

public:
    enum Step { OpenSample, PickLayer, DragRank, ChangeBits, Quantize, Finished };
    static constexpr int kSteps = Finished;

    /// @param samplePath  folder of the bundled model.
    GuidePanel(Session& session, RunController& run, const QString& samplePath, QWidget* parent = nullptr);
    ~GuidePanel() override;

    /// The nearest visible place for a step: what to press, or what leads there. Asked while the tour is on.
    using Targets = std::function<GuideTarget(Step)>;
    void setTargets(Targets targets) { m_targets = std::move(targets); }

    /// Begins, or goes on where the tour was left.
    void start();
    void leave();
    [[nodiscard]] bool isUnderWay() const { return m_isUnderWay; }
    [[nodiscard]] Step step() const { return m_step; }
    [[nodiscard]] QString text() const;
    /// The ring's rectangle in the window's coordinates; empty while it points nowhere.
    [[nodiscard]] QRect ringRect() const;
    [[nodiscard]] QToolButton* closeButton() const { return m_close; }

signals:
    void started();
    void left();
    void stepChanged(int step);

protected:
    bool eventFilter(QObject* watched, QEvent* event) override;
    void changeEvent(QEvent* event) override;

private:
    void goTo(Step step);
    void check();
    [[nodiscard]] bool isDone() const;
    [[nodiscard]] bool isSampleOpen() const;
    void placeRing();
    void showStep();

    Session& m_session;
    RunController& m_run;
    QString m_samplePath;
    Targets m_targets;
    ElidedLabel* m_text = nullptr;
    QLabel* m_count = nullptr;
    QPushButton* m_skip = nullptr;
    QToolButton* m_close = nullptr;
    GuideRing* m_ring = nullptr;
    QTimer m_follow;  // the ring follows its place
    QTimer m_settle;  // an edit counts once the hand rests
    Step m_step = OpenSample;
    bool m_isUnderWay = false;
    bool m_hasRun = false;
    std::optional<std::size_t> m_layerBefore;
    std::vector<LayerPlan> m_plansBefore;
};

}  // namespace sigmascope::ui
