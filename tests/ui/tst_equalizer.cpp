// SPDX-License-Identifier: GPL-3.0-or-later
// The Equalizer by itself, with real mouse and keys: what is drawn where, and which wish a gesture becomes.
#include "ui/Theme.h"
#include "ui/plots/EqualizerLayout.h"
#include "ui/plots/EqualizerPlot.h"

#include <QApplication>
#include <QDir>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <QWheelEvent>

#include <cmath>

using namespace sigmascope::ui;

namespace {

constexpr std::uint32_t kWidths = 1U << 2U | 1U << 3U | 1U << 4U | 1U << 5U | 1U << 6U | 1U << 8U;

/// Blocks of q k v o gate up down; every figure follows from the place.
EqualizerView model(int blocks)
{
    EqualizerView view;
    view.axisName = QStringLiteral("Block, in depth order; in each block q k v o gate up down");
    for (int block = 0; block < blocks; ++block) {
        view.groups.push_back(QString::number(block));
        for (int role = 0; role < 7; ++role) {
            EqualizerColumn column;
            column.tensor = view.columns.size();
            column.group = block;
            column.part = role < 4 ? 0 : 1;
            column.fused = role < 3 ? 2 * block : role == 4 || role == 5 ? 2 * block + 1 : -1;
            column.isKept = false;
            column.bits = role == 4 && block % 3 == 0 ? 3 : role == 6 && block == 1 ? 6 : block % 5 == 2 ? 5 : 4;
            column.rank = std::array{8, 16, 24, 32, 48, 0, 12}[static_cast<std::size_t>((role + block) % 7)];
            column.maxRank = 4096;
            column.widths = kWidths;
            column.isPinned = role == 6 && block == 1;
            column.isMeasured = block % 2 == 0;
            if (block % 4 != 3)
                column.error = 0.02F + 0.012F * static_cast<float>((role * 5 + block * 3) % 8);
            view.columns.push_back(column);
        }
    }
    return view;
}

}  // namespace

class EqualizerTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void init();
    void cleanup() { m_plot.reset(); }

    void columnsStandOnWholePixelsWithWiderGapsBetweenBlocks();
    void belowThreePixelsTheColumnsScroll();
    void aClickSelectsALayer();
    void aDragOnTheGroundSelectsARange();
    void shiftAndControlExtendTheSelection();
    void draggingABarTopChangesBits();
    void draggingATickChangesRankWithoutAJump();
    void aClickOnAHandleOnlySelects();
    void aRangeMovesTogetherButPinsStay();
    void theHandMovesAPinnedLayer();
    void fusedLayersMoveTogetherWhereTheyMust();
    void escapeGivesTheGestureUp();
    void keysWalkLayersAndBlocks();
    void keysChangeBitsRankAndPins();
    void theAxesStayPutDuringADrag();
    void theBubbleIsAskedForByHovering();
    void theWheelZoomsAboutThePointer();
    void pictureAndDataCanBeSaved();
    void hundredThousandTensorsScroll();
    void screenshotsOfBothThemes_data();
    void screenshotsOfBothThemes();

private:
    [[nodiscard]] const EqualizerLayout& geometry() const { return m_plot->geometryOf(); }
    /// Presses at @p from and moves to @p to in steps, without letting go.
    void drag(const QPoint& from, const QPoint& to, Qt::KeyboardModifiers modifiers = {})
    {
        QTest::mousePress(m_plot.get(), Qt::LeftButton, modifiers, from);
        for (int step = 1; step <= 6; ++step)
            move(from + (to - from) * step / 6, modifiers);
    }
    void move(const QPoint& to, Qt::KeyboardModifiers modifiers = {})
    {
        QMouseEvent event(QEvent::MouseMove, to, m_plot->mapToGlobal(to), Qt::NoButton, Qt::LeftButton, modifiers);
        QCoreApplication::sendEvent(m_plot.get(), &event);
    }
    void release(const QPoint& at) { QTest::mouseRelease(m_plot.get(), Qt::LeftButton, {}, at); }
    void followSelection()
    {
        connect(m_plot.get(), &EqualizerPlot::selectionWished, m_plot.get(),
                [this](const std::vector<int>& columns, int current) { m_plot->setSelection(columns, current); });
    }
    [[nodiscard]] QPoint ground(int column) const
    {
        return {m_plot->barTop(column).x(), geometry().bits().top() + 4};
    }
    std::unique_ptr<EqualizerPlot> m_plot;
};

