// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/analysis/HeatMap.h"
#include "ui/session/LatestJob.h"
#include "ui/session/MatrixAnalysis.h"

#include <QObject>

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

namespace sigmascope::ui {

using HeatTile = std::shared_ptr<const HeatMap>;

/// Heat map of the session's current layer while somebody watches: an overview at once, then tiles of 256 x 256 cells
/// of the part and level that are looked at. Tiles are kept up to 64 MiB. GUI thread only.
class HeatMapAnalysis : public QObject {
    Q_OBJECT

public:
    explicit HeatMapAnalysis(Session& session, QObject* parent = nullptr);

    static constexpr std::uint64_t kTile = 256;  ///< cells a side
    static constexpr std::uint64_t kOverviewCells = 1024;  ///< a side, at most

    void setWatched(bool watched);
    void setQuantity(HeatQuantity quantity);
    [[nodiscard]] HeatQuantity quantity() const { return m_quantity; }
    [[nodiscard]] const std::optional<MatrixSubject>& subject() const { return m_wanted; }
    /// E needs a grid, E S a metric too.
    [[nodiscard]] bool has(HeatQuantity quantity) const;
    /// Null while it is computed.
    [[nodiscard]] const HeatTile& overview() const { return m_overview; }
    [[nodiscard]] bool isRunning() const { return m_overviewJob.isRunning(); }
    [[nodiscard]] const std::optional<Error>& error() const { return m_error; }
    void cancel();

    /// Tiles of a level, [x, x + width) by [y, y + height) in tiles: those known come by tilesReady() at once, the
    /// others as they are computed. A new request voids the one before.
    /// @pre an overview is there; the tiles lie within the matrix.
    void request(const HeatWindow& tiles);
    /// Bytes of tiles kept, for tests.
    [[nodiscard]] std::size_t keptBytes() const { return m_keptBytes; }

signals:
    void changed();
    void progressed(double share);
    void tilesReady(const std::vector<sigmascope::ui::HeatTile>& tiles);

private:
    using Key = std::tuple<HeatQuantity, int, int, std::uint64_t, std::uint64_t>;
    struct Kept {
        HeatTile tile;
        std::list<Key>::iterator use;
    };
    void refresh();
    void startOverview();
    void startTiles(std::vector<HeatWindow> bands);
    void keep(const HeatTile& tile);
    [[nodiscard]] HeatWindow windowOf(int levelX, int levelY, std::uint64_t x, std::uint64_t y) const;

    Session& m_session;
    bool m_isWatched = false;
    HeatQuantity m_quantity = HeatQuantity::W;
    std::optional<MatrixSubject> m_wanted;
    std::uint64_t m_rows = 0, m_cols = 0;
    bool m_hasError = false, m_hasMetric = false;
    HeatTile m_overview;
    std::optional<Error> m_error;
    std::map<Key, Kept> m_kept;
    std::list<Key> m_uses;  // newest first
    std::size_t m_keptBytes = 0;
    LatestJob<HeatTile> m_overviewJob;
    LatestJob<bool> m_tilesJob;
};

}  // namespace sigmascope::ui
