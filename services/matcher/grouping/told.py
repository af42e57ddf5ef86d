"""From numbers back to groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from services.matcher.grouping.growing import Made
from services.matcher.grouping.people import Group, People
from services.matcher.snapshot import Snapshot

AnchorKind = Literal["interest", "life_topic"]


def words_of(members: Snapshot) -> Mapping[tuple[AnchorKind, str], int]:
    """The number of each word: life topics come behind interests."""
    number: dict[tuple[AnchorKind, str], int] = {
        ("interest", word): at for at, word in enumerate(members.interest_words)
    }
    interests = len(number)
    return number | {("life_topic", word): at + interests for at, word in enumerate(members.topic_words)}


def told(made: Made, people: People, members: Snapshot) -> tuple[Group, ...]:
    """Groups by rows of the snapshot; about 2 us each."""
    interests = len(members.interest_words)
    # Empty seats sort behind everybody.
    rows = np.sort(np.where(made.seats >= 0, people.row[made.seats], np.iinfo(np.int32).max), axis=1)
    groups = []
    for seats, size, anchor in zip(rows.tolist(), made.size.tolist(), made.anchor.tolist(), strict=True):
        if anchor < interests:
            groups.append(Group(tuple(seats[:size]), "interest", members.interest_words[anchor]))
        else:
            groups.append(Group(tuple(seats[:size]), "life_topic", members.topic_words[anchor - interests]))
    return tuple(groups)
