"""Metrics, alert rules, dashboard and pages name the same things: what a rule asks for is exposed, what is exposed is
explained, and every alert leads to a heading that says what to do.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from shelfwise.app import open_app
from shelfwise.cli.main import run
from shelfwise.server import asgi
from shelfwise.services.metrics import METRICS, PROCESS_METRICS, Metric, Metrics
from tests.docs.pages import commands, prose_of, read_arguments, text_of

ROOT = Path(__file__).parents[1]
OPS = ROOT / "ops"
OBSERVABILITY = ROOT / "docs" / "observability.md"
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
ENDINGS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
FROM_PROMETHEUS = {"instance", "job"}
TITLES = (
    "The service does not start", "A model cannot be fetched or loaded", "Predictions are slow or fail",
    "Out of memory", "Forecasts are inaccurate", "Models are not saved", "Training fails",
)  # fmt: skip
SEVERITIES = {"critical", "warning"}


def series() -> dict[str, set[str]]:
    """The labels of every time series there may be, by its name."""
    found = {name: set[str]() for name in (*PROCESS_METRICS, "up")}
    for metric in METRICS:
        for ending in ENDINGS[metric.kind]:
            found[metric.name + ending] = {*metric.labels, *({"le"} if ending == "_bucket" else ())}
    return found


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(text_of(OPS / "alerts.yml"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def queries() -> list[str]:
    board = json.loads(text_of(OPS / "grafana-dashboard.json"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


WORDS = {"by", "on", "without", "ignoring", "and", "or", "unless", "bool", "offset", "group_left", "group_right"}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?")
GROUPED = re.compile(r"\b(by|on|without|ignoring)\s*\(([^)]*)\)")


def asked_for(query: str) -> Iterator[tuple[str, set[str]]]:
    """The series that a query names, each with the labels that it is asked by."""
    assert query.count("(") == query.count(")"), query
    assert query.count("{") == query.count("}"), query
    bare = re.sub(r"\[[^\]]*\]", "", GROUPED.sub(" ", re.sub(r'"[^"]*"', '""', query)))
    for found in SELECTOR.finditer(bare):
        name, matchers = found[1], found[2] or ""
        after = bare[found.end() :].lstrip()
        before = bare[: found.start()]
        if name in WORDS or after.startswith("(") or re.search(r"[\d.]$", before):
            continue
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


def grouped_by(query: str) -> set[str]:
    return {label.strip() for found in GROUPED.finditer(query) for label in found[2].split(",") if label.strip()}


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in rules()), *queries()])
def test_a_query_asks_for_series_and_labels_that_are_exposed(query: str) -> None:
    exposed = series()
    asked = list(asked_for(query))
    assert asked
    labels = set[str](FROM_PROMETHEUS)
    for name, matched in asked:
        assert name in exposed, name
        assert matched <= exposed[name] | FROM_PROMETHEUS, name
        labels |= exposed[name]
    assert grouped_by(query) <= labels


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("rate(shelfwise_http_requests[5m])", "shelfwise_http_requests"),
        ("sum(shelfwise_jobs_parkt) > 0", "shelfwise_jobs_parkt"),
        ('shelfwise_plan_age_seconds{kind="x"} / shelfwise_data_age', "shelfwise_data_age"),
    ],
)
def test_a_query_of_something_else_would_be_seen(query: str, wrong: str) -> None:
    assert wrong in {name for name, _ in asked_for(query)} - series().keys()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_says_how_severe_what_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"].endswith(".")
    page, _, heading = rule["annotations"]["runbook"].partition("#")
    assert (ROOT / page) == TROUBLESHOOTING
    headings = re.findall(r"^## (.*)$", prose_of(TROUBLESHOOTING), re.MULTILINE)
    assert heading in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


def test_promtool_takes_the_rules_where_it_is_installed() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; the queries were looked at by the tests above")
    done = subprocess.run([promtool, "check", "rules", OPS / "alerts.yml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_has_a_title_a_place_and_its_own_number() -> None:
    panels = json.loads(text_of(OPS / "grafana-dashboard.json"))["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


def test_the_page_lists_the_metrics_in_the_order_of_the_list_with_kind_and_labels() -> None:
    listed = re.findall(r"^\| `(shelfwise_\w+)` \| (\w+) \| ([^|]*) \|", text_of(OBSERVABILITY), re.MULTILINE)
    assert [(name, kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in listed] == [
        (metric.name, metric.kind, list(metric.labels)) for metric in METRICS
    ]
    assert re.findall(r"`(process_\w+)`", text_of(OBSERVABILITY)) == list(PROCESS_METRICS)


def test_what_is_exposed_is_what_is_listed(tmp_path: Path) -> None:
    with (
        open_app(tmp_path / "shop.db", folder=tmp_path) as shop,
        TestClient(asgi(shop), base_url="http://localhost") as client,
    ):
        client.get("/nowhere")
        families = {found.name: found for found in text_string_to_metric_families(client.get("/metrics").text)}
    known = {_family(metric): metric for metric in METRICS}
    assert families.keys() - {*PROCESS_METRICS, "process_cpu_seconds"} <= known.keys()
    # What the database knows is there once there is something to know.
    assert {name for name, metric in known.items() if not metric.stored} <= families.keys()
    for name, found in families.items():
        if name in known:
            assert (found.type, found.documentation) == (known[name].kind, known[name].help)


def _family(metric: Metric) -> str:
    return metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name


def test_a_metric_that_is_not_listed_cannot_be_made() -> None:
    described = {family.name for family in Metrics().registry.collect()}
    assert described - {"process_cpu_seconds", *PROCESS_METRICS} <= {_family(metric) for metric in METRICS}


def test_trouble_is_told_by_symptom_command_cause_and_way_out() -> None:
    text = text_of(TROUBLESHOOTING)
    sections = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(TITLES) <= sections.keys()
    for title in TITLES:
        for part in ("**Symptom.**", "**See it.**", "**Causes and ways out.**"):
            assert part in sections[title], title
        assert "```" in sections[title] or "    shelfwise" in sections[title] or "`shelfwise " in sections[title]


def test_every_command_of_the_page_on_trouble_tells_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    named = commands(TROUBLESHOOTING, "shelfwise")
    paths = {tuple(itertools.takewhile(lambda word: re.fullmatch("[a-z]+", word), arguments)) for arguments in named}
    assert paths >= {("doctor",), ("config", "check"), ("serve",), ("jobs", "list"), ("db", "migrate")}
    for path in sorted(paths):
        assert run([*path, "--help"]) == 0, path
        assert f"Usage: shelfwise {' '.join(path)}" in capsys.readouterr().out
    for arguments in named:
        read_arguments(arguments)
