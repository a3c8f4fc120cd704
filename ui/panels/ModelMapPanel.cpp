// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ModelMapPanel.h"

#include "ui/Theme.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sigmascope::ui {

namespace {

/// Row by row.
std::size_t cellAt(int row, int column, int columns)
{
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(column);
}

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();
constexpr float kAbsent = std::numeric_limits<float>::infinity();

/// "down" for down_proj: the map is narrow.
QString shortRole(Role role)
{
    const QString title = titleOf(role);
    return title.endsWith(QLatin1String("_proj")) ? title.chopped(5) : title;
}

}  // namespace

ModelMapPanel::ModelMapPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_map(new ModelMap)
    , m_legend(new ModelMapLegend)
    , m_choice(new QComboBox)
    , m_fold(new QToolButton)
    , m_reading(new ElidedLabel)
{
    m_choice->addItem(tr("Output error"), static_cast<int>(Value::Error));
    m_choice->addItem(tr("Bits"), static_cast<int>(Value::Bits));
    m_choice->addItem(tr("Rank"), static_cast<int>(Value::Rank));
    m_choice->addItem(tr("Size"), static_cast<int>(Value::Bytes));
    m_choice->setAccessibleName(tr("Value shown in the model map"));
    m_fold->setArrowType(Qt::DownArrow);
    m_fold->setAutoRaise(true);
    m_fold->setCheckable(true);
    m_fold->setToolTip(tr("Fold or unfold the model map"));
    m_fold->setAccessibleName(tr("Fold or unfold the model map"));
    m_fold->setFixedSize(px(18), px(18));
    m_reading->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_reading, TextLevel::Label);
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(12), px(6), px(12), px(6));
    head->setSpacing(px(8));
    head->addWidget(m_fold);
    head->addWidget(sectionTitle(tr("Model map")));
    head->addWidget(m_reading, 1000);
    head->addStretch(1);  // while there is nothing to read
    head->addWidget(m_legend);
    head->addWidget(m_choice);
    auto* body = new QHBoxLayout;
    body->setContentsMargins(px(12), 0, px(12), px(6));
    body->addWidget(m_map);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(head);
    column->addLayout(body, 1);

    m_soon.setSingleShot(true);
    m_soon.setInterval(60);
    connect(&m_soon, &QTimer::timeout, this, &ModelMapPanel::refresh);
    const auto soon = [this] {
        // Unseen, it waits until it is shown.
        m_isStale = !isVisible();
        if (!m_isStale && !m_soon.isActive())
            m_soon.start();
    };
    connect(&session, &Session::opened, this, &ModelMapPanel::rebuild);
    connect(&session, &Session::closed, this, &ModelMapPanel::rebuild);
    connect(&session, &Session::planChanged, this, soon);
    connect(&session, &Session::analysisChanged, this, soon);
    connect(&session, &Session::calibrationChanged, this, soon);
    connect(&session, &Session::selectionChanged, this, &ModelMapPanel::showSelection);
    connect(m_choice, &QComboBox::currentIndexChanged, this, &ModelMapPanel::refresh);
    connect(m_map, &ModelMap::cellChosen, this, &ModelMapPanel::chooseCell);
    connect(m_map, &ModelMap::readingChanged, m_reading, &ElidedLabel::setText);
    connect(m_fold, &QToolButton::toggled, this, &ModelMapPanel::setFolded);
    new TableExport(
        m_map, [this] { return m_session.name() + QStringLiteral("-map"); }, [this] { return m_map->dataAsCsv(); });
    setFoldable(true);
    rebuild();
}

void ModelMapPanel::setFoldable(bool foldable)
{
    m_fold->setVisible(foldable);
    // In a narrow dock the tooltip reads the cell.
    m_reading->setVisible(!foldable && !m_isFolded);
}

void ModelMapPanel::setFolded(bool folded)
{
    m_isFolded = folded;
    m_fold->setChecked(folded);
    m_fold->setArrowType(folded ? Qt::RightArrow : Qt::DownArrow);
    for (QWidget* part :
         {static_cast<QWidget*>(m_map), static_cast<QWidget*>(m_legend), static_cast<QWidget*>(m_choice)})
        part->setVisible(!folded);
    updateGeometry();
}

void ModelMapPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    if (m_isStale)
        refresh();
}

