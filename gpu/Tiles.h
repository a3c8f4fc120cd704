// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "gpu/CommandStream.h"

#include "core/base/Job.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace sigmascope::gpu {

/// Work cut into equal units that a kernel takes any number of at once: chunks of a tensor, pairs of blocks.
/// The result must not depend on how many units a slice holds.
struct TileWork {
    const Kernel* kernel = nullptr;
    std::uint64_t units = 0;
    Bytes inputPerUnit = 0;
    Bytes outputPerUnit = 0;
    Bytes outputHeader = 0;  ///< before the units' output
    bool clearsOutput = false;  ///< zero all output before each slice; otherwise the header only
    std::uint32_t unitsPerWorkgroup = 1;
    std::string_view subject;  ///< named by the progress report

    /// Writes the input of units [first, first + count) and returns its bytes, a multiple of 16.
    std::function<Bytes(std::span<std::byte> upload, std::uint64_t first, std::uint64_t count)> fill;
    /// Push constants of such a slice; returns how many bytes were written.
    std::function<std::size_t(std::span<std::byte> push, std::uint64_t first, std::uint64_t count)> push;
    /// Takes header and output of a slice; slices come in order.
    std::function<Status(std::span<const std::byte> output, std::uint64_t first, std::uint64_t count)> take;
};

/// Runs TileWork in slices of about kSliceSeconds: two are under way at a time, so the host copies while the
/// device computes. The stop token is polled between slices. When memory runs out the slices are halved until
/// they fit; OutOfMemory when not even one unit does.
class Tiles {
public:
    explicit Tiles(Device& device);
    ~Tiles();
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

    [[nodiscard]] Status run(const TileWork& work, const JobContext& job);

private:
    struct Slot {
        std::unique_ptr<CommandStream> stream;
        Buffer upload, input, output, readback;
        std::uint64_t first = 0;
        std::uint64_t count = 0;
        Bytes outputBytes = 0;
        double submittedAt = 0;
    };

    [[nodiscard]] Status slices(const TileWork& work, const JobContext& job);
    [[nodiscard]] Status prepare(const TileWork& work);
    [[nodiscard]] Status allocate(const TileWork& work, std::uint64_t units);
    [[nodiscard]] Status allocate(Slot& slot, Bytes input, Bytes output);
    [[nodiscard]] Status start(Slot& slot, const TileWork& work, std::uint64_t first, std::uint64_t count);
    [[nodiscard]] Status finish(Slot& slot, const TileWork& work);
    [[nodiscard]] std::uint64_t mostUnits(const TileWork& work) const;
    void adapt(const Slot& slot);
    void drain();

    Device& m_device;
    MemoryPool m_memory;  // before the slots, whose buffers live in it
    std::array<Slot, 2> m_slots;
    Bytes m_slotBytes;  // most a buffer of a slot may hold: less after memory ran out
    std::uint64_t m_capacity = 0;  // units a slot holds, for the work being run
    std::uint64_t m_slice = 0;  // units of the next slice
};

}  // namespace sigmascope::gpu
