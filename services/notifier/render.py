"""An email in words: what the member reads, the headers around it, and nothing that they may not know.

An invitation is blind: it is put together from the suggestion alone, and the code that
fills it in is never handed anybody else's contact. Names and addresses come in with the
introduction, of those who said yes, for those who said yes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import quote

from services.notifier.calendars import calendar_entry
from services.notifier.encouragement import Occasion
from services.notifier.envelope import header_text, mailing_headers, new_message, one_line, one_name, person
from services.notifier.gate import named_in
from services.notifier.links import LinkPurpose, Links
from services.notifier.prompts import PACE_UNKNOWN, prompts_for
from services.notifier.sender import Letter
from services.notifier.shown_ids import ShownIds
from services.notifier.state import PartitionState
from services.notifier.verp import ReturnPaths
from services.notifier.wording import AllWords, Words, words_for
from shared import ids
from shared.community import Community
from shared.contracts import Contact, Email, EmailKind, Introduction, Meeting, SuggestionKind

LINK_LIFE_MS = 400 * 24 * 60 * 60 * 1000
"""How long the links at the foot work: emails are kept, and found again."""

_INVITES = frozenset({EmailKind.INVITATION, EmailKind.REMINDER, EmailKind.SEAT})
_HAS_PROMPTS = frozenset({EmailKind.INTRODUCTION, EmailKind.AGAIN})


class CannotComposeError(LookupError):
    """Something that the email is about is not known (any more). Carries ids only."""


class Renderer:
    """Puts emails into words. `compose` takes what it needs from a partition's state."""

    def __init__(
        self,
        words: AllWords,
        communities: Mapping[str, Community],
        links: Links,
        lasting_secret: str,
        return_paths: ReturnPaths | None = None,
    ) -> None:
        self._words = words
        self._communities = communities
        self._links = links
        self._lasting_secret = lasting_secret
        self._shown_ids = ShownIds(lasting_secret)
        self._return_paths = return_paths

    def message_id(self, email: Email) -> str:
        """The Message-ID header: the same on every try."""
        return ids.message_id(email.email, self._lasting_secret, _domain(self._community(email)))

    def compose(self, email: Email, state: PartitionState, now_ms: int) -> Letter:
        """The email and its envelope.

        Raises
        ------
        CannotComposeError
            if the introduction, the contact or the community is not known.
        """
        introduction = state.introduction(email.introduction)
        contact = state.members.contact(email.member)
        if introduction is None or contact is None:
            raise CannotComposeError(f"{email.email}: introduction or contact is not known")
        named = [
            other
            for member in named_in(email, introduction, state)
            if (other := state.members.contact(member)) is not None
        ]
        message = self.render(email, introduction, contact, named, self._community(email), now_ms)
        sender = self._community(email).sender
        if self._return_paths is not None:
            sender = self._return_paths.for_email(email.email, email.community)
        return Letter(message, sender, contact.email)

    def render(
        self,
        email: Email,
        introduction: Introduction,
        contact: Contact,
        named: Sequence[Contact],
        community: Community,
        now_ms: int,
    ) -> EmailMessage:
        """The message, with headers, text and HTML, and a calendar entry if there is a date.

        `named` are the others that it tells of, and is looked at where an email of its kind
        names others. The same arguments give the same bytes.
        """
        words = words_for(self._words, contact.locale)
        values = self._common_values(email, introduction, contact, community, words)
        headers: dict[str, str] = {}
        calendar: bytes | None = None
        if email.kind in _INVITES:
            values |= self._invitation_values(email, introduction, community, words)
        elif email.kind.names_others:
            if not named:
                raise CannotComposeError(f"{email.email}: nobody to tell of")
            values |= self._named_values(email, contact, named, words)
            headers["Reply-To"] = ", ".join(person(other.first_name, other.email) for other in named)
        if introduction.meeting is not None:
            values |= self._meeting_values(email, introduction, introduction.meeting, community, words)
            if email.kind.names_others:
                calendar = self._calendar(email, introduction, contact, named, community, words)
        subject = _phrase(words.phrases.subjects, email, introduction)
        headers |= {
            "From": person(community.sender_name, community.sender),
            "To": person(contact.first_name, contact.email),
            "Subject": header_text(subject.format_map(values)),
            "Date": format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC)),
            "Message-ID": self.message_id(email),
        } | mailing_headers(
            email.kind,
            email.community,
            str(values["link_unsubscribe"]),
            is_awaited=email.kind.names_others,
        )
        preview = _preview(words, email, introduction).format_map(values)
        values |= {"subject": one_line(subject.format_map(values)), "preview": preview}
        return new_message(
            headers,
            words.text(email.kind, values),
            words.html(email.kind, values),
            self._shown_ids.boundary(email.email),
            calendar=calendar,
        )

    def _community(self, email: Email) -> Community:
        community = self._communities.get(email.community)
        if community is None:
            raise CannotComposeError(f"{email.email}: community {email.community} has no file")
        return community

    def _link(self, purpose: LinkPurpose, email: Email, expires_at_ms: int, occasion: int = 0) -> str:
        return self._links.sign(
            purpose,
            community=email.community,
            member=email.member,
            introduction=email.introduction,
            expires_at_ms=expires_at_ms,
            occasion=occasion,
        )

    def _common_values(
        self, email: Email, introduction: Introduction, contact: Contact, community: Community, words: Words
    ) -> dict[str, object]:
        suggestion = introduction.suggestion
        share = words.phrases.listed(suggestion.shared_interests)
        last_ms = email.planned_at_ms + LINK_LIFE_MS
        return {
            "sender_name": community.sender_name,
            "first_name": one_name(contact.first_name),
            "pair": suggestion.kind is SuggestionKind.PAIR,
            "seat": suggestion.kind is SuggestionKind.SEAT,
            # Interests only: what a suggestion is anchored in may be a life topic, and those are never quoted.
            "share": share,
            "share_title": share[:1].upper() + share[1:],
            "place": suggestion.place.name,
            "slot_name": words.phrases.slots[suggestion.slot],
            "every": words.phrases.every(community.meetings.standing_every_weeks),
            "standing": introduction.standing_since_ms is not None,
            "link_pause": self._link(LinkPurpose.PAUSE, email, last_ms),
            "link_unsubscribe": self._link(LinkPurpose.UNSUBSCRIBE, email, last_ms),
            "link_settings": self._link(LinkPurpose.SETTINGS, email, last_ms),
            "link_leave": self._link(LinkPurpose.LEAVE, email, last_ms),
        }

    def _invitation_values(
        self, email: Email, introduction: Introduction, community: Community, words: Words
    ) -> dict[str, object]:
        suggestion, phrases = introduction.suggestion, words.phrases
        return {
            "others_word": phrases.number(len(suggestion.members) - 1),
            "count_word": phrases.number(len(suggestion.members)),
            "opener": suggestion.opener is not None,
            "answer_by": phrases.moment(introduction.answer_by_ms, community.time_zone),
            "link_yes": self._link(LinkPurpose.YES, email, introduction.answer_by_ms),
            "link_no": self._link(LinkPurpose.NO, email, introduction.answer_by_ms),
        }

    def _named_values(
        self, email: Email, contact: Contact, named: Sequence[Contact], words: Words
    ) -> dict[str, object]:
        phrases = words.phrases
        first_name = one_name(contact.first_name)
        everybody = ",".join(quote(other.email, safe="@") for other in named)
        return {
            "names": phrases.listed([one_name(other.first_name) for other in named]),
            "people": [
                {
                    "first_name": one_name(other.first_name),
                    "own_words": one_line(other.own_words),
                    "address": other.email,
                    "address_in_url": quote(other.email, safe="@"),
                }
                for other in named
            ],
            # Two who remain of a bigger group still read "you both".
            "pair": len(named) == 1 and email.kind is not EmailKind.NEWCOMER,
            "write_to_all": f"mailto:{everybody}?subject={quote(phrases.hello_subject.format(first_name=first_name))}",
        }

    def _meeting_values(
        self, email: Email, introduction: Introduction, meeting: Meeting, community: Community, words: Words
    ) -> dict[str, object]:
        phrases = words.phrases
        opens = introduction.opener == email.member
        values: dict[str, object] = {
            "date": phrases.moment(meeting.starts_at_ms, community.time_zone),
            "meeting": meeting.number,
            "last": meeting.number >= community.meetings.until_standing,
            "first_try": meeting.attempt == 1,
            "times": phrases.often(meeting.number - 1),
            "opens": opens,
            # The opener needs no such link, and who is asked to open is nobody else's business.
            "link_open": "" if opens else self._link(LinkPurpose.OPEN, email, meeting.check_in_at_ms),
            "agreement": community.agreement,
        }
        if email.kind is not EmailKind.STANDING and introduction.standing_since_ms is None:
            values["every"] = ""
        if email.kind is EmailKind.CHECK_IN:
            decide_at_ms = meeting.decide_at_ms or meeting.check_in_at_ms
            values["answer_by"] = phrases.moment(decide_at_ms, community.time_zone)
            values["link_check_in"] = self._link(LinkPurpose.CHECK_IN, email, decide_at_ms, meeting.occasion)
        if email.kind in _HAS_PROMPTS:
            values |= _prompts(introduction, meeting, words)
        return values

    def _calendar(
        self,
        email: Email,
        introduction: Introduction,
        contact: Contact,
        named: Sequence[Contact],
        community: Community,
        words: Words,
    ) -> bytes:
        phrases = words.phrases
        place = introduction.suggestion.place.name
        names = phrases.listed([one_name(one.first_name) for one in (contact, *named)])
        return calendar_entry(
            introduction,
            summary=phrases.calendar.summary.format(names=names, place=place),
            description=phrases.calendar.description.format(sender_name=community.sender_name),
            location=place,
            shown_ids=self._shown_ids,
            domain=_domain(community),
            zone=community.time_zone,
            every_weeks=community.meetings.standing_every_weeks,
            stamped_at_ms=email.planned_at_ms,
        )


