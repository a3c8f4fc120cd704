// SPDX-License-Identifier: GPL-3.0-or-later
// Reliability item 109: all-equal, empty and not finite data, and zeros on a log axis, in every plot: a picture or a
// sentence, never an empty frame, and never a range that is none.
#include "Samples.h"

#include "core/analysis/HeatMap.h"

#include "ui/Theme.h"
#include "ui/plots/ChannelsPlot.h"
#include "ui/plots/ComparePlot.h"
#include "ui/plots/DensityPlot.h"
#include "ui/plots/EqualizerPlot.h"
#include "ui/plots/HeatMapPlot.h"
#include "ui/plots/SpectrumPlot.h"
#include "ui/widgets/ModelMap.h"

#include <QApplication>
#include <QSet>
#include <QTest>

#include <cmath>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::ui;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr float kNanFloat = std::numeric_limits<float>::quiet_NaN();

/// Lays out and draws; pixels that are neither ground nor grid.
int inkOf(QWidget& widget)
{
    if (!widget.isVisible()) {
        widget.resize(640, 480);
        widget.QWidget::show();
    }
    QTest::qWait(60);
    const QImage image = widget.grab().toImage();
    const Theme& theme = Theme::current();
    int ink = 0;
    for (int y = 0; y < image.height(); y += 2)
        for (int x = 0; x < image.width(); x += 2) {
            const QColor colour = image.pixelColor(x, y);
            ink += colour != theme.base && colour != theme.grid && colour != theme.panel ? 1 : 0;
        }
    return ink;
}

/// An axis, a frame and the header alone are no picture: there is a sentence then, and it is painted.
void expectSentence(PlotFrame& plot, const char* words)
{
    QVERIFY(inkOf(plot) > 0);
    QVERIFY2(plot.message().contains(QLatin1String(words)), qPrintable(QStringLiteral("said “%1”").arg(plot.message())));
    QCOMPARE(plot.state(), PlotFrame::State::Empty);
}

void expectPicture(PlotFrame& plot)
{
    QVERIFY(inkOf(plot) > 0);
    QVERIFY2(plot.message().isEmpty(), qPrintable(plot.message()));
    QCOMPARE(plot.state(), PlotFrame::State::Ready);
}

std::shared_ptr<CodeCounts> noCodes()
{
    auto codes = std::make_shared<CodeCounts>();
    codes->counts.assign(65536, 0);
    return codes;
}

std::shared_ptr<const ChannelStats> channels(double value, std::size_t count = 16)
{
    auto stats = std::make_shared<ChannelStats>();
    stats->rows = stats->cols = count;
    for (ChannelSide* side : {&stats->inputs, &stats->outputs}) {
        side->w.absMax.assign(count, value);
        side->w.rms.assign(count, value);
    }
    return stats;
}

HeatView heat(float value, std::uint64_t side = 8)
{
    auto map = std::make_shared<HeatMap>();
    map->window = {.width = side, .height = side};
    map->values.assign(side * side, value);
    return {.rows = side, .cols = side, .overview = map, .has = {true, false, false}, .reasons = {}};
}

CompareView comparison(std::vector<double> a, std::vector<double> b)
{
    CompareView view{.a = std::move(a), .b = std::move(b), .nameA = QStringLiteral("one"), .nameB = QStringLiteral("two"), .axis = QStringLiteral("Error, %")};
    for (std::size_t i = 0; i < view.a.size(); ++i) {
        view.layers.push_back(QString::number(i));
        if (!view.b.empty())
            view.change.push_back(view.b[i] / view.a[i] - 1);
    }
    return view;
}

}  // namespace

class DegeneratePlotsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        installFonts();
        applyTheme(*qApp, Appearance::Dark);
    }

    void item109DensityOfEqualWeightsIsOneBar()
    {
        auto codes = noCodes();
        codes->counts[floatToBf16(0.5F)] = 1000;
        DensityPlot plot;
        plot.show({.codes = codes, .min = 0.5, .max = 0.5, .elements = 1000});
        expectPicture(plot);
        const auto [lower, upper] = plot.visibleRange();
        QVERIFY(std::isfinite(lower) && std::isfinite(upper) && lower < 0.5 && upper > 0.5);
        QCOMPARE(plot.countInView(), std::uint64_t(1000));
        plot.setLogY(false);
        expectPicture(plot);
    }

    void item109DensityOfNothingSaysSo()
    {
        DensityPlot plot;
        plot.show({.codes = noCodes(), .elements = 0});
        expectSentence(plot, "No finite value");
        plot.show({.codes = noCodes(), .min = kNan, .max = kNan, .elements = 4});  // all of them NaN
        expectSentence(plot, "No finite value");
        plot.show(samples::density());
        expectPicture(plot);
    }

    void item109SpectrumOfZeroWeightsSaysSo()
    {
        SpectrumView view;
        view.w.values.assign(32, 0.0);
        view.w.total = 32;
        view.maxRank = 32;
        SpectrumPlot plot;
        plot.show(view);
        expectSentence(plot, "all zero");
        plot.setLogY(false);
        expectSentence(plot, "all zero");
        view.w.values.clear();
        view.w.total = 0;
        plot.show(view);
        expectSentence(plot, "No singular value");
        view.w.values.assign(32, kNan);
        view.w.total = 32;
        plot.show(view);
        QVERIFY(!plot.message().isEmpty());
        plot.show(samples::spectrum());
        plot.setLogY(true);
        expectPicture(plot);
    }

    void item109SpectrumOfEqualValuesIsALine()
    {
        SpectrumView view;
        view.w.values.assign(32, 2.0);
        view.w.total = 32;
        view.maxRank = 32;
        SpectrumPlot plot;
        plot.show(view);
        expectPicture(plot);
    }

    void item109ChannelsOfZerosAndNothingSaySo()
    {
        ChannelsPlot plot;
        plot.show({.stats = channels(0)});
        expectSentence(plot, "other than 0");
        plot.show({.stats = channels(kNan)});
        expectSentence(plot, "other than 0");
        plot.show({.stats = channels(1, 0)});
        expectSentence(plot, "no channels");
        plot.show({.stats = channels(0.25)});  // all equal: a line
        expectPicture(plot);
        QCOMPARE(plot.pointCount() > 0, true);
    }

    void item109HeatMapOfZerosAndNanSaysSo()
    {
        HeatMapPlot plot;
        plot.show(heat(0));
        expectSentence(plot, "Every value is 0");
        plot.show(heat(kNanFloat));
        expectSentence(plot, "No finite value");
        plot.show(heat(0.5F));
        expectPicture(plot);
        const auto [low, high] = plot.colourRange();
        QVERIFY(std::isfinite(low) && std::isfinite(high));
    }

    void item109ComparisonOfZerosAndNothingSaysSo()
    {
        ComparePlot plot;
        plot.show(comparison({}, {}));
        expectSentence(plot, "no layer in common");
        plot.show(comparison({0, 0, 0}, {0, 0, 0}));
        expectSentence(plot, "keep every weight");
        plot.show(comparison({0, 0, 0}, {}));
        expectSentence(plot, "same weights");
        plot.show(comparison({kNan, kNan}, {kNan, kNan}));
        expectSentence(plot, "No layer has an error");
        plot.show(comparison({0.1, 0.1, 0.1}, {0.1, 0.1, 0.1}));  // all equal: two lines on each other
        expectPicture(plot);
        QTRY_COMPARE(plot.pointsOfA(), 3);
        plot.show(comparison({0.1, 0, 0.1}, {0.1, 0.2, kNan}));  // a log axis leaves out what is 0
        expectPicture(plot);
        QTRY_COMPARE(plot.pointsOfA(), 2);
        QTRY_COMPARE(plot.pointsOfB(), 2);
    }

    void item109EqualizerWithoutLayersSaysSo()
    {
        EqualizerPlot plot;
        plot.show(EqualizerView{});
        const int words = inkOf(plot);
        QVERIFY(words > 50);
        EqualizerView view;
        view.groups = {QStringLiteral("0")};
        for (int i = 0; i < 4; ++i) {
            EqualizerColumn column;
            column.isKept = false;
            column.bits = 4;
            column.error = i == 0 ? 0.0F : kNanFloat;
            view.columns.push_back(column);
        }
        plot.show(view);  // no error that a log axis could show: bars all the same
        QVERIFY(inkOf(plot) > words);
    }

    void item109ModelMapWithoutBlocksSaysSo()
    {
        ModelMap map;
        map.show(ModelMapView{});
        QVERIFY(inkOf(map) > 50);
    }
};

QTEST_MAIN(DegeneratePlotsTest)
#include "tst_degenerate_plots.moc"
