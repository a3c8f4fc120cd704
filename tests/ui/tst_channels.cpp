// SPDX-License-Identifier: GPL-3.0-or-later
// The Channels tab, with real mouse and keys.
#include "CutWords.h"
#include "StudioFixture.h"

#include "core/tensor/Decode.h"
#include "ui/panels/ChannelsPanel.h"
#include "ui/panels/HeatMapPanel.h"
#include "ui/panels/InspectPage.h"
#include "ui/plots/ChannelsPlot.h"
#include "ui/plots/HeatMapPlot.h"
#include "ui/session/ChannelAnalysis.h"
#include "ui/session/HeatMapAnalysis.h"
#include "ui/widgets/SegmentedControl.h"

#include <QComboBox>
#include <QDir>
#include <QFile>
#include <QSignalSpy>
#include <QTabBar>
#include <QTabWidget>
#include <QToolButton>
#include <QTreeView>
#include <QWheelEvent>

#include <cmath>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::ChannelsPlot;
using ui::PlotFrame;

namespace {

constexpr const char* kLayer = "model.layers.2.mlp.down_proj.weight";

/// A move of the pointer, to this very widget: which window lies under the pointer is not what is tested.
void hover(QWidget* canvas, const QPoint& at)
{
    QMouseEvent move(QEvent::MouseMove, QPointF(at), QPointF(canvas->mapToGlobal(at)), Qt::NoButton, Qt::NoButton,
                     Qt::NoModifier);
    QApplication::sendEvent(canvas, &move);
}

/// A plot draws when the event loop comes to it: waits until it has.
bool waitForDrawing(const ChannelsPlot& plot)
{
    QSignalSpy drawn(plot.canvas(), SIGNAL(afterReplot()));
    return drawn.wait(5000);
}

/// 100,000 channels of noise with three that stand out.
ui::ChannelsView manyChannels(std::size_t count = 100000)
{
    auto stats = std::make_shared<ChannelStats>();
    stats->rows = 16;
    stats->cols = count;
    const auto fill = [](ChannelSeries& series, std::size_t n, double size) {
        for (std::size_t i = 0; i < n; ++i) {
            const double wave
                = 1 + 0.3 * std::sin(static_cast<double>(i) * 1.7) + 0.1 * std::cos(static_cast<double>(i) * 0.013);
            series.absMax.push_back(4 * size * wave);
            series.rms.push_back(size * wave);
        }
    };
    fill(stats->inputs.w, count, 0.02);
    fill(stats->inputs.e, count, 0.001);
    fill(stats->outputs.w, 16, 0.02);
    fill(stats->outputs.e, 16, 0.001);
    for (const std::size_t i : {std::size_t{17}, count / 2, count - 1})
        stats->inputs.w.absMax[i] = 0.9 + 0.01 * static_cast<double>(i % 7);
    return {.stats = stats, .activation = {}, .plainReason = QStringLiteral("no calibration"), .errorReason = {}};
}

}  // namespace

class ChannelsTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup();

    void everyInputChannelHasItsOwnLargestAndRms();
    void theOutputsAreTheRows();
    void bySizeTheLargestComesFirst();
    void theCursorReadsTheChannelUnderThePointer();
    void arrowKeysGoFromChannelToChannel();
    void wheelZoomsDragPansDoubleClickResets();
    void aHundredThousandChannelsAreFewPointsAndQuick();
    void outliersAreListedAndAClickGoesThere();
    void withoutCalibrationThereIsNoInputSizeAndTheLegendSaysSo();
    void aKeptLayerHasNoErrorAndSaysSo();
    void anotherGridGreysTheCurvesUntilTheNewOnesAreThere();
    void aFileThatChangedIsRefused();
    void nothingIsComputedWhileTheTabIsHidden();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    void openLayer(const char* name = kLayer);
    [[nodiscard]] ui::ChannelsPanel* panel() const { return m_window->inspectPage()->channels(); }
    [[nodiscard]] ChannelsPlot* plot() const { return panel()->plot(); }
    void clickTab(int index);
    bool waitForChannels();

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void ChannelsTest::initTestCase()
{
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

void ChannelsTest::init()
{
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1440, 900);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
}

