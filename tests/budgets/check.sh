#!/bin/sh
# SPDX-License-Identifier: MIT
# Size budgets: file 600 lines, function 70, cyclomatic complexity 15, line 100 columns.  Exceptions by
# name in tests/budgets/exceptions, one `file` or `file:function` a line.
set -eu
cd "$(dirname "$0")/../.."
exceptions=tests/budgets/exceptions
bad=0
command -v pmccabe >/dev/null || { echo "pmccabe is missing: ./dev check installs it" >&2; exit 1; }
excepted() { grep -qxF "$1" "$exceptions" 2>/dev/null; }
complain() { echo "$1"; bad=1; }

for f in $(git ls-files '*.c' '*.h'); do
	[ -e "$f" ] || continue
	lines=$(wc -l <"$f")
	[ "$lines" -le 600 ] || excepted "$f" || complain "$f: $lines lines"
	wide=$(expand -t 8 "$f" | awk 'length > 110 { n++ } END { print n + 0 }')
	[ "$wide" = 0 ] || excepted "$f" || complain "$f: $wide lines are too wide"
done
git ls-files 'core/*.c' 'plugins/*.c' | xargs -r pmccabe | awk -F'\t' '$1 > 15 || $5 > 70' |
while IFS='	' read -r complexity _ _ _ length place name; do
	file=${place%%(*}
	excepted "$file:${name%%(*}" || echo "$file:$name: complexity $complexity, $length lines"
done >"${TMPDIR:-/tmp}/cowherd-budgets.$$"
if [ -s "${TMPDIR:-/tmp}/cowherd-budgets.$$" ]; then
	cat "${TMPDIR:-/tmp}/cowherd-budgets.$$"
	bad=1
fi
rm -f "${TMPDIR:-/tmp}/cowherd-budgets.$$"
exit $bad
