"""Writes a definition whose names are meant to break readers of pictures; or, given what `dot -Tjson0` made of its
picture, checks that each name is a label in it. Arguments: the definition, the JSON of Graphviz."""

import html
import json
import sys

NAMES = [
    "end",
    "graph",
    "subgraph x",
    "class A b",
    "click here",
    'say "hi"',
    "it's",
    "a [b] {c} (d) <e> |f|",
    "<script>alert(1)</script>",
    "<b>bold</b> &amp; &lt;",
    "<br/>",
    "%% no comment",
    "%%{init: {'theme': 'dark'}}%%",
    "semi;colon; --> x",
    "A --> B",
    "x -.-> y",
    "#35; #quot;",
    "hash # tag",
    "`code`",
    '"`markdown **bold**`"',
    "**bold** _it_ ~~gone~~",
    "1. first",
    "- item",
    "$$x^2$$",
    "back\\slash \\n \\l",
    "trailing \\",
    "🚀 launch 🧨",
    "Größe – naïve 日本語",
    "עברית",
    "a::b:c",
    "@{ shape: rect }",
    "x:::Task",
    "https://example.com/a?b=c&d=e#f",
    "fa:fa-car drive",
    "name@mail.example",
    "~tilde~ ^caret^",
    "O" * 80,
    "many words " * 7 + "x",
    "end end end",
    "o--o",
    "x--x",
]


def definition() -> dict:
    states = {}
    for name, following in zip(NAMES, NAMES[1:] + ["last"]):
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Comment": name,
            "Next": following,
            "Catch": [{"ErrorEquals": ["a \"b\" ; %% <c> | # ]"], "Next": "last"}],
        }
        states[name] = state
    inner = {"StartAt": "in; \"%%\" <end>", "States": {"in; \"%%\" <end>": {"Type": "Succeed"}}}
    states["last"] = {"Type": "Parallel", "Branches": [inner], "Next": "[frame] \"end\" %%; <x>"}
    states["[frame] \"end\" %%; <x>"] = {
        "Type": "Map",
        "ItemProcessor": {"StartAt": "end.", "States": {"end.": {"Type": "Pass", "End": True}}},
        "Next": "choice",
    }
    states["choice"] = {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.a", "StringEquals": "x\" --> y; %% | ] } #\n<end>\\", "Next": "done"},
            {"Variable": "$['a b;\"c']", "StringMatches": "`*_$$~`", "Next": "done"},
        ],
        "Default": "done",
    }
    states["done"] = {"Type": "Succeed"}
    return {"StartAt": NAMES[0], "States": states}


def check(picture: str) -> None:
    with open(picture, encoding="utf-8") as file:
        labels = [html.unescape(thing.get("label", "")) for thing in json.load(file)["objects"]]
    # A backslash is doubled in labels, lines end in `\n`.
    labels = [label.replace("\\n", "\0").replace("\\\\", "\\") for label in labels]
    for name in NAMES:
        if "\\" not in name and not any(name.replace(" ", "") in label.replace("\0", "").replace(" ", "") for label in labels):
            sys.exit(f"error: `{name}` is no label of the picture that Graphviz reads")


if len(sys.argv) == 2:
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(definition(), out)
else:
    check(sys.argv[2])
