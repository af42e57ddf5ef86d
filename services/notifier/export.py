"""Everything that is stored about a member, as one JSON document that a person can read. Pure.

One shape for the link in an email and for `connection export`. Topic by topic: each has a
section here, or a reason why it has none, and a test sees to it that no topic is forgotten.

It is the member's own side of things. Of others it tells nothing that they have not told
the member: no name, no id, no answer, no report. Who blocks or reports somebody does it in
confidence, and a no is never attributed; so an introduction that did not come together
looks the same here whoever said no, and until the time for answers is over it looks open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.notifier.shown_ids import ShownIds
from shared import topics
from shared.contracts import (
    Bounce,
    Delivery,
    DeliveryState,
    Introduction,
    IntroductionState,
    MailOrder,
    PartnerPreference,
    Preference,
    Profile,
    Record,
    Suggestion,
    Suppression,
    WebhookDelivery,
)
from shared.contracts.erasure import asks_for_erasure
from shared.topics import TopicSpec

FORMAT = "london-connection-export/1"
_DAY_MS = 24 * 3600 * 1000
_SOMEBODY = "somebody you were introduced to"


class Found(NamedTuple):
    """A record about a member, in the clear."""

    topic: str
    record: Record


@dataclass(frozen=True, slots=True)
class Section:
    """What of one topic is told."""

    topic: TopicSpec
    name: str
    what_it_is: str
    tell: Callable[[str, Any, int], dict[str, Any] | None]
    """Of a member, a record, and the time now: what the file says. None if it is not about them."""


def export(member: str, found: Sequence[Found], now_ms: int, shown_ids: ShownIds) -> dict[str, Any]:
    """The document, as plain values for JSON. Times are ISO 8601, UTC.

    `found` may hold records about others: they are left out. Ids are as this member is to see them.
    """
    about = {
        "format": FORMAT,
        "made_at": _time(now_ms),
        "you_are_known_as": shown_ids.for_member(member, member),
        "what_this_is": (
            "Everything that London Connection stores about you. Each part says what it is, and how long it is "
            "kept. Other people's names, answers and reports are theirs, and not in it."
        ),
    }
    if any(asks_for_erasure(record) and getattr(record, "member", None) == member for _, record in found):
        return {
            "about_this_file": about,
            "erased": True,
            "what_that_means": (
                "You were erased, as was asked. All that is kept is that it was asked, under an id that tells nobody "
                "who you are, so that nothing about you is taken in again by mistake; what is not yet overwritten "
                "on our disks is gone within days."
            ),
        }
    document: dict[str, Any] = {"about_this_file": about, "erased": False, "came_from": _came_from(member, found)}
    for section in SECTIONS:
        told = [
            entry
            for topic, record in found
            if topic == section.topic.name and (entry := section.tell(member, record, now_ms)) is not None
        ]
        document[section.name] = {
            "what_it_is": section.what_it_is,
            "kept": _kept(section.topic),
            "entries": shown_ids.for_member(member, told),
        }
    document["not_in_this_file"] = dict(NOT_EXPORTED)
    return document


def _came_from(member: str, found: Sequence[Found]) -> str | None:
    """The app that signed them up."""
    for _, record in found:
        if isinstance(record, Profile) and record.member == member:
            return record.partner
    return None


def _kept(topic: TopicSpec) -> str:
    if topic.retention_ms is not None:
        return f"for {topic.retention_ms // _DAY_MS} days"
    return "until it is replaced by a newer one, or you leave or ask to be erased"


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


# What each topic tells


def _own(record: Record, member: str, *left_out: str) -> dict[str, Any] | None:
    """A record that is the member's alone, field by field; times in its fields become dates."""
    if getattr(record, "member", None) != member:
        return None
    told: dict[str, Any] = {}
    for name, value in record.model_dump(mode="json", exclude={"member", *left_out}).items():
        if name.endswith("_ms"):
            told[name.removesuffix("_ms")] = _time(value)
        else:
            told[name] = value
    return told


