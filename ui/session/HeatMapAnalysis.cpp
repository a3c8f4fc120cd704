// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/HeatMapAnalysis.h"

#include "ui/session/Session.h"

#include <algorithm>

namespace sigmascope::ui {

namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20U;

std::size_t bytesOf(const HeatMap& map)
{
    return sizeof(HeatMap) + map.values.size() * sizeof(float);
}

Result<HeatMap> lookAt(const MatrixSubject& subject, HeatQuantity quantity, const HeatWindow& window,
                       const JobContext& job)
{
    const auto matrix = matrixRows(subject);
    if (!matrix)
        return passOn(matrix);
    auto map = heatMap(*matrix, quantity, window, job);
    if (!map)
        return passOn(map);
    if (auto same = subject.checkpoint->checkUnchanged(subject.tensor); !same)
        return passOn(same);
    return map;
}

/// A band of cells cut into tiles.
std::vector<HeatTile> cut(const HeatMap& band)
{
    constexpr std::uint64_t side = HeatMapAnalysis::kTile;
    std::vector<HeatTile> tiles;
    for (std::uint64_t x = 0; x < band.window.width; x += side) {
        HeatWindow window = band.window;
        window.x += x;
        window.width = std::min(side, band.window.width - x);
        tiles.push_back(std::make_shared<const HeatMap>(pooled(band, window)));
    }
    return tiles;
}

}  // namespace

HeatMapAnalysis::HeatMapAnalysis(Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    connect(&session, &Session::selectionChanged, this, &HeatMapAnalysis::refresh);
    connect(&session, &Session::planChanged, this, &HeatMapAnalysis::refresh);
    connect(&session, &Session::calibrationChanged, this, &HeatMapAnalysis::refresh);
    connect(&session, &Session::opened, this, &HeatMapAnalysis::refresh);
    // That some values are not finite is known only once they are counted.
    connect(&session, &Session::analysisChanged, this, [this](std::size_t tensor) {
        if (m_wanted && m_wanted->tensor == tensor)
            refresh();
    });
    connect(&session, &Session::closed, this, &HeatMapAnalysis::refresh);
}

void HeatMapAnalysis::setWatched(bool watched)
{
    m_isWatched = watched;
    if (watched) {
        refresh();
    } else if (m_overviewJob.isRunning() || m_tilesJob.isRunning()) {
        m_overviewJob.cancel();
        m_tilesJob.cancel();
        m_wanted.reset();
    }
}

bool HeatMapAnalysis::has(HeatQuantity quantity) const
{
    return m_wanted && (quantity == HeatQuantity::W || (m_hasError && (quantity == HeatQuantity::E || m_hasMetric)));
}

void HeatMapAnalysis::setQuantity(HeatQuantity quantity)
{
    if (quantity == m_quantity || !has(quantity))
        return;
    m_quantity = quantity;
    startOverview();
    emit changed();
}

void HeatMapAnalysis::cancel()
{
    m_overviewJob.cancel();
    m_tilesJob.cancel();
    emit changed();
}

void HeatMapAnalysis::refresh()
{
    if (!m_isWatched)
        return;
    const auto subject = currentSubject(m_session);
    if (subject && subject == m_wanted) {
        emit changed();
        return;
    }
    m_wanted = subject;
    m_error.reset();
    m_kept.clear();
    m_uses.clear();
    m_keptBytes = 0;
    m_tilesJob.cancel();
    m_overviewJob.cancel();
    m_overview.reset();
    m_hasError = m_hasMetric = false;
    if (subject) {
        // Nothing but headers is read here.
        if (const auto matrix = matrixRows(*subject)) {
            m_rows = matrix->rows;
            m_cols = matrix->cols;
            m_hasError = static_cast<bool>(matrix->residual);
            m_hasMetric = !matrix->scale.empty();
            if (!has(m_quantity))
                m_quantity = HeatQuantity::W;
            startOverview();
        } else {
            m_error = matrix.error();
        }
    }
    emit changed();
}

