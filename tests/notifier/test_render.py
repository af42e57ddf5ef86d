"""Emails in words: blind where they must be, complete where they may, and nothing breaks out of its place."""

from __future__ import annotations

import email
import re
import shutil
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from arc_samples import ALL_CASES, CASE_IDS, at, named
from hypothesis import given, settings
from hypothesis import strategies as st
from notifier_samples import (
    ANSWER_MS,
    COMMUNITIES,
    GROUP,
    LONDON,
    MEMBERS,
    NAMES,
    NOW,
    PAIR,
    contact,
    suggestion,
)

import services.notifier
from services.notifier.encouragement import Occasion
from services.notifier.links import LinkPurpose, Links
from services.notifier.prompts import PACE_UNKNOWN, prompts_for, steps_for
from services.notifier.render import CannotComposeError, Renderer
from services.notifier.state import PartitionState
from services.notifier.wording import WordsError, load_words
from shared.contracts import Anchor, Contact, EmailKind, Suggestion

WORDS_DIR = Path(services.notifier.__file__).parent / "words"
WORDS = load_words(WORDS_DIR)
LINKS = Links("a secret of the tests", "https://london-connection.example")
RENDERER = Renderer(WORDS, COMMUNITIES, LINKS, "another secret of the tests")
SECRETS = "I moved here in March and I still eat lunch alone."


def contacts(change: Callable[[Contact], Contact] = lambda one: one) -> dict[str, Contact]:
    return {member: change(contact(member, own_words=SECRETS)) for member in MEMBERS}


def write(of: Suggestion, kind: EmailKind, place: int = 0, people: dict[str, Contact] | None = None) -> EmailMessage:
    introduction, emails = at(of, kind)
    people = people or contacts()
    email = emails[place]
    return RENDERER.render(email, introduction, people[email.member], named(email, introduction, people), LONDON, NOW)


def parts(message: EmailMessage) -> tuple[str, str]:
    """What arrives: the text part and the HTML part, after a trip over the wire."""
    arrived = email.message_from_bytes(message.as_bytes(), _class=EmailMessage, policy=policy.default)
    assert isinstance(arrived, EmailMessage)
    text, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


@pytest.mark.parametrize(("of", "kind"), ALL_CASES, ids=CASE_IDS)
def test_headers(of: Suggestion, kind: EmailKind) -> None:
    message = write(of, kind)
    assert message["From"] == "London Connection <hello@london-connection.example>"
    assert message["Date"] == "Mon, 21 Sep 2026 14:13:20 +0000"
    assert re.fullmatch(r"<[0-9a-f]{32}@london-connection\.example>", message["Message-ID"])
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    raw = message.as_bytes()
    unsubscribe = re.search(rb"^List-Unsubscribe: <https://[^>]+/u/([^>]+)>\r$", raw, re.MULTILINE)
    assert unsubscribe is not None, "on one line: folding breaks signatures"
    link = LINKS.read(unsubscribe[1].decode(), {LinkPurpose.UNSUBSCRIBE}, NOW + 300 * 86_400_000)
    assert link.introduction == of.suggestion
    assert raw == write(of, kind).as_bytes(), "the same email is the same, byte for byte"
    assert len(raw) < 100_000
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.isascii()


