// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

namespace sigmascope {

/// Which layer of a run comes next, and whether the run waits. One object for one run, shared by the run and by who
/// steers it. Files do not depend on either: every byte's place is fixed before the first layer, and a layer's random
/// stream is its own.
///
/// Thread-safe. Whoever steers never waits for the run: locks are held for a few assignments only.
class WorkQueue {
public:
    // For who steers; any thread, at any time, also before the run begins.

    /// The run waits as soon as the layer that is being computed is written; looking at values and comparing the
    /// finished files wait from tensor to tensor.
    void pause();
    void resume();
    [[nodiscard]] bool isPaused() const;
    /// Waiting layers are computed in this order; those that it does not name come behind, as they lie in the file.
    /// Layers that are done, or being computed, are passed over.
    void setOrder(std::vector<std::size_t> tensors);
    /// A layer that failed is tried again, behind all that still wait. Without effect once the run has ended.
    void retry(std::size_t tensor);
    /// How long the run has stood still so far.
    [[nodiscard]] std::chrono::duration<double> waited() const;

    // For the run.

    /// @param order  the layers as they lie in the file. What was wished for before stays wished for.
    void begin(std::span<const std::size_t> order);
    /// The next layer, which is then no longer waiting; none when all have been given out. One thread.
    [[nodiscard]] std::optional<std::size_t> next();
    /// Returns at once unless paused. False when a stop was requested.
    [[nodiscard]] bool waitWhilePaused(const std::stop_token& stop);

private:
    using Clock = std::chrono::steady_clock;
    using Tensors = std::vector<std::size_t>;
    [[nodiscard]] std::optional<std::size_t> take(std::size_t tensor);

    mutable std::mutex m_mutex;  // of the first group
    std::condition_variable_any m_changed;
    bool m_isPaused = false;
    std::shared_ptr<const Tensors> m_wish;
    Tensors m_retries;
    std::size_t m_waiting = 0;  // threads that stand still, since m_since
    Clock::time_point m_since{};
    Clock::duration m_waited{};

    Tensors m_order;  // the run's thread alone, as all below
    std::size_t m_atOrder = 0;
    std::shared_ptr<const Tensors> m_wanted;  // m_wish as taken over
    std::size_t m_atWanted = 0;
    std::deque<std::size_t> m_again;
    std::vector<bool> m_isWaiting;  // by tensor
};

}  // namespace sigmascope