void EqualizerTest::initTestCase()
{
    installFonts();
    applyTheme(*qApp, Appearance::Dark);
    qRegisterMetaType<std::vector<int>>();
}

void EqualizerTest::init()
{
    m_plot = std::make_unique<EqualizerPlot>();
    m_plot->resize(1100, 390);
    m_plot->show(model(12));
    m_plot->QWidget::show();
    QVERIFY(QTest::qWaitForWindowExposed(m_plot.get()));
}

void EqualizerTest::columnsStandOnWholePixelsWithWiderGapsBetweenBlocks()
{
    QVERIFY(!geometry().isScrolling());
    const int pitch = geometry().pitch();
    QVERIFY(pitch >= 3);
    QCOMPARE(geometry().slotLeft(1) - geometry().slotLeft(0), pitch);
    QVERIFY(geometry().slotLeft(4) - geometry().slotLeft(3) > pitch);  // attention | MLP
    QVERIFY(geometry().slotLeft(7) - geometry().slotLeft(6) >= pitch + 5);  // block | block
    for (int column = 0; column < 84; ++column) {
        QCOMPARE(geometry().columnAt(m_plot->barTop(column).x()), column);
        QVERIFY(geometry().slotLeft(column) >= geometry().rank().left());
    }
    QVERIFY(geometry().slotLeft(83) + pitch <= geometry().rank().right() + 1);
    // Bits start at 0 and are linear.
    QCOMPARE(geometry().yOfBits(0), geometry().bits().bottom() + 1);
    QVERIFY(
        std::abs((geometry().yOfBits(0) - geometry().yOfBits(4)) * 2 - (geometry().yOfBits(0) - geometry().yOfBits(8)))
        <= 1);
    // Of equal ratio, equal steps.
    QVERIFY(
        std::abs((geometry().yOfRank(7) - geometry().yOfRank(15)) - (geometry().yOfRank(31) - geometry().yOfRank(63)))
        <= 1);
}

void EqualizerTest::belowThreePixelsTheColumnsScroll()
{
    m_plot->show(model(80));
    QVERIFY(geometry().isScrolling());
    QCOMPARE(geometry().pitch(), 3);
    QVERIFY(!geometry().overview().isEmpty());
    QCOMPARE(geometry().scroll(), 0);
    // The band below leads anywhere.
    const QRect band = geometry().overview();
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, {}, band.center());
    QVERIFY(std::abs(geometry().scroll() - geometry().maxScroll() / 2) < 40);
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, {}, QPoint(band.right(), band.center().y()));
    QCOMPARE(geometry().scroll(), geometry().maxScroll());
    followSelection();
    m_plot->setFocus();
    QTest::keyClick(m_plot.get(), Qt::Key_Home);
    QCOMPARE(m_plot->current(), std::optional(0));
    QCOMPARE(geometry().scroll(), 0);
}

void EqualizerTest::aClickSelectsALayer()
{
    QSignalSpy wished(m_plot.get(), &EqualizerPlot::selectionWished);
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, {}, ground(9));
    QCOMPARE(wished.count(), 1);
    QCOMPARE(wished[0][0].value<std::vector<int>>(), std::vector<int>{9});
    QCOMPARE(wished[0][1].toInt(), 9);
}

