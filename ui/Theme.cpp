// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/Theme.h"

#include "ui/Style.h"

#include <QApplication>
#include <QFile>
#include <QFontDatabase>
#include <QFontMetricsF>
#include <QIcon>
#include <QIconEngine>
#include <QPainter>
#include <QPalette>
#include <QPointer>
#include <QSvgRenderer>

#ifdef SIGMASCOPE_DBUS
#include <QDBusConnection>
#include <QDBusMessage>
#include <QDBusVariant>
#endif

#include <algorithm>
#include <cmath>

// Q_INIT_RESOURCE must not stand inside a namespace.
static void initialiseResources()
{
    Q_INIT_RESOURCE(resources);
    Q_INIT_RESOURCE(fonts);
}

namespace sigmascope::ui {
namespace {

QColor rgb(QRgb value)
{
    return QColor::fromRgb(value);
}

Theme makeDark()
{
    Theme t;
    t.isDark = true;
    t.win = rgb(0x26292d), t.panel = rgb(0x212428), t.base = rgb(0x191b1e), t.alt = rgb(0x1d2023);
    t.field = rgb(0x2d3136);
    t.line = rgb(0x34393f), t.line2 = rgb(0x4d545c), t.edge = rgb(0x69717b), t.grid = rgb(0x26292e);
    t.tx = rgb(0xe4e7ea), t.tx2 = rgb(0xb0b7bf), t.tx3 = rgb(0x949ca5), t.dis = rgb(0x6a717a);
    t.acc = rgb(0x97a2f5), t.accbg = rgb(0x5563d6), t.acctx = rgb(0xffffff);
    t.sel = rgb(0x343b63), t.seln = rgb(0x2c3038);
    t.ok = rgb(0x6cc79b), t.warn = rgb(0xe6b04a), t.bad = rgb(0xf08a78);
    t.ink = rgb(0xf4f5f6), t.inkt = rgb(0x191b1e);
    t.seriesW = rgb(0xd3d8de), t.seriesE = rgb(0xf0a03c), t.seriesES = rgb(0x4a9fe0);
    t.seriesQ = rgb(0x2b9f79), t.seriesQLR = rgb(0xe9acd6);
    t.histogram = rgb(0x3a3f46);
    t.bitColours = {rgb(0xfad371), rgb(0xb7c86b), rgb(0x67b98b), rgb(0x3d9da8),
                    rgb(0x3f81ad), rgb(0x5066a3), rgb(0x6b727b)};
    t.heat = {rgb(0x262320), rgb(0x4f3c25), rgb(0x7a572c), rgb(0xa57132), rgb(0xc98837), rgb(0xf0a03c)};
    return t;
}

Theme makeLight()
{
    Theme t;
    t.isDark = false;
    t.win = rgb(0xeceef0), t.panel = rgb(0xf6f7f8), t.base = rgb(0xffffff), t.alt = rgb(0xf7f8f9);
    t.field = rgb(0xffffff);
    t.line = rgb(0xd5d9dd), t.line2 = rgb(0xa4abb3), t.edge = rgb(0x878f98), t.grid = rgb(0xeceef0);
    t.tx = rgb(0x1b1f24), t.tx2 = rgb(0x454d56), t.tx3 = rgb(0x5c646d), t.dis = rgb(0x98a0a8);
    t.acc = rgb(0x4450c0), t.accbg = rgb(0x4a57c9), t.acctx = rgb(0xffffff);
    t.sel = rgb(0xdde1f8), t.seln = rgb(0xe6e8eb);
    t.ok = rgb(0x1c7a50), t.warn = rgb(0x8a5a00), t.bad = rgb(0xb3321f);
    t.ink = rgb(0x1b1f24), t.inkt = rgb(0xffffff);
    t.seriesW = rgb(0x343a41), t.seriesE = rgb(0xb85c00), t.seriesES = rgb(0x0068b0);
    t.seriesQ = rgb(0x13855f), t.seriesQLR = rgb(0x8f3070);
    t.histogram = rgb(0xdde0e4);
    t.bitColours = {rgb(0x4d3a00), rgb(0x515c19), rgb(0x297e54), rgb(0x2b8f9a),
                    rgb(0x6099c1), rgb(0x8da0d1), rgb(0xb6bcc3)};
    t.heat = {rgb(0xfbf5f0), rgb(0xedd6bf), rgb(0xdfb68c), rgb(0xd19559), rgb(0xc5792e), rgb(0xb85c00)};
    return t;
}

// The one theme in use. Only applyTheme() moves it; the GUI thread alone reads it.
const Theme*& currentTheme()
{
    static const Theme* theme = &Theme::dark();
    return theme;
}

/// Paints an SVG whose strokes are `currentColor` in the text colours of the theme current at paint time, so that
/// no icon has to be made anew when the theme changes.
class ThemedIconEngine : public QIconEngine {
public:
    explicit ThemedIconEngine(const QString& name)
        : m_name(name)
    {
        QFile file(QStringLiteral(":/icons/%1.svg").arg(name));
        if (file.open(QIODevice::ReadOnly))
            m_svg = file.readAll();
    }

