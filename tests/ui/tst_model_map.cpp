// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Theme.h"
#include "ui/widgets/ModelMap.h"

#include <QApplication>
#include <QSignalSpy>
#include <QTest>

#include <algorithm>
#include <limits>

using namespace sigmascope::ui;

namespace {

ModelMapView mapOf(int blocks)
{
    ModelMapView view;
    view.name = QStringLiteral("output error");
    view.rows = {QStringLiteral("q"),    QStringLiteral("k"),  QStringLiteral("v"),   QStringLiteral("o"),
                 QStringLiteral("gate"), QStringLiteral("up"), QStringLiteral("down")};
    view.columns = blocks;
    view.format = [](double value) { return QStringLiteral("%1 %").arg(100 * value, 0, 'f', 1); };
    for (int row = 0; row < 7; ++row) {
        for (int block = 0; block < blocks; ++block)
            view.values.push_back(row == 2 && block == 1
                                      ? std::numeric_limits<float>::quiet_NaN()
                                      : 0.01F + 0.11F * static_cast<float>((row * 31 + block * 17) % 100) / 100.0F);
    }
    return view;
}

}  // namespace

class ModelMapTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cellsOfTheModelMapAreWholePixels();
    void theModelMapIsWalkedByKeys();
    void moreBlocksThanPixelsArePooled();
};

void ModelMapTest::initTestCase()
{
    installFonts();
    applyTheme(*qApp, Appearance::Dark);
}

void ModelMapTest::cellsOfTheModelMapAreWholePixels()
{
    ModelMap map;
    map.resize(380, 130);
    map.show(mapOf(32));
    map.QWidget::show();
    QVERIFY(QTest::qWaitForWindowExposed(&map));
    const QRect first = map.cellRect({0, 0});
    QCOMPARE(map.cellRect({0, 31}).left() - first.left(), 31 * first.width());
    QCOMPARE(map.cellRect({6, 0}).top() - first.top(), 6 * first.height());
    QSignalSpy chosen(&map, &ModelMap::cellChosen);
    QTest::mouseClick(&map, Qt::LeftButton, {}, map.cellRect({5, 12}).center());
    QCOMPARE(chosen[0][0].toInt(), 5);
    QCOMPARE(chosen[0][1].toInt(), 12);
    QVERIFY(map.reading().startsWith(QStringLiteral("Block 12 · up")));
    map.setCurrent(ModelMap::Cell{2, 1});
    QTest::mouseMove(&map, QPoint(1, 1));
    QTRY_VERIFY2(map.reading().contains(QStringLiteral("not known yet")), qPrintable(map.reading()));
    // Largest and smallest stand at the ends of the scale, in the colours of the legend.
    const QImage picture = map.grab().toImage();
    const auto colourAt = [&](ModelMap::Cell cell) {
        const QPoint at = map.cellRect(cell).topLeft() * map.devicePixelRatio() + QPoint(2, 2);
        return picture.pixelColor(at).lightness();
    };
    QVERIFY(map.range()->second > 5 * map.range()->first);
    const auto& values = map.view().values;
    const auto cellOf = [&](float value) {
        const auto at = static_cast<int>(std::find(values.begin(), values.end(), value) - values.begin());
        return ModelMap::Cell{at / 32, at % 32};
    };
    QVERIFY(colourAt(cellOf(static_cast<float>(map.range()->second)))
            > colourAt(cellOf(static_cast<float>(map.range()->first))) + 30);
}

void ModelMapTest::theModelMapIsWalkedByKeys()
{
    ModelMap map;
    map.resize(380, 130);
    map.show(mapOf(32));
    map.QWidget::show();
    map.setFocus();
    QSignalSpy chosen(&map, &ModelMap::cellChosen);
    QTest::keyClick(&map, Qt::Key_Right);
    QCOMPARE(map.current(), std::optional(ModelMap::Cell{0, 0}));
    QTest::keyClick(&map, Qt::Key_Right);
    QTest::keyClick(&map, Qt::Key_Down);
    QCOMPARE(map.current(), std::optional(ModelMap::Cell{1, 1}));
    QTest::keyClick(&map, Qt::Key_End);
    QCOMPARE(map.current(), std::optional(ModelMap::Cell{1, 31}));
    QTest::keyClick(&map, Qt::Key_Right);
    QCOMPARE(map.current(), std::optional(ModelMap::Cell{1, 31}));
    QCOMPARE(chosen.count(), 5);
    QCOMPARE(map.dataAsCsv().count(QLatin1Char('\n')), qsizetype(8));
}

void ModelMapTest::moreBlocksThanPixelsArePooled()
{
    ModelMap map;
    map.resize(380, 130);
    map.show(mapOf(5000));
    map.QWidget::show();
    QVERIFY(QTest::qWaitForWindowExposed(&map));
    QVERIFY(map.cellRect({0, 4999}).right() < map.width());
    const auto cell = map.cellAt(map.cellRect({3, 2500}).center());
    QVERIFY(cell && cell->row == 3 && std::abs(cell->column - 2500) < 30);
}

QTEST_MAIN(ModelMapTest)
#include "tst_model_map.moc"
