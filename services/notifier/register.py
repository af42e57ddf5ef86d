"""The register of introductions: which there are, which are suggested, who has a part in what, what to look at next.

A fold, like all that `services.notifier.state` is made of. It decides nothing: what must
happen to an introduction is worked out there, from this and from what members have said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from services.notifier.agenda import Agenda
from services.notifier.introductions import Transition, next_due_ms
from services.notifier.mailbag import Mailbag
from services.notifier.past import Past, acquainted_in
from shared.contracts import ClosingReason, Introduction, IntroductionState, Suggestion

Decided = Mapping[str, Transition]
"""By introduction: transitions that were worked out and are not committed yet. They count as if they were."""


class Register:
    """Introductions and suggestions of one partition. Each step is O(members of an introduction), and O(log n)."""

    def __init__(self, mailbag: Mailbag) -> None:
        self._mailbag = mailbag
        self.past = Past()
        self.agenda = Agenda()
        self.counts: Counter[IntroductionState] = Counter()
        self.seated: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """By standing group: by seat, the newcomer to whom and whose group all said yes."""
        self._introductions: dict[str, Introduction] = {}
        """The open ones, and those whose last emails are on their way."""
        self._pending: dict[str, Suggestion] = {}
        """Suggestions without an introduction."""
        self._involved: defaultdict[str, set[str]] = defaultdict(set)
        """By member: what is pending, and what is open."""
        self._seats: defaultdict[str, set[str]] = defaultdict(set)
        """By standing group: suggestions for its free seat that are pending or open."""
        self._over: set[str] = set()
        """Closed, and not yet let go of."""
        self._perhaps_over: set[str] = set()
        """Those of them of which something has been heard since we last looked."""

    # Laying down

    def add_suggestion(self, suggestion: Suggestion) -> None:
        item = suggestion.suggestion
        if item in self._introductions or item in self._pending or item in self.past:
            return
        self._pending[item] = suggestion
        for member in suggestion.members:
            self._involved[member].add(item)
        if suggestion.joins is not None:
            self._seats[suggestion.joins].add(item)
        self.agenda.touch(suggestion.suggested_at_ms, item)

    def put(self, introduction: Introduction) -> bool:
        """Lay down how an introduction stands now; False for an echo of an earlier state of ours."""
        item = introduction.introduction
        known = self._introductions.get(item)
        if item in self.past or (known is not None and introduction.revision < known.revision):
            return False
        self._pending.pop(item, None)
        if known is not None:
            self.counts[known.state] -= 1
        self.counts[introduction.state] += 1
        self._introductions[item] = introduction
        for member in introduction.everybody:
            if introduction.is_open:
                self._involved[member].add(item)
            else:
                self._let_go(member, item)
        self._put_seat(introduction)
        if not introduction.is_open:
            self._over.add(item)
            self._perhaps_over.add(item)
        since_ms = introduction.suggestion.suggested_at_ms
        due_ms = next_due_ms(introduction)
        if due_ms is None:
            self.agenda.cancel(item)
        else:
            self.agenda.at(due_ms, since_ms, item)
        if introduction.is_open:
            self.agenda.touch(since_ms, item)
        return True

    def remove(self, item: str) -> None:
        """As if it had never been: a tombstone."""
        gone = self._introductions.pop(item, None)
        self._over.discard(item)
        self.past.forget(item)
        if gone is not None:
            self.counts[gone.state] -= 1
            self.agenda.cancel(item)
            for member in gone.everybody:
                self._let_go(member, item)

    def touch(self, item: str) -> None:
        """Something was heard of it: look at it again."""
        introduction = self._introductions.get(item)
        suggestion = introduction.suggestion if introduction is not None else self._pending.get(item)
        if suggestion is not None:
            self.agenda.touch(suggestion.suggested_at_ms, item)

    def touch_member(self, member: str) -> None:
        for item in self._involved.get(member, ()):
            self.touch(item)

    def heard_of_mail(self, item: str | None = None) -> None:
        """Something became of an email of an introduction, or of one that we cannot tell: it may be over now."""
        self._perhaps_over |= self._over if item is None else {item}

    def let_go_of_what_is_over(self, now_ms: int) -> None:
        """Closed introductions whose emails have all come to an end: little is kept of them.

        Not as they are read, since their emails may not have been read yet.
        """
        for item in self._perhaps_over & self._over:
            if self._mailbag.is_done_with(item):
                self._over.discard(item)
                self.past.keep(self._introductions.pop(item))
                self._mailbag.settle(item)
        self._perhaps_over.clear()
        self.past.let_go(now_ms)

    # Looking

    def get(self, item: str) -> Introduction | None:
        """One that is open, or whose last emails are on their way."""
        return self._introductions.get(item)

    def pending(self, item: str) -> Suggestion | None:
        """A suggestion without an introduction."""
        return self._pending.get(item)

    def of_member(self, member: str) -> list[Introduction]:
        """The open introductions that a member has a part in, oldest first."""
        found = [self._introductions[item] for item in self._involved.get(member, ()) if item in self._introductions]
        return sorted(found, key=lambda introduction: (introduction.proposed_at_ms, introduction.introduction))

    def acquaintances(self, member: str) -> list[str]:
        """Everybody whose name a member was ever told, in the order of the introductions."""
        met: dict[str, None] = {}
        for past in self.past.of_member(member):
            met |= dict.fromkeys(past.acquainted)
        for introduction in self.of_member(member):
            acquainted = acquainted_in(introduction)
            if member in acquainted:
                met |= dict.fromkeys(acquainted)
        met.pop(member, None)
        return list(met)

    def engaged_elsewhere(self, member: str, here: str, decided: Decided) -> bool:
        """Whether another introduction than `here` keeps a member from being suggested."""
        for item in self._involved.get(member, ()):
            if item != here:
                other = decided[item].introduction if item in decided else self._introductions.get(item)
                if other is not None and other.engages(member):
                    return True
        return False

    def has_seat(self, suggestion: Suggestion, joins: str, decided: Decided) -> bool:
        """Whether the group still is as it was suggested, has a free seat, and nobody else is asked about it."""
        group = decided[joins].introduction if joins in decided else self._introductions.get(joins)
        others = self._seats.get(joins, set()) - {suggestion.suggestion}
        being_asked = any(other in self._introductions or other in decided for other in others)
        return (
            group is not None
            and group.wants_newcomer
            and not being_asked
            and not self.seated.get(joins)
            and suggestion.newcomer not in group.everybody
            and {*group.present, suggestion.newcomer} == set(suggestion.members)
        )

    def __len__(self) -> int:
        """How many introductions are held whole."""
        return len(self._introductions)

    # Details

    def _put_seat(self, introduction: Introduction) -> None:
        """What an introduction means for another one: that a seat is asked about, is filled, or is there no more."""
        item, joins = introduction.introduction, introduction.suggestion.joins
        if joins is not None and introduction.suggestion.newcomer is not None:
            if introduction.is_open:
                self._seats[joins].add(item)
            else:
                self._seats[joins].discard(item)
            if introduction.closing_reason is ClosingReason.SEATED:
                self.seated[joins][item] = introduction.suggestion.newcomer
                self.touch(joins)
        if joins is None:
            if seated := self.seated.get(item):
                taken = [seat for seat, newcomer in seated.items() if newcomer in introduction.joined]
                for seat in list(seated) if not introduction.is_open else taken:
                    del seated[seat]
            for seat in self._seats.get(item, ()):
                self.touch(seat)

    def _let_go(self, member: str, item: str) -> None:
        involved = self._involved.get(member)
        if involved is not None:
            involved.discard(item)
            if not involved:
                del self._involved[member]
