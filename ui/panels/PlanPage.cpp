// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/PlanPage.h"

#include "ui/Theme.h"
#include "ui/panels/ModelMapPanel.h"
#include "ui/panels/PlanDiff.h"
#include "ui/panels/PlanSettings.h"
#include "ui/panels/RulesPanel.h"
#include "ui/plots/EqualizerLegend.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QListView>
#include <QResizeEvent>
#include <QSplitter>
#include <QTableView>
#include <QTimer>
#include <QVBoxLayout>

#include <algorithm>

namespace sigmascope::ui {

namespace {

QString bitsWord(const EqualizerColumn& column)
{
    return column.isKept ? PlanPage::tr("kept") : PlanPage::tr("%1 bits").arg(column.bits);
}

}  // namespace

PlanPage::PlanPage(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_columns(session)
{
    build();
    m_legendSoon.setSingleShot(true);
    m_legendSoon.setInterval(60);
    connect(&m_legendSoon, &QTimer::timeout, this,
            [this] { m_legend->show(m_equalizer->view(), m_settings->isFusedTogether()); });
    connectPlot();
    connectSession();
    rebuild();
}

QWidget* PlanPage::buildEqualizer()
{
    m_equalizer = new EqualizerPlot;
    m_legend = new EqualizerLegend;
    m_caption = new ElidedLabel;
    m_caption->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_caption, TextLevel::Label);
    m_order = new QComboBox;
    m_order->addItem(tr("Group by block"), static_cast<int>(EqualizerColumns::Order::Depth));
    m_order->addItem(tr("Group by role"), static_cast<int>(EqualizerColumns::Order::Role));
    m_order->setAccessibleName(tr("Order of the columns"));
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(16), px(8), px(12), px(6));
    head->setSpacing(px(12));
    head->addWidget(sectionTitle(tr("Equalizer")));
    head->addWidget(m_caption, 1);
    head->addWidget(m_legend, 2);
    head->addWidget(m_order);
    auto* top = new QWidget;
    top->setAutoFillBackground(true);
    top->setBackgroundRole(QPalette::Base);
    auto* topColumn = new QVBoxLayout(top);
    topColumn->setContentsMargins(0, 0, 0, 0);
    topColumn->setSpacing(0);
    topColumn->addLayout(head);
    topColumn->addWidget(m_equalizer, 1);
    return top;
}

void PlanPage::build()
{
    m_map = new ModelMapPanel(m_session);
    m_map->setFoldable(false);
    m_diff = new PlanDiff(m_session);
    auto* bottom = new QSplitter(Qt::Horizontal);
    for (QWidget* part : {static_cast<QWidget*>(m_map), static_cast<QWidget*>(m_diff)}) {
        part->setAutoFillBackground(true);
        part->setBackgroundRole(QPalette::Base);
        bottom->addWidget(part);
    }
    bottom->setSizes({px(520), px(560)});
    bottom->setChildrenCollapsible(false);
    m_rows = new QSplitter(Qt::Vertical);
    m_rows->addWidget(buildEqualizer());
    m_rows->addWidget(bottom);
    m_rows->setStretchFactor(0, 3);
    m_rows->setStretchFactor(1, 2);
    m_rows->setChildrenCollapsible(false);

    m_settings = new PlanSettings(m_session);
    m_rules = new RulesPanel(m_session);
    m_sidebar = new QWidget;
    m_sidebar->setMinimumWidth(px(288));
    m_sidebar->setMaximumWidth(px(400));
    auto* side = new QVBoxLayout(m_sidebar);
    side->setContentsMargins(0, 0, 0, 0);
    side->setSpacing(0);
    side->addWidget(new DockTitle(tr("Plan")));
    side->addWidget(m_settings);
    side->addWidget(hairline(m_sidebar));
    side->addWidget(m_rules, 1);
    m_sides = new QSplitter(Qt::Horizontal);
    m_sides->addWidget(m_rows);
    m_sides->addWidget(m_sidebar);
    m_sides->setStretchFactor(0, 1);
    m_sides->setStretchFactor(1, 0);
    m_sides->setChildrenCollapsible(false);
    m_sides->setSizes({px(1100), px(312)});
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(m_sides);
}

