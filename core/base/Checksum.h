// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sigmascope {

/// Running 64-bit checksum of bytes that may come in pieces: the same bytes give the same value however they
/// are cut. Eight bytes a step, so that verifying a file costs little beside reading it. Finds damage, not
/// malice.
class Checksum {
public:
    void add(std::span<const std::byte> bytes)
    {
        m_length += bytes.size();
        while (m_pending != 0 && !bytes.empty()) {
            addToWord(bytes.front());
            bytes = bytes.subspan(1);
        }
        while (bytes.size() >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data(), 8);
            mix(word);
            bytes = bytes.subspan(8);
        }
        for (const std::byte byte : bytes)
            addToWord(byte);
    }

    [[nodiscard]] std::uint64_t value() const
    {
        Checksum end = *this;
        end.mix(end.m_word);
        end.mix(end.m_length);
        return end.m_hash;
    }

private:
    void addToWord(std::byte byte)
    {
        m_word |= std::to_integer<std::uint64_t>(byte) << (8 * m_pending);
        if (++m_pending < 8)
            return;
        mix(m_word);
        m_word = 0;
        m_pending = 0;
    }
    void mix(std::uint64_t word)
    {
        // An odd multiplier and a shift are both invertible: two different words never meet in one step.
        m_hash = (m_hash ^ word) * 0x9E3779B97F4A7C15ULL;
        m_hash ^= m_hash >> 32;
    }

    std::uint64_t m_hash = 0x243F6A8885A308D3ULL;
    std::uint64_t m_word = 0;
    std::uint64_t m_length = 0;
    unsigned m_pending = 0;
};

}  // namespace sigmascope
