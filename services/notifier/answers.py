"""What members have pressed, by introduction, for as long as it may still matter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from shared.contracts import Choice, ChoiceKind, Introduction, IntroductionState

_CHECK_IN = ("met", "again", "depth")


class Answers:
    """The fold of `choices`: of each member's answers to one question the last one."""

    def __init__(self) -> None:
        self._of: defaultdict[str, dict[tuple[str, str, int], Choice]] = defaultdict(dict)

    def add(self, choice: Choice, introduction: Introduction | None) -> bool:
        """Take one in; False if it comes too late to matter. `introduction` is None if it is not known (yet)."""
        if introduction is not None and not _matters(choice, introduction):
            return False
        self._of[choice.introduction][choice.member, choice.kind.question, choice.occasion] = choice
        return True

    def forget_what_is_decided(self, introduction: Introduction) -> None:
        """Let go of what can make no difference to an introduction any more."""
        known = self._of.get(introduction.introduction)
        if known is None:
            return
        kept = {key: choice for key, choice in known.items() if _matters(choice, introduction)}
        if kept:
            self._of[introduction.introduction] = kept
        else:
            del self._of[introduction.introduction]

    def answer(self, introduction: str, member: str) -> Choice | None:
        """Yes or no, if they have said."""
        return self._get(introduction, (member, "answer", 0))

    def leaves(self, introduction: str, member: str) -> bool:
        return self._get(introduction, (member, "leaves", 0)) is not None

    def offers(self, introduction: str) -> Iterable[Choice]:
        """Who would be happy to go first, the first to say so first."""
        found = [choice for choice in self._of.get(introduction, {}).values() if choice.kind is ChoiceKind.OPENS]
        return sorted(found, key=lambda choice: (choice.chosen_at_ms, choice.member))

    def check_in(self, introduction: str, member: str, occasion: int) -> Iterable[Choice]:
        """How a date was, as far as they have said."""
        for question in _CHECK_IN:
            choice = self._get(introduction, (member, question, occasion))
            if choice is not None:
                yield choice

    def of_member(self, member: str) -> list[Choice]:
        """All that is held of one member, in O(all): for their own eyes."""
        return [choice for known in self._of.values() for choice in known.values() if choice.member == member]

    def _get(self, introduction: str, key: tuple[str, str, int]) -> Choice | None:
        known = self._of.get(introduction)
        return None if known is None else known.get(key)


def _matters(choice: Choice, introduction: Introduction) -> bool:
    match introduction.state:
        case IntroductionState.PROPOSED:
            return True
        case IntroductionState.INTRODUCED:
            if choice.kind.question in _CHECK_IN:
                return introduction.meeting is None or choice.occasion >= introduction.meeting.occasion
            return choice.kind.question != "answer"
        case IntroductionState.STANDING:
            return choice.kind is ChoiceKind.LEAVES
        case IntroductionState.CLOSED:
            return False
