// SPDX-License-Identifier: GPL-3.0-or-later
#include "core/compute/ComputeBackend.h"
#include "core/compute/Kernels.h"

#include <cstdlib>
#include <string_view>

namespace sigmascope {

namespace {

const kernels::KernelTable& chosenTable()
{
    const std::vector<const kernels::KernelTable*> usable = usableKernelTables();
    const char* wanted = std::getenv("SIGMASCOPE_SIMD");
    if (wanted != nullptr) {
        for (const kernels::KernelTable* table : usable) {
            if (std::string_view(wanted) == table->level)
                return *table;
        }
    }
    return *usable.back();
}

}  // namespace

std::vector<const kernels::KernelTable*> usableKernelTables()
{
    std::vector<const kernels::KernelTable*> tables{&kernels::kKernelsScalar};
#if defined(__x86_64__)
    // __builtin_cpu_supports asks the system too: an AVX-512 CPU whose kernel does not save the registers says no.
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0
                      && __builtin_cpu_supports("f16c") != 0;
    if (avx2)
        tables.push_back(&kernels::kKernelsAvx2);
    if (avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0
        && __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0)
        tables.push_back(&kernels::kKernelsAvx512);
#endif
    return tables;
}

const kernels::KernelTable& kernelTable()
{
    static const kernels::KernelTable& table = chosenTable();
    return table;
}

const kernels::SearchTable& searchTableOf(const kernels::KernelTable& table)
{
#if defined(__x86_64__)
    if (&table == &kernels::kKernelsAvx512)
        return kernels::kKernelsSearchAvx512;
    if (&table == &kernels::kKernelsAvx2)
        return kernels::kKernelsSearchAvx2;
#endif
    static_cast<void>(table);
    return kernels::kKernelsSearchScalar;
}

const kernels::SearchTable& searchTable()
{
    return searchTableOf(kernelTable());
}

std::string_view simdLevel()
{
    return kernelTable().level;
}

}  // namespace sigmascope
