// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/PlanDiff.h"

#include "ui/Theme.h"
#include "ui/models/PlanDiffModel.h"
#include "ui/panels/PlanSettings.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QStackedWidget>
#include <QTableView>
#include <QVBoxLayout>

namespace sigmascope::ui {

namespace {

QTableView* tableOf(QAbstractItemModel* model, const QString& name)
{
    auto* table = new QTableView;
    table->setModel(model);
    table->setSelectionBehavior(QAbstractItemView::SelectRows);
    table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    table->setShowGrid(false);
    table->setWordWrap(false);
    table->setFrameShape(QFrame::NoFrame);
    table->setTabKeyNavigation(false);
    table->verticalHeader()->hide();
    table->verticalHeader()->setDefaultSectionSize(px(22));
    table->horizontalHeader()->setHighlightSections(false);
    table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
    table->setAccessibleName(name);
    return table;
}

}  // namespace

PlanDiff::PlanDiff(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new PlanDiffModel(session, this))
    , m_fallbackModel(new FallbackModel(session, this))
{
    build();
    m_soon.setSingleShot(true);
    m_soon.setInterval(60);
    connect(&m_soon, &QTimer::timeout, this, &PlanDiff::refresh);
    const auto soon = [this] {
        // Unseen, it waits until it is shown.
        m_isStale = !isVisible();
        if (!m_isStale && !m_soon.isActive())
            m_soon.start();
    };
    connect(&session, &Session::planChanged, this, soon);
    connect(&session, &Session::calibrationChanged, this, soon);
    connect(&session, &Session::recipeChanged, this, soon);
    connect(&session, &Session::baselineChanged, this, &PlanDiff::refreshBaselines);
    connect(&session, &Session::opened, this, &PlanDiff::refreshBaselines);
    connect(&session, &Session::closed, this, &PlanDiff::refreshBaselines);
    refreshBaselines();
}

void PlanDiff::build()
{
    m_view = new SegmentedControl;
    m_view->setSegments({{Changes, tr("Changes"), true, {}}, {Fallbacks, tr("Fallbacks"), true, {}}});
    m_since = new QComboBox;
    m_since->setAccessibleName(tr("Compared with"));
    m_summary = new ElidedLabel;
    m_summary->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_summary, TextLevel::Hint);
    m_putBack = new QPushButton(tr("Put back"));
    m_putBack->setToolTip(tr("Gives the selected layers their earlier plan; all if none is selected"));
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(12), px(8), px(12), px(6));
    head->setSpacing(px(8));
    head->addWidget(m_view);
    head->addWidget(m_since);
    head->addWidget(m_summary, 1);
    head->addWidget(m_putBack);

    m_table = tableOf(m_model, tr("What changed in the plan"));
    m_table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    const int widths[] = {54, 0, 132, 84, 76};  // "q4_0 → int4-g128", "256 → 128"
    for (int column = 0; column < PlanDiffModel::ColumnCount; ++column) {
        const bool stretches = column == PlanDiffModel::Layers;
        m_table->horizontalHeader()->setSectionResizeMode(column,
                                                          stretches ? QHeaderView::Stretch : QHeaderView::Interactive);
        if (!stretches)
            m_table->setColumnWidth(column, px(widths[column]));
    }
    m_fallbackTable = tableOf(m_fallbackModel, tr("What the plan cannot do as asked"));
    m_fallbackTable->setSelectionMode(QAbstractItemView::SingleSelection);
    m_fallbackTable->setColumnWidth(FallbackModel::Layer, px(150));
    m_fallbackTable->setColumnWidth(FallbackModel::Cost, px(96));
    m_fallbackTable->horizontalHeader()->setStretchLastSection(true);
    new TableExport(
        m_table, [this] { return m_session.name() + QStringLiteral("-changes"); }, [this] { return m_model->asCsv(); });
    new TableExport(
        m_fallbackTable, [this] { return m_session.name() + QStringLiteral("-fallbacks"); },
        [this] { return m_fallbackModel->asCsv(); });
    m_empty = new QLabel;
    m_empty->setAlignment(Qt::AlignCenter);
    m_empty->setWordWrap(true);
    setTextLevel(m_empty, TextLevel::Label);
    m_empty->setAutoFillBackground(true);
    m_empty->setBackgroundRole(QPalette::Base);
    m_stack = new QStackedWidget;
    m_stack->addWidget(m_table);
    m_stack->addWidget(m_fallbackTable);
    m_stack->addWidget(m_empty);
    // What stands in the first and last column lines up with the titles.
    m_stack->setContentsMargins(px(8), 0, px(8), 0);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addLayout(head);
    column->addWidget(m_stack, 1);

    connect(m_view, &SegmentedControl::valueChosen, this, [this](int view) { showView(static_cast<View>(view)); });
    connect(m_since, &QComboBox::activated, this, &PlanDiff::refresh);
    connect(m_putBack, &QPushButton::clicked, this, &PlanDiff::putBack);
    connect(m_table, &QTableView::clicked, this, [this](const QModelIndex& index) { selectRow(index.row()); });
    connect(m_table, &QTableView::activated, this, [this](const QModelIndex& index) { selectRow(index.row()); });
    connect(m_fallbackTable, &QTableView::clicked, this, [this](const QModelIndex& index) {
        const std::size_t tensor = m_fallbackModel->tensorAt(index.row());
        m_session.select({tensor}, tensor);
    });
    m_view->setValue(Changes);
}