void PlanPage::connectPlot()
{
    connect(m_order, &QComboBox::activated, this, &PlanPage::rebuild);
    connect(m_equalizer, &EqualizerPlot::selectionWished, this, [this](const std::vector<int>& columns, int current) {
        m_session.select(m_columns.tensorsAt(columns), m_columns.tensorAt(current));
    });
    connect(m_equalizer, &EqualizerPlot::gestureStarted, this, &PlanPage::beginGesture);
    connect(m_equalizer, &EqualizerPlot::bitsDragged, this,
            [this](int by) { m_session.moveBits(m_before, by, m_gesture); });
    connect(m_equalizer, &EqualizerPlot::rankDragged, this,
            [this](double octaves, int multiple) { m_session.moveRank(m_before, octaves, multiple, m_gesture); });
    connect(m_equalizer, &EqualizerPlot::gestureCancelled, this, [this] { m_session.restore(m_before, m_gesture); });
    connect(m_equalizer, &EqualizerPlot::bitsStepped, this, [this](const std::vector<int>& columns, int direction) {
        m_session.stepBits(m_columns.tensorsAt(columns), direction, keyGesture());
    });
    connect(m_equalizer, &EqualizerPlot::bitsChosen, this, [this](const std::vector<int>& columns, int bits) {
        m_session.chooseBits(m_columns.tensorsAt(columns), bits);
    });
    connect(m_equalizer, &EqualizerPlot::rankStepped, this, [this](const std::vector<int>& columns, int by) {
        m_session.stepRank(m_columns.tensorsAt(columns), by, keyGesture());
    });
    connect(m_equalizer, &EqualizerPlot::pinToggled, this, [this](const std::vector<int>& columns) {
        if (m_session.current())
            m_session.setPinned(m_columns.tensorsAt(columns), !m_session.layer(*m_session.current()).pinned);
    });
    connect(m_equalizer, &EqualizerPlot::bubbleWanted, this, &PlanPage::refreshBubble);
    connect(m_equalizer, &EqualizerPlot::saveFailed, this,
            [this](const QString& path) { emit messageRaised(tr("%1 could not be written").arg(path)); });
    connect(m_settings, &PlanSettings::fusedTogetherChanged, this, [this](bool together) {
        m_equalizer->setFusedTogether(together);
        m_legend->show(m_equalizer->view(), together);
    });
    connect(m_rules, &RulesPanel::layersPointedAt, this,
            [this](const std::vector<std::size_t>& tensors) { m_equalizer->setLit(m_columns.indicesOf(tensors)); });
}

void PlanPage::connectSession()
{
    connect(&m_session, &Session::opened, this, &PlanPage::rebuild);
    connect(&m_session, &Session::closed, this, &PlanPage::rebuild);
    connect(&m_session, &Session::planChanged, this, &PlanPage::refreshColumns);
    connect(&m_session, &Session::analysisChanged, this, [this](std::size_t tensor) { refreshColumns({tensor}); });
    connect(&m_session, &Session::calibrationChanged, this, &PlanPage::rebuild);
    connect(&m_session, &Session::selectionChanged, this, &PlanPage::showSelection);
}

void PlanPage::rebuild()
{
    m_equalizer->show(m_columns.build(static_cast<EqualizerColumns::Order>(m_order->currentData().toInt())));
    m_equalizer->setFusedTogether(m_settings->isFusedTogether());
    m_legend->show(m_equalizer->view(), m_settings->isFusedTogether());
    showSelection();
}

void PlanPage::refreshColumns(const std::vector<std::size_t>& tensors)
{
    std::vector<std::pair<int, EqualizerColumn>> changed;
    changed.reserve(tensors.size());
    for (const std::size_t tensor : tensors) {
        if (const int column = m_columns.indexOf(tensor); column >= 0)
            changed.emplace_back(column, m_columns.columnOf(tensor));
    }
    if (changed.empty())
        return;
    m_equalizer->update(changed);
    if (!m_legendSoon.isActive())
        m_legendSoon.start();
    showSelection();
}