    void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override
    {
        const Theme& theme = Theme::current();
        const QColor colour = mode == QIcon::Disabled ? theme.dis : mode == QIcon::Normal ? theme.tx2 : theme.tx;
        QByteArray svg = m_svg;
        svg.replace("currentColor", colour.name().toLatin1());
        QSvgRenderer(svg).render(painter, rect);
    }

    QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override
    {
        QPixmap pixmap(size);
        pixmap.fill(Qt::transparent);
        QPainter painter(&pixmap);
        painter.setRenderHint(QPainter::Antialiasing);
        paint(&painter, pixmap.rect(), mode, state);
        return pixmap;
    }

    [[nodiscard]] QIconEngine* clone() const override { return new ThemedIconEngine(*this); }
    bool isNull() override { return m_svg.isEmpty(); }
    QString key() const override { return QStringLiteral("sigmascope-") + m_name; }

private:
    QString m_name;
    QByteArray m_svg;
};

}  // namespace

const Theme& Theme::current()
{
    return *currentTheme();
}

const Theme& Theme::dark()
{
    static const Theme theme = makeDark();
    return theme;
}

const Theme& Theme::light()
{
    static const Theme theme = makeLight();
    return theme;
}

QColor Theme::colour(Series series) const
{
    switch (series) {
    case Series::W:
        return seriesW;
    case Series::E:
        return seriesE;
    case Series::ES:
        return seriesES;
    case Series::Q:
        return seriesQ;
    case Series::QLR:
        return seriesQLR;
    }
    return tx;
}

QPen Theme::pen(Series series, double width) const
{
    QPen pen(colour(series), width, Qt::SolidLine, Qt::FlatCap, Qt::RoundJoin);
    // Dash lengths are in logical pixels in the design, in pen widths in Qt.
    if (series == Series::E)
        pen.setDashPattern({7 / width, 3 / width});
    else if (series == Series::QLR)
        pen.setDashPattern({8 / width, 3 / width, 2 / width, 3 / width});
    return pen;
}

QColor Theme::bits(double bits) const
{
    const int rounded = static_cast<int>(std::lround(bits));
    if (rounded > 8)
        return bitColours[6];
    if (rounded >= 7)
        return bitColours[5];
    return bitColours[static_cast<std::size_t>(std::clamp(rounded, 2, 6) - 2)];
}

QColor Theme::heatAt(double t) const
{
    const double position = std::clamp(t, 0.0, 1.0) * static_cast<double>(heat.size() - 1);
    const auto index = std::min(static_cast<std::size_t>(position), heat.size() - 2);
    const double share = position - static_cast<double>(index);
    const QColor& a = heat[index];
    const QColor& b = heat[index + 1];
    const auto mix = [share](int from, int to) { return qRound(from + share * (to - from)); };
    return QColor(mix(a.red(), b.red()), mix(a.green(), b.green()), mix(a.blue(), b.blue()));
}

QPalette Theme::palette() const
{
    QPalette p;
    p.setColor(QPalette::Window, win);
    p.setColor(QPalette::WindowText, tx);
    p.setColor(QPalette::Base, base);
    p.setColor(QPalette::AlternateBase, alt);
    p.setColor(QPalette::Text, tx);
    p.setColor(QPalette::PlaceholderText, tx3);
    p.setColor(QPalette::Button, field);
    p.setColor(QPalette::ButtonText, tx);
    p.setColor(QPalette::BrightText, bad);
    p.setColor(QPalette::Highlight, sel);
    p.setColor(QPalette::HighlightedText, tx);
    p.setColor(QPalette::Link, acc);
    p.setColor(QPalette::LinkVisited, acc);
    p.setColor(QPalette::ToolTipBase, field);
    p.setColor(QPalette::ToolTipText, tx);
    p.setColor(QPalette::Light, line);
    p.setColor(QPalette::Midlight, line);
    p.setColor(QPalette::Mid, line2);
    p.setColor(QPalette::Dark, line2);
    p.setColor(QPalette::Shadow, isDark ? base : line2);
    p.setColor(QPalette::Inactive, QPalette::Highlight, seln);
    for (const auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::HighlightedText})
        p.setColor(QPalette::Disabled, role, dis);
    p.setColor(QPalette::Disabled, QPalette::Highlight, seln);
    return p;
}

