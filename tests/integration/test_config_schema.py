# SPDX-License-Identifier: MIT
"""config/cowherd.schema.json says the same as the parser: both take and refuse the same samples."""
import json
import os
import pathlib
import re
import sys

import jsonschema

SOURCE = pathlib.Path(os.environ.get("COW_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
DATA = SOURCE / "tests/data/config"

schema = json.loads((SOURCE / "config/cowherd.schema.json").read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
failed = []


def verdict(path):
    return [e.json_path + ": " + e.message for e in validator.iter_errors(json.loads(path.read_text()))]


for path in sorted((DATA / "good").glob("*.json")) + [SOURCE / "config/example.json"]:
    errors = verdict(path)
    if errors:
        failed.append("%s is good, the schema says %s" % (path.name, errors))
for path in sorted((DATA / "bad").glob("*.json")):
    if not verdict(path):
        failed.append("%s is bad, the schema takes it" % path.name)

# What the page shows is good, too.
for block in re.findall(r"^```json\n(.*?)^```", (SOURCE / "docs/configuration.md").read_text(), re.S | re.M):
    errors = [e.message for e in validator.iter_errors(json.loads(block))]
    if errors:
        failed.append("docs/configuration.md: %s" % errors)

# The unit test of the parser loads the same files; here, that the lists of keys are the same.
source = (SOURCE / "core/spec/create.c").read_text()
parser_keys = set(re.findall(r'"(\w+)"', re.search(r"cow_create_keys\[\] = \{(.*?)\}", source, re.S).group(1)))
schema_keys = set(schema["$defs"]["container"]["properties"])
# name is the key of the entry.
if parser_keys - {"name"} != schema_keys - {"depends_on"}:
    failed.append("keys differ: %s" % sorted((parser_keys ^ schema_keys) - {"name", "depends_on"}))
source = (SOURCE / "core/spec/config.c").read_text()
parser_keys = set(re.findall(r'"([$\w]+)"', re.search(r'known\[\] = \{ ("\$schema".*?)NULL', source, re.S).group(1)))
if parser_keys != set(schema["properties"]):
    failed.append("settings differ: %s" % sorted(parser_keys ^ set(schema["properties"])))

print("\n".join(failed) or "schema and parser agree")
sys.exit(1 if failed else 0)
