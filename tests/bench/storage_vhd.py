# SPDX-License-Identifier: MIT
"""A tar becomes an ext4 file system with a VHD footer, in one pass; beside unpacking it and `mke2fs -d`."""
from storage_load import layers


def measure(bench, cold):
    ((tar, _),) = layers(bench, 1)

    def ours(work):
        return bench.timed(work, bench.offline(work, "layer", "import", "--vhd", "--input", tar, work / "layer"))

    def mke2fs(work):
        (work / "root").mkdir()
        return bench.timed(work,
                           ["tar", "-x", "--xattrs", "--xattrs-include=*", "-C", work / "root", "-f", tar],
                           ["mke2fs", "-q", "-t", "ext4", "-d", work / "root", work / "disk", "2G"])

    found = bench.interleave(cold, ours=ours, mke2fs=mke2fs)
    bench.row("tar to ext4 VHD, %.0f MB, %s" % (tar.stat().st_size / 1e6, "cold" if cold else "warm"), found["ours"][1], "s",
              seconds=found)
    bench.row("  / tar -x and mke2fs -d", found["ours"][1] / found["mke2fs"][1], "x", 0.7)
    bench.row("  / tar -x and mke2fs -d that are not on the disk yet", found["ours"][0] / found["mke2fs"][0], "x")
    bench.row("  its peak memory", found["ours"][2] / 1024, "MiB", 32)


def run(bench):
    for cold in False, True:
        bench.step("tar to VHD, %s" % ("cold" if cold else "warm"), measure, cold)
