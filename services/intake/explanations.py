"""What each kind of problem means, and how to mend it: what the `type` of a problem leads to, and the document says.

Pure. A test sees to it that every kind that intake may answer stands here, with its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Explanation(NamedTuple):
    """One kind of problem."""

    status: int
    title: str
    meaning: str
    mend: str


_SAME_AGAIN = "Send the same again, with the same id, in a moment. Twice is once: it does no harm."

EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {
        "not-json": Explanation(
            400,
            "The body is not valid JSON.",
            "It is cut off, not UTF-8, or not JSON; where it can be told, the detail says at which line and column.",
            "Write it with a JSON library, in UTF-8, and send all of it.",
        ),
        "no-key": Explanation(
            401,
            "Send your API key.",
            "There is no Authorization header, or the key in it is not known, or was revoked.",
            "Send `Authorization: Bearer KEY`. An operator makes a new key with `connection partner rotate`.",
        ),
        "bad-signature": Explanation(
            401,
            "The signature is not a good one.",
            "Events of yours must be signed, or are, and the signature is missing, too old, or of another body.",
            "Sign id, timestamp and the body as it is sent, as Standard Webhooks has it, by a clock that is right.",
        ),
        "foreign-source": Explanation(
            403,
            "The source is not yours.",
            "The event's source is not the one that your API key belongs to.",
            "Set source to your own name; `connection partner list` tells an operator which that is.",
        ),
        "unknown-source": Explanation(
            403,
            "The source is not known.",
            "On the topic, the event's source is not a partner with a key.",
            "Set source to your own name, or have an operator make you known: `connection partner add`.",
        ),
        "not-your-community": Explanation(
            403,
            "This community does not take sign-ups from you.",
            "The file of the community names its partners, and you are not among them.",
            "Name another community, or have an operator add you to the file.",
        ),
        "not-found": Explanation(
            404, "Not Found.", "There is nothing at this path.", "/docs on intake tells what there is."
        ),
        "method-not-allowed": Explanation(
            405,
            "Method Not Allowed.",
            "There is something at this path, but not for this method.",
            "Use a method that the header Allow names.",
        ),
        "too-slow": Explanation(
            408,
            "The body did not come in time.",
            "A body must have come within ten seconds.",
            "Send it at once, and smaller batches where the line is slow. " + _SAME_AGAIN,
        ),
        "under-way": Explanation(
            409,
            "The same event, or another one about the same member, is under way.",
            "Somebody else, perhaps an earlier try of yours, has it in hand and is not done yet.",
            _SAME_AGAIN,
        ),
        "erased": Explanation(
            410,
            "This member asked to be erased.",
            "Nothing of theirs is stored any more, and nothing is taken in any more.",
            "Forget the reference. Who wants to come back signs up under another subject.",
        ),
        "too-large": Explanation(
            413,
            "The request is too large.",
            "The body has more bytes than one request may have; the detail says how many that are.",
            "Send fewer events in one batch.",
        ),
        "batch-too-large": Explanation(
            413,
            "The batch holds too many events.",
            "The detail says how many one batch may hold. None of them was accepted.",
            "Send them in several batches.",
        ),
        "media-type": Explanation(
            415,
            "This content type is not understood.",
            "It is none of the three ways of CloudEvents, or its character set is not UTF-8.",
            "Send application/cloudevents+json for one event, application/cloudevents-batch+json for many, or "
            "application/json with ce- headers.",
        ),
        "invalid-event": Explanation(
            422,
            "The event has a field that cannot be used.",
            "Each of `errors` points at a field and says what would be right; `choices` can be sent instead.",
            "Mend the fields that are pointed at, and send it again; the id may stay the same.",
        ),
        "not-a-batch": Explanation(
            422,
            "A batch is a JSON array of events.",
            "The content type says that it is a batch, and the body is something else than an array.",
            "Send an array, or one event as application/cloudevents+json.",
        ),
        "bad-envelope": Explanation(
            422,
            "A header is not UTF-8.",
            "A header that holds an attribute of the event cannot be read as text, or has no value.",
            "Write attributes in UTF-8, percent-encoded over HTTP as the specification has it.",
        ),
        "bad-dry-run": Explanation(
            422,
            "The query cannot be used.",
            "dry_run is neither true nor false; nothing was stored.",
            "Write `?dry_run=true`, or leave it out.",
        ),
        "bad-idempotency-key": Explanation(
            422,
            "The key cannot be used.",
            "An Idempotency-Key has 1 to 200 characters.",
            "Send a shorter one, such as a UUID, or none.",
        ),
        "other-body": Explanation(
            422,
            "This id or key was used before, for something else.",
            "The same id, or Idempotency-Key, came within the last 24 hours with other content.",
            "Take a new id for what is new; send again unchanged what is to be tried again.",
        ),
        "too-many-requests": Explanation(
            429,
            "That is more than agreed.",
            "You sent more events a second than an operator has agreed with you.",
            "Wait as many seconds as Retry-After says, then go on.",
        ),
        "internal-server-error": Explanation(
            500,
            "Internal Server Error.",
            "That is our mistake, and it is in our logs.",
            "Tell an operator when it happened. " + _SAME_AGAIN,
        ),
        "not-acknowledged": Explanation(
            503,
            "Kafka did not acknowledge in time.",
            "It is not known whether the event was stored.",
            _SAME_AGAIN,
        ),
    }
)
"""By the kind, which is the last part of a problem's `type`."""