void ChannelsTest::cleanup()
{
    m_window.reset();
    m_session.reset();
}

void ChannelsTest::clickTab(int index)
{
    QTabBar* bar = m_window->inspectPage()->tabs()->tabBar();
    QTest::mouseClick(bar, Qt::LeftButton, {}, bar->tabRect(index).center());
}

bool ChannelsTest::waitForChannels()
{
    return QTest::qWaitFor(
        [this] { return plot()->state() == PlotFrame::State::Ready && panel()->analysis()->isCurrent(); }, 20000);
}

void ChannelsTest::openLayer(const char* name)
{
    m_window->openSample();
    QVERIFY(QTest::qWaitFor([this] { return m_session->isOpen(); }, 20000));
    const std::size_t tensor = m_session->checkpoint()->find(name).value();
    m_session->select({tensor}, tensor);
    clickTab(2);
    QVERIFY(plot()->isVisible());
    QVERIFY(waitForChannels());
    plot()->grab();
}

void ChannelsTest::everyInputChannelHasItsOwnLargestAndRms()
{
    openLayer();
    const auto view = *m_session->checkpoint()->view(*m_session->current());
    std::vector<float> weights(view.elements());
    QVERIFY(decodeRows(view, 0, view.rows(), weights).has_value());
    const QStringList lines = plot()->dataAsCsv().split(QLatin1Char('\n'), Qt::SkipEmptyParts);
    QCOMPARE(lines.size(), static_cast<qsizetype>(view.cols() + 1));
    for (const std::uint64_t j : {std::uint64_t{0}, view.cols() / 2, view.cols() - 1}) {
        double largest = 0, squares = 0;
        for (std::uint64_t i = 0; i < view.rows(); ++i) {
            const double w = weights[i * view.cols() + j];
            largest = std::max(largest, std::fabs(w));
            squares += w * w;
        }
        const QStringList fields = lines.at(static_cast<qsizetype>(j) + 1).split(QLatin1Char(','));
        QCOMPARE(fields.at(0).toULongLong(), static_cast<qulonglong>(j));
        QCOMPARE(fields.at(1).toDouble(), largest);
        QVERIFY(std::fabs(fields.at(2).toDouble() - std::sqrt(squares / static_cast<double>(view.rows()))) < 1e-12);
        QVERIFY(fields.at(4).toDouble() > 0 && fields.at(4).toDouble() < fields.at(2).toDouble());  // E < W
    }
}

void ChannelsTest::theOutputsAreTheRows()
{
    openLayer();
    QTRY_VERIFY(m_session->calibration() != nullptr);  // the sample brings its own
    QVERIFY(waitForChannels());
    QTRY_VERIFY(plot()->hasActivation());
    auto* sides = plot()->findChild<ui::SegmentedControl*>();
    QTest::mouseClick(sides->button(static_cast<int>(ChannelsPlot::Side::Outputs)), Qt::LeftButton);
    QCOMPARE(plot()->side(), ChannelsPlot::Side::Outputs);
    QTRY_VERIFY(!plot()->hasActivation());
    const auto view = *m_session->checkpoint()->view(*m_session->current());
    QCOMPARE(plot()->dataAsCsv().count(QLatin1Char('\n')), static_cast<qsizetype>(view.rows() + 1));
    QVERIFY(plot()->csv().startsWith(QStringLiteral("# tensor: ") + QLatin1String(kLayer)));
    QVERIFY(plot()->csv().contains(QStringLiteral("# units: output channels")));
}

void ChannelsTest::bySizeTheLargestComesFirst()
{
    openLayer();
    auto* orders = plot()->findChild<QComboBox*>();
    orders->setFocus();
    QTest::keyClick(orders, Qt::Key_Down);
    QTest::keyClick(orders, Qt::Key_Return);
    plot()->setOrder(static_cast<ChannelsPlot::Order>(orders->currentIndex()));
    QCOMPARE(plot()->order(), ChannelsPlot::Order::Sorted);
    plot()->grab();
    plot()->setFocus();
    QTest::keyClick(plot(), Qt::Key_Home);
    const std::uint64_t largest = plot()->cursorChannel().value();
    double most = 0;
    std::uint64_t expected = 0;
    const auto& values = panel()->analysis()->result()->stats->inputs.w.absMax;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] > most) {
            most = values[i];
            expected = i;
        }
    QCOMPARE(largest, expected);
}

