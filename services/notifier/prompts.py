"""Which prompts people take along: about what they share, as far up the ladder as all of them can bear.

Three prompts, each at least as deep as the one before. The first one starts where this
meeting starts, a step higher than the last meeting did; the last one is one step above
what the least open of them said a first conversation may reach, and never more than that:
an invitation to go a little further, which anybody may pass on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

from services.notifier.encouragement import draw
from services.notifier.ladder import STEPS, Prompt, PromptCatalogue, Step

PROMPTS_PER_MEETING = 3
PACE_UNKNOWN = 2
"""Where it is not known how deep the least open member would go: easy, personal, real."""
_STARTS_MAX = 3
"""From the third meeting on, people start at the third step: also old friends begin with something light enough."""


def prompts_for(
    introduction: str,
    interests: Sequence[str],
    catalogue: PromptCatalogue,
    *,
    life_topic: str = "",
    pace: int = PACE_UNKNOWN,
    meeting: int = 1,
    seen: Set[str] | None = None,
) -> tuple[Prompt, ...]:
    """The prompts for one meeting, from lighter to deeper; everybody in it gets the same, on every try.

    Parameters
    ----------
    introduction
        Its id: what is drawn is drawn by it.
    interests
        What all of them share.
    life_topic
        The life topic that they were brought together for: all declared it and agreed to be introduced by
        it. Themes for a life topic are chosen by it alone, never by an interest.
    pace
        1 to 5: how deep a first conversation may go for the least open of them.
    meeting
        The how manieth time that they meet, from 1.
    seen
        Names of prompts that any two of them have had together. They never get one of these again. Where
        nobody kept them, what this introduction's earlier meetings took is worked out anew, which is right
        for as long as the catalogue has not been edited between two meetings.

    Returns
    -------
    Three prompts; fewer when all that they can bear has been seen, and then none. No step is
    higher than `pace` + 1.
    """
    common = themes_for_everybody(catalogue)
    shared = shared_themes(catalogue, interests, life_topic)

    def chosen_at(number: int, taken: Set[str]) -> tuple[Prompt, ...]:
        return _choose(introduction, steps_for(pace, number), shared, common, catalogue, taken)

    if seen is None:
        had: set[str] = set()
        for earlier in range(1, meeting):
            had |= {prompt.name for prompt in chosen_at(earlier, had)}
        seen = had
    return chosen_at(meeting, seen)


def steps_for(pace: int, meeting: int = 1) -> tuple[Step, ...]:
    """The steps of a meeting's prompts, rising evenly.

    >>> steps_for(1), steps_for(2)
    (('easy', 'easy', 'personal'), ('easy', 'personal', 'real'))
    >>> steps_for(5, meeting=1), steps_for(5, meeting=3)
    (('easy', 'real', 'deep'), ('real', 'hard', 'deep'))
    """
    if not 1 <= pace <= len(STEPS):
        raise ValueError(f"pace {pace}: must be 1 to {len(STEPS)}")
    if meeting < 1:
        raise ValueError(f"meeting {meeting}: they are counted from 1")
    top = min(pace + 1, len(STEPS))
    start = min(meeting, _STARTS_MAX, top)
    rises = PROMPTS_PER_MEETING - 1
    return tuple(STEPS[start - 1 + place * (top - start) // rises] for place in range(PROMPTS_PER_MEETING))


def themes_for_everybody(catalogue: PromptCatalogue) -> tuple[str, ...]:
    """The themes that need nothing in common."""
    return tuple(theme.name for theme in catalogue.themes.values() if theme.audience == "everybody")


def shared_themes(catalogue: PromptCatalogue, interests: Collection[str], life_topic: str = "") -> tuple[str, ...]:
    """The themes of what people share: a life topic's by the life topic alone, the others by interests alone."""
    return tuple(
        theme.name
        for theme in catalogue.themes.values()
        if (theme.audience == "interests" and any(theme.is_meant_by(interest) for interest in interests))
        or (theme.audience == "life topics" and theme.is_meant_by(life_topic))
    )


def _choose(
    introduction: str,
    steps: Sequence[Step],
    shared: Collection[str],
    common: Collection[str],
    catalogue: PromptCatalogue,
    seen: Set[str],
) -> tuple[Prompt, ...]:
    chosen: list[Prompt] = []
    for place, step in enumerate(steps):
        # What they share gives the ground to start from, and a reason to go deep; in between it is about anybody.
        order = (common, shared) if place == 1 else (shared, common)
        prompt = _pick(introduction, step, order, steps[-1], catalogue, {*seen, *(one.name for one in chosen)})
        if prompt is not None:
            chosen.append(prompt)
    return tuple(sorted(chosen, key=lambda prompt: STEPS.index(prompt.step)))


def _pick(
    introduction: str,
    step: Step,
    order: Sequence[Collection[str]],
    top: Step,
    catalogue: PromptCatalogue,
    taken: Set[str],
) -> Prompt | None:
    """One that is not taken: of this step if there is one, else of the nearest step that is not above the top."""
    wanted = STEPS.index(step)
    bearable = range(STEPS.index(top) + 1)
    for near in sorted(bearable, key=lambda place: (abs(place - wanted), place)):
        for themes in order:
            pool = [prompt for prompt in catalogue.pool(themes, STEPS[near]) if prompt.name not in taken]
            if pool:
                return min(pool, key=lambda prompt: draw(introduction, prompt.name))
    return None
