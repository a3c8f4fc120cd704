// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstdint>
#include <numbers>
#include <cmath>
#include <span>
#include <string_view>

namespace sigmascope {

/// SplitMix64 (Steele, Lea, Flood 2014): six lines in any language, so goldens need no library's RNG.
/// std distributions differ between libraries, hence our own.
class SplitMix64 {
public:
    explicit SplitMix64(std::uint64_t seed) : m_state(seed) {}

    [[nodiscard]] std::uint64_t next()
    {
        m_state += 0x9E3779B97F4A7C15ULL;
        std::uint64_t z = m_state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    /// In (0, 1), 53 bit, never 0 or 1.
    [[nodiscard]] double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1.0p-53; }

private:
    std::uint64_t m_state;
};

/// Fills with standard normals by Box-Muller in pairs, cosine first (methods-lowrank §14).
/// The same seed gives the same numbers whatever the size's parity: an odd last one takes the cosine.
template <class Real>
void fillNormal(std::uint64_t seed, std::span<Real> out, double scale = 1.0)
{
    SplitMix64 random(seed);
    for (std::size_t i = 0; i < out.size(); i += 2) {
        const double u1 = random.uniform();
        const double u2 = random.uniform();
        const double radius = scale * std::sqrt(-2.0 * std::log(u1));
        const double angle = 2.0 * std::numbers::pi * u2;
        out[i] = static_cast<Real>(radius * std::cos(angle));
        if (i + 1 < out.size())
            out[i + 1] = static_cast<Real>(radius * std::sin(angle));
    }
}

/// FNV-1a of a name mixed with a seed: each tensor draws its own stream, in any order of work.
[[nodiscard]] constexpr std::uint64_t seedFor(std::uint64_t seed, std::string_view name)
{
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
    for (const char c : name)
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return hash;
}

}  // namespace sigmascope
