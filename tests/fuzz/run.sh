#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# run.sh BUILD_DIR [SECONDS]: each reader's fuzzer for SECONDS, two at a time. A finding fails, and its input is left in
# BUILD_DIR/findings. A missing fuzzer is a failure.
set -u
root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
build=$1
seconds=${2:-60}
mkdir -p "$build/findings"

fuzz() {
    binary="$build/tests/fuzz/fuzz_$1"
    [ -x "$binary" ] || { echo "fuzzer missing: $binary"; return 1; }
    inputs=$(mktemp -d)
    "$binary" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$1-" "$inputs" "$root/tests/fuzz/corpus/$1" > "$build/findings/$1.log" 2>&1
    status=$?
    rm -rf "$inputs"
    grep -E 'stat::number_of_executed_units|ERROR|SUMMARY' "$build/findings/$1.log" | sed "s/^/fuzz_$1: /"
    return $status
}

failed=0
set -- safetensors gguf index config imatrix
while [ "$#" -gt 0 ]; do
    fuzz "$1" & first=$!
    second=
    if [ "$#" -gt 1 ]; then fuzz "$2" & second=$!; fi
    wait "$first" || failed=1
    [ -z "$second" ] || wait "$second" || failed=1
    if [ "$#" -gt 1 ]; then shift 2; else shift; fi  # a shift too far ends the shell
done
exit $failed
