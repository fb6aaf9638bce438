#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the layout assertions of a plugin.h, for the file of a new release: layout.py HEADER.

For the next 1.x: copy the header to v1.x/cowherd/plugin.h, the head of abi_1_0.c to abi_1_x.c, and
this below it.  The files of earlier releases are never touched again."""
import re
import subprocess
import sys
import tempfile

header = sys.argv[1]
text = re.sub(r"/\*.*?\*/", "", open(header).read(), flags=re.S)


def members(body):
    for statement in body.split(";"):
        statement = " ".join(statement.split())
        function = re.match(r".*?\(\*(\w+)\)\(", statement)
        if function:
            yield function.group(1)
        elif statement:
            for part in statement.split(","):
                yield re.search(r"(\w+)$", part.strip()).group(1)


probe = ['#include <stdio.h>', f'#include "{header}"', "int main(void) {"]
for name, body in re.findall(r"struct (cowherd_\w+) \{(.*?)\n\};", text, flags=re.S):
    probe.append(f'printf("\\nSIZE({name}, %zu);\\n", sizeof(struct {name}));')
    for m in members(body):
        probe.append(f'printf("AT({name}, {m}, %zu, %zu);\\n", offsetof(struct {name}, {m}), '
                     f"sizeof(((struct {name} *)0)->{m}));")
probe.append('printf("\\n");')
for value in (re.findall(r"^#define (COWHERD_(?!PLUGIN_H|ABI|EXPORT|SERVICE)\w+) ", text, flags=re.M)
              + re.findall(r"(COWHERD_\w+) = ", text)):
    probe.append(f'printf("VALUE({value}, %d);\\n", (int){value});')
probe.append("}")
with tempfile.TemporaryDirectory() as tmp:
    subprocess.run(["cc", "-xc", "-", "-o", f"{tmp}/probe"], input="\n".join(probe).encode(), check=True)
    print(subprocess.check_output([f"{tmp}/probe"]).decode(), end="")
