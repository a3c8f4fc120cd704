#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every test of the project, on an untouched machine: installs what is missing, builds, runs. An absent oracle, Vulkan
# device, validation layer or fuzzer is a failure. Ends with "N passed, N failed", counting the stages below.
#   packaging/test.sh [STAGE…]    stages: dev asan fuzz bench package (default: all)
set -u

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1
. packaging/packages.sh
# shellcheck disable=SC2086
install_missing $run_packages $test_packages || exit 1
command -v npm >/dev/null 2>&1 || install_missing npm || exit 1

export SIGMASCOPE_ORACLES="$root/build/oracles"
export SIGMASCOPE_VK_VALIDATION=1
export SIGMASCOPE_UNITY=ON  # whole builds, each once
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$(mktemp -d)}
export XDG_RUNTIME_DIR
chmod 700 "$XDG_RUNTIME_DIR" 2>/dev/null || true

stage_dev() {
    sh tests/interop/setup.sh "$SIGMASCOPE_ORACLES" && cmake --workflow --preset dev
}

stage_asan() {
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
        cmake --workflow --preset asan
}

# Each reader one minute (SIGMASCOPE_FUZZ_SECONDS), two at a time; a finding leaves its input in build/asan/findings.
stage_fuzz() {
    cmake --preset asan && cmake --build --preset asan --target fuzzers && sh tests/fuzz/run.sh build/asan "${SIGMASCOPE_FUZZ_SECONDS:-60}"
}

stage_bench() {
    cmake --preset release && cmake --build --preset release || return 1
    ran=0
    for bench in build/release/tests/bench/bench_*; do
        [ -x "$bench" ] && [ -f "$bench" ] || continue
        echo "== $(basename "$bench")"
        SIGMASCOPE_BENCH_SMALL=1 QT_QPA_PLATFORM=offscreen "$bench" || return 1
        ran=$((ran + 1))
    done
    [ "$ran" -ge 4 ] || { echo "only $ran benches were built" >&2; return 1; }
}

stage_package() {
    cmake --preset release && cmake --build --preset release && (cd build/release && cpack -G DEB) \
        && sh packaging/check_deb.sh build/release && check_run
}

# The README's first command, without a display: a table with an error for every layer, and the files it names.
check_run() {
    rm -rf build/sample-run
    sh packaging/run.sh --headless > build/run.log || { cat build/run.log; return 1; }
    cat build/run.log
    [ "$(grep -c 'l2qer' build/run.log)" -ge 28 ] && [ -s build/sample-run/austen-4m-l2qer-w4.gguf ] \
        && [ -s build/sample-run/austen-4m-l2qer-w4-lora.gguf ] && [ -s build/sample-run/errors.json ]
}

passed=0
failed=0
failures=""
[ "$#" -gt 0 ] || set -- dev asan fuzz bench package
for stage in "$@"; do
    started=$(date +%s)
    echo "==== $stage"
    if "stage_$stage"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures="$failures $stage"
    fi
    echo "==== $stage: $(($(date +%s) - started)) s"
done
[ -z "$failures" ] || echo "failed:$failures"
echo "stages: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