def _whole(member: str, record: Record, now_ms: int) -> dict[str, Any] | None:
    """Where all of a record is the member's own."""
    return _own(record, member)


def _preference(member: str, record: Preference | PartnerPreference, now_ms: int) -> dict[str, Any] | None:
    told = _own(record, member, "about")
    if told is not None and record.about is not None:
        told["about"] = _SOMEBODY if isinstance(record, Preference) else "another member of the same app"
    return told


def _suggestion(member: str, record: Suggestion, now_ms: int) -> dict[str, Any] | None:
    if member not in record.members:
        return None
    # How well they fit, who waited longest, and how far somebody has to travel tell about the others.
    return {
        "suggestion": record.suggestion,
        "suggested_at": _time(record.suggested_at_ms),
        "kind": record.kind.value,
        "of_how_many": len(record.members),
        "because_you_all_share": [
            *([record.anchor.word] if record.anchor.word else []),
            *(word for word in record.shared_interests if word != record.anchor.word),
        ],
        "place": record.place.name,
        "when_you_are_all_free": record.slot,
        "you_would_be_asked_to_go_first": record.opener == member,
        "how_it_is_decided": (
            "By a program: it weighs what people share, how open they say they are, how near they live, when they are "
            "free, and how long they have waited. It decides nothing but whom to ask."
        ),
    }


def _introduction(member: str, record: Introduction, now_ms: int) -> dict[str, Any] | None:
    if member not in record.everybody:
        return None
    acquainted = member in record.introduced or member in record.joined
    told: dict[str, Any] = {
        "introduction": record.introduction,
        "proposed_at": _time(record.proposed_at_ms),
        "answer_by": _time(record.answer_by_ms),
        "suggested": _suggestion(member, record.suggestion, now_ms),
        "state": record.state.value,
        "your_answer": "yes" if member in record.said_yes else "no, or out of it" if member in record.said_no else None,
    }
    if not acquainted:
        # Whatever the others said, it looks like their silence: in words, and in time.
        told["state"] = IntroductionState.PROPOSED.value if now_ms < record.answer_by_ms else "did not come together"
        return told
    here = member in record.present
    told |= {
        "introduced_at": _time(record.introduced_at_ms),
        "you_are_still_in_it": here and record.is_open,
        "you_were_asked_to_go_first": record.opener == member,
        "standing_since": _time(record.standing_since_ms) if here else None,
        "ended_at": _time(record.closed_at_ms),
    }
    meeting = record.meeting
    if meeting is not None and member in meeting.invited:
        said = [
            word
            for word, those in (
                ("met", meeting.met), ("not-met", meeting.not_met), ("again", meeting.again),
                ("not-again", meeting.not_again), ("deeper", meeting.deeper), ("shallow", meeting.shallow),
            )
            if member in those
        ]  # fmt: skip
        told["date"] = {
            "starts_at": _time(meeting.starts_at_ms),
            "ends_at": _time(meeting.ends_at_ms),
            "which_one": meeting.number,
            "what_you_told_us_about_it": said,
        }
    return told


def _delivery(member: str, record: Delivery, now_ms: int) -> dict[str, Any] | None:
    # Why an email was withheld can be somebody else's doing.
    left_out = () if record.state in (DeliveryState.FAILED, DeliveryState.BOUNCED) else ("reason",)
    return _own(record, member, *left_out)


def _bounce(member: str, record: Bounce, now_ms: int) -> dict[str, Any]:
    return {
        "email": record.email,
        "kind": record.kind.value,
        "status": record.status,
        "received_at": _time(record.received_at_ms),
    }


def _suppression(member: str, record: Suppression, now_ms: int) -> dict[str, Any]:
    return {
        "address_as_a_keyed_hash": record.address,
        "reason": record.reason.value,
        "status": record.status,
        "since": _time(record.since_ms),
    }


