#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# kernel_symbols.sh OBJECT... : each object built for one instruction set may export its kernel table and
# nothing else. A weak symbol (a library template, an inline function) compiled for AVX-512 could be the copy
# that the linker keeps for the whole program, which would then die on other CPUs.
set -u
[ $# -ge 1 ] || { echo "no kernel objects were given"; exit 1; }
command -v nm >/dev/null || { echo "nm is missing"; exit 1; }
failed=0
for object in "$@"; do
    symbols=$(nm --demangle --format=posix "$object") || { echo "$object: nm cannot read it"; exit 1; }
    # Lower case: local. U: undefined, resolved elsewhere. Weak and unique ones are v, w, u as well.
    bad=$(printf '%s\n' "$symbols" | grep -E ' [VvWwu] ')
    if [ -n "$bad" ]; then
        printf '%s: weak symbols:\n%s\n' "$object" "$bad"
        failed=1
    fi
    exported=$(printf '%s\n' "$symbols" | grep -E ' [A-TX-Z] ')
    count=$(printf '%s\n' "$exported" | grep -c .)
    if [ "$count" -ne 1 ] || ! printf '%s\n' "$exported" | grep -qE '^sigmascope::kernels::kKernels[A-Za-z0-9]+ '; then
        printf '%s: exports other than its kernel table:\n%s\n' "$object" "$exported"
        failed=1
    fi
    echo "$object: $(printf '%s\n' "$symbols" | grep -c ' [tTrR] ') local symbols, exports: $exported"
done
exit $failed
