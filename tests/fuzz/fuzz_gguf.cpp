// SPDX-License-Identifier: GPL-3.0-or-later
#include "FuzzFile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const sigmascope::test::FuzzFile file(data, size);
    sigmascope::test::openBothWays(file.path());
    return 0;
}
