// SPDX-License-Identifier: GPL-3.0-or-later
// Prints the kernels OpenBLAS ends up with after correctKernelChoice(), and how often this program was started.
// With the argument "forget" it hides the choice that the environment made for OpenBLAS when it loaded, which is
// how a library looks that chose by itself and wrongly.

#include "core/tensor/Blas.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv)
{
    const char* starts = std::getenv("PROBE_STARTS");
    const int count = starts == nullptr ? 1 : std::atoi(starts) + 1;
    setenv("PROBE_STARTS", count == 1 ? "1" : "2", 1);
    if (count == 1 && argc > 1 && std::strcmp(argv[1], "forget") == 0)
        unsetenv("OPENBLAS_CORETYPE");
    sigmascope::blas::correctKernelChoice(argv);
    const char* threads = std::getenv("OPENBLAS_NUM_THREADS");
    std::printf("%s %d %s\n", sigmascope::blas::kernelName().c_str(), count, threads == nullptr ? "-" : threads);
    return 0;
}
