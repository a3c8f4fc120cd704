// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Style.h"
#include "ui/Theme.h"
#include "ui/widgets/BudgetStrip.h"
#include "ui/widgets/CellText.h"
#include "ui/widgets/ElidedLabel.h"
#include "ui/widgets/LayerDelegate.h"
#include "ui/widgets/RankSlider.h"
#include "ui/widgets/SegmentedControl.h"
#include "ui/widgets/SourceBadge.h"
#include "ui/widgets/StepBar.h"

#include <QFontDatabase>
#include <QFontInfo>
#include <QIcon>
#include <QPainter>
#include <QRawFont>
#include <QSignalSpy>
#include <QTest>
#include <QToolButton>

#include <cmath>

using namespace sigmascope::ui;

namespace {

/// Relative luminance contrast of WCAG 2.
double contrast(const QColor& a, const QColor& b)
{
    const auto luminance = [](const QColor& c) {
        const auto linear = [](double v) { return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
        return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF());
    };
    const double x = luminance(a), y = luminance(b);
    return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

QList<Segment> bitSegments()
{
    QList<Segment> segments;
    for (const int bits : {2, 3, 4, 5, 6, 8})
        segments.append({bits, QString::number(bits), bits != 6,
                         bits == 6 ? QStringLiteral("this grid has no 6 bits") : QString()});
    segments.append({16, QStringLiteral("BF16"), true, {}});
    return segments;
}

}  // namespace

class TestWidgets : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void theBundledFacesAreTheOnesThatAreUsed();
    void everySymbolThatIsWrittenHasAGlyph();
    void textReachesItsContrastInBothThemes();
    void sizesFollowTheApplicationFont();
    void bitColoursAreMonotoneInLightness();
    void iconsArePaintedInTheThemesColour();
    void nothingIsClippedInASegmentedControl();
    void oneOfManyIsChosenByClickArrowsAndDigits();
    void aMixedSelectionChecksNothing();
    void anyOfManyTogglesEachValue();
    void settersNeverSpeakForTheUser();
    void theSlidersScaleIsItsOwnInverse();
    void draggingTheSliderIsOneGesture();
    void theBudgetBarsPartsAreInProportion();
    void aCompactStripIsOneLine();
    void aCutLabelSaysSo();
    void wordsShapedOnceLookAsPaintedAnew();
    void stepsAreExclusiveAndSpeakOnlyForTheUser();
    void theStyleSheetStaysShort();
};

void TestWidgets::initTestCase()
{
    installFonts();
    applyTheme(*qApp, Appearance::Dark);
}

void TestWidgets::theBundledFacesAreTheOnesThatAreUsed()
{
    QCOMPARE(QFontInfo(QApplication::font()).family(), QStringLiteral("Inter"));
    QCOMPARE(QFontInfo(font(FontRole::Mono)).family(), QStringLiteral("JetBrains Mono"));
    QCOMPARE(QFontInfo(font(FontRole::SectionTitle)).family(), QStringLiteral("Inter"));
    QVERIFY(QFontInfo(font(FontRole::SectionTitle)).weight() > QFont::Medium);
    QVERIFY(QFontInfo(font(FontRole::Mono)).fixedPitch());
}

void TestWidgets::everySymbolThatIsWrittenHasAGlyph()
{
    const QRawFont inter = QRawFont::fromFont(QApplication::font());
    const QRawFont mono = QRawFont::fromFont(font(FontRole::Mono));
    for (const QChar c : QStringLiteral("·→−…–≈±×²‖"))
        QVERIFY2(inter.supportsCharacter(c), qPrintable(QString(c)));
    for (const QChar c : QStringLiteral("·→−…–⁰¹²³⁴⁵⁶⁷⁸⁹⁻%∞≤÷"))
        QVERIFY2(mono.supportsCharacter(c) || inter.supportsCharacter(c), qPrintable(QString(c)));
    QVERIFY(font(FontRole::Mono).families().contains(QStringLiteral("Inter")));
}

