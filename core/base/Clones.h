// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

/// Before the definition of a function that is plain loops over arrays: it is compiled once for each level of x86-64 and the
/// loader takes the widest that the CPU runs. Same bits at every level, since nothing is contracted. For what only moves and
/// converts numbers; what wants its vectors laid out by hand is in core/compute/kernels.
///
/// Not under sanitizers, whose checks would run in the loader before they are set up, nor with clang.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) \
    && !defined(__SANITIZE_THREAD__)
#define SIGMASCOPE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SIGMASCOPE_CLONES
#endif