QFont font(FontRole role)
{
    QFont f = QApplication::font();
    const double size = f.pointSizeF();
    const auto scaled = [&](double factor, QFont::Weight weight) {
        f.setPointSizeF(size * factor);
        f.setWeight(weight);
        return f;
    };
    const auto mono = [&](double factor) {
        // Inter lends the few glyphs the mono face lacks (the superscript minus of 10⁻²).
        f.setFamilies({QStringLiteral("JetBrains Mono"), QStringLiteral("Inter"), QStringLiteral("DejaVu Sans Mono")});
        f.setStyleHint(QFont::Monospace);
        return scaled(factor, QFont::Normal);
    };
    switch (role) {
    case FontRole::PageTitle:
        return scaled(1.35, QFont::DemiBold);
    case FontRole::KeyFigure:
        return scaled(1.15, QFont::Medium);
    case FontRole::Body:
        return scaled(1.0, QFont::Normal);
    case FontRole::BodyStrong:
    case FontRole::SectionTitle:
        return scaled(1.0, QFont::DemiBold);
    case FontRole::Caption:
        return scaled(0.88, QFont::Normal);
    case FontRole::CaptionStrong:
        return scaled(0.88, QFont::DemiBold);
    case FontRole::Mono:
        return mono(0.88);
    case FontRole::MonoAxis:
        return mono(0.83);
    }
    return f;
}

int px(double n)
{
    // The metrics of a font are not free to ask for, and this is asked in every paint.
    static QFont measured;
    static double height = 0;
    if (height <= 0 || measured != QApplication::font()) {
        measured = QApplication::font();
        height = QFontMetrics(measured).height();
    }
    return qRound(n * height / 16.0);
}

void installFonts()
{
    initialiseResources();
    for (const char* face : {"Inter-Regular", "Inter-Medium", "Inter-SemiBold", "JetBrainsMono-Regular",
                             "JetBrainsMono-Medium", "JetBrainsMono-SemiBold"})
        QFontDatabase::addApplicationFont(QStringLiteral(":/fonts/") + QLatin1String(face));
    QFont application(QStringList{QStringLiteral("Inter"), QStringLiteral("Noto Sans"), QStringLiteral("DejaVu Sans")});
    application.setPointSizeF(10);
    application.setStyleHint(QFont::SansSerif);
    application.setHintingPreference(QFont::PreferVerticalHinting);
    QApplication::setFont(application);
}

bool systemIsDark()
{
    // Read once, before applyTheme() replaces the platform's palette.
    static const bool dark = [] {
#ifdef SIGMASCOPE_DBUS
        const QDBusConnection bus = QDBusConnection::sessionBus();
        if (bus.isConnected()) {
            QDBusMessage ask = QDBusMessage::createMethodCall(
                QStringLiteral("org.freedesktop.portal.Desktop"), QStringLiteral("/org/freedesktop/portal/desktop"),
                QStringLiteral("org.freedesktop.portal.Settings"), QStringLiteral("Read"));
            ask << QStringLiteral("org.freedesktop.appearance") << QStringLiteral("color-scheme");
            const QDBusMessage reply = bus.call(ask, QDBus::Block, 200);
            if (reply.type() == QDBusMessage::ReplyMessage && !reply.arguments().isEmpty()) {
                QVariant value = reply.arguments().constFirst();
                while (value.canConvert<QDBusVariant>())  // the portal wraps its answer twice
                    value = value.value<QDBusVariant>().variant();
                if (value.toUInt() == 1 || value.toUInt() == 2)
                    return value.toUInt() == 1;
            }
        }
#endif
        return QApplication::palette().color(QPalette::Window).lightness() < 128;
    }();
    return dark;
}

void applyTheme(QApplication& application, Appearance appearance)
{
    const bool system = systemIsDark();
    const bool dark = appearance == Appearance::Dark || (appearance == Appearance::System && system);
    currentTheme() = dark ? &Theme::dark() : &Theme::light();
    static QPointer<Style> style;
    if (!style) {
        style = new Style;
        QApplication::setStyle(style);
    }
    QApplication::setPalette(Theme::current().palette());
    application.setStyleSheet(styleSheet());
}

QIcon icon(const QString& name)
{
    return QIcon(new ThemedIconEngine(name));
}

}  // namespace sigmascope::ui
