// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/ChannelsPanel.h"

#include "ui/Theme.h"
#include "ui/plots/ChannelsPlot.h"
#include "ui/session/ChannelAnalysis.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/text/Csv.h"
#include "ui/widgets/Exportable.h"
#include "ui/widgets/Look.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QStandardItemModel>
#include <QTreeView>

namespace sigmascope::ui {

namespace {

constexpr std::size_t kMostListed = 500;
constexpr int kChannelRole = Qt::UserRole + 1;

QStandardItem* cell(const QString& text, Qt::Alignment alignment)
{
    auto* made = new QStandardItem(text);
    made->setEditable(false);
    made->setTextAlignment(alignment | Qt::AlignVCenter);
    return made;
}

}  // namespace

ChannelsPanel::ChannelsPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_analysis(new ChannelAnalysis(session, this))
    , m_plot(new ChannelsPlot)
{
    buildList();
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(0);
    row->addWidget(m_plot, 1);
    row->addWidget(m_side);
    connect(m_analysis, &ChannelAnalysis::changed, this, &ChannelsPanel::refresh);
    connect(m_analysis, &ChannelAnalysis::progressed, m_plot, &PlotFrame::setLoadingProgress);
    connect(m_plot, &PlotFrame::cancelRequested, m_analysis, &ChannelAnalysis::cancel);
    connect(m_plot, &ChannelsPlot::sideChosen, this, &ChannelsPanel::refreshList);
    refresh();
}

void ChannelsPanel::buildList()
{
    m_side = new QWidget;
    m_side->setFixedWidth(px(176));
    m_side->setAutoFillBackground(true);
    m_side->setBackgroundRole(QPalette::Base);
    auto* edge = new QFrame(m_side);
    edge->setFrameShape(QFrame::NoFrame);
    edge->setFixedWidth(1);
    edge->setAutoFillBackground(true);
    edge->setBackgroundRole(QPalette::Mid);
    QLabel* title = sectionTitle(tr("Outlier channels"), m_side);
    title->setToolTip(
        tr("At least three times the median, and more than five robust standard deviations above it on a log scale. "
           "Such channels decide the scales of the groups they fall in. Of W: the weights; of S: the inputs' size."));
    m_none = caption({}, m_side);
    m_none->setWordWrap(true);
    m_model = new QStandardItemModel(0, 3, this);
    m_model->setHorizontalHeaderLabels({tr("Channel"), tr("× median"), tr("of")});
    m_model->horizontalHeaderItem(0)->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_model->horizontalHeaderItem(1)->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
    m_model->horizontalHeaderItem(2)->setTextAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    m_list = new QTreeView(m_side);
    m_list->setModel(m_model);
    m_list->setRootIsDecorated(false);
    m_list->setUniformRowHeights(true);
    m_list->setFrameShape(QFrame::NoFrame);
    m_list->setFont(ui::font(FontRole::Mono));
    m_list->setEditTriggers(QAbstractItemView::NoEditTriggers);
    m_list->setSelectionBehavior(QAbstractItemView::SelectRows);
    m_list->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    m_list->setAccessibleName(tr("Outlier channels"));
    m_list->header()->setStretchLastSection(true);
    m_list->header()->setMinimumSectionSize(px(16));
    m_list->setColumnWidth(0, px(64));
    m_list->setColumnWidth(1, px(70));
    auto* column = new QVBoxLayout;
    column->setContentsMargins(px(8), px(10), px(8), px(8));
    column->setSpacing(px(6));
    column->addWidget(title);
    column->addWidget(m_none);
    column->addWidget(m_list, 1);
    column->addStretch(0);
    auto* row = new QHBoxLayout(m_side);
    row->setContentsMargins(0, 0, 0, 0);
    row->setSpacing(0);
    row->addWidget(edge);
    row->addLayout(column, 1);
    connect(m_list->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& index) {
        if (index.isValid())
            m_plot->goTo(index.siblingAtColumn(0).data(kChannelRole).toULongLong());
    });
    new TableExport(
        m_list, [this] { return m_plot->exportable().name + QStringLiteral("-outliers"); },
        [this] { return listAsCsv(); });
}

