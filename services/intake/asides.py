"""What people say beside the thing itself: "mudlarking!! got my permit last yr". Pure.

Who writes as they speak tells a thing and comments on it. A comment is known by its little
words, and is left out where something else is known; a thing that is known is heard within
a sentence if it stands there whole, with nothing around it but such little words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

Meaning = TypeVar("Meaning")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TOLD = _words(
    """
    i im ive id ill me u you youre youll we were weve us they theyre them he she hes shes it its thats theres is
    are am was isnt arent aint wasnt be been being do does did dont doesnt didnt done doing can cant could
    couldnt will would wont wouldnt shall should might must may have has had havent hasnt having got gotta get
    gets getting need needs needed want wants wanted wanna gonna no not never ever what wot whats who whos whose
    which how why if because cos coz cause although though tho unless until till while whilst when whenever
    since please pls plz plss ask idk dunno iirc imo imho fyi atm lol lmao haha hehe ha tbh innit init ngl obvs
    soz sorry hi hiya yes yeah yep nope nah ok okay omg sadly hopefully luckily apparently honestly actually
    literally basically still again already yet now nowadays lately currently recently anymore always usually
    sometimes mostly mainly once twice ages yr yrs year years month months mth mths week weeks wk wks ago last
    next today yesterday tomorrow ones too also even that this join joined start started starting took take
    taken tried try trying used bought made make makes go goes going went gone loved love loves like likes liked
    enjoy enjoyed enjoys prefer hoping hope wish looking look looked learnt learned finished finishing keep
    keeps kept know knows known think thinks thought feel feels feeling find found say says said work works
    working worked live living lives come comes came help helps helped helping waiting wait
    fighting struggling coping dealing jan feb mar apr jun
    jul aug sept oct nov dec january february march april june july august september october november december
    christmas summer winter spring autumn hate hates hated dislike stand
    """
)
"""Words of who tells something, and does not only name it."""
_RELATING = _words("at for with w from on in by about around near after before during through w/ to into than")
_WHERE = _words("at on in by near around with w from to")
"""What follows says where or with whom, once something is told: "volunteering at a food bank"."""
_OF = _words("of a the")
_AND = _words("and n & + but also plus or then")
_OF_ONESELF = _words("i im ive my me our we us just got since still recently now finally")
_NAME_WORDS_MAX = 4
"""So few words with none that tells something are a name: "walks on the heath"."""
_LIKING = re.compile(
    r"^(?:(?:and|also|i|we|im|am|really|do|just|absolutely|mostly|mainly|especially) )*"
    r"(?:like|love|enjoy|into|adore|playing|play|doing|do|making|make|learning|watching) "
)
"""Who begins so names something, and comments on nothing: "I like straw bale houses"."""
_MY = _words("my our mine ours")
_LITTLE = _words(
    """
    a an the some any all and or n & + but so just bit lot lots loads few couple little more most less least
    much many very really quite pretty rather proper super such as out up off back down over there here again
    only maybe perhaps every each other another both either well good great big old new first own same stuff
    things thing bits etc him her his their your ur it hard easy nice bad badly massive huge total complete
    fully half day days daily weekly monthly nightly evening evenings morning mornings night nights weekend
    weekends mon tue tues wed thu thur thurs fri sat sun mondays tuesdays wednesdays thursdays fridays saturdays
    sundays monday tuesday wednesday thursday friday saturday sunday time times people someone somebody everyone
    anyone one others friends mates kids family wife husband partner mum dad sister brother son daughter
    """
)
_DENIED = _words(
    """
    no not never hate hates hated dislike cant cannot dont doesnt didnt wont isnt arent wasnt without except
    avoid stopped quit bored allergic nor neither
    """
)
_TAKEN_UP_AGAIN = frozenset({"but", "just", "only", "instead", "love", "prefer", "so"})
_DENIED_FOR_WORDS = 3
_WORDS_MAX = 40
_PHRASE_WORDS_MAX = 6


def is_comment(key: str, light: Collection[str] = ()) -> bool:
    """Whether a key only comments on what stands beside it.

    >>> is_comment("got my permit last yr"), is_comment("straw bale houses"), is_comment("the loud ones")
    (True, False, True)
    """
    words = _LIKING.sub("", key).split()
    return any(word in _TOLD for word in words) or all(
        word in _LITTLE or word in _RELATING or word in _MY or word in light or word.isdigit() for word in words
    )


def is_told(key: str) -> bool:
    """Whether a key tells of something and does not only name it: "dominoes with the elders", not "chess boxing"."""
    words = key.split()
    if not 1 < len(words) <= _WORDS_MAX:
        return False
    return any(word in _TOLD or word in _MY for word in words) or (
        len(words) > _NAME_WORDS_MAX and any(word in _RELATING or word in _OF for word in words)
    )


def is_of_oneself(key: str) -> bool:
    """Whether somebody tells of themselves: "just got my diagnosis", not "teaching English to asylum seekers"."""
    return not _OF_ONESELF.isdisjoint(key.split())


def heard(key: str, meaning: Callable[[str], Meaning | None], light: Collection[str]) -> Iterator[Meaning]:
    """What is known of what is told, in its order: whole phrases, with none but little words around them.

    "Ghanaian cooking" is not heard as cooking, nor "salsa verde" as salsa, nor "anything but football" as football.
    `meaning` is asked for the phrases, the longest first.
    """
    last_end = None
    words = key.split()
    for first, end, known in _whole(words, meaning, light):
        if last_end is None or not _says_where(words[last_end:first]):
            last_end = end
            yield known


def heard_at(
    key: str, meaning: Callable[[str], Meaning | None], light: Collection[str]
) -> Iterator[tuple[int, int, Meaning]]:
    """As much with the places of its first word and of the one behind its last, also of what only says where."""
    yield from _whole(key.split(), meaning, light)


def _whole(
    words: Sequence[str], meaning: Callable[[str], Meaning | None], light: Collection[str]
) -> Iterator[tuple[int, int, Meaning]]:
    found = list(_phrases(words, meaning))
    within = {place for first, end, _ in found for place in range(first, end)}

    def ends(place: int) -> bool:
        return not 0 <= place < len(words) or (place not in within and _is_light(words[place], light))

    for first, end, known in found:
        if ends(first - 1) and ends(end) and not _denied(words, first):
            yield first, end, known


def _phrases(words: Sequence[str], meaning: Callable[[str], Meaning | None]) -> Iterator[tuple[int, int, Meaning]]:
    place = 0
    while place < len(words):
        for length in range(min(_PHRASE_WORDS_MAX, len(words) - place), 0, -1):
            known = meaning(" ".join(words[place : place + length]))
            if known is not None:
                yield place, place + length, known
                place += length
                break
        else:
            place += 1


def _is_light(word: str, light: Collection[str]) -> bool:
    return word in _TOLD or word in _LITTLE or word in _RELATING or word in _MY or word in light or word[0].isdigit()


def _says_where(between: Sequence[str]) -> bool:
    where = next((place for place, word in enumerate(between) if word in _WHERE), None)
    return where is not None and _AND.isdisjoint(between[where:])


def _denied(words: Sequence[str], place: int) -> bool:
    for back in range(place - 1, max(-1, place - 1 - _DENIED_FOR_WORDS), -1):
        if words[back] == "but":
            return back > 0 and words[back - 1] in ("anything", "everything", "all", "any")
        if words[back] in _TAKEN_UP_AGAIN:
            return False
        if words[back] in _DENIED:
            return True
    return False
