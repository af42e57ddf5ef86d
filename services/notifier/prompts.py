"""Which questions an introduction takes along: one from each of the first rungs of the ladder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.notifier.wording import EVERYBODY, STEPS, PromptCatalogue, Step

FIRST_STEPS: tuple[Step, ...] = STEPS[:3]
"""For people who meet for the first time."""


def prompts_for(
    introduction: str, interests: Sequence[str], catalogue: PromptCatalogue, steps: Sequence[Step] = FIRST_STEPS
) -> tuple[tuple[Step, str], ...]:
    """One prompt a step; everybody in the introduction, on every try, gets the same.

    The first one is about what they share, if there is one for it: common ground to start
    from. Later ones may be about anything. Drawn by a hash of the introduction's id.
    """
    themes = {
        theme
        for theme, words in catalogue.themes.items()
        if any(word in interest.casefold() for word in words for interest in interests)
    }
    chosen = []
    for place, step in enumerate(steps):
        by_theme = catalogue.steps[step]
        shared = [question for theme in sorted(themes) for question in by_theme.get(theme, ())]
        pool = shared if shared and place == 0 else [*shared, *by_theme[EVERYBODY]]
        chosen.append((step, min(pool, key=lambda question: _draw(introduction, question))))
    return tuple(chosen)


def _draw(introduction: str, text: str) -> bytes:
    return hashlib.blake2b(f"{introduction}\x1f{text}".encode(), digest_size=8).digest()
