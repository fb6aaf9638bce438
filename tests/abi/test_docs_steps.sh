#!/bin/bash
# SPDX-License-Identifier: MIT
# Does the shell steps of docs/plugin-abi.md, every one and to the letter, as a reader would who has
# cowherd installed.
set -euo pipefail
: "${COW_BUILD:?}" "${COW_SOURCE:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

cmake --install "$COW_BUILD" --prefix "$tmp/prefix" >/dev/null
pc=$(find "$tmp/prefix" -name cowherd.pc)
export PKG_CONFIG_PATH=${pc%/*}
export PATH=$tmp/prefix/bin:$PATH
mkdir "$tmp/home"
cd "$tmp/home"

# The blocks one after the other, each line shown before it is done.
sed -n '/^```sh$/,/^```$/{/^```/d;p}' "$COW_SOURCE/docs/plugin-abi.md" >"$tmp/steps.sh"
[ "$(wc -l <"$tmp/steps.sh")" -ge 15 ] || { echo "FAIL: the page has no steps" >&2; exit 1; }
bash -eu -o pipefail -v "$tmp/steps.sh" 2>&1 | tee "$tmp/log"

# What the page promises to be seen.
grep -q '^FAIL notes.dir acquires and releases, as often as asked: spec 1: release of "dir", a second time: ' \
	"$tmp/log"
[ "$(grep -c ', 0 failed$' "$tmp/log")" = 2 ]
[ -e "$(pkg-config --variable=plugindir cowherd)/notes.so" ]
