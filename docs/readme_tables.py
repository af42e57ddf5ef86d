"""Writes the tables of the README from the code: settings, metrics and topics.

python docs/readme_tables.py          # put the tables into README.md
python docs/readme_tables.py --check  # exit 1 if they are not as the code has them
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from services.intake.settings import IntakeSettings
from services.matcher.settings import MatcherSettings
from services.notifier.settings import NotifierSettings
from shared.metrics import IntakeMetrics, MatcherMetrics, NotifierMetrics, PlumbingMetrics
from shared.settings import KafkaSettings
from shared.topics import TOPICS

README = Path(__file__).parents[1] / "README.md"


def settings_rows() -> list[str]:
    rows: dict[str, str] = {}
    for settings in (KafkaSettings, IntakeSettings, MatcherSettings, NotifierSettings):
        told = _docstrings(settings)
        for field, info in settings.model_fields.items():
            alias = info.validation_alias if isinstance(info.validation_alias, str) else None
            name = alias or f"{settings.model_config.get('env_prefix', '')}{field}".upper()
            if info.is_required():
                default = "required"
            else:
                value = info.get_default(call_default_factory=True)
                is_told = value not in (None, "", {}) and not isinstance(value, BaseModel)
                default = f"`{value}`" if is_told else "none"
            if field == "words_dir":
                default = "the words that come with it"
            rows.setdefault(name, f"| `{name}` | {default} | {told.get(field, '')} |")
    return list(rows.values())


def metric_rows() -> list[str]:
    rows = []
    for metrics in (PlumbingMetrics, IntakeMetrics, MatcherMetrics, NotifierMetrics):
        for metric in vars(metrics(CollectorRegistry())).values():
            name = metric._name + ("_total" if metric._type == "counter" else "")
            labels = ", ".join(metric._labelnames) or "none"
            rows.append(f"| `{name}` | {labels} | {metric._documentation} |")
    return rows


def topic_rows() -> list[str]:
    rows = []
    for topic in TOPICS.values():
        kept = f"{topic.retention_ms // 86_400_000} days" if topic.retention_ms else "compacted"
        readers = ", ".join(topic.readers)
        rows.append(f"| `{topic.name}` | {topic.key} | {topic.value} | {kept} | {topic.writer} | {readers} |")
    return rows


def with_tables(text: str) -> str:
    """The README with its tables as the code has them."""
    for name, rows in (("SETTINGS", settings_rows()), ("METRICS", metric_rows()), ("TOPICS", topic_rows())):
        heading = r"(\| --- (?:\| --- )+\|\n)"
        begins = {"SETTINGS": r"\| variable [^\n]*\n", "METRICS": r"\| metric [^\n]*\n", "TOPICS": r"\| topic [^\n]*\n"}
        pattern = re.compile(rf"({begins[name]}){heading}(?:\|[^\n]*\n|@{name}@\n)*")
        table = "".join(f"{row}\n" for row in rows)
        text, count = pattern.subn(lambda found, table=table: found[1] + found[2] + table, text)
        assert count == 1, f"the table of {name.lower()} is not in the README, or is there twice"
    return text


def _docstrings(settings: type[BaseSettings]) -> dict[str, str]:
    """What stands below each field, in one line; inherited ones too."""
    told: dict[str, str] = {}
    for parent in reversed(settings.__mro__):
        if not (issubclass(parent, BaseSettings) and parent is not BaseSettings):
            continue
        body: list[Any] = ast.parse(inspect.getsource(parent)).body[0].body  # type: ignore[attr-defined]
        for field, below in zip(body, [*body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                is_told = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                if is_told:
                    told[field.target.id] = " ".join(str(below.value.value).split())
    return told


if __name__ == "__main__":
    found = README.read_text(encoding="utf-8")
    wanted = with_tables(found)
    if "--check" in sys.argv:
        sys.exit(found != wanted)
    README.write_text(wanted, encoding="utf-8")
