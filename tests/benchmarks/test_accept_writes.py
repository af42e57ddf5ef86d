"""What intake writes straight as JSON is what the contracts would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.bare_app import CONTACT_BYTES, PROFILE_BYTES
from demo.london import SOURCE, synthesize
from services.intake.accept import Accepted, Desk
from services.intake.gazetteer import load_gazetteers
from shared.community import load_communities
from shared.contracts import Contact, Profile
from shared.topics import CONTACTS, PROFILES

NOW_MS = 1_790_000_000_000


@pytest.fixture(scope="module")
def desk() -> Desk:
    communities = load_communities(Path(__file__).parents[2] / "communities")
    return Desk(communities, load_gazetteers(communities), frozenset({SOURCE}))


def written(desk: Desk, event: dict[str, Any]) -> tuple[bytes, bytes]:
    decision = desk.accept(orjson.dumps(event), partner=SOURCE, now_ms=NOW_MS)
    assert isinstance(decision, Accepted)
    contact, profile = decision.records
    assert (contact.topic, profile.topic) == (CONTACTS.name, PROFILES.name)
    assert contact.key == profile.key == decision.member
    assert contact.value is not None
    assert profile.value is not None
    return contact.value, profile.value


def test_what_intake_writes_is_what_the_models_write_byte_for_byte(desk: Desk) -> None:
    for event in synthesize(200, 5):
        contact, profile = written(desk, event)
        assert contact == Contact.model_validate_json(contact).to_bytes()
        assert profile == Profile.model_validate_json(profile).to_bytes()


def test_every_field_of_the_contracts_is_written(desk: Desk) -> None:
    contact, profile = written(desk, synthesize(1, 5)[0])
    # A time zone is only told where there is one; when they consented always is, though old records do not say.
    always = [name for name in Contact.model_fields if name != "time_zone"]
    assert list(orjson.loads(contact)) == always
    assert list(orjson.loads(profile)) == [*Profile.model_fields]


def test_letters_of_all_kinds_and_coordinates_are_written_as_the_models_write_them(desk: Desk) -> None:
    event = synthesize(1, 5)[0]
    event["data"] |= {
        "first_name": "Žofie 🌻",
        "own_words": 'Quotes " and \\ and \u2028, and a tab\t',
        "place": {"latitude": 51.5, "longitude": -0.1000001},
        "travel_km": 7,
        "interests": ["Ghanaian cooking", "Fußball", "crêpes"],
    }
    contact, profile = written(desk, event)
    assert contact == Contact.model_validate_json(contact).to_bytes()
    assert profile == Profile.model_validate_json(profile).to_bytes()


def test_the_bare_app_sends_records_of_the_size_that_people_take(desk: Desk) -> None:
    sizes = [tuple(map(len, written(desk, event))) for event in synthesize(500, 1)]
    contact, profile = (sum(size[place] for size in sizes) / len(sizes) for place in (0, 1))
    assert contact == pytest.approx(CONTACT_BYTES, rel=0.1)
    assert profile == pytest.approx(PROFILE_BYTES, rel=0.1)
