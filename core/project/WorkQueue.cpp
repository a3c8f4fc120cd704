// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/WorkQueue.h"

#include <algorithm>
#include <utility>

namespace sigmascope {

void WorkQueue::pause()
{
    const std::scoped_lock lock(m_mutex);
    m_isPaused = true;
}

void WorkQueue::resume()
{
    {
        const std::scoped_lock lock(m_mutex);
        m_isPaused = false;
    }
    m_changed.notify_all();
}

bool WorkQueue::isPaused() const
{
    const std::scoped_lock lock(m_mutex);
    return m_isPaused;
}

void WorkQueue::setOrder(std::vector<std::size_t> tensors)
{
    auto wish = std::make_shared<const Tensors>(std::move(tensors));
    const std::scoped_lock lock(m_mutex);
    m_wish.swap(wish);  // the old one is freed after the lock
}

void WorkQueue::retry(std::size_t tensor)
{
    const std::scoped_lock lock(m_mutex);
    m_retries.push_back(tensor);
}

std::chrono::duration<double> WorkQueue::waited() const
{
    const std::scoped_lock lock(m_mutex);
    return m_waited + (m_waiting > 0 ? Clock::now() - m_since : Clock::duration{});
}

void WorkQueue::begin(std::span<const std::size_t> order)
{
    m_order.assign(order.begin(), order.end());
    m_atOrder = 0;
    m_wanted.reset();
    m_atWanted = 0;
    m_again.clear();
    m_isWaiting.assign(order.empty() ? 0 : *std::ranges::max_element(order) + 1, false);
    for (const std::size_t tensor : order)
        m_isWaiting[tensor] = true;
}

std::optional<std::size_t> WorkQueue::take(std::size_t tensor)
{
    if (tensor >= m_isWaiting.size() || !m_isWaiting[tensor])
        return std::nullopt;
    m_isWaiting[tensor] = false;
    return tensor;
}

std::optional<std::size_t> WorkQueue::next()
{
    Tensors retries;
    {
        const std::scoped_lock lock(m_mutex);
        if (m_wanted != m_wish) {
            m_wanted = m_wish;
            m_atWanted = 0;
        }
        retries.swap(m_retries);
    }
    for (const std::size_t tensor : retries) {
        // Only what has been given out can have failed; anything else is still to come, or was never part of the run.
        if (tensor < m_isWaiting.size() && !m_isWaiting[tensor]
            && std::ranges::find(m_order, tensor) != m_order.end()) {
            m_isWaiting[tensor] = true;
            m_again.push_back(tensor);
        }
    }
    while (m_wanted && m_atWanted < m_wanted->size()) {
        if (const auto taken = take((*m_wanted)[m_atWanted++]))
            return taken;
    }
    while (m_atOrder < m_order.size()) {
        if (const auto taken = take(m_order[m_atOrder++]))
            return taken;
    }
    while (!m_again.empty()) {
        const std::size_t tensor = m_again.front();
        m_again.pop_front();
        if (const auto taken = take(tensor))
            return taken;
    }
    return std::nullopt;
}

bool WorkQueue::waitWhilePaused(const std::stop_token& stop)
{
    std::unique_lock lock(m_mutex);
    if (m_isPaused && !stop.stop_requested()) {
        if (m_waiting++ == 0)
            m_since = Clock::now();
        m_changed.wait(lock, stop, [this] { return !m_isPaused; });
        if (--m_waiting == 0)
            m_waited += Clock::now() - m_since;
    }
    return !stop.stop_requested();
}

}  // namespace sigmascope
