# SPDX-License-Identifier: GPL-3.0-or-later
# Sourced by run.sh and test.sh: installs the Debian and Ubuntu packages that are missing.

run_packages="
  cmake ninja-build g++ pkg-config
  qt6-base-dev qt6-svg-dev libqt6svg6 qt6-qpa-plugins qt6-tools-dev qt6-tools-dev-tools qt6-l10n-tools qt6-translations-l10n
  libgl1-mesa-dev libqcustomplot-dev libqcustomplot2.1-qt6
  libvulkan-dev libvulkan-volk-dev glslc
  libeigen3-dev libopenblas-dev liblapacke-dev
  nlohmann-json3-dev libcli11-dev libfmt-dev libexpected-dev libsentencepiece-dev libssl-dev
  libhdf5-dev
  fonts-inter fonts-jetbrains-mono python3"

test_packages="
  mesa-vulkan-drivers vulkan-validationlayers
  xvfb xauth libbenchmark-dev python3-venv python3-numpy locales
  g++-aarch64-linux-gnu clang-19 libclang-rt-19-dev
  dpkg-dev file desktop-file-utils appstream binutils"

# The distribution's libqcustomplot for Qt 6 has another name on Ubuntu; the -dev package pulls it in there.
install_missing() {
    missing=""
    for package in "$@"; do
        status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
        [ "$status" = "install ok installed" ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "Installing:$missing" >&2
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "These packages are missing and neither root nor sudo is at hand:$missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    available=""
    for package in $missing; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            available="$available $package"
        else
            echo "No package $package in this distribution; going on without it" >&2
        fi
    done
    # shellcheck disable=SC2086  # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $available >&2
}
