#!/usr/bin/env python3
"""Reads the reports that scripts/smoke/reports made: DIRECTORY [SCHEMA OF SARIF]."""

import json
import re
import sys
from pathlib import Path

import jsonschema
from junitparser import JUnitXml

scratch = Path(sys.argv[1])


def load(name):
    return json.loads((scratch / name).read_text())


sarif = load("out.sarif")
tests = load("tests.sarif")
if len(sys.argv) > 2:
    schema = json.loads(Path(sys.argv[2]).read_text())
    for log in [sarif, tests]:
        jsonschema.validators.validator_for(schema)(schema).validate(log)
    print("SARIF: both logs valid by the official schema", file=sys.stderr)
run = sarif["runs"][0]
rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
assert len(rules) == len(set(rules))
by_rule = {}
for result in run["results"]:
    assert rules[result["ruleIndex"]] == result["ruleId"]
    by_rule.setdefault(result["ruleId"], []).append(result)
(refused,) = [result for result in by_rule["SCHEMA_VALIDATION_FAILED"]]
assert refused["level"] == "error"
assert refused["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("/refused%20%3C%26%3E.json")
assert [result for result in by_rule["NO_DOLLAR"] if result.get("suppressions") == [{"kind": "inSource", "justification": "a text"}]]
(unused,) = by_rule["lint/unused-ignore"]
(change,) = unused["fixes"][0]["artifactChanges"]
assert change["replacements"][0]["insertedContent"] == {"text": ""}
assert run["invocations"][0]["executionSuccessful"] is False
fingerprints = [result["partialFingerprints"]["stepfnFinding/v1"] for result in run["results"]]
assert len(fingerprints) == len(set(fingerprints))

run = tests["runs"][0]
first, second = run["results"]
place = first["locations"][0]["physicalLocation"]
assert place["artifactLocation"]["uri"].endswith("/failing/a%20b.test.yaml") and place["region"]["startLine"] == 3, place
(state,) = second["relatedLocations"]
assert state["logicalLocations"] == [{"fullyQualifiedName": "B"}], state
assert state["physicalLocation"]["region"]["startLine"] == 6, state
assert first["partialFingerprints"] != second["partialFingerprints"]
assert run["invocations"][0]["executionSuccessful"] is False

# Its own counts are those that junitparser counts again.
for name in ["out.junit", "tests.junit"]:
    xml = JUnitXml.fromfile(str(scratch / name))
    suites = list(xml)
    told = sum(suite.failures for suite in suites), sum(suite.errors for suite in suites), sum(suite.tests for suite in suites)
    xml.update_statistics()
    assert told == (xml.failures, xml.errors, xml.tests), (name, told, xml)
    assert xml.tests > 0
    if name == "out.junit":
        assert (xml.failures, xml.errors) == (1, 1), xml
        assert any(suite.name.endswith("refused <&>.json") for suite in suites)
    print(f"JUnit: {xml.tests} cases of {name} read", file=sys.stderr)

# What lcov and genhtml count is what the program counts: a line is a state, for each has one of its own here.
own = {"lines": [0, 0], "branches": [0, 0]}
for definition in load("tests.json")["definitions"]:
    coverage = definition["coverage"]
    for kind, parts in [("lines", ["states"]), ("branches", ["transitions", "retriers"])]:
        for part in parts:
            own[kind][0] += coverage[part]["covered"]
            own[kind][1] += coverage[part]["all"]
for name in ["lcov.summary", "genhtml.summary"]:
    counts = re.findall(r"(lines|branches)\.+: .*\((\d+) of (\d+)", (scratch / name).read_text())
    read = {kind: [int(covered), int(whole)] for kind, covered, whole in counts}
    assert read == own and own["branches"][1] > own["branches"][0] > 0, (name, read, own)
    print(f"LCOV: {name} has the program's own counts, {own}", file=sys.stderr)
# It links a page for each file, with its text.
page = next((scratch / "genhtml").rglob("order-saga.asl.json.gcov.html")).read_text()
assert "ReserveStock" in page

issues = load("out.gitlab")
for issue in issues:
    assert {"description", "check_name", "fingerprint", "severity", "location"} <= issue.keys()
    assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
    assert issue["location"]["lines"]["begin"] >= 1
assert len({issue["fingerprint"] for issue in issues}) == len(issues)

summary = load("out.json")["summary"]
assert summary["errors"] == 1 and summary["unreadable"] == 1 and summary["suppressed"]["comment"] == 1, summary
