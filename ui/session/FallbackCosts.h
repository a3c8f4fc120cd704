// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QObject>

#include <cstddef>
#include <unordered_map>

namespace sigmascope::ui {

class Session;

/// Bytes that the session's fallbacks cost. Those of a recipe are worked out once for each recipe; a metric that falls
/// back costs none. GUI thread only.
class FallbackCosts : public QObject {
    Q_OBJECT

public:
    explicit FallbackCosts(const Session& session, QObject* parent = nullptr);

    /// Added by the fallbacks of one tensor, all together; 0 where they change no size, below it where less is stored.
    [[nodiscard]] double of(std::size_t tensor);
    /// Of all fallbacks of the session together.
    [[nodiscard]] double total();

private:
    void refresh();

    const Session& m_session;
    std::unordered_map<std::size_t, double> m_costs;
    bool m_isStale = true;
};

}  // namespace sigmascope::ui
