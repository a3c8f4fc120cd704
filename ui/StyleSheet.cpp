// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Style.h"
#include "ui/Theme.h"

namespace sigmascope::ui {
namespace {

// Names between percent signs are filled in below. Only what palette and proxy style cannot say.
const char* const kSheet = R"(
QToolBar#stepBar { background: %win%; border: none; border-bottom: 1px solid %line%; padding: 0 %6% 0 %6%; }
QToolBar#stepBar QToolButton[stepButton="true"] { color: %tx2%; background: transparent; border: none; border-radius: 0;
  border-top: 2px solid transparent; border-bottom: 2px solid transparent; padding: 0 %11%; height: %29%; }
QToolBar#stepBar QToolButton[stepButton="true"]:hover { color: %tx%; }
QToolBar#stepBar QToolButton[stepButton="true"]:checked { color: %tx%; font-weight: 600;
  border-bottom: 2px solid %acc%; }
QToolBar#stepBar QToolButton[stepButton="true"]:focus { background: %seln%; }
QToolBar#stepBar QToolButton[stepButton="true"]:disabled { color: %dis%; }
QToolButton { color: %tx%; background: transparent; border: 1px solid transparent; border-radius: 3px; padding: %3%; }
QToolButton:hover { background: %seln%; }
QToolButton:focus { border: 1px solid %acc%; }
QToolButton:disabled { color: %dis%; }
QToolButton[framed="true"] { background: %field%; border: 1px solid %edge%; padding: %2% %10%; }
QToolButton[framed="true"]:hover { background: %seln%; }
QToolButton[framed="true"]:focus { border: 2px solid %acc%; padding: %1% %9%; }
QToolButton[framed="true"]:disabled { background: transparent; border: 1px solid %line%; }
QToolButton[primary="true"], QPushButton[primary="true"] { color: %acctx%; background: %accbg%;
  border: 1px solid %accbg%; border-radius: 3px; font-weight: 600; padding: %2% %10%; }
QPushButton[primary="true"] { min-height: %18%; min-width: %42%; }
QToolButton[primary="true"]:hover, QPushButton[primary="true"]:hover { background: %accbghover%; }
QToolButton[primary="true"]:focus, QPushButton[primary="true"]:focus { border: 2px solid %acc%; padding: %1% %9%; }
QToolButton[primary="true"]:disabled, QPushButton[primary="true"]:disabled { color: %dis%; background: %field%;
  border: 1px solid %line%; }
QToolButton[segment="true"] { color: %tx%; background: %field%; border: 1px solid %edge%; border-right: none;
  border-radius: 0; padding: 0 %2%; }
QToolButton[segment="true"]:hover { background: %seln%; }
QToolButton[segment="true"][edge="first"] { border-top-left-radius: 3px; border-bottom-left-radius: 3px; }
QToolButton[segment="true"][edge="last"] { border-right: 1px solid %edge%;
  border-top-right-radius: 3px; border-bottom-right-radius: 3px; }
QToolButton[segment="true"][edge="only"] { border-right: 1px solid %edge%; border-radius: 3px; }
QToolButton[segment="true"]:checked { color: %acctx%; background: %accbg%; font-weight: 600; }
QToolButton[segment="true"][many="true"]:checked { color: %tx%; background: %sel%; }
QToolButton[segment="true"]:disabled { color: %dis%; }
QToolButton[segment="true"]:focus { border: 2px solid %acc%; }
QToolButton[legend="true"] { color: %tx2%; border: none; padding: %2% %3%; }
QToolButton[legend="true"]:hover { color: %tx%; background: transparent; }
QToolButton[legend="true"]:disabled { color: %dis%; }
QToolButton[legend="true"]:focus { border: 1px solid %acc%; padding: %1% %2%; }
QTabBar { background: %win%; qproperty-drawBase: 0; }
QTabBar::tab { background: %win%; color: %tx2%; border: none; padding: 0 %18%; height: %30%; }
QTabBar::tab:hover { color: %tx%; }
QTabBar::tab:selected { background: %base%; color: %tx%; font-weight: 600; border-left: 1px solid %line%;
  border-right: 1px solid %line%; }
QTabBar::tab:focus { color: %acc%; }
QTabWidget::pane { border: none; border-top: 1px solid %line%; }
QStatusBar { background: %win%; border-top: 1px solid %line%; }
QStatusBar::item { border: none; }
QMenuBar { background: %win%; border: none; }
QLabel[level="label"] { color: %tx2%; }
QLabel[level="hint"] { color: %tx3%; }
QFrame[hairline="true"] { background: %line%; border: none; }
QToolTip { background: %field%; color: %tx%; border: 1px solid %line2%; padding: %3%; }
)";

}  // namespace

QString styleSheet()
{
    const Theme& t = Theme::current();
    QString sheet = QString::fromLatin1(kSheet);
    const std::pair<const char*, QColor> colours[] = {
        {"win", t.win}, {"base", t.base}, {"field", t.field}, {"line", t.line}, {"line2", t.line2}, {"edge", t.edge},
        {"tx", t.tx}, {"tx2", t.tx2}, {"tx3", t.tx3}, {"dis", t.dis}, {"acc", t.acc}, {"accbg", t.accbg},
        {"acctx", t.acctx}, {"sel", t.sel}, {"seln", t.seln},
        {"accbghover", t.isDark ? t.accbg.lighter(110) : t.accbg.darker(110)},
    };
    for (const auto& [name, colour] : colours)
        sheet.replace(QLatin1Char('%') + QLatin1String(name) + QLatin1Char('%'), colour.name());
    for (const int n : {1, 2, 3, 6, 9, 10, 11, 18, 29, 30, 42})
        sheet.replace(QStringLiteral("%%1%").arg(n), QStringLiteral("%1px").arg(px(n)));
    return sheet;
}

}  // namespace sigmascope::ui
