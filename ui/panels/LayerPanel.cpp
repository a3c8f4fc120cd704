// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/LayerPanel.h"

#include "ui/Theme.h"
#include "ui/models/LayerFilter.h"
#include "ui/models/LayerTreeModel.h"
#include "ui/panels/ModelMapPanel.h"
#include "ui/session/Session.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/LayerDelegate.h"
#include "ui/widgets/Look.h"

#include <QHeaderView>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QTreeView>
#include <QVBoxLayout>

#include <algorithm>
#include <set>

namespace sigmascope::ui {

namespace {

/// A tree whose letters, digits, +, − and Space belong to the plan's shortcuts, not to Qt's type-ahead.
class LayerTree : public QTreeView {
public:
    using QTreeView::QTreeView;
    void keyboardSearch(const QString&) override {}

protected:
    void keyPressEvent(QKeyEvent* event) override
    {
        if (event->key() == Qt::Key_Plus || event->key() == Qt::Key_Minus || event->key() == Qt::Key_Space
            || event->key() == Qt::Key_Asterisk || event->key() == Qt::Key_Slash) {
            event->ignore();
            return;
        }
        QTreeView::keyPressEvent(event);
    }
};

constexpr int kMostExpanded = 2000;  // rows that expandAll may lay out (QTBUG-8885)

}  // namespace

LayerPanel::LayerPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_model(new LayerTreeModel(session, this))
    , m_filter(new LayerFilter(*m_model, this))
    , m_filterField(new QLineEdit(this))
    , m_filterError(caption({}, this))
    , m_tree(new LayerTree(this))
{
    m_filterField->setPlaceholderText(tr("Filter: name, role:down, bits<4, error>5%"));
    m_filterField->setAccessibleName(tr("Layer filter"));
    m_filterField->setClearButtonEnabled(true);
    m_filterError->hide();
    m_filterError->setWordWrap(true);

    m_tree->setModel(m_filter);
    m_tree->setItemDelegate(new LayerDelegate(m_tree));
    m_tree->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_tree->setUniformRowHeights(true);
    m_tree->setAllColumnsShowFocus(true);
    m_tree->setIndentation(px(14));
    m_tree->setFrameShape(QFrame::NoFrame);
    m_tree->setSortingEnabled(true);
    m_tree->sortByColumn(-1, Qt::AscendingOrder);  // depth order until a header is clicked
    m_tree->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_tree->setAccessibleName(tr("Layers"));
    m_tree->setContextMenuPolicy(Qt::ActionsContextMenu);
    QHeaderView* header = m_tree->header();
    header->setStretchLastSection(false);
    header->setMinimumSectionSize(px(16));
    for (int column = 0; column < LayerColumnCount; ++column) {
        header->setSectionResizeMode(column, column == LayerName ? QHeaderView::Stretch : QHeaderView::Interactive);
        if (column != LayerName)
            header->resizeSection(column, LayerDelegate::columnWidth(column));
        m_tree->setColumnHidden(column, column >= LayerShape);
    }

    auto* fields = new QVBoxLayout;
    fields->setContentsMargins(px(10), px(8), px(10), px(6));
    fields->setSpacing(px(4));
    fields->addWidget(m_filterField);
    fields->addWidget(m_filterError);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addLayout(fields);
    layout->addWidget(m_tree, 1);
    m_map = new ModelMapPanel(session);
    m_map->setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Fixed);
    layout->addWidget(hairline(this));
    layout->addWidget(m_map);

    new TableExport(m_tree, [this] { return m_session.name() + QStringLiteral("-layers"); },
                    [this] { return m_model->asCsv(m_filter->listedTensors()); });
    connect(m_filterField, &QLineEdit::textChanged, this, &LayerPanel::filterEdited);
    connect(m_tree->selectionModel(), &QItemSelectionModel::selectionChanged, this, &LayerPanel::selectionEdited);
    connect(m_tree->selectionModel(), &QItemSelectionModel::currentChanged, this, &LayerPanel::selectionEdited);
    connect(&session, &Session::selectionChanged, this, &LayerPanel::showSelection);
    connect(&session, &Session::opened, this, &LayerPanel::modelOpened);
    connect(&session, &Session::planChanged, this, [this] { emit summaryChanged(summary()); });
}

void LayerPanel::focusFilter()
{
    m_filterField->setFocus(Qt::ShortcutFocusReason);
    m_filterField->selectAll();
}

