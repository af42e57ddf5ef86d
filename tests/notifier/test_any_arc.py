"""The whole arc, whatever people do and in whatever order, with commits that fail, and with restarts."""

from __future__ import annotations

from typing import Any

from arc_world import Watch, World
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from notifier_samples import (
    GROUP,
    MEMBERS,
    PAIR,
    block,
    choice,
    contact,
    erase,
    pause,
    suggestion,
    unsubscribe,
)

from shared.contracts import (
    Choice,
    ChoiceKind,
    DeliveryState,
    EmailKind,
    Introduction,
    IntroductionState,
    PreferenceKind,
    Suggestion,
)


class AnyArc(RuleBasedStateMachine):
    """A partition's life: anything happens to anybody, commits fail, mail is interrupted, everything starts again."""

    @initialize(first=st.sampled_from([PAIR, GROUP]), dates=st.integers(0, 4), sent=st.booleans())
    def begin(self, first: Suggestion, dates: int, sent: bool) -> None:
        """Some way along already: most of what can go wrong lies far from the beginning."""
        self.world = World()
        watch = Watch(self.world)
        self.gone, self.apart = watch.gone, watch.apart
        self.proposed = 0
        self.world.tell(first)
        for date in range(dates):
            self.world.work()
            self.all_say(first.suggestion, ChoiceKind.AGAIN if date else ChoiceKind.YES)
            self.world.reconcile()
            if date < dates - 1:
                self.world.work()
                self.world.now_ms = self.world.state.next_alarm_ms() or self.world.now_ms
        if sent:
            self.world.work()

    # What may happen

    @rule(size=st.integers(2, 5), order=st.permutations(MEMBERS))
    def suggest(self, size: int, order: list[str]) -> None:
        current = self.world.introductions().values()
        free = [m for m in order if m not in self.gone and not any(one.engages(m) for one in current)]
        if len(free) >= size:
            self.proposed += 1
            self.world.tell(suggestion(*free[:size], at_ms=self.world.now_ms, times_before=self.proposed))

    def all_say(self, introduction: str, kind: ChoiceKind) -> None:
        one = self.world.introductions()[introduction]
        occasion = one.meeting.occasion if one.meeting else 0
        for member in one.everybody:
            self.world.tell(choice(member, introduction, kind, self.world.now_ms, occasion))

    @rule(data=st.data(), willing=st.sampled_from([True, True, True, False]))
    def all_of_one_answer(self, data: st.DataObject, willing: bool) -> None:
        one = self.some(data)
        if one is not None and one.meeting is None:
            self.all_say(one.introduction, ChoiceKind.YES if willing else ChoiceKind.NO)
        elif one is not None:
            self.all_say(one.introduction, ChoiceKind.AGAIN if willing else ChoiceKind.NOT_MET)

    @rule(data=st.data(), kind=st.sampled_from(ChoiceKind))
    def one_answers(self, data: st.DataObject, kind: ChoiceKind) -> None:
        one = self.some(data)
        if one is not None:
            about_a_date = kind.question in ("met", "again", "depth")
            occasion = one.meeting.occasion if one.meeting and about_a_date else 0
            member = data.draw(st.sampled_from(one.everybody))
            self.world.tell(choice(member, one.introduction, kind, self.world.now_ms, occasion))

    def some(self, data: st.DataObject) -> Introduction | None:
        """One that is going on."""
        there = sorted(key for key, one in self.world.introductions().items() if one.is_open)
        return self.world.introductions()[data.draw(st.sampled_from(there))] if there else None

    def somebody(self, data: st.DataObject) -> str:
        """Rather somebody in the middle of it than anybody."""
        one = self.some(data)
        return data.draw(st.sampled_from(MEMBERS if one is None else one.everybody))

    @rule(data=st.data())
    def take_a_break(self, data: st.DataObject) -> None:
        self.world.tell(pause(self.somebody(data), self.world.now_ms, seconds=3600))

    @rule(data=st.data(), how=st.sampled_from([erase, unsubscribe]))
    def go_for_good(self, data: st.DataObject, how: Any) -> None:
        if len(self.gone) < 4:
            who = self.somebody(data)
            self.gone.add(who)
            self.world.tell(how(who, self.world.now_ms))

    @rule(data=st.data(), reported=st.booleans())
    def keep_apart(self, data: st.DataObject, reported: bool) -> None:
        who, other = self.somebody(data), self.somebody(data)
        if who != other and len(self.apart) < 4:
            self.apart.add(frozenset((who, other)))
            kind = PreferenceKind.REPORT if reported else PreferenceKind.BLOCK
            self.world.tell(block(who, other, self.world.now_ms).model_copy(update={"kind": kind}))

    @rule(who=st.sampled_from(MEMBERS))
    def intake_forgets(self, who: str) -> None:
        if who in self.gone:
            self.world.erased(who)

    @rule(who=st.sampled_from(MEMBERS))
    def partner_sends_them_again(self, who: str) -> None:
        self.world.tell(contact(who, at_ms=self.world.now_ms))

    @rule(
        data=st.data(),
        fact=st.sampled_from(["erase", "unsubscribe", "block", "leave", "offer", "pause"]),
        answered=st.booleans(),
        few=st.integers(1, 6),
    )
    def something_happens_between_planning_and_sending(
        self, data: st.DataObject, fact: str, answered: bool, few: int
    ) -> None:
        one = self.some(data)
        if one is None:
            return
        if answered:
            self.all_say(one.introduction, ChoiceKind.AGAIN if one.meeting else ChoiceKind.YES)
        else:
            self.world.now_ms = max(self.world.now_ms, self.world.state.next_alarm_ms() or 0)
        self.world.reconcile()
        if data.draw(st.booleans()):
            self.world.send(1)
        who, other = data.draw(st.permutations(one.everybody))[:2]
        now_ms = self.world.now_ms
        match fact:
            case "erase" | "unsubscribe" if len(self.gone) < 4:
                self.gone.add(who)
                self.world.tell(erase(who, now_ms) if fact == "erase" else unsubscribe(who, now_ms))
            case "block" if len(self.apart) < 4:
                self.apart.add(frozenset((who, other)))
                self.world.tell(block(who, other, now_ms))
            case "leave" | "offer":
                kind = ChoiceKind.LEAVES if fact == "leave" else ChoiceKind.OPENS
                self.world.tell(choice(who, one.introduction, kind, now_ms))
            case "pause":
                self.world.tell(pause(who, now_ms, seconds=3600))
        if fact == "offer":
            self.world.reconcile()
        self.world.send(few)

    @rule(data=st.data())
    def invitation_bounces(self, data: st.DataObject) -> None:
        waiting = [one for one in self.world.state.unsent(100) if one.kind is EmailKind.INVITATION]
        if waiting:
            self.world._record(data.draw(st.sampled_from(waiting)), DeliveryState.FAILED, 1)

    @rule(hours=st.sampled_from([0, 1, 24, 24 * 60]))
    def time_jumps(self, hours: int) -> None:
        self.world.now_ms += hours * 3600 * 1000

    @rule()
    def what_is_due_next_is_planned(self) -> None:
        self.world.now_ms = max(self.world.now_ms, self.world.state.next_alarm_ms() or 0)
        self.world.reconcile()

    @rule()
    def what_follows_is_planned(self) -> None:
        self.world.reconcile()

    @rule()
    def everything_works(self) -> None:
        self.world.work()

    @rule(few=st.integers(1, 2))
    def a_few_are_sent(self, few: int) -> None:
        self.world.send(few)

    @rule()
    def a_commit_fails(self) -> None:
        first = self.world.state.reconcile(self.world.now_ms, self.world.communities, limit=2)
        assert self.world.state.reconcile(self.world.now_ms, self.world.communities, limit=2) == first

    @rule(seed=st.integers())
    def crash_and_replay(self, seed: int) -> None:
        here = self.world.state
        self.world.restart(seed)
        there = self.world.state
        now_ms, communities = self.world.now_ms, self.world.communities
        first, second = (
            {one.introduction.key: one for one in state.reconcile(now_ms, communities, limit=1000)}
            for state in (here, there)
        )
        assert first == second
        assert {one.email for one in here.unsent(1000)} == {one.email for one in there.unsent(1000)}

    # What must hold

    @invariant()
    def nobody_is_in_two(self) -> None:
        current = self.world.introductions().values()
        for member in MEMBERS:
            assert sum(one.engages(member) for one in current) <= 1

    @invariant()
    def no_email_is_planned_or_sent_twice(self) -> None:
        planned = [key for key, _ in self.world.logs["outbox"]]
        assert len(set(planned)) == len(planned)
        sent = [one.email.email for one in self.world.inbox]
        assert len(set(sent)) == len(sent)

    @invariant()
    def introductions_go_to_all_or_to_none(self) -> None:
        told = {one.email.introduction for one in self.world.inbox if one.email.kind is EmailKind.INTRODUCTION}
        for delivery in self.world.withheld:
            if delivery.kind is EmailKind.INTRODUCTION and delivery.introduction in told:
                # Somebody who went away between the first email and theirs, or the mail took weeks.
                over = delivery.reason == "introduction-over"
                out = over or delivery.member in self.gone or self.is_out(delivery.introduction, delivery.member)
                assert out

    def is_out(self, introduction: str, member: str) -> bool:
        """Left, or kept from whoever was left to be told of."""
        one = self.world.introductions()[introduction]
        left_it = {*one.left, *self.gone} | {
            record.member
            for _, record in self.world.logs["choices"]
            if isinstance(record, Choice) and (record.kind, record.introduction) == (ChoiceKind.LEAVES, introduction)
        }
        others = [other for other in one.introduced if other != member and other not in left_it]
        return member in left_it or all(frozenset((member, other)) in self.apart for other in others)

    @invariant()
    def records_are_sound(self) -> None:
        for one in self.world.introductions().values():
            assert not set(one.said_yes) & set(one.said_no)
            assert set(one.introduced) <= set(one.members)
            assert set(one.present) <= {*one.introduced, *one.joined}
            assert not set(one.present) & set(one.left)
            assert one.opener is None or one.opener in one.present or one.state is IntroductionState.CLOSED


TestAnyArc = AnyArc.TestCase
TestAnyArc.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
