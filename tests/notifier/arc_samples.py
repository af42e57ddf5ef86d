"""Introductions at each moment of the arc at which emails are planned, made by the state machine itself."""

from __future__ import annotations

from notifier_samples import ANSWER_MS, GROUP, LONDON, MEMBERS, NOW, PAIR, contact, suggestion

from services.notifier.introductions import (
    Answered,
    CheckedIn,
    Event,
    Joined,
    OfferedToOpen,
    Proposed,
    TimePassed,
    Transition,
    Withdrawn,
    advance,
    next_due_ms,
)
from shared.contracts import ChoiceKind, Contact, Email, EmailKind, Introduction, Suggestion, SuggestionKind

NEWCOMER = MEMBERS[6]
LEAVER = GROUP.members[-1]
SEAT = suggestion(*GROUP.members[:-1], NEWCOMER, joins=GROUP.suggestion, newcomer=NEWCOMER)
FOR_GROUPS = (EmailKind.NEWCOMER, EmailKind.WELCOME)
FOR_SEATS = (EmailKind.INVITATION, EmailKind.REMINDER, EmailKind.CLOSING, EmailKind.SEAT)
ALL_CASES = [
    *((of, kind) for of in (PAIR, GROUP) for kind in EmailKind
      if kind is not EmailKind.SEAT and not (of is PAIR and kind in FOR_GROUPS)),
    *((SEAT, kind) for kind in FOR_SEATS),
]  # fmt: skip
CASE_IDS = [f"{of.kind}-{kind}" for of, kind in ALL_CASES]


class Story:
    """One introduction, told event by event; keeps what came of the last one."""

    def __init__(self, of: Suggestion) -> None:
        self.now_ms = NOW
        self.last: Transition = advance(None, Proposed(of), community=LONDON, now_ms=NOW)
        self.emails = list(self.last.emails)

    @property
    def introduction(self) -> Introduction:
        return self.last.introduction

    def tell(self, *events: Event) -> Story:
        for event in events:
            self.last = advance(self.introduction, event, community=LONDON, now_ms=self.now_ms)
            self.emails += self.last.emails
        return self

    def wait(self) -> Story:
        """Until something is due, and let it happen."""
        due_ms = next_due_ms(self.introduction)
        assert due_ms is not None, "nothing is due"
        self.now_ms = max(self.now_ms, due_ms)
        return self.tell(TimePassed())

    def come_together(self) -> Story:
        return self.tell(*(Answered(member, ChoiceKind.YES) for member in self.introduction.members))

    def check_in(self, kind: ChoiceKind, *members: str) -> Story:
        """The date passes, they are asked, and some of them answer."""
        self.wait()
        meeting = self.introduction.meeting
        assert meeting is not None
        answering = members or self.introduction.present
        return self.tell(*(CheckedIn(member, meeting.occasion, kind) for member in answering))

    def stand(self) -> Story:
        self.come_together()
        for _ in range(LONDON.meetings.until_standing):
            self.check_in(ChoiceKind.AGAIN)
        return self


def at(of: Suggestion, kind: EmailKind) -> tuple[Introduction, list[Email]]:
    """The introduction at the moment at which emails of `kind` are planned, and these emails."""
    story = Story(of)
    match kind:
        case EmailKind.INVITATION | EmailKind.SEAT:
            pass
        case EmailKind.REMINDER:
            story.wait()
        case EmailKind.INTRODUCTION:
            story.come_together()
        case EmailKind.CLOSING:
            hopes = of.newcomer or of.members[0]
            story.tell(Answered(hopes, ChoiceKind.YES))
            story.now_ms = NOW + ANSWER_MS
            story.tell(TimePassed())
        case EmailKind.GO_FIRST | EmailKind.RELIEVED:
            story.come_together().tell(OfferedToOpen(of.members[1]))
        case EmailKind.CHECK_IN:
            story.come_together().wait()
        case EmailKind.NEW_DATE:
            story.come_together().check_in(ChoiceKind.NOT_MET)
        case EmailKind.AGAIN:
            story.come_together().check_in(ChoiceKind.AGAIN)
        case EmailKind.PARTING:
            story.come_together().check_in(ChoiceKind.AGAIN, of.members[0]).wait()
        case EmailKind.STANDING:
            story.stand()
        case EmailKind.NEWCOMER | EmailKind.WELCOME:
            assert of.kind is SuggestionKind.GROUP
            story.stand().tell(Withdrawn(LEAVER), Joined(NEWCOMER))
    return story.introduction, [email for email in story.last.emails if email.kind is kind]


def named(email: Email, introduction: Introduction, people: dict[str, Contact] | None = None) -> list[Contact]:
    """Whom an email tells of, as `gate.named_in` has it where nobody has gone."""
    if not email.kind.names_others:
        return []
    told = introduction.joined if email.kind is EmailKind.NEWCOMER else introduction.present
    known = people or {member: contact(member) for member in MEMBERS}
    return [known[member] for member in told if member != email.member]