void ChannelsPanel::refresh()
{
    if (!m_session.isOpen() || !m_session.current()) {
        m_shown = nullptr;
        m_plot->showEmpty(m_session.isOpen() ? tr("Select a layer to see its channels")
                                             : tr("Open a model to see its channels"));
        return refreshList();
    }
    m_plot->setSubject(QString::fromStdString(m_session.tensor(*m_session.current()).name));
    const ChannelResult* result = m_analysis->result();
    if (const auto& error = m_analysis->error()) {
        m_shown = nullptr;
        m_plot->showFailed(titleOf(error->code), QString::fromStdString(error->detail));
        return refreshList();
    }
    if (result == nullptr) {
        m_shown = nullptr;
        if (m_analysis->isRunning())
            m_plot->showLoading(tr("Channels"));
        else
            m_plot->showEmpty(tr("Cancelled. Select the layer again to look at its channels"));
        return refreshList();
    }
    if (result != m_shown || m_plot->state() != PlotFrame::State::Ready) {
        m_shown = result;
        const std::uint64_t bad = result->stats->nonFinite;
        m_plot->show({.stats = result->stats,
                      .activation = result->activation,
                      .plainReason
                      = result->plainReason.empty() ? tr("plain metric") : QString::fromStdString(result->plainReason),
                      .errorReason = bad > 0 ? tr("Values that are not finite have no error")
                                             : tr("This layer is kept as it is: no error to show")});
        m_plot->setSource(Source::Exact,
                          bad > 0 ? tr("exact, without %1 not finite").arg(wholeNumber(bad)) : QString());
    }
    if (!m_analysis->isCurrent())
        m_plot->showStale(result->subject.grid.empty()
                              ? tr("for the kept layer")
                              : tr("for %1").arg(QString::fromStdString(result->subject.grid)));
    refreshList();
}

void ChannelsPanel::refreshList()
{
    m_model->removeRows(0, m_model->rowCount());
    const bool hasResult = m_shown != nullptr;
    const auto& outliers = m_plot->outliers();
    for (std::size_t i = 0; hasResult && i < std::min(outliers.size(), kMostListed); ++i) {
        const ListedOutlier& outlier = outliers[i];
        QList<QStandardItem*> row{
            cell(wholeNumber(outlier.channel.channel), Qt::AlignRight),
            cell(decimals(outlier.channel.ratio, outlier.channel.ratio < 99.95 ? 1 : 0), Qt::AlignRight),
            cell(QString(QLatin1Char(outlier.isActivation ? 'S' : 'W')), Qt::AlignLeft)};
        row.front()->setData(static_cast<qulonglong>(outlier.channel.channel), kChannelRole);
        m_model->appendRow(row);
    }
    m_none->setVisible(!hasResult || outliers.empty() || outliers.size() > kMostListed);
    m_none->setText(!hasResult ? QString()
                        : outliers.empty()
                        ? tr("None: no channel stands far above the others.")
                        : tr("The first %1 of %2").arg(wholeNumber(kMostListed), wholeNumber(outliers.size())));
    m_list->setVisible(hasResult && !outliers.empty());
}

QString ChannelsPanel::listAsCsv() const
{
    QString text = QStringLiteral("channel,value,ratio_to_median,of\n");
    for (const ListedOutlier& outlier : m_plot->outliers())
        text += QStringLiteral("%1,%2,%3,%4\n")
                    .arg(QString::number(outlier.channel.channel), csvNumber(outlier.channel.value),
                         csvNumber(outlier.channel.ratio),
                         outlier.isActivation ? QStringLiteral("input") : QStringLiteral("W"));
    return text;
}

void ChannelsPanel::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    m_analysis->setWatched(true);
}

void ChannelsPanel::hideEvent(QHideEvent* event)
{
    m_analysis->setWatched(false);
    QWidget::hideEvent(event);
}

void ChannelsPanel::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    // In a narrow window the list gives way; the marks in the plot remain, and its read-out says how far they stand
    // out.
    m_side->setVisible(width() >= px(700));
}

}  // namespace sigmascope::ui
