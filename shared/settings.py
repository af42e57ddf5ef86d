"""Settings that every service has: environment variables, the same on a laptop, in compose and in production.

Every bound has a name and a unit. `connection SERVICE --help` and the README list
them; a wrong value stops the service at start with the name of the variable.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.community import Communities, load_communities
from shared.sealing import MasterKeys

SECRETS_DIR = os.environ.get("SECRETS_DIR") or None
"""A folder with a file for each secret, named as its variable is (KAFKA_SASL_PASSWORD): Docker's /run/secrets, or
a volume of Kubernetes'. A variable that is set as well counts more."""
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What all settings have in common: from variables, or files in `SECRETS_DIR`, and never changed afterwards."""

    # What is wrong may be a secret: an error says which setting, and never what it holds.
    model_config = SettingsConfigDict(extra="ignore", frozen=True, secrets_dir=SECRETS_DIR, hide_input_in_errors=True)


class KafkaSettings(Settings):
    """How to reach Kafka, and how much is taken from it at once."""

    model_config = SettingsConfigDict(env_prefix="KAFKA_")

    bootstrap_servers: str = "localhost:9092"
    """One or more host:port, separated by commas."""
    partitions: Annotated[int, Field(ge=1, le=1000)] = 8
    """Partitions of every topic. Cannot be changed later: a community's place depends on it."""
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    """Copies of every partition; 3 in production."""
    compaction_lag_ms_max: Annotated[int, Field(ge=10_000)] = 24 * 60 * 60 * 1000
    """Within this time an overwritten or erased value is physically gone from a compacted topic."""
    erased_within_ms: Annotated[int, Field(ge=20_000)] = 7 * 24 * 60 * 60 * 1000
    """Within this time after an erasure nothing that the member wrote is left anywhere in Kafka. Sign-ups as they
    were sent over Kafka, and dead letters, are kept for three quarters of it and at most five days, whoever's they are:
    an outage of intake must be shorter."""
    session_timeout_ms: Annotated[int, Field(ge=6_000)] = 10_000
    """An instance that is not heard of for so long loses its partitions to the others."""
    heartbeat_interval_ms: Annotated[int, Field(ge=100)] = 1_000
    """How often an instance tells that it is there; a tenth of the session time-out or so."""
    batch_records_max: Annotated[int, Field(ge=1, le=50_000)] = 2_000
    """Records taken from Kafka and applied at once."""
    batch_wait_ms: Annotated[int, Field(ge=1, le=5_000)] = 20
    """How long an idle consumer waits before it looks again."""
    dead_letters_in_a_row_max: Annotated[int, Field(ge=1)] = 1_000
    """So many bad messages of one partition without a good one between stop the consumer: then it is us, not them."""
    request_timeout_ms: Annotated[int, Field(ge=1_000)] = 20_000
    """How long an answer of the broker may take."""
    transaction_timeout_ms: Annotated[int, Field(ge=1_000)] = 20_000
    """A transaction that its writer left open is aborted after so long."""
    state_retained_seconds: Annotated[int, Field(ge=0, le=12 * 3600)] = 600
    """How long the state of a partition that went to another instance is kept, in case it comes back.
    Far less than the time for which tombstones are kept, or an erasure could be missed."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """TLS and login: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How to log in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    sasl_username: str | None = None
    """Who logs in."""
    sasl_password: SecretStr | None = None
    """The password of that user."""
    ssl_ca_file: Path | None = None
    """The authority that signed the broker's certificate, as a PEM file; the system's own unless told."""


class ServiceSettings(Settings):
    """What every service needs besides Kafka. Each service adds its own prefix and settings."""

    http_host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 in a container."""
    http_port: Port = 8000
    """The port to listen on."""
    hsts_seconds: Annotated[int, Field(ge=0, validation_alias="HSTS_SECONDS")] = 0
    """For so long browsers are to come back by TLS only (Strict-Transport-Security); 0 says nothing about it."""
    communities_dir: Annotated[Path, Field(validation_alias="COMMUNITIES_DIR")] = Path("communities")
    """The folder with a YAML file for each community."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(validation_alias="LOG_LEVEL")] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""

    def communities(self) -> Communities:
        """The communities of `communities_dir`; raises `CommunityFileError`."""
        return load_communities(self.communities_dir)


class ContactsSettings(Settings):
    """The master keys of encrypted contacts: the same for intake, who writes them, and the notifier, who reads them."""

    contacts_keys: Annotated[dict[str, SecretStr], Field(default_factory=dict, validation_alias="CONTACTS_KEYS")]
    """A JSON object: the keys that encrypt the values of `contacts`, by names of yours, newest first; each 32 random
    bytes in base64. Not encrypted without. Never take one away that still wraps a member's key."""
    contacts_keys_file: Annotated[Path | None, Field(validation_alias="CONTACTS_KEYS_FILE")] = None
    """A file that holds that JSON object instead."""

    @model_validator(mode="after")
    def _keys_are_keys(self) -> Self:
        self.master_keys()
        return self

    def master_keys(self) -> MasterKeys | None:
        """The keys, if there are any. Raises `ValueError` that says what is wrong with which, and never tells a key."""
        keys = self.contacts_keys
        if self.contacts_keys_file is not None:
            if keys:
                raise ValueError("set CONTACTS_KEYS or CONTACTS_KEYS_FILE, not both")
            try:
                keys = _KEYS.validate_json(self.contacts_keys_file.read_bytes())
            except OSError as error:
                raise ValueError(f"CONTACTS_KEYS_FILE cannot be read ({type(error).__name__})") from None
            except ValidationError:
                raise ValueError("CONTACTS_KEYS_FILE must hold a JSON object of keys by name") from None
            if not keys:
                raise ValueError("CONTACTS_KEYS_FILE holds no key")
        return MasterKeys({name: _raw(name, key) for name, key in keys.items()}, os.urandom) if keys else None


_KEYS = TypeAdapter(dict[str, SecretStr])


def _raw(name: str, key: SecretStr) -> bytes:
    try:
        return base64.b64decode(key.get_secret_value().strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"CONTACTS_KEYS: the key {name!r} must be 32 bytes in base64") from None
