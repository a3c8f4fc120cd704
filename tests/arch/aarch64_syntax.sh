#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# aarch64_syntax.sh SOURCE_DIR INCLUDE_DIR... : every source of the core is valid C++ for aarch64. Third-party
# headers are taken from this machine, after the cross compiler's own: they are the same text on every CPU.
set -u
source_dir=$1
shift
command -v aarch64-linux-gnu-g++ >/dev/null || { echo "aarch64-linux-gnu-g++ is missing"; exit 1; }
includes="-I$source_dir"
for directory in "$@"; do
    includes="$includes -idirafter $directory"
done
includes="$includes -idirafter /usr/include"
# The kernels of one x86 instruction set are not part of an aarch64 build (core/compute/CMakeLists.txt).
files=$(find "$source_dir/core" -name '*.cpp' ! -name 'KernelsAvx*.cpp' | sort)
[ -n "$files" ] || { echo "no sources under $source_dir/core"; exit 1; }

# shellcheck disable=SC2086 # a list of options
printf '%s\n' "$files" | xargs -P "$(nproc)" -n 1 aarch64-linux-gnu-g++ -std=c++20 -fsyntax-only -ffp-contract=off \
    -DSIGMASCOPE_VERSION='"0"'     -Wno-psabi $includes