void TestWidgets::textReachesItsContrastInBothThemes()
{
    for (const Theme* t : {&Theme::dark(), &Theme::light()}) {
        for (const QColor& text : {t->tx, t->tx2, t->tx3})
            for (const QColor& ground : {t->win, t->panel, t->base, t->field})
                QVERIFY2(contrast(text, ground) >= 4.5, qPrintable(text.name() + QLatin1Char(' ') + ground.name()));
        QVERIFY(contrast(t->tx2, t->sel) >= 4.5);
        QVERIFY(contrast(t->acctx, t->accbg) >= 4.5);
        for (const QColor& ground : {t->panel, t->base})
            QVERIFY(contrast(t->edge, ground) >= 3.0);
        for (const Series series : {Series::W, Series::E, Series::ES, Series::Q, Series::QLR})
            QVERIFY2(contrast(t->colour(series), t->base) >= 3.0, qPrintable(t->colour(series).name()));
    }
}

void TestWidgets::sizesFollowTheApplicationFont()
{
    const QFont before = QApplication::font();
    const int usual = px(100);
    QVERIFY(usual >= 90 && usual <= 120);
    QFont large = before;
    large.setPointSizeF(before.pointSizeF() * 2);
    QApplication::setFont(large);
    const int doubled = px(100);
    QApplication::setFont(before);
    QVERIFY(std::abs(doubled - 2 * usual) <= 8);
    QCOMPARE(px(100), usual);
}

void TestWidgets::bitColoursAreMonotoneInLightness()
{
    for (const Theme* t : {&Theme::dark(), &Theme::light()}) {
        double last = 1e9;
        for (const int bits : {2, 3, 4, 5, 6, 8}) {
            const double now = contrast(t->bits(bits), t->base);
            QVERIFY2(now < last, qPrintable(QString::number(bits)));
            last = now;
        }
        QCOMPARE(t->bits(4.4), t->bits(4));
        QCOMPARE(t->bits(16), t->bitColours[6]);
    }
}

void TestWidgets::iconsArePaintedInTheThemesColour()
{
    for (const char* name : {"undo", "redo", "pin", "warning", "folder", "close", "chevron", "open"}) {
        const QIcon icon = sigmascope::ui::icon(QLatin1String(name));
        QVERIFY2(!icon.isNull(), name);
        const QImage image = icon.pixmap(28, 28).toImage().convertToFormat(QImage::Format_ARGB32);
        bool hasInk = false;
        for (int y = 0; y < image.height(); ++y)
            for (int x = 0; x < image.width(); ++x)
                hasInk |= image.pixelColor(x, y).alpha() > 200
                    && std::abs(image.pixelColor(x, y).lightness() - Theme::current().tx2.lightness()) < 12;
        QVERIFY2(hasInk, name);
    }
}

void TestWidgets::nothingIsClippedInASegmentedControl()
{
    SegmentedControl control;
    control.setSegments(bitSegments());
    control.resize(control.minimumSizeHint().width(), control.sizeHint().height());
    control.QWidget::show();
    for (const int bits : {2, 3, 4, 5, 6, 8, 16}) {
        const QToolButton* button = control.button(bits);
        QVERIFY(button != nullptr);
        QFont strong = button->font();
        strong.setWeight(QFont::DemiBold);
        QVERIFY2(button->width() >= QFontMetrics(strong).horizontalAdvance(button->text()) + 4,
                 qPrintable(button->text()));
        QVERIFY(control.rect().contains(QRect(button->mapTo(&control, QPoint()), button->size())));
    }
    QCOMPARE(control.button(4)->height(), px(24));
}

void TestWidgets::oneOfManyIsChosenByClickArrowsAndDigits()
{
    SegmentedControl control;
    control.setSegments(bitSegments());
    control.QWidget::show();
    QSignalSpy chosen(&control, &SegmentedControl::valueChosen);
    QTest::mouseClick(control.button(4), Qt::LeftButton);
    QCOMPARE(control.value(), std::optional<int>(4));
    control.button(4)->setFocus();
    QTest::keyClick(control.button(4), Qt::Key_Right);
    QCOMPARE(control.value(), std::optional<int>(5));
    QTest::keyClick(control.button(5), Qt::Key_Right);  // 6 cannot be chosen: on to 8
    QCOMPARE(control.value(), std::optional<int>(8));
    QTest::keyClick(control.button(8), Qt::Key_3);
    QCOMPARE(control.value(), std::optional<int>(3));
    QTest::keyClick(control.button(3), Qt::Key_6);
    QCOMPARE(control.value(), std::optional<int>(3));
    QTest::mouseClick(control.button(3), Qt::LeftButton);  // a second click does not uncheck
    QCOMPARE(control.value(), std::optional<int>(3));
    QCOMPARE(chosen.count(), 5);
    QCOMPARE(control.button(6)->toolTip(), QStringLiteral("this grid has no 6 bits"));
}

