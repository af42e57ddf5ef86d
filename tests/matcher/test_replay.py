"""A round is put on record with all that it depended on, and given that, is the same again."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from matcher_people import LONDON, NOW_MS, crowd, seen

from services.matcher.policy import Policy
from services.matcher.replay import (
    ReplayError,
    community_of,
    compare,
    digest_of,
    policy_of,
    reference_for,
    run,
    run_again,
)
from services.matcher.settings import MatcherSettings
from services.matcher.state import MatcherState
from shared import topics
from shared.community import GroupSizes, Relaxation
from shared.contracts import PartnerRequest, PartnerRequestKind, Preference, PreferenceKind, Record, RoundReference

POLICY = Policy(interests_weight=0.7, waiting_gain_per_round=0.05)
ELSEWHERE = LONDON.model_copy(
    update={"relaxation": Relaxation(distance_after_rounds=2), "groups": GroupSizes(wanted=5), "radius_km": 30.0}
)
OPENER_WINDOW_MS = 30 * 24 * 3600 * 1000


def reference(policy: Policy = POLICY, **changes: Any) -> RoundReference:
    facts: dict[str, Any] = {
        "offsets": {"profiles": 120},
        "seed": 5,
        "now_ms": NOW_MS,
        "waiting_round_seconds": 3600.5,
        "opener_window_ms": OPENER_WINDOW_MS,
    }
    return reference_for(ELSEWHERE, policy, **(facts | changes))


def on_topics() -> list[tuple[str, Record]]:
    """What a town of 120 has on its topics after a first round: some have left, some are paused until tomorrow."""
    people = crowd(120, seed=3)
    records: list[tuple[str, Record]] = [(topics.PROFILES.name, person) for person in people]
    for person in people[:6]:
        left = PartnerRequest(
            community="london", member=person.member, kind=PartnerRequestKind.LEFT, requested_at_ms=NOW_MS
        )
        records.append((topics.PARTNER_REQUESTS.name, left))
    for number, person in enumerate(people[6:12]):
        until_ms = NOW_MS + (1 if number % 2 else -1)
        pause = Preference(
            community="london", member=person.member, kind=PreferenceKind.PAUSE, chosen_at_ms=0, until_ms=until_ms
        )
        records.append((topics.PREFERENCES.name, pause))
    seen_first = state_of(records).round_input("london", NOW_MS - 9, opener_window_ms=OPENER_WINDOW_MS)
    _, suggestions = run(ELSEWHERE, seen_first, POLICY, reference(now_ms=NOW_MS - 9))
    assert len(suggestions) > 20
    return records + [(topics.SUGGESTIONS.name, each) for each in suggestions[:20]]


def state_of(records: list[tuple[str, Record]]) -> MatcherState:
    state = MatcherState()
    for topic, record in records:
        state.apply(topic, record.key, record)
    return state


def test_a_round_is_the_same_again_from_what_is_on_record_whatever_was_read_first() -> None:
    records = on_topics()
    seen_then = state_of(records).round_input("london", NOW_MS, opener_window_ms=OPENER_WINDOW_MS)
    _, then = run(ELSEWHERE, seen_then, POLICY, reference())
    assert len(then) > 5
    on_record = RoundReference.model_validate_json(then[0].round.model_dump_json())
    assert on_record.can_be_run_again
    random.Random(1).shuffle(records)
    # The community's file has changed since; what counted then is on record.
    _, now = run_again(state_of(records), LONDON, on_record)
    assert [each.to_bytes() for each in now] == [each.to_bytes() for each in then]


def test_the_moment_the_seed_and_the_policy_all_make_a_difference() -> None:
    state = state_of(on_topics())

    def suggested(reference: RoundReference, policy: Policy = POLICY) -> list[Any]:
        seen_then = state.round_input("london", reference.now_ms, opener_window_ms=reference.opener_window_ms)
        _, found = run(ELSEWHERE, seen_then, policy, reference)
        return [(each.members, each.opener, each.score, each.waited_ms) for each in found]

    as_it_was = suggested(reference())
    assert suggested(reference()) == as_it_was
    assert suggested(reference(now_ms=NOW_MS + 10)) != as_it_was
    assert suggested(reference(waiting_round_seconds=1e9)) != as_it_was
    assert suggested(reference(), Policy(interests_weight=0.1)) != as_it_was


def test_a_reference_gives_the_policy_and_the_community_back() -> None:
    made = reference().model_copy(update={"snapshot": "known"})
    assert made.policy == {"interests_weight": 0.7, "waiting_gain_per_round": 0.05}
    assert policy_of(made) == POLICY
    assert community_of(LONDON, made) == ELSEWHERE


def test_a_state_that_is_not_what_the_round_saw_is_told_from_one_that_is() -> None:
    records = on_topics()
    seen_then = state_of(records).round_input("london", NOW_MS, opener_window_ms=OPENER_WINDOW_MS)
    _, then = run(ELSEWHERE, seen_then, POLICY, reference())
    compacted = [each for each in records if each[1].key != then[0].members[0]]
    with pytest.raises(ReplayError, match="do not hold any more"):
        run_again(state_of(compacted), LONDON, then[0].round)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"snapshot": ""}, "did not put on record"),
        ({"engine": "another/9"}, "run by engine another/9"),
        ({"policy_digest": "other"}, "defaults of the matching policy have changed"),
    ],
)
def test_what_cannot_be_run_again_is_refused_with_the_reason(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ReplayError, match=message):
        policy_of(reference().model_copy(update={"snapshot": "known"} | changes))


def test_the_digest_of_a_snapshot_depends_on_every_part_of_it() -> None:
    people = crowd(20, seed=1)
    ids = [each.member for each in people]
    snapshot = seen(people, history=[tuple(ids[:2])], blocked=[(ids[3], ids[4])])
    the_same = seen(people[::-1], history=[tuple(ids[:2])], blocked=[(ids[4], ids[3])])
    assert digest_of(the_same) == digest_of(snapshot)
    renamed = LONDON.model_copy(update={"name": "Elsewhere"})
    assert digest_of(replace(snapshot, community=renamed)) == digest_of(snapshot)
    others = seen(
        [
            each.model_copy(update={"place": "Elsewhere", "accepted_at_ms": 5, "life_topics": ("widowed",)})
            for each in crowd(21, seed=2)
        ],
        now_ms=NOW_MS + 366 * 24 * 3600 * 1000,
        community=ELSEWHERE,
        opener_load=dict.fromkeys(ids, 1),
        history=[tuple(ids[5:7])],
    )
    for part in fields(snapshot):
        assert digest_of(replace(snapshot, **{part.name: getattr(others, part.name)})) != digest_of(snapshot), part.name
    for name in snapshot.members.dtype.names or ():
        members = snapshot.members.copy()
        members[name] = np.roll(members[name], 1) if len(set(members[name].tolist())) > 1 else members[name] == 0
        assert digest_of(replace(snapshot, members=members)) != digest_of(snapshot), name


def test_what_was_dropped_is_told_from_what_differs() -> None:
    _, then = run(
        ELSEWHERE, state_of(on_topics()).round_input("london", NOW_MS, opener_window_ms=1), POLICY, reference()
    )
    a, b, c, d = then[:4]
    tampered = a.model_copy(update={"opener": None, "slot": "mon-morning"})
    stands = {"s_odd": b"{}", a.suggestion: tampered.to_bytes(), b.suggestion: b.to_bytes()}
    found = compare(stands, [a, b, c, d], gone=[c.members[0], "m_somebody"])
    assert found.same == (b.suggestion,)
    assert set(found.different) == {a.suggestion}
    assert "slot" in found.different[a.suggestion]
    assert (found.only_then, found.only_now, found.dropped) == (("s_odd",), (d.suggestion,), (c.suggestion,))
    assert not found.is_same
    assert compare({b.suggestion: b.to_bytes()}, [b, c], gone=c.members).is_same


def test_what_is_committed_is_ahead_until_it_has_come_back() -> None:
    records = on_topics()
    suggestion = next(record for topic, record in records if topic == topics.SUGGESTIONS.name)
    state = state_of([each for each in records if each[0] != topics.SUGGESTIONS.name])
    london = state.communities["london"]
    state.apply_ahead(suggestion)  # type: ignore[arg-type]
    assert london.ahead == {suggestion.key}
    assert not london.free.intersection(suggestion.members)  # type: ignore[attr-defined]
    state.apply(topics.SUGGESTIONS.name, suggestion.key, suggestion)
    assert not london.ahead
    state.apply_ahead(suggestion)  # type: ignore[arg-type]  # the topic was quicker than the commit's answer
    assert not london.ahead


def test_the_policy_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MatcherSettings().policy == Policy()
    monkeypatch.setenv("MATCHER_POLICY", '{"interests_weight": 0.6, "opener_load_max": 2}')
    assert MatcherSettings().policy == Policy(interests_weight=0.6, opener_load_max=2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("interests: 1", "must be a JSON object such as"),
        ("[1]", "must be a JSON object such as"),
        ('{"interests_weight": 2}', "less than or equal to 1"),
        ('{"interest_weight": 1}', "interest_weight"),
        ('{"interests_weight": 0, "openness_weight": 0, "practical_weight": 0}', "must be above 0"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATCHER_POLICY", value)
    with pytest.raises(ValueError, match="policy") as refused:
        MatcherSettings()
    assert message in str(refused.value)