def _order(member: str, record: MailOrder, now_ms: int) -> dict[str, Any] | None:
    if not record.address:
        return None
    return {"kind": record.kind.value, "note": record.note, "given_at": _time(record.given_at_ms)}


def _webhook(member: str, record: WebhookDelivery, now_ms: int) -> dict[str, Any] | None:
    if record.member != member:
        return None
    return {"type": record.type.value, "told": record.data, "at": _time(record.occurred_at_ms)}


SECTIONS: tuple[Section, ...] = (
    Section(topics.CONTACTS, "how_we_reach_you", "Your name, address and own words, and your consent.", _whole),
    Section(
        topics.PROFILES, "what_matching_knows",
        "What people are found for you by; it is kept apart from your name and address. The place is exact to some "
        "500 metres. Openness is rated 1 (not at all) to 5 (fully).", _whole,
    ),
    Section(topics.PREFERENCES, "what_you_told_us", "What you chose on our pages, and what lasts.", _preference),
    Section(
        topics.PARTNER_PREFERENCES, "what_you_told_your_app", "What you chose in the app you came from.", _preference
    ),
    Section(topics.PARTNER_REQUESTS, "what_your_app_asked_for", "That you left, if your app has told us.", _whole),
    Section(topics.SUGGESTIONS, "suggestions", "Whom a program thought you might like to meet, and why.", _suggestion),
    Section(topics.INTRODUCTIONS, "introductions", "Your introductions, as far as they are yours.", _introduction),
    Section(topics.CHOICES, "your_answers", "The buttons you pressed within an introduction.", _whole),
    Section(topics.OUTBOX, "emails_planned", "Emails that we meant to write to you.", _whole),
    Section(topics.DELIVERIES, "emails", "What became of them. The address is a keyed hash here.", _delivery),
    Section(topics.BOUNCES, "emails_that_came_back", "Reports of mail servers about emails to you.", _bounce),
    Section(topics.SUPPRESSIONS, "addresses_not_written_to", "Your address, hashed, if mail fails.", _suppression),
    Section(topics.UNREACHABLE, "not_to_be_reached", "That mail to you fails: you are not suggested.", _whole),
    Section(topics.MAIL_ORDERS, "orders_of_operators", "That your address may be written to again.", _order),
    Section(topics.REFERENCES, "what_your_app_calls_you", "By which reference your app knows you.", _whole),
    Section(topics.WEBHOOK_DELIVERIES, "what_your_app_was_told", "What your app hears of you from us.", _webhook),
    Section(topics.ERASURE_ORDERS, "erasure_ordered", "That an operator was asked to have you forgotten.", _whole),
    Section(topics.ERASURES, "forgotten_by", "Which of our services has forgotten you.", _whole),
)  # fmt: skip
"""What is told of which topic, in the order of the document."""

NOT_EXPORTED: Mapping[str, str] = {
    topics.CONTACT_KEYS.name: "The random key that opens your contact, where contacts are encrypted. It says nothing.",
    topics.WEBHOOK_ORDERS.name: "That an operator had something told to an app again. Nothing about members.",
    topics.PARTNERS.name: "Which apps may send to us. Nothing about members.",
    topics.CLAIMS.name: "Hashes by which an event is known if it comes twice, for 3 days. Nobody can read you in them.",
    topics.REVIEW_ORDERS.name: (
        "Whether a person here looks at your account because of what others told us: the page of your data says so "
        "after 72 hours, and whom to write to. Who told us, we tell nobody."
    ),
    topics.SIGNUPS.name: (
        "What your app sent through Kafka, as it sent it, for 5 days: what is used of it is in this file. "
        "Your app can tell you what it sent."
    ),
    topics.DEAD_LETTERS.name: (
        "Messages that could not be used, for 5 days, for operators to mend. They are not sorted by person: an "
        "operator looks for yours if you ask."
    ),
}
"""Topics that have no part in the document, each with the reason that the document gives."""
