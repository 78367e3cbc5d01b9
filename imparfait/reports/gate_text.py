"""What `imparfait gate` prints and writes: a table, JUnit XML, a Markdown summary, a badge."""

from collections.abc import Sequence
from xml.etree import ElementTree

from imparfait.core.counts import counted
from imparfait.evaluation.gate import Finding
from imparfait.reports.text import percent, signed_points

HEADINGS = ("condition", "accuracy", "before", "at least", "outcome")
COLOURS = {"passing": "#2e7d32", "failing": "#b3261e"}
CHARACTER_WIDTH = 7  # pixels of a badge's letters, about
PADDING = 10
LEAST_SHOWN = 5e-5  # of a share, 0.01 points when rounded
LEAST_P = 1e-4


def gate_rows(findings: Sequence[Finding]) -> list[tuple[str, ...]]:
    """A row for each bound, the broken ones first."""
    order = {"broken": 0, "within noise": 1, "ok": 2}
    return [
        (
            found.name,
            percent(found.accuracy),
            percent(found.before) if found.before is not None else "–",
            percent(found.bound),
            found.outcome,
        )
        for found in sorted(findings, key=lambda each: order[each.outcome])
    ]


def gate_sentence(findings: Sequence[Finding]) -> str:
    """Whether the model passes, how many bounds are broken, and what could have been seen."""
    broken = [found for found in findings if found.outcome == "broken"]
    doubtful = [found for found in findings if found.outcome == "within noise"]
    count = f"{counted(len(findings), 'bound')}"
    if broken:
        worst = min(broken, key=lambda each: each.accuracy - each.bound)
        under = f"{100 * (worst.bound - worst.accuracy):.2f} points under its bound, {_p(worst.p)}"
        return f"failing: {len(broken)} of {count} broken; worst {worst.name}, {under}"
    noise = f"; {len(doubtful)} under the bound within noise" if doubtful else ""
    largest = max(found.detectable for found in findings)
    seen = f"; {100 * largest:.2f} points under any would have been found" if largest >= LEAST_SHOWN else ""
    return f"passing: {count} kept{noise}{seen}"


def passes(findings: Sequence[Finding]) -> bool:
    """Whether no bound is broken beyond noise."""
    return not any(found.outcome == "broken" for found in findings)


def gate_markdown(model: str, measured_on: str, findings: Sequence[Finding]) -> str:
    """A summary for a pull request or a job's page."""
    lines = [f"### {_escaped(model)}: {gate_sentence(findings)}", "", _escaped(measured_on), ""]
    lines += [f"| {' | '.join(HEADINGS)} |", f"|{' --- |' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(map(_escaped, row))} |" for row in gate_rows(findings)]
    return "\n".join(lines) + "\n"


def gate_junit(model: str, findings: Sequence[Finding]) -> str:
    """JUnit XML: a test case for each bound, of which the broken ones fail."""
    failures = sum(found.outcome == "broken" for found in findings)
    suite = ElementTree.Element("testsuite", name=f"imparfait gate {model}", tests=str(len(findings)))
    suite.set("failures", str(failures))
    for found in findings:
        kind = "minimum" if found.before is None else "drop"
        case = ElementTree.SubElement(suite, "testcase", classname=f"imparfait.{kind}", name=found.name)
        if found.outcome == "broken":
            under = f"accuracy {percent(found.accuracy)}, at least {percent(found.bound)}; {_p(found.p)}"
            ElementTree.SubElement(case, "failure", message=under)
        elif found.outcome == "within noise":
            text = f"{signed_points(found.accuracy - found.bound)} points, within noise; {_p(found.p)}"
            ElementTree.SubElement(case, "system-out").text = text
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def gate_badge(findings: Sequence[Finding]) -> str:
    """An SVG badge: robustness, and passing or failing with the mean where it is bounded."""
    word = "passing" if passes(findings) else "failing"
    mean = next((found for found in findings if found.name == "mean"), None)
    left, right = "robustness", f"{word} {percent(mean.accuracy)}" if mean else word
    first, second = (PADDING * 2 + CHARACTER_WIDTH * len(text) for text in (left, right))
    font = 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff" text-anchor="middle"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img" '
        f'aria-label="{left}: {right}"><title>{left}: {right}</title>'
        f'<rect width="{first}" height="20" fill="#444"/>'
        f'<rect x="{first}" width="{second}" height="20" fill="{COLOURS[word]}"/>'
        f'<text x="{first / 2}" y="14" {font}>{left}</text>'
        f'<text x="{first + second / 2}" y="14" {font}>{right}</text></svg>\n'
    )


def _p(value: float) -> str:
    return f"p < {LEAST_P:g}" if value < LEAST_P else f"p = {value:.2g}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
