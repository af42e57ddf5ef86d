"""300 names and lines made to break headers, HTML and calendars: none does, in any kind of email."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from functools import cache
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from arc_samples import SEAT, at, named
from icalendar import Calendar
from nasty_names import HOW_MANY, nasty_names
from notifier_samples import GROUP, LONDON, NOW
from test_render import RENDERER, contacts

from shared.contracts import Email, EmailKind, Introduction

NAMES = nasty_names()
PLAIN = "Amara"
BYTES_MAX = 100_000
_LINE_OCTETS_MAX = 998
_ICS_LINE_OCTETS_MAX = 75
_REVERSING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_OUR_LINKS = "https://london-connection.example/"


class Skeleton(HTMLParser):
    """An HTML text without what it says: its elements, their attributes, where they lead, and its text apart."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bones: list[tuple[str, ...]] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.bones.append((tag, *(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "background")]

    def handle_endtag(self, tag: str) -> None:
        self.bones.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.bones.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.bones.append(("declaration", decl))

    def unknown_decl(self, data: str) -> None:
        self.bones.append(("unknown declaration", data))

    def handle_pi(self, data: str) -> None:
        self.bones.append(("processing instruction", data))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def written(kind: EmailKind, name: str, line: str) -> EmailMessage:
    """The first email of a kind, with everybody of that name, as it comes out of the wire."""
    people = contacts(lambda one: one.model_copy(update={"first_name": name, "own_words": line}))
    introduction, planned = moment(kind)
    others = named(planned, introduction, people)
    raw = RENDERER.render(planned, introduction, people[planned.member], others, LONDON, NOW).as_bytes()
    check_wire(raw)
    arrived = email.message_from_bytes(raw, _class=EmailMessage, policy=policy.default)
    assert isinstance(arrived, EmailMessage)
    return arrived


@cache
def moment(kind: EmailKind) -> tuple[Introduction, Email]:
    introduction, emails = at(SEAT if kind is EmailKind.SEAT else GROUP, kind)
    return introduction, emails[-1]


@cache
def usual(kind: EmailKind, *, with_line: bool) -> EmailMessage:
    return written(kind, PLAIN, "I still eat lunch alone." if with_line else "")


@pytest.mark.parametrize("kind", EmailKind)
def test_none_breaks(kind: EmailKind) -> None:
    for name in NAMES:
        try:
            check(kind, written(kind, name, name))
        except Exception as error:
            raise AssertionError(f"{kind} with {name[:80]!r}: {error}") from error


def test_there_are_three_hundred_and_each_is_another() -> None:
    assert len(set(NAMES)) == HOW_MANY == len(NAMES)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("<b>Amara</b>", "bones"),
        ("Amara\u202e", "reversed"),
        ("Amara\x07", "control"),
    ],
)
def test_what_breaks_is_found(name: str, complaint: str) -> None:
    """The checks themselves, on what would arrive without the guards."""
    message = usual(EmailKind.INTRODUCTION, with_line=True)
    html = html_of(message).replace(PLAIN, name)
    with pytest.raises(AssertionError, match=complaint):
        check_html(html, Skeleton(html_of(message)))


def check(kind: EmailKind, arrived: EmailMessage) -> None:
    html = html_of(arrived)
    likes = [usual(kind, with_line=True), usual(kind, with_line=False)]
    # A line of which nothing is left is left out, as if there had been none.
    like = next((one for one in likes if len(Skeleton(html_of(one)).bones) == len(Skeleton(html).bones)), likes[0])
    check_headers(arrived, like)
    assert [part.get_content_type() for part in arrived.walk()] == [part.get_content_type() for part in like.walk()]
    check_html(html, Skeleton(html_of(like)))
    check_text(text_of(arrived))
    for mine, others in zip(calendars(arrived), calendars(like), strict=True):
        check_calendar(mine, others)


def check_wire(raw: bytes) -> None:
    assert len(raw) < BYTES_MAX, f"{len(raw)} bytes"
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= _LINE_OCTETS_MAX
    assert b"\n" not in raw.replace(b"\r\n", b""), "bare line feeds are refused by mail servers"
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\0" not in raw


def check_headers(arrived: EmailMessage, like: EmailMessage) -> None:
    assert list(arrived.keys()) == list(like.keys()), "no header more, none less"
    for part in arrived.walk():
        assert part.defects == [], part.defects
        for name, value in part.items():
            assert value.defects == (), f"{name}: {value.defects}"  # type: ignore[attr-defined]
            assert not re.search(r"[\r\n]", str(value))
            assert not _REVERSING.search(str(value)), f"{name} is reversed"
            assert not _CONTROL.search(str(value)), f"{name} has control characters"
    for name in ("From", "To", "Reply-To"):
        if name in like:
            mine, others = arrived[name].addresses, like[name].addresses
            assert [one.addr_spec for one in mine] == [one.addr_spec for one in others], name
    for name in ("Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Date", "Content-Type"):
        assert arrived[name] == like[name]


def check_html(html: str, like: Skeleton) -> None:
    mine = Skeleton(html)
    assert mine.bones == like.bones, "bones: a name became markup"
    assert len(mine.links) == len(like.links)
    for link, other in zip(mine.links, like.links, strict=True):
        if other.startswith(_OUR_LINKS):
            assert link == other
            continue
        (parts, others) = (urlsplit(link), urlsplit(other))
        assert (parts.scheme, parts.path) == (others.scheme, others.path) == ("mailto", others.path)
        assert list(parse_qs(parts.query)) == list(parse_qs(others.query)), "no header more in a mailto link"
        assert not re.search(r"[\r\n\0]", unquote(link))
    said = "".join(mine.text)
    assert not _REVERSING.search(said), "reversed text"
    assert not _CONTROL.search(said), "control characters"


def check_text(text: str) -> None:
    assert not _REVERSING.search(text), "reversed text"
    assert not _CONTROL.search(text.replace("\r\n", "\n")), "control characters"


def check_calendar(mine: bytes, like: bytes) -> None:
    mine.decode("utf-8")
    for line in mine.split(b"\r\n"):
        assert len(line) <= _ICS_LINE_OCTETS_MAX, "longer lines must be folded"
        assert not re.search(rb"[\r\n\0]", line)
    one, other = Calendar.from_ical(mine), Calendar.from_ical(like)
    assert [component.name for component in one.walk()] == [component.name for component in other.walk()]
    for component, same in zip(one.walk(), other.walk(), strict=True):
        assert component.errors == []
        assert list(component.keys()) == list(same.keys())
        for name, value in component.property_items(recursive=False):
            if name not in ("SUMMARY", "DESCRIPTION", "LOCATION", "BEGIN", "END"):
                assert value.to_ical() == same[name].to_ical(), name
            assert not _REVERSING.search(str(value)), f"{name} is reversed"


def html_of(message: EmailMessage) -> str:
    return _body(message, "html")


def text_of(message: EmailMessage) -> str:
    return _body(message, "plain")


def _body(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    content = body.get_content()
    assert isinstance(content, str)
    return content


def calendars(message: EmailMessage) -> Iterator[bytes]:
    for part in message.walk():
        if part.get_content_type() == "text/calendar":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            yield content