void ModelMapPanel::rebuild()
{
    m_rows.clear();
    m_cells.clear();
    m_blocks = 0;
    constexpr std::size_t kRoles = static_cast<std::size_t>(Role::Other) + 1;
    m_roleRow.assign(kRoles, -1);
    if (m_session.isOpen()) {
        m_blocks = static_cast<int>(m_session.topology().blockCount());
        const std::size_t count = m_session.checkpoint()->tensors().size();
        std::vector<bool> used(kRoles, false);
        for (std::size_t i = 0; i < count; ++i) {
            const TensorPlace& place = m_session.topology().place(i);
            if (place.block >= 0 && m_session.isPlannable(i))
                used[static_cast<std::size_t>(place.role)] = true;
        }
        for (std::size_t role = 0; role < kRoles; ++role) {
            if (!used[role])
                continue;
            m_roleRow[role] = static_cast<int>(m_rows.size());
            m_rows << shortRole(static_cast<Role>(role));
        }
        m_cells.resize(static_cast<std::size_t>(m_rows.size()) * static_cast<std::size_t>(m_blocks));
        for (std::size_t i = 0; i < count; ++i) {
            const TensorPlace& place = m_session.topology().place(i);
            const int row
                = place.block < 0 || !m_session.isPlannable(i) ? -1 : m_roleRow[static_cast<std::size_t>(place.role)];
            if (row >= 0 && place.block < m_blocks)
                m_cells[cellAt(row, place.block, m_blocks)].push_back(i);
        }
    }
    refresh();
}

float ModelMapPanel::valueOf(std::size_t tensor, Value value) const
{
    const LayerPlan& plan = m_session.layer(tensor);
    switch (value) {
    case Value::Error: {
        const auto error = m_session.shownError(tensor);
        return error ? static_cast<float>(error->value) : kNoNumber;
    }
    case Value::Bits: {
        const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
        return static_cast<float>(plan.keep || !grid ? 16 : (*grid)->bits());
    }
    case Value::Rank: return static_cast<float>(plan.keep ? 0U : plan.rank);
    case Value::Bytes: return static_cast<float>(m_session.plannedBytes(tensor));
    }
    return kNoNumber;
}

void ModelMapPanel::refresh()
{
    m_soon.stop();
    m_isStale = false;
    const auto value = static_cast<Value>(m_choice->currentData().toInt());
    ModelMapView view;
    view.name = m_choice->currentText();
    view.rows = m_rows;
    view.columns = m_blocks;
    view.colours = value == Value::Bits ? ModelMapView::Colours::Bits : ModelMapView::Colours::Heat;
    view.isLogarithmic = value == Value::Error || value == Value::Bytes;
    switch (value) {
    case Value::Error: view.format = [](double error) { return percent(error); }; break;
    case Value::Bits: view.format = [](double bits) { return bits > 8 ? tr("kept") : tr("%1 bits").arg(bits); }; break;
    case Value::Rank: view.format = [](double rank) { return tr("rank %1").arg(rank); }; break;
    case Value::Bytes: view.format = [](double bytes) { return tensorSize(static_cast<Bytes>(bytes)); }; break;
    }
    view.values.reserve(m_cells.size());
    for (const auto& tensors : m_cells) {
        // Several of a role (experts): sizes add up, of the rest the one that matters most is shown.
        float shown = tensors.empty() ? kAbsent : kNoNumber;
        for (const std::size_t tensor : tensors) {
            const float own = valueOf(tensor, value);
            if (std::isnan(shown))
                shown = own;
            else if (std::isfinite(own))
                shown = value == Value::Bytes ? shown + own
                    : value == Value::Bits    ? std::min(shown, own)
                                              : std::max(shown, own);
        }
        view.values.push_back(shown);
    }
    m_map->show(std::move(view));
    m_legend->show(m_map->view(), m_map->range());
    showSelection();
}

void ModelMapPanel::showSelection()
{
    if (!m_session.current() || m_blocks == 0)
        return m_map->setCurrent(std::nullopt);
    const TensorPlace& place = m_session.topology().place(*m_session.current());
    const int row = place.block < 0 || place.bias ? -1 : m_roleRow[static_cast<std::size_t>(place.role)];
    m_map->setCurrent(row < 0 ? std::nullopt : std::optional(ModelMap::Cell{row, place.block}));
}

void ModelMapPanel::chooseCell(int row, int column)
{
    const auto& tensors = m_cells[cellAt(row, column, m_blocks)];
    if (!tensors.empty())
        m_session.select(tensors, tensors.front());
}

}  // namespace sigmascope::ui
