// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/PlanSettings.h"

#include "core/plan/TargetGrids.h"
#include "ui/Theme.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/SegmentedControl.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QPushButton>
#include <QSpinBox>
#include <QTimer>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace sigmascope::ui {

namespace {

constexpr int kKept = 16;
enum Unit { Megabytes, Gigabytes, BitsPerWeight };

QLabel* label(const QString& words)
{
    auto* made = new QLabel(words);
    setTextLevel(made, TextLevel::Label);
    made->setFixedWidth(px(62));
    return made;
}

QFormLayout* form()
{
    auto* made = new QFormLayout;
    made->setContentsMargins(px(12), 0, px(12), px(10));
    made->setHorizontalSpacing(px(8));
    made->setVerticalSpacing(px(6));
    made->setLabelAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    made->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    return made;
}

int bitsOf(const LayerPlan& plan)
{
    const auto grid = plan.keep ? Result<const Grid*>(nullptr) : findGrid(plan.grid);
    return plan.keep || !grid ? kKept : (*grid)->bits();
}

}  // namespace

QString layerCount(std::size_t count)
{
    return count == 1 ? PlanSettings::tr("1 layer")
                      : PlanSettings::tr("%1 layers").arg(QLocale().toString(static_cast<qulonglong>(count)));
}

QString selectionText(const Session& session)
{
    const std::vector<std::size_t>& layers = session.selection();
    if (!session.isOpen() || layers.empty())
        return {};
    if (layers.size() == 1)
        return layerTitle(session.topology().place(layers.front()),
                          QString::fromStdString(session.tensor(layers.front()).name));
    std::set<int> blocks;
    for (const std::size_t layer : layers)
        blocks.insert(session.topology().place(layer).block);
    blocks.erase(-1);
    QString count = layerCount(layers.size());
    if (blocks.empty())
        return count;
    if (blocks.size() == 1)
        return PlanSettings::tr("block %1, %2").arg(QString::number(*blocks.begin()), count);
    const bool isRun = *blocks.rbegin() - *blocks.begin() + 1 == static_cast<int>(blocks.size());
    return isRun ? PlanSettings::tr("blocks %1–%2, %3")
                       .arg(QString::number(*blocks.begin()), QString::number(*blocks.rbegin()), count)
                 : PlanSettings::tr("%1 blocks, %2").arg(QString::number(blocks.size()), count);
}

PlanSettings::PlanSettings(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
{
    build();
    connect(&session, &Session::selectionChanged, this, &PlanSettings::refresh);
    connect(&session, &Session::planChanged, this, &PlanSettings::refresh);
    connect(&session, &Session::exportTargetChanged, this, &PlanSettings::refresh);
    connect(&session, &Session::opened, this, [this] {
        refresh();
        refreshTarget();
    });
    connect(&session, &Session::closed, this, [this] {
        refresh();
        refreshTarget();
    });
    connect(&session, &Session::targetChanged, this, &PlanSettings::refreshTarget);
    connect(m_bits, &SegmentedControl::valueChosen, this, [this](int bits) {
        if (bits == kKept)
            m_session.setKeep(reached(), true);
        else
            m_session.chooseBits(reached(), bits);
        refresh();
    });
    connect(m_rank, &QLineEdit::editingFinished, this, &PlanSettings::rankEdited);
    connect(m_less, &QPushButton::clicked, this, [this] { stepRank(-1); });
    connect(m_more, &QPushButton::clicked, this, [this] { stepRank(1); });
    connect(m_fused, &QCheckBox::toggled, this, &PlanSettings::fusedTogetherChanged);
    connect(m_target, &QLineEdit::editingFinished, this, &PlanSettings::targetEdited);
    connect(m_unit, &QComboBox::activated, this, &PlanSettings::targetEdited);
    connect(m_context, &QSpinBox::valueChanged, this,
            [this](int tokens) { m_session.setContext(static_cast<std::uint64_t>(tokens)); });
    refresh();
    refreshTarget();
}

void PlanSettings::build()
{
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    buildSelection(column);
    column->addWidget(hairline(this));
    buildBudget(column);
}

void PlanSettings::buildSelection(QVBoxLayout* column)
{
    auto* head = new QHBoxLayout;
    head->setContentsMargins(px(12), px(8), px(12), px(6));
    head->setSpacing(px(8));
    head->addWidget(sectionTitle(tr("Selection")));
    m_caption = new ElidedLabel;
    m_caption->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_caption, TextLevel::Hint);
    head->addWidget(m_caption, 1);
    column->addLayout(head);

    m_bits = new SegmentedControl;
    m_bits->setAccessibleName(tr("Bits of the selection"));
    m_rank = new QLineEdit;
    m_rank->setFont(ui::font(FontRole::Mono));
    m_rank->setAccessibleName(tr("Rank of the selection"));
    m_rank->setFixedWidth(px(88));
    m_less = new QPushButton(QStringLiteral("−"));
    m_less->setAccessibleName(tr("Lower rank"));
    m_more = new QPushButton(QStringLiteral("+"));
    m_more->setAccessibleName(tr("Raise rank"));
    auto* rank = new QHBoxLayout;
    rank->setSpacing(px(6));
    rank->addWidget(m_rank);
    for (QPushButton* step : {m_less, m_more}) {
        step->setFixedWidth(px(30));
        step->setAutoRepeat(true);
        rank->addWidget(step);
    }
    rank->addStretch(1);
    m_fused = new QCheckBox(tr("q k v, gate up together"));
    auto* selection = form();
    selection->addRow(label(tr("Bits")), m_bits);
    selection->addRow(label(tr("Rank")), rank);
    selection->addRow(label(tr("Fused")), m_fused);
    column->addLayout(selection);
}