void ChannelsTest::theCursorReadsTheChannelUnderThePointer()
{
    openLayer();
    for (const std::uint64_t channel : {std::uint64_t{3}, std::uint64_t{101}}) {
        hover(plot()->canvas(), plot()->positionOf(channel));
        QVERIFY(plot()->cursorChannel().has_value());
        const auto at = *plot()->cursorChannel();
        QVERIFY(at >= channel - 1 && at <= channel + 1);  // two channels may share a pixel
        QVERIFY2(plot()->readout().contains(QStringLiteral("channel %1").arg(at)), qPrintable(plot()->readout()));
    }
    hover(plot()->canvas(), QPoint(2, 2));
    QVERIFY(!plot()->cursorChannel().has_value());
}

void ChannelsTest::arrowKeysGoFromChannelToChannel()
{
    openLayer();
    plot()->setFocus();
    QTest::keyClick(plot(), Qt::Key_Home);
    QCOMPARE(plot()->cursorChannel(), std::optional<std::uint64_t>(0));
    QTest::keyClick(plot(), Qt::Key_Right);
    QTest::keyClick(plot(), Qt::Key_Right, Qt::ShiftModifier);
    QCOMPARE(plot()->cursorChannel(), std::optional<std::uint64_t>(9));
    QTest::keyClick(plot(), Qt::Key_Left);
    QCOMPARE(plot()->cursorChannel(), std::optional<std::uint64_t>(8));
    QTest::keyClick(plot(), Qt::Key_Left, Qt::ShiftModifier);
    QTest::keyClick(plot(), Qt::Key_Left);
    QCOMPARE(plot()->cursorChannel(), std::optional<std::uint64_t>(0));
    QTest::keyClick(plot(), Qt::Key_End);
    QCOMPARE(plot()->cursorChannel(), std::optional<std::uint64_t>(panel()->analysis()->result()->stats->cols - 1));
}

void ChannelsTest::wheelZoomsDragPansDoubleClickResets()
{
    openLayer();
    QWidget* canvas = plot()->canvas();
    const auto all = plot()->visibleRange();
    const QPointF middle(canvas->width() / 2.0, canvas->height() / 3.0);
    QWheelEvent wheel(middle, canvas->mapToGlobal(middle), {}, {0, 720}, Qt::NoButton, Qt::NoModifier,
                      Qt::NoScrollPhase, false);
    QApplication::sendEvent(canvas, &wheel);
    const auto zoomed = plot()->visibleRange();
    QVERIFY(zoomed.second - zoomed.first < 0.4 * (all.second - all.first));
    QTest::mousePress(canvas, Qt::LeftButton, {}, middle.toPoint());
    QTest::mouseMove(canvas, middle.toPoint() - QPoint(60, 0));
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, middle.toPoint() - QPoint(60, 0));
    const auto panned = plot()->visibleRange();
    QVERIFY(panned.first > zoomed.first);
    QVERIFY(std::fabs((panned.second - panned.first) - (zoomed.second - zoomed.first)) < 1e-6);
    QTest::mouseDClick(canvas, Qt::LeftButton, {}, middle.toPoint());
    QCOMPARE(plot()->visibleRange(), all);
}

void ChannelsTest::aHundredThousandChannelsAreFewPointsAndQuick()
{
    ChannelsPlot alone;
    alone.resize(900, 600);
    alone.QWidget::show();
    alone.show(manyChannels());
    QVERIFY(waitForDrawing(alone));
    QVERIFY2(alone.pointCount() <= 2 * alone.canvas()->width() + 2, qPrintable(QString::number(alone.pointCount())));
    QVERIFY(alone.pointCount() > alone.canvas()->width() / 2);
    // Zoomed in, what is out of view is not handed over either.
    alone.setFocus();
    for (int i = 0; i < 12; ++i) {
        const QPointF at(450, 200);
        QWheelEvent wheel(at, alone.canvas()->mapToGlobal(at), {}, {0, 120}, Qt::NoButton, Qt::NoModifier,
                          Qt::NoScrollPhase, false);
        QApplication::sendEvent(alone.canvas(), &wheel);
    }
    QVERIFY(waitForDrawing(alone));
    QVERIFY(alone.pointCount() > 0 && alone.pointCount() <= 2 * alone.canvas()->width() + 2);
    // Each outlier is still drawn: its peak is the largest of its pixel column.
    alone.resetZoom();
    alone.goTo(50000);
    QVERIFY(alone.readout().contains(QStringLiteral("W ×")));
}