void EqualizerTest::aDragOnTheGroundSelectsARange()
{
    QSignalSpy wished(m_plot.get(), &EqualizerPlot::selectionWished);
    QSignalSpy started(m_plot.get(), &EqualizerPlot::gestureStarted);
    drag(ground(20), ground(14));
    QCOMPARE(wished.count(), 0);  // only the release decides
    release(ground(14));
    QCOMPARE(wished.count(), 1);
    QCOMPARE(wished[0][0].value<std::vector<int>>(), (std::vector<int>{14, 15, 16, 17, 18, 19, 20}));
    QCOMPARE(wished[0][1].toInt(), 20);
    QCOMPARE(started.count(), 0);
}

void EqualizerTest::shiftAndControlExtendTheSelection()
{
    followSelection();
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, {}, ground(10));
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, Qt::ShiftModifier, ground(13));
    QCOMPARE(m_plot->selection(), (std::vector<int>{10, 11, 12, 13}));
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, Qt::ControlModifier, ground(30));
    QCOMPARE(m_plot->selection(), (std::vector<int>{10, 11, 12, 13, 30}));
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, Qt::ControlModifier, ground(11));
    QCOMPARE(m_plot->selection(), (std::vector<int>{10, 12, 13, 30}));
}

void EqualizerTest::draggingABarTopChangesBits()
{
    followSelection();
    QSignalSpy started(m_plot.get(), &EqualizerPlot::gestureStarted);
    QSignalSpy dragged(m_plot.get(), &EqualizerPlot::bitsDragged);
    QSignalSpy finished(m_plot.get(), &EqualizerPlot::gestureFinished);
    const QPoint top = m_plot->barTop(9);
    QCOMPARE(m_plot->handleAt(top), EqualizerPlot::Handle::Bits);
    drag(top, QPoint(top.x(), m_plot->yForBits(6)));
    QCOMPARE(started[0][0].value<std::vector<int>>(), std::vector<int>{9});
    QCOMPARE(dragged.last()[0].toInt(), 2);  // 4 -> 6
    // Between widths the nearest is taken: 7 is none.
    move(QPoint(top.x(), m_plot->yForBits(7.4)));
    QCOMPARE(dragged.last()[0].toInt(), 4);  // 8
    move(top);
    QCOMPARE(dragged.last()[0].toInt(), 0);
    release(top);
    QCOMPARE(finished.count(), 1);
    QCOMPARE(m_plot->selection(), std::vector<int>{9});
}

void EqualizerTest::draggingATickChangesRankWithoutAJump()
{
    QSignalSpy dragged(m_plot.get(), &EqualizerPlot::rankDragged);
    const QPoint tick = m_plot->tick(9);
    const int rank = m_plot->view().columns[9].rank;
    QCOMPARE(m_plot->handleAt(tick), EqualizerPlot::Handle::Rank);
    // Grabbed three pixels off: nothing happens until the pointer moves, and the offset stays.
    const QPoint grab = tick + QPoint(0, 3);
    drag(grab, grab + QPoint(0, m_plot->yForRank(100) - tick.y()));
    const double octaves = dragged.last()[0].toDouble();
    const double reached = std::exp2(std::log2(1.0 + rank) + octaves) - 1;
    QVERIFY2(std::fabs(reached - 100) < 6, qPrintable(QString::number(reached)));
    QCOMPARE(dragged.last()[1].toInt(), 1);
    move(grab, {});
    QCOMPARE(dragged.last()[0].toDouble(), 0.0);
    // With Shift to multiples of 8.
    move(grab + QPoint(0, m_plot->yForRank(100) - tick.y()), Qt::ShiftModifier);
    QCOMPARE(dragged.last()[1].toInt(), 8);
    const double snapped = std::exp2(std::log2(1.0 + rank) + dragged.last()[0].toDouble()) - 1;
    QVERIFY(std::fabs(snapped / 8 - std::round(snapped / 8)) < 1e-6);
    release(grab);
}

void EqualizerTest::aClickOnAHandleOnlySelects()
{
    followSelection();
    QSignalSpy started(m_plot.get(), &EqualizerPlot::gestureStarted);
    QTest::mouseClick(m_plot.get(), Qt::LeftButton, {}, m_plot->barTop(4));
    QCOMPARE(m_plot->selection(), std::vector<int>{4});
    QCOMPARE(started.count(), 0);
}

