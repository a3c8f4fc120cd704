// SPDX-License-Identifier: GPL-3.0-or-later
#include "ui/session/FallbackCosts.h"

#include "core/plan/FallbackCost.h"
#include "ui/session/Session.h"

#include <unordered_set>
#include <utility>

namespace sigmascope::ui {

FallbackCosts::FallbackCosts(const Session& session, QObject* parent)
    : QObject(parent)
    , m_session(session)
{
    const auto forget = [this] { m_isStale = true; };
    connect(&session, &Session::recipeChanged, this, forget);
    connect(&session, &Session::opened, this, forget);
    connect(&session, &Session::closed, this, forget);
}

void FallbackCosts::refresh()
{
    if (!m_isStale)
        return;
    m_isStale = false;
    m_costs.clear();
    if (!m_session.isOpen())
        return;
    const RecipeState& state = m_session.recipe();
    if (state.rule.size() != m_session.checkpoint()->tensors().size())
        return;
    // It was resolved before: a recipe that could not be was never taken.
    if (auto costs = fallbackCosts(state.recipe, state.resolved, state.rule, *m_session.checkpoint()))
        m_costs = std::move(*costs);
}

double FallbackCosts::of(std::size_t tensor)
{
    refresh();
    const auto found = m_costs.find(tensor);
    return found == m_costs.end() ? 0 : found->second;
}

double FallbackCosts::total()
{
    refresh();
    double bytes = 0;
    std::unordered_set<std::size_t> seen;  // all fallbacks of a tensor share its cost
    for (const Fallback& fallback : m_session.fallbacks())
        if (seen.insert(fallback.tensor).second)
            bytes += of(fallback.tensor);
    return bytes;
}

}  // namespace sigmascope::ui
