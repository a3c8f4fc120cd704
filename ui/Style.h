// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QProxyStyle>

namespace sigmascope::ui {

/// Fusion with what it lacks: 1 px separators (5 px to grab), one focus ring, thin bars, our tree chevrons, flat
/// menus and buttons. Colours come from Theme::current().
class Style : public QProxyStyle {
    Q_OBJECT

public:
    Style();

    void drawPrimitive(PrimitiveElement element, const QStyleOption* option, QPainter* painter,
                       const QWidget* widget) const override;
    void drawControl(ControlElement element, const QStyleOption* option, QPainter* painter,
                     const QWidget* widget) const override;
    void drawComplexControl(ComplexControl control, const QStyleOptionComplex* option, QPainter* painter,
                            const QWidget* widget) const override;
    [[nodiscard]] QRect subControlRect(ComplexControl control, const QStyleOptionComplex* option, SubControl part,
                                       const QWidget* widget) const override;
    [[nodiscard]] int pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const override;
    [[nodiscard]] int styleHint(StyleHint hint, const QStyleOption* option, const QWidget* widget,
                                QStyleHintReturn* data) const override;
    [[nodiscard]] QSize sizeFromContents(ContentsType type, const QStyleOption* option, const QSize& size,
                                         const QWidget* widget) const override;
    void polish(QWidget* widget) override;
    using QProxyStyle::polish;
};

/// The style sheet (step bar, segments, tabs, primary button, text levels), with the colours of the current theme.
[[nodiscard]] QString styleSheet();

/// Chevron pointing down, right (collapsed) or up, 1.3 px, centred in @p rect.
void paintChevron(QPainter& painter, const QRectF& rect, Qt::ArrowType direction, const QColor& colour);

}  // namespace sigmascope::ui
