// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace sigmascope
{

/// How much of a run is done and how long the rest will take, from what the run's own parts took so far. Kinds of work
/// are measured apart: a layer without correction says little about one with.
class WorkModel
{
public:
    enum class Kind { Look, Keep, Code, Correct, Verify };

    /// Announces work. @param units  of any measure that is proportional to time within the kind.
    void plan(Kind kind, double units) { share(kind).planned += units; }
    /// Work that was planned turns out to be done already.
    void skip(Kind kind, double units);
    /// Starts the clock of one part; end() stops it.
    void begin(Kind kind, double units);
    /// The part that runs stood still for so long: no work.
    void exclude(double seconds);
    /// How far the part that runs has come, 0 to 1.
    void advance(double fraction);
    void end();

    /// Share of the whole, 0 to 1. May fall when work turns out slower than thought; who shows it holds the maximum.
    [[nodiscard]] double fraction() const;
    /// Absent until 3 % of what this run has to do itself is done.
    [[nodiscard]] std::optional<double> secondsLeft() const;

private:
    using Clock = std::chrono::steady_clock;
    struct Share {
        double planned = 0;
        double skipped = 0;
        double done = 0;
        double seconds = 0;
    };
    [[nodiscard]] Share& share(Kind kind) { return m_shares[static_cast<std::size_t>(kind)]; }
    [[nodiscard]] double secondsPerUnit(std::size_t kind) const;
    [[nodiscard]] double spent() const;
    [[nodiscard]] double left() const;
    [[nodiscard]] double elapsed() const;

    std::array<Share, 5> m_shares{};
    std::optional<Kind> m_running;
    double m_units = 0; // of the part that runs
    double m_advanced = 0;
    Clock::time_point m_start{};
};

} // namespace sigmascope
