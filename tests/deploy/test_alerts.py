"""The alert rules speak of metrics that there are, with labels that they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from shared.metrics import IntakeMetrics, MatcherMetrics, NotifierMetrics, PlumbingMetrics

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
LABELS = {
    metric._name + ("_total" if metric._type == "counter" else ""): set(metric._labelnames)
    for metrics in (PlumbingMetrics, IntakeMetrics, MatcherMetrics, NotifierMetrics)
    for metric in vars(metrics(CollectorRegistry())).values()
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_uses_metrics_that_there_are_with_labels_that_they_have(rule: dict[str, Any]) -> None:
    used = re.findall(r"\b((?:notifier|intake|matcher|connection)_[a-z_]+)(?:\{([^}]*)\})?", rule["expr"])
    assert used
    for name, selector in used:
        assert name in LABELS
        assert set(re.findall(r"(\w+)\s*=", selector)) <= LABELS[name]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_what_the_mail_can_suffer_has_an_alert() -> None:
    names = {rule["alert"] for rule in RULES}
    assert {"MailStoppedByPolicy", "ManyBounces", "SpamComplaints", "AmbiguousEmails"} <= names


def test_webhooks_that_reach_nobody_have_an_alert_that_says_how_to_go_on() -> None:
    alerts = {rule["alert"]: rule["annotations"]["description"] for rule in RULES}
    assert "--url" in alerts["WebhookGone"]
    assert "replay SOURCE" in alerts["WebhookGone"]
    assert "replay SOURCE" in alerts["WebhooksGivenUp"]


def test_prometheus_reads_them_where_compose_puts_them() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    mounted = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["prometheus"]["volumes"]
    assert config["rule_files"] == ["alerts.yml"]
    assert "./deploy/alerts.yml:/etc/prometheus/alerts.yml:ro" in mounted
