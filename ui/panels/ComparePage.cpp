// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ComparePage.h"

#include "ui/Theme.h"
#include "ui/models/CompareModel.h"
#include "ui/panels/CompareTotals.h"
#include "ui/plots/ComparePlot.h"
#include "ui/session/Session.h"
#include "ui/session/SessionStore.h"
#include "ui/session/Text.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPainter>
#include <QSplitter>
#include <QStyledItemDelegate>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

namespace sigmascope::ui {

namespace {

/// The pen of a side, before its name.
class PenSample : public QWidget {
public:
    explicit PenSample(Series series)
        : m_series(series)
    {
        setFixedSize(px(22), px(12));
    }

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        painter.setRenderHint(QPainter::Antialiasing);
        painter.setPen(Theme::current().pen(m_series, 2));
        painter.drawLine(QPointF(0, height() / 2.0), QPointF(width(), height() / 2.0));
    }

private:
    Series m_series;
};

/// Glyph and word of a verdict.
class VerdictDelegate : public QStyledItemDelegate {
public:
    using QStyledItemDelegate::QStyledItemDelegate;
    void paint(QPainter* painter, const QStyleOptionViewItem& option, const QModelIndex& index) const override
    {
        QStyleOptionViewItem cell(option);
        initStyleOption(&cell, index);
        const QString word = cell.text;
        cell.text.clear();
        const QStyle* style = cell.widget->style();
        style->drawControl(QStyle::CE_ItemViewItem, &cell, painter, cell.widget);
        const int side = px(12);
        const QRect area = option.rect.adjusted(px(8), 0, -px(4), 0);
        painter->save();
        painter->setRenderHint(QPainter::Antialiasing);
        const auto verdict = static_cast<LayerVerdict>(index.data(CompareModel::kVerdictRole).toInt());
        paintVerdict(*painter, QRectF(area.left(), area.center().y() - side / 2.0 + 1, side, side), verdictOf(verdict));
        painter->restore();
        painter->setPen(Theme::current().tx);
        painter->setFont(cell.font);
        const QRect words = area.adjusted(side + px(6), 0, 0, 0);
        painter->drawText(words, Qt::AlignLeft | Qt::AlignVCenter, cell.fontMetrics.elidedText(word, Qt::ElideRight, words.width()));
    }
};

constexpr std::array<Series, 2> kSeries{Series::ES, Series::QLR};

}  // namespace

