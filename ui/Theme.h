// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QColor>
#include <QFont>
#include <QPen>
#include <QString>

#include <array>

class QApplication;
class QIcon;
class QPalette;

namespace sigmascope::ui {

enum class Appearance { System, Dark, Light };

/// Fixed meaning everywhere: colour, lightness and pattern of a series differ, so that it survives a grey printer.
enum class Series { W, E, ES, Q, QLR };

/// All colours of the program. The palette is filled from it, plots and delegates read it; no colour literal
/// stands anywhere else.
struct Theme {
    bool isDark = true;
    QColor win, panel, base, alt, field;          ///< grounds
    QColor line, line2, edge, grid;               ///< hairlines, axes, borders of inputs, plot grid
    QColor tx, tx2, tx3, dis;                     ///< text levels
    QColor acc, accbg, acctx, sel, seln;          ///< focus and links, primary ground and its text, selections
    QColor ok, warn, bad;                         ///< glyphs only, never words
    QColor ink, inkt;                             ///< handles and their grip lines
    QColor seriesW, seriesE, seriesES, seriesQ, seriesQLR;
    QColor histogram;                             ///< flat fill under the step outline of W
    std::array<QColor, 7> bitColours;             ///< 2 3 4 5 6 8 16
    std::array<QColor, 6> heat;                   ///< ground to E

    /// The theme in use; set by applyTheme(). Widgets learn of a change by QEvent::PaletteChange.
    [[nodiscard]] static const Theme& current();
    [[nodiscard]] static const Theme& dark();
    [[nodiscard]] static const Theme& light();

    [[nodiscard]] QColor colour(Series series) const;
    /// Cosmetic-free pen of a series: its colour and dash pattern, width in logical pixels.
    [[nodiscard]] QPen pen(Series series, double width) const;
    /// Colour of a bit width; a mean takes the colour of the rounded value, 9 and more that of "kept".
    [[nodiscard]] QColor bits(double bits) const;
    /// Heat map colour at t in 0..1, interpolated between the stops.
    [[nodiscard]] QColor heatAt(double t) const;
    [[nodiscard]] QPalette palette() const;
};

enum class FontRole {
    PageTitle,     ///< 1.35 semi-bold
    KeyFigure,     ///< 1.15 medium
    Body,          ///< 1.0
    BodyStrong,    ///< 1.0 semi-bold
    SectionTitle,  ///< 1.0 semi-bold
    Caption,       ///< 0.88: captions, headers, legends
    CaptionStrong, ///< 0.88 semi-bold: labels of curves
    Mono,          ///< JetBrains Mono 0.88: digits in columns, read-outs, paths, commands
    MonoAxis,      ///< JetBrains Mono 0.83
};

/// A font of the scale, relative to the application font.
[[nodiscard]] QFont font(FontRole role);
/// Logical pixels of n design pixels: n * height of the application font / 16. Every size goes through it.
[[nodiscard]] int px(double n);

/// Registers the embedded faces (Inter, JetBrains Mono) and sets the application font. Call once, after QApplication.
/// Also initialises the static resources; icons and fonts do not exist before.
void installFonts();
/// Fusion with our proxy style, palette and style sheet. May be called again at any time; open windows follow.
void applyTheme(QApplication& application, Appearance appearance);
/// What the desktop asks for: its portal's colour scheme where Qt can ask, else the lightness of the platform's
/// window colour read before our palette was set.
[[nodiscard]] bool systemIsDark();

/// An icon of resources/icons ("undo", "redo", "pin", "warning", "folder", "close", "chevron"), painted in tx2 of the
/// theme current at paint time (dis when disabled).
[[nodiscard]] QIcon icon(const QString& name);

}  // namespace sigmascope::ui