void HeatMapAnalysis::startOverview()
{
    m_tilesJob.cancel();
    m_overview.reset();
    m_error.reset();
    const HeatWindow window = overviewOf(m_rows, m_cols, kOverviewCells);
    m_overviewJob.start(
        [subject = *m_wanted, quantity = m_quantity, window](const JobContext& job) -> Result<HeatTile> {
            auto map = lookAt(subject, quantity, window, job);
            if (!map)
                return passOn(map);
            return std::make_shared<const HeatMap>(std::move(*map));
        },
        [this](const Result<HeatTile>& answer) {
            if (answer)
                m_overview = *answer;
            else
                m_error = answer.error();
            emit changed();
        },
        [this](double share, const QString&) { emit progressed(share); });
}

HeatWindow HeatMapAnalysis::windowOf(int levelX, int levelY, std::uint64_t x, std::uint64_t y) const
{
    HeatWindow window{.levelX = levelX, .levelY = levelY, .x = x * kTile, .y = y * kTile};
    window.width = std::min(kTile, cellsAt(m_cols, levelX) - window.x);
    window.height = std::min(kTile, cellsAt(m_rows, levelY) - window.y);
    return window;
}

void HeatMapAnalysis::keep(const HeatTile& tile)
{
    const HeatWindow& window = tile->window;
    const Key key{m_quantity, window.levelX, window.levelY, window.x / kTile, window.y / kTile};
    if (m_kept.contains(key))
        return;
    m_uses.push_front(key);
    m_kept.emplace(key, Kept{tile, m_uses.begin()});
    m_keptBytes += bytesOf(*tile);
    while (m_keptBytes > kMostBytes && m_uses.size() > 1) {
        const auto oldest = m_kept.find(m_uses.back());
        m_keptBytes -= bytesOf(*oldest->second.tile);
        m_kept.erase(oldest);
        m_uses.pop_back();
    }
}

void HeatMapAnalysis::request(const HeatWindow& tiles)
{
    if (!m_overview || !m_wanted)
        return;
    m_tilesJob.cancel();
    std::vector<HeatTile> known;
    std::vector<HeatWindow> bands;  // one for each row of tiles that lacks some
    const bool isCoarse = tiles.levelX >= m_overview->window.levelX && tiles.levelY >= m_overview->window.levelY;
    for (std::uint64_t y = tiles.y; y < tiles.y + tiles.height; ++y) {
        std::optional<HeatWindow> band;
        for (std::uint64_t x = tiles.x; x < tiles.x + tiles.width; ++x) {
            const HeatWindow window = windowOf(tiles.levelX, tiles.levelY, x, y);
            const auto found = m_kept.find(Key{m_quantity, tiles.levelX, tiles.levelY, x, y});
            if (found != m_kept.end()) {
                m_uses.splice(m_uses.begin(), m_uses, found->second.use);
                known.push_back(found->second.tile);
            } else if (isCoarse) {
                known.push_back(std::make_shared<const HeatMap>(pooled(*m_overview, window)));
                keep(known.back());
            } else if (!band) {
                band = window;
            } else {
                band->width = window.x + window.width - band->x;
            }
        }
        if (band)
            bands.push_back(*band);
    }
    if (!known.empty())
        emit tilesReady(known);
    if (!bands.empty())
        startTiles(std::move(bands));
}

void HeatMapAnalysis::startTiles(std::vector<HeatWindow> bands)
{
    using Post = LatestJob<bool>::Post;
    m_tilesJob.start(
        [this, subject = *m_wanted, quantity = m_quantity, bands = std::move(bands)](const JobContext& job,
                                                                                     const Post& post) -> Result<bool> {
            for (const HeatWindow& band : bands) {
                const auto map = lookAt(subject, quantity, band, job);
                if (!map)
                    return passOn(map);
                // Runs on the GUI thread, and only while this request is the newest and this object lives.
                post([this, tiles = cut(*map)] {
                    for (const HeatTile& tile : tiles)
                        keep(tile);
                    emit tilesReady(tiles);
                });
            }
            return true;
        },
        [this](const Result<bool>& answer) {
            if (!answer && answer.error().code != ErrorCode::Cancelled) {
                m_error = answer.error();
                emit changed();
            }
        });
}

}  // namespace sigmascope::ui
