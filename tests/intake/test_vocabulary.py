"""The words that are known: no two alike, quick to look up, never corrected away; times and places in words."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.london import people
from services.intake.gazetteer import Gazetteer, Place, distance_km, load_gazetteers, on_grid
from services.intake.spelling import NearMisses, key_of, slips
from services.intake.times import times
from services.intake.vocabulary import Vocabulary, VocabularyError, interests, life_topics
from shared.community import load_communities
from shared.slots import ALL_SLOTS_MASK, SLOTS, slots_in


@cache
def london() -> Gazetteer:
    return load_gazetteers(load_communities(Path(__file__).parents[2] / "communities"))["london"]


def test_every_known_word_is_kept_as_itself() -> None:
    for vocabulary in (interests(), life_topics()):
        for group, words in vocabulary.groups.items():
            assert words, group
            for word in words:
                assert vocabulary.understand(word).kept == (word,)


def test_the_synthetic_london_keeps_its_words() -> None:
    for theme in people().themes.values():
        assert interests().words(theme.interests) == theme.interests


def test_a_way_of_writing_that_stands_under_two_words_is_named() -> None:
    with pytest.raises(VocabularyError, match=r"'pool' is under both 'swimming' and 'snooker'"):
        Vocabulary({"Sport": {"swimming": ["pool"], "snooker": ["Pool"]}})


def test_words_of_ones_own_stay_and_each_is_kept_once() -> None:
    kept = interests().words(["Ghanaian cooking", "footie", "Soccer", "🙂", "Straw-bale  houses"])
    assert kept == ("ghanaian cooking", "football", "straw bale houses")


@given(st.text(max_size=60))
def test_whatever_is_written_is_understood_somehow_and_keeping_it_again_changes_nothing(text: str) -> None:
    for vocabulary in (interests(), life_topics()):
        kept = vocabulary.understand(text).kept
        assert all(word.strip() == word != "" for word in kept)
        assert vocabulary.words(kept) == tuple(dict.fromkeys(kept))
    london().find(text)
    times().read(text)


@given(st.text("abc ", min_size=4, max_size=9), st.lists(st.text("abc ", min_size=4, max_size=9), max_size=30))
def test_near_misses_are_those_that_comparing_with_each_would_find(word: str, known: list[str]) -> None:
    def reach(text: str) -> int:
        return 1 if len(text) < 8 else 2

    wanted = {one for one in known if slips(word, one) <= min(reach(word), reach(one))}
    found = NearMisses(known).of(word)
    assert wanted <= set(found) or len(found) == 3
    assert all(slips(word, one) <= reach(word) for one in found)


def test_looking_for_what_nobody_knows_does_not_hold_anybody_up() -> None:
    odd = [f"qx{number:06d} zw unheard of thing" for number in range(300)]
    began = time.process_time()
    for word in odd:
        interests().understand(word)
    ours = time.process_time() - began
    began = time.process_time()
    keys = [key_of(word) for words in interests().groups.values() for word in words]
    for word in odd[:10]:
        for key in keys:
            slips(word, key)
    comparing_each = (time.process_time() - began) * 30
    assert ours < comparing_each / 4


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Fri-Mon mornings", ["mon-morning", "fri-morning", "sat-morning", "sun-morning"]),
        ("weekdays and Saturday mornings", [*SLOTS[:15], "sat-morning"]),
        ("Tuesday evenings and mornings at weekends", ["tue-evening", "sat-morning", "sun-morning"]),
        ("Tuesday before 12", ["tue-morning"]),
        ("Wed 6:30pm", ["wed-evening"]),
        ("Sunday, afternoon", ["sun-afternoon"]),
        ("Mondays 6-9pm", ["mon-evening"]),
        ("Mondays 10am to 2pm", ["mon-morning"]),
        ("not Mondays", list(SLOTS[3:])),
        ("always, but not Sundays", [slot for slot in SLOTS if not slot.startswith("sun")]),
        ("Mondays 9-5", ["mon-morning", "mon-afternoon"]),
        ("Mondays 2pm-9pm", ["mon-afternoon", "mon-evening"]),
        ("Tuesdays at 7ish", ["tue-evening"]),
        ("wedensday evening", ["wed-evening"]),
        ("Monday and Friday evenings except Fridays, and Sundays all day", ["mon-evening", *SLOTS[18:]]),
        ("weekday evenings except Monday, Tuesday", ["wed-evening", "thu-evening", "fri-evening"]),
        ("I work evenings so Monday mornings are best", ["mon-morning"]),
        ("Sunday mornings while the kids are at football", ["sun-morning"]),
        ("Sunday mornings after the early mass", ["sun-morning"]),
        ("not before 6 on Mondays", ["mon-evening"]),
        ("not Fridays, weekday evenings ok", ["mon-evening", "tue-evening", "wed-evening", "thu-evening"]),
        ("wfh Tuesdays so lunchtimes", ["tue-afternoon"]),
        ("working Sat, off Mon", list(SLOTS[:3])),
        ("Thursdays 19:30 - 22:00; Saturdays 14:00-17:00", ["thu-evening", "sat-afternoon"]),
        ("Mondays in the evening (choir)", ["mon-evening"]),
        ("evenings are a nightmare", []),
    ],
)  # fmt: skip
def test_times_in_words(text: str, codes: list[str]) -> None:
    assert list(slots_in(times().read(text))) == codes


@pytest.mark.parametrize("text", ["", "never", "except", "25pm", "x" * 121, "-", "and", "1", "I work", "when it rains"])
def test_times_that_mean_nothing(text: str) -> None:
    assert times().read(text) == 0


@pytest.mark.parametrize("slot", SLOTS)
def test_every_code_means_itself(slot: str) -> None:
    assert slots_in(times().read(slot)) == (slot,)
    assert times().read("any time") == ALL_SLOTS_MASK


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-80, 80), st.floats(-180, 180))
def test_places_are_stored_no_finer_than_500_metres(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> None:
    one, other = on_grid(lat_a, lon_a), on_grid(lat_b, lon_b)
    assert one == other or distance_km(*one, *other) > 0.499
    assert on_grid(*one) == one


def test_the_nearest_place_is_the_one_that_measuring_each_would_find() -> None:
    for latitude, longitude in [(51.512, -0.205), (51.4, 0.1), (51.7, -0.4)]:
        nearest = min(
            london().places, key=lambda place: distance_km(place.latitude, place.longitude, latitude, longitude)
        )
        assert london().nearest(latitude, longitude) == nearest
    assert london().nearest(48.85, 2.35) is None


def test_every_place_that_is_offered_can_be_sent() -> None:
    for place in london().places:
        assert [found.name for found in london().find(place.name).places] == [place.name]


def test_boroughs_are_where_they_are() -> None:
    for name, point in {"Haringey": (51.59, -0.11), "Newham": (51.53, 0.03), "Merton": (51.41, -0.20)}.items():
        place: Place = london().find(name).places[0]
        assert distance_km(place.latitude, place.longitude, *point) < 3


@pytest.mark.parametrize(
    ("name", "latitude", "longitude"),
    [
        ("Southgate", 51.6323, -0.1279),
        ("Stratford", 51.5418, -0.0033),
        ("Sutton", 51.3595, -0.1912),
        ("Willesden", 51.5461, -0.2348),
        ("Kilburn High Road", 51.5373, -0.1922),
        ("Hendon Central", 51.5830, -0.2265),
        ("Highgate Village", 51.5710, -0.1478),
        ("Wandsworth Town", 51.4611, -0.1881),
        ("Barking Riverside", 51.5188, 0.1163),
        ("Gallions Reach", 51.5090, 0.0716),
        ("Turkey Street", 51.6726, -0.0472),
    ],
)
def test_a_name_leads_to_where_it_is_in_london(name: str, latitude: float, longitude: float) -> None:
    place: Place = london().find(name).places[0]
    assert distance_km(place.latitude, place.longitude, latitude, longitude) < 1.5


@pytest.mark.parametrize(
    ("text", "kept", "suggested"),
    [
        ("painting (watercolour)", ["watercolour"], []),
        ("gardening (I have an allotment)", ["gardening"], []),
        ("live music nights", ["live music"], []),
        ("chess, stuff", ["chess"], []),
        ("sketching in cafes", ["drawing"], []),
        ("gardning & chess", ["gardning", "chess"], ["gardening"]),
        ("playing badmington", ["playing badmington"], ["badminton"]),
        ("rock and stone collecting", ["rock and stone collecting"], []),
        ("had a go at an open mic once", ["open mic nights"], []),
        ("dominoes at the club, the loud ones", ["dominoes"], []),
        ("chess, straw bale houses", ["chess", "straw bale houses"], []),
        ("i love ghanaian cooking", ["i love ghanaian cooking"], []),
        ("anything but football", ["anything but football"], []),
        ("hate running, love cycling", ["cycling"], []),
        ("volunteering at a food bank", ["volunteering"], []),
        ("board games (coffee)", ["board games", "coffee"], []),
        ("creative writting at home", ["creative writting at home"], ["creative writing"]),
    ],
)
def test_what_stands_around_a_word_is_seen_through(text: str, kept: list[str], suggested: list[str]) -> None:
    understood = interests().understand(text)
    assert (list(understood.kept), list(understood.did_you_mean[:1])) == (kept, suggested)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Leyton or Stratford", ["Leyton", "Stratford"]),
        ("E8 or E5", ["Hackney", "Clapton"]),
        ("W1T 4PJ", ["Fitzrovia"]),
        ("SE 15", ["Peckham"]),
        ("East London (Bow)", ["Bow"]),
        ("Angel Islington", ["Angel"]),
        ("the flat above the shop, Brixton", ["Brixton"]),
        ("51.4627, -0.1145", ["Brixton"]),
        ("48.8566, 2.3522", []),
        ("Westfield, Stratford", ["Stratford"]),
        ("zone 2", []),
        ("Belmont, Sutton", ["Belmont near Sutton"]),
        ("Heathrow way, Hayes", ["Hayes near Uxbridge"]),
        ("I work in Soho but live in Lee", ["Lee"]),
        ("the Walthamstow end of Leyton", ["Leyton"]),
        ("used to be Brixton, now Penge", ["Penge"]),
        ("somewhere on the Victoria line", []),
        ("Finsbury", ["Clerkenwell", "Finsbury Park"]),
        ("the West End of London", ["West End"]),
        ("South Tottenham station", ["South Tottenham"]),
        ("E18", ["South Woodford"]),
        ("TW6", ["Heathrow"]),
    ],
)
def test_places_in_words(text: str, names: list[str]) -> None:
    assert [place.name for place in london().find(text).places] == names


def test_a_part_of_the_city_is_answered_with_choices() -> None:
    for name in ("south london", "anywhere in East London", "north of the river"):
        assert len(london().find(name).places) == 5


def test_a_town_elsewhere_is_not_taken_for_a_slip() -> None:
    assert london().find("Brighton") == ((), ())
    assert london().find("Brightin").places == ()
    assert london().find("Brixtin").did_you_mean == ("Brixton",)
