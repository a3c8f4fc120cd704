// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/Tiles.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace sigmascope::gpu {

namespace {

/// A device that also drives the display must not be held longer, and a cancel is seen as often.
constexpr double kSliceSeconds = 0.05;
constexpr Bytes kSlotBytes = Bytes{32} << 20;
constexpr Bytes kFirstSliceBytes = Bytes{4} << 20;

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Tiles::Tiles(Device& device)
    : m_device(device)
    , m_memory(device)
    , m_slotBytes(kSlotBytes)
{
}

Tiles::~Tiles()
{
    drain();
}

Status Tiles::run(const TileWork& work, const JobContext& job)
{
    if (m_device.isLost())
        return fail(ErrorCode::DeviceFailed,
                    fmt::format("{} ({}) was lost earlier", m_device.info().id, m_device.info().name));
    const Status done = slices(work, job);
    drain();  // whatever ended the work early: buffers and spans must not be in use after return
    return done;
}

Status Tiles::slices(const TileWork& work, const JobContext& job)
{
    if (const Status prepared = prepare(work); !prepared)
        return prepared;
    std::uint64_t begun = 0;
    std::uint64_t finished = 0;
    std::size_t turn = 0;
    while (finished < work.units) {
        if (job.cancelled())
            return cancelledError();
        Slot& slot = m_slots[turn];
        turn = (turn + 1) % m_slots.size();
        if (slot.stream->isBusy()) {
            if (const Status taken = finish(slot, work); !taken)
                return taken;
            finished = slot.first + slot.count;
            job.report(static_cast<double>(finished) / static_cast<double>(work.units), work.subject);
            adapt(slot);
        }
        if (begun == work.units)
            continue;
        const std::uint64_t count = std::min({m_slice, m_capacity, work.units - begun});
        if (const Status started = start(slot, work, begun, count); !started)
            return started;
        begun += count;
    }
    return {};
}

std::uint64_t Tiles::mostUnits(const TileWork& work) const
{
    const Bytes limit = std::min(m_slotBytes, m_device.maxBinding());
    const std::uint64_t byInput = limit / work.inputPerUnit;
    const std::uint64_t byOutput = (limit - std::min(limit, work.outputHeader)) / work.outputPerUnit;
    const std::uint64_t byGroups = std::uint64_t{m_device.maxWorkgroups()} * work.unitsPerWorkgroup;
    return std::min({byInput, byOutput, byGroups, work.units});
}

Status Tiles::prepare(const TileWork& work)
{
    for (;;) {
        const std::uint64_t units = mostUnits(work);
        if (units == 0) {
            m_slotBytes = kSlotBytes;  // another program may have given memory back by the next time
            return fail(ErrorCode::OutOfMemory,
                        fmt::format("{}: no room for one step of '{}', {} bytes in and {} out", m_device.info().id,
                                    work.kernel->row().name, work.inputPerUnit,
                                    work.outputHeader + work.outputPerUnit));
        }
        const Status made = allocate(work, units);
        if (made) {
            m_capacity = units;
            m_slice = std::clamp<std::uint64_t>(kFirstSliceBytes / work.inputPerUnit, 1, units);
            return {};
        }
        if (made.error().code != ErrorCode::OutOfMemory)
            return made;
        m_slotBytes = std::min(m_slotBytes, units * work.inputPerUnit) / 2;
        for (Slot& slot : m_slots)
            for (Buffer* buffer : {&slot.upload, &slot.input, &slot.output, &slot.readback})
                *buffer = Buffer();
        m_memory.trim();
    }
}

Status Tiles::allocate(const TileWork& work, std::uint64_t units)
{
    for (Slot& slot : m_slots)
        if (const Status made
            = allocate(slot, units * work.inputPerUnit, work.outputHeader + units * work.outputPerUnit);
            !made)
            return made;
    return {};
}

Status Tiles::allocate(Slot& slot, Bytes input, Bytes output)
{
    if (!slot.stream) {
        auto stream = CommandStream::create(m_device);
        if (!stream)
            return passOn(stream);
        slot.stream = std::make_unique<CommandStream>(std::move(*stream));
    }
    const auto fit = [this](Buffer& buffer, Bytes size, MemoryUse use) -> Status {
        // A buffer left from an earlier, larger work serves; one past the binding limit cannot exist.
        if (buffer.size() >= size)
            return {};
        buffer = Buffer();
        auto made = m_memory.create(size, use);
        if (!made)
            return passOn(made);
        buffer = std::move(*made);
        return {};
    };
    Status made = fit(slot.upload, input, MemoryUse::Upload);
    if (made)
        made = fit(slot.input, input, MemoryUse::Kernel);
    if (made)
        made = fit(slot.output, output, MemoryUse::Kernel);
    if (made)
        made = fit(slot.readback, output, MemoryUse::Readback);
    return made;
}

Status Tiles::start(Slot& slot, const TileWork& work, std::uint64_t first, std::uint64_t count)
{
    std::array<std::byte, 128> push{};
    const std::size_t pushed = work.push(push, first, count);
    slot.first = first;
    slot.count = count;
    slot.outputBytes = work.outputHeader + count * work.outputPerUnit;
    RoundTrip trip;
    trip.kernel = work.kernel;
    trip.push = std::span<const std::byte>(push).first(pushed);
    trip.workgroups = static_cast<std::uint32_t>((count + work.unitsPerWorkgroup - 1) / work.unitsPerWorkgroup);
    trip.upload = &slot.upload;
    trip.input = &slot.input;
    trip.output = &slot.output;
    trip.readback = &slot.readback;
    trip.inputBytes = work.fill(slot.upload.mapped(), first, count);
    trip.clearBytes = work.clearsOutput ? slot.outputBytes : work.outputHeader;
    trip.outputBytes = slot.outputBytes;
    slot.submittedAt = now();
    return slot.stream->submit(trip);
}

Status Tiles::finish(Slot& slot, const TileWork& work)
{
    if (const Status waited = slot.stream->wait(); !waited)
        return waited;
    return work.take(slot.readback.mapped().first(slot.outputBytes), slot.first, slot.count);
}

void Tiles::adapt(const Slot& slot)
{
    // Two slices are under way, so this is at most twice the slice's own time: it errs towards short ones.
    const double seconds = now() - slot.submittedAt;
    if (seconds > kSliceSeconds)
        m_slice = std::max<std::uint64_t>(1, m_slice / 2);
    else if (seconds < kSliceSeconds / 4)
        m_slice = std::min(m_capacity, m_slice * 2);
}

void Tiles::drain()
{
    for (Slot& slot : m_slots)
        if (slot.stream && slot.stream->isBusy())
            static_cast<void>(slot.stream->wait());  // the reason for stopping is known already
}

}  // namespace sigmascope::gpu
