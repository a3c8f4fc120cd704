// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "core/compute/kernels/KernelTable.h"
#include "core/compute/kernels/SearchTable.h"

#include <vector>

namespace sigmascope {

/// The table in use: the widest this CPU runs, unless SIGMASCOPE_SIMD lowers it. Decided once.
[[nodiscard]] const kernels::KernelTable& kernelTable();

/// Every table this CPU can run, narrowest first: tests compare them bit by bit.
[[nodiscard]] std::vector<const kernels::KernelTable*> usableKernelTables();

/// The encoders that search for scales, of the same level as kernelTable().
[[nodiscard]] const kernels::SearchTable& searchTable();
[[nodiscard]] const kernels::SearchTable& searchTableOf(const kernels::KernelTable& table);

}  // namespace sigmascope