void TestWidgets::aMixedSelectionChecksNothing()
{
    SegmentedControl control;
    control.setSegments(bitSegments());
    control.setValue(4);
    control.setValue(std::nullopt);
    control.setMixedText(QStringLiteral("3 × 10, 4 × 24"));
    QVERIFY(control.values().isEmpty());
    QVERIFY(!control.value());
    control.setSegments(bitSegments());
    QVERIFY(control.values().isEmpty());
}

void TestWidgets::anyOfManyTogglesEachValue()
{
    SegmentedControl control(SegmentedControl::Mode::AnyOfMany);
    control.setSegments(bitSegments());
    control.QWidget::show();
    control.setValues({3, 4});
    QSignalSpy chosen(&control, &SegmentedControl::valuesChosen);
    QTest::mouseClick(control.button(4), Qt::LeftButton);
    QTest::mouseClick(control.button(8), Qt::LeftButton);
    QCOMPARE(control.values(), (QList<int>{3, 8}));
    QCOMPARE(chosen.count(), 2);
}

void TestWidgets::settersNeverSpeakForTheUser()
{
    SegmentedControl control;
    control.setSegments(bitSegments());
    QSignalSpy chosen(&control, &SegmentedControl::valueChosen);
    control.setValue(5);
    RankSlider slider;
    slider.setMaximumRank(256);
    QSignalSpy dragged(&slider, &RankSlider::rankDragged);
    slider.setRank(40);
    QCOMPARE(chosen.count() + dragged.count(), 0);
    QCOMPARE(slider.rank(), 40);
}

void TestWidgets::theSlidersScaleIsItsOwnInverse()
{
    RankSlider slider;
    slider.setMaximumRank(256);
    slider.resize(1200, 24);
    for (const int rank : {0, 1, 2, 7, 8, 16, 33, 64, 256})
        QVERIFY2(std::abs(slider.rankAt(slider.positionOf(rank)) - rank) <= rank / 100,
                 qPrintable(QString::number(rank)));
    QVERIFY(slider.positionOf(16) - slider.positionOf(8) > slider.positionOf(136) - slider.positionOf(128));
}

void TestWidgets::draggingTheSliderIsOneGesture()
{
    RankSlider slider;
    slider.setMaximumRank(256);
    slider.setRank(32);
    slider.resize(300, 24);
    slider.QWidget::show();
    QSignalSpy started(&slider, &RankSlider::rankDragStarted);
    QSignalSpy dragged(&slider, &RankSlider::rankDragged);
    QSignalSpy finished(&slider, &RankSlider::rankDragFinished);
    QSignalSpy cancelled(&slider, &RankSlider::rankDragCancelled);
    QTest::mousePress(&slider, Qt::LeftButton, {}, {slider.positionOf(32), 12});
    QCOMPARE(dragged.count(), 0);
    QTest::mouseMove(&slider, {slider.positionOf(8), 12});
    QTest::mouseMove(&slider, {slider.positionOf(64), 12});
    QTest::mouseRelease(&slider, Qt::LeftButton, {}, {slider.positionOf(64), 12});
    QCOMPARE(started.count(), 1);
    QCOMPARE(dragged.count(), 2);
    QCOMPARE(finished.count(), 1);
    QVERIFY(std::abs(finished.at(0).at(0).toInt() - 64) <= 1);
    const int rank = slider.rank();
    QTest::mousePress(&slider, Qt::LeftButton, {}, {slider.positionOf(rank), 12});
    QTest::mouseMove(&slider, {slider.positionOf(4), 12});
    QTest::keyClick(&slider, Qt::Key_Escape);
    QCOMPARE(slider.rank(), rank);
    QCOMPARE(cancelled.count(), 1);
}