void PlanSettings::buildBudget(QVBoxLayout* column)
{
    auto* budgetHead = new QHBoxLayout;
    budgetHead->setContentsMargins(px(12), px(8), px(12), px(6));
    budgetHead->addWidget(sectionTitle(tr("Budget")));
    m_targetNote = caption({});
    m_targetNote->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    budgetHead->addWidget(m_targetNote, 1);
    column->addLayout(budgetHead);
    m_target = new QLineEdit;
    m_target->setFont(ui::font(FontRole::Mono));
    m_target->setPlaceholderText(tr("none", "target size"));
    m_target->setClearButtonEnabled(true);
    m_target->setAccessibleName(tr("Target size of all files"));
    m_target->setToolTip(tr("The size that all files of the export together are to have at most"));
    m_unit = new QComboBox;
    m_unit->addItem(tr("MB"), Megabytes);
    m_unit->addItem(tr("GB"), Gigabytes);
    m_unit->addItem(tr("bpw"), BitsPerWeight);
    m_unit->setAccessibleName(tr("Unit of the target"));
    auto* target = new QHBoxLayout;
    target->setSpacing(px(6));
    target->addWidget(m_target, 1);
    target->addWidget(m_unit);
    m_context = new QSpinBox;
    m_context->setRange(0, 1 << 24);
    m_context->setSingleStep(1024);
    m_context->setGroupSeparatorShown(true);
    m_context->setFont(ui::font(FontRole::Mono));
    m_context->setSuffix(tr(" tokens"));
    m_context->setAccessibleName(tr("Context length"));
    m_context->setToolTip(tr("Memory at this many tokens: the weights as planned and F16 keys and values. "
                             "A runtime's own buffers come on top"));
    auto* budget = form();
    budget->addRow(label(tr("Target")), target);
    budget->addRow(label(tr("Context")), m_context);
    column->addLayout(budget);
}

bool PlanSettings::isFusedTogether() const
{
    return m_fused->isChecked();
}

std::vector<std::size_t> PlanSettings::reached() const
{
    std::vector<std::size_t> layers = m_session.selection();
    if (layers.size() > 1)
        std::erase_if(layers, [this](std::size_t layer) { return m_session.layer(layer).pinned; });
    return layers;
}

void PlanSettings::refresh()
{
    m_caption->setText(selectionText(m_session));
    std::vector<std::size_t> layers;
    if (m_session.isOpen()) {
        std::ranges::copy_if(m_session.selection(), std::back_inserter(layers),
                             [this](std::size_t i) { return m_session.isPlannable(i); });
        const bool isNeeded = needsFusedAlike(m_session.plan().target);
        if (isNeeded && m_fused->isEnabled())
            m_wasFused = m_fused->isChecked();
        if (isNeeded)
            m_fused->setChecked(true);
        else if (!m_fused->isEnabled())
            m_fused->setChecked(m_wasFused);
        m_fused->setEnabled(!isNeeded);
        m_fused->setToolTip(
            isNeeded
                ? tr("The target's runtimes merge these layers: they need the same grid and rank")
                : tr("llama.cpp keeps these layers apart: they may differ. Checked, they move together all the same"));
    }
    m_bits->setEnabled(!layers.empty());
    refreshBits(layers);
    refreshRank(layers);
}

void PlanSettings::refreshBits(const std::vector<std::size_t>& layers)
{
    std::map<int, int> counts;
    std::set<int> available;
    std::set<std::pair<std::string, std::uint64_t>> seen;
    for (const std::size_t layer : layers) {
        const LayerPlan& plan = m_session.layer(layer);
        ++counts[bitsOf(plan)];
        if (!seen.emplace(plan.grid, m_session.tensor(layer).shape.back()).second)
            continue;
        for (const int width : m_session.widthsOf(layer))
            available.insert(width);
    }
    QList<Segment> segments;
    for (const int width : {2, 3, 4, 5, 6, 8}) {
        const bool isThere = layers.empty() || available.contains(width);
        segments << Segment{
            width, QString::number(width), isThere,
            isThere ? QString()
                    : tr("Neither the grid of these layers nor %2 has %1 bits for their rows")
                          .arg(QString::number(width), runtimeOf(m_session.exportTarget()))};
    }
    segments << Segment{kKept, tr("kept"), true, tr("Stays as it is stored")};
    m_bits->setSegments(segments);
    m_bits->setValue(counts.size() == 1 ? std::optional(counts.begin()->first) : std::nullopt);
    QStringList mixed;
    for (const auto& [width, count] : counts)
        mixed << tr("%1 × %2", "bits × layers")
                     .arg(width == kKept ? tr("kept") : QString::number(width), QString::number(count));
    m_bits->setMixedText(counts.size() > 1 ? mixed.join(QStringLiteral(", ")) : QString());
}

