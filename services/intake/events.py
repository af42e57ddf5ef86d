"""The events that partners may send, each with its data: the union that everything that comes in must fit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from services.intake.plain_signups import PlainSignUp
from shared.contracts import Blocking, CloudEvent, EventType, Leaving, Pausing, SignUp


class SignUpEvent(CloudEvent):
    """A sign-up, or an update with a full snapshot: both say how a member is now."""

    type: Literal[EventType.SIGNED_UP, EventType.UPDATED]
    data: SignUp


class LeaveEvent(CloudEvent):
    """A member leaves, or is to be forgotten: the matching and the mail let go of them."""

    type: Literal[EventType.LEFT, EventType.ERASED]
    data: Leaving


class PauseEvent(CloudEvent):
    """A member does not want to be suggested for a while."""

    type: Literal[EventType.PAUSED]
    data: Pausing


class BlockEvent(CloudEvent):
    """A member does not want to meet another one, ever."""

    type: Literal[EventType.BLOCKED]
    data: Blocking


MemberEvent = SignUpEvent | LeaveEvent | PauseEvent | BlockEvent
Event = Annotated[MemberEvent, Field(discriminator="type")]
READER = TypeAdapter[MemberEvent](Event).validator
"""Reads JSON or what was decoded from it; raises `pydantic.ValidationError`."""
BATCH_READER = TypeAdapter[list[MemberEvent]](list[Event]).validator
"""Reads a JSON array of them, all or none."""

SIGN_UPS = (PlainSignUp, SignUpEvent)
AnySignUp = SignUpEvent | PlainSignUp
"""A sign-up or an update, whichever way it was read: both have the same attributes."""
AnyEvent = MemberEvent | PlainSignUp

EVENT_MODELS = (SignUpEvent, LeaveEvent, PauseEvent, BlockEvent)