Session::Since PlanDiff::sinceShown() const
{
    return static_cast<Session::Since>(m_since->currentData().toInt());
}

void PlanDiff::refreshBaselines()
{
    const QVariant shown = m_since->currentData();
    m_since->clear();
    m_since->addItem(tr("since opening"), static_cast<int>(Session::Since::Opening));
    if (m_session.planSince(Session::Since::Recipe) != nullptr)
        m_since->addItem(tr("since the preset"), static_cast<int>(Session::Since::Recipe));
    if (m_session.planSince(Session::Since::Run) != nullptr)
        m_since->addItem(tr("since the last run"), static_cast<int>(Session::Since::Run));
    m_since->setCurrentIndex(std::max(0, m_since->findData(shown)));
    refresh();
}

void PlanDiff::refresh()
{
    m_soon.stop();
    m_isStale = false;
    m_model->refresh(sinceShown());
    m_fallbackModel->refresh();
    const int fallbacks = m_fallbackModel->rowCount();
    m_view->setSegments({{Changes, tr("Changes"), true, {}},
                         {Fallbacks, fallbacks == 0 ? tr("Fallbacks") : tr("Fallbacks %1").arg(fallbacks), true, {}}});
    showView(static_cast<View>(m_view->value().value_or(Changes)));
}

void PlanDiff::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    if (m_isStale)
        refresh();
}

QString PlanDiff::summary() const
{
    return m_summary->text();
}

void PlanDiff::showFallbacks()
{
    showView(Fallbacks);
}

void PlanDiff::showView(View view)
{
    m_view->setValue(view);
    m_since->setVisible(view == Changes);
    m_putBack->setVisible(view == Changes);
    m_putBack->setEnabled(m_model->changedLayers() > 0);
    if (view == Changes) {
        const std::size_t layers = m_model->changedLayers();
        m_summary->setText(layers == 0 ? QString()
                                       : tr("%1 · %2").arg(layerCount(layers), addedSize(m_model->addedBytes())));
        m_empty->setText(m_session.isOpen() ? tr(
                             "Nothing has changed. Drag a bar, a tick or a range in the Equalizer, or apply a preset")
                                            : QString());
        m_stack->setCurrentWidget(layers == 0 ? static_cast<QWidget*>(m_empty) : m_table);
        return;
    }
    m_summary->setText({});
    m_empty->setText(m_session.isOpen() ? tr("Everything can be done as asked") : QString());
    m_stack->setCurrentWidget(m_fallbackModel->rowCount() == 0 ? static_cast<QWidget*>(m_empty) : m_fallbackTable);
}

void PlanDiff::putBack()
{
    std::vector<std::size_t> tensors;
    const QModelIndexList rows = m_table->selectionModel()->selectedRows();
    for (int row = 0; row < m_model->rowCount(); ++row) {
        if (!rows.isEmpty() && !m_table->selectionModel()->isRowSelected(row))
            continue;
        const std::vector<std::size_t> own = m_model->tensorsAt(row);
        tensors.insert(tensors.end(), own.begin(), own.end());
    }
    m_session.putBack(tensors, sinceShown());
}

void PlanDiff::selectRow(int row)
{
    const std::vector<std::size_t> tensors = m_model->tensorsAt(row);
    if (!tensors.empty())
        m_session.select(tensors, tensors.front());
}

}  // namespace sigmascope::ui
