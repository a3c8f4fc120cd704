// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sigmascope {

/// Running 64-bit checksum of bytes that may come in pieces: the same bytes give the same value however they
/// are cut. Four sums side by side, so that verifying a file costs little beside reading it. Finds damage, not
/// malice. Part of a file format: docs/session-file.md.
class Checksum {
public:
    void add(std::span<const std::byte> bytes)
    {
        m_length += bytes.size();
        if (m_pending != 0) {
            const std::size_t taken = std::min(kStripe - m_pending, bytes.size());
            keep(bytes.first(taken));
            bytes = bytes.subspan(taken);
            if (m_pending < kStripe)
                return;
            mix(m_lanes, m_stripe.data());
            m_pending = 0;
        }
        Lanes lanes = m_lanes;
        for (; bytes.size() >= kStripe; bytes = bytes.subspan(kStripe))
            mix(lanes, bytes.data());
        m_lanes = lanes;
        keep(bytes);
    }

    [[nodiscard]] std::uint64_t value() const
    {
        Lanes lanes = m_lanes;
        if (m_pending != 0) {
            Stripe last{};
            std::memcpy(last.data(), m_stripe.data(), m_pending);
            mix(lanes, last.data());
        }
        std::uint64_t hash = kStart;
        for (const std::uint64_t lane : lanes)
            hash = mixed(hash, lane);
        return mixed(hash, m_length);
    }

private:
    static constexpr std::size_t kLanes = 4;
    static constexpr std::size_t kStripe = kLanes * sizeof(std::uint64_t);
    static constexpr std::uint64_t kStart = 0x243F6A8885A308D3ULL;
    using Lanes = std::array<std::uint64_t, kLanes>;
    using Stripe = std::array<std::byte, kStripe>;

    static std::uint64_t mixed(std::uint64_t hash, std::uint64_t word)
    {
        // An odd multiplier and a shift are both invertible: two different words never meet in one step.
        hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
        return hash ^ (hash >> 32);
    }
    static void mix(Lanes& lanes, const std::byte* stripe)
    {
        Lanes words;
        std::memcpy(words.data(), stripe, kStripe);
        for (std::size_t k = 0; k < kLanes; ++k)
            lanes[k] = mixed(lanes[k], words[k]);
    }
    void keep(std::span<const std::byte> bytes)
    {
        std::ranges::copy(bytes, m_stripe.begin() + static_cast<std::ptrdiff_t>(m_pending));
        m_pending += bytes.size();
    }

    Lanes m_lanes{kStart, kStart + 1, kStart + 2, kStart + 3};
    Stripe m_stripe{};
    std::size_t m_pending = 0;
    std::uint64_t m_length = 0;
};

}  // namespace sigmascope
