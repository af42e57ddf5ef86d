"""No secret is in the text of what holds it, nor in an error about it: texts end up in logs."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings

import connection
import connection_client
import services
import shared
from connection_client.talking import Talk
from services.intake.settings import IntakeSettings
from services.matcher.settings import MatcherSettings
from services.notifier.parts import smtp_server
from services.notifier.settings import NotifierSecrets, NotifierSettings
from services.notifier.smtp import SmtpServer
from shared.contracts import ContactKey, Partner
from shared.settings import ContactsSettings, KafkaSettings

CANARY = "canary-secret-that-nobody-may-read"
_IN_BASE64 = "Y2FuYXJ5LXNlY3JldC1vZi0zMi1ieXRlcy1hbHRvZ2U="
CANARIES = (CANARY, _IN_BASE64)
SECRETS: dict[str, str] = {
    "KAFKA_SASL_PASSWORD": CANARY,
    "CONTACTS_KEYS": json.dumps({"k1": _IN_BASE64}),
    "INTAKE_API_KEYS": json.dumps({"book-app": CANARY}),
    "NOTIFIER_LINK_SECRET": CANARY,
    "NOTIFIER_FORMER_LINK_SECRETS": json.dumps([CANARY]),
    "NOTIFIER_ID_SECRET": CANARY,
    "SMTP_PASSWORD": CANARY,
}
WRONG: dict[str, str] = {
    "KAFKA_PARTITIONS": "none",
    "INTAKE_BODY_BYTES_MAX": "none",
    "MATCHER_SEED": "none",
    "NOTIFIER_HTTP_PORT": "none",
    # Secrets that are wrong themselves: too short, of the wrong type, no key.
    "NOTIFIER_LINK_SECRET": "canary-short",
    "CONTACTS_KEYS": json.dumps({"k1": CANARY}),
    "INTAKE_API_KEYS": json.dumps({"book-app": [CANARY]}),
    "NOTIFIER_FORMER_LINK_SECRETS": json.dumps([CANARY, {"a": CANARY}]),
}
SETTINGS: tuple[type[BaseSettings], ...] = (
    KafkaSettings, ContactsSettings, IntakeSettings, MatcherSettings, NotifierSecrets, NotifierSettings,
)  # fmt: skip


def shows_nothing(*texts: str) -> None:
    for text in texts:
        assert text
        assert "canary" not in text.lower()
        assert _IN_BASE64 not in text


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_do_not_show_their_secrets(settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    made = settings()
    shows_nothing(repr(made), str(made), str(made.model_dump()), made.model_dump_json())
    held = [value for value in (getattr(made, name) for name in type(made).model_fields) if "Secret" in repr(value)]
    assert bool(held) == (settings is not MatcherSettings), "or there was nothing to show"


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_about_settings_does_not_show_them(
    settings: type[BaseSettings], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (SECRETS | {wrong: WRONG[wrong]}).items():
        monkeypatch.setenv(name, value)
    try:
        settings()
    except ValidationError as error:
        shows_nothing(str(error), repr(error), str(error.errors(include_input=False, include_url=False)))


def test_what_is_no_json_stops_a_service_with_a_line_that_names_the_setting_and_no_more() -> None:
    environment = os.environ | SECRETS | {"NOTIFIER_FORMER_LINK_SECRETS": f'["{CANARY}'}
    answer = subprocess.run(
        [sys.executable, "-m", "connection", "notifier"],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "NOTIFIER_FORMER_LINK_SECRETS" in answer.stderr
    shows_nothing(answer.stderr)


def test_each_wrong_setting_is_an_error_of_somebodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would look at nothing."""
    for wrong, value in WRONG.items():
        with monkeypatch.context() as context:
            for name, right in (SECRETS | {wrong: value}).items():
                context.setenv(name, right)
            refused = 0
            for settings in SETTINGS:
                try:
                    settings()
                except ValidationError:
                    refused += 1
        assert refused, wrong


def test_what_is_made_of_settings_and_lies_on_topics_does_not_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    partner = Partner(source="book-app", webhook_id_key=CANARY, signing_secrets=(CANARY,))
    key = ContactKey(community="london", member="m_1", data_key="d", master_key="k1", wrapped=CANARY)
    smtp, talk = smtp_server(NotifierSettings()), Talk(CANARY, CANARY)
    assert isinstance(smtp, SmtpServer)
    assert (smtp.password, talk.key) == (CANARY, CANARY)
    for holder in (partner, key, smtp, talk):
        shows_nothing(repr(holder), str(holder))
    for model, told in (
        (Partner, {"signing_secrets": [CANARY, 1, CANARY]}),
        (ContactKey, {"wrapped": {"a": CANARY}}),
    ):
        with pytest.raises(ValidationError) as caught:
            model.model_validate_json(json.dumps(told))
        shows_nothing(str(caught.value), repr(caught.value))


_SECRET = re.compile(
    r"secret|password|(^|_)token$|^wrapped$|api_keys?$|(webhook_id|signing|_mac|master|contacts)_keys?$"
)
_NO_SECRETS = {
    ("ContactKey", "master_key"),  # the name of one
    ("PartnerKey", "sha256"),
}


def fields() -> Iterator[tuple[str, str, Any, bool]]:
    """Of every dataclass and model of ours: its name, and each field with its type and whether its text shows it."""
    for package in (services, shared, connection, connection_client):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for kind in vars(importlib.import_module(module.name)).values():
                if not isinstance(kind, type) or kind.__module__ != module.name:
                    continue
                if dataclasses.is_dataclass(kind):
                    yield from ((kind.__name__, one.name, one.type, one.repr) for one in dataclasses.fields(kind))
                elif issubclass(kind, BaseModel):
                    for name, info in kind.model_fields.items():
                        yield kind.__name__, name, info.annotation, info.repr


def test_every_field_that_is_called_like_a_secret_is_hidden() -> None:
    every = list(fields())
    called_so = [one for one in every if _SECRET.search(one[1]) and (one[0], one[1]) not in _NO_SECRETS]
    assert {("NotifierSecrets", "link_secret"), ("SmtpServer", "password"), ("Partner", "signing_secrets")} <= {
        (holder, name) for holder, name, _, _ in called_so
    }
    shown = [f"{holder}.{name}" for holder, name, kind, shows in called_so if shows and "Secret" not in str(kind)]
    assert shown == []
