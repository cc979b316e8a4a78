#!/usr/bin/env python3
"""The code's metrics, docs/metrics.md, and what deploy/monitoring asks for are the same: names, labels, values."""

import json
import pathlib
import re
import sys

KINDS = ("counter", "gauge", "histogram")
# Prometheus' own, and those of the scrape.
COMMON_LABELS = {"instance", "job", "le"}
HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")
SELECTOR = re.compile(r"\b(multinet_[a-z_]+)\b\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')


def of_docs(page):
    """name -> (kind, {label: values that the page lists, or an empty set})."""
    rows = {}
    for row in re.findall(r"^\| `(multinet_[a-z_]+)` \| (.*) \|$", page, re.MULTILINE):
        kind, labels, *_ = (cell.strip() for cell in row[1].split(" | "))
        found = {}
        for label, values in re.findall(r"`([a-z_]+)`(?: \(((?:`[^`]+`(?:, )?)+)\))?", labels):
            found[label] = set(re.findall(r"`([^`]+)`", values))
        rows[row[0]] = (kind, found)
    return rows


def of_code(texts):
    """Names that stand whole, or as a program's prefix and a server's `_suffix`."""
    literals = set()
    for text in texts:
        literals |= set(re.findall(r'"(multinet_[a-z_]+|_[a-z_]+)"', text))
    whole = {name for name in literals if name.startswith("multinet_")}
    prefixes = {name for name in whole if name.count("_") == 1}
    made = {prefix + tail for prefix in prefixes for tail in literals if tail.startswith("_")}
    return whole - prefixes, made


def expressions(rules, dashboard):
    """(where, expression) of alert rules and of panels."""
    found = []
    for block in re.split(r"^  - alert: ", rules, flags=re.MULTILINE)[1:]:
        name = block.split("\n", 1)[0].strip()
        body = re.search(r"^    expr: (.*?)^    (?:for|labels):", block, re.MULTILINE | re.DOTALL)
        found.append((f"alert {name}", body.group(1) if body else ""))
    for panel in json.loads(dashboard)["panels"]:
        for target in panel.get("targets", []):
            found.append((f"panel {panel['title']!r}", target["expr"]))
    return found


def values_of(operator, text):
    """What a matcher names one by one; nothing where it is a pattern."""
    if text.startswith("$") or re.search(r"[.*+?\[(]", text):
        return []
    return text.split("|") if operator in ("=~", "!~") else [text]


def judge(where, expression, rows):
    metrics = SELECTOR.findall(expression)
    if not metrics:
        yield f"{where}: asks for no metric of ours: {expression.strip()!r}"
    known = set(COMMON_LABELS)
    for name, matchers in metrics:
        base = name if name in rows else HISTOGRAM.sub("", name)
        if base not in rows or (base != name and rows[base][0] != "histogram"):
            yield f"{where}: there is no metric {name}"
            continue
        labels = rows[base][1]
        known |= set(labels)
        for label, operator, text in MATCHER.findall(matchers):
            if label not in labels and label not in COMMON_LABELS:
                yield f"{where}: {base} has no label {label}"
            for value in values_of(operator, text):
                if labels.get(label) and value not in labels[label]:
                    yield f"{where}: {label} of {base} is never {value!r}"
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in re.split(r"\s*,\s*", grouped):
            if label not in known:
                yield f"{where}: groups by {label}, which none of its metrics has"


def complaints(texts, page, rules, dashboard):
    rows = of_docs(page)
    whole, made = of_code(texts)
    found = [f"docs/metrics.md: {name} is missing" for name in sorted(whole - set(rows))]
    for name, (kind, _) in sorted(rows.items()):
        if name not in whole | made:
            found.append(f"docs/metrics.md: no code has a metric {name}")
        if kind not in KINDS:
            found.append(f"docs/metrics.md: {name} is a {kind}, not one of {', '.join(KINDS)}")
    for where, expression in expressions(rules, dashboard):
        found += judge(where, expression, rows)
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    texts = [
        path.read_text()
        for room in ("lib", "controller", "webhook", "nodeagent")
        for path in (root / room).rglob("*.cc")
        if not path.name.endswith("_test.cc")
    ]
    monitoring = root / "deploy/monitoring"
    found = complaints(
        texts,
        (root / "docs/metrics.md").read_text(),
        (monitoring / "rules.yaml").read_text(),
        (monitoring / "dashboard.json").read_text(),
    )
    print("\n".join(found) or "every metric is described, and only such are asked for")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
