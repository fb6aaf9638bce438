#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The documentation shows what the programs do: the tours of README.md and of docs/errors.md, images.md, layers.md,
network.md and network-objects.md are run word for word, in a directory, /run and /var/lib of their own, and their output compared; what
docs/HACKING.md names must exist."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import cow

INNER = "COW_README_INNER"
PROMPT = "$ "
MORE = "> "

# What differs from run to run, from the most to the least particular.
VARIES = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{3}\b", "ID"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b[0-9a-f]{12}\b", "SHORT"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    (r"/\S*/(build/rootfs|bad\.json|bundle/config\.json|here\b|image\.erofs|top/(?:layer\.vhd|mnt))", r"\1"),
    (r"process \d+$", "process PID"),
    (r"(Less than a|\d+) seconds?", "SECONDS"),
    (r"\d+\.\d+%", "PERCENT"),
    (r"[0-9.]+(B|[kMG]i?B)\b", "SIZE"),
    (r"(?m)^0 +\d+ +\d+ +\d+ +\d\d:\d\d +\?", "PROCESS"),
    (r"Linux \S+", "Linux VERSION"),
    (r" +", " "),
    (r"(?m) $", ""),
]


def same(text):
    for pattern, word in VARIES:
        text = re.sub(pattern, word, text)
    return text.strip("\n")


def tour(page):
    """(command, output) of every block that follows the line <!-- tour -->, in order."""
    steps = []
    for block in re.findall(r"<!-- tour -->\n+```\w*\n(.*?)```", page, re.S):
        for line in block.splitlines():
            if line.startswith(PROMPT):
                steps.append([line[len(PROMPT):], []])
            elif line.startswith(MORE) and not steps[-1][1]:
                steps[-1][0] += "\n" + line[len(MORE):]
            else:
                steps[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in steps]


def start_shell(directory):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COWHERD_")}
    environment["PATH"] = "%s/build/bin:%s" % (directory, os.environ["PATH"])
    return subprocess.Popen(["bash"], cwd=directory, env=environment, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run_command(shell, command):
    mark = "end of output"
    shell.stdin.write("{ %s\n} </dev/null; echo; echo '%s'\n" % (command, mark))
    shell.stdin.flush()
    lines = []
    for line in shell.stdout:
        if line.rstrip("\n") == mark:
            return "".join(lines)[:-1]
        lines.append(line)
    raise AssertionError("%s: the shell ended: %s" % (command, "".join(lines)))


def compare(directory, page):
    steps = tour((cow.SOURCE / page).read_text())
    assert len(steps) >= 10, "%s has a tour of %d commands only" % (page, len(steps))
    shell = start_shell(directory)
    try:
        for command, shown in steps:
            printed = run_command(shell, command)
            if same(printed) != same(shown):
                raise AssertionError("$ %s\n-- %s shows\n%s\n-- it prints\n%s" % (command, page, shown, printed))
    finally:
        run_command(shell, "cowherd shutdown --kill >/dev/null 2>&1")
        shell.stdin.close()
        shell.wait()


def run_page(page, *more):
    """By this program again, in a mount namespace of its own, and more of unshare(1)."""
    before = cow.Picture()
    directory = tempfile.mkdtemp(prefix="cowherd-readme-")
    try:
        build = pathlib.Path(directory) / "build"
        build.mkdir()
        for part in "bin", "lib":
            (build / part).symlink_to(cow.BUILD / part)
        cow.make_rootfs(build / "rootfs")
        subprocess.run(["unshare", "--mount", "--propagation", "private", *more, sys.executable, __file__, directory,
                        page], check=True, env={**os.environ, INNER: "1"})
        before.check(directory)
    finally:
        shutil.rmtree(directory)


def test_readme():
    run_page("README.md")


def test_errors():
    run_page("docs/errors.md")


def test_images():
    run_page("docs/images.md")


def test_layers():
    run_page("docs/layers.md")


def test_network_objects():
    run_page("docs/network-objects.md", "--net")


def test_network():
    run_page("docs/network.md", "--net")


def function_exists(name, sources):
    return any(re.search(r"\b%s\(" % re.escape(name), text) for text in sources)


def test_names():
    """Every file that HACKING.md names exists; every function that it names is in a file named on its line, or, where
    the line names no source, anywhere in the tree."""
    everything = [p for top in ("core", "plugins", "tests") for p in (cow.SOURCE / top).rglob("*.[ch]")]
    texts = {p: p.read_text() for p in everything}
    missing = []
    for number, line in enumerate((cow.SOURCE / "docs/HACKING.md").read_text().splitlines(), 1):
        words = re.findall(r"`([^`]+)`", line)
        files = [w for w in words if re.fullmatch(r"[\w.-]+(/[\w.-]+)+\.\w+|(?:core|plugins|tests|docs|config)(/[\w-]+)+", w)]
        missing += ["%d: %s" % (number, f) for f in files
                    if not (cow.SOURCE / f).exists() and not f.startswith(("build", "cowherd/"))]
        named = [texts[cow.SOURCE / f] for f in files if cow.SOURCE / f in texts]
        for word in words:
            match = re.fullmatch(r"(\w+)\(\)", word)
            if match and not function_exists(match.group(1), named or texts.values()):
                missing.append("%d: %s" % (number, word))
    assert not missing, "docs/HACKING.md names what does not exist: " + "; ".join(missing)


def test_links():
    """Every relative link of the README and of docs/ leads to something."""
    missing = []
    for page in [cow.SOURCE / "README.md", *(cow.SOURCE / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                missing.append("%s: %s" % (page.name, target))
    assert not missing, "; ".join(missing)


if __name__ == "__main__":
    if os.environ.get(INNER):
        for place in "/run", "/var/lib":
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        if os.path.isdir("/etc/cni"):  # networks of whoever has this machine
            subprocess.run(["mount", "-t", "tmpfs", "none", "/etc/cni"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        compare(*sys.argv[1:])
    else:
        cow.main([test_names, test_links, test_readme, test_errors, test_images, test_layers,
                  test_network, test_network_objects])