void EqualizerTest::aRangeMovesTogetherButPinsStay()
{
    followSelection();
    drag(ground(11), ground(15));  // 13 is block 1's down_proj, pinned
    release(ground(15));
    QVERIFY(m_plot->view().columns[13].isPinned);
    QSignalSpy started(m_plot.get(), &EqualizerPlot::gestureStarted);
    const QPoint top = m_plot->barTop(14);
    drag(top, top - QPoint(0, 30));
    release(top - QPoint(0, 30));
    QCOMPARE(started[0][0].value<std::vector<int>>(), (std::vector<int>{14, 11, 12, 15}));
    QCOMPARE(m_plot->selection().size(), std::size_t(5));
}

void EqualizerTest::theHandMovesAPinnedLayer()
{
    QSignalSpy started(m_plot.get(), &EqualizerPlot::gestureStarted);
    const QPoint top = m_plot->barTop(13);
    drag(top, top + QPoint(0, 30));
    release(top);
    QCOMPARE(started[0][0].value<std::vector<int>>(), std::vector<int>{13});
}

void EqualizerTest::fusedLayersMoveTogetherWhereTheyMust()
{
    QSignalSpy started(m_plot.get(), &EqualizerPlot::gestureStarted);
    const auto dragUp = [&](int column) {
        const QPoint top = m_plot->barTop(column);
        drag(top, top - QPoint(0, 30));
        release(top);
    };
    dragUp(8);  // k of block 1
    QCOMPARE(started.last()[0].value<std::vector<int>>(), std::vector<int>{8});
    m_plot->setFusedTogether(true);
    dragUp(8);
    QCOMPARE(started.last()[0].value<std::vector<int>>(), (std::vector<int>{8, 7, 9}));
    dragUp(11);  // gate
    QCOMPARE(started.last()[0].value<std::vector<int>>(), (std::vector<int>{11, 12}));
    dragUp(10);  // o stands alone
    QCOMPARE(started.last()[0].value<std::vector<int>>(), std::vector<int>{10});
}

void EqualizerTest::escapeGivesTheGestureUp()
{
    m_plot->setFocus();
    QSignalSpy cancelled(m_plot.get(), &EqualizerPlot::gestureCancelled);
    QSignalSpy finished(m_plot.get(), &EqualizerPlot::gestureFinished);
    QSignalSpy dragged(m_plot.get(), &EqualizerPlot::bitsDragged);
    const QPoint top = m_plot->barTop(9);
    drag(top, top - QPoint(0, 60));
    QTest::keyClick(m_plot.get(), Qt::Key_Escape);
    QCOMPARE(cancelled.count(), 1);
    const auto moves = dragged.count();
    move(top - QPoint(0, 20));
    release(top - QPoint(0, 20));
    QCOMPARE(dragged.count(), moves);  // the rest of the press is nobody's
    QCOMPARE(finished.count(), 0);
}

void EqualizerTest::keysWalkLayersAndBlocks()
{
    followSelection();
    m_plot->setFocus();
    m_plot->setSelection({9}, 9);
    QTest::keyClick(m_plot.get(), Qt::Key_Right);
    QCOMPARE(m_plot->current(), std::optional(10));
    QTest::keyClick(m_plot.get(), Qt::Key_Left, Qt::ShiftModifier);
    QTest::keyClick(m_plot.get(), Qt::Key_Left, Qt::ShiftModifier);
    QCOMPARE(m_plot->selection(), (std::vector<int>{8, 9, 10}));
    QTest::keyClick(m_plot.get(), Qt::Key_Right, Qt::ControlModifier);
    QCOMPARE(m_plot->current(), std::optional(15));  // the same role, a block deeper
    QTest::keyClick(m_plot.get(), Qt::Key_Left, Qt::ControlModifier);
    QCOMPARE(m_plot->current(), std::optional(8));
    QTest::keyClick(m_plot.get(), Qt::Key_End);
    QCOMPARE(m_plot->current(), std::optional(83));
    QTest::keyClick(m_plot.get(), Qt::Key_Right);
    QCOMPARE(m_plot->current(), std::optional(83));
}

