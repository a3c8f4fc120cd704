#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds Sigmascope and opens the studio on the sample model. Without a display it does the same job headless:
# L²QER of the sample to GGUF and adapter, with the error of every layer. Leaves its files in build/sample-run.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
. packaging/packages.sh
# shellcheck disable=SC2086
install_missing $run_packages

[ -f build/release/build.ninja ] || cmake --preset release -DSIGMASCOPE_BENCHES=OFF >/dev/null
cmake --build --preset release --target sigmascope sigmascope-cli >&2

if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && [ "${1:-}" != "--headless" ]; then
    exec build/release/app/sigmascope --sample
fi

out=build/sample-run
mkdir -p "$out"
cli=build/release/app/sigmascope-cli
set -- resources/sample --preset l2qer-w4 --calibration resources/sample/imatrix.gguf \
    --to gguf -o "$out/austen-4m-l2qer-w4.gguf" --overwrite
"$cli" quantize "$@" --json > "$out/errors.json"
"$cli" quantize "$@"
echo
echo "Base, adapter and per-layer errors: $out"