ComparePage::ComparePage(Session& session, RunController& run, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_history(new RunHistory(session, run, this))
    , m_comparison(new Comparison(session, this))
{
    build();
    connectParts();
    refreshSources();
    refresh();
}

void ComparePage::build()
{
    setAutoFillBackground(true);
    setBackgroundRole(QPalette::Base);
    m_totals = new CompareTotals;
    m_plot = new ComparePlot;
    buildTable();
    auto* rows = new QSplitter(Qt::Vertical);
    rows->addWidget(m_plot);
    // Lines up with what stands above.
    auto* tableFrame = new QWidget;
    auto* inset = new QHBoxLayout(tableFrame);
    inset->setContentsMargins(px(8), 0, px(8), 0);
    inset->addWidget(m_table);
    rows->addWidget(tableFrame);
    rows->setStretchFactor(0, 3);
    rows->setStretchFactor(1, 2);
    rows->setChildrenCollapsible(false);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(buildHead());
    column->addWidget(hairline(this));
    column->addWidget(m_totals);
    column->addWidget(hairline(this));
    column->addWidget(rows, 1);
}

QWidget* ComparePage::buildHead()
{
    auto* head = new QWidget;
    auto* row = new QHBoxLayout(head);
    row->setContentsMargins(px(16), px(8), px(16), px(8));
    row->setSpacing(px(8));
    for (const Side side : {A, B}) {
        QComboBox*& combo = m_combos[side];
        combo = new QComboBox;
        combo->setObjectName(side == A ? QStringLiteral("compareA") : QStringLiteral("compareB"));
        combo->setAccessibleName(side == A ? tr("A, looked at") : tr("B, compared with A"));
        combo->setPlaceholderText(tr("Choose a run or a model"));
        combo->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
        combo->setMinimumContentsLength(18);
        row->addWidget(new PenSample(kSeries[side]));
        auto* name = new QLabel(side == A ? QStringLiteral("A") : QStringLiteral("B"));
        name->setFont(ui::font(FontRole::BodyStrong));
        row->addWidget(name);
        row->addWidget(combo, 1);
        if (side == A) {
            m_swap = new QToolButton;
            m_swap->setText(QStringLiteral("⇄"));
            m_swap->setProperty("framed", true);
            m_swap->setFixedHeight(px(24));
            m_swap->setToolTip(tr("Swap A and B"));
            m_swap->setAccessibleName(tr("Swap A and B"));
            row->addWidget(m_swap);
        }
    }
    m_error = new SegmentedControl;
    m_error->setAccessibleName(tr("Error that runs are compared by"));
    m_error->setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
    m_error->setMinimumWidth(px(190));
    row->addSpacing(px(8));
    row->addWidget(m_error);
    return head;
}

void ComparePage::buildTable()
{
    m_model = new CompareModel(this);
    m_table = new QTableView;
    m_table->setModel(m_model);
    m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_table->setSelectionMode(QAbstractItemView::ExtendedSelection);
    m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_table->setShowGrid(false);
    m_table->setWordWrap(false);
    m_table->setFrameShape(QFrame::NoFrame);
    m_table->setTabKeyNavigation(false);
    m_table->setMouseTracking(true);
    m_table->verticalHeader()->hide();
    m_table->verticalHeader()->setDefaultSectionSize(px(22));
    m_table->horizontalHeader()->setHighlightSections(false);
    m_table->horizontalHeader()->setStretchLastSection(true);
    m_table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
    m_table->setItemDelegateForColumn(0, new VerdictDelegate(m_table));
    m_table->setMinimumHeight(px(120));
    m_table->setAccessibleName(tr("Layers of A and B, worst first"));
    new TableExport(m_table, [] { return QStringLiteral("comparison"); }, [this] { return m_model->asCsv(); });
}

void ComparePage::connectParts()
{
    connect(m_history, &RunHistory::changed, this, [this] {
        m_isStale = true;
        if (isVisible())
            refreshSources();
    });
    connect(m_comparison, &Comparison::changed, this, &ComparePage::refresh);
    connect(m_comparison, &Comparison::progressed, this, [this](double share, const QString&) { m_plot->setLoadingProgress(share); });
    for (const Side side : {A, B})
        connect(m_combos[side], &QComboBox::activated, this, [this, side](int row) { sourceActivated(side, row); });
    connect(m_swap, &QToolButton::clicked, this, [this] {
        std::swap(m_chosen[A], m_chosen[B]);
        fillCombo(A);
        fillCombo(B);
        compare();
    });
    connect(m_error, &SegmentedControl::valueChosen, this, [this](int kind) {
        m_kind = static_cast<ErrorKind>(kind);
        compare();
    });
    connect(m_plot, &PlotFrame::cancelRequested, m_comparison, &Comparison::cancel);
    connect(m_plot, &PlotFrame::saveFailed, this,
            [this](const QString& path) { emit messageRaised(tr("%1 could not be written").arg(path)); });
    connect(m_plot, &ComparePlot::layerClicked, this, [this](int layer) {
        m_table->selectRow(m_model->rowOf(layer));
        m_table->scrollTo(m_model->index(m_model->rowOf(layer), 0));
    });
    connect(m_table, &QTableView::clicked, this, [this](const QModelIndex& index) {
        if (m_model->columnAt(index.column()) == CompareModel::Layer)
            chooseRow(index.row());
    });
    connect(m_table, &QTableView::activated, this, [this](const QModelIndex& index) { chooseRow(index.row()); });
    connect(m_table, &QTableView::entered, this, [this](const QModelIndex& index) {
        const bool isLink = m_model->columnAt(index.column()) == CompareModel::Layer;
        m_table->viewport()->setCursor(isLink ? Qt::PointingHandCursor : Qt::ArrowCursor);
    });
    connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this,
            [this](const QModelIndex& current) { m_plot->goTo(m_model->layerAt(current.row())); });
}

QList<QWidget*> ComparePage::regions() const
{
    return {m_combos[A], m_plot, m_table};
}

void ComparePage::chooseRow(int row)
{
    const int layer = m_model->layerAt(row);
    if (layer >= 0)
        emit layerChosen(QString::fromStdString(m_comparison->result()->layers[static_cast<std::size_t>(layer)].name));
}

void ComparePage::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    if (m_isStale)
        refreshSources();
}

