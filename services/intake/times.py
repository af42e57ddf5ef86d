"""When people are free, in words or codes: "Tuesday evenings", "weekends", "Mon-Thu after 6pm", "tue-evening".

A text is read as days and parts of the day that belong together; what is not named
means all of it ("Saturdays", "evenings"). The words lie in `words/slots.yaml`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple

from services.intake.hours import PARTS, UP_TO, parts_around, parts_at, parts_between
from services.intake.spelling import NearMisses
from services.intake.vocabulary import read_words
from shared.slots import ALL_SLOTS_MASK, SLOTS, mask_of

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALL_DAYS = frozenset(_DAYS)
_ALL_PARTS = frozenset(PARTS)
_WORKING_DAYS = frozenset(_DAYS[:5])
_TOKEN = re.compile(r"\d{1,2}(?:[:.]\d\d)?\s?(?:am|pm)?|[^\W\d_]+(?:'[^\W\d_]+)?|[-,;&+/()]")
_NUMBERS = ("-", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(rf"\b(?:{'|'.join(_NUMBERS[1:])})\b")
_DASHES = str.maketrans("–—’_", "--' ")
_DAY_OR_PART = "(?:mon|tues|wednes|thurs|fri|satur|sun)day|weekend|weekday|evening|morning|afternoon|night"
_USUALLY = (
    (re.compile(r"[!?]+"), ","),
    (re.compile(r"[^\w\s:.,;&+/()'@-]+|(?<=\s)[.']+(?=\s)"), " "),
    (re.compile(r"@"), " at "),
    (re.compile(rf"\b({_DAY_OR_PART})[' ]s\b"), r"\1s"),
    (re.compile(r"\bb4\b"), "before"),
    (re.compile(r"(?<=\w)[ ,(]+(?:in |during )?term[- ]?time(?: only)?\b"), " "),
    (re.compile(r"\b(?:wks?|week)[- ](end|day|night)(s?)\b"), r"week\1\2"),
    (re.compile(r"\bsat(?:a|e|u|t)*r?days?\b"), "saturday"),
    (re.compile(r"\b(?:not|never|no) (?:b4|before|earlier than|until|till|til)(?: after)?\b"), "after"),
    (re.compile(r"\b(?:not|never|no) (?:after|past|later than)\b"), "before"),
    (
        re.compile(
            r"^(?:i'm |im |i )?(?:work|working|at work|on shift)\b[^,;.]*[,;.]\s*(?:(?:but|and|so) )?(?:i'm |im )?"
            r"(?:off|free|not working)\b"
        ),
        " ",
    ),
    (re.compile(r"\bany ?time (after|before|from|past)\b"), r"\1"),
    (re.compile(r"\b(?:after|past|post|from) (?:sunset|sundown|dusk|maghrib|iftar|havdalah)\b"), "after dark"),
)
"""Other ways to write the same, brought to one before anything is read; the first takes out what is no word."""
_DAY_FREE = re.compile(
    rf"(?:^|[,;&]\s*|\band )((?:{_DAY_OR_PART})s?) (?:(?:is|are|i'm|im) )?(?:all |totally |mostly )?(?:free|all day)\b"
    r"(?=\s*(?:[,;&]|and\b|$))"
)
"""A whole day beside others of which only a part is told: "after sunset on Saturdays, Sundays free"."""
_BRACKETS = re.compile(r"\([^()]*\)?")
_AROUND_SOMETHING = re.compile(
    r"\b(?:after|before|around|between|outside|because of|due to|for) (?:(?:the|my|our|their|early|late|his|her) )*"
    r"[^\W\d]+(?: (?!and\b|or\b|but\b|on\b)[^\W\d]+){0,2}?(?=\s*(?:[,;/&+.]|\band\b|\bor\b|$))"
)
"""When in somebody's own life: "after the early mass". Left out if the rest tells the time."""
_STARTS_WITH_EXCEPT = re.compile(r"^(?:not|no|never|except|can't do|cant do|can't|cant|excluding|busy|apart from)\b")
_THEN = re.compile(r"[,;.]\s+|\s+-+\s+|\b(?:otherwise|but|rest is|rest of)\b")
_GLADLY = re.compile(
    r"\b(?:ok|okay|best|good|great|fine|free|works?|please|only|prefer\w*|ideal\w*|perfect|yes|rest|otherwise|all|any|"
    r"anytime|other|suits?|available|can do)\b"
)
_OCCUPIED = re.compile(
    r"\b(?:work|working|works|shifts?|busy|taken|booked|"
    r"hard|difficult|tricky|impossible|nightmare|hate|worst|avoid|bad|"
    r"rubbish|never|not|no|cant|can't|cannot|dont|don't|wont|won't|unless|except|depends?|depending|varies|vary|have|"
    r"has|got|class|tired|away|full|reserved|asleep|sleep|rest)\b"
)
_AT_WORK = re.compile(r"\b(?:work|working|works|busy|shifts?)\b")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ODD_WORDS_MAX = 3
_WRITTEN_OTHERWISE = (
    (re.compile(r"\b([ap])\.\s?m\b\.?"), r"\1m"),
    (re.compile(r"\b\d(?:st|nd|rd|th)\b"), " "),
    (re.compile(r"\b(after|from|before|until|till) (?:about|around|roughly)\b"), r"\1"),
    (re.compile(r"\b([01]\d|2[0-3])([0-5]\d)\b(?!\s?[ap]m)"), r"\1:\2"),
    (re.compile(r"(\d{1,2}(?:[:.]\d\d)?\s?(?:am|pm)?)\s?(?:onwards?|\+|(?:or|and) (?:later|after))"), r"from \1"),
)
_CLAUSES = re.compile(
    r"\b(?:while|whilst|when|because|cos|coz|as long as|as i|as my|so|since|if|provided|depend(?:s|ing)|"
    r"but(?! (?:not?|never|for)\b))\b|[.!;]\s|\s-\s|"
    r",\s*(?=(?:i|we|my|the|kids|wife|husband|partner|as|it|its|that|got)\b)"
)
"""What follows says why or on what condition: of no meaning if the rest is understood."""
_NEAR_LETTERS_MIN = 5
_CODE_LETTERS_MAX = 13
_PHRASE_WORDS_MAX = 5
_TEXT_LETTERS_MAX = 120
_REMEMBERED = 16_384
_JOINING = frozenset({"and", "&", "+", "/", ";", "plus", "also"})
_BELONGING = frozenset({"on", "at", "in", "during", "over"})
_AROUND = {"after": "after", "from": "after", "past": "after", "post": "after", "before": "before", "by": "before",
           "until": "before", "till": "before", "til": "before"}  # fmt: skip


