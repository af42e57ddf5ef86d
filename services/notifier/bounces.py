"""What comes back: reports about emails of ours, in all their forms, and what each of them says.

A standard report (RFC 3464, RFC 5965) is read field by field. Older systems write what
went wrong in prose; there the code and a few well-known phrases are looked for, above
the copy of the original, which is the sender's words and not theirs. What a code means is
decided by the same table as for a direct reply (`services.notifier.replies`).

Whose email it was is told by the signed return path alone (`services.notifier.verp`), never
by what a report claims in prose. Pure: bytes in, a report out; nothing of the text is kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from enum import StrEnum

from services.notifier.replies import Refused, Retry, Stage, Stopped, is_about_recipient, outcome_of
from services.notifier.verp import Returned, ReturnPaths
from shared.contracts import Bounce, BounceKind

REPORT_BYTES_MAX = 1024 * 1024
_PROSE_LETTERS_MAX = 20_000


class Hint(StrEnum):
    """Reports from which nothing follows; they are counted and forgotten."""

    DELAYED = "delayed"
    """Not delivered yet, and still being tried."""
    DELIVERED = "delivered"
    """Delivered, or handed on to where nobody reports."""
    AUTOMATIC = "automatic"
    """Out of office, a read receipt, "not spam"."""
    UNRECOGNISED = "unrecognised"
    """Not a report, or one that nobody understands."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says, and about which email; None if it carries no genuine return path."""

    kind: BounceKind | Hint
    status: str = ""
    """The enhanced status code, or the reply code where there was no other."""
    about: Returned | None = None

    def as_bounce(self, received_at_ms: int) -> Bounce | None:
        """What goes on the topic; None if nothing follows from it."""
        if self.about is None or isinstance(self.kind, Hint):
            return None
        return Bounce(
            community=self.about.community,
            email=self.about.email,
            kind=self.kind,
            status=self.status,
            received_at_ms=received_at_ms,
        )


def read_report(raw: bytes, recipients: Sequence[str], paths: ReturnPaths, communities: Collection[str]) -> Report:
    """Read a message that came to our return path. `recipients` are the envelope's. Raises nothing."""
    try:
        message = message_from_bytes(raw[:REPORT_BYTES_MAX])
        kind, status = _what_it_says(message)
        about = next((found for text in _places(message, recipients) if (found := paths.find(text, communities))), None)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # The standard library's parser takes almost anything; what it chokes on is no report.
        return Report(Hint.UNRECOGNISED)
    return Report(kind, status, about)


# Which email

_HEADERS_WITH_A_PATH = ("Original-Recipient", "X-Original-To", "Delivered-To", "Envelope-To", "To")
_OF_THE_ORIGINAL = ("Return-Path", "Original-Mail-From", "X-Original-Return-Path", "Original-Envelope-Id")


def _places(message: Message, recipients: Sequence[str]) -> Iterator[str]:
    """Where the return path may stand, the surest place first."""
    yield from recipients
    for name in _HEADERS_WITH_A_PATH:
        yield from _values(message, name)
    # A feedback loop reports to the address that it was told, and encloses what it is about.
    for part in message.walk():
        for name in _OF_THE_ORIGINAL:
            yield from _values(part, name)
        if part.get_content_type() in ("text/rfc822-headers", "message/rfc822-headers", "message/feedback-report"):
            yield _text(part)


# What it says


def _what_it_says(message: Message) -> tuple[BounceKind | Hint, str]:
    if message.get_content_type() == "multipart/report" or _has(message, "message/delivery-status"):
        of = str(message.get_param("report-type") or "").lower()
        if of == "feedback-report" or _has(message, "message/feedback-report"):
            return _feedback(message), ""
        if of == "disposition-notification" or _has(message, "message/disposition-notification"):
            return Hint.AUTOMATIC, ""
        told = _delivery_status(message)
        if told is not None:
            return told
    if _is_automatic(message):
        return Hint.AUTOMATIC, ""
    return _prose(message)