void LayerPanel::focusTree()
{
    m_tree->setFocus(Qt::ShortcutFocusReason);
}

QString LayerPanel::summary() const
{
    if (!m_session.isOpen())
        return {};
    return tr("%1 in plan · %2 other tensors").arg(m_model->plannedCount()).arg(m_model->otherCount());
}

void LayerPanel::setNarrow(bool narrow)
{
    m_tree->setColumnHidden(LayerMiB, narrow);
    m_tree->setColumnHidden(LayerPips, narrow);
}

void LayerPanel::setLow(bool low)
{
    // Folded and unfolded with the window's height; in between the user's choice holds.
    if (low != m_isLow)
        m_map->setFolded(low);
    m_isLow = low;
}

void LayerPanel::modelOpened()
{
    m_filterField->clear();
    if (m_model->plannedCount() + m_model->otherCount() <= static_cast<std::size_t>(kMostExpanded)) {
        // A small model is seen whole; in a large one the first block says what the others look like.
        if (m_model->rowCount() <= 12)
            m_tree->expandAll();
    }
    emit summaryChanged(summary());
}

void LayerPanel::filterEdited(const QString& text)
{
    // A filter makes the rows anew: what was open, selected and current is put back after it.
    std::vector<int> open;
    if (!m_filter->isFiltering())
        for (int row = 0; row < m_filter->rowCount(); ++row)
            if (m_tree->isExpanded(m_filter->index(row, 0)))
                open.push_back(m_filter->mapToSource(m_filter->index(row, 0)).row());
    if (!m_filter->isFiltering())
        m_openBlocks = open;
    m_isShowing = true;  // the rows that vanish are not unselected by the user
    const auto wrong = m_filter->setText(text);
    m_isShowing = false;
    setBadEdge(m_filterField, wrong.has_value());
    m_filterError->setVisible(wrong.has_value());
    if (wrong)
        m_filterError->setText(tr("“%1” is not understood: expected a number after bits, rank or error").arg(*wrong));
    if (wrong)
        return;
    if (m_filter->isFiltering()) {
        if (!m_filter->isFlat() && m_filter->listedCount() <= static_cast<std::size_t>(kMostExpanded))
            m_tree->expandAll();
    } else {
        for (const int row : m_openBlocks)
            m_tree->expand(m_filter->mapFromSource(m_model->index(row, 0)));
    }
    showSelection();
}

void LayerPanel::selectionEdited()
{
    if (m_isShowing || !m_session.isOpen())
        return;
    std::vector<std::size_t> tensors;
    std::set<std::size_t> seen;
    const QModelIndexList rows = m_tree->selectionModel()->selectedRows(0);
    for (const QModelIndex& row : rows) {
        for (const std::size_t tensor : m_model->tensorsAt(m_filter->mapToSource(row))) {
            if (seen.insert(tensor).second)
                tensors.push_back(tensor);
        }
    }
    const QModelIndex current = m_filter->mapToSource(m_tree->currentIndex());
    auto shown = m_model->tensorAt(current);
    if (!shown && !tensors.empty()) {
        // A block is selected: look at its first layer that the plan covers.
        const auto planned = std::ranges::find_if(tensors, [this](std::size_t i) { return !m_session.layer(i).keep; });
        shown = planned == tensors.end() ? tensors.front() : *planned;
    }
    m_isShowing = true;
    m_session.select(std::move(tensors), shown);
    m_isShowing = false;
}

void LayerPanel::showSelection()
{
    if (m_isShowing)
        return;
    m_isShowing = true;
    QItemSelection selection;
    for (const std::size_t tensor : m_session.selection()) {
        const QModelIndex row = m_filter->mapFromSource(m_model->indexOf(tensor));
        if (row.isValid())
            selection.select(row, row.siblingAtColumn(LayerColumnCount - 1));
    }
    if (m_session.current()) {
        const QModelIndex row = m_filter->mapFromSource(m_model->indexOf(*m_session.current()));
        m_tree->selectionModel()->setCurrentIndex(row, QItemSelectionModel::NoUpdate);
        m_tree->scrollTo(row);
    }
    m_tree->selectionModel()->select(selection, QItemSelectionModel::ClearAndSelect);
    m_isShowing = false;
}

}  // namespace sigmascope::ui
