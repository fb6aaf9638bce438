#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Windows layers in the format of ImportLayer and ExportLayer: there and back, as Windows writes it, and hostile ones."""
import base64
import os
import struct
import subprocess

import cow
from test_layer import DIFF, DIR, LINUX, LNK, REG, SYM, WINDOWS, attributes, entries, layer, place, tar

DATA, EA, SECURITY, ALTERNATE, LINK, PROPERTY, REPARSE, BLOCK = 1, 2, 3, 4, 5, 6, 8, 9
META = ".$wcidirs$"


def stream(kind, data, attributes=0, name="", size=None):
    name = name.encode("utf-16-le")
    return struct.pack("<IIQI", kind, attributes, len(data) if size is None else size, len(name)) + name + data


def streams(data):
    """What is in a file: attributes, and (kind, attributes, name, data) of each stream."""
    found, at = [], 4
    while at < len(data):
        kind, flags, size, n = struct.unpack_from("<IIQI", data, at)
        name = data[at + 20:at + 20 + n].decode("utf-16-le")
        found.append((kind, flags, name, data[at + 20 + n:at + 20 + n + size]))
        at += 20 + n + size
    assert at == len(data), (at, len(data))
    return struct.unpack_from("<I", data)[0], found


def same(a, b):
    """The entries, in any order; Windows gives alternate streams no times of their own, and a removal neither."""
    def sort(archive):
        return sorted(((e[0], e[1], *e[4:6], e[8]) if ":" in e[0] or "/.wh." in e[0] else e for e in entries(archive)), key=str)
    a, b = sort(a), sort(b)
    assert a == b, [x for x in a if x not in b] + ["and"] + [x for x in b if x not in a]


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "Files/map", "GNU.sparse.realsize": "3000000"}
MORE = [
    ("Files/map", REG, b"2\n4096\n4\n2999990\n10\n".ljust(512, b"\0") + b"aaaa" + b"b" * 10, {**attributes(0x220), **SPARSE}),
    ("Files/dirlink", SYM, "C:\\Windows\\é", attributes(1040)),
    ("Files/dir", DIR, "", attributes(16, **{"MSWINDOWS.xattr.A": "AQ==", "MSWINDOWS.xattr.LONG": "A" * 400, "X.unknown": "kept"})),
    ("Files/dir:of a directory", REG, b"ads"),
    ("Files/dir/sddl", REG, b"", {"MSWINDOWS.fileattr": "128", "MSWINDOWS.sd": "O:BAG:BA"}),
    ("UtilityVM/Files/link", SYM, "k", attributes(1024)),
    ("UtilityVM/Files/k2", LNK, "UtilityVM/Files/k"),
    ("UtilityVM/Files/k3", REG, b"k3", attributes(32)),
    ("UtilityVM/Files/k3:x", REG, b"of a raw one"),
]


def test_there_and_back():
    with place() as d:
        layer(d, "import", "base", data=tar(WINDOWS + MORE))
        layer(d, "import", "-l", "base", "diff", data=tar(DIFF))
        layer(d, "export", "--transport", "-o", "out", "base")
        layer(d, "export", "--transport", "-o", "out2", "diff")
        layer(d, "import", "--transport", "-i", "out", "again")
        same(layer(d, "export", "again"), layer(d, "export", "base"))
        layer(d, "import", "--transport", "-i", "out2", "-l", "again", "diff2")
        same(layer(d, "export", "diff2"), layer(d, "export", "diff"))
        assert sorted(os.listdir(d)) == ["again", "base", "diff", "diff2", "out", "out2"]
        # The same layer, the same format.
        layer(d, "export", "--transport", "-o", "out3", "again")
        for top, _, files in os.walk(d / "out"):
            for name in files:
                path = os.path.join(top, name)
                with open(path, "rb") as a, open(path.replace("/out/", "/out3/"), "rb") as b:
                    assert a.read() == b.read(), path


