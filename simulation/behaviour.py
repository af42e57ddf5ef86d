"""How simulated members behave: pure, and nothing but what `assumptions.yaml` says.

Every decision is drawn by what is decided, not by how many draws came before: so a
change in one place leaves what others do elsewhere as it was, and the same seed gives
the same year, to the last email.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist, fmean
from zoneinfo import ZoneInfo

from shared.contracts import Openness
from simulation.assumptions import Assumptions

HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
_WEEKS_COUNTED_MAX = 8
_NEUTRAL_OPENNESS, _NEUTRAL_SCORE = 3.0, 0.5
_2_TO_64 = 2.0**64
_NORMAL = NormalDist()


class Draws:
    """Chances by what is decided: the same for the same seed and words, on every machine."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()[:64]

    def uniform(self, *what: object) -> float:
        """In (0, 1)."""
        words = "/".join(map(str, what)).encode()
        digest = hashlib.blake2b(words, digest_size=8, key=self._key).digest()
        return (int.from_bytes(digest, "big") + 0.5) / _2_TO_64

    def normal(self, *what: object) -> float:
        """Of mean 0 and standard deviation 1."""
        return _NORMAL.inv_cdf(self.uniform(*what))

    def says(self, chance: float, *what: object) -> bool:
        return self.uniform(*what) < chance


@dataclass(slots=True)
class Person:
    """A simulated member. What changes is what they have been through."""

    member: str
    openness: Openness
    looking_for: tuple[str, ...]
    joined_at_ms: int
    readiness: float
    """How readily they say yes beyond what all do, in log-odds."""
    waits_since_ms: int = 0
    disappointments: int = 0
    gone: bool = False
    """Left, unsubscribed or erased: does nothing any more."""

    @property
    def ease(self) -> float:
        """Of their four ratings the mean, 1 to 5."""
        rated = self.openness
        return (rated.shares + rated.listens + rated.goes_first + rated.depth) / 4


class Answer(StrEnum):
    YES = "yes"
    NO = "no"
    PAUSE = "pause"
    SILENCE = "silence"


