#!/bin/sh
# child_symbols.sh OBJECT...: what runs between clone and execve calls nothing outside of itself,
# for no library is there (plugins/lcow/launch/copy.c).
set -eu
n=0
for object; do
	case $object in
	*/child*.o | */resolve.*o) ;;
	*) continue ;;
	esac
	n=$((n + 1))
	if nm -u "$object" | grep -vE ' (child_|resolve|__gcov_|_GLOBAL_OFFSET_TABLE_)'; then
		echo "$object: needs these" >&2
		exit 1
	fi
done
[ $n -ge 9 ] || { echo "child_symbols.sh: $n objects only" >&2; exit 1; }
