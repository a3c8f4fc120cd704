// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/plots/HeatMapParts.h"
#include "ui/plots/LogTicker.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace sigmascope::ui {
namespace {

constexpr double kGroundShare = 0.02;  // of the values in view that may take the ground's colour
constexpr double kLogDepth = 1e-6;  // of the largest: the log scale goes no further down

/// Rows are drawn downwards, so the axis counts them negatively and names them positively.
class RowTicker : public PlainTicker {
protected:
    QString getTickLabel(double tick, const QLocale& locale, QChar formatChar, int precision) override
    {
        return PlainTicker::getTickLabel(-tick, locale, formatChar, precision);
    }
};

/// 1, 2 or 5 times a power of ten, not above.
double roundedDown(double value)
{
    const double decade = std::pow(10.0, std::floor(std::log10(value)));
    const double lead = value / decade;
    return (lead >= 5 ? 5 : lead >= 2 ? 2 : 1) * decade;
}

int levelOf(double elementsPerPixel)
{
    return elementsPerPixel <= 1 ? 0 : static_cast<int>(std::ceil(std::log2(elementsPerPixel) - 1e-9));
}

}  // namespace

QString nameOf(HeatQuantity quantity)
{
    return quantity == HeatQuantity::W ? QStringLiteral("|W|")
        : quantity == HeatQuantity::E  ? QStringLiteral("|E|")
                                       : QStringLiteral("|E·S|");
}

HeatMapPlot::HeatMapPlot(QWidget* parent)
    : PlotFrame(parent)
    , m(std::make_unique<Parts>())
{
    buildPlot();
    buildHeader();
    connect(plot(), &QCustomPlot::afterLayout, this, [this] { layOut(); });
    setAccessibleName(tr("Heat map"));
    setTitle(QStringLiteral("heat-map"));
    setHint(tr("Wheel zooms, Ctrl rows, Shift columns"));
    showEmpty(tr("Select a layer to see its weights as a picture"));
}

HeatMapPlot::~HeatMapPlot() = default;

void HeatMapPlot::buildPlot()
{
    plot()->plotLayout()->clear();
    m->rect = new QCPAxisRect(plot());
    plot()->plotLayout()->addElement(0, 0, m->rect);
    for (QCPAxis* axis : m->rect->axes()) {
        axis->setLayer(QStringLiteral("axes"));
        axis->grid()->setLayer(QStringLiteral("grid"));
    }
    m->x().setTicker(QSharedPointer<PlainTicker>::create());
    m->y().setTicker(QSharedPointer<RowTicker>::create());
    m->x().setRange(0, 256);
    m->y().setRange(-256, 0);
    m->rect->setAutoMargins(QCP::msLeft | QCP::msBottom | QCP::msTop);
    m->rect->setMinimumMargins(QMargins(0, px(8), 0, 0));
    m->colours = new QCPColorScale(plot());
    m->colours->setType(QCPAxis::atRight);
    m->colours->setBarWidth(px(10));
    m->colours->setRangeDrag(false);
    m->colours->setRangeZoom(false);
    m->colours->setMargins(QMargins(px(10), 0, 0, 0));
    plot()->plotLayout()->addElement(0, 1, m->colours);
    auto* group = new QCPMarginGroup(plot());
    m->rect->setMarginGroup(QCP::msTop | QCP::msBottom, group);
    m->colours->setMarginGroup(QCP::msTop | QCP::msBottom, group);
    m->picture = new HeatItem(plot(), m->rect);
    m->picture->setVisible(false);
    m->cell = new CellItem(plot());
    m->cell->setVisible(false);
}

void HeatMapPlot::buildHeader()
{
    m->quantities = new SegmentedControl(SegmentedControl::Mode::OneOfMany, this);
    m->quantities->setAccessibleName(tr("What is shown"));
    m->quantities->setMinimumWidth(px(150));  // longer words in another language widen it
    m->quantities->setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
    addHeaderWidget(m->quantities);
    connect(m->quantities, &SegmentedControl::valueChosen, this,
            [this](int value) { emit quantityChosen(static_cast<HeatQuantity>(value)); });
    m->scale = new QComboBox(this);
    m->scale->addItems({tr("Log"), tr("Linear")});
    m->scale->setAccessibleName(tr("Scale of the colours"));
    m->scale->setToolTip(tr("Scale of the colours"));
    connect(m->scale, &QComboBox::activated, this, [this](int index) { setLog(index == 0); });
    addHeaderWidget(m->scale);
    setQuantities(HeatQuantity::W, {true, false, false}, {});
}