class _Days(NamedTuple):
    days: frozenset[str]
    named: bool
    """A single day by its name, and not a word for several."""


class _Parts(NamedTuple):
    parts: frozenset[str]
    unless_told: frozenset[str] = _ALL_DAYS
    """The days that are meant if none is named."""


class _BareHour(NamedTuple):
    """An hour without its half of the day: understood beside a day ("Tuesdays at 7"), and not by itself."""

    parts: _Parts


_Token = _Days | _Parts | str


class Times:
    """Reads times by the words of `words/slots.yaml`."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._phrases: dict[tuple[str, ...], _Token] = {}
        for days, phrases in content["days"].items():
            meaning = frozenset(_listed(days))
            self._add(phrases, _Days(meaning, named=len(meaning) == 1))
        working = {tuple(phrase.split()) for phrase in content["working days only"]}
        for parts, phrases in content["parts"].items():
            for phrase in phrases:
                days = _WORKING_DAYS if tuple(phrase.split()) in working else _ALL_DAYS
                self._add([phrase], _Parts(frozenset(_listed(parts)), days))
        for both, phrases in content["both"].items():
            days, _, parts = both.partition(":")
            self._add(phrases, _Parts(frozenset(_listed(parts)), frozenset(_listed(days))))
        self._add(content["except"], "except")
        self._add(content["of no meaning"], "")
        self._words = frozenset(word for phrase in self._phrases for word in phrase)
        single = (phrase[0] for phrase, meaning in self._phrases.items() if len(phrase) == 1 and meaning)
        self._near = NearMisses(word for word in single if len(word) > _NEAR_LETTERS_MIN)
        self.read = lru_cache(maxsize=_REMEMBERED)(self._read)

    def _add(self, phrases: Iterable[str], meaning: _Token) -> None:
        for phrase in phrases:
            self._phrases.setdefault(tuple(phrase.split()), meaning)

    def _read(self, text: str) -> int:
        """The slots that a text means, as the mask of `shared.slots`; 0 if it is not understood, or means none."""
        text = unicodedata.normalize("NFKC", text).translate(_DASHES).casefold()
        if len(text) > _TEXT_LETTERS_MAX:
            return 0
        if len(text) <= _CODE_LETTERS_MAX and (mask := self._mask_of(text)):
            return mask
        for pattern, usual in _USUALLY:
            text = pattern.sub(usual, text)
        if (day := _DAY_FREE.search(text)) and (others := text[: day.start()] + text[day.end() :]).strip(" ,;&"):
            rest, free = self._read(others), self._mask_of(day[1])
            return rest | free if rest and free else 0
        return self._whole(text) or self._without_asides(text)

    def _whole(self, text: str) -> int:
        # What follows "so" is what was meant: "I work nights so mornings are best".
        mask = (" so " in text and self._so(*text.rsplit(" so ", 1))) or self._but_then(text)
        mask = mask or self._each_of(text) or self._mask_of(text)
        if not mask and len(clauses := _CLAUSES.split(text)) > 1:
            mask = next((found for clause in clauses if (found := self._mask_of(clause))), 0)
        return mask

    def _so(self, before: str, after: str) -> int:
        """What follows is meant; on the days before it, if it names none: "wfh Tuesdays so lunchtimes"."""
        days = [meaning for word in _WORD.findall(before) if isinstance(meaning := self._phrases.get((word,)), _Days)]
        none_after = not any(isinstance(self._phrases.get((word,)), _Days) for word in _WORD.findall(after))
        if days and none_after and not _AT_WORK.search(before) and (mask := self._mask_of(f"{before} {after}")):
            return mask
        return self._mask_of(after)

    def _each_of(self, text: str) -> int:
        """All that semicolons set apart, if each part is understood: "Thursdays 19:30 - 22:00; Saturdays 14:00"."""
        parts = [part for part in text.split(";") if part.strip()]
        masks = [self._mask_of(part) for part in parts] if len(parts) > 1 else []
        return 0 if not all(masks) else reduce(or_, masks, 0)

    def _but_then(self, text: str) -> int:
        """Of "not Fridays, other evenings ok" the second, less the first; 0 if the text is not of that form."""
        if not _STARTS_WITH_EXCEPT.match(text):
            return 0
        for joint in _THEN.finditer(text):
            excepted, meant = text[: joint.start()], text[joint.start() :]
            if _GLADLY.search(meant) and not _STARTS_WITH_EXCEPT.match(meant.lstrip(" ,;.-")):
                left, wanted = self._mask_of(excepted), self._mask_of(meant)
                if left and wanted:
                    return wanted & left or wanted
        return 0

    def _without_asides(self, text: str) -> int:
        """What is left without what says why, or when in somebody's own life, if that tells a time."""
        bare = _BRACKETS.sub(" ", text)
        if bare != text and (mask := self._whole(bare)):
            return mask
        shorter = _AROUND_SOMETHING.sub(self._unless_told, bare)
        if shorter != bare and (mask := self._whole(shorter)):
            return mask
        if _OCCUPIED.search(shorter):
            return 0
        odd = [word for word in _WORD.findall(shorter) if not self._has(word)]
        if not 0 < len(odd) <= _ODD_WORDS_MAX:
            return 0
        return self._whole(re.sub(rf"\b(?:{'|'.join(map(re.escape, odd))})\b", " ", shorter))

    def _unless_told(self, something: re.Match[str]) -> str:
        _, *words = something[0].split()
        return something[0] if any(isinstance(self._phrases.get((word,)), _Days | _Parts) for word in words) else " "

    def _has(self, word: str) -> bool:
        return (
            word in self._words
            or word in _AROUND
            or word in _JOINING
            or word in _BELONGING
            or word in UP_TO
            or word in ("between", "am", "pm")
            or self._mistyped(word) is not None
        )

    def _mask_of(self, text: str) -> int:
        tokens = self._tokens(text)
        if tokens is None:
            return 0
        cut = tokens.index("except") if "except" in tokens else len(tokens)
        meant = _mask(tokens[:cut]) if cut or not tokens else ALL_SLOTS_MASK
        without = [one for one in tokens[cut:] if one != "except"]
        if meant is None or (not without and cut < len(tokens)):
            return 0
        return _without(meant, without) if without else meant

    def _tokens(self, text: str) -> list[_Token] | None:
        text = _NUMBER.sub(lambda word: str(_NUMBERS.index(word[0])), text)
        if _DIGIT.search(text):
            for pattern, usual in _WRITTEN_OTHERWISE:
                text = pattern.sub(usual, text)
        if re.sub(_TOKEN, "", text).strip(" .!?\t\n"):
            return None
        words = [word.strip() for word in _TOKEN.findall(text)]
        tokens: list[_Token | _BareHour] = []
        place = 0
        while place < len(words):
            token, length = self._next(words, place)
            if token is None:
                return None
            place += length
            if token:
                tokens.append(token)
        told = _half_told(tokens)
        return None if told is None else _ranges(told)

    def _next(self, words: Sequence[str], place: int) -> tuple[_Token | _BareHour | None, int]:
        """The token at a place and how many words it takes; an empty one means nothing, `None` is not understood."""
        for length in range(min(_PHRASE_WORDS_MAX, len(words) - place), 0, -1):
            meaning = self._phrases.get(tuple(words[place : place + length]))
            if meaning is not None:
                return meaning, length
        word, ahead = words[place], words[place + 1 :]
        if word in ("between", "from") and len(ahead) > 2 and (parts := parts_between(ahead[:3])):
            return _Parts(parts), 4
        if len(ahead) > 1 and (parts := parts_between(words[place : place + 3])):
            return _Parts(parts), 3
        if word in _AROUND and ahead:
            if parts := parts_around(_AROUND[word], ahead[0]):
                return _Parts(parts), 2
            if word in ("after", "before"):
                return None, 1
        if found := parts_at(word):
            parts, half_is_told = found
            return (_Parts(parts) if half_is_told else _BareHour(_Parts(parts))), 1
        if word in _JOINING:
            return "and", 1
        if word == ",":
            return ",", 1
        if word in _BELONGING:
            return "on", 1
        if word in UP_TO:
            return "-", 1
        return self._mistyped(word), 1

    def _mistyped(self, word: str) -> _Token | None:
        """What a long word was surely meant to be: "wedensday", and nothing else that is near."""
        if len(word) < _NEAR_LETTERS_MIN:
            return None
        meant = list(dict.fromkeys(self._phrases[(near,)] for near in self._near.of(word)))
        return meant[0] if len(meant) == 1 else None