void EqualizerTest::keysChangeBitsRankAndPins()
{
    m_plot->setFocus();
    m_plot->setSelection({12, 13, 14}, 12);
    QSignalSpy bits(m_plot.get(), &EqualizerPlot::bitsStepped);
    QSignalSpy chosen(m_plot.get(), &EqualizerPlot::bitsChosen);
    QSignalSpy rank(m_plot.get(), &EqualizerPlot::rankStepped);
    QSignalSpy pin(m_plot.get(), &EqualizerPlot::pinToggled);
    QTest::keyClick(m_plot.get(), Qt::Key_Up);
    QTest::keyClick(m_plot.get(), Qt::Key_Down);
    QCOMPARE(bits[0][0].value<std::vector<int>>(), (std::vector<int>{12, 14}));  // 13 is pinned
    QCOMPARE(bits[0][1].toInt(), 1);
    QCOMPARE(bits[1][1].toInt(), -1);
    QTest::keyClick(m_plot.get(), Qt::Key_5);
    QCOMPARE(chosen[0][1].toInt(), 5);
    QTest::keyClick(m_plot.get(), Qt::Key_Plus);
    QTest::keyClick(m_plot.get(), Qt::Key_Minus);
    QTest::keyClick(m_plot.get(), Qt::Key_Minus, Qt::ShiftModifier);
    QCOMPARE(rank[0][1].toInt(), 1);
    QCOMPARE(rank[1][1].toInt(), -1);
    QCOMPARE(rank[2][1].toInt(), -8);
    QTest::keyClick(m_plot.get(), Qt::Key_Space);
    QCOMPARE(pin[0][0].value<std::vector<int>>(), (std::vector<int>{12, 13, 14}));  // pins are set and lifted alike
}

void EqualizerTest::theAxesStayPutDuringADrag()
{
    const double top = geometry().rankTop();
    const QPoint tick = m_plot->tick(9);
    drag(tick, QPoint(tick.x(), geometry().rank().top()));
    EqualizerColumn raised = m_plot->view().columns[9];
    raised.rank = 128;
    m_plot->update({{9, raised}});
    QCOMPARE(geometry().rankTop(), top);
    release(QPoint(tick.x(), geometry().rank().top()));
    QVERIFY(geometry().rankTop() >= 4 * 128);  // and have room again afterwards
}

void EqualizerTest::theBubbleIsAskedForByHovering()
{
    QSignalSpy wanted(m_plot.get(), &EqualizerPlot::bubbleWanted);
    QTest::mouseMove(m_plot.get(), ground(30));
    QTRY_COMPARE(m_plot->hovered(), std::optional(30));
    QCOMPARE(wanted.last()[0].toInt(), 30);
    m_plot->setBubble({QStringLiteral("Block 4 · v_proj"), QStringLiteral("2.40 MiB"), QStringLiteral("4 bits")});
    QCOMPARE(m_plot->bubble().title, QStringLiteral("Block 4 · v_proj"));
    QEvent leave(QEvent::Leave);
    QCoreApplication::sendEvent(m_plot.get(), &leave);
    QVERIFY(!m_plot->hovered());
    QVERIFY(m_plot->bubble().title.isEmpty());
}

void EqualizerTest::theWheelZoomsAboutThePointer()
{
    const QPoint at(m_plot->barTop(40));
    const int pitch = geometry().pitch();
    const auto wheel = [&](int delta) {
        QWheelEvent event(at, m_plot->mapToGlobal(at), {}, QPoint(0, delta), Qt::NoButton, {}, Qt::NoScrollPhase,
                          false);
        QCoreApplication::sendEvent(m_plot.get(), &event);
    };
    wheel(120);
    wheel(120);
    wheel(120);
    QVERIFY(geometry().pitch() > pitch);
    QVERIFY(geometry().isScrolling());
    QVERIFY(std::abs(m_plot->barTop(40).x() - at.x()) <= geometry().pitch());
    m_plot->setFocus();
    QTest::keyClick(m_plot.get(), Qt::Key_0);
    QCOMPARE(geometry().pitch(), pitch);
}