def _feedback(message: Message) -> BounceKind | Hint:
    for part in message.walk():
        if part.get_content_type() == "message/feedback-report":
            fields = message_from_bytes(_text(part).lstrip().encode("utf-8", "replace"))
            match str(fields.get("Feedback-Type", "")).strip().lower():
                case "abuse" | "fraud" | "opt-out" | "opt-out-list" | "other" | "virus" | "miscategorized":
                    return BounceKind.COMPLAINT
                case "not-spam":
                    return Hint.AUTOMATIC
    return Hint.UNRECOGNISED  # "auth-failure" and the like are about our configuration, and for other eyes.


def _delivery_status(message: Message) -> tuple[BounceKind | Hint, str] | None:
    """The fields of RFC 3464. An email of ours has one recipient: a failure counts before anything else."""
    found: list[tuple[BounceKind | Hint, str]] = []
    for fields in _recipient_fields(message):
        action = str(fields.get("Action", "")).strip().lower()
        status = _code_in(str(fields.get("Status", "")))
        match action:
            case "failed":
                found.append(_failure(status, _unfolded(str(fields.get("Diagnostic-Code", "")))))
            case "delayed":
                found.append((Hint.DELAYED, status))
            case "delivered" | "relayed" | "expanded":
                found.append((Hint.DELIVERED, status))
    failures = [one for one in found if isinstance(one[0], BounceKind)]
    return next(iter(failures or found), None)


def _recipient_fields(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            payload = part.get_payload()
            blocks = payload if isinstance(payload, list) else [message_from_bytes(_text(part).encode())]
            yield from (block for block in blocks if isinstance(block, Message) and "Action" in block)


_ENHANCED = re.compile(r"(?<![\d.])#?([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d)(?=[\s\-#]|$)")


def _failure(status: str, diagnostic: str) -> tuple[BounceKind, str]:
    """What a failure means: by the remote server's own words first, then by the reporter's status."""
    code = next(iter(_REPLY.findall(diagnostic)), "")
    said = _code_in(diagnostic)
    enhanced = next((one for one in (said, status) if one and not one.endswith(".0.0")), "")
    spoken = _in_words(diagnostic)
    if not enhanced and spoken is not None:
        return spoken, said or status or code
    if not enhanced and not code:
        return BounceKind.FAILED, said or status
    reply = int(code) if code else int(enhanced[0]) * 100 + 50
    return _kind_of(reply, enhanced), enhanced or code


def _kind_of(code: int, enhanced: str) -> BounceKind:
    outcome = outcome_of(code, enhanced, Stage.RCPT)
    match outcome:
        case Refused(address_fault=True):
            return BounceKind.ADDRESS
        case Stopped():
            return BounceKind.POLICY
        case Refused(reason=reason):
            return BounceKind.FAILED if is_about_recipient(reason) else BounceKind.MESSAGE
        case Retry():
            # "Try again" in a report of failure: they did, and have given up. Policy that passes is policy still.
            return BounceKind.POLICY if enhanced.startswith("4.7.") else BounceKind.FAILED
        case _:
            return BounceKind.FAILED


# Older and other ways of saying so

_PHRASES = (
    (
        BounceKind.FAILED,
        r"mailbox (?:is |size limit |space )?(?:full|exceeded)|over ?quota|quota exceeded|exceeded (?:its|the|his) "
        r"(?:storage|mailbox|quota)|retry time(?:out)? (?:not reached|exceeded)|message expired|connection (?:refused|"
        r"timed out)|i couldn'?t (?:reach|find) any host|too long in the queue|in the queue too long",
    ),
    (
        BounceKind.POLICY,
        r"blacklist|block ?list|blocked (?:by|using|because)|spam|policy (?:reasons|violation)|not authori[sz]ed|"
        r"dmarc|poor reputation|relay(?:ing)? (?:access )?denied",
    ),
    (
        BounceKind.ADDRESS,
        r"no mailbox here by that name|(?:user|recipient|mailbox|address|account) (?:is )?unknown|unknown (?:user|"
        r"recipient|address|local[- ]part)|no such (?:user|recipient|mailbox|person|address)|unrouteable address|"
        r"(?:user|recipient|mailbox|account|address)(?: \S+)? (?:does not|doesn'?t) exist|(?:recipient|user|mailbox|"
        r"address) (?:was )?not found|wasn'?t found at|couldn'?t be found|invalid (?:recipient|mailbox|user)|"
        r"(?:account|mailbox|user) (?:has been |is )?(?:disabled|deactivated|closed|inactive)|"
        r"unable to find the address|no longer (?:on server|valid|employed)|all relevant mx records point to "
        r"non-existent hosts",
    ),
)  # fmt: skip
_SPOKEN = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PHRASES)
_COPY_BEGINS = re.compile(
    r"^[-= ]*(?:below this line is a copy|this is a copy of (?:the|your)|(?:the )?(?:body|headers?) of (?:the|your) "
    r"message|original message|unsent message|return(?:ed)? message|included is a copy|message header|"
    r"the (?:first|following) .{0,40}of (?:the|your) (?:original )?message|received: from )",
    re.IGNORECASE | re.MULTILINE,
)
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|not? delivered|non[- ]?deliver|deliver\w* (?:status|fail|problem|report|notif)|mail deliver|"
    r"returned (?:mail|to sender)|failure (?:notice|notification)|(?:mail|message) (?:system )?(?:error|fail)",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"will (?:be retried|keep trying|continue (?:to try|trying)|try again)|you do not need to (?:do anything|resend)|"
    r"has not (?:yet )?been delivered|(?:message|delivery)\b.{0,60}\bdelayed|this is a warning message only",
    re.IGNORECASE,
)
_DAEMON = re.compile(r"mailer-daemon|postmaster|mail(?:\s+)?delivery|mdaemon", re.IGNORECASE)