void PlanPage::showSelection()
{
    std::optional<int> current;
    if (m_session.isOpen() && m_session.current() && m_columns.indexOf(*m_session.current()) >= 0)
        current = m_columns.indexOf(*m_session.current());
    m_equalizer->setSelection(m_columns.indicesOf(m_session.selection()), current);
    Bytes bytes = 0;
    for (const std::size_t tensor : m_session.selection())
        bytes += m_session.plannedBytes(tensor);
    m_caption->setText(m_session.selection().empty() ? QString()
                                                     : tr("%1 · %2").arg(selectionText(m_session), tensorSize(bytes)));
}

void PlanPage::beginGesture(const std::vector<int>& columns)
{
    m_gesture = m_session.newGesture();
    m_before = m_session.plansOf(m_columns.tensorsAt(columns));
    m_sizeBefore = m_session.estimate() ? m_session.estimate()->total : 0;
}

quint64 PlanPage::keyGesture()
{
    // One undo step while the keys keep coming.
    if (m_keyGesture == 0)
        m_keyGesture = m_session.newGesture();
    QTimer::singleShot(800, this, [this, gesture = m_keyGesture] {
        if (m_keyGesture == gesture)
            m_keyGesture = 0;
    });
    return m_keyGesture;
}

QString PlanPage::consequence(std::size_t tensor, EqualizerPlot::Handle dragged) const
{
    const LayerPlan& now = m_session.layer(tensor);
    const LayerPlan& then = m_before.front().second;
    QStringList parts;
    if (dragged == EqualizerPlot::Handle::Rank) {
        parts << tr("rank %1 → %2").arg(then.rank).arg(now.rank);
    } else {
        const auto word = [](const LayerPlan& plan) {
            const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
            return plan.keep || !grid ? tr("kept") : QString::number((*grid)->bits());
        };
        parts << tr("%1 → %2 bits").arg(word(then), word(now));
    }
    if (const auto error = m_session.shownError(tensor))
        parts << tr("error %1").arg(percent(error->value));
    const double added = static_cast<double>(m_session.plannedBytes(tensor))
        - static_cast<double>(m_session.plannedBytes(tensor, then));
    parts << addedSize(added);
    if (m_before.size() > 1)
        parts << layerCount(m_before.size());
    if (m_session.estimate())
        parts << tr("file %1").arg(fileSize(m_session.estimate()->total));
    return parts.join(QStringLiteral(" · "));
}

void PlanPage::refreshBubble(int column, EqualizerPlot::Handle dragged)
{
    const std::size_t tensor = m_columns.tensorAt(column);
    const EqualizerColumn& shown = m_equalizer->view().columns[static_cast<std::size_t>(column)];
    EqualizerPlot::Bubble bubble;
    bubble.title
        = layerTitle(m_session.topology().place(tensor), QString::fromStdString(m_session.tensor(tensor).name));
    bubble.right = tensorSize(m_session.plannedBytes(tensor));
    if (dragged != EqualizerPlot::Handle::None && !m_before.empty() && m_before.front().first == tensor) {
        bubble.line = consequence(tensor, dragged);
        m_equalizer->setBubble(bubble);
        return;
    }
    QStringList parts{bitsWord(shown)};
    if (!shown.isKept && shown.maxRank > 0)
        parts << tr("rank %1").arg(shown.rank);
    if (shown.hasError())
        parts << (shown.isMeasured ? tr("error %1 measured") : tr("error %1 estimated")).arg(percent(shown.error));
    else if (!shown.isKept)
        parts << tr("error not known yet");
    if (shown.isPinned)
        parts << tr("pinned");
    bubble.line = parts.join(QStringLiteral(" · "));
    m_equalizer->setBubble(bubble);
}

void PlanPage::focusEqualizer()
{
    m_equalizer->setFocus(Qt::ShortcutFocusReason);
}

QList<QWidget*> PlanPage::regions() const
{
    return {m_equalizer, m_map->map(), m_diff->table(),
            m_rules->shownTable()->isVisible() ? static_cast<QWidget*>(m_rules->shownTable()) : m_rules->presetList()};
}

void PlanPage::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    const bool wasUnset = event->oldSize().width() <= 0;
    if (!wasUnset)
        return;
    const int side = width() < px(1360) ? px(296) : px(312);
    m_sides->setSizes({width() - side, side});
    m_rows->setSizes({height() * 57 / 100, height() * 43 / 100});
}

}  // namespace sigmascope::ui
