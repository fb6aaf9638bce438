#!/bin/bash
# SPDX-License-Identifier: MIT
# A plugin author has the installed tree and nothing else: the plugin of 1.0's time and the template are
# built against its header, found by its pkg-config file, and pass its own checker.
set -euo pipefail
: "${COW_BUILD:?}" "${COW_SOURCE:?}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }

cmake --install "$COW_BUILD" --prefix "$tmp/prefix" >/dev/null
pc=$(find "$tmp/prefix" -name cowherd.pc)
[ -n "$pc" ] || fail "no cowherd.pc is installed"
export PKG_CONFIG_PATH=${pc%/*}
export PATH=$tmp/prefix/bin:$PATH
[ "$(command -v cowherd)" = "$tmp/prefix/bin/cowherd" ] || fail "no cowherd is installed"

# The header is the one the host was built with, and stands alone, in C and in C++.
flags=$(pkg-config --cflags cowherd)
header=$(find "$tmp/prefix" -name plugin.h)
cmp "$header" "$COW_SOURCE/core/include/cowherd/plugin.h"
printf '#include <cowherd/%s.h>\n' hosting plugin >"$tmp/alone.c"
for cc in gcc clang; do
	$cc -std=c99 -Wall -Wextra -Wpedantic -Werror $flags -c "$tmp/alone.c" -o /dev/null
done
g++ -Wall -Wextra -Werror $flags -x c++ -c "$tmp/alone.c" -o /dev/null

# Old source, new header; and old binary.
cc -shared -fPIC -fvisibility=hidden -Wall -Wextra -Werror $flags \
	"$COW_SOURCE/tests/abi/plugin_1_0.c" -o "$tmp/rebuilt.so"
cc -shared -fPIC -fvisibility=hidden -I"$COW_SOURCE/tests/abi/v1.0" \
	"$COW_SOURCE/tests/abi/plugin_1_0.c" -o "$tmp/old.so"
for so in rebuilt old; do
	cowherd plugin check "$tmp/$so.so" >"$tmp/report" || { cat "$tmp/report"; fail "$so.so"; }
	grep -q ', 0 failed$' "$tmp/report" || { cat "$tmp/report"; fail "$so.so: no summary"; }
done

# The template, as installed, out of the tree.
cp -r "$tmp/prefix/share/cowherd/plugin-template" "$tmp/template"
cmake -S "$tmp/template" -B "$tmp/template/build" -DCMAKE_C_FLAGS=-Werror >/dev/null
cmake --build "$tmp/template/build" >/dev/null
lines=$(wc -l <"$tmp/template/hello.c")
[ "$lines" -lt 100 ] || fail "the template has $lines lines"
cowherd plugin check "$tmp/template/build/hello.so" | tee "$tmp/report"
grep -q '^PASS hello.dir releases by record alone, in a new process$' "$tmp/report" || fail "hello.so"
cmake --install "$tmp/template/build" --prefix /nonexistent >/dev/null 2>&1 ||
	fail "the template does not install"
plugindir=$(pkg-config --variable=plugindir cowherd)
[ -e "$plugindir/hello.so" ] || fail "hello.so is not in $plugindir"