def _prompts(introduction: Introduction, meeting: Meeting, words: Words) -> dict[str, object]:
    """What they take along: prompts, each with its moment, that passing is fine, and what makes it easier to begin."""
    suggestion = introduction.suggestion
    prompts = prompts_for(
        introduction.introduction,
        suggestion.shared_interests,
        words.prompts,
        life_topic=suggestion.anchor.word if suggestion.anchor.kind == "life_topic" else "",
        pace=suggestion.pace or PACE_UNKNOWN,
        meeting=meeting.number,
    )
    occasion = Occasion(len(introduction.present), meeting.number, tuple(prompt.step for prompt in prompts))
    fact = words.encouragement.fact(introduction.introduction, occasion)
    moments = words.phrases.prompt_moments
    return {
        "prompts": [{"when": when, "text": prompt.text} for when, prompt in zip(moments, prompts, strict=False)],
        "passing": words.encouragement.reminder(introduction.introduction, meeting.number),
        "fact": fact.says if fact is not None else "",
    }


def _phrase(phrases: Mapping[str, str], email: Email, introduction: Introduction) -> str:
    by_suggestion = phrases.get(f"{email.kind}_{introduction.suggestion.kind}")
    return by_suggestion if by_suggestion is not None else phrases[email.kind]


def _preview(words: Words, email: Email, introduction: Introduction) -> str:
    previews = words.phrases.previews
    if email.kind is EmailKind.INVITATION and not introduction.suggestion.shared_interests:
        return previews["invitation_nothing_shared"]
    return previews[email.kind]


def _domain(community: Community) -> str:
    return community.sender.rpartition("@")[2]
