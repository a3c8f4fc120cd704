// SPDX-License-Identifier: GPL-3.0-or-later
#include "FuzzFile.h"

#include "core/calibration/Imatrix.h"

#include <cmath>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const sigmascope::test::FuzzFile file(data, size);
    const auto imatrix = sigmascope::readImatrix(file.path());
    if (!imatrix)
        return 0;
    for (const auto& [name, entry] : imatrix->entries) {
        for (const float value : entry.meanSquares) {
            if (!std::isfinite(value) || value < 0)
                std::abort();  // such entries belong to `unusable`
        }
    }
    return 0;
}