void EqualizerTest::pictureAndDataCanBeSaved()
{
    const QTemporaryDir folder;
    for (const char* name : {"a.png", "a.svg", "a.csv"})
        QVERIFY(m_plot->saveAs(folder.filePath(QLatin1String(name))));
    QFile csv(folder.filePath(QStringLiteral("a.csv")));
    QVERIFY(csv.open(QIODevice::ReadOnly));
    QCOMPARE(csv.readAll().count('\n'), qsizetype(1 + 84));
    QFile svg(folder.filePath(QStringLiteral("a.svg")));
    QVERIFY(svg.open(QIODevice::ReadOnly));
    QVERIFY(svg.readAll().contains("Block, in depth order"));
    QVERIFY(!QImage(folder.filePath(QStringLiteral("a.png"))).isNull());
    QSignalSpy failed(m_plot.get(), &EqualizerPlot::saveFailed);
    QVERIFY(!m_plot->saveAs(QStringLiteral("/nowhere/at/all.png")));
    QCOMPARE(failed.count(), 1);
}

void EqualizerTest::hundredThousandTensorsScroll()
{
    m_plot->show(model(14300));
    QVERIFY(geometry().isScrolling());
    constexpr int kFrames = 20;
    const QRect band = geometry().overview();
    for (int i = 0; i < kFrames; ++i) {
        const QPoint at(band.left() + band.width() * i / kFrames, band.center().y());
        QTest::mouseClick(m_plot.get(), Qt::LeftButton, {}, at);
        QTest::mouseMove(m_plot.get(), QPoint(400 + i, 100));
        m_plot->repaint();
    }
    QVERIFY(geometry().scroll() > geometry().maxScroll() / 2);
}

void EqualizerTest::screenshotsOfBothThemes_data()
{
    QTest::addColumn<bool>("dark");
    QTest::newRow("dark") << true;
    QTest::newRow("light") << false;
}

void EqualizerTest::screenshotsOfBothThemes()
{
    QFETCH(bool, dark);
    applyTheme(*qApp, dark ? Appearance::Dark : Appearance::Light);
    const QDir folder(QStringLiteral(SIGMASCOPE_BINARY_DIR "/screenshots"));
    QVERIFY(QDir().mkpath(folder.path()));
    const QString suffix = QStringLiteral("-%1-%2.png")
                               .arg(dark ? QStringLiteral("dark") : QStringLiteral("light"))
                               .arg(qApp->devicePixelRatio());
    const auto keep
        = [&](const char* name) { return m_plot->grab().save(folder.filePath(QLatin1String(name) + suffix)); };
    m_plot->show(model(32));
    m_plot->resize(1120, 400);
    m_plot->setSelection({70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87}, 74);
    m_plot->setFocus();
    QTest::mouseMove(m_plot.get(), QPoint(2, 2));
    QTest::mouseMove(m_plot.get(), ground(88));
    QTRY_COMPARE(m_plot->hovered(), std::optional(88));
    m_plot->setBubble({QStringLiteral("Block 12 · gate_proj"), QStringLiteral("24.7 MiB"),
                       QStringLiteral("4 bits · rank 32 · error 2.20 % measured")});
    QVERIFY(keep("equalizer-32"));
    for (const auto& [name, blocks] : {std::pair{"equalizer-1", 1}, {"equalizer-100000", 14300}, {"equalizer-empty", 0}}) {
        m_plot->show(model(blocks));
        QVERIFY(keep(name));
    }
    applyTheme(*qApp, Appearance::Dark);
}

QTEST_MAIN(EqualizerTest)
#include "tst_equalizer.moc"
