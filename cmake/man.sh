#!/bin/sh
# SPDX-License-Identifier: MIT
# man.sh PROGRAM DIR: one page for the program and one for each verb, from its option table.
set -eu
program=$1 dir=$2
"$program" --man-page >"$dir/cowherd.1"
for verb in $("$program" --list-verbs); do
	"$program" --man-page "$verb" >"$dir/cowherd-$verb.1"
done
