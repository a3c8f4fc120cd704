// SPDX-License-Identifier: GPL-3.0-or-later
#include "gpu/OpContext.h"

#include <fmt/format.h>

#include <algorithm>

namespace sigmascope::gpu {

Result<const Kernel*> KernelCache::get(KernelId id, std::uint32_t constant)
{
    const std::pair key{id, constant};
    if (const auto known = m_kernels.find(key); known != m_kernels.end())
        return &known->second;
    const KernelRow& row = m_rows.insert_or_assign(key, variantOf(id, constant)).first->second;
    auto kernel = Kernel::create(m_device, row, m_compiled.handle());
    if (!kernel)
        return passOn(kernel);
    m_compiled.touch();
    return &m_kernels.emplace(key, std::move(*kernel)).first->second;
}

tl::unexpected<Error> OpContext::notWritten(std::string_view kernel, std::uint64_t expected, std::uint64_t found) const
{
    return fail(
        ErrorCode::DeviceFailed,
        fmt::format("{}: kernel '{}' did {} of {} parts of a slice", device.info().id, kernel, found, expected));
}

tl::unexpected<Error> OpContext::wrongResult(std::string_view op, std::string_view where) const
{
    return fail(ErrorCode::DeviceFailed, fmt::format("{}: wrong result of '{}' at {}", device.info().id, op, where));
}

std::uint64_t spotOf(std::uint64_t size, std::uint64_t places)
{
    // One step of SplitMix64: any spread will do, as long as it is the same for the same work.
    std::uint64_t z = size + 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z ^= z >> 31;
    return z % std::max<std::uint64_t>(1, places);
}

}  // namespace sigmascope::gpu
