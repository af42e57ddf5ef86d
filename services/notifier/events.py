"""What can happen to an introduction, and what comes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from shared import ids
from shared.contracts import ChoiceKind, Email, EmailKind, Introduction, Suggestion


@dataclass(frozen=True, slots=True)
class Proposed:
    """The matcher suggests these people to each other."""

    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class Answered:
    """A member pressed yes or no."""

    member: str
    kind: ChoiceKind


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A member is out: left, paused, unsubscribed, erased, has blocked one of the others, or is not to be reached.

    Before the introduction it counts as a no.
    """

    member: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A member said yes, and must be introduced to nobody new here: they, or one of the group, are held for review.

    To everybody it is silence; to them it falls through in the end, like any other.
    """

    member: str


@dataclass(frozen=True, slots=True)
class NeverTold:
    """Somebody went away before the first email of an introduction was sent, so none was: nobody knows of anybody."""


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """A member told how a date was: one of the answers to met, again and depth."""

    member: str
    occasion: int
    kind: ChoiceKind


@dataclass(frozen=True, slots=True)
class OfferedToOpen:
    """A member would be happy to go first."""

    member: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The newcomer and the group said yes to a free seat."""

    newcomer: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened but time. Worth sending from `next_due_ms` on; harmless before."""


Event = Proposed | Answered | Withdrawn | SetAside | NeverTold | CheckedIn | OfferedToOpen | Joined | TimePassed


@dataclass(frozen=True, slots=True)
class Transition:
    """Where the introduction stands now, and the emails that this sets off."""

    introduction: Introduction
    emails: tuple[Email, ...] = ()


def changed(introduction: Introduction, **update: Any) -> Introduction:
    """The next revision, with some fields anew."""
    return introduction.model_copy(update={**update, "revision": introduction.revision + 1})


def emails_to(
    introduction: Introduction, members: Iterable[str], kind: EmailKind, now_ms: int, *, occasion: int = 0
) -> tuple[Email, ...]:
    """One email to each; `occasion` sets apart what can come more than once in an introduction."""
    return tuple(
        Email(
            community=introduction.community,
            email=ids.email_id(introduction.introduction, member, kind, occasion),
            introduction=introduction.introduction,
            member=member,
            kind=kind,
            planned_at_ms=now_ms,
            occasion=occasion,
        )
        for member in members
    )


def in_order(introduction: Introduction, some: Collection[str]) -> tuple[str, ...]:
    """In the order of the introduction's members, so that the order of clicks leaves no trace."""
    return tuple(member for member in introduction.everybody if member in some)


def with_one(introduction: Introduction, some: tuple[str, ...], member: str) -> tuple[str, ...]:
    return in_order(introduction, {*some, member})


def without_one(some: tuple[str, ...], member: str) -> tuple[str, ...]:
    return tuple(other for other in some if other != member)
