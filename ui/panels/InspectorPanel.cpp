// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/panels/InspectorPanel.h"

#include "core/plan/TargetGrids.h"
#include "core/solve/Solver.h"
#include "ui/Theme.h"
#include "ui/session/Session.h"
#include "ui/session/Text.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/RankSlider.h"
#include "ui/widgets/SegmentedControl.h"
#include "ui/widgets/SourceBadge.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QScrollArea>
#include <QSpinBox>
#include <QStandardItemModel>
#include <QVBoxLayout>

#include <algorithm>
#include <map>

namespace sigmascope::ui {

namespace {

constexpr int kKeepBits = 16;  // the segment that keeps the stored form

QString text(std::string_view utf8)
{
    return QString::fromUtf8(utf8.data(), static_cast<int>(utf8.size()));
}

QFormLayout* formLayout()
{
    auto* form = new QFormLayout;
    form->setContentsMargins(0, 0, 0, 0);
    form->setHorizontalSpacing(px(8));
    form->setVerticalSpacing(px(6));
    form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
    form->setRowWrapPolicy(QFormLayout::WrapLongRows);  // long words in another language leave no room beside them
    form->setLabelAlignment(Qt::AlignLeft | Qt::AlignVCenter);
    return form;
}

QLabel* label(const QString& words)
{
    auto* made = new QLabel(words);
    setTextLevel(made, TextLevel::Label);
    made->setMinimumWidth(px(74));  // longer words in another language widen the column
    return made;
}

/// The one value that all have, or nothing.
template <class T, class Get>
std::optional<T> common(const std::vector<std::size_t>& layers, Get get)
{
    std::optional<T> value;
    for (const std::size_t index : layers) {
        const T own = get(index);
        if (value && *value != own)
            return std::nullopt;
        value = own;
    }
    return value;
}

QString layerCount(std::size_t count)
{
    return count == 1 ? InspectorPanel::tr("1 layer") : InspectorPanel::tr("%1 layers").arg(count);
}

/// As wide as the panel lets it be, however long its entries: the panel never scrolls sideways.
QComboBox* combo(const char* name)
{
    auto* made = new QComboBox;
    made->setObjectName(QLatin1String(name));
    made->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    made->setMinimumContentsLength(8);
    return made;
}

/// A combo that shows "mixed" when the selection has no common value.
void showIn(QComboBox* combo, const std::optional<QString>& id, const QString& mixed)
{
    combo->setPlaceholderText(mixed);
    combo->setCurrentIndex(id ? combo->findData(*id) : -1);
}

/// As recipes' factor_bits 8: what the target's own format holds.
FactorType eightBitFactors(const Session& session)
{
    return session.plan().target == "gguf" ? FactorType::Q8_0 : FactorType::I8;
}

bool targetCarries(const GridFamily& family, int bits, std::string_view target)
{
    const auto grid = gridOf(family.id, bits);
    return grid && checkRepresentable(target, **grid);
}

}  // namespace

InspectorPanel::InspectorPanel(Session& session, QWidget* parent)
    : QWidget(parent)
    , m_session(session)
    , m_title(new ElidedLabel({}, this))
    , m_facts(new ElidedLabel({}, this))
    , m_form(new QWidget(this))
{
    m_title->setFont(ui::font(FontRole::KeyFigure));
    m_facts->setFont(ui::font(FontRole::Caption));
    setTextLevel(m_facts, TextLevel::Label);

    auto* sections = new QVBoxLayout(m_form);
    sections->setContentsMargins(0, 0, 0, 0);
    sections->setSpacing(px(8));
    auto* form = formLayout();
    m_method = combo("method");
    m_method->setAccessibleName(tr("Method"));
    form->addRow(label(tr("Method")), m_method);
    sections->addLayout(form);
    sections->addWidget(hairline(this));
    buildGrid(sections);
    sections->addWidget(hairline(this));
    buildLowRank(sections);
    sections->addWidget(hairline(this));
    m_pinned = new QCheckBox(tr("Pinned"));
    m_pinned->setToolTip(tr("Presets and range gestures leave a pinned layer as it is. Space"));
    sections->addWidget(m_pinned);
    sections->addWidget(hairline(this));
    buildResult(sections);

    auto* content = new QWidget;
    content->setMinimumWidth(1);
    auto* layout = new QVBoxLayout(content);
    layout->setContentsMargins(px(12), px(10), px(12), px(12));
    layout->setSpacing(px(4));
    layout->addWidget(m_title);
    layout->addWidget(m_facts);
    layout->addSpacing(px(4));
    layout->addWidget(m_form);
    layout->addStretch(1);
    auto* scroll = new QScrollArea(this);
    scroll->setWidget(content);
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setFocusPolicy(Qt::NoFocus);  // its fields take the focus
    scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    auto* outer = new QVBoxLayout(this);
    outer->setContentsMargins(0, 0, 0, 0);
    outer->addWidget(scroll);

    connect(m_method, &QComboBox::activated, this,
            [this](int row) { m_session.setPreset(layers(), m_method->itemData(row).toString()); });
    connect(m_pinned, &QCheckBox::clicked, this, [this](bool on) { m_session.setPinned(layers(), on); });
    connect(&session, &Session::selectionChanged, this, &InspectorPanel::refresh);
    connect(&session, &Session::opened, this, &InspectorPanel::refresh);
    connect(&session, &Session::closed, this, &InspectorPanel::refresh);
    connect(&session, &Session::calibrationChanged, this, &InspectorPanel::refresh);
    connect(&session, &Session::planChanged, this, &InspectorPanel::refreshAfterEdit);
    connect(&session, &Session::exportTargetChanged, this, [this] {
        fillForTarget();
        refresh();
    });
    connect(&session, &Session::analysisChanged, this, [this](std::size_t tensor) {
        if (m_session.current() == tensor)
            refreshResult();
    });
    fillForTarget();
    refresh();
}

void InspectorPanel::fillForTarget()
{
    const std::string& target = m_session.exportTarget();
    m_method->clear();
    for (const Preset& preset : presets(target))
        m_method->addItem(titleOf(preset), text(preset.id));
    const QString reason = tr("To look at: %1 cannot carry this grid").arg(runtimeOf(target));
    const auto families = gridFamilies();
    for (int row = 0; row < m_grid->count(); ++row) {
        const GridFamily& family = families[static_cast<std::size_t>(row)];
        const bool isCarried = std::ranges::any_of(family.bits, [&](int bits) { return targetCarries(family, bits, target); });
        m_grid->setItemData(row, isCarried ? QVariant() : reason, Qt::ToolTipRole);
    }
}

void InspectorPanel::buildGrid(QVBoxLayout* layout)
{
    layout->addWidget(sectionTitle(tr("Grid"), this));
    auto* form = formLayout();
    m_grid = combo("grid");
    m_grid->setAccessibleName(tr("Type"));
    for (const GridFamily& family : gridFamilies())
        m_grid->addItem(text(family.title), text(family.id));
    m_bits = new SegmentedControl;
    m_bits->setObjectName(QStringLiteral("bits"));
    m_bits->setAccessibleName(tr("Bits"));
    m_group = new ElidedLabel;
    setTextLevel(m_group, TextLevel::Label);
    m_solver = combo("solver");
    m_solver->setAccessibleName(tr("Solver"));
    for (const Solver& solver : solvers())
        m_solver->addItem(titleOf(solver), text(solver.id));
    m_gridReason = caption({}, this);
    m_gridReason->setWordWrap(true);
    form->addRow(label(tr("Type")), m_grid);
    form->addRow(label(tr("Bits")), m_bits);
    form->addRow(label(tr("Group")), m_group);
    form->addRow(label(tr("Solver")), m_solver);
    layout->addLayout(form);
    layout->addWidget(m_gridReason);
    connect(m_grid, &QComboBox::activated, this, [this](int row) { m_session.setFamily(layers(), m_grid->itemData(row).toString()); });
    connect(m_solver, &QComboBox::activated, this,
            [this](int row) { m_session.setSolver(layers(), m_solver->itemData(row).toString()); });
    connect(m_bits, &SegmentedControl::valueChosen, this, [this](int bits) {
        if (bits == kKeepBits)
            m_session.setKeep(layers(), true);
        else
            m_session.setBits(layers(), bits);
    });
}

void InspectorPanel::buildLowRank(QVBoxLayout* layout)
{
    layout->addWidget(sectionTitle(tr("Low-rank correction"), this));
    auto* form = formLayout();
    m_rank = new QSpinBox;
    m_rank->setObjectName(QStringLiteral("rank"));
    m_rank->setButtonSymbols(QAbstractSpinBox::NoButtons);
    m_rank->setFont(ui::font(FontRole::Mono));
    m_rank->setFixedWidth(px(58));
    m_rank->setKeyboardTracking(false);
    m_rank->setAccessibleName(tr("Rank"));
    m_rankSlider = new RankSlider;
    auto* row = new QHBoxLayout;
    row->setSpacing(px(8));
    row->addWidget(m_rank);
    row->addWidget(m_rankSlider, 1);
    m_factors = new SegmentedControl;
    m_factors->setAccessibleName(tr("Factor bits"));
    m_metric = combo("metric");
    m_metric->setAccessibleName(tr("Metric"));
    for (const MetricKind kind : {MetricKind::Plain, MetricKind::DiagonalRms, MetricKind::DiagonalLqer})
        m_metric->addItem(titleOf(kind), text(id(kind)));
    m_metricNote = caption({}, this);
    m_metricNote->setWordWrap(true);
    form->addRow(label(tr("Rank")), row);
    form->addRow(label(tr("Factor bits")), m_factors);
    form->addRow(label(tr("Metric")), m_metric);
    layout->addLayout(form);
    layout->addWidget(m_metricNote);

    connect(m_rank, &QSpinBox::valueChanged, this, [this](int rank) {
        if (!m_isShowing)
            m_session.setRank(layers(), rank);
    });
    connect(m_rankSlider, &RankSlider::rankDragStarted, this, [this] {
        m_gesture = m_session.newGesture();
        m_before = m_session.plansOf(layers());
    });
    connect(m_rankSlider, &RankSlider::rankDragged, this, [this](int rank) { m_session.setRank(layers(), rank, m_gesture); });
    connect(m_rankSlider, &RankSlider::rankDragCancelled, this, [this] { m_session.restore(m_before, m_gesture); });
    connect(m_factors, &SegmentedControl::valueChosen, this, [this](int bits) {
        m_session.setFactors(layers(), bits == 8   ? eightBitFactors(m_session)
                                       : bits == 32 ? FactorType::F32
                                                    : FactorType::F16);
    });
    connect(m_metric, &QComboBox::activated, this, [this](int row_) {
        const auto metric = metricFromId(m_metric->itemData(row_).toString().toStdString());
        if (metric)
            m_session.setMetric(layers(), *metric);
    });
}

std::vector<std::size_t> InspectorPanel::layers() const
{
    std::vector<std::size_t> tensors;
    if (m_session.isOpen())
        std::ranges::copy_if(m_session.selection(), std::back_inserter(tensors), [this](std::size_t i) { return m_session.isPlannable(i); });
    return tensors;
}

void InspectorPanel::refresh()
{
    m_isShowing = true;
    refreshTitle();
    const bool hasLayers = !layers().empty();
    m_form->setEnabled(hasLayers);
    m_form->setVisible(hasLayers);
    if (hasLayers)
        refreshPlan();
    m_isShowing = false;
    refreshResult();
}

void InspectorPanel::refreshAfterEdit()
{
    // In a drag only the rank moves, frame by frame: the rest of the form stays as it is.
    if (shapeOfPlans() != m_shownShape) {
        refresh();
        return;
    }
    m_isShowing = true;
    refreshRank();
    m_isShowing = false;
    refreshResult();
}

std::size_t InspectorPanel::shapeOfPlans() const
{
    std::size_t shape = layers().size();
    const auto mix = [&shape](std::size_t value) { shape = shape * 1000003U + value; };
    for (const std::size_t index : layers()) {
        const LayerPlan& plan = m_session.layer(index);
        mix(index);
        mix(std::hash<std::string>{}(plan.grid));
        mix(std::hash<std::string>{}(plan.preset));
        mix(std::hash<std::string>{}(plan.solver));
        mix(static_cast<std::size_t>(plan.metric));
        mix(static_cast<std::size_t>(plan.factors));
        mix((plan.keep ? 2U : 0U) + (plan.pinned ? 1U : 0U));
    }
    return shape;
}

void InspectorPanel::refreshTitle()
{
    const std::size_t count = m_session.isOpen() ? m_session.selection().size() : 0;
    emit captionChanged(count == 0 ? QString() : layerCount(count));
    if (count == 0) {
        m_title->setText(m_session.isOpen() ? tr("Nothing selected") : tr("No model open"));
        m_facts->setText(m_session.isOpen() ? tr("Select a layer to see its plan and its error") : QString());
        return;
    }
    if (count > 1) {
        std::uint64_t elements = 0;
        for (const std::size_t index : m_session.selection())
            elements += m_session.tensor(index).elements();
        m_title->setText(layerCount(count));
        m_facts->setText(tr("%1 weights · an edit applies to all of them").arg(QLocale().toString(static_cast<qulonglong>(elements))));
        return;
    }
    const std::size_t index = m_session.selection().front();
    const TensorInfo& tensor = m_session.tensor(index);
    m_title->setText(layerTitle(m_session.topology().place(index), QString::fromStdString(tensor.name)));
        m_facts->setText(tr("%1 · %2 · %3").arg(shapeText(tensor.shape), typeText(tensor), tensorSize(tensor.bytes)));
}

void InspectorPanel::refreshPlan()
{
    const std::vector<std::size_t> chosen = layers();
    const QString mixed = tr("mixed");
    const auto plan = [this](std::size_t i) -> const LayerPlan& { return m_session.layer(i); };
    const auto preset = common<std::string>(chosen, [&](std::size_t i) { return plan(i).keep ? std::string("keep") : plan(i).preset; });
    const QString methodText = !preset ? mixed : *preset == "keep" ? tr("Kept as stored") : tr("Edited");
    showIn(m_method, preset ? std::optional(text(*preset)) : std::nullopt, methodText);

    const auto family = common<std::string>(chosen, [&](std::size_t i) -> std::string {
        const auto grid = findGrid(plan(i).grid);
        return plan(i).keep || !grid ? std::string() : std::string(familyOf(**grid).id);
    });
    showIn(m_grid, family ? std::optional(text(*family)) : std::nullopt, family ? tr("None: kept") : mixed);
    refreshBits();
    refreshSolver();

    refreshRank();
    const auto metric = common<std::string>(chosen, [&](std::size_t i) { return std::string(id(plan(i).metric)); });
    showIn(m_metric, metric ? std::optional(text(*metric)) : std::nullopt, mixed);
    const bool wantsActivations = metric && *metric != id(MetricKind::Plain);
    m_metricNote->setVisible(wantsActivations && m_session.calibration() == nullptr);
    m_metricNote->setText(tr("No calibration: the plain metric is used. File ▸ Import calibration…"));
    m_pinned->setChecked(common<bool>(chosen, [&](std::size_t i) { return plan(i).pinned; }).value_or(false));
    m_shownShape = shapeOfPlans();
}

void InspectorPanel::refreshRank()
{
    const std::vector<std::size_t> chosen = layers();
    const auto rank = common<unsigned>(chosen, [this](std::size_t i) { return m_session.layer(i).rank; });
    int limit = 0;
    for (const std::size_t index : chosen)
        limit = std::max(limit, m_session.maxRank(index));
    m_rank->setRange(rank ? 0 : -1, limit);
    const QString special = rank ? QString() : tr("mixed");
    if (m_rank->specialValueText() != special)
        m_rank->setSpecialValueText(special);
    m_rank->setValue(rank ? static_cast<int>(*rank) : -1);
    m_rankSlider->setMaximumRank(limit);
    m_rankSlider->setRank(rank ? static_cast<int>(*rank) : 0);
    refreshFactors();
}

void InspectorPanel::refreshFactors()
{
    const std::vector<std::size_t> chosen = layers();
    const FactorType eight = eightBitFactors(m_session);
    const bool isPeft = needsFusedAlike(m_session.exportTarget());
    const bool fits = !isPeft && std::ranges::all_of(chosen, [this, eight](std::size_t i) {
        return canStore(eight, m_session.tensor(i).shape.back(), m_session.layer(i).rank);
    });
    m_factors->setSegments(
        {{8, QStringLiteral("8"), fits,
          fits         ? QString()
              : isPeft ? tr("A PEFT adapter holds factors of 16 or 32 bits")
                       : tr("8 bit in GGUF needs a rank and a row length that are multiples of 32")},
         {16, QStringLiteral("16"), true, {}},
         {32, QStringLiteral("32"), true, {}}});
    m_factors->setValue(common<int>(chosen, [this](std::size_t i) { return factorBits(m_session.layer(i).factors); }));
}

void InspectorPanel::refreshSolver()
{
    // Of a kept layer there is nothing to solve; the others answer for the selection.
    std::vector<std::pair<const Grid*, const Solver*>> planned;
    for (const std::size_t index : layers()) {
        const LayerPlan& plan = m_session.layer(index);
        if (const auto grid = findGrid(plan.grid); grid && !plan.keep)
            planned.emplace_back(*grid, &solverFor(plan.solver, **grid));
    }
    const auto* items = qobject_cast<const QStandardItemModel*>(m_solver->model());
    const QString reason = tr("This grid leaves no range to choose. Q4_0 and INT grids do.");
    const QString unweighted = tr("Only GGUF types are searched by importances.");
    int choices = 0;
    for (int row = 0; row < m_solver->count(); ++row) {
        const Solver& solver = solvers()[static_cast<std::size_t>(row)];
        const bool fits
            = std::ranges::any_of(planned, [&solver](const auto& layer) { return solver.accepts(*layer.first); });
        choices += fits ? 1 : 0;
        items->item(row)->setEnabled(fits);
        m_solver->setItemData(row, fits ? text(solver.source) : solver.id == "imatrix" ? unweighted : reason, Qt::ToolTipRole);
    }
    m_solver->setEnabled(choices > 1);
    m_solver->setToolTip(choices > 1 || planned.empty() ? QString() : reason);
    std::optional<QString> id;
    const auto isFirsts = [&planned](const auto& layer) { return layer.second == planned.front().second; };
    if (!planned.empty() && std::ranges::all_of(planned, isFirsts))
        id = text(planned.front().second->id);
    showIn(m_solver, id, planned.empty() ? tr("None: kept") : tr("mixed"));
}

void InspectorPanel::refreshBits()
{
    const std::vector<std::size_t> chosen = layers();
    const auto bitsOf = [this](std::size_t i) {
        const auto grid = findGrid(m_session.layer(i).grid);
        return m_session.layer(i).keep || !grid ? kKeepBits : (*grid)->bits();
    };
    const GridFamily* family = nullptr;
    if (const auto grid = findGrid(m_session.layer(chosen.front()).grid); grid && !m_session.layer(chosen.front()).keep)
        family = &familyOf(**grid);
    QList<Segment> segments;
    for (const int bits : {2, 3, 4, 5, 6, 8}) {
        const bool inFamily = family != nullptr && std::ranges::find(family->bits, bits) != family->bits.end();
        bool inTarget = false;
        for (const GridFamily& other : gridFamilies())
            inTarget = inTarget || targetCarries(other, bits, m_session.exportTarget());
        segments.push_back({bits, QString::number(bits), inFamily || inTarget,
                            inFamily || inTarget ? QString() : tr("No grid of this type has %1 bits. INT grids do.").arg(bits)});
    }
    segments.push_back({kKeepBits, tr("Keep", "leave the tensor as stored"), true, tr("Leaves the tensor as it is stored. M")});
    m_bits->setSegments(segments);
    const auto value = common<int>(chosen, bitsOf);
    m_bits->setValue(value);
    QString counts;
    if (!value) {
        std::map<int, int> byBits;
        for (const std::size_t index : chosen)
            ++byBits[bitsOf(index)];
        QStringList parts;
        for (const auto& [bits, count] : byBits)
            parts << tr("%1 × %2", "bits × layers").arg(bits == kKeepBits ? tr("kept") : QString::number(bits)).arg(count);
        counts = parts.join(QStringLiteral(", "));
    }
    m_bits->setMixedText(counts);

    const auto grid = findGrid(m_session.layer(chosen.front()).grid);
    const bool isGrid = family != nullptr && grid.has_value();
    m_group->setText(!isGrid                      ? tr("–")
                         : (*grid)->groupSize() == 0 ? tr("whole row")
                                                     : tr("%1 · set by the grid").arg((*grid)->groupSize()));
    const bool cannotExport = isGrid && !checkRepresentable(m_session.exportTarget(), **grid);
    m_gridReason->setVisible(cannotExport);
    m_gridReason->setText(m_session.exportTarget() == "gguf"
                              ? tr("To look at: GGUF cannot carry this grid. For llama.cpp take a GGUF type.")
                              : tr("To look at: %1 cannot carry this grid. The Export page has the nearest plan.")
                                    .arg(runtimeOf(m_session.exportTarget())));
}

}  // namespace sigmascope::ui
