// SPDX-License-Identifier: GPL-3.0-or-later
// The budget strip by mouse and keys: target, memory at a context length, fallbacks with their cost.
#include "StudioFixture.h"

#include "core/model/KvCache.h"
#include "ui/panels/PlanDiff.h"
#include "ui/panels/PlanPage.h"
#include "ui/widgets/BudgetStrip.h"

#include <QAbstractButton>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTableView>

using namespace sigmascope;
using namespace sigmascope::test;
using ui::BudgetStrip;
using ui::BudgetView;

class BudgetStripTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cleanup();

    void overAndUnderTheTargetAreSaidWithTheirBytes();
    void contextIsTypedInTheStrip();
    void fallbacksAreCountedWithTheirCostAndListedByKeyOrClick();
    void whereRoomIsShortTheMemoryGoesFirst();
    void theStripOfTheWindowFollowsTheContext();

private:
    [[nodiscard]] static BudgetView view()
    {
        return {.fileBytes = 4'690'000'000, .targetBytes = 4'700'000'000, .codeBytes = 3'860'000'000, .factorBytes = 100'000'000,
                .keptBytes = 730'000'000, .bitsPerWeight = 4.67, .sizeSource = ui::Source::Exact, .outputError = 0.052,
                .errorSource = ui::Source::Estimated, .memoryBytes = 5'100'000'000, .memoryContext = 8192, .fallbacks = 2,
                .fallbackBytes = 1'200'000, .fallbackText = QStringLiteral("row length 48"), .isRecomputing = false};
    }
    static bool has(const BudgetStrip& strip, const char* words) { return strip.figures().join(QLatin1Char('|')).contains(QLatin1String(words)); }
    void show(BudgetStrip& strip, int width) const
    {
        strip.show(view());
        strip.resize(ui::px(width), ui::px(60));
        strip.QWidget::show();
        QVERIFY(QTest::qWaitForWindowExposed(&strip));
    }

    QTemporaryDir m_folder;
    std::unique_ptr<ui::Session> m_session;
    std::unique_ptr<ui::MainWindow> m_window;
};

void BudgetStripTest::initTestCase()
{
    isolateSettings(m_folder);
    ui::installFonts();
    ui::applyTheme(*qApp, ui::Appearance::Dark);
}

void BudgetStripTest::cleanup()
{
    m_window.reset();
    m_session.reset();
}

void BudgetStripTest::overAndUnderTheTargetAreSaidWithTheirBytes()
{
    BudgetStrip strip;
    show(strip, 1440);
    QVERIFY(has(strip, "Under target 10.0"));
    BudgetView over = view();
    over.targetBytes = 4'400'000'000;
    strip.show(over);
    QVERIFY(has(strip, "Over target 290"));
    over.targetBytes.reset();
    strip.show(over);
    QVERIFY(!has(strip, "target"));
}

void BudgetStripTest::contextIsTypedInTheStrip()
{
    BudgetStrip strip;
    show(strip, 1440);
    QSignalSpy chosen(&strip, &BudgetStrip::contextChosen);
    QSpinBox* field = strip.contextField();
    QVERIFY(field->isVisible());
    QCOMPARE(field->value(), 8192);
    QTest::mouseClick(field, Qt::LeftButton);
    field->selectAll();
    QTest::keyClicks(field, QStringLiteral("32768"));
    QCOMPARE(chosen.count(), 0);  // a number half typed is no wish
    QTest::keyClick(field, Qt::Key_Return);
    QCOMPARE(chosen.count(), 1);
    QCOMPARE(chosen[0][0].toULongLong(), 32768ULL);
    BudgetView answered = view();
    answered.memoryContext = 32768;
    strip.show(answered);
    QCOMPARE(chosen.count(), 1);  // showing a value wishes nothing
    strip.show(BudgetView{});  // no model at all
    QCOMPARE(chosen.count(), 1);
    answered.memoryBytes.reset();  // a model that does not say how many heads it has
    strip.show(answered);
    QVERIFY(!field->isVisible());
    QVERIFY(!has(strip, "Memory"));
}

void BudgetStripTest::fallbacksAreCountedWithTheirCostAndListedByKeyOrClick()
{
    BudgetStrip strip;
    show(strip, 1440);
    QVERIFY(has(strip, "Fallbacks 2 +1.20"));
    QSignalSpy clicked(&strip, &BudgetStrip::fallbacksClicked);
    QVERIFY(strip.fallbackButton()->isVisible());
    QTest::mouseClick(strip.fallbackButton(), Qt::LeftButton);
    QCOMPARE(clicked.count(), 1);
    strip.fallbackButton()->setFocus(Qt::TabFocusReason);
    QTest::keyClick(strip.fallbackButton(), Qt::Key_Space);
    QCOMPARE(clicked.count(), 2);
    QVERIFY(strip.fallbackButton()->accessibleName().contains(QStringLiteral("+1.20")));
    BudgetView none = view();
    none.fallbacks = 0;
    none.fallbackBytes = 0;
    strip.show(none);
    QVERIFY(!strip.fallbackButton()->isVisible());
    QVERIFY(has(strip, "Fallbacks 0"));
}

