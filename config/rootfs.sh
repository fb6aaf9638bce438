#!/bin/sh
# SPDX-License-Identifier: MIT
# rootfs.sh DIR: a root filesystem of busybox and its applets, to try things with: `cowherd up` of example.json finds
# it beside the file as `rootfs`.  Debian has the static busybox that it takes in busybox-static.
set -eu
[ $# = 1 ] || { echo "usage: rootfs.sh DIR" >&2; exit 2; }
[ ! -e "$1" ] || { echo "rootfs.sh: $1 exists" >&2; exit 1; }
[ -x /bin/busybox ] || { echo "rootfs.sh: /bin/busybox is missing: install busybox-static" >&2; exit 1; }
for d in bin etc proc sys dev tmp root var/www; do mkdir -p "$1/$d"; done
cp /bin/busybox "$1/bin/"
for applet in $(/bin/busybox --list); do
	[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
chmod 1777 "$1/tmp"