def test_format():
    """As others read it."""
    with place() as d:
        layer(d, "import", "base", data=tar(WINDOWS + MORE))
        layer(d, "import", "-l", "base", "diff", data=tar(DIFF))
        layer(d, "export", "--transport", "-o", "out", "base")
        layer(d, "export", "--transport", "-o", "out2", "diff")
        sd = base64.b64decode("AQAEgBQAAAAkAAAA")
        out = d / "out"
        assert sorted(os.listdir(out)) == ["Files", "Files" + META, "Hives", "Hives" + META, "UtilityVM", "UtilityVM" + META]
        assert streams((out / "Files/Windows/z.dll").read_bytes()) == (32, [
            (SECURITY, 2, "", sd), (DATA, 0, "", b"dll"), (ALTERNATE, 0, ":b:$DATA", b"stream b"),
            (ALTERNATE, 0, ":a:$DATA", b"stream a")])
        assert streams((out / ("Files/Windows" + META)).read_bytes()) == (16, [(SECURITY, 2, "", sd)])
        assert (out / "Hives/System_Delta").read_bytes() == b"regf" and (out / "UtilityVM/Files/k").read_bytes() == b"kernel"
        flags, found = streams((out / "Files/Windows/hidden.sys").read_bytes())
        assert flags == 39 and found[1] == (EA, 0, "", struct.pack("<IBBH", 0, 0, 2, 3) + b"EA\0\0\1\2"), found
        # A junction: the name that counts, and the one that is shown.
        flags, found = streams((out / ("Files/Users" + META)).read_bytes())
        name = "\\??\\C:\\Windows".encode("utf-16-le")
        assert (out / "Files/Users").is_dir() and flags == 1040 and found[1] == (REPARSE, 0, "", struct.pack(
            "<IHHHHHH", 0xa0000003, 8 + 2 * (len(name) + 2), 0, 0, len(name), len(name) + 2, len(name)) + (name + b"\0\0") * 2), found
        flags, found = streams((out / "Files/Windows/rel").read_bytes())
        assert struct.unpack_from("<I", found[1][3], 16) == (1,), found
        # A hard link is a file like others, for those who do not know better.
        flags, found = streams((out / "Files/Windows/a.dll").read_bytes())
        assert flags == 32 and found[0][0] == LINK and found[2] == (DATA, 0, "", b"dll"), found
        flags, found = streams((out / "Files/map").read_bytes())
        assert [f[0] for f in found] == [SECURITY, DATA, BLOCK, BLOCK, BLOCK], found
        assert found[2][3] == struct.pack("<Q", 4096) + b"aaaa" and found[4][3] == struct.pack("<Q", 3000000)
        assert (d / "out2/tombstones.txt").read_bytes() == b"\xef\xbb\xbfVersion 1.0\n\\Windows\\hidden.sys\n"