class Remote(HTMLParser):
    """What a mail program would fetch by itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("img", "link", "script", "iframe", "object", "video", "audio", "form"):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name in ("src", "background", "srcset") or name.startswith("on")]


@pytest.mark.parametrize(("of", "kind"), ALL_CASES, ids=CASE_IDS)
def test_nothing_is_fetched_from_anywhere(of: Suggestion, kind: EmailKind) -> None:
    _, html = parts(write(of, kind))
    assert Remote(html).found == []
    assert "@import" not in html
    assert "url(" not in html
    assert "prefers-color-scheme: dark" in html
    assert 'lang="en-GB"' in html


BLIND = [(of, kind) for of, kind in ALL_CASES if not kind.names_others]


@pytest.mark.parametrize(("of", "kind"), BLIND, ids=[f"{of.kind}-{kind}" for of, kind in BLIND])
def test_where_nobody_is_to_be_named_nobody_is(of: Suggestion, kind: EmailKind) -> None:
    _, emails = at(of, kind)
    raw = write(of, kind).as_bytes().decode()
    text, html = parts(write(of, kind))
    for member, name in zip(MEMBERS, NAMES, strict=True):
        if member != emails[0].member:
            for told in (raw, text, html):
                assert not re.search(rf"\b{name}\b", told)
                assert f"{name.lower()}@" not in told
    assert SECRETS not in text + html


@pytest.mark.parametrize("of", [PAIR, GROUP])
def test_everybody_gets_the_same_invitation_but_for_their_own_name_and_links(of: Suggestion) -> None:
    def neutral(place: int) -> str:
        _, emails = at(of, EmailKind.INVITATION)
        text, html = parts(write(of, EmailKind.INVITATION, place))
        name = contact(emails[place].member).first_name
        return re.sub(r"/[a-z]/[\w.-]+", "", text + html).replace(name, "")

    assert len({neutral(place) for place in range(len(of.members))}) == 1


def test_an_invitation_says_what_is_shared_where_when_how_many_and_why() -> None:
    text, html = parts(write(GROUP, EmailKind.INVITATION))
    for told in (text, unescape(html)):
        for words in ("Books and running", "Notting Hill", "Tuesday evening", "Four of you", "happy to go first"):
            assert words in told
        assert "Monday, 21 September, 16:13" in told, "the end of the invitation in London's time"
    yes, no = re.findall(r"/i/([\w.-]+)", text)
    assert LINKS.read(yes, {LinkPurpose.YES}, NOW).member == at(GROUP, EmailKind.INVITATION)[1][0].member
    assert LINKS.read(no, {LinkPurpose.NO}, NOW).expires_at_ms - (NOW + ANSWER_MS) < 1000


def test_a_life_topic_is_never_quoted() -> None:
    of = suggestion(*MEMBERS[:3], anchor=Anchor(kind="life_topic", word="bereavement"), shared_interests=())
    for kind in EmailKind:
        if kind is EmailKind.SEAT:
            continue
        assert "bereavement" not in write(of, kind).as_bytes().decode()


def test_an_introduction_tells_of_all_who_said_yes() -> None:
    for place, member in enumerate(GROUP.members):
        text, html = parts(write(GROUP, EmailKind.INTRODUCTION, place))
        message = write(GROUP, EmailKind.INTRODUCTION, place)
        for other in GROUP.members:
            about = contact(other)
            for told in (text, unescape(html), str(message["Reply-To"])):
                assert (about.email in told) == (other != member)
            assert about.first_name in text
        assert text.count(SECRETS) == len(GROUP.members) - 1
        assert all(sentence in text for sentence in LONDON.agreement)
        assert "Passing is always fine" in text


def test_the_opener_alone_is_asked_to_go_first() -> None:
    asked = [
        email.member
        for place, email in enumerate(at(GROUP, EmailKind.INTRODUCTION)[1])
        if any("for you alone" in told.lower() for told in parts(write(GROUP, EmailKind.INTRODUCTION, place)))
    ]
    assert asked == [GROUP.opener]
    offered = [
        email.member
        for place, email in enumerate(at(GROUP, EmailKind.INTRODUCTION)[1])
        if "/o/" in parts(write(GROUP, EmailKind.INTRODUCTION, place))[0]
    ]
    assert set(offered) == set(GROUP.members) - {GROUP.opener}, "everybody else may offer"


def test_everybody_takes_along_the_same_three_prompts() -> None:
    chosen = prompts_for(GROUP.suggestion, GROUP.shared_interests, WORDS["en-GB"].prompts)
    for place in range(len(GROUP.members)):
        text, _ = parts(write(GROUP, EmailKind.INTRODUCTION, place))
        assert all(prompt.text in text for prompt in chosen)
    again, _ = parts(write(GROUP, EmailKind.AGAIN))
    further = prompts_for(GROUP.suggestion, GROUP.shared_interests, WORDS["en-GB"].prompts, meeting=2)
    assert all(prompt.text in again for prompt in further)
    assert not set(chosen) & set(further)


def test_what_makes_it_easier_to_begin_is_true_of_those_who_read_it() -> None:
    facts = WORDS["en-GB"].encouragement.facts
    for of, kind, meeting in ((PAIR, EmailKind.INTRODUCTION, 1), (GROUP, EmailKind.AGAIN, 2)):
        text, html = parts(write(of, kind))
        told = [fact for fact in facts.values() if fact.says in text and fact.says in unescape(html)]
        occasion = Occasion(len(of.members), meeting, steps_for(PACE_UNKNOWN, meeting))
        assert len(told) == 1
        assert told[0].is_true_of(occasion)


NASTY = [
    "Amara\r\nBcc: everybody@example.org",
    "Amara\nSubject: hijacked",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% for x in y %}",
    "=?utf-8?q?Bcc=3A_everybody=40example=2Eorg?=",
    "=?utf-8?q?a=0D=0ABcc:_x=40example.org?=",
    "Zoë 李雷 🙂 Ольга",
    'O\'Brien, "The" <boss@example.org>; (hm)',
    "\u202eevil\u2066",
    "a" * 60,
    "&amp;lt;",
    "\x00\x07",
    ".",
    "\u2028line",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_names_and_lines_stay_in_their_place(nasty: str) -> None:
    check_safe(nasty)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_name_and_line_stays_in_its_place(text: str) -> None:
    check_safe(text)


def check_safe(nasty: str) -> None:
    people = contacts(lambda one: one.model_copy(update={"first_name": nasty, "own_words": nasty}))
    usual = write(GROUP, EmailKind.INTRODUCTION)
    message = write(GROUP, EmailKind.INTRODUCTION, people=people)
    raw = message.as_bytes()
    arrived = email.message_from_bytes(raw, policy=policy.default)
    assert sorted(arrived.keys()) == sorted(usual.keys()), "no header more than usual"
    assert raw.count(b"\r\nContent-Type: ") == usual.as_bytes().count(b"\r\nContent-Type: ")
    assert len(re.findall(r"\w+@example\.org>?", str(arrived["To"]))) >= 1
    recipients = [address.addr_spec for address in arrived["To"].addresses]
    assert recipients == [people[at(GROUP, EmailKind.INTRODUCTION)[1][0].member].email]
    assert len(arrived["Reply-To"].addresses) == 3
    _, html = parts(message)
    assert Remote(html).found == []
    assert html.count("<script") == 0
    if "7 * 7" in nasty:
        # A template inside a name stays text. (Of other names "49" may be a part, as in %B49.)
        assert "49" not in html.replace("&#39;", "") or "49" in parts(usual)[1]


def test_an_address_beyond_ascii_is_written_as_it_is() -> None:
    people = contacts(lambda one: one.model_copy(update={"email": f"zoë-{one.email}"}))
    raw = write(PAIR, EmailKind.INTRODUCTION, people=people).as_bytes(policy=policy.SMTPUTF8)
    assert "zoë-" in raw.decode()


def test_compose_takes_what_it_needs_from_the_state() -> None:
    state = PartitionState()
    introduction, emails = at(PAIR, EmailKind.INTRODUCTION)
    with pytest.raises(CannotComposeError):
        RENDERER.compose(emails[0], state, NOW)
    for member in PAIR.members:
        state.apply("contacts", member, contact(member))
    state.apply("introductions", introduction.key, introduction)
    letter = RENDERER.compose(emails[0], state, NOW)
    assert letter.sender == LONDON.sender
    assert letter.recipient == contact(emails[0].member).email
    assert letter.message["Message-ID"] == RENDERER.message_id(emails[0])
    state.apply("contacts", emails[1].member, None)
    with pytest.raises(CannotComposeError, match="nobody to tell of"):
        RENDERER.compose(emails[0], state, NOW)


def test_a_locale_without_words_of_its_own_falls_back() -> None:
    people = contacts(lambda one: one.model_copy(update={"locale": "cy-GB"}))
    assert write(PAIR, EmailKind.CLOSING, people=people)["Subject"] == "It didn't come together this time"


@pytest.mark.parametrize(
    ("file", "before", "after", "complaint"),
    [
        ("prompts/books.yaml", "easy:", "esay:", "prompts/books.yaml, line 5: 'esay' is not a step"),
        ("phrases.yaml", "  tue-evening: A Tuesday evening\n", "", "tue-evening missing"),
        ("phrases.yaml", "hello_subject:", "helo_subject:", "hello_subject: Field required"),
        ("invitation.txt", "{% if pair %}", "{% if pair", "en-GB/invitation"),
        ("closing.mjml", "</mj-text>", "", "closing.mjml"),
        ("no.html", "{% endblock %}", "", "no.html"),
    ],
)
def test_a_mistake_in_a_file_is_found_at_start_and_named(
    tmp_path: Path, file: str, before: str, after: str, complaint: str
) -> None:
    shutil.copytree(WORDS_DIR / "en-GB", tmp_path / "en-GB")
    content = (tmp_path / "en-GB" / file).read_text(encoding="utf-8")
    assert before in content
    (tmp_path / "en-GB" / file).write_text(content.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(WordsError, match=re.escape(complaint)):
        load_words(tmp_path)["en-GB"].page("no")


def test_without_the_default_locale_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(WordsError, match="en-GB is missing"):
        load_words(tmp_path)
