// SPDX-License-Identifier: GPL-3.0-or-later
// The Heat map tab, with real mouse and keys.
#include "StudioFixture.h"

#include "core/base/Random.h"
#include "core/tensor/Decode.h"
#include "ui/panels/HeatMapPanel.h"
#include "ui/panels/InspectPage.h"
#include "ui/plots/HeatMapPlot.h"
#include "ui/session/HeatMapAnalysis.h"
#include "ui/text/Numbers.h"
#include "ui/widgets/SegmentedControl.h"

#include <QTabBar>
#include <QTabWidget>
#include <QToolButton>
#include <QWheelEvent>

#include <cmath>
#include <limits>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::HeatMapPlot;
using ui::PlotFrame;

namespace {

/// A move of the pointer, to this very widget: which window lies under the pointer is not what is tested.
void hover(QWidget* canvas, const QPoint& at)
{
    QMouseEvent move(QEvent::MouseMove, QPointF(at), QPointF(canvas->mapToGlobal(at)), Qt::NoButton, Qt::NoButton,
                     Qt::NoModifier);
    QApplication::sendEvent(canvas, &move);
}

/// A matrix in memory and a plot that gets its tiles at once.
struct Bench {
    std::uint64_t rows, cols;
    std::vector<float> weights;
    MatrixRows matrix;
    HeatMapPlot plot;
    int requests = 0;

    Bench(std::uint64_t rows_, std::uint64_t cols_, QSize size = {700, 560})
        : rows(rows_)
        , cols(cols_)
        , weights(rows_ * cols_)
    {
        fillNormal<float>(3, weights, 0.05);
        matrix = {.rows = rows, .cols = cols};
        matrix.weights = [this](std::uint64_t first, std::span<float> out) -> Status {
            std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(first * cols), out.size(), out.begin());
            return {};
        };
        QObject::connect(&plot, &HeatMapPlot::tilesWanted, &plot, [this](const HeatWindow& wanted) { answer(wanted); });
        plot.resize(size);
        plot.QWidget::show();
    }
    void show()
    {
        auto map = heatMap(matrix, HeatQuantity::W, overviewOf(rows, cols, 256), {});
        plot.show(
            {.rows = rows, .cols = cols, .overview = std::make_shared<const HeatMap>(std::move(*map)), .reasons = {}});
        settle();
    }
    void answer(const HeatWindow& wanted)
    {
        ++requests;
        std::vector<HeatMapPlot::Tile> tiles;
        for (std::uint64_t y = wanted.y; y < wanted.y + wanted.height; ++y)
            for (std::uint64_t x = wanted.x; x < wanted.x + wanted.width; ++x) {
                HeatWindow window{.levelX = wanted.levelX, .levelY = wanted.levelY, .x = x * 256, .y = y * 256};
                window.width = std::min<std::uint64_t>(256, cellsAt(cols, wanted.levelX) - window.x);
                window.height = std::min<std::uint64_t>(256, cellsAt(rows, wanted.levelY) - window.y);
                tiles.push_back(std::make_shared<const HeatMap>(*heatMap(matrix, HeatQuantity::W, window, {})));
            }
        plot.addTiles(tiles);
    }
    void settle()
    {
        plot.grab();
        QCoreApplication::processEvents();
        plot.grab();
        QCoreApplication::processEvents();
    }
    void wheel(QPointF at, int steps, Qt::KeyboardModifiers modifiers = {})
    {
        for (int i = 0; i < std::abs(steps); ++i) {
            QWheelEvent event(at, plot.canvas()->mapToGlobal(at), {}, {0, steps > 0 ? 120 : -120}, Qt::NoButton,
                              modifiers, Qt::NoScrollPhase, false);
            QApplication::sendEvent(plot.canvas(), &event);
        }
        settle();
    }
    [[nodiscard]] float at(std::uint64_t row, std::uint64_t column) const
    {
        return std::fabs(weights[row * cols + column]);
    }
};

}  // namespace

class HeatMapPlotTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void farAwayACellIsTheLargestOfItsElements();
    void zoomingInReachesSingleElements();
    void theCursorNamesRowColumnAndValue();
    void pixelsHaveTheColourOfTheirValue();
    void rowZeroIsAtTheTopAndDraggingDownShowsEarlierRows();
    void ctrlZoomsRowsShiftColumns();
    void doubleClickAndZeroReset();
    void theKeyboardReachesEveryCell();
    void linearAndLogScalesAreLabelledAndSwitch();
    void whatIsNotFiniteStandsOut();
    void aMatrixOfZerosIsToldInWords();
    void oneRowAndOneColumnAreDrawn();
    void theTabShowsTheErrorOfTheLayer();
    void memoryOfTilesIsBounded();
    void theCsvHoldsTheCellsInView();

private:
    QTemporaryDir m_folder;
};

void HeatMapPlotTest::initTestCase()
{
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

void HeatMapPlotTest::farAwayACellIsTheLargestOfItsElements()
{
    Bench bench(3000, 5000);
    bench.weights[1234 * 5000 + 4321] = -0.9F;  // one in fifteen million, and yet to be seen
    bench.show();
    QVERIFY(bench.plot.level().first >= 3 && bench.plot.level().second >= 2);
    QCOMPARE(bench.plot.tilesMissing(), 0);
    QVERIFY(std::fabs(bench.plot.colourRange().second - 0.9) < 1e-6);
    hover(bench.plot.canvas(), bench.plot.positionOf(1234, 4321));
    QVERIFY2(bench.plot.readout().contains(QStringLiteral("0.900")), qPrintable(bench.plot.readout()));
    QVERIFY(bench.plot.readout().contains(QStringLiteral("largest")));
}

void HeatMapPlotTest::zoomingInReachesSingleElements()
{
    Bench bench(3000, 5000);
    bench.show();
    const QPointF at = bench.plot.positionOf(1500, 2500);
    bench.wheel(at, 18);
    QCOMPARE(bench.plot.level(), (std::pair{0, 0}));
    QCOMPARE(bench.plot.tilesMissing(), 0);
    QVERIFY(bench.plot.tilesDrawn() <= 16);  // what is in view, not the matrix
    const auto columns = bench.plot.visibleColumns();
    QVERIFY(columns.first < 2500 && columns.second > 2500 && columns.second - columns.first < 400);
    bench.wheel(at, -40);
    QVERIFY(bench.plot.visibleColumns().first >= -0.051 * 5000);
    QVERIFY(bench.plot.visibleColumns().second <= 1.051 * 5000);
}

void HeatMapPlotTest::theCursorNamesRowColumnAndValue()
{
    Bench bench(64, 96);
    bench.show();
    QCOMPARE(bench.plot.level(), (std::pair{0, 0}));
    for (const auto& [row, column] : {std::pair{0, 0}, std::pair{63, 95}, std::pair{17, 50}}) {
        const auto r = static_cast<std::uint64_t>(row), c = static_cast<std::uint64_t>(column);
        hover(bench.plot.canvas(), bench.plot.positionOf(r, c));
        QCOMPARE(bench.plot.cursorElement(), std::optional(std::pair(r, c)));
        QVERIFY(bench.plot.readout().contains(QStringLiteral("row %1").arg(row)));
        QVERIFY(bench.plot.readout().contains(QStringLiteral("column %1").arg(column)));
        QVERIFY(bench.plot.readout().contains(ui::number3(static_cast<double>(bench.at(r, c)))));
    }
    hover(bench.plot.canvas(), QPoint(1, 1));
    QVERIFY(!bench.plot.cursorElement());
}

void HeatMapPlotTest::pixelsHaveTheColourOfTheirValue()
{
    Bench bench(8, 12);
    bench.show();
    const auto [lower, upper] = bench.plot.colourRange();
    const QImage image = bench.plot.canvas()->grab().toImage();
    const double ratio = image.devicePixelRatio();
    for (std::uint64_t row = 0; row < 8; ++row)
        for (std::uint64_t column = 0; column < 12; ++column) {
            const QPoint at = bench.plot.positionOf(row, column);
            const double value = bench.at(row, column);
            const double place
                = std::clamp((std::log2(value) - std::log2(lower)) / (std::log2(upper) - std::log2(lower)), 0.0, 1.0);
            const QColor wanted = ui::Theme::current().heatAt(place);
            const QColor found = image.pixelColor((QPointF(at) * ratio).toPoint());
            QVERIFY2(
                std::abs(wanted.red() - found.red()) <= 2 && std::abs(wanted.green() - found.green()) <= 2
                    && std::abs(wanted.blue() - found.blue()) <= 2,
                qPrintable(QStringLiteral("%1,%2: %3 for %4").arg(row).arg(column).arg(found.name(), wanted.name())));
        }
}

void HeatMapPlotTest::rowZeroIsAtTheTopAndDraggingDownShowsEarlierRows()
{
    Bench bench(2000, 2000);
    bench.show();
    QVERIFY(bench.plot.positionOf(0, 0).y() < bench.plot.positionOf(1999, 0).y());
    bench.wheel(bench.plot.positionOf(1000, 1000), 8);
    const auto before = bench.plot.visibleRows();
    QTest::mousePress(bench.plot.canvas(), Qt::LeftButton, {}, QPoint(300, 200));
    QTest::mouseMove(bench.plot.canvas(), QPoint(300, 260));
    QTest::mouseRelease(bench.plot.canvas(), Qt::LeftButton, {}, QPoint(300, 260));
    bench.settle();
    QVERIFY(bench.plot.visibleRows().first < before.first);
    QCOMPARE(bench.plot.tilesMissing(), 0);
}

void HeatMapPlotTest::ctrlZoomsRowsShiftColumns()
{
    Bench bench(1000, 1000);
    bench.show();
    const QPointF at = bench.plot.positionOf(500, 500);
    const auto columns = bench.plot.visibleColumns();
    bench.wheel(at, 3, Qt::ControlModifier);
    QCOMPARE(bench.plot.visibleColumns(), columns);
    const auto rows = bench.plot.visibleRows();
    QVERIFY(rows.second - rows.first < 600);
    bench.wheel(at, 3, Qt::ShiftModifier);
    QCOMPARE(bench.plot.visibleRows(), rows);
    QVERIFY(bench.plot.visibleColumns().second - bench.plot.visibleColumns().first < 600);
}

void HeatMapPlotTest::doubleClickAndZeroReset()
{
    Bench bench(1000, 1500);
    bench.show();
    const QPointF at = bench.plot.positionOf(500, 500);
    bench.wheel(at, 5);
    QTest::mouseDClick(bench.plot.canvas(), Qt::LeftButton, {}, at.toPoint());
    QCOMPARE(bench.plot.visibleColumns(), (std::pair{0.0, 1500.0}));
    bench.wheel(at, 5);
    QTest::keyClick(&bench.plot, Qt::Key_0);
    QCOMPARE(bench.plot.visibleRows(), (std::pair{0.0, 1000.0}));
}

void HeatMapPlotTest::theKeyboardReachesEveryCell()
{
    Bench bench(400, 600);
    bench.show();
    bench.plot.setFocus();
    for (int i = 0; i < 200; ++i) {
        QTest::keyClick(&bench.plot, Qt::Key_Up, Qt::ShiftModifier);
        QTest::keyClick(&bench.plot, Qt::Key_Left, Qt::ShiftModifier);
    }
    QCOMPARE(bench.plot.cursorElement(), std::optional(std::pair<std::uint64_t, std::uint64_t>(0, 0)));
    for (int i = 0; i < 6; ++i)
        QTest::keyClick(&bench.plot, Qt::Key_PageUp);
    bench.settle();
    QCOMPARE(bench.plot.level(), (std::pair{0, 0}));
    // The zoom changed what a cell is; the cursor begins anew within the view.
    for (int i = 0; i < 100; ++i) {
        QTest::keyClick(&bench.plot, Qt::Key_Up, Qt::ShiftModifier);
        QTest::keyClick(&bench.plot, Qt::Key_Left, Qt::ShiftModifier);
    }
    QTest::keyClick(&bench.plot, Qt::Key_Right);
    QTest::keyClick(&bench.plot, Qt::Key_Down);
    bench.settle();
    QCOMPARE(bench.plot.cursorElement(), std::optional(std::pair<std::uint64_t, std::uint64_t>(1, 1)));
    QVERIFY(bench.plot.readout().contains(ui::number3(static_cast<double>(bench.at(1, 1)))));
    // Walking right scrolls the view along.
    for (int i = 0; i < 70; ++i)
        QTest::keyClick(&bench.plot, Qt::Key_Right, Qt::ShiftModifier);
    bench.settle();
    QVERIFY(bench.plot.visibleColumns().second >= 561);
    QCOMPARE(bench.plot.tilesMissing(), 0);
}

void HeatMapPlotTest::linearAndLogScalesAreLabelledAndSwitch()
{
    Bench bench(100, 100);
    bench.show();
    QVERIFY(bench.plot.isLog());
    QVERIFY(bench.plot.colourRange().first > 0);
    bench.plot.setFocus();
    QTest::keyClick(&bench.plot, Qt::Key_L);
    QVERIFY(!bench.plot.isLog());
    QCOMPARE(bench.plot.colourRange().first, 0.0);
    QTest::keyClick(&bench.plot, Qt::Key_L);
    QVERIFY(bench.plot.isLog());
}

void HeatMapPlotTest::whatIsNotFiniteStandsOut()
{
    Bench bench(10, 10);
    bench.weights[33] = std::numeric_limits<float>::quiet_NaN();
    bench.show();
    const QImage image = bench.plot.canvas()->grab().toImage();
    const QPoint at = (QPointF(bench.plot.positionOf(3, 3)) * image.devicePixelRatio()).toPoint();
    QCOMPARE(image.pixelColor(at), ui::Theme::current().bad);
    hover(bench.plot.canvas(), bench.plot.positionOf(3, 3));
    QVERIFY2(bench.plot.readout().contains(QStringLiteral("NaN")), qPrintable(bench.plot.readout()));
}

void HeatMapPlotTest::aMatrixOfZerosIsToldInWords()
{
    Bench bench(20, 20);
    std::ranges::fill(bench.weights, 0.0F);
    bench.show();
    QCOMPARE(bench.plot.state(), ui::PlotFrame::State::Empty);
    QCOMPARE(bench.plot.message(), QStringLiteral("Every value is 0"));
}

void HeatMapPlotTest::oneRowAndOneColumnAreDrawn()
{
    for (const auto& [rows, cols] : {std::pair{1, 704}, std::pair{704, 1}, std::pair{1, 1}}) {
        Bench bench(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(cols));
        bench.show();
        QCOMPARE(bench.plot.tilesMissing(), 0);
        hover(bench.plot.canvas(), bench.plot.positionOf(bench.rows / 2, bench.cols / 2));
        QVERIFY(bench.plot.cursorElement().has_value());
    }
}

void HeatMapPlotTest::theTabShowsTheErrorOfTheLayer()
{
    const auto session = makeSession();
    ui::MainWindow window(*session, sampleFolder());
    window.resize(1440, 900);
    window.show();
    window.openSample();
    QVERIFY(QTest::qWaitFor([&] { return session->isOpen(); }, 20000));
    const std::size_t tensor = session->checkpoint()->find("model.layers.2.mlp.down_proj.weight").value();
    session->select({tensor}, tensor);
    QTabBar* bar = window.inspectPage()->tabs()->tabBar();
    QTest::mouseClick(bar, Qt::LeftButton, {}, bar->tabRect(3).center());
    HeatMapPlot* plot = window.inspectPage()->heatMap()->plot();
    const auto settled = [&] {
        return plot->state() == PlotFrame::State::Ready && plot->tilesDrawn() > 0 && plot->tilesMissing() == 0;
    };
    QVERIFY(QTest::qWaitFor(settled, 20000));
    const double largestWeight = plot->colourRange().second;
    QCOMPARE(largestWeight,
             std::max(session->values(tensor) ? std::fabs(session->values(tensor)->stats.max) : 0,
                      session->values(tensor) ? std::fabs(session->values(tensor)->stats.min) : 0));
    auto* quantities = plot->findChild<ui::SegmentedControl*>();
    QTest::mouseClick(quantities->button(static_cast<int>(HeatQuantity::E)), Qt::LeftButton);
    QVERIFY(QTest::qWaitFor([&] { return settled() && plot->colourRange().second < largestWeight; }, 20000));
    QCOMPARE(window.inspectPage()->heatMap()->analysis()->quantity(), HeatQuantity::E);
    // A kept layer has no error: the map goes back to W and says why.
    session->setKeep({tensor}, true);
    QVERIFY(QTest::qWaitFor([&] { return settled() && plot->colourRange().second == largestWeight; }, 20000));
    QVERIFY(!quantities->button(static_cast<int>(HeatQuantity::E))->isEnabled());
    QVERIFY(quantities->button(static_cast<int>(HeatQuantity::E))->toolTip().contains(QStringLiteral("kept")));
}

void HeatMapPlotTest::memoryOfTilesIsBounded()
{
    const auto session = makeSession();
    ui::HeatMapAnalysis analysis(*session);
    QVERIFY(openAndWait(*session, sampleFolder()));
    const std::size_t tensor = session->checkpoint()->find("model.embed_tokens.weight").value();
    session->select({tensor}, tensor);
    analysis.setWatched(true);
    QVERIFY(QTest::qWaitFor([&] { return analysis.overview() != nullptr; }, 20000));
    const auto view = *session->checkpoint()->view(tensor);
    std::size_t got = 0;
    connect(&analysis, &ui::HeatMapAnalysis::tilesReady, &analysis,
            [&](const std::vector<ui::HeatTile>& tiles) { got += tiles.size(); });
    std::size_t wanted = 0;
    // Every tile of every finer level, row by row, as a long walk would ask for them.
    for (int level = 0; level < 3; ++level) {
        const std::uint64_t across = (cellsAt(view.cols(), level) + 255) / 256,
                            down = (cellsAt(view.rows(), 0) + 255) / 256;
        for (std::uint64_t y = 0; y < down; ++y) {
            wanted += across;
            analysis.request({.levelX = level, .levelY = 0, .x = 0, .y = y, .width = across, .height = 1});
            QVERIFY(QTest::qWaitFor([&] { return got == wanted; }, 10000));
            QVERIFY(analysis.keptBytes() <= (std::size_t{64} << 20U));
        }
    }
    QVERIFY(wanted > 4);
    // A tile asked for again comes at once.
    analysis.request({.levelX = 0, .levelY = 0, .x = 0, .y = 0, .width = 1, .height = 1});
    QCOMPARE(got, wanted + 1);
}

void HeatMapPlotTest::theCsvHoldsTheCellsInView()
{
    Bench bench(7, 9);
    bench.show();
    const QStringList lines = bench.plot.dataAsCsv().split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    QCOMPARE(lines.size(), 2 + 7);
    QCOMPARE(lines.at(1), QStringLiteral("row\\column,0,1,2,3,4,5,6,7,8"));
    for (int row = 0; row < 7; ++row) {
        const QStringList fields = lines.at(2 + row).split(QLatin1Char(','));
        QCOMPARE(fields.size(), 10);
        for (int column = 0; column < 9; ++column)
            QVERIFY(fields.at(1 + column).toFloat()
                    == bench.at(static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(column)));
    }
}

QTEST_MAIN(HeatMapPlotTest)
#include "tst_heat_map_plot.moc"
