"""notifier's settings, on top of those that every service has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AnyHttpUrl, EmailStr, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.notifier.keys import SECRET_LETTERS_MIN
from services.notifier.smtp import is_this_machine
from services.notifier.verp import BASE_LETTERS_MAX
from shared.settings import ContactsSettings, Port, ServiceSettings, Settings

PerSecond = Annotated[float, Field(gt=0)]


Secret = Annotated[SecretStr, Field(min_length=SECRET_LETTERS_MIN)]


class NotifierSecrets(Settings):
    """The secrets behind all that leaves the notifier; an operator's commands need them too, where they read it."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_")

    link_secret: Secret
    """Encrypts the links in emails and signs return paths; at least 16 characters, the same for all instances."""
    former_link_secrets: tuple[Secret, ...] = ()
    """Link secrets that were replaced, as a JSON list: what was sent with them works on. A link lives for 400 days."""
    id_secret: Secret | None = None
    """Keys what others see of ids (Message-IDs, calendars, exports) and the hashes of addresses. The link secret unless
    told; when that is replaced, set this to the first one that you had: calendars and suppressions go by it."""

    @model_validator(mode="after")
    def _ids_outlast_links(self) -> Self:
        if self.former_link_secrets and self.id_secret is None:
            raise ValueError(
                "NOTIFIER_ID_SECRET must be set when there are NOTIFIER_FORMER_LINK_SECRETS: to the first link secret "
                "that you had, or calendars take every new date for another one"
            )
        return self

    def links_secret(self) -> str:
        """What links and return paths are made with."""
        return self.link_secret.get_secret_value()

    def former_secrets(self) -> tuple[str, ...]:
        """What they may have been made with before."""
        return tuple(one.get_secret_value() for one in self.former_link_secrets)

    def lasting_secret(self) -> str:
        """What ids are shown under, for as long as there are calendars that hold one."""
        return (self.id_secret or self.link_secret).get_secret_value()


class NotifierSettings(ContactsSettings, NotifierSecrets, ServiceSettings):
    """Environment variables that begin with NOTIFIER_, and those of the mail server, that begin with SMTP_."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", extra="ignore", frozen=True, populate_by_name=True)

    http_port: Port = 8003
    public_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8003")
    """What links in emails begin with: where members reach our pages."""
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
    attempts_max: Annotated[int, Field(ge=1, le=500)] = 40
    """Tries for one email that the mail server puts off: six hours, with the pauses below. A server that cannot be
    reached at all is tried for as long as the email still has a meaning."""
    backoff_first_seconds: Annotated[float, Field(gt=0)] = 2.0
    """The pause before the second try; it doubles with each, and is drawn between half and all of that."""
    backoff_max_seconds: Annotated[float, Field(gt=0)] = 900.0
    """No pause is longer."""

    keeps_quiet_hours: bool = True
    """Whether emails wait for the morning as the communities' files say; off for trials that must not."""
    emails_per_second_max: PerSecond | None = None
    """How fast emails go from this instance, in all; without it, as fast as the mail server takes them."""
    emails_burst_max: Annotated[int, Field(ge=1)] = 100
    """So many at once after a rest."""
    domain_emails_per_second_max: PerSecond | None = None
    """How fast emails go from this instance to one recipients' domain."""
    domain_emails_burst_max: Annotated[int, Field(ge=1)] = 20
    """So many at once after a rest, to one domain."""
    domain_rates: Annotated[dict[str, PerSecond], Field(default_factory=dict)]
    """A JSON object: emails a second for domains that want another rate, such as {"gmail.com": 5}."""
    policy_stop_seconds: Annotated[float, Field(gt=0)] = 900.0
    """When a server wants no mail from us (5.7.x), nothing goes there for so long; then one email is tried."""
    policy_stop_seconds_max: Annotated[float, Field(gt=0)] = 6 * 3600.0
    """It doubles with each try that is refused, up to this."""
    policy_stop_domains_max: Annotated[int, Field(ge=1)] = 5
    """When so many domains refuse us at the same time, nothing goes anywhere."""

    bounce_address: EmailStr | None = None
    """Where bounces come, such as bounces@example.org: each email gets a return path of its own,
    bounces+TAG@example.org. Without it they come to the community's sender, and nobody reads them here."""
    bounce_smtp_port: Port | None = None
    """Where this instance takes bounces in, by SMTP; nowhere unless told. `connection mail bounce` is the other way."""
    bounce_smtp_host: str = "127.0.0.1"
    """The address to take them in at; 0.0.0.0 in a container."""
    bounce_bytes_max: Annotated[int, Field(ge=10_000, le=50_000_000)] = 1_000_000
    """A larger report is refused."""
    bounce_connections_max: Annotated[int, Field(ge=1, le=1_000)] = 20
    """So many mail servers may report at once; others are told to come again."""

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
    smtp_plaintext_login: Annotated[bool, Field(validation_alias="SMTP_PLAINTEXT_LOGIN")] = False
    """Log in without TLS even at a server that is not on this machine: the password can be read on its way."""
    smtp_connections_max: Annotated[int, Field(validation_alias="SMTP_CONNECTIONS_MAX", ge=1, le=200)] = 16
    """Connections to it, kept and used again."""
    smtp_timeout_seconds: Annotated[float, Field(validation_alias="SMTP_TIMEOUT_SECONDS", gt=0)] = 30.0
    """For connecting, and for each answer."""
    smtp_idle_seconds_max: Annotated[float, Field(validation_alias="SMTP_IDLE_SECONDS_MAX", gt=0)] = 20.0
    """A connection that rested for longer is closed, before the server or a router forgets it."""
    smtp_emails_per_connection_max: Annotated[int, Field(validation_alias="SMTP_EMAILS_PER_CONNECTION_MAX", ge=1)] = 500
    """After so many emails a connection is replaced by a new one."""
    words_dir: Path = Path(__file__).parent / "words"
    """The sentences that members read: templates and catalogues, by locale."""

    @field_validator("bounce_address")
    @classmethod
    def _has_room_for_a_tag(cls, address: str | None) -> str | None:
        local = address.rpartition("@")[0] if address is not None else ""
        if "+" in local or len(local) > BASE_LETTERS_MAX:
            raise ValueError(
                f"must have at most {BASE_LETTERS_MAX} characters before the @, and no plus: a tag comes there"
            )
        return address

    @model_validator(mode="after")
    def _knows_what_to_take(self) -> Self:
        if self.bounce_smtp_port is not None and self.bounce_address is None:
            raise ValueError(
                "NOTIFIER_BOUNCE_SMTP_PORT needs NOTIFIER_BOUNCE_ADDRESS: no email has a return path without"
            )
        return self

    @model_validator(mode="after")
    def _keeps_the_password_secret(self) -> Self:
        if self.smtp_username is None or self.smtp_starttls or self.smtp_plaintext_login:
            return self
        if not is_this_machine(self.smtp_host):
            raise ValueError(
                "SMTP_USERNAME needs SMTP_STARTTLS=true: without TLS the password can be read on its way. "
                "SMTP_PLAINTEXT_LOGIN=true logs in all the same"
            )
        return self