void TestWidgets::theBudgetBarsPartsAreInProportion()
{
    BudgetStrip strip;
    strip.show(BudgetView{
        .fileBytes = 1000000, .codeBytes = 500000, .factorBytes = 250000, .keptBytes = 250000, .bitsPerWeight = 4.5});
    strip.resize(1200, px(60));
    const QImage image = strip.grab().toImage();
    const Theme& theme = Theme::current();
    int codes = 0, factors = 0;
    for (int x = 0; x < image.width(); ++x) {
        codes += image.pixelColor(x, px(21)) == theme.tx3 ? 1 : 0;
        factors += image.pixelColor(x, px(21)) == theme.seriesQLR ? 1 : 0;
    }
    QVERIFY(factors > 50);
    QVERIFY2(std::abs(codes - 2 * factors) <= 4, qPrintable(QStringLiteral("%1 %2").arg(codes).arg(factors)));
}

void TestWidgets::aCompactStripIsOneLine()
{
    BudgetStrip strip;
    QCOMPARE(strip.sizeHint().height(), px(60));
    strip.setCompact(true);
    QCOMPARE(strip.sizeHint().height(), px(32));
}

void TestWidgets::aCutLabelSaysSo()
{
    ElidedLabel label(QStringLiteral("model.layers.12.mlp.down_proj.weight"));
    label.resize(label.sizeHint());
    QVERIFY(!label.isElided());
    label.resize(60, 20);
    QVERIFY(label.isElided());
    QVERIFY(label.minimumSizeHint().width() < 60);
}

void TestWidgets::wordsShapedOnceLookAsPaintedAnew()
{
    CellText cells;
    const QRect cell(4, 0, 90, 22);
    const auto picture = [&](const auto& paint) {
        QImage image(100, 22, QImage::Format_RGB32);
        image.fill(Qt::white);
        QPainter painter(&image);
        painter.setPen(Qt::black);
        paint(painter);
        return image;
    };
    const auto shaped = [&](const QString& text, bool isRight) {
        return picture([&](QPainter& painter) { cells.paint(painter, cell, isRight, FontRole::Mono, text); });
    };
    const auto plain = [&](const QString& text, bool isRight) {
        return picture([&](QPainter& painter) {
            painter.setFont(font(FontRole::Mono));
            const QString shown = painter.fontMetrics().elidedText(text, Qt::ElideRight, cell.width());
            painter.drawText(cell, static_cast<int>(isRight ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter, shown);
        });
    };
    const QString tooLong = QStringLiteral("model.layers.12.mlp.down_proj.weight");
    for (const QString& text : {QStringLiteral("12.34"), QStringLiteral("Q4_0 + r 32"), tooLong}) {
        for (const bool isRight : {false, true}) {
            const QImage first = shaped(text, isRight);
            QCOMPARE(first, plain(text, isRight));
            QCOMPARE(shaped(text, isRight), first);  // now from those that are kept
        }
    }
    // Another size of the application's font is another picture.
    const QFont before = QApplication::font();
    const QImage usual = shaped(QStringLiteral("12.34"), false);
    QFont large = before;
    large.setPointSizeF(before.pointSizeF() * 1.3);
    QApplication::setFont(large);
    const QImage larger = shaped(QStringLiteral("12.34"), false), wanted = plain(QStringLiteral("12.34"), false);
    QApplication::setFont(before);
    QVERIFY(larger != usual);
    QCOMPARE(larger, wanted);
}

void TestWidgets::stepsAreExclusiveAndSpeakOnlyForTheUser()
{
    StepBar bar;
    for (const char* name : {"Inspect", "Quantize", "Export"})
        bar.addStep(QLatin1String(name));
    bar.resize(800, 34);
    bar.QWidget::show();
    QSignalSpy chosen(&bar, &StepBar::stepChosen);
    QCOMPARE(bar.currentStep(), 0);
    bar.setCurrentStep(2);
    QCOMPARE(bar.currentStep(), 2);
    QCOMPARE(chosen.count(), 0);
    QTest::mouseClick(bar.widgetForAction(bar.step(1)), Qt::LeftButton);
    QCOMPARE(bar.currentStep(), 1);
    QCOMPARE(chosen.count(), 1);
    QCOMPARE(chosen.at(0).at(0).toInt(), 1);
}

void TestWidgets::theStyleSheetStaysShort()
{
    const QString sheet = styleSheet();
    QVERIFY(sheet.count(QLatin1Char('\n')) < 80);
    QVERIFY2(!sheet.contains(QLatin1Char('%')), "a name was not filled in");
}

QTEST_MAIN(TestWidgets)
#include "tst_widgets.moc"