def _half_told(tokens: Sequence[_Token | _BareHour]) -> list[_Token] | None:
    """Hours without am or pm resolved: where "evening" tells the half of the day, they tell nothing more."""
    told = [token for token in tokens if not isinstance(token, _BareHour)]
    if len(told) == len(tokens) or any(isinstance(token, _Parts) for token in told):
        return told
    if any(isinstance(token, _Days) for token in told):
        return [token.parts if isinstance(token, _BareHour) else token for token in tokens]
    return None


def _ranges(tokens: list[_Token]) -> list[_Token] | None:
    """Monday to Friday becomes five days; any other hyphen ("tue-evening") means that two belong together."""
    read: list[_Token] = []
    for token in tokens:
        if len(read) > 1 and read[-1] == "-" and isinstance(token, _Days):
            start = read[-2]
            if not (isinstance(start, _Days) and start.named and token.named):
                return None
            first, last = (_DAYS.index(next(iter(one.days))) for one in (start, token))
            days = _DAYS[first : last + 1] if first <= last else _DAYS[first:] + _DAYS[: last + 1]
            read[-2:] = [_Days(frozenset(days), named=True)]
        else:
            read.append(token)
    return [one for one in read if one != "-"]


def _without(meant: int, tokens: Sequence[_Token]) -> int:
    """What is meant less what is excepted; what follows an exception, and was not meant, is added.

    "Weekday evenings except Fridays, and weekends": nobody excepts what was not there.
    """
    for place, token in enumerate(tokens):
        if token in ("and", ",") and (added := _mask(tokens[place:])) and not added & meant:
            excepted = _mask(tokens[:place])
            if excepted is not None:
                return meant & ~excepted | added
    excepted = _mask(tokens)
    return 0 if excepted is None else meant & ~excepted


