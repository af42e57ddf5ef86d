"""Every sentence that a member reads lies in files, one folder a locale: this reads and checks them once.

    words/en-GB/phrases.yaml        subjects, slots, dates, numbers
               /prompts/*.yaml      the conversation ladder, one file a theme, and what goes
               /prompt-rules.yaml   with it: `catalogue` reads these
               /encouragement.yaml
               /invitation.mjml     an email's HTML (MJML, with Jinja2 inside), and
               /invitation.txt      its text
               /page.html, *.html   the pages that links lead to

MJML is compiled when the files are read, Jinja2 when an email is written. A mistake in a
file is found at start, and named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar, get_args
from zoneinfo import ZoneInfo

import mrml
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, TemplateNotFound
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.notifier.catalogue import CatalogueError, load_catalogue
from services.notifier.envelope import short_lines
from services.notifier.prompts import PROMPTS_PER_MEETING
from shared.contracts import EmailKind, SuggestionKind
from shared.slots import Slot

DEFAULT_LOCALE = "en-GB"
_INCLUDED = (
    "head.mjml", "masthead.mjml", "people.mjml", "date.mjml", "prompts.mjml", "agreement.mjml", "go-first-note.mjml",
    "foot.mjml",
)  # fmt: skip
_INCLUDE = re.compile(r'<mj-include path="([^"]*)"\s*/>')
SUBJECTS = (
    *(kind.value for kind in EmailKind if kind is not EmailKind.INVITATION),
    *(f"invitation_{kind}" for kind in SuggestionKind),
)
PREVIEWS = (*(kind.value for kind in EmailKind), "invitation_nothing_shared")


class WordsError(ValueError):
    """A file of words that cannot be used: says which, and what is wrong with it."""


class _Catalogue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CalendarPhrases(_Catalogue):
    summary: str
    description: str


class Phrases(_Catalogue):
    """The short phrases that emails are put together from."""

    subjects: dict[str, str]
    """By kind of email; an invitation has one for each kind of suggestion (`invitation_pair`)."""
    previews: dict[str, str]
    hello_subject: str
    calendar: CalendarPhrases
    every_week: str
    every_two_weeks: str
    every_weeks: str
    times: dict[int, str]
    numbers: dict[int, str]
    list_and: str
    list_comma: str
    slots: dict[Slot, str]
    date: str
    weekdays: Annotated[tuple[str, ...], Field(min_length=7, max_length=7)]
    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]
    prompt_moments: Annotated[tuple[str, ...], Field(min_length=PROMPTS_PER_MEETING, max_length=PROMPTS_PER_MEETING)]

    def listed(self, words: Sequence[str]) -> str:
        """Some words as one would say them: "books, running and cooking"; empty for none."""
        if len(words) < 2:
            return "".join(words)
        return self.list_comma.join(words[:-1]) + self.list_and + words[-1]

    def number(self, count: int) -> str:
        return self.numbers.get(count, str(count))

    def moment(self, at_ms: int, zone: str) -> str:
        """A point in time (milliseconds since the epoch) as people in `zone` say it."""
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone))
        return self.date.format(
            weekday=self.weekdays[local.weekday()],
            day=local.day,
            month=self.months[local.month - 1],
            time=f"{local:%H:%M}",
        )

    def day(self, at_ms: int, zone: str) -> str:
        """The day of a point in time in `zone`, as forms have it: ISO 8601."""
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(zone)).date().isoformat()

    def every(self, weeks: int) -> str:
        """How often a date comes back."""
        return {1: self.every_week, 2: self.every_two_weeks}.get(weeks) or self.every_weeks.format(
            weeks=self.number(weeks)
        )

    def often(self, times: int) -> str:
        return self.times.get(times, str(times))


class Words:
    """The words of one locale, read and compiled."""

    def __init__(self, folder: Path) -> None:
        self.locale = folder.name
        self.phrases = _catalogue(folder / "phrases.yaml", Phrases)
        missing_slots = [slot for slot in get_args(Slot) if slot not in self.phrases.slots]
        if missing_slots:
            raise WordsError(f"{self.locale}/phrases.yaml: slots: {', '.join(missing_slots)} missing")
        for name, phrases, wanted in (
            ("subjects", self.phrases.subjects, SUBJECTS), ("previews", self.phrases.previews, PREVIEWS),
        ):  # fmt: skip
            if missing := [kind for kind in wanted if kind not in phrases]:
                raise WordsError(f"{self.locale}/phrases.yaml: {name}: {', '.join(missing)} missing")
        try:
            self.prompts, self.encouragement = load_catalogue(folder)
        except CatalogueError as error:
            raise WordsError(f"{self.locale}/{error}") from None
        self._html_environment = Environment(
            loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined
        )
        # Text parts are not HTML: escaping would show. What is filled in is plain text there.
        text_environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=False,  # noqa: S701
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        parts = {name: (folder / name).read_text(encoding="utf-8") for name in _INCLUDED}
        self._html: dict[EmailKind, Template] = {}
        self._text: dict[EmailKind, Template] = {}
        for kind in EmailKind:
            try:
                compiled = _compile(folder / f"{kind}.mjml", parts)
                self._html[kind] = self._html_environment.from_string(compiled)
                self._text[kind] = text_environment.get_template(f"{kind}.txt")
            except TemplateNotFound as error:
                raise WordsError(f"{self.locale}: {error.name} is missing") from None
            except TemplateError as error:
                raise WordsError(f"{self.locale}/{kind}: {error}") from None

    def html(self, kind: EmailKind, values: Mapping[str, object]) -> str:
        return self._html[kind].render(values)

    def text(self, kind: EmailKind, values: Mapping[str, object]) -> str:
        return self._text[kind].render(values)

    def page(self, name: str) -> Template:
        """The template of a page, `name`.html in the folder."""
        try:
            return self._html_environment.get_template(f"{name}.html")
        except TemplateError as error:
            raise WordsError(f"{self.locale}/{name}.html: {error}") from None


AllWords = Mapping[str, Words]
"""Words by locale; `DEFAULT_LOCALE` is always among them."""


def load_words(folder: Path) -> AllWords:
    """Read every locale's folder.

    Raises
    ------
    WordsError
        if a file is missing or has a mistake, or the default locale is not there.
    """
    words = {place.name: Words(place) for place in sorted(folder.iterdir()) if place.is_dir()}
    if DEFAULT_LOCALE not in words:
        raise WordsError(f"{folder.name}/{DEFAULT_LOCALE} is missing: it is what every other locale falls back to")
    return MappingProxyType(words)


def words_for(words: AllWords, locale: str) -> Words:
    """The words of a locale, or of the default one if it has none of its own yet."""
    return words.get(locale) or words[DEFAULT_LOCALE]


def _compile(file: Path, parts: dict[str, str]) -> str:
    try:
        # Parts are put in as text: mrml would make a section that it includes as wide as the window.
        output = mrml.to_html(_INCLUDE.sub(lambda found: parts[found[1]], file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise WordsError(f"{file.parent.name}/{file.name}: {type(error).__name__}") from None
    except KeyError as missing:
        raise WordsError(f"{file.parent.name}/{file.name}: there is no part {missing}") from None
    except Exception as error:  # mrml raises what it likes; its message names line and tag.
        raise WordsError(f"{file.parent.name}/{file.name}: {error}") from None
    return short_lines(output if isinstance(output, str) else str(output.content))


_C = TypeVar("_C", bound=_Catalogue)


def _catalogue(file: Path, model: type[_C]) -> _C:
    name = f"{file.parent.name}/{file.name}"
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise WordsError(f"{name}: {type(error).__name__}") from None
    except yaml.YAMLError as error:
        raise WordsError(f"{name} is not valid YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise WordsError(f"{name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
