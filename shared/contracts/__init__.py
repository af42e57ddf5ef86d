"""The contracts: one pydantic model for every kind of value on a topic.

============== ==================================== =======================
topic          value                                module
============== ==================================== =======================
signups        `CloudEvent` with a `SignUp`         `shared.contracts.signup`
profiles       `Profile`                            `shared.contracts.member`
contacts       `Contact`, or a `SealedContact`      `shared.contracts.member`, `shared.contracts.sealed`
contact-keys   `ContactKey`                         `shared.contracts.sealed`
partner-requests `PartnerRequest`                   `shared.contracts.member`
partner-preferences `PartnerPreference`             `shared.contracts.partner`
partners       `Partner`                            `shared.contracts.partner`
suggestions    `Suggestion`                         `shared.contracts.suggestion`
introductions  `Introduction`                       `shared.contracts.introduction`
choices        `Choice`                             `shared.contracts.choice`
preferences    `Preference`                         `shared.contracts.choice`
outbox         `Email`                              `shared.contracts.email`
deliveries     `Delivery`                           `shared.contracts.email`
bounces        `Bounce`                             `shared.contracts.mail`
suppressions   `Suppression`                        `shared.contracts.mail`
unreachable    `Unreachable`                        `shared.contracts.mail`
mail-orders    `MailOrder`                          `shared.contracts.mail`
references     `Reference`                          `shared.contracts.webhook`
webhook-deliveries `WebhookDelivery`                `shared.contracts.webhook`
webhook-orders `WebhookOrder`                       `shared.contracts.webhook`
erasure-orders `ErasureOrder`                       `shared.contracts.erasure`
erasures       `Erasure`                            `shared.contracts.erasure`
review-orders  `ReviewOrder`                        `shared.contracts.review`
============== ==================================== =======================

Times on topics are integers, milliseconds since the epoch in UTC, and say so in
their names. Only `Contact` (and a partner's own `SignUp`) holds personal data.
"""

from shared.contracts.choice import Choice, ChoiceKind, Preference, PreferenceKind
from shared.contracts.email import Delivery, DeliveryState, Email, EmailKind, Fault
from shared.contracts.erasure import Erasure, ErasureOrder, Service, asks_for_erasure
from shared.contracts.introduction import ClosingReason, Introduction, IntroductionState, Meeting
from shared.contracts.mail import (
    EVERYWHERE,
    Bounce,
    BounceKind,
    MailOrder,
    OrderKind,
    Suppression,
    SuppressionReason,
    Unreachable,
)
from shared.contracts.member import Contact, PartnerRequest, PartnerRequestKind, Profile
from shared.contracts.partner import Partner, PartnerKey, PartnerPreference, PartnerPreferenceKind
from shared.contracts.record import Record
from shared.contracts.review import ReviewOrder, ReviewOrderKind
from shared.contracts.sealed import ContactKey, SealedContact
from shared.contracts.signup import (
    Blocking,
    CloudEvent,
    Consent,
    EventType,
    Leaving,
    Openness,
    Pausing,
    PlaceInput,
    SignUp,
)
from shared.contracts.suggestion import (
    Anchor,
    MeetingPlace,
    RoundReference,
    ScoreParts,
    Suggestion,
    SuggestionKind,
)
from shared.contracts.webhook import (
    Reference,
    WebhookDelivery,
    WebhookEvent,
    WebhookOrder,
    WebhookOrderKind,
    WebhookOutcome,
    WebhookState,
)

__all__ = [
    "EVERYWHERE",
    "Anchor",
    "Blocking",
    "Bounce",
    "BounceKind",
    "Choice",
    "ChoiceKind",
    "ClosingReason",
    "CloudEvent",
    "Consent",
    "Contact",
    "ContactKey",
    "Delivery",
    "DeliveryState",
    "Email",
    "EmailKind",
    "Erasure",
    "ErasureOrder",
    "EventType",
    "Fault",
    "Introduction",
    "IntroductionState",
    "Leaving",
    "MailOrder",
    "Meeting",
    "MeetingPlace",
    "Openness",
    "OrderKind",
    "Partner",
    "PartnerKey",
    "PartnerPreference",
    "PartnerPreferenceKind",
    "PartnerRequest",
    "PartnerRequestKind",
    "Pausing",
    "PlaceInput",
    "Preference",
    "PreferenceKind",
    "Profile",
    "Record",
    "Reference",
    "ReviewOrder",
    "ReviewOrderKind",
    "RoundReference",
    "ScoreParts",
    "SealedContact",
    "Service",
    "SignUp",
    "Suggestion",
    "SuggestionKind",
    "Suppression",
    "SuppressionReason",
    "Unreachable",
    "WebhookDelivery",
    "WebhookEvent",
    "WebhookOrder",
    "WebhookOrderKind",
    "WebhookOutcome",
    "WebhookState",
    "asks_for_erasure",
]
