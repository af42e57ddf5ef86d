"""From the bytes of a topic to its typed value, and a reason, without personal data, when that fails."""

from __future__ import annotations

from types import MappingProxyType

from pydantic import ValidationError

from shared import topics
from shared.contracts import (
    Bounce,
    Choice,
    Contact,
    ContactKey,
    Delivery,
    Email,
    Erasure,
    ErasureOrder,
    Introduction,
    MailOrder,
    PartnerPreference,
    PartnerRequest,
    Preference,
    Profile,
    Record,
    Reference,
    ReviewOrder,
    SealedContact,
    Suggestion,
    Suppression,
    Unreachable,
    WebhookDelivery,
    WebhookOrder,
)

MODELS = MappingProxyType[str, type[Record]](
    {
        topics.PROFILES.name: Profile,
        topics.CONTACTS.name: Contact,
        topics.CONTACT_KEYS.name: ContactKey,
        topics.PARTNER_REQUESTS.name: PartnerRequest,
        topics.PARTNER_PREFERENCES.name: PartnerPreference,
        topics.SUGGESTIONS.name: Suggestion,
        topics.INTRODUCTIONS.name: Introduction,
        topics.CHOICES.name: Choice,
        topics.PREFERENCES.name: Preference,
        topics.OUTBOX.name: Email,
        topics.DELIVERIES.name: Delivery,
        topics.BOUNCES.name: Bounce,
        topics.SUPPRESSIONS.name: Suppression,
        topics.UNREACHABLE.name: Unreachable,
        topics.MAIL_ORDERS.name: MailOrder,
        topics.ERASURE_ORDERS.name: ErasureOrder,
        topics.ERASURES.name: Erasure,
        topics.REVIEW_ORDERS.name: ReviewOrder,
        topics.REFERENCES.name: Reference,
        topics.WEBHOOK_DELIVERIES.name: WebhookDelivery,
        topics.WEBHOOK_ORDERS.name: WebhookOrder,
    }
)
"""What lies on each of our own topics. (`signups` is the partners': `services.intake` reads it.)"""

_SEALED = b'"sealed":'
_PROBLEMS_NAMED_MAX = 5


class BadMessage(ValueError):
    """A message that cannot be used. Its text says why, and holds nothing of what the message held."""


def decode(topic: str, key: bytes | None, value: bytes | None) -> tuple[str, Record | None]:
    """The key and the value of a record; `None` for a tombstone.

    Raises `BadMessage` if the key is missing or not UTF-8, the value is not what lies
    on this topic, or the two do not belong together.
    """
    if not key:
        raise BadMessage("the key is missing")
    try:
        key_text = key.decode()
    except UnicodeDecodeError:
        raise BadMessage("the key is not UTF-8") from None
    if value is None:
        return key_text, None
    try:
        # Told by a field that a contact has not, so that both may lie on one topic while encryption is turned on.
        sealed = topic == topics.CONTACTS.name and _SEALED in value
        record: Record = (SealedContact if sealed else MODELS[topic]).model_validate_json(value)
    except ValidationError as error:
        raise BadMessage(reason_of(error)) from None
    if record.key != key_text:
        raise BadMessage("the key is not the one that the value belongs to")
    return key_text, record


def reason_of(error: ValidationError) -> str:
    """Which fields are wrong and how, from the error's own words only: the input is left out."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['type']}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)[:_PROBLEMS_NAMED_MAX]
    ]
    more = error.error_count() - len(problems)
    return "; ".join(problems) + (f"; and {more} more" if more > 0 else "")
