"""Ids as others see them: another for each reader and use, the same before and after the link secret is replaced."""

from __future__ import annotations

from typing import Any

import pytest
from arc_samples import Story
from icalendar import Calendar
from notifier_samples import MEMBERS, NOW, PAIR
from pydantic import SecretStr, ValidationError

from services.notifier.calendars import calendar_entry
from services.notifier.settings import NotifierSecrets
from services.notifier.shown_ids import ShownIds
from shared import ids

FIRST, SECOND, THIRD = (SecretStr(f"the {which} secret of the tests") for which in ("first", "second", "third"))


def uid(secrets: NotifierSecrets) -> str:
    raw = calendar_entry(
        Story(PAIR).come_together().introduction, summary="x", description="x", location="x",
        shown_ids=ShownIds(secrets.lasting_secret()), domain="example.org", zone="Europe/London", every_weeks=2,
        stamped_at_ms=NOW,
    )  # fmt: skip
    (event,) = Calendar.from_ical(raw).walk("VEVENT")
    return str(event["UID"])


def test_a_calendar_knows_a_date_again_after_the_link_secret_was_replaced() -> None:
    before = NotifierSecrets(link_secret=FIRST)
    once = NotifierSecrets(link_secret=SECOND, former_link_secrets=(FIRST,), id_secret=FIRST)
    twice = NotifierSecrets(link_secret=THIRD, former_link_secrets=(SECOND, FIRST), id_secret=FIRST)
    assert uid(before) == uid(once) == uid(twice)
    assert uid(before) != uid(NotifierSecrets(link_secret=SECOND)), "or it would not be keyed"
    # And so does a suppression know an address.
    assert len({ids.address_id("amara@example.org", one.lasting_secret()) for one in (before, once, twice)}) == 1


def test_ids_do_not_change_from_release_to_release() -> None:
    # They lie in people's calendars: this value is for ever.
    assert (
        ShownIds(FIRST.get_secret_value()).calendar("s_1", 0, "example.org")
        == "d_dlz5ouq2b47ph36aanwxnldcrm@example.org"
    )


def test_each_reader_and_each_use_has_its_own() -> None:
    shown = ShownIds(FIRST.get_secret_value())
    seen = [shown.for_member(member, PAIR.suggestion) for member in MEMBERS]
    assert len({*seen, PAIR.suggestion}) == len(MEMBERS) + 1, "two who compare cannot see that they were proposed"
    assert shown.for_member(MEMBERS[0], PAIR.suggestion) == seen[0]
    assert shown.boundary(PAIR.suggestion)[2:] not in str([*seen, shown.calendar(PAIR.suggestion, 0, "x")])


def test_within_a_document_the_same_thing_has_the_same_id_and_words_stay_words() -> None:
    told: Any = {"a": [PAIR.suggestion, {"b": (PAIR.suggestion, MEMBERS[1])}], "words": f"I am {MEMBERS[0]}", "n": 1}
    shown = ShownIds(FIRST.get_secret_value()).for_member(MEMBERS[0], told)
    assert shown["a"][0] == shown["a"][1]["b"][0] != PAIR.suggestion
    assert shown["a"][0].startswith("i_")
    assert shown["a"][1]["b"][1].startswith("p_")
    assert (shown["words"], shown["n"]) == (told["words"], 1)


def test_who_replaces_the_link_secret_is_told_what_else_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_LINK_SECRET", SECOND.get_secret_value())
    monkeypatch.setenv("NOTIFIER_FORMER_LINK_SECRETS", f'["{FIRST.get_secret_value()}"]')
    with pytest.raises(ValidationError, match="NOTIFIER_ID_SECRET must be set"):
        NotifierSecrets()
    monkeypatch.setenv("NOTIFIER_ID_SECRET", FIRST.get_secret_value())
    secrets = NotifierSecrets()
    assert (secrets.links_secret(), secrets.former_secrets(), secrets.lasting_secret()) == (
        SECOND.get_secret_value(), (FIRST.get_secret_value(),), FIRST.get_secret_value(),
    )  # fmt: skip
    monkeypatch.setenv("NOTIFIER_ID_SECRET", "short")
    with pytest.raises(ValidationError, match="at least 16"):
        NotifierSecrets()
