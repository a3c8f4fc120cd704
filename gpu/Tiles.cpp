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

/// At least one grain.
std::uint64_t inGrains(std::uint64_t units, std::uint64_t grain)
{
    return std::max<std::uint64_t>(1, units / grain) * grain;
}

double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Tiles::Tiles(Device& device, MemoryPool& memory)
    : m_device(device)
    , m_memory(memory)
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
        const std::uint64_t count = std::min({inGrains(m_slice, work.grain), m_capacity, work.units - begun});
        if (const Status started = start(slot, work, begun, count); !started)
            return started;
        begun += count;
    }
    return {};
}

std::uint64_t Tiles::mostUnits(const TileWork& work) const
{
    const Bytes limit = std::min(m_slotBytes, m_device.maxBinding());
    const auto fitting = [&](Bytes header, Bytes perUnit) {
        return perUnit == 0 ? work.units : (limit - std::min(limit, header)) / perUnit;
    };
    const std::uint64_t most = std::min(
        {fitting(0, work.inputPerUnit), fitting(work.outputHeader, work.outputPerUnit), work.maxUnits, work.units});
    return most == work.units ? most : most / work.grain * work.grain;
}

void Tiles::release()
{
    drain();
    for (Slot& slot : m_slots)
        for (Buffer* buffer : {&slot.upload, &slot.input, &slot.output, &slot.readback})
            *buffer = Buffer();
    m_memory.trim();
}

Status Tiles::prepare(const TileWork& work)
{
    for (;;) {
        const std::uint64_t units = mostUnits(work);
        if (units == 0) {
            m_slotBytes = kSlotBytes;  // another program may have given memory back by the next time
            return fail(ErrorCode::OutOfMemory,
                        fmt::format("{}: out of memory: no room for one step of '{}', {} bytes in and {} out",
                                    m_device.info().id, work.subject, work.grain * work.inputPerUnit,
                                    work.outputHeader + work.grain * work.outputPerUnit));
        }
        Status made = allocate(work, units);
        if (made) {
            m_capacity = units;
            const std::uint64_t wanted
                = work.firstUnits != 0 ? work.firstUnits : kFirstSliceBytes / std::max<Bytes>(1, work.inputPerUnit);
            m_slice = inGrains(std::clamp<std::uint64_t>(wanted, 1, units), work.grain);
            return {};
        }
        if (made.error().code != ErrorCode::OutOfMemory)
            return made;
        const Bytes largest = std::max(units * work.inputPerUnit, work.outputHeader + units * work.outputPerUnit);
        m_slotBytes = std::min(m_slotBytes, largest) / 2;
        release();
    }
}

Status Tiles::allocate(const TileWork& work, std::uint64_t units)
{
    for (Slot& slot : m_slots)
        if (const Status made = allocate(slot, units * work.inputPerUnit,
                                         work.outputHeader + units * work.outputPerUnit, work.target != nullptr);
            !made)
            return made;
    return {};
}

Status Tiles::allocate(Slot& slot, Bytes input, Bytes output, bool isTargeted)
{
    if (!slot.stream) {
        auto stream = CommandStream::create(m_device);
        if (!stream)
            return passOn(stream);
        slot.stream = std::make_unique<CommandStream>(std::move(*stream));
    }
    const auto fit = [this](Buffer& buffer, Bytes wanted, MemoryUse use) -> Status {
        const Bytes size = alignUp(wanted, sizeof(std::uint32_t));  // cleared word by word
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
    Status made = input == 0 ? Status() : fit(slot.upload, input, MemoryUse::Upload);
    if (made && input != 0 && !isTargeted)
        made = fit(slot.input, input, MemoryUse::Kernel);
    if (made && output != 0)
        made = fit(slot.output, output, MemoryUse::Kernel);
    if (made && output != 0)
        made = fit(slot.readback, output, MemoryUse::Readback);
    return made;
}

Status Tiles::start(Slot& slot, const TileWork& work, std::uint64_t first, std::uint64_t count)
{
    std::array<Pass, kMaxPasses> passes{};
    slot.first = first;
    slot.count = count;
    slot.outputBytes = work.outputHeader + count * work.outputPerUnit;
    RoundTrip trip;
    trip.upload = &slot.upload;
    trip.input = work.target == nullptr ? &slot.input : work.target;
    trip.inputOffset = work.target == nullptr ? 0 : first * work.inputPerUnit;
    trip.output = &slot.output;
    trip.readback = &slot.readback;
    trip.inputBytes = work.inputPerUnit == 0 ? 0 : work.fill(slot.upload.mapped(), first, count);
    trip.clearBytes = work.clearsOutput ? alignUp(slot.outputBytes, sizeof(std::uint32_t)) : work.outputHeader;
    trip.outputBytes = slot.outputBytes;
    if (work.passes)
        trip.passes = std::span(passes).first(work.passes(passes, {first, count, &slot.input, &slot.output}));
    slot.submittedAt = now();
    return slot.stream->submit(trip);
}

Status Tiles::finish(Slot& slot, const TileWork& work)
{
    if (const Status waited = slot.stream->wait(); !waited)
        return waited;
    if (!work.take)
        return {};
    const auto output = slot.readback.mapped().first(slot.outputBytes);
    if (m_device.faults().spoilsThisResult())
        for (std::size_t at = work.outputHeader; at < output.size(); at += sizeof(std::uint32_t))
            output[at] ^= std::byte{0x5A};
    return work.take(output, slot.first, slot.count);
}

void Tiles::adapt(const Slot& slot)
{
    // Other slices are under way, so this is at most kSlots times the slice's own time: it errs to short ones.
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