def test_killed():
    """Wherever it dies: nothing, or all of it; and what is left goes with the layer."""
    with place() as d:
        layer(d, "import", "base", data=tar(WINDOWS + MORE))
        layer(d, "export", "--transport", "-o", "out", "base")
        killed = 0
        for words in ("export", "--transport", "-o", "made", "base"), ("import", "--transport", "-i", "out", "made"):
            for call, n in (("openat2", 9), ("openat2", 60), ("fsetxattr", 2), ("fsetxattr", 17), ("write", 5), ("renameat2", 1)):
                p = subprocess.run([*cow.STRACE, "-f", "-qq", "-o", "/dev/null", "-e", "inject=%s:signal=KILL:when=%d" % (call, n),
                                    cow.COWHERD, "--host", "unix://%s/none" % d, "layer", *words], cwd=d,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                killed += p.returncode in (-9, 137)
                assert (d / "made").exists() == (p.returncode == 0), (words, call, n)
                layer(d, "remove", "made")
                assert sorted(os.listdir(d)) == ["base", "out"], (words, call, n, os.listdir(d))
        assert killed >= 8, killed


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def windows_made(d):
    """As ExportLayer writes it: no attributes of Linux, properties and links that mean nothing here."""
    dir16 = struct.pack("<I", 16)
    for name in "Files", "Files/Windows", "Files/$Recycle.Bin":
        (d / name).mkdir(parents=True, exist_ok=True)
        write(d / (name + META), dir16)
    write(d / "Files/Windows/a.exe", struct.pack("<I", 32) + stream(SECURITY, b"sd", 2) + stream(DATA, b"MZ") +
          stream(LINK, "\\Windows\\b.exe".encode("utf-16-le")) + stream(LINK, b"x") + stream(PROPERTY, b"p"))
    write(d / "Files/Windows/holes", struct.pack("<I", 0x220) + stream(DATA, b"", 8) +
          stream(BLOCK, struct.pack("<Q", 65536) + b"x" * 100, 8) + stream(BLOCK, struct.pack("<Q", 1 << 20), 8))
    write(d / "Files/$Recycle.Bin/trash", b"no streams at all")
    write(d / "Hives/System_Delta", b"regf")
    os.utime(d / "Hives/System_Delta", (1500000000, 1500000000))
    write(d / "UtilityVM/Files/k", b"kernel")
    write(d / "tombstones.txt", b"\xef\xbb\xbfVersion 1.0\r\n\\Windows\\gone\r\n\\no\\such\r\n")


def test_from_windows():
    with place() as d:
        windows_made(d / "in")
        layer(d, "import", "base", data=tar(WINDOWS))
        layer(d, "import", "--transport", "-i", "in", "-l", "base", "new")
        found = {e[0]: e for e in entries(layer(d, "export", "new"))}
        assert list(found)[:3] == ["Files", "Files/Windows", "Files/Windows/.wh.gone"], list(found)
        assert "Files/no/.wh.such" in found and not [n for n in found if "Recycle" in n], list(found)
        assert found["Files/Windows/a.exe"][8] == b"MZ"
        assert found["Files/Windows/a.exe"][7][:2] == [("MSWINDOWS.fileattr", "32"), ("MSWINDOWS.rawsd", "c2Q=")]
        assert found["Files/Windows/holes"][8] == bytes(65536) + b"x" * 100 + bytes((1 << 20) - 65636)
        assert (d / "new/Files/Windows/holes").stat().st_blocks * 512 < 1 << 17
        assert found["Hives"][6] == 1500000000, found["Hives"]
        assert found["UtilityVM/Files/k"][8] == b"kernel"


def test_refused():
    """Whatever is wrong: an error that names the file, and nothing made."""
    def word(n):
        return struct.pack("<I", n)
    link = struct.pack("<IHHHHHH", 0xa0000003, 8, 0, 0, 0, 0, 0)
    files = [
        (b"\x20\0", "Files/x: it is truncated"),
        (word(32) + stream(DATA, b"abc")[:12], "Files/x: a stream's header is truncated"),
        (word(32) + stream(DATA, b"abc")[:-1], "Files/x: a stream is truncated"),
        (word(32) + stream(DATA, b"abc", size=1 << 63), "Files/x: a stream is truncated"),
        (word(32) + stream(DATA, b"abc", size=(1 << 64) - 20), "Files/x: a stream is truncated"),
        (word(32) + struct.pack("<IIQI", ALTERNATE, 0, 0, 0xfffffffe), "a stream's name is too long"),
        (word(32) + stream(DATA, b"a") + stream(DATA, b"b"), "main data twice"),
        (word(32) + stream(SECURITY, b"a") + stream(SECURITY, b"b"), "there twice"),
        (word(32) + stream(SECURITY, bytes(65537)), "a stream of metadata is too long"),
        (word(32) + stream(77, b""), "a stream of an unknown kind"),
        (word(32) + stream(ALTERNATE, b"", 8, ":a:$DATA"), "sparse alternate data streams are unsupported"),
        (word(32) + stream(ALTERNATE, b"", 0, ":a/../../b:$DATA"), "name contains an invalid character"),
        (word(32) + stream(ALTERNATE, b"", 0, "a"), "an alternate stream without a name"),
        (word(32) + struct.pack("<IIQI", ALTERNATE, 0, 0, 18) + b"\x00\xd8" * 9, "is not UTF-16"),
        (word(32) + stream(BLOCK, struct.pack("<Q", 0) + b"x"), "a block of a sparse file where there can be none"),
        (word(32) + stream(DATA, b"", 8) + stream(BLOCK, struct.pack("<Q", 1 << 63) + b"x"), "larger than any file"),
        (word(32) + stream(DATA, b"", 8) + stream(BLOCK, struct.pack("<Q", 9) + b"x") + stream(BLOCK, struct.pack("<Q", 9) + b"x"),
         "out of order"),
        (word(32) + stream(DATA, b"", 8) + stream(BLOCK, struct.pack("<Q", 1 << 62), 8), "larger than any file"),
        (word(32) + stream(DATA, b"", 8) + stream(BLOCK, struct.pack("<Q", 1 << 43), 8), "Files/x"),
        (word(32) + stream(EA, struct.pack("<IBBH", 0, 0, 200, 3) + b"EA\0"), "its extended attributes are broken"),
        (word(1024) + stream(REPARSE, struct.pack("<IHH", 0x80000018, 0, 0)), "a reparse point of the unknown kind 0x80000018"),
        (word(1024) + stream(REPARSE, link[:-4] + struct.pack("<HH", 8, 100)), "its reparse point is broken"),
    ]
    with place() as d:
        for data, why in files:
            write(d / "in/Files/x", data)
            said = layer(d, "import", "--transport", "-i", "in", "new", fail=True)
            assert why in said, (why, said)
            assert sorted(os.listdir(d)) == ["in"], (why, os.listdir(d))
        (d / "in/Files/x").unlink()
        for what, why in ((lambda x: x.symlink_to("/etc/passwd"), "Files/x: neither a file nor a directory"),
                          (os.mkfifo, "Files/x: neither a file nor a directory")):
            what(d / "in/Files/x")
            assert why in layer(d, "import", "--transport", "-i", "in", "new", fail=True)
            (d / "in/Files/x").unlink()
        write(d / "in/Files/a:b", word(32))
        assert "invalid character" in layer(d, "import", "--transport", "-i", "in", "new", fail=True)
        (d / "in/Files/a:b").unlink()
        write(d / "in/Files/x", word(32) + stream(LINK, "cowherd:../../../etc/passwd".encode("utf-16-le")))
        assert "path leads upwards" in layer(d, "import", "--transport", "-i", "in", "new", fail=True)
        layer(d, "import", "base", data=tar(WINDOWS))
        (d / "in/Files/x").unlink()
        for text, why in ((b"Version 1.0\n\\x\n", "invalid tombstones file"), (b"\xef\xbb\xbfVersion 1.0\n\\..\\..\\x\n", "path leads upwards"),
                          (b"\xef\xbb\xbfVersion 1.0\n\\\n", "it names nothing"), (b"\xef\xbb\xbfVersion 1.0\n\\a:b\n", "invalid character")):
            write(d / "in/tombstones.txt", text)
            assert why in layer(d, "import", "--transport", "-i", "in", "-l", "base", "new", fail=True), why
        # Not this format, or not for it.
        (d / "empty").mkdir()
        assert "no Files, Hives or UtilityVM" in layer(d, "import", "--transport", "-i", "empty", "new", fail=True)
        assert "needs --input" in layer(d, "import", "--transport", "new", fail=True)
        layer(d, "import", "linux", data=tar(LINUX))
        assert "not a Windows layer" in layer(d, "export", "--transport", "-o", "o", "linux", fail=True)
        assert "it needs --output" in layer(d, "export", "--transport", "base", fail=True)
        assert "is there already" in layer(d, "export", "--transport", "-o", "in", "base", fail=True)
        layer(d, "import", "odd", data=tar([("Files", DIR, ""), ("Files/x" + META, REG, b"")]))
        assert "the format has its own use of that name" in layer(d, "export", "--transport", "-o", "o", "odd", fail=True)
        assert sorted(os.listdir(d)) == ["base", "empty", "in", "linux", "odd"]


if __name__ == "__main__":
    cow.main([f for name, f in list(globals().items()) if name.startswith("test_")])
