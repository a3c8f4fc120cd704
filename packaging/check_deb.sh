#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# check_deb.sh BUILD_DIR: unpacks the package that cpack made there and starts both programs from it.
set -eu

deb=$(ls -t "$1"/sigmascope_*.deb | head -n 1)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dpkg-deb --info "$deb" | grep -E '^ (Package|Version|Depends|Section):'
dpkg-deb -x "$deb" "$folder"
bin="$folder/usr/bin"

version=$("$bin/sigmascope-cli" --version)
echo "$version"
"$bin/sigmascope-cli" inspect "$folder/usr/share/sigmascope/sample" --json | grep -q '"model.layers.0.mlp.down_proj.weight"'

# The studio opens its installed sample and takes its own picture.
HOME="$folder" QT_QPA_PLATFORM=offscreen timeout 60 "$bin/sigmascope" --sample --screenshot "$folder/studio.png"
[ "$(stat -c %s "$folder/studio.png")" -gt 20000 ]

desktop-file-validate "$folder/usr/share/applications/sigmascope.desktop"
test -s "$folder/usr/share/icons/hicolor/scalable/apps/sigmascope.svg"
appstreamcli validate --no-net "$folder/usr/share/metainfo/org.sigmascope.sigmascope.metainfo.xml"
for page in sigmascope sigmascope-cli; do
    gzip -t "$folder/usr/share/man/man1/$page.1.gz"
done
test -s "$folder/usr/share/doc/sigmascope/copyright"
echo "package in order: $(basename "$deb")"
