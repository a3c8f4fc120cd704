// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/GuidePanel.h"

#include "ui/Theme.h"
#include "ui/session/RunController.h"
#include "ui/session/Session.h"
#include "ui/session/Settings.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"

#include <QAccessible>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QPainter>
#include <QPushButton>
#include <QToolButton>

#include <algorithm>

namespace sigmascope::ui {

namespace {

constexpr int kFollowMs = 60;   // docks, tabs and pages move a place without telling the widget that stands on it
constexpr int kSettleMs = 350;

}  // namespace

/// A thin ring over everything, for the eye only: mouse and keys go through.
class GuideRing : public QWidget {
public:
    explicit GuideRing(QWidget* window)
        : QWidget(window)
    {
        setAttribute(Qt::WA_TransparentForMouseEvents);
        setFocusPolicy(Qt::NoFocus);
        hide();
    }

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(QPen(Theme::current().acc, px(2)));
        const double inset = px(2) / 2.0;
        painter.drawRoundedRect(QRectF(rect()).adjusted(inset, inset, -inset, -inset), px(4), px(4));
    }
};

GuidePanel::GuidePanel(Session& session, RunController& run, const QString& samplePath, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_run(run)
    , m_samplePath(samplePath)
    , m_text(new ElidedLabel)
    , m_count(caption({}, this))
    , m_skip(new QPushButton)
    , m_close(new QToolButton)
{
    setAccessibleName(tr("Guided tour"));
    m_skip->setObjectName(QStringLiteral("guideSkip"));
    m_close->setObjectName(QStringLiteral("guideClose"));
    m_close->setIcon(icon(QStringLiteral("close")));
    m_close->setAutoRaise(true);
    m_close->setToolTip(tr("Leave the tour. Esc"));
    m_close->setAccessibleName(tr("Leave the tour"));
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(px(12), px(4), px(6), px(4));
    row->setSpacing(px(12));
    row->addWidget(m_count);
    row->addWidget(m_text, 1);
    row->addWidget(m_skip);
    row->addWidget(m_close);
    setBackgroundRole(QPalette::AlternateBase);
    setAutoFillBackground(true);

    connect(m_close, &QToolButton::clicked, this, &GuidePanel::leave);
    connect(m_skip, &QPushButton::clicked, this, [this] {
        if (m_step == Finished)
            leave();
        else
            goTo(static_cast<Step>(m_step + 1));
    });
    m_follow.setInterval(kFollowMs);
    connect(&m_follow, &QTimer::timeout, this, &GuidePanel::placeRing);
    m_settle.setSingleShot(true);
    m_settle.setInterval(kSettleMs);
    connect(&m_settle, &QTimer::timeout, this, &GuidePanel::check);

    connect(&m_session, &Session::opened, this, &GuidePanel::check);
    connect(&m_session, &Session::closed, this, &GuidePanel::check);
    connect(&m_session, &Session::selectionChanged, this, &GuidePanel::check);
    connect(&m_session, &Session::planChanged, this, [this] { m_settle.start(); });
    connect(&m_run, &RunController::started, this, &GuidePanel::showStep);
    connect(&m_run, &RunController::failed, this, &GuidePanel::showStep);
    connect(&m_run, &RunController::cancelled, this, &GuidePanel::showStep);
    connect(&m_run, &RunController::finished, this, [this] {
        m_hasRun = true;
        check();
    });
}

GuidePanel::~GuidePanel() = default;

void GuidePanel::start()
{
    if (m_isUnderWay)
        return;
    m_isUnderWay = true;
    if (m_ring == nullptr) {
        m_ring = new GuideRing(window());
        window()->installEventFilter(this);
    }
    const int reached = std::clamp(Settings::guideStep(), 0, static_cast<int>(Quantize));
    goTo(isSampleOpen() ? static_cast<Step>(std::max<int>(PickLayer, reached)) : OpenSample);
    emit started();
    m_follow.start();
}

void GuidePanel::leave()
{
    if (!m_isUnderWay)
        return;
    m_isUnderWay = false;
    m_follow.stop();
    m_settle.stop();
    m_ring->hide();
    emit left();
}

QString GuidePanel::text() const
{
    return m_text->text();
}

QRect GuidePanel::ringRect() const
{
    return m_ring != nullptr && m_ring->isVisible() ? m_ring->geometry() : QRect();
}

bool GuidePanel::isSampleOpen() const
{
    return m_session.isOpen() && QFileInfo(m_session.path()).canonicalFilePath() == QFileInfo(m_samplePath).canonicalFilePath();
}

void GuidePanel::goTo(Step step)
{
    m_step = step;
    // The first step is remembered by what is open; the last is remembered as done.
    if (step != OpenSample)
        Settings::setGuideStep(step == Finished ? 0 : step);
    m_layerBefore = m_session.current();
    m_plansBefore = m_session.isOpen() ? m_session.plan().layers : std::vector<LayerPlan>{};
    m_hasRun = false;
    showStep();
    emit stepChanged(step);
}

bool GuidePanel::isDone() const
{
    const auto anyChanged = [this](const auto& member) {
        const std::vector<LayerPlan>& now = m_session.plan().layers;
        for (std::size_t i = 0; i < std::min(now.size(), m_plansBefore.size()); ++i) {
            if (now[i].*member != m_plansBefore[i].*member)
                return true;
        }
        return false;
    };
    switch (m_step) {
    case OpenSample: return isSampleOpen();
    case PickLayer: return m_session.current() && m_session.current() != m_layerBefore;
    case DragRank: return anyChanged(&LayerPlan::rank);
    case ChangeBits: return anyChanged(&LayerPlan::grid) || anyChanged(&LayerPlan::keep);
    case Quantize: return m_hasRun;
    case Finished: break;
    }
    return false;
}

void GuidePanel::check()
{
    if (!m_isUnderWay)
        return;
    if (m_step != OpenSample && m_step != Finished && !isSampleOpen())
        return goTo(OpenSample);
    // Opening selects a layer by itself, after it has told that it is done: that is not the user's choice.
    if (m_step == PickLayer && !m_layerBefore)
        m_layerBefore = m_session.current();
    if (!isDone())
        return;
    const int reached = m_step == OpenSample ? std::max<int>(PickLayer, Settings::guideStep()) : m_step + 1;
    goTo(static_cast<Step>(std::min<int>(reached, Finished)));
}

void GuidePanel::showStep()
{
    if (!m_isUnderWay)
        return;
    QString text;
    switch (m_step) {
    case OpenSample: text = tr("Open the sample model: the button below, or File ▸ Open the sample model"); break;
    case PickLayer: text = tr("Pick another layer in the tree: its weights, error and plan are shown at once"); break;
    case DragRank: text = tr("Drag the marker in the Spectrum: error, size and bits follow your hand. Ctrl+Z takes it back"); break;
    case ChangeBits: text = tr("Choose other bits for the layer: the error and every byte of the file are counted anew"); break;
    case Quantize:
        text = m_run.isRunning() ? tr("Quantizing: the error of each layer appears as it finishes")
                                 : tr("Quantize: F5, choose a name, start. It takes seconds on the sample");
        break;
    case Finished: text = tr("Done: the files are written, and the command that loads them stands on this page"); break;
    }
    m_text->setText(text);
    m_text->setAccessibleName(text);
    m_count->setText(m_step == Finished ? tr("Tour") : tr("Tour, step %1 of %2").arg(m_step + 1).arg(kSteps));
    // The first step cannot be skipped: the others need the model.
    m_skip->setVisible(m_step != OpenSample);
    m_skip->setText(m_step == Finished ? tr("Close") : tr("Skip"));
    m_skip->setToolTip(m_step == Finished ? tr("Leave the tour. Esc") : tr("Go on without doing this step"));
    QAccessibleEvent announcement(m_text, QAccessible::Alert);
    QAccessible::updateAccessibility(&announcement);
    placeRing();
}

void GuidePanel::placeRing()
{
    const GuideTarget target = m_isUnderWay && m_targets ? m_targets(m_step) : GuideTarget{};
    if (target.widget == nullptr || !target.widget->isVisible()) {
        m_ring->hide();
        return;
    }
    const QRect part = target.part.isEmpty() ? target.widget->rect() : target.part;
    const QRect place(target.widget->mapTo(window(), part.topLeft()), part.size());
    // Within the window, where the place fills it to the edge.
    const QRect ring = place.adjusted(-px(3), -px(3), px(3), px(3)).intersected(window()->rect());
    if (m_ring->geometry() != ring)
        m_ring->setGeometry(ring);
    if (!m_ring->isVisible()) {
        m_ring->show();
        m_ring->raise();
    }
}

bool GuidePanel::eventFilter(QObject* watched, QEvent* event)
{
    // Esc belongs to whoever has the focus (a drag, a filter); what nobody wanted reaches the window and leaves the tour.
    if (m_isUnderWay && watched == window() && event->type() == QEvent::KeyPress
        && static_cast<QKeyEvent*>(event)->key() == Qt::Key_Escape) {
        leave();
        return true;
    }
    if (m_isUnderWay && watched == window() && event->type() == QEvent::Resize)
        placeRing();
    return QWidget::eventFilter(watched, event);
}

void GuidePanel::changeEvent(QEvent* event)
{
    if (event->type() == QEvent::PaletteChange && m_ring != nullptr)
        m_ring->update();
    QWidget::changeEvent(event);
}

}  // namespace sigmascope::ui
