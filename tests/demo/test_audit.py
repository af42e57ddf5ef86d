"""The auditor finds each kind of breach, and nothing where everything went well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.audit import DUPLICATES, Auditor, Breach, Summary
from shared.contracts import (
    Anchor,
    ClosingReason,
    Contact,
    Delivery,
    DeliveryState,
    Email,
    EmailKind,
    Introduction,
    IntroductionState,
    MeetingPlace,
    Openness,
    Profile,
    Record,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)
from shared.ids import email_id

PAIR = ("amara", "kofi")


def profile(member: str) -> Profile:
    return Profile(
        community="london", member=member, partner="demo-app", birth_year=1991, languages=("en",), place="Hackney",
        latitude=51.5, longitude=-0.1, travel_km=5, interests=("books",), available=("mon-evening",),
        openness=Openness(shares=3, listens=3, goes_first=4, depth=3), looking_for=("friend",), accepted_at_ms=1,
    )  # fmt: skip


def contact(member: str) -> Contact:
    return Contact(
        community="london", member=member, first_name=member.title(), email=f"{member}@inbox.example",
        locale="en-GB", consent_wording="2026-11", accepted_at_ms=1,
    )  # fmt: skip


def suggestion(id_: str = "s1", members: tuple[str, ...] = PAIR) -> Suggestion:
    return Suggestion(
        community="london", suggestion=id_, members=members, opener=members[0], shared_interests=("books",),
        kind=SuggestionKind.PAIR if len(members) == 2 else SuggestionKind.GROUP, slot="mon-evening",
        anchor=Anchor(kind="interest", word="books"), reasons=(), waited_ms=0, suggested_at_ms=5, weights={},
        place=MeetingPlace(name="Hackney", latitude=51.5, longitude=-0.1, farthest_km=1),
        score=ScoreParts(interests=1, openness=1, practical=1, total=1),
        round=RoundReference(round="r1", seed=1, engine="test", offsets={}),
    )  # fmt: skip


def introduction(of: Suggestion, state: IntroductionState = IntroductionState.PROPOSED, **more: object) -> Introduction:
    fields = {
        "community": "london", "introduction": of.suggestion, "suggestion": of, "state": state,
        "proposed_at_ms": 10, "answer_by_ms": 99, **more,
    }  # fmt: skip
    return Introduction.model_validate(fields)


def email(of: str, member: str, kind: EmailKind) -> Email:
    return Email(
        community="london", email=email_id(of, member, kind), introduction=of, member=member, kind=kind,
        planned_at_ms=10,
    )  # fmt: skip


def delivery(mail: Email, state: DeliveryState = DeliveryState.SENT) -> Delivery:
    return Delivery(
        community="london", email=mail.email, introduction=mail.introduction, member=mail.member, kind=mail.kind,
        state=state, attempts=1, message_id=f"<{mail.email}@london>", recorded_at_ms=11,
    )  # fmt: skip


class Story:
    """Two people are introduced and everything goes well; a test then changes one thing."""

    def __init__(self) -> None:
        self.accepted = list(PAIR)
        self.records: list[Record] = [profile(member) for member in PAIR] + [contact(member) for member in PAIR]
        self.inbox: list[tuple[str, str]] = []
        suggested = suggestion()
        self.records += [
            suggested,
            introduction(suggested),
            introduction(suggested, said_yes=("amara",)),
            introduction(
                suggested, IntroductionState.INTRODUCED, said_yes=PAIR, introduced=PAIR, present=PAIR,
                introduced_at_ms=20,
            ),
        ]  # fmt: skip
        for kind in (EmailKind.INVITATION, EmailKind.INTRODUCTION):
            for member in PAIR:
                mail = email("s1", member, kind)
                sent = delivery(mail)
                self.records += [mail, sent.model_copy(update={"state": DeliveryState.SENDING}), sent]
                self.inbox.append((sent.message_id.strip("<>"), f"{member}@inbox.example"))

    def without(self, unwanted: Callable[[Record], bool]) -> None:
        kept = [record for record in self.records if not unwanted(record)]
        assert kept != self.records
        self.records = kept

    def audited(self) -> Auditor:
        auditor = Auditor()
        for member in self.accepted:
            auditor.signed_up(member)
        for record in self.records:
            auditor.observe(record)
        for message_id, recipient in self.inbox:
            auditor.received(message_id, recipient)
        return auditor

    def breaches(self) -> list[Breach]:
        return [violation.breach for violation in self.audited().violations()]


def test_where_all_went_well_nothing_is_found() -> None:
    auditor = Story().audited()
    assert auditor.violations() == []
    assert auditor.unsettled().is_settled
    assert auditor.summary() == Summary(
        signed_up=2,
        suggested=2,
        invited=2,
        accepted=2,
        introduced=2,
        met=0,
        met_again=0,
        standing=0,
        emails=4,
        lost=0,
        duplicated=0,
    )


def _is_last_delivery(record: Record) -> bool:
    return isinstance(record, Delivery) and record.state is DeliveryState.SENT and record.member == "amara"


LOST: dict[Breach, Callable[[Story], None]] = {
    Breach.NO_PROFILE: lambda story: story.without(
        lambda record: isinstance(record, Profile) and record.member == "kofi"
    ),
    Breach.NO_CONTACT: lambda story: story.accepted.append("forgotten"),
    Breach.NOT_PROPOSED: lambda story: story.records.append(suggestion("s2", ("ines", "leila"))),
    Breach.NOT_PLANNED: lambda story: story.without(
        lambda record: isinstance(record, Email | Delivery) and record.key == email_id("s1", "kofi", "introduction")
    ),
    Breach.NOT_FINAL: lambda story: story.without(_is_last_delivery),
    Breach.FAILED: lambda story: story.records.append(
        delivery(email("s1", "amara", EmailKind.CLOSING), DeliveryState.FAILED)
    ),
    Breach.NOT_IN_MAILBOX: lambda story: story.inbox.pop() and None,
    Breach.NOT_RECORDED: lambda story: story.inbox.append(("from-nowhere@london", "kofi@inbox.example")),
    Breach.MISDIRECTED: lambda story: story.inbox.append((story.inbox.pop()[0], "amara@inbox.example")),
    Breach.SENT_TWICE: lambda story: story.inbox.append(story.inbox[0]),
    Breach.SUGGESTED_TWICE: lambda story: story.records.append(suggestion("s2", ("amara", "ines", "kofi"))),
    Breach.ENGAGED_TWICE: lambda story: story.records.append(introduction(suggestion("s2", ("amara", "ines")))),
}  # fmt: skip


@pytest.mark.parametrize("breach", list(Breach))
def test_each_breach_is_found_and_counted(breach: Breach) -> None:
    story = Story()
    LOST[breach](story)
    assert breach in story.breaches()
    summary = story.audited().summary()
    assert (summary.duplicated if breach in DUPLICATES else summary.lost) > 0


def test_who_said_no_may_be_in_another_introduction_at_once() -> None:
    first, second = suggestion("s2", ("ines", "leila")), suggestion("s3", ("ines", "noor"))
    auditor = Auditor()
    auditor.observe(introduction(first))
    auditor.observe(introduction(first, said_no=("ines",)))
    auditor.observe(introduction(second))
    assert Breach.ENGAGED_TWICE not in [violation.breach for violation in auditor.violations()]


def test_that_somebody_was_engaged_twice_is_remembered_when_it_is_over() -> None:
    first, second = suggestion("s2", ("ines", "leila")), suggestion("s3", ("ines", "noor"))
    auditor = Auditor()
    for observed in (introduction(first), introduction(second)):
        auditor.observe(observed)
    for closed in (first, second):
        auditor.observe(
            introduction(closed, IntroductionState.CLOSED, closed_at_ms=50, closing_reason=ClosingReason.EXPIRED)
        )
    found = [violation for violation in auditor.violations() if violation.breach is Breach.ENGAGED_TWICE]
    assert [violation.ids for violation in found] == [("ines", "s2", "s3")]


def test_who_is_suggested_again_after_it_closed_was_engaged_once() -> None:
    first, second = suggestion("s2", ("ines", "leila")), suggestion("s3", ("ines", "noor"))
    auditor = Auditor()
    auditor.observe(introduction(first))
    auditor.observe(
        introduction(first, IntroductionState.CLOSED, closed_at_ms=50, closing_reason=ClosingReason.DECLINED)
    )
    auditor.observe(introduction(second))
    assert Breach.ENGAGED_TWICE not in [violation.breach for violation in auditor.violations()]


def test_what_is_under_way_is_unsettled_until_it_has_arrived() -> None:
    story = Story()
    story.inbox.clear()
    assert story.audited().unsettled().emails == 4
    auditor = Auditor()
    auditor.signed_up("amara")
    auditor.observe(suggestion())
    assert auditor.unsettled().members == 1
    assert auditor.unsettled().suggestions == 1
    auditor.observe(introduction(suggestion()))
    unsettled = auditor.unsettled()
    assert (unsettled.suggestions, unsettled.proposals, unsettled.emails) == (0, 1, 2)
    assert not unsettled.is_settled
    assert replace(unsettled, members=0, proposals=0, emails=0).is_settled


def test_violations_hold_no_address() -> None:
    story = Story()
    story.inbox.append((story.inbox.pop()[0], "stranger@inbox.example"))
    assert "@inbox.example" not in " ".join(str(violation) for violation in story.audited().violations())


@given(st.randoms(use_true_random=False))
def test_facts_may_be_told_twice_and_topics_mixed_in_any_way(random: object) -> None:
    story = Story()
    topics: dict[type[Record], list[Record]] = {}
    for record in story.records:
        topics.setdefault(type(record), []).extend([record, record])
    # Interleaved at random, but each topic keeps its own order.
    order = [kind for kind, records in topics.items() for _ in records]
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    story.records = [topics[kind].pop(0) for kind in order]
    auditor = story.audited()
    assert auditor.violations() == []
    assert auditor.summary().introduced == 2