void ChannelsTest::outliersAreListedAndAClickGoesThere()
{
    // The sample with one loud column: 32.0 is far beyond every other weight.
    const QString copy = copySample(m_folder.filePath(QStringLiteral("loud")));
    const auto original = Checkpoint::open(sampleFolder().toStdString());
    const std::size_t tensor = (*original)->find(kLayer).value();
    const TensorInfo& stored = (*original)->tensors()[tensor];
    QFile file(copy + QStringLiteral("/model.safetensors"));
    QVERIFY(file.open(QIODevice::ReadWrite));
    QVERIFY(file.seek(static_cast<qint64>(stored.offset) + 2 * 77));
    QCOMPARE(file.write("\x00\x42", 2), qint64{2});
    file.close();
    m_window->resize(1600, 900);
    m_window->openPath(copy);
    QVERIFY(QTest::qWaitFor([this] { return m_session->isOpen(); }, 20000));
    m_session->select({tensor}, tensor);
    clickTab(2);
    QVERIFY(waitForChannels());
    QVERIFY(!plot()->outliers().empty());
    QCOMPARE(plot()->outliers().front().channel.channel, std::uint64_t{77});
    QTreeView* list = panel()->list();
    QVERIFY(list->isVisible());
    QCOMPARE(list->model()->index(0, 0).data().toString(), QStringLiteral("77"));
    QTest::mouseClick(list->viewport(), Qt::LeftButton, {}, list->visualRect(list->model()->index(0, 0)).center());
    QCOMPARE(plot()->cursorChannel(), std::optional<std::uint64_t>(77));
    const QStringList line = plot()->dataAsCsv().split(QLatin1Char('\n')).at(78).split(QLatin1Char(','));
    QVERIFY(line.last().startsWith(QLatin1Char('W')));
    QCOMPARE(line.at(1).toDouble(), 32.0);
}

void ChannelsTest::withoutCalibrationThereIsNoInputSizeAndTheLegendSaysSo()
{
    ChannelsPlot alone;
    alone.resize(900, 600);
    alone.QWidget::show();
    alone.show(manyChannels(500));
    QVERIFY(waitForDrawing(alone));
    QVERIFY(!alone.hasActivation());
    bool isSaid = false;
    for (const QToolButton* button : alone.findChildren<QToolButton*>())
        isSaid = isSaid || (!button->isEnabled() && button->text().contains(QStringLiteral("no calibration")));
    QVERIFY(isSaid);
}

void ChannelsTest::aKeptLayerHasNoErrorAndSaysSo()
{
    openLayer();
    const std::size_t tensor = *m_session->current();
    m_session->setKeep({tensor}, true);
    QVERIFY(waitForChannels());
    bool isSaid = false;
    for (const QToolButton* button : plot()->findChildren<QToolButton*>())
        isSaid = isSaid
            || (button->text() == QLatin1String("E") && !button->isEnabled()
                && button->toolTip().contains(QStringLiteral("kept")));
    QVERIFY(isSaid);
    QVERIFY(plot()->dataAsCsv().split(QLatin1Char('\n')).at(1).split(QLatin1Char(',')).at(3).isEmpty());
}

void ChannelsTest::anotherGridGreysTheCurvesUntilTheNewOnesAreThere()
{
    openLayer();
    const QString before = plot()->dataAsCsv();
    m_session->setBits({*m_session->current()}, 8);
    QCOMPARE(plot()->state(), PlotFrame::State::Stale);
    QCOMPARE(plot()->dataAsCsv(), before);  // never blanked
    QVERIFY(waitForChannels());
    QVERIFY(plot()->dataAsCsv() != before);
    // Back to the grid before: known already, so at once.
    m_session->undoStack().undo();
    QCOMPARE(plot()->state(), PlotFrame::State::Ready);
    QCOMPARE(plot()->dataAsCsv(), before);
    // A rank alone changes nothing of it.
    m_session->setRank({*m_session->current()}, 7);
    QCOMPARE(plot()->state(), PlotFrame::State::Ready);
}