void HeatMapPlot::setQuantities(HeatQuantity quantity, const std::array<bool, 3>& has,
                                const std::array<QString, 3>& reasons)
{
    const std::array<QString, 3> names{QStringLiteral("|W|"), QStringLiteral("|E|"), QStringLiteral("|E·S|")};
    const std::array<QString, 3> explanations{tr("Magnitude of the weights"),
                                              tr("Magnitude of E = W − Q, what the grid leaves"),
                                              tr("Error weighted by the calibrated size of each input")};
    QList<Segment> segments;
    for (std::size_t i = 0; i < 3; ++i)
        segments.append(
            {static_cast<int>(i), names[i], has[i], has[i] || reasons[i].isEmpty() ? explanations[i] : reasons[i]});
    m->quantities->setSegments(segments);
    m->quantities->setValue(static_cast<int>(quantity));
}

void HeatMapPlot::show(const HeatView& view)
{
    const bool isSame = m->hasData() && view.rows == m->view.rows && view.cols == m->view.cols;
    if (view.overview == m->view.overview && state() == State::Ready) {
        setQuantities(view.quantity, view.has, view.reasons);
        return;
    }
    m->view = view;
    m->tiles.clear();
    m->wanted = {};
    m->picture->rows = view.rows;
    m->picture->cols = view.cols;
    m->picture->pictures.assign(1, {view.overview, {}});
    m->picture->setVisible(true);
    setQuantities(view.quantity, view.has, view.reasons);
    if (!isSame || !m->isFree)
        resetZoom();
    chooseColours();
    const auto& cells = view.overview->values;
    if (std::ranges::any_of(cells, [](float cell) { return std::isfinite(cell) && cell != 0; }))
        setReady();
    else
        showEmpty(std::ranges::any_of(cells, [](float cell) { return std::isfinite(cell); })
                      ? tr("Every value is 0")
                      : tr("No finite value to show"));
}

