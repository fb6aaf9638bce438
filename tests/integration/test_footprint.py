# SPDX-License-Identifier: MIT
"""What an idle supervisor costs, with every plugin of the build loaded: an appliance pays it for ever."""
import pathlib
import subprocess
import tempfile

import cow

RSS_KIB = 4096
SIZE_BYTES = 500 << 10


def plain_build():
    """Sanitizers keep shadows of all memory; what they cost is not ours."""
    return not cow.SANITIZED


def resident(pid):
    """KiB of RSS, and which files they are of."""
    total, of, name = 0, {}, ""
    for line in pathlib.Path("/proc/%d/smaps" % pid).read_text().splitlines():
        fields = line.split()
        if "-" in fields[0]:
            name = fields[5] if len(fields) > 5 else "anonymous"
        elif fields[0] == "Rss:":
            of[name] = of.get(name, 0) + int(fields[1])
            total += int(fields[1])
    return total, sorted(of.items(), key=lambda item: -item[1])


def test_idle_memory_with_all_plugins():
    supervisor = cow.Supervisor().start()
    try:
        plugins = sorted(p["name"] for p in supervisor.call("plugins.list"))
        built = sorted(p.stem for p in (cow.BUILD / "lib/cowherd").glob("*.so"))
        assert plugins == built, (plugins, built)
        if plain_build():
            total, of = resident(supervisor.process.pid)
            assert total <= RSS_KIB, "%d KiB: %s" % (total, of)
    finally:
        supervisor.remove()


def test_stripped_size():
    supervisor = cow.Supervisor().start()
    try:
        plain = plain_build()
    finally:
        supervisor.remove()
    if not plain or "CMAKE_BUILD_TYPE:STRING=Release" not in (cow.BUILD / "CMakeCache.txt").read_text():
        return
    sizes = []
    for path in cow.BUILD / "bin/cowherd", cow.BUILD / "lib/cowherd/lcow.so":
        with tempfile.NamedTemporaryFile() as stripped:
            subprocess.run(["strip", "-o", stripped.name, str(path)], check=True)
            sizes.append(pathlib.Path(stripped.name).stat().st_size)
    assert sum(sizes) <= SIZE_BYTES, sizes


if __name__ == "__main__":
    cow.main([value for name, value in list(globals().items()) if name.startswith("test_")])