void ChannelsTest::aFileThatChangedIsRefused()
{
    const QString copy = copySample(m_folder.filePath(QStringLiteral("changing")));
    m_window->openPath(copy);
    QVERIFY(openAndWait(*m_session, copy));
    QFile file(copy + QStringLiteral("/model.safetensors"));
    QVERIFY(file.open(QIODevice::Append));
    QCOMPARE(file.write("more"), qint64{4});
    file.close();
    clickTab(2);
    QVERIFY(QTest::qWaitFor([this] { return plot()->state() == PlotFrame::State::Failed; }, 10000));
    QVERIFY(plot()->message().contains(QStringLiteral("model.safetensors")));
}

void ChannelsTest::nothingIsComputedWhileTheTabIsHidden()
{
    openLayer();
    clickTab(1);
    const std::size_t other = m_session->checkpoint()->find("model.layers.1.mlp.down_proj.weight").value();
    m_session->select({other}, other);
    QVERIFY(!panel()->analysis()->isRunning());
    QVERIFY(panel()->analysis()->result() == nullptr);
    clickTab(2);
    QVERIFY(waitForChannels());
    QVERIFY(plot()->csv().contains(QStringLiteral("model.layers.1.mlp.down_proj.weight")));
}

void ChannelsTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::addColumn<QSize>("size");
    QTest::newRow("dark 1280") << true << QSize(1280, 720);
    QTest::newRow("light 1280") << false << QSize(1280, 720);
    QTest::newRow("dark 1440") << true << QSize(1440, 900);
}

/// Kept for people to look at; what is asserted is that no word of a header is cut.
void ChannelsTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    QFETCH(QSize, size);
    ui::applyTheme(*qApp, dark ? ui::Appearance::Dark : ui::Appearance::Light);
    m_window->resize(size);
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    const auto keep = [&](const char* name) {
        QTest::qWait(80);  // queued replots and tiles
        QVERIFY(m_window->grab().save(
            folder.filePath(QStringLiteral("%1-%2-%3-%4.png")
                                .arg(QLatin1String(name), dark ? QStringLiteral("dark") : QStringLiteral("light"))
                                .arg(size.width())
                                .arg(qApp->devicePixelRatio()))));
        const QStringList cut = cutWords(*m_window);
        QVERIFY2(cut.isEmpty(), qPrintable(cut.join(QStringLiteral(" | "))));
        QCOMPARE(m_window->size(), size);  // nothing pushed the window wider
    };
    openLayer();
    hover(plot()->canvas(), plot()->positionOf(301));
    keep("channels-inputs");
    plot()->setSide(ChannelsPlot::Side::Outputs);
    plot()->setOrder(ChannelsPlot::Order::Sorted);
    keep("channels-outputs");
    clickTab(3);
    auto* heat = m_window->inspectPage()->heatMap()->plot();
    QVERIFY(QTest::qWaitFor([&] { return heat->state() == PlotFrame::State::Ready && heat->tilesDrawn() > 0; }, 20000));
    hover(heat->canvas(), heat->positionOf(100, 200));
    keep("heat-map");
    m_window->inspectPage()->heatMap()->analysis()->setQuantity(HeatQuantity::E);
    const QPointF at = heat->positionOf(120, 300);
    QVERIFY(QTest::qWaitFor([&] { return heat->state() == PlotFrame::State::Ready && heat->tilesDrawn() > 0; }, 20000));
    for (int i = 0; i < 11; ++i) {
        QWheelEvent wheel(at, heat->canvas()->mapToGlobal(at), {}, {0, 120}, Qt::NoButton, Qt::NoModifier,
                          Qt::NoScrollPhase, false);
        QApplication::sendEvent(heat->canvas(), &wheel);
    }
    QTest::qWait(100);
    hover(heat->canvas(), at.toPoint());
    keep("heat-map-near");
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

QTEST_MAIN(ChannelsTest)
#include "tst_channels.moc"