void ComparePage::refreshSources()
{
    m_isStale = false;
    m_sources = m_history->runs();
    const auto models = m_history->models();
    m_sources.insert(m_sources.end(), models.begin(), models.end());
    m_sources.insert(m_sources.end(), m_files.begin(), m_files.end());
    bool isGone = false;
    for (auto& choice : m_chosen) {
        if (!choice || std::ranges::any_of(m_sources, [&](const CompareSource& source) { return source.isSame(*choice); }))
            continue;
        choice.reset();  // its model was closed
        isGone = true;
    }
    preselect();
    fillCombo(A);
    fillCombo(B);
    if (isGone)
        compare();
    else if (m_comparison->result() == nullptr && !m_comparison->isRunning())
        refresh();  // what is to be chosen may be said otherwise now
}

/// The two newest runs, as soon as there are two and nothing was chosen by hand.
void ComparePage::preselect()
{
    if (m_chosen[A] || m_chosen[B])
        return;
    const std::vector<CompareSource> runs = m_history->runs();
    if (runs.size() < 2)
        return;
    m_chosen[A] = runs[runs.size() - 2];
    m_chosen[B] = runs.back();
    compare();
}

void ComparePage::fillCombo(Side side)
{
    QComboBox* combo = m_combos[side];
    combo->clear();
    int current = -1;
    for (std::size_t i = 0; i < m_sources.size(); ++i) {
        if (i > 0 && m_sources[i].isMeasured() != m_sources[i - 1].isMeasured())
            combo->insertSeparator(combo->count());
        if (m_chosen[side] && m_sources[i].isSame(*m_chosen[side]))
            current = combo->count();
        combo->addItem(m_sources[i].title, static_cast<int>(i));
        const QString where = m_sources[i].path.isEmpty() ? m_sources[i].title : m_sources[i].path;
        combo->setItemData(combo->count() - 1, where, Qt::ToolTipRole);
    }
    if (!m_sources.empty())
        combo->insertSeparator(combo->count());
    combo->addItem(tr("Session file…"), SessionFileEntry);
    combo->addItem(tr("Model file…"), ModelFileEntry);
    combo->addItem(tr("Model folder…"), ModelFolderEntry);
    combo->setCurrentIndex(current);
    combo->setToolTip(m_chosen[side] ? m_chosen[side]->path : QString());
}

void ComparePage::sourceActivated(Side side, int row)
{
    const int entry = m_combos[side]->itemData(row).toInt();
    if (entry < 0) {
        fillCombo(side);  // what was chosen stands until a file is
        askForFile(side, static_cast<Entry>(entry));
        return;
    }
    m_chosen[side] = m_sources[static_cast<std::size_t>(entry)];
    m_combos[side]->setToolTip(m_chosen[side]->path);
    compare();
}

