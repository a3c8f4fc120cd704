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
# OpenSSL keeps a header that is the same text everywhere among those of one CPU.
includes="$includes -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu"
# The kernels of one x86 instruction set are not part of an aarch64 build (core/compute/CMakeLists.txt).
files=$(find "$source_dir/core" -name '*.cpp' ! -name 'Kernels*Avx*.cpp' | sort)
[ -n "$files" ] || { echo "no sources under $source_dir/core"; exit 1; }

options="-std=c++20 -ffp-contract=off -Wno-psabi -DSIGMASCOPE_VERSION=\"0\""

# What nearly every file parses anyway, once (as SigmascopeTargets.cmake does for the real builds).
header=$(mktemp -d) || exit 1
trap 'rm -rf "$header"' EXIT
for name in algorithm filesystem functional memory optional span string string_view vector tl/expected.hpp \
        nlohmann/json.hpp fmt/format.h; do
    echo "#include <$name>"
done > "$header/common.h"
# shellcheck disable=SC2086 # a list of options
aarch64-linux-gnu-g++ $options $includes -x c++-header "$header/common.h" -o "$header/common.h.gch" || exit 1
# Sixteen files of a library at once, as whole builds compile them: most of the time goes into headers.
# shellcheck disable=SC2086
printf '%s\n' "$files" | awk -v folder="$header" -v core="$source_dir/core/" '
    {
        split(substr($0, length(core) + 1), part, "/")
        alone = $0 ~ /Hdf5\.cpp$/ || $0 ~ /\/kernels\//  # which stand for themselves
        if (part[1] != library || held == 16 || alone || wasAlone) {
            unit = sprintf("%s/unit%03d.cpp", folder, ++units)
            print unit
            held = 0
        }
        print "#include \"" $0 "\"" > unit
        library = part[1]
        wasAlone = alone
        ++held
    }' | xargs -P "$(nproc)" -n 1 aarch64-linux-gnu-g++ -fsyntax-only $options $includes \
    -Winvalid-pch -include "$header/common.h"