void HeatMapPlot::addTiles(const std::vector<Tile>& tiles)
{
    for (const Tile& tile : tiles) {
        const HeatWindow& window = tile->window;
        const bool isWanted = window.levelX == m->wanted.levelX && window.levelY == m->wanted.levelY;
        const bool isKnown
            = std::ranges::any_of(m->tiles, [&](const auto& known) { return known.first->window == window; });
        if (!isWanted || isKnown)
            continue;
        m->tiles.emplace_back(tile, quantileOf(*tile, kGroundShare));
        m->picture->pictures.push_back({tile, {}});
    }
    if (tilesMissing() == 0) {
        // The coarser stand-ins have served.
        const auto isOld = [&](const HeatItem::Picture& picture) {
            return picture.map != m->view.overview
                && std::ranges::none_of(m->tiles, [&](const auto& known) { return known.first == picture.map; });
        };
        std::erase_if(m->picture->pictures, isOld);
    }
    chooseColours();
    placeCursor();
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

/// The scale ends at the tensor's largest value and begins where next to nothing in view is darker.
void HeatMapPlot::chooseColours()
{
    HeatScale scale{.lower = 0, .upper = largestOf(*m->view.overview), .isLog = m->isLog};
    if (scale.upper <= 0)
        scale = {.lower = 0, .upper = 1, .isLog = false};
    if (scale.isLog) {
        double ground = m->tiles.empty() ? quantileOf(*m->view.overview, kGroundShare) : scale.upper;
        for (const auto& [tile, own] : m->tiles)
            ground = own > 0 ? std::min(ground, own) : ground;
        scale.lower = roundedDown(std::clamp(ground, scale.upper * kLogDepth, scale.upper / 4));
    }
    if (scale == m->picture->scale && m->shown == m->view.quantity)
        return;
    m->shown = m->view.quantity;
    m->picture->scale = scale;
    m->picture->forgetImages();
    m->colours->setDataScaleType(scale.isLog ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    m->colours->axis()->setTicker(scale.isLog ? QSharedPointer<QCPAxisTicker>(new LogTicker)
                                              : QSharedPointer<QCPAxisTicker>(new PlainTicker));
    m->colours->setDataRange({scale.lower, scale.upper});
    m->colours->axis()->setLabel(nameOf(m->view.quantity)
                                 + (m->wanted.levelX + m->wanted.levelY > 0 ? tr(", largest of a cell") : QString()));
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void HeatMapPlot::setLog(bool on)
{
    m->scale->setCurrentIndex(on ? 0 : 1);
    if (on == m->isLog)
        return;
    m->isLog = on;
    if (m->hasData())
        chooseColours();
}

bool HeatMapPlot::isLog() const
{
    return m->isLog;
}

std::pair<int, int> HeatMapPlot::level() const
{
    return {m->wanted.levelX, m->wanted.levelY};
}

int HeatMapPlot::tilesDrawn() const
{
    return static_cast<int>(m->wanted.width * m->wanted.height) - tilesMissing();
}

int HeatMapPlot::tilesMissing() const
{
    int missing = 0;
    for (std::uint64_t y = m->wanted.y; y < m->wanted.y + m->wanted.height; ++y)
        for (std::uint64_t x = m->wanted.x; x < m->wanted.x + m->wanted.width; ++x)
            missing += m->tileAt(x * kTile, y * kTile) == nullptr ? 1 : 0;
    return missing;
}

std::pair<double, double> HeatMapPlot::colourRange() const
{
    return {m->picture->scale.lower, m->picture->scale.upper};
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> HeatMapPlot::cursorElement() const
{
    if (!m->cursor)
        return std::nullopt;
    return std::pair(static_cast<std::uint64_t>(m->cursor->y()) << static_cast<unsigned>(m->wanted.levelY),
                     static_cast<std::uint64_t>(m->cursor->x()) << static_cast<unsigned>(m->wanted.levelX));
}

QString HeatMapPlot::readout() const
{
    return m->readout;
}

QPoint HeatMapPlot::positionOf(std::uint64_t row, std::uint64_t column) const
{
    return QPointF(m->x().coordToPixel(static_cast<double>(column) + 0.5),
                   m->y().coordToPixel(-static_cast<double>(row) - 0.5))
        .toPoint();
}

std::pair<double, double> HeatMapPlot::visibleColumns() const
{
    return {m->x().range().lower, m->x().range().upper};
}

std::pair<double, double> HeatMapPlot::visibleRows() const
{
    return {-m->y().range().upper, -m->y().range().lower};
}

QString HeatMapPlot::dataAsCsv() const
{
    if (!m->hasData())
        return {};
    // What is in view, at the level it is drawn: the whole of a large matrix is what its file is for.
    const auto columnOf = [&](std::uint64_t cell) { return cell << static_cast<unsigned>(m->wanted.levelX); };
    const auto rowOf = [&](std::uint64_t cell) { return cell << static_cast<unsigned>(m->wanted.levelY); };
    const auto [left, right] = visibleColumns();
    const auto [top, bottom] = visibleRows();
    const auto cell = [](double at, int level, std::uint64_t end) {
        return std::min(static_cast<std::uint64_t>(std::max(0.0, at)) >> static_cast<unsigned>(level), end - 1);
    };
    const std::uint64_t x0 = cell(left, m->wanted.levelX, cellsAt(m->view.cols, m->wanted.levelX));
    const std::uint64_t x1 = cell(std::ceil(right) - 1, m->wanted.levelX, cellsAt(m->view.cols, m->wanted.levelX));
    const std::uint64_t y0 = cell(top, m->wanted.levelY, cellsAt(m->view.rows, m->wanted.levelY));
    const std::uint64_t y1 = cell(std::ceil(bottom) - 1, m->wanted.levelY, cellsAt(m->view.rows, m->wanted.levelY));
    QString text = QStringLiteral("# largest magnitude of %1 over %2 rows by %3 columns a cell\nrow\\column")
                       .arg(m->view.quantity == HeatQuantity::W       ? QStringLiteral("W")
                                : m->view.quantity == HeatQuantity::E ? QStringLiteral("E")
                                                                      : QStringLiteral("ES"))
                       .arg(rowOf(1))
                       .arg(columnOf(1));
    for (std::uint64_t x = x0; x <= x1; ++x)
        text += QLatin1Char(',') + QString::number(columnOf(x));
    text += QLatin1Char('\n');
    for (std::uint64_t y = y0; y <= y1; ++y) {
        text += QString::number(rowOf(y));
        for (std::uint64_t x = x0; x <= x1; ++x)
            text += QLatin1Char(',')
                + QString::number(static_cast<double>(m->valueAt(QPoint(static_cast<int>(x), static_cast<int>(y)))),
                                  'g', 9);
        text += QLatin1Char('\n');
    }
    return text;
}

void HeatMapPlot::resetZoom()
{
    m->x().setRange(0, static_cast<double>(std::max<std::uint64_t>(1, m->view.cols)));
    m->y().setRange(-static_cast<double>(std::max<std::uint64_t>(1, m->view.rows)), 0);
    m->isFree = false;
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void HeatMapPlot::setXRange(double lower, double upper)
{
    m->isFree = true;
    m->x().setRange(lower, upper);
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

void HeatMapPlot::setYRange(double lower, double upper)
{
    m->isFree = true;
    m->y().setRange(lower, upper);
    plot()->replot(QCustomPlot::rpQueuedReplot);
}

PlotFrame::Extent HeatMapPlot::dataExtent() const
{
    return {.xLower = 0,
            .xUpper = static_cast<double>(std::max<std::uint64_t>(1, m->view.cols)),
            .yLower = -static_cast<double>(std::max<std::uint64_t>(1, m->view.rows)),
            .yUpper = 0};
}

void HeatMapPlot::seriesToggled(Series, bool) { }

void HeatMapPlot::applyLook()
{
    if (!m)
        return;
    const Theme& theme = Theme::current();
    for (QCPAxis* axis : m->rect->axes())
        styleAxis(*axis);
    m->x().setLabel(tr("Input channel, column of W"));
    m->y().setLabel(tr("Output channel, row of W"));
    styleAxis(*m->colours->axis());
    m->colours->axis()->grid()->setVisible(false);
    for (QCPAxis* edge : m->colours->axis()->axisRect()->axes())
        edge->setBasePen(QPen(theme.line2, 1));
    QCPColorGradient gradient;
    gradient.clearColorStops();
    gradient.setLevelCount(256);
    for (std::size_t i = 0; i < theme.heat.size(); ++i)
        gradient.setColorStopAt(static_cast<double>(i) / static_cast<double>(theme.heat.size() - 1), theme.heat[i]);
    m->colours->setGradient(gradient);
    const bool hasPicture = m->hasData() && state() != State::Empty && state() != State::Failed;
    m->picture->setVisible(hasPicture);
    m->colours->setVisible(hasPicture);
    m->picture->forgetImages();
}

void HeatMapPlot::layOut()
{
    if (!m->hasData() || m->rect->width() < 2 || m->rect->height() < 2)
        return;
    askForTiles();
    placeCursor();
}

void HeatMapPlot::askForTiles()
{
    // Cells of at least one pixel of the screen: nothing is left out, and no cell is smaller than can be seen.
    const double ratio = plot()->bufferDevicePixelRatio();
    HeatWindow wanted{.levelX = levelOf(m->x().range().size() / (m->rect->width() * ratio)),
                      .levelY = levelOf(m->y().range().size() / (m->rect->height() * ratio))};
    const auto tiles = [](double from, double to, int level, std::uint64_t length) {
        const double side = std::ldexp(static_cast<double>(kTile), level);
        const std::uint64_t end = (cellsAt(length, level) + kTile - 1) / kTile;
        const auto first = std::min(static_cast<std::uint64_t>(std::max(0.0, std::floor(from / side))), end - 1);
        const auto last = std::clamp(static_cast<std::uint64_t>(std::max(0.0, std::ceil(to / side))), first + 1, end);
        return std::pair(first, last - first);
    };
    std::tie(wanted.x, wanted.width)
        = tiles(visibleColumns().first, visibleColumns().second, wanted.levelX, m->view.cols);
    std::tie(wanted.y, wanted.height) = tiles(visibleRows().first, visibleRows().second, wanted.levelY, m->view.rows);
    if (wanted == m->wanted || state() != State::Ready)
        return;
    const bool isNewLevel = wanted.levelX != m->wanted.levelX || wanted.levelY != m->wanted.levelY;
    m->wanted = wanted;
    if (isNewLevel)
        m->cursor.reset();
    // Tiles out of view, or of another level, are the analysis' to keep; stand-ins stay drawn until the new ones are
    // there.
    std::erase_if(m->tiles, [&](const auto& known) {
        const HeatWindow& w = known.first->window;
        const std::uint64_t x = w.x / kTile, y = w.y / kTile;
        return isNewLevel || x < wanted.x || x >= wanted.x + wanted.width || y < wanted.y
            || y >= wanted.y + wanted.height;
    });
    // Not from within a replot: the answer may come at once, and asks for one.
    QMetaObject::invokeMethod(
        this, [this, wanted] { emit tilesWanted(wanted); }, Qt::QueuedConnection);
}

}  // namespace sigmascope::ui
