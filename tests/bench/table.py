#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Print tests/bench/results*.json as the Markdown tables of README.md; with --write, put them there."""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
FILES = {"results": "<!-- figures -->", "results-storage": "<!-- storage figures -->",
         "results-net": "<!-- net figures -->"}
END = "<!-- end of figures -->"


def number(value):
    return "%.2f" % value if value < 10 else "%.0f" % value


def row(figure):
    target = figure.get("target")
    aim = "" if target is None else ("≤ %g" if figure["good"] == "less" else "≥ %g") % target
    met = {True: "yes", False: "no"}.get(figure.get("met"), "")
    return "| %s | %s %s | %s | %s |" % (figure["what"], number(figure["value"]), figure["unit"], aim, met)


def table(results):
    beside = "; beside %s, TCP's congestion control %s" % (
        results["peers"], results["congestion_control"]) if "peers" in results else ""
    lines = ["Linux %s, %d cores, medians of %s interleaved rounds; x: times the other's median%s." % (
        results["kernel"].split("-")[0], results["cores"], results["rounds"], beside), "", "| what | measured | target | met |",
        "|---|---:|---:|---|"]
    return "\n".join(lines + [row(figure) for figure in results["figures"]])


def main():
    texts = {name: table(json.loads((HERE / (name + ".json")).read_text())) for name in FILES
             if (HERE / (name + ".json")).exists()}
    if sys.argv[1:] != ["--write"]:
        print("\n\n".join(texts.values()))
        return
    page = README.read_text()
    for name, text in texts.items():
        block = "%s\n%s\n%s" % (FILES[name], text, END)
        page = re.sub(re.escape(FILES[name]) + ".*?" + re.escape(END), lambda _, b=block: b, page, flags=re.S)
    README.write_text(page)


if __name__ == "__main__":
    main()
