#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print tests/bench/results.json as the Markdown table of README.md; with --write, put it there."""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def number(value):
    return "%.2f" % value if value < 10 else "%.0f" % value


def row(figure):
    target = figure.get("target")
    aim = "" if target is None else ("≤ %g" if figure["good"] == "less" else "≥ %g") % target
    met = {True: "yes", False: "no"}.get(figure.get("met"), "")
    return "| %s | %s %s | %s | %s |" % (figure["what"], number(figure["value"]), figure["unit"], aim, met)


def table(results):
    lines = ["Linux %s, %d cores, medians of %d interleaved rounds; x: times the other's median." % (
        results["kernel"].split("-")[0], results["cores"], results["rounds"]), "", "| what | measured | target | met |",
        "|---|---:|---:|---|"]
    return "\n".join(lines + [row(figure) for figure in results["figures"]])


def main():
    text = table(json.loads((HERE / "results.json").read_text()))
    if sys.argv[1:] == ["--write"]:
        page = README.read_text()
        block = "%s\n%s\n%s" % (BEGIN, text, END)
        README.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, page, flags=re.S))
    else:
        print(text)


if __name__ == "__main__":
    main()