def _prose(message: Message) -> tuple[BounceKind | Hint, str]:
    subject, sender = _unfolded(str(message.get("Subject", ""))), str(message.get("From", ""))
    failed = bool(message.get("X-Failed-Recipients"))
    null_path = any(value.strip() == "<>" for value in _values(message, "Return-Path"))
    if not (failed or null_path or _DAEMON.search(sender) or _BOUNCE_SUBJECT.search(subject)):
        return Hint.UNRECOGNISED, ""
    words = _unfolded(_COPY_BEGINS.split(_first_text(message), maxsplit=1)[0])
    if not failed and (_DELAY.search(words) or _DELAY.search(subject)):
        return Hint.DELAYED, ""
    status, code, spoken = _code_in(words), next(iter(_REPLY.findall(words)), ""), _in_words(words)
    if not (status or code or spoken or failed):
        return Hint.UNRECOGNISED, ""
    if status and not status.endswith(".0.0"):
        return _kind_of(int(code) if code else int(status[0]) * 100 + 50, status), status
    if spoken is not None:
        return spoken, status or code
    return (_kind_of(int(code), "") if code else BounceKind.FAILED), status or code


def _is_automatic(message: Message) -> bool:
    automatic = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    if automatic == "auto-replied":
        return True
    if any(name in message for name in ("X-Autoreply", "X-Autorespond", "X-Autogenerated-Reply")):
        return True
    if str(message.get("Precedence", "")).strip().lower() in ("auto_reply", "auto-reply"):
        return True
    subject = _unfolded(str(message.get("Subject", "")))
    return bool(re.match(r"(?:auto(?:matic|mated)?[- ]?(?:reply|response)|out of (?:the )?office)\b", subject, re.I))


# Parts and fields


def _has(message: Message, content_type: str) -> bool:
    return any(part.get_content_type() == content_type for part in message.walk())


def _first_text(message: Message) -> str:
    for part in message.walk():
        if part.get_content_maintype() == "text":
            text = _text(part)[:_PROSE_LETTERS_MAX]
            return (
                re.sub(r"<[a-z/!][^>]{0,500}>", " ", text, flags=re.I) if part.get_content_subtype() == "html" else text
            )
    return ""


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload.decode("utf-8", errors="replace")
    # `message/*` parts are parsed into a list of messages: put them together again.
    inner = part.get_payload()
    return "\n".join(one.as_string() for one in inner if isinstance(one, Message)) if isinstance(inner, list) else ""


def _values(part: Message, name: str) -> list[str]:
    return [str(value) for value in part.get_all(name, [])]


def _unfolded(text: str) -> str:
    return " ".join(text.split())


def _code_in(text: str) -> str:
    found = _ENHANCED.search(text)
    return found.group(1) if found else ""


def _in_words(text: str) -> BounceKind | None:
    return next((kind for kind, pattern in _SPOKEN if pattern.search(text)), None)