void ComparePage::askForFile(Side side, Entry entry)
{
    auto* dialog = new QFileDialog(this, entry == SessionFileEntry ? tr("Compare with a session")
                                       : entry == ModelFileEntry   ? tr("Compare with a model")
                                                                   : tr("Compare with a model folder"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    if (entry == ModelFolderEntry) {
        dialog->setFileMode(QFileDialog::Directory);
        dialog->setOption(QFileDialog::ShowDirsOnly);
    } else {
        dialog->setFileMode(QFileDialog::ExistingFile);
        dialog->setNameFilters(entry == SessionFileEntry ? QStringList{tr("Sessions (*.sgms)")}
                                                         : QStringList{tr("Models (*.safetensors *.index.json *.gguf)"), tr("All files (*)")});
    }
    connect(dialog, &QFileDialog::fileSelected, this, [this, side](const QString& path) { choose(side, path); });
    dialog->open();
}

void ComparePage::choose(Side side, const QString& path)
{
    const CompareSource file{.kind = SessionStore::isSessionFile(path) ? CompareSource::Kind::SessionFile : CompareSource::Kind::Model,
                             .title = QFileInfo(path).fileName(),
                             .path = path};
    if (std::ranges::none_of(m_files, [&](const CompareSource& known) { return known.isSame(file); }))
        m_files.push_back(file);
    m_chosen[side] = file;
    refreshSources();
    compare();
}

void ComparePage::compare()
{
    if (m_chosen[A] && m_chosen[B] && m_chosen[A]->isMeasured() == m_chosen[B]->isMeasured())
        m_comparison->start(*m_chosen[A], *m_chosen[B], m_kind);
    else
        m_comparison->clear();
}

QString ComparePage::incompleteText() const
{
    if (!m_chosen[A] && !m_chosen[B])
        return m_history->runs().size() == 1 ? tr("One run has finished. Run another plan, or choose a session file to compare it with")
                                             : tr("Choose two runs, or two models, to see where they differ");
    if (!m_chosen[A] || !m_chosen[B])
        return (m_chosen[A] ? *m_chosen[A] : *m_chosen[B]).isMeasured() ? tr("Choose another run or session file to compare it with")
                                                                       : tr("Choose another model to compare it with");
    return tr("A run's measurements and a model's weights have no figure in common: choose two runs, or two models");
}

void ComparePage::refresh()
{
    m_swap->setEnabled(m_chosen[A] || m_chosen[B]);
    if (m_comparison->isRunning()) {
        m_plot->showLoading(tr("Comparing"));
        return;  // the earlier answer stays until the new one is there
    }
    showResult();
    if (const auto& error = m_comparison->error()) {
        if (error->code == ErrorCode::Cancelled)
            m_plot->showEmpty(tr("Stopped. Choose A or B again to compare them"));
        else
            m_plot->showFailed(titleOf(error->code), QString::fromStdString(error->detail));
    } else if (m_comparison->result() == nullptr) {
        m_plot->showEmpty(incompleteText());
    }
}

void ComparePage::showResult()
{
    const ComparisonResult* result = m_comparison->result().get();
    m_totals->show(result);
    m_model->show(m_comparison->result());
    m_table->parentWidget()->setVisible(result != nullptr);
    if (const int section = m_model->sectionOf(CompareModel::Difference); section >= 0) {
        // The order the model came in; a click on a header changes it.
        m_table->setSortingEnabled(false);
        m_table->horizontalHeader()->setSortIndicator(section, Qt::DescendingOrder);
        m_table->setSortingEnabled(true);
    }
    static const std::array<int, 15> kWidths{118, 190, 90, 90, 104, 90, 84, 84, 66, 66, 66, 66, 72, 72, 120};
    for (int section = 0; section < m_model->columnCount(); ++section)
        m_table->setColumnWidth(section, px(kWidths[static_cast<std::size_t>(m_model->columnAt(section))]));
    const bool isOfRuns = result == nullptr || result->isOfRuns;
    m_error->setVisible(isOfRuns);
    const bool hasOutput = result == nullptr || result->hasOutputError, hasWeight = result == nullptr || result->hasWeightError;
    m_error->setSegments({{static_cast<int>(ErrorKind::Output), tr("Output error"), hasOutput,
                           hasOutput ? QString() : tr("Both runs must have had a calibration")},
                          {static_cast<int>(ErrorKind::Weight), tr("Weight error"), hasWeight,
                           hasWeight ? QString() : tr("Neither run measured a weight error")}});
    m_error->setValue(static_cast<int>(result != nullptr && isOfRuns ? result->kind : m_kind));
    if (result == nullptr) {
        m_plot->show(CompareView{});
        return;
    }
    CompareView view{.nameA = m_chosen[A] ? m_chosen[A]->title : QString(), .nameB = m_chosen[B] ? m_chosen[B]->title : QString()};
    view.axis = !isOfRuns                        ? tr("‖A − B‖ / ‖A‖, %")
        : result->kind == ErrorKind::Output ? tr("Output error, %")
                                                 : tr("Weight error, %");
    for (std::size_t i = 0; i < result->layers.size(); ++i) {
        const ComparedLayer& layer = result->layers[i];
        const bool isNewGroup = i == 0 || layer.place.block != result->layers[i - 1].place.block;
        if (isNewGroup && layer.place.block >= 0)
            view.groups.emplace_back(static_cast<int>(i), QString::number(layer.place.block));
        view.layers.push_back(layerTitle(layer.place, QString::fromStdString(layer.name)));
        view.a.push_back(isOfRuns ? layer.a.error : layer.difference);
        if (isOfRuns) {
            view.b.push_back(layer.b.error);
            view.change.push_back(layer.difference);
        }
    }
    m_plot->setSubject(view.nameA + QStringLiteral(" - ") + view.nameB);
    m_plot->setSource(isOfRuns ? Source::Measured : Source::Exact, isOfRuns ? QString() : tr("exact, every weight"));
    m_plot->show(view);
}

}  // namespace sigmascope::ui
