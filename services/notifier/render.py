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

from services.notifier.envelope import header_text, mailing_headers, new_message, one_line, person
from services.notifier.links import LinkPurpose, Links
from services.notifier.prompts import prompts_for
from services.notifier.sender import Letter
from services.notifier.state import PartitionState
from services.notifier.verp import ReturnPaths
from services.notifier.wording import AllWords, Words, words_for
from shared import ids
from shared.community import Community
from shared.contracts import Contact, Email, EmailKind, Introduction, SuggestionKind

LINK_LIFE_MS = 400 * 24 * 60 * 60 * 1000
"""How long pause and unsubscribe links work: emails are kept, and found again."""


class CannotComposeError(LookupError):
    """Something that the email is about is not known (any more). Carries ids only."""


class Renderer:
    """Puts emails into words. `compose` takes what it needs from a partition's state."""

    def __init__(
        self,
        words: AllWords,
        communities: Mapping[str, Community],
        links: Links,
        message_id_secret: str,
        return_paths: ReturnPaths | None = None,
    ) -> None:
        self._words = words
        self._communities = communities
        self._links = links
        self._message_id_secret = message_id_secret
        self._return_paths = return_paths

    def message_id(self, email: Email) -> str:
        """The Message-ID header: the same on every try."""
        domain = self._community(email).sender.rpartition("@")[2]
        return ids.message_id(email.email, self._message_id_secret, domain)

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
        introduced = [
            other
            for member in (introduction.introduced if email.kind is EmailKind.INTRODUCTION else ())
            if member != email.member and (other := state.members.contact(member)) is not None
        ]
        message = self.render(email, introduction, contact, introduced, self._community(email), now_ms)
        sender = self._community(email).sender
        if self._return_paths is not None:
            sender = self._return_paths.for_email(email.email, email.community)
        return Letter(message, sender, contact.email)

    def render(
        self,
        email: Email,
        introduction: Introduction,
        contact: Contact,
        introduced: Sequence[Contact],
        community: Community,
        now_ms: int,
    ) -> EmailMessage:
        """The message, with headers, text and HTML.

        `introduced` are the others, and is looked at for an INTRODUCTION alone. The same
        arguments give the same bytes.
        """
        words = words_for(self._words, contact.locale)
        values = self._common_values(email, introduction, contact, community, words)
        headers: dict[str, str] = {}
        match email.kind:
            case EmailKind.INVITATION:
                values |= self._invitation_values(email, introduction, community, words)
            case EmailKind.INTRODUCTION:
                if not introduced:
                    raise CannotComposeError(f"{email.email}: nobody to be introduced to")
                values |= _introduction_values(email, introduction, contact, introduced, community, words)
                headers["Reply-To"] = ", ".join(person(other.first_name, other.email) for other in introduced)
            case EmailKind.CLOSING:
                values |= {"subject": words.phrases.subjects.closing, "preview": words.phrases.previews.closing}
        headers |= {
            "From": person(community.sender_name, community.sender),
            "To": person(contact.first_name, contact.email),
            "Subject": header_text(str(values["subject"])),
            "Date": format_datetime(datetime.fromtimestamp(now_ms // 1000, UTC)),
            "Message-ID": self.message_id(email),
        } | mailing_headers(
            email.kind,
            email.community,
            str(values["link_unsubscribe"]),
            is_awaited=email.kind is EmailKind.INTRODUCTION,
        )
        return new_message(headers, words.text(email.kind, values), words.html(email.kind, values), email.email)

    def _community(self, email: Email) -> Community:
        community = self._communities.get(email.community)
        if community is None:
            raise CannotComposeError(f"{email.email}: community {email.community} has no file")
        return community

    def _link(self, purpose: LinkPurpose, email: Email, expires_at_ms: int) -> str:
        return self._links.sign(
            purpose,
            community=email.community,
            member=email.member,
            introduction=email.introduction,
            expires_at_ms=expires_at_ms,
        )

    def _common_values(
        self, email: Email, introduction: Introduction, contact: Contact, community: Community, words: Words
    ) -> dict[str, object]:
        suggestion = introduction.suggestion
        share = words.phrases.listed(suggestion.shared_interests)
        last_ms = email.planned_at_ms + LINK_LIFE_MS
        return {
            "sender_name": community.sender_name,
            "first_name": one_line(contact.first_name),
            "pair": suggestion.kind is SuggestionKind.PAIR,
            # Interests only: what a suggestion is anchored in may be a life topic, and those are never quoted.
            "share": share,
            "share_title": share[:1].upper() + share[1:],
            "place": suggestion.place.name,
            "slot_name": words.phrases.slots[suggestion.slot],
            "pause_for": words.phrases.pause(community.pause_seconds),
            "link_pause": self._link(LinkPurpose.PAUSE, email, last_ms),
            "link_unsubscribe": self._link(LinkPurpose.UNSUBSCRIBE, email, last_ms),
        }

    def _invitation_values(
        self, email: Email, introduction: Introduction, community: Community, words: Words
    ) -> dict[str, object]:
        suggestion, phrases = introduction.suggestion, words.phrases
        others_word = phrases.number(len(suggestion.members) - 1)
        pair = suggestion.kind is SuggestionKind.PAIR
        subject = phrases.subjects.invitation_pair if pair else phrases.subjects.invitation_group
        preview = (
            phrases.previews.invitation.format(share=phrases.listed(suggestion.shared_interests))
            if suggestion.shared_interests
            else phrases.previews.invitation_nothing_shared
        )
        return {
            "subject": subject.format(place=suggestion.place.name, others_word=others_word),
            "preview": preview,
            "others_word": others_word,
            "count_word": phrases.number(len(suggestion.members)),
            "opener": suggestion.opener is not None,
            "answer_by": phrases.moment(introduction.answer_by_ms, community.time_zone),
            "link_yes": self._link(LinkPurpose.YES, email, introduction.answer_by_ms),
            "link_no": self._link(LinkPurpose.NO, email, introduction.answer_by_ms),
        }


def _introduction_values(
    email: Email,
    introduction: Introduction,
    contact: Contact,
    introduced: Sequence[Contact],
    community: Community,
    words: Words,
) -> dict[str, object]:
    suggestion, phrases = introduction.suggestion, words.phrases
    names = phrases.listed([one_line(other.first_name) for other in introduced])
    first_name = one_line(contact.first_name)
    everybody = ",".join(quote(other.email, safe="@") for other in introduced)
    prompts = prompts_for(introduction.introduction, suggestion.shared_interests, words.prompts)
    return {
        "subject": phrases.subjects.introduction.format(first_name=first_name, names=names),
        "preview": phrases.previews.introduction,
        "names": names,
        "people": [
            {
                "first_name": one_line(other.first_name),
                "own_words": one_line(other.own_words),
                "address": other.email,
                "address_in_url": quote(other.email, safe="@"),
            }
            for other in introduced
        ],
        # A pair of whom two remain of a bigger group still reads as "you both".
        "pair": len(introduced) == 1,
        "opens": suggestion.opener == email.member,
        "write_to_all": f"mailto:{everybody}?subject={quote(phrases.hello_subject.format(first_name=first_name))}",
        "prompts": [{"when": phrases.prompt_moments[step], "text": question} for step, question in prompts],
        "agreement": community.agreement,
    }