void BudgetStripTest::whereRoomIsShortTheMemoryGoesFirst()
{
    BudgetStrip strip;
    show(strip, 1440);
    QVERIFY(has(strip, "Memory") && has(strip, "Output error") && has(strip, "Under target"));
    QCoreApplication::processEvents();
    int width = 1440;
    while (has(strip, "Memory") && width > 400)
        strip.resize(ui::px(width -= 20), ui::px(60));
    QVERIFY(has(strip, "Output error") && has(strip, "Under target"));
    QVERIFY(!strip.contextField()->isVisible());
    while (has(strip, "Output error") && width > 400)
        strip.resize(ui::px(width -= 20), ui::px(60));
    QVERIFY(has(strip, "Under target") && has(strip, "Bits per weight") && has(strip, "Fallbacks"));
    strip.resize(ui::px(1440), ui::px(60));
    QVERIFY(has(strip, "Memory") && strip.contextField()->isVisible());
    strip.setCompact(true);
    QVERIFY(!strip.contextField()->isVisible());
    // One line has room for both at the smallest window, with a target or without.
    strip.resize(ui::px(1280), ui::px(32));
    QVERIFY2(has(strip, "Memory at 4.75") && has(strip, "Output error, mean 5.20"), qPrintable(strip.figures().join(QLatin1Char('|'))));
    strip.resize(ui::px(800), ui::px(32));
    QVERIFY(!has(strip, "Memory") && has(strip, "Output error, mean 5.20"));
    strip.resize(ui::px(1440), ui::px(32));
    QVERIFY(strip.fallbackButton()->isVisible());
}

void BudgetStripTest::theStripOfTheWindowFollowsTheContext()
{
    m_session = makeSession();
    m_window = std::make_unique<ui::MainWindow>(*m_session, sampleFolder());
    m_window->resize(1440, 900);
    m_window->show();
    QVERIFY(QTest::qWaitForWindowExposed(m_window.get()));
    QVERIFY(openAndWait(*m_session, sampleFolder()));
    QSpinBox* field = m_window->budget()->contextField();
    QVERIFY(field->isVisible());
    const Bytes before = *m_session->memoryNeeded();
    const std::uint64_t tokens = m_session->context();
    QTest::mouseClick(field, Qt::LeftButton);
    field->selectAll();
    QTest::keyClicks(field, QString::number(2 * tokens));
    QTest::keyClick(field, Qt::Key_Return);
    QCOMPARE(m_session->context(), 2 * tokens);
    const auto shape = kvShapeOf(*m_session->checkpoint());
    QVERIFY(shape.has_value());
    QCOMPARE(*m_session->memoryNeeded() - before, *kvCacheBytes(*shape, tokens));
    QCOMPARE(m_window->budget()->view().memoryBytes, std::optional<quint64>(*m_session->memoryNeeded()));
    // A plan without calibration falls back; the strip lists it.
    const QString folder = copySample(m_folder.filePath(QStringLiteral("plain")));
    for (const char* name : {"/imatrix.gguf", "/imatrix.dat"})
        QVERIFY(QFile::remove(folder + QLatin1String(name)));
    QSignalSpy opened(m_session.get(), &ui::Session::opened);
    m_window->openPath(folder);
    QVERIFY(opened.wait(20000));
    QCOMPARE(m_session->path(), folder);
    QVERIFY(m_session->calibration() == nullptr);
    QSignalSpy changed(m_session.get(), &ui::Session::planChanged);
    m_session->applyPreset(QStringLiteral("l2qer-w4"));
    QVERIFY(changed.wait(10000));
    QCOMPARE(m_window->budget()->view().fallbacks, 28);
    QTest::mouseClick(m_window->budget()->fallbackButton(), Qt::LeftButton);
    QVERIFY(m_window->planPage()->isVisible());
    QVERIFY(m_window->planPage()->diff()->fallbackTable()->isVisible());
    QCOMPARE(m_window->planPage()->diff()->fallbackTable()->model()->rowCount(), 28);
}

QTEST_MAIN(BudgetStripTest)
#include "tst_budget_strip.moc"
