"""What members have done that an introduction does not show yet, as the events that it has to be told.

Pure, over facts that lie there: asked again, it tells the same again until the
introduction shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.notifier.answers import Answers
from services.notifier.events import Answered, CheckedIn, Event, Joined, NeverTold, OfferedToOpen, SetAside, Withdrawn
from services.notifier.mailbag import Mailbag
from services.notifier.members import Members, Pause
from shared import ids
from shared.contracts import (
    Choice,
    ChoiceKind,
    DeliveryState,
    EmailKind,
    Introduction,
    IntroductionState,
    SuggestionKind,
)


@dataclass(frozen=True)
class Facts:
    """What is looked at: the folds, and what only the partition as a whole knows."""

    members: Members
    answers: Answers
    mailbag: Mailbag
    refused: dict[str, set[str]] = field(default_factory=dict)
    """By introduction: whose invitation was refused for good."""
    seated: dict[str, dict[str, str]] = field(default_factory=dict)
    """By standing group: by seat, the newcomer to whom and whose group all said yes."""
    is_unreachable: Callable[[str], bool] = lambda member: False
    """Whether nothing is sent to the address that we have of a member."""


def news_of(
    introduction: Introduction,
    facts: Facts,
    now_ms: int,
    *,
    group: Introduction | None,
    engaged_elsewhere: Callable[[str], bool],
) -> Iterable[Event]:
    """The events, in an order that does not depend on that in which things were heard of.

    `group` is, of a seat, the introduction of the group that has it.
    """
    match introduction.state:
        case IntroductionState.PROPOSED:
            yield from _before(introduction, facts, now_ms, group, engaged_elsewhere)
        case IntroductionState.INTRODUCED | IntroductionState.STANDING:
            yield from _after(introduction, facts)
        case IntroductionState.CLOSED:
            return


def _before(
    introduction: Introduction,
    facts: Facts,
    now_ms: int,
    group: Introduction | None,
    engaged_elsewhere: Callable[[str], bool],
) -> Iterable[Event]:
    for member in introduction.members:
        choice = facts.answers.answer(introduction.introduction, member)
        said_no = member in introduction.said_no and member not in introduction.set_aside
        if _is_out(introduction, member, choice, facts, now_ms) or _seat_is_gone(introduction, member, group):
            if not said_no:
                yield Withdrawn(member)
        elif choice is not None and choice.kind is ChoiceKind.NO:
            if not said_no:
                yield Answered(member, ChoiceKind.NO)
        elif _must_not_be_introduced(introduction, member, facts):
            if choice is not None and member not in introduction.set_aside:
                yield SetAside(member)
            elif choice is None and not said_no:
                yield Withdrawn(member)
        elif choice is None:
            continue
        elif member not in introduction.said_yes and not (
            # Free since their no, and perhaps taken since: then it is too late to come back.
            member in introduction.said_no and member in introduction.suggestion.engages and engaged_elsewhere(member)
        ):
            yield Answered(member, ChoiceKind.YES)


def _is_out(introduction: Introduction, member: str, choice: Choice | None, facts: Facts, now_ms: int) -> bool:
    if _is_out_for_good(introduction, member, introduction.members, facts):
        return True
    if member in facts.refused.get(introduction.introduction, ()) or facts.is_unreachable(member):
        return True
    return any(
        # The last thing a member said counts, and a yes after a pause is a yes.
        (choice is None or choice.chosen_at_ms <= pause.chosen_at_ms)
        and (pause.holds_at(now_ms) or _was_paused_since(introduction, pause))
        for pause in facts.members.pauses(member)
    )


def _was_paused_since(introduction: Introduction, pause: Pause) -> bool:
    """A pause since the invitation stays a no to it, even after the pause is over."""
    return (
        pause.until_ms is not None
        and pause.until_ms > pause.chosen_at_ms  # not one that was ended early
        and pause.chosen_at_ms >= introduction.proposed_at_ms
    )


def _must_not_be_introduced(introduction: Introduction, member: str, facts: Facts) -> bool:
    """Whether they are held for review; of a seat, whether anybody is: a group with such a member takes nobody in."""
    is_seat = introduction.suggestion.kind is SuggestionKind.SEAT
    return facts.members.any_held(introduction.members if is_seat else (member,))


def _seat_is_gone(introduction: Introduction, member: str, group: Introduction | None) -> bool:
    """Of a seat: whether it cannot be given any more, or this one has left the group since."""
    if introduction.suggestion.kind is not SuggestionKind.SEAT:
        return False
    if group is None or not group.wants_newcomer:
        return True
    return member != introduction.suggestion.newcomer and member not in group.present


def _is_out_for_good(introduction: Introduction, member: str, others: Iterable[str], facts: Facts) -> bool:
    return (
        facts.members.is_gone(member)
        or facts.members.contact(member) is None
        or facts.answers.leaves(introduction.introduction, member)
        # Who has blocked somebody goes, and not who was blocked: that would tell them.
        or facts.members.avoids_one_of(member, set(others) - {member})
    )


def _after(introduction: Introduction, facts: Facts) -> Iterable[Event]:
    for member in introduction.present:
        if _is_out_for_good(introduction, member, introduction.present, facts):
            yield Withdrawn(member)
    if introduction.state is IntroductionState.STANDING:
        for newcomer in facts.seated.get(introduction.introduction, {}).values():
            yield Joined(newcomer)
        return
    if _was_never_told(introduction, facts.mailbag):
        yield NeverTold()
    for offer in facts.answers.offers(introduction.introduction):
        yield OfferedToOpen(offer.member)
    if introduction.meeting is not None:
        for member in introduction.present:
            for choice in facts.answers.check_in(introduction.introduction, member, introduction.meeting.occasion):
                yield CheckedIn(member, choice.occasion, choice.kind)


def _was_never_told(introduction: Introduction, mailbag: Mailbag) -> bool:
    """Whether all who are still in it had their email of it withheld: then none of them has learnt of anybody.

    As a rule that is so for all; or who had theirs has gone before the next one could go.
    """
    if introduction.meeting is None or introduction.meeting.occasion > 1:
        return False
    outcomes = [
        mailbag.delivery(ids.email_id(introduction.introduction, member, EmailKind.INTRODUCTION))
        for member in introduction.present
    ]
    return all(outcome is not None and outcome.state is DeliveryState.WITHHELD for outcome in outcomes)
