"""A town whose members react to their emails, as slow as a real one: for tests that live through a year of it."""

from __future__ import annotations

import random
from functools import cache

from arc_world import Agenda, Received, World
from notifier_samples import (
    GROUP,
    LONDON,
    NOW,
    choice,
)

from shared.contracts import (
    ChoiceKind,
    EmailKind,
    Suggestion,
)

DAY_MS = 24 * 3600 * 1000
YEAR_MS = 365 * DAY_MS
ASKS = (EmailKind.INVITATION, EmailKind.REMINDER, EmailKind.SEAT)
# A community as slow as a real one.
SLOW = LONDON.model_copy(
    update={
        "answer_within_seconds": 3 * 86_400, "remind_after_seconds": 44 * 3600, "settle_seconds": 21 * 86_400,
        "meetings": LONDON.meetings.model_copy(
            update={"notice_seconds": 3 * 86_400, "check_in_within_seconds": 3 * 86_400}
        ),
    }
)  # fmt: skip
NAMING = [kind for kind in EmailKind if kind.names_others]
WILLING = {"yes": 0.9, "met": 0.95, "again": 0.9}


class Town:
    """Members who react to their emails, each by a draw that depends on the email alone."""

    def __init__(self, of: Suggestion, seed: int, *, shy: str = "", says_no: bool = False, **shares: float) -> None:
        self.world = World({"london": SLOW})
        self.agenda = Agenda()
        self.seed, self.shy, self.says_no = seed, shy, says_no
        self.shares = {**WILLING, "leaves": 0.0, "opens": 0.3, **shares}
        self.world.on_received = self.react
        self.world.tell(of)

    def react(self, received: Received) -> None:
        email = received.email
        # A reminder asks what the invitation asked: the answer is the same.
        question = "asked" if email.kind in ASKS else email.kind
        draws = random.Random(f"{self.seed}/{email.introduction}/{email.member}/{question}/{email.occasion}")
        at_ms = received.at_ms + draws.randrange(60_000, 2 * DAY_MS)
        chances = {name: draws.random() < share for name, share in sorted(self.shares.items())}
        if email.kind in ASKS:
            self.answer(at_ms, email.member, email.introduction, chances["yes"])
        elif email.kind is EmailKind.CHECK_IN:
            met = ChoiceKind.MET if chances["met"] else ChoiceKind.NOT_MET
            self.press(at_ms, email.member, email.introduction, met, email.occasion)
            if chances["met"]:
                wants = chances["again"]
                self.answer(at_ms + 1, email.member, email.introduction, wants, email.occasion)
        elif email.kind is EmailKind.INTRODUCTION and chances["opens"]:
            self.press(at_ms, email.member, email.introduction, ChoiceKind.OPENS)
        elif email.kind in (EmailKind.STANDING, EmailKind.NEWCOMER) and chances["leaves"]:
            self.press(at_ms, email.member, email.introduction, ChoiceKind.LEAVES)

    def answer(self, at_ms: int, member: str, introduction: str, willing: bool, occasion: int = 0) -> None:
        """Yes or again; or else no, not again, or silence: for the shy one it depends on the run which."""
        yes, no = (ChoiceKind.AGAIN, ChoiceKind.NOT_AGAIN) if occasion else (ChoiceKind.YES, ChoiceKind.NO)
        if willing:
            self.press(at_ms, member, introduction, yes, occasion)
        elif member != self.shy or self.says_no:
            self.press(at_ms, member, introduction, no, occasion)

    def press(self, at_ms: int, member: str, introduction: str, kind: ChoiceKind, occasion: int = 0) -> None:
        def act() -> None:
            self.world.tell(choice(member, introduction, kind, at_ms, occasion))

        self.agenda.at(at_ms, act)

    def live(self, days: int = 365) -> World:
        self.world.run_until(NOW + days * DAY_MS, self.agenda)
        return self.world


@cache
def planned(kind: EmailKind) -> World:
    """A world in which emails of a kind wait to be sent, and none of them has been."""
    town = Town(GROUP, 6, yes=1, met=1, again=1, opens=0)
    if kind is EmailKind.NEW_DATE:
        town.shares["met"] = 0
    if kind in (EmailKind.SEAT, EmailKind.NEWCOMER, EmailKind.WELCOME):
        town.shares["leaves"] = 0.3
    run_until_planned(town, kind)
    return town.world


def run_until_planned(town: Town, kind: EmailKind) -> None:
    """Until emails of a kind wait to be sent, and none of them has been."""
    world = town.world
    for _ in range(500):
        world.reconcile()
        if any(email.kind is kind for email in world.state.unsent(100)):
            return
        world.work()
        due = [at_ms for at_ms in (world.state.next_alarm_ms(), town.agenda.next_ms()) if at_ms is not None]
        world.now_ms = max(world.now_ms, min(due))
        town.agenda.happen(world.now_ms)
    raise AssertionError(f"no {kind} was ever planned")
