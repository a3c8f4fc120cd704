#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# setup.sh [DIR]: installs the foreign readers that the interop tests ask, into DIR (default build/oracles):
#   llama.cpp's own libraries, prebuilt (npm @node-llama-cpp/linux-x64, CPU only), opened by dlopen;
#   the reference readers of GGUF, safetensors and HDF5 (PyPI gguf, safetensors with ml_dtypes, h5py) and Hugging Face's
#   tokenizers, in a virtual environment.
# Tests find them by SIGMASCOPE_ORACLES=DIR. Versions are pinned: the tests declare llama.cpp's C ABI themselves.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/../.." && pwd)
dir=${1:-$root/build/oracles}
llama=3.22.1
gguf=0.19.0
safetensors=0.8.0
ml_dtypes=0.6.0
h5py=3.16.0
tokenizers=0.23.3
stamp="llama $llama gguf $gguf safetensors $safetensors ml_dtypes $ml_dtypes h5py $h5py tokenizers $tokenizers"

mkdir -p "$dir"
dir=$(CDPATH= cd -- "$dir" && pwd)
if [ -f "$dir/.installed" ] && [ "$(cat "$dir/.installed")" = "$stamp" ]; then
    exit 0
fi
rm -f "$dir/.installed"

# The optional packages are the CUDA and Vulkan builds, half a gigabyte; the install scripts would compile.
[ -f "$dir/package.json" ] || echo '{"private": true}' > "$dir/package.json"
npm install --prefix "$dir" --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error \
    "@node-llama-cpp/linux-x64@$llama"
ls "$dir"/node_modules/@node-llama-cpp/linux-x64/bins/*/libggml-base.so > /dev/null

python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check "gguf==$gguf" "safetensors==$safetensors" \
    "ml_dtypes==$ml_dtypes" "h5py==$h5py" numpy
# Without what it downloads models with.
"$dir/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "tokenizers==$tokenizers"
"$dir/venv/bin/python" -c 'import gguf, h5py, ml_dtypes, safetensors, tokenizers'

printf '%s' "$stamp" > "$dir/.installed"