void PlanSettings::refreshRank(const std::vector<std::size_t>& layers)
{
    std::optional<std::pair<std::uint32_t, std::uint32_t>> range;
    for (const std::size_t layer : layers) {
        if (!m_session.canCorrect(layer) || m_session.layer(layer).keep)
            continue;
        const std::uint32_t rank = m_session.layer(layer).rank;
        range = range ? std::pair{std::min(range->first, rank), std::max(range->second, rank)} : std::pair{rank, rank};
    }
    for (QWidget* part : {static_cast<QWidget*>(m_rank), static_cast<QWidget*>(m_less), static_cast<QWidget*>(m_more)})
        part->setEnabled(range.has_value());
    if (!range)
        m_rank->setText({});
    else if (range->first == range->second)
        m_rank->setText(QString::number(range->first));
    else
        m_rank->setText(QStringLiteral("%1 – %2").arg(range->first).arg(range->second));
    m_rank->setModified(false);
}

void PlanSettings::rankEdited()
{
    if (!m_rank->isModified())
        return;
    bool isNumber = false;
    const int rank = m_rank->text().trimmed().toInt(&isNumber);
    if (isNumber && rank >= 0) {
        std::vector<std::size_t> layers = reached();
        std::erase_if(
            layers, [this](std::size_t layer) { return m_session.layer(layer).keep || !m_session.canCorrect(layer); });
        m_session.setRank(layers, rank);
    }
    refresh();  // what is no rank gives way to what is
}

void PlanSettings::stepRank(int by)
{
    // One undo step while the button is held.
    if (m_gesture == 0)
        m_gesture = m_session.newGesture();
    m_session.stepRank(reached(), by, m_gesture);
    QTimer::singleShot(800, this, [this, gesture = m_gesture] {
        if (m_gesture == gesture)
            m_gesture = 0;
    });
}

void PlanSettings::refreshTarget()
{
    const bool isOpen = m_session.isOpen();
    for (QWidget* part :
         {static_cast<QWidget*>(m_target), static_cast<QWidget*>(m_unit), static_cast<QWidget*>(m_context)})
        part->setEnabled(isOpen);
    m_context->setValue(static_cast<int>(std::min<std::uint64_t>(m_session.context(), 1 << 24)));
    if (!isOpen || !m_session.target()) {
        if (!m_target->hasFocus() || !isOpen)
            m_target->clear();
        setBadEdge(m_target, false);
        if (isOpen && m_session.estimate() && m_target->text().isEmpty())
            m_unit->setCurrentIndex(
                m_unit->findData(m_session.estimate()->total >= 1'000'000'000 ? Gigabytes : Megabytes));
        m_targetNote->setText({});
        return;
    }
    int pins = 0;
    for (const LayerPlan& layer : m_session.plan().layers)
        pins += layer.pinned ? 1 : 0;
    m_targetNote->setText(pins == 0 ? QString() : pins == 1 ? tr("1 pin") : tr("%1 pins").arg(pins));
    showTarget();
}

void PlanSettings::showTarget()
{
    if (m_target->hasFocus())
        return;  // it is being written
    const auto bytes = static_cast<double>(*m_session.target());
    const auto unit = static_cast<Unit>(m_unit->currentData().toInt());
    const double value = unit == Gigabytes ? bytes / 1e9
        : unit == Megabytes                ? bytes / 1e6
                                           : 8 * bytes / static_cast<double>(m_session.checkpoint()->totalElements());
    m_target->setText(QLocale().toString(value, 'g', 5));
    setBadEdge(m_target, false);
}

void PlanSettings::targetEdited()
{
    const QString text = m_target->text().trimmed();
    bool isNumber = false;
    const double value = QLocale().toDouble(text, &isNumber);
    const bool isBad = !text.isEmpty() && (!isNumber || !(value > 0) || value > 1e9);
    setBadEdge(m_target, isBad);
    m_target->setToolTip(isBad ? tr("“%1” is no size: expected a number above 0").arg(text)
                               : tr("The size that all files of the export together are to have at most"));
    if (isBad || !m_session.isOpen())
        return;
    if (text.isEmpty())
        return m_session.setTarget(std::nullopt);
    const auto unit = static_cast<Unit>(m_unit->currentData().toInt());
    const double bytes = unit == Gigabytes ? value * 1e9
        : unit == Megabytes                ? value * 1e6
                                           : value * static_cast<double>(m_session.checkpoint()->totalElements()) / 8;
    m_session.setTarget(static_cast<Bytes>(std::min(bytes, 1e18)));
}

}  // namespace sigmascope::ui
