// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/project/WorkModel.h"

#include <algorithm>

namespace sigmascope
{

namespace
{

/// Seconds a unit before anything of the kind was measured, in relation to each other. Units are elements; a correction
/// counts some ten products with the matrix in its units already.
constexpr std::array<double, 5> kGuess{1e-9, 1e-9, 6e-9, 6e-9, 0.5e-9};
constexpr double kLeastShare = 0.03;

} // namespace

void WorkModel::skip(Kind kind, double units)
{
    share(kind).planned -= units;
    share(kind).skipped += units;
}

void WorkModel::begin(Kind kind, double units)
{
    m_running = kind;
    m_units = units;
    m_advanced = 0;
    m_start = Clock::now();
}

void WorkModel::exclude(double seconds)
{
    m_start += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void WorkModel::advance(double fraction)
{
    m_advanced = std::clamp(fraction, m_advanced, 1.0);
}

void WorkModel::end()
{
    if (!m_running)
        return;
    Share& of = share(*m_running);
    of.done += m_units;
    of.seconds += elapsed();
    m_running.reset();
}

double WorkModel::elapsed() const
{
    return m_running ? std::chrono::duration<double>(Clock::now() - m_start).count() : 0;
}

double WorkModel::secondsPerUnit(std::size_t kind) const
{
    const Share& of = m_shares[kind];
    if (of.done > 0)
        return of.seconds / of.done;
    // As guessed, on a machine as fast as the other kinds have shown it to be.
    double measured = 0;
    double guessed = 0;
    for (std::size_t i = 0; i < m_shares.size(); ++i) {
        measured += m_shares[i].done > 0 ? m_shares[i].seconds : 0;
        guessed += m_shares[i].done * kGuess[i];
    }
    return guessed > 0 ? kGuess[kind] * measured / guessed : kGuess[kind];
}

double WorkModel::spent() const
{
    double seconds = elapsed();
    for (const Share& of : m_shares)
        seconds += of.seconds;
    return seconds;
}

double WorkModel::left() const
{
    double seconds = 0;
    for (std::size_t i = 0; i < m_shares.size(); ++i) {
        double units = m_shares[i].planned - m_shares[i].done;
        if (m_running && static_cast<std::size_t>(*m_running) == i)
            units -= m_units * m_advanced;
        seconds += std::max(0.0, units) * secondsPerUnit(i);
    }
    return seconds;
}

double WorkModel::fraction() const
{
    double before = 0;
    for (std::size_t i = 0; i < m_shares.size(); ++i)
        before += m_shares[i].skipped * secondsPerUnit(i);
    const double past = before + spent();
    const double all = past + left();
    return all > 0 ? past / all : 0;
}

std::optional<double> WorkModel::secondsLeft() const
{
    const double past = spent();
    const double rest = left();
    if (past < kLeastShare * (past + rest))
        return std::nullopt;
    return rest;
}

} // namespace sigmascope
