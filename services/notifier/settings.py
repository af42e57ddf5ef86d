"""notifier's settings, on top of those that every service has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import Port, ServiceSettings


class NotifierSettings(ServiceSettings):
    """Environment variables that begin with NOTIFIER_, and those of the mail server, that begin with SMTP_."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", extra="ignore", frozen=True, populate_by_name=True)

    http_port: Port = 8003
    public_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8003")
    """What links in emails begin with: where members reach our pages."""
    link_secret: SecretStr
    """Signs the links in emails and keys the Message-IDs; at least 16 characters, the same for all instances."""
    relay_lookup_url: AnyHttpUrl | None = None
    """Where to ask whether an email was taken (Mailpit's API). Without it, an email that a crash
    left in doubt is marked `ambiguous`, and not sent again."""

    transitions_max: Annotated[int, Field(ge=1, le=5_000)] = 500
    """Introductions moved on in one transaction."""
    emails_max: Annotated[int, Field(ge=1, le=5_000)] = 200
    """Emails taken from the outbox at once."""
    batches_under_way_max: Annotated[int, Field(ge=1, le=64)] = 4
    """So many such batches of a partition may wait for the mail server at once."""
    contact_grace_seconds: Annotated[float, Field(ge=0)] = 60.0
    """How long a suggestion waits for a contact that has not arrived."""
    attempts_max: Annotated[int, Field(ge=1, le=50)] = 8
    """Tries for one email, when the mail server puts it off."""
    backoff_first_seconds: Annotated[float, Field(gt=0)] = 2.0
    """The pause before the second try; it doubles with each, and is drawn between half and all of that."""
    backoff_max_seconds: Annotated[float, Field(gt=0)] = 900.0
    """No pause is longer."""

    smtp_host: Annotated[str, Field(validation_alias="SMTP_HOST")] = "127.0.0.1"
    """The mail server that takes our emails."""
    smtp_port: Annotated[Port, Field(validation_alias="SMTP_PORT")] = 8025
    """Its port."""
    smtp_username: Annotated[str | None, Field(validation_alias="SMTP_USERNAME")] = None
    """Who logs in there; nobody unless told."""
    smtp_password: Annotated[SecretStr | None, Field(validation_alias="SMTP_PASSWORD")] = None
    """The password of that user."""
    smtp_starttls: Annotated[bool, Field(validation_alias="SMTP_STARTTLS")] = False
    """Upgrade to TLS first, and refuse to go on without."""
    smtp_connections_max: Annotated[int, Field(validation_alias="SMTP_CONNECTIONS_MAX", ge=1, le=200)] = 16
    """Connections to it, kept and used again."""
    smtp_timeout_seconds: Annotated[float, Field(validation_alias="SMTP_TIMEOUT_SECONDS", gt=0)] = 30.0
    """For connecting, and for each answer."""
    words_dir: Path = Path(__file__).parent / "words"
    """The sentences that members read: templates and catalogues, by locale."""