@dataclass(frozen=True)
class Behaviour:
    """What people do, given what is assumed and a seed."""

    assumed: Assumptions
    draws: Draws

    def readiness(self, member: str) -> float:
        return self.assumed.answering.spread_of_people * self.draws.normal("readiness", member)

    def reads_at_ms(self, email: str, sent_at_ms: int, time_zone: str) -> int | None:
        """When an email is read; None for never."""
        reading = self.assumed.reading
        if self.draws.says(reading.never_reads, "never reads", email):
            return None
        spread = reading.hours_spread * self.draws.normal("reads", email)
        at_ms = sent_at_ms + round(reading.hours_median * math.exp(spread) * HOUR_MS)
        return _when_awake(at_ms, reading.wakes_at_hour, reading.sleeps_at_hour, time_zone)

    def answers(self, person: Person, introduction: str, score: float, now_ms: int) -> Answer:
        """To an invitation, once it has been read."""
        assumed = self.assumed.answering
        weeks = min(_WEEKS_COUNTED_MAX, max(0, now_ms - person.waits_since_ms) / (7 * DAY_MS))
        yes = _chance(
            assumed.says_yes,
            (assumed.odds_per_point_of_openness, person.ease - _NEUTRAL_OPENNESS),
            (assumed.odds_per_tenth_of_score, (score - _NEUTRAL_SCORE) * 10),
            (assumed.odds_per_week_waited, weeks),
            (assumed.odds_per_disappointment, person.disappointments),
            log_odds=person.readiness,
        )
        if self.draws.says(yes, "yes", introduction, person.member):
            return Answer.YES
        chance = self.draws.uniform("no", introduction, person.member)
        if chance < assumed.no_instead_of_silence:
            return Answer.NO
        return (
            Answer.PAUSE
            if chance < assumed.no_instead_of_silence + assumed.pause_instead_of_silence
            else Answer.SILENCE
        )

    def thinks_again(self, person: Person, introduction: str, score: float, now_ms: int) -> Answer:
        """Of who has not answered, once the reminder has been read."""
        if not self.draws.says(self.assumed.answering.answers_the_reminder, "reminded", introduction, person.member):
            return Answer.SILENCE
        return self.answers(person, f"{introduction}/reminded", score, now_ms)

    def would_have(self, person: Person, seat: str) -> Answer:
        """A member of a standing group, asked about a newcomer."""
        yes = self.draws.says(self.assumed.answering.yes_to_a_newcomer, "newcomer", seat, person.member)
        return Answer.YES if yes else Answer.NO

    def goes(self, person: Person, introduction: str, occasion: int, *, meeting: int, standing: bool = False) -> bool:
        """To the date, `meeting` being the how manieth it is."""
        chance = self.assumed.standing.goes if standing else self.assumed.meeting.goes
        if not standing and meeting > 1:
            chance = self.assumed.meeting.goes_again
        return self.draws.says(chance, "goes", introduction, occasion, person.member)

    def gets_past_small_talk(
        self, came: Sequence[Person], introduction: str, occasion: int, *, meeting: int, opener_came: bool
    ) -> bool:
        """What becomes of a meeting, for all who came."""
        assumed = self.assumed.meeting
        chance = _chance(
            assumed.past_small_talk,
            (assumed.odds_with_an_opener, 1 if opener_came else 0),
            (assumed.odds_per_point_of_openness, fmean(person.ease for person in came) - _NEUTRAL_OPENNESS),
            (assumed.odds_per_earlier_meeting, meeting - 1),
        )
        return self.draws.says(chance, "deeper", introduction, occasion)

    def tells(self, person: Person, introduction: str, occasion: int) -> bool:
        return self.draws.says(self.assumed.meeting.tells, "tells", introduction, occasion, person.member)

    def wants_again(
        self, person: Person, introduction: str, occasion: int, *, meeting: int, deeper: bool, score: float
    ) -> bool:
        assumed = self.assumed.meeting
        chance = _chance(
            assumed.again,
            (assumed.odds_past_small_talk, 1 if deeper else 0),
            (assumed.odds_again_per_tenth_of_score, (score - _NEUTRAL_SCORE) * 10),
            (assumed.odds_again_per_earlier_meeting, meeting - 1),
        )
        return self.draws.says(chance, "again", introduction, occasion, person.member)

    def offers_to_open(self, person: Person, introduction: str) -> bool:
        return self.draws.says(self.assumed.meeting.offers_to_open, "opens", introduction, person.member)

    def blocks(
        self, person: Person, others: Sequence[str], introduction: str, occasion: int
    ) -> tuple[str, bool] | None:
        """Whom they never want to see again after a meeting, and whether they report them; mostly nobody."""
        where = (introduction, occasion, person.member)
        if not others or not self.draws.says(self.assumed.meeting.blocks, "blocks", *where):
            return None
        whom = others[int(self.draws.uniform("whom", *where) * len(others))]
        return whom, self.draws.says(self.assumed.meeting.reports_instead_of_blocks, "reports", *where)

    def leaves_the_group(self, person: Person, introduction: str, date: int) -> bool:
        return self.draws.says(self.assumed.standing.leaves_per_date, "leaves", introduction, date, person.member)

    def gives_up(self, person: Person) -> bool:
        """After a disappointment, which has been counted."""
        chance = self.assumed.joining.leaves_after_a_disappointment
        return self.draws.says(chance, "gives up", person.member, person.disappointments)

    def joins_at_ms(self, number: int, members: int, began_at_ms: int, days: int) -> int:
        """When the n-th of the members signs up, n from 0."""
        at_the_start = round(members * self.assumed.joining.there_at_the_start)
        if number < at_the_start:
            return began_at_ms + round(self.draws.uniform("joins", number) * HOUR_MS)
        return began_at_ms + round(HOUR_MS + self.draws.uniform("joins", number) * (days * DAY_MS - HOUR_MS))


def _chance(base: float, *odds: tuple[float, float], log_odds: float = 0.0) -> float:
    """A share whose odds are multiplied: each factor as often as its number says.

    >>> round(_chance(0.5, (3.0, 1)), 2), _chance(0.0, (2.0, 1)), _chance(1.0, (0.5, 3))
    (0.75, 0.0, 1.0)
    """
    if base in (0.0, 1.0):
        return base
    total = math.log(base / (1 - base)) + log_odds + sum(times * math.log(factor) for factor, times in odds)
    return 1 / (1 + math.exp(-total))


def _when_awake(at_ms: int, wakes_at: int, sleeps_at: int, time_zone: str) -> int:
    """The same time, or in the morning after a night, at some minute within two hours."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(_zone(time_zone))
    if wakes_at <= at.hour < sleeps_at:
        return at_ms
    day = at.date() if at.hour < wakes_at else at.date() + timedelta(days=1)
    morning = datetime(day.year, day.month, day.day, wakes_at, tzinfo=_zone(time_zone))
    return round(morning.timestamp() * 1000) + at_ms % (2 * HOUR_MS)


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
