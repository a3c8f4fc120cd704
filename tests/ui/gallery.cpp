// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/ui/Samples.h"
#include "ui/Theme.h"
#include "ui/models/LayerRoles.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/LayerDelegate.h"
#include "ui/widgets/Look.h"
#include "ui/widgets/RankSlider.h"
#include "ui/widgets/SegmentedControl.h"
#include "ui/widgets/SourceBadge.h"
#include "ui/widgets/StepBar.h"

#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QDir>
#include <QFormLayout>
#include <QHeaderView>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QStandardItemModel>
#include <QTabBar>
#include <QTest>
#include <QTreeView>

#include <cstdio>

// Draws every plot and widget in both themes to PNG files, for people to look at. Run with QT_SCALE_FACTOR=2 for the
// other scale. Fails if a picture could not be drawn or written.

using namespace sigmascope::ui;

namespace {

bool save(QWidget& widget, const QString& folder, const QString& name)
{
    widget.QWidget::show();
    QTest::qWait(250);  // loading shows after 150 ms
    const QString scale = widget.devicePixelRatioF() > 1 ? QStringLiteral("@2") : QString();
    const QString theme = Theme::current().isDark ? QStringLiteral("dark") : QStringLiteral("light");
    const QString path = QStringLiteral("%1/%2-%3%4.png").arg(folder, name, theme, scale);
    const bool done = widget.grab().save(path);
    std::printf("%s %s\n", done ? "wrote" : "could not write", qPrintable(path));
    widget.hide();
    return done;
}

std::unique_ptr<SpectrumPlot> spectrumPlot(const SpectrumView& view, int rank, QSize size)
{
    auto plot = std::make_unique<SpectrumPlot>();
    plot->resize(size);
    plot->show(view);
    plot->setSource(Source::Exact, QStringLiteral("exact, 256 of 256 values"));
    plot->setMarker(rank, samples::readout(view, rank));
    return plot;
}

QTreeView* layerTree(QWidget* parent)
{
    auto* model = new QStandardItemModel(parent);
    model->setHorizontalHeaderLabels({QStringLiteral("Layer"), QString(), QStringLiteral("Bits"),
                                      QStringLiteral("Rank"), QStringLiteral("Error %"), QStringLiteral("MiB")});
    struct Row {
        const char* name;
        double bits;
        int rank;
        double error;
        double mib;
        bool pinned;
        const char *warning, *failure;
    };
    const Row rows[]
        = {{"Block 3", 3.7, 23, 0.083, 112, false, "", ""},        {"q_proj", 4, 16, 0.053, 9.3, false, "", ""},
           {"gate_proj", 3, 32, 0.093, 24.7, false, "", ""},       {"up_proj", 2, 24, 0.121, 24.9, true, "", ""},
           {"down_proj", 5, 32, 0.022, 39.1, true, "", ""},        {"k_proj", 4, 16, 0.049, 2.4, false, "shape", ""},
           {"k_proj", 4, 16, 0.049, 2.4, false, "", "not finite"}, {"v_proj", 16, 0, -1, 2.4, false, "", ""}};
    for (const Row& row : rows) {
        QList<QStandardItem*> cells;
        const QStringList texts{QLatin1String(row.name),
                                QString(),
                                QString::number(row.bits, 'f', row.bits == int(row.bits) ? 0 : 1),
                                QString::number(row.rank),
                                row.error < 0 ? QStringLiteral("–") : QString::number(100 * row.error, 'f', 1),
                                QString::number(row.mib, 'f', 1)};
        for (const QString& text : texts) {
            auto* cell = new QStandardItem(text);
            cell->setData(row.bits, BitsRole);
            if (row.error >= 0)
                cell->setData(row.error, ErrorRole);
            cell->setData(row.pinned, PinnedRole);
            cell->setData(QLatin1String(row.warning), WarningRole);
            cell->setData(QLatin1String(row.failure), FailureRole);
            cell->setData(QLatin1String(row.name).startsWith(QLatin1String("Block")), IsBlockRole);
            cell->setData(true, IsPlannedRole);
            cells.append(cell);
        }
        model->appendRow(cells);
    }
    auto* tree = new QTreeView(parent);
    tree->setModel(model);
    tree->setItemDelegate(new LayerDelegate(tree));
    tree->setUniformRowHeights(true);
    for (int column = 0; column < 6; ++column)
        tree->setColumnWidth(column, LayerDelegate::columnWidth(column));
    tree->setCurrentIndex(model->index(4, 0));
    return tree;
}

QWidget* controls(QWidget* parent)
{
    auto* panel = new QWidget(parent);
    panel->setAutoFillBackground(true);
    QPalette palette = panel->palette();
    palette.setColor(QPalette::Window, Theme::current().panel);
    panel->setPalette(palette);
    auto* column = new QVBoxLayout(panel);
    column->setContentsMargins(0, 0, 0, 0);
    auto* title = new DockTitle(QStringLiteral("Inspector"));
    title->setCaption(QStringLiteral("block 12 · down_proj"));
    title->setRight(QStringLiteral("1 layer"));
    column->addWidget(title);
    auto* form = new QFormLayout;
    form->setContentsMargins(px(12), px(8), px(12), px(8));
    const QList<Segment> bits{{2, QStringLiteral("2"), true, {}}, {3, QStringLiteral("3"), true, {}},
                              {4, QStringLiteral("4"), true, {}}, {5, QStringLiteral("5"), true, {}},
                              {6, QStringLiteral("6"), true, {}}, {8, QStringLiteral("8"), false, {}},
                              {16, QStringLiteral("BF16"), true, {}}};
    auto* one = new SegmentedControl;
    one->setSegments(bits);
    one->setValue(5);
    form->addRow(QStringLiteral("Bits"), one);
    auto* mixed = new SegmentedControl;
    mixed->setSegments(bits);
    mixed->setMixedText(QStringLiteral("3 × 10, 4 × 24, 5 × 1"));
    form->addRow(QStringLiteral("Mixed"), mixed);
    auto* any = new SegmentedControl(SegmentedControl::Mode::AnyOfMany);
    any->setSegments(bits.mid(0, 6));
    any->setValues({3, 4, 5});
    form->addRow(QStringLiteral("May use"), any);
    auto* combo = new QComboBox;
    combo->addItem(QStringLiteral("INT, symmetric, group 128"));
    form->addRow(QStringLiteral("Type"), combo);
    auto* rank = new QHBoxLayout;
    auto* spin = new QSpinBox;
    spin->setFont(font(FontRole::Mono));
    spin->setMaximum(256);
    spin->setValue(32);
    spin->setFixedWidth(px(58));
    auto* slider = new RankSlider;
    slider->setMaximumRank(256);
    slider->setRank(32);
    rank->addWidget(spin);
    rank->addWidget(slider);
    form->addRow(QStringLiteral("Rank"), rank);
    auto* filter = new QLineEdit;
    filter->setPlaceholderText(QStringLiteral("Filter: name, role, bits<4, error>5%"));
    form->addRow(filter);
    auto* wrong = new QLineEdit(QStringLiteral("6000"));
    setBadEdge(wrong, true);
    form->addRow(QStringLiteral("Wrong"), wrong);
    auto* check = new QCheckBox(QStringLiteral("Pinned"));
    check->setChecked(true);
    form->addRow(check);
    auto* buttons = new QHBoxLayout;
    auto* primary = new QPushButton(QStringLiteral("Quantize"));
    makePrimary(primary);
    buttons->addWidget(primary);
    buttons->addWidget(new QPushButton(QStringLiteral("Solve…")));
    auto* off = new QPushButton(QStringLiteral("Redo"));
    off->setEnabled(false);
    buttons->addWidget(off);
    form->addRow(buttons);
    auto* badges = new QHBoxLayout;
    for (const Source source : {Source::Exact, Source::Measured, Source::Estimated, Source::Assumed}) {
        auto* badge = new SourceBadge;
        badge->setSource(source);
        badges->addWidget(badge);
    }
    form->addRow(badges);
    column->addLayout(form);
    column->addStretch(1);
    return panel;
}

bool drawWidgets(const QString& folder)
{
    QWidget page;
    page.resize(1280, 560);
    auto* column = new QVBoxLayout(&page);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    auto* steps = new StepBar;
    for (const char* name : {"Inspect", "Calibrate", "Plan", "Quantize", "Evaluate", "Export", "Compare"})
        steps->addStep(QLatin1String(name));
    steps->setStepState(1, StepState::Done);
    steps->setStepState(3, StepState::Running, QStringLiteral("67 %"));
    steps->setStepState(5, StepState::Stale);
    auto* undo = new QAction(icon(QStringLiteral("undo")), QStringLiteral("Undo"), steps);
    auto* redo = new QAction(icon(QStringLiteral("redo")), QStringLiteral("Redo"), steps);
    redo->setEnabled(false);
    steps->addRight(undo);
    steps->addRight(redo);
    steps->addRight(new QAction(QStringLiteral("Apply preset…"), steps));
    steps->addRight(new QAction(QStringLiteral("Quantize"), steps), true);
    column->addWidget(steps);
    auto* tabs = new QTabBar;
    tabs->setExpanding(false);
    for (const char* name : {"Density", "Spectrum", "Statistics"})
        tabs->addTab(QLatin1String(name));
    tabs->setCurrentIndex(1);
    column->addWidget(tabs);
    auto* row = new QHBoxLayout;
    row->setSpacing(1);
    row->addWidget(layerTree(&page), 1);
    QWidget* panel = controls(&page);
    panel->setFixedWidth(px(340));
    row->addWidget(panel);
    column->addLayout(row, 1);
    BudgetView budget{.fileBytes = 4690000000,
                      .targetBytes = 4700000000,
                      .codeBytes = 3860000000,
                      .factorBytes = 100000000,
                      .keptBytes = 730000000,
                      .bitsPerWeight = 4.67,
                      .sizeSource = Source::Exact,
                      .outputError = 0.052,
                      .errorSource = Source::Estimated,
                      .fallbacks = 2,
                      .fallbackText = QStringLiteral("plain metric"),
                      .isRecomputing = false};
    auto* full = new BudgetStrip;
    full->show(budget);
    auto* over = new BudgetStrip;
    budget.targetBytes = 4400000000;
    over->show(budget);
    auto* compact = new BudgetStrip;
    compact->setCompact(true);
    compact->show(budget);
    for (BudgetStrip* strip : {full, over, compact})
        column->addWidget(strip);
    return save(page, folder, QStringLiteral("widgets"));
}

bool drawPlots(const QString& folder)
{
    const SpectrumView view = samples::spectrum();
    auto full = spectrumPlot(view, 32, {735, 730});
    bool done = save(*full, folder, QStringLiteral("spectrum"));
    auto small = spectrumPlot(view, 90, {690, 420});
    small->setFocus(Qt::TabFocusReason);
    done &= save(*small, folder, QStringLiteral("spectrum-small"));
    const SpectrumView partial = samples::spectrum(64);
    auto bound = spectrumPlot(partial, 12, {735, 600});
    bound->setSource(Source::Estimated, QStringLiteral("64 of 256 values, each to 1 %"));
    done &= save(*bound, folder, QStringLiteral("spectrum-bound"));
    auto stale = spectrumPlot(view, 0, {735, 600});
    stale->showStale(QStringLiteral("for 4 bits, now 5"));
    done &= save(*stale, folder, QStringLiteral("spectrum-stale"));
    const SpectrumView plain = samples::spectrum(256, false);
    auto uncalibrated = spectrumPlot(plain, 16, {735, 600});
    uncalibrated->setMarkerLocked(QStringLiteral("A run is using this plan."));
    done &= save(*uncalibrated, folder, QStringLiteral("spectrum-plain"));
    SpectrumPlot failed;
    failed.resize(600, 460);
    failed.showFailed(QStringLiteral("2 weights are not finite"), QStringLiteral("row 118, column 4,031 · NaN"),
                      QStringLiteral("Show in table"));
    done &= save(failed, folder, QStringLiteral("spectrum-failed"));
    SpectrumPlot loading;
    loading.resize(600, 460);
    loading.showLoading(QStringLiteral("Spectrum, about 4 s"));
    loading.setLoadingProgress(0.4);
    done &= save(loading, folder, QStringLiteral("spectrum-loading"));
    DensityPlot density;
    density.resize(735, 600);
    density.show(samples::density());
    density.setSource(Source::Exact, QStringLiteral("exact, 200,000 weights"));
    done &= save(density, folder, QStringLiteral("density"));
    DensityPlot scaled;
    scaled.resize(735, 600);
    scaled.show(samples::scaledDensity());
    scaled.setSource(Source::Exact, QStringLiteral("exact, 20,000 weights"));
    done &= save(scaled, folder, QStringLiteral("density-scaled"));
    DensityPlot many;
    many.resize(690, 420);
    many.show(samples::density(256));
    many.setLogY(false);
    return save(many, folder, QStringLiteral("density-256")) && done;
}

}  // namespace

int main(int argc, char** argv)
{
    QApplication application(argc, argv);
    installFonts();
    const QString folder = argc > 1 ? QString::fromLocal8Bit(argv[1]) : QStringLiteral("gallery");
    if (!QDir().mkpath(folder))
        return 1;
    bool done = true;
    for (const Appearance appearance : {Appearance::Dark, Appearance::Light}) {
        applyTheme(application, appearance);
        done = drawPlots(folder) && drawWidgets(folder) && done;
    }
    return done ? 0 : 1;
}
