// SPDX-License-Identifier: GPL-3.0-or-later
#include "support/AllocationMeter.h"

#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> g_out{0};
std::atomic<std::int64_t> g_peak{0};
std::atomic<std::int64_t> g_start{0};
std::atomic<std::uint64_t> g_count{0};
std::atomic<std::uint64_t> g_failAt{0};
std::atomic<bool> g_keepsFailing{false};
std::atomic<std::size_t> g_atLeast{0};

void* allocate(std::size_t size)
{
    const bool counts = size >= g_atLeast.load();
    const std::uint64_t number = counts ? g_count.fetch_add(1) + 1 : 0;
    const std::uint64_t failAt = g_failAt.load();
    if (counts && failAt != 0 && (number == failAt || (number > failAt && g_keepsFailing.load())))
        throw std::bad_alloc();
    void* const block = std::malloc(size == 0 ? 1 : size);
    if (block == nullptr)
        throw std::bad_alloc();
    const auto bytes = static_cast<std::int64_t>(malloc_usable_size(block));
    const std::int64_t now = g_out.fetch_add(bytes) + bytes;
    std::int64_t peak = g_peak.load();
    while (peak < now && !g_peak.compare_exchange_weak(peak, now)) {
    }
    return block;
}

void release(void* block) noexcept
{
    if (block != nullptr)
        g_out.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(block)));
    std::free(block);
}

}  // namespace

void* operator new(std::size_t size)
{
    return allocate(size);
}
void* operator new[](std::size_t size)
{
    return allocate(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept
{
    try {
        return allocate(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept
{
    return operator new(size, tag);
}
void operator delete(void* block, const std::nothrow_t&) noexcept
{
    release(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept
{
    release(block);
}
void operator delete(void* block) noexcept
{
    release(block);
}
void operator delete[](void* block) noexcept
{
    release(block);
}
void operator delete(void* block, std::size_t) noexcept
{
    release(block);
}
void operator delete[](void* block, std::size_t) noexcept
{
    release(block);
}

namespace sigmascope::test {

void resetAllocationPeak()
{
    g_start = g_out.load();
    g_peak = g_out.load();
}

std::size_t allocationPeak()
{
    const std::int64_t peak = g_peak.load() - g_start.load();
    return peak < 0 ? 0 : static_cast<std::size_t>(peak);
}

void failAllocation(std::uint64_t nth, bool andAllAfter, std::size_t atLeast)
{
    g_failAt = 0;
    g_keepsFailing = andAllAfter;
    g_atLeast = atLeast;
    g_count = 0;
    g_failAt = nth;
}

std::uint64_t allocations()
{
    return g_count.load();
}

}  // namespace sigmascope::test
