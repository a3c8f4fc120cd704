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

/// A part of the work under way: units [first, first + count) and the buffers they lie in.
struct Slice {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    const Buffer* input = nullptr;
    const Buffer* output = nullptr;
};

/// Work cut into equal units that kernels take any number of at once: chunks of a tensor, pairs of blocks, rows.
/// The result must not depend on how many units a slice holds.
struct TileWork {
    std::uint64_t units = 0;
    Bytes inputPerUnit = 0;  ///< zero: the input lies on the device already
    Bytes outputPerUnit = 0;
    Bytes outputHeader = 0;  ///< before the units' output
    const Buffer* target = nullptr;  ///< where the input goes, unit by unit, instead of a slice's own buffer
    bool clearsOutput = false;  ///< zero all output before each slice; otherwise the header only
    std::uint64_t maxUnits = ~std::uint64_t{0};  ///< most a slice may hold, workgroups counted in
    std::uint64_t firstUnits = 0;  ///< size of the first slice; zero means by bytes
    std::uint64_t grain = 1;  ///< slices begin at multiples of it
    std::string_view subject;  ///< named by the progress report
    /// Writes the input of units [first, first + count) and returns its bytes, a multiple of 4. Null without input.
    std::function<Bytes(std::span<std::byte> upload, std::uint64_t first, std::uint64_t count)> fill;
    /// What runs over a slice; returns how many passes were written. Null when the upload is all.
    std::function<std::size_t(std::span<Pass> passes, const Slice& slice)> passes;
    /// Takes header and output of a slice; slices come in order. Null without output.
    std::function<Status(std::span<const std::byte> output, std::uint64_t first, std::uint64_t count)> take;
};

/// Runs TileWork in slices of about kSliceSeconds: a ring of them is under way, so the host copies while the
/// device computes. The stop token is polled between slices. When memory runs out the slices are halved until
/// they fit; OutOfMemory when not even one unit does.
class Tiles {
public:
    /// Slices under way at a time: one is filled while another runs and a third is read.
    static constexpr std::size_t kSlots = 3;

    /// @param memory outlives it.
    Tiles(Device& device, MemoryPool& memory);
    ~Tiles();
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

    [[nodiscard]] Status run(const TileWork& work, const JobContext& job);
    /// Gives the slices' buffers back, for one who needs the memory more.
    void release();

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
    [[nodiscard]] Status allocate(Slot& slot, Bytes input, Bytes output, bool isTargeted);
    [[nodiscard]] Status start(Slot& slot, const TileWork& work, std::uint64_t first, std::uint64_t count);
    [[nodiscard]] Status finish(Slot& slot, const TileWork& work);
    [[nodiscard]] std::uint64_t mostUnits(const TileWork& work) const;
    void adapt(const Slot& slot);
    void drain();

    Device& m_device;
    MemoryPool& m_memory;
    std::array<Slot, kSlots> m_slots;
    Bytes m_slotBytes;  // most a buffer of a slot may hold: less after memory ran out
    std::uint64_t m_capacity = 0;  // units a slot holds, for the work being run
    std::uint64_t m_slice = 0;  // units of the next slice
};

}  // namespace sigmascope::gpu