def _mask(tokens: Sequence[_Token]) -> int | None:
    """All that days and parts in a row mean. Days and the parts next to them belong together; see the tests."""
    clauses: list[tuple[_Days | None, _Parts | None]] = []
    days: _Days | None = None
    parts: _Parts | None = None
    days_came_last = False
    joint = ""
    for place, token in enumerate(tokens):
        if isinstance(token, str):
            joint = joint or token if token == "on" else token  # noqa: S105
            continue
        if isinstance(token, _Days):
            if days is None and (parts is None or joint in ("", "on")):
                days = token
            elif days is not None and days_came_last and (days.named == token.named or not joint):
                days = _Days(days.days | token.days, token.named)
            else:
                clauses.append((days, parts))
                days, parts = token, None
        else:
            own_days_follow = any(isinstance(later, _Days) for later in tokens[place + 1 : place + 3]) and (
                len(tokens) > place + 1 and tokens[place + 1] == "on"
            )
            if parts is None and not (days is not None and joint == "and"):
                parts = token
            elif parts is not None and not days_came_last and not own_days_follow:
                parts = _joined(parts, token, closely=not joint)
            else:
                clauses.append((days, parts))
                days, parts = None, token
        days_came_last = isinstance(token, _Days)
        joint = ""
    clauses.append((days, parts))
    mask = 0
    for own_days, own_parts in clauses:
        if own_days is None and own_parts is None:
            return None
        on = own_days.days if own_days is not None else own_parts.unless_told if own_parts is not None else _ALL_DAYS
        when = own_parts.parts if own_parts is not None else _ALL_PARTS
        mask |= mask_of(slot for slot in SLOTS if slot[:3] in on and slot[4:] in when)
    return mask


def _joined(one: _Parts, other: _Parts, *, closely: bool) -> _Parts:
    """Both of two parts ("mornings, evenings"); or what they have in common, where one explains the other.

    "Afternoons after 2pm" are no evenings, and "mornings before work" none at the weekend.
    """
    common = one.parts & other.parts
    if closely and common:
        return _Parts(common, one.unless_told & other.unless_told or _ALL_DAYS)
    return _Parts(one.parts | other.parts, one.unless_told | other.unless_told)


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


@cache
def times() -> Times:
    """The reader of times."""
    return Times(read_words("slots.yaml"))
