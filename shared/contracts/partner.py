"""Partner apps: who they are, and what they pass on from their members and what lasts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.record import Record


class PartnerPreferenceKind(StrEnum):
    PAUSE = "pause"
    BLOCK = "block"
    """Never to be introduced to `about`, either way."""


class PartnerPreference(Record):
    """A choice that a member made in the partner's app: the latest of each kind, and of each person it is about.

    Written as `shared.contracts.choice.Preference` is, on a topic of its own since it has
    another writer: what a member chose on our pages and what they chose there hold both.
    """

    member: str
    kind: PartnerPreferenceKind
    chosen_at_ms: int
    until_ms: int | None = None
    """The end of a pause; none for what has no end."""
    about: str | None = None
    """The member whom a block is about."""

    @property
    def key(self) -> str:
        return f"{self.member}/{self.kind}" + (f"/{self.about}" if self.about else "")

    def holds_at(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return self.until_ms is None or now_ms < self.until_ms


class PartnerKey(BaseModel):
    """What is kept of an API key: enough to know it again, and not enough to use it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prefix: str
    """How it begins: what operators and logs call it by."""
    sha256: str
    """Of the whole key, as hexadecimal digits. A key is 256 random bits, so it needs no salt."""
    created_at_ms: int


class Partner(BaseModel):
    """A partner app: how it proves who it is, and how much it may send. Keyed by `source` on the topic `partners`.

    What is secret in it is neither in its text nor in an error about it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    source: Annotated[str, Field(min_length=1, max_length=200)]
    """The CloudEvents source that is theirs."""
    keys: Annotated[tuple[PartnerKey, ...], Field(max_length=2)] = ()
    """The live ones, oldest first; two while one takes over from the other, none when all are revoked."""
    webhook_url: str | None = None
    """Where they want to be told what happens to their members."""
    webhook_since_ms: int = 0
    """Since when they have one: of what was before they are not told."""
    webhook_set_at_ms: int = 0
    """When it was set last: a 410 from before does not count any more."""
    webhook_id_key: Annotated[str, Field(repr=False)] = ""
    """Keys the ids in what they are told: who knows how ours are derived could try out who is in them together."""
    signing_secrets: Annotated[tuple[str, ...], Field(max_length=2, repr=False)] = ()
    """Standard Webhooks secrets (`whsec_...`), newest first. Symmetric, so this topic is to be read by intake alone."""
    signature_required: bool = False
    """Whether events that carry no good signature are refused."""
    events_per_second: Annotated[int, Field(ge=1)] | None = None
    """How much they may send to each instance of intake; the setting's default unless told."""

    @property
    def is_told(self) -> bool:
        """Whether they can be told anything: it is known where, signed with what, and under which key ids are made.

        A webhook from before there was that key has none until it is set again: nothing is told
        meanwhile, since ids that anybody can derive would tell who is in an introduction together.
        """
        return bool(self.webhook_url and self.signing_secrets and self.webhook_id_key)

    def to_bytes(self) -> bytes:
        """The value as it stands on the topic."""
        return self.model_dump_json(exclude_none=True).encode()
