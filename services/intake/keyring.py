"""Who sends: partners, known by their API keys. Pure; what is kept cannot be used as a key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from shared.contracts import Partner, PartnerKey

PREFIX_LETTERS = 11
"""`lc_` and eight more: enough to tell keys apart, of 46 letters that are 256 random bits."""


def hash_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def partner_with_key(source: str, key: str) -> Partner:
    """A partner of the settings (INTAKE_API_KEYS): for demos and tests."""
    return Partner(source=source, keys=(PartnerKey(prefix=key[:PREFIX_LETTERS], sha256=hash_of(key), created_at_ms=0),))


class Keyring:
    """The partners that are known now. Changes are in force with the next request."""

    def __init__(self, partners: Iterable[Partner] = ()) -> None:
        self._fixed: dict[str, Partner] = {}
        self._partners: dict[str, Partner] = {}
        self._by_prefix: dict[str, list[tuple[bytes, Partner]]] = {}
        self.changes = 0
        """How often it has changed: who keeps what follows from it sees that it has."""
        for partner in partners:
            self._fixed[partner.source] = self._partners[partner.source] = partner
        self._sort()

    def __contains__(self, source: object) -> bool:
        """Whether a source is a partner with a live key."""
        partner = self._partners.get(source) if isinstance(source, str) else None
        return partner is not None and bool(partner.keys)

    def __len__(self) -> int:
        return len(self._partners)

    def get(self, source: str) -> Partner | None:
        """The partner of a source, with keys or without."""
        return self._partners.get(source)

    def has_webhook(self, source: str) -> bool:
        """Whether a partner is to be told how it goes with their members, also where it lacks a key still."""
        partner = self._partners.get(source)
        return partner is not None and bool(partner.webhook_url)

    def partner(self, authorization: str) -> Partner | None:
        """The partner whose key an Authorization header holds, or `None`.

        The prefix, which is no secret, finds the candidates; hashes of whole keys are compared in
        constant time.
        """
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = key.strip()
        candidates = self._by_prefix.get(key[:PREFIX_LETTERS])
        if not candidates:
            return None
        hashed = hashlib.sha256(key.encode()).digest()
        found = None
        for known, partner in candidates:
            if hmac.compare_digest(known, hashed):
                found = partner
        return found

    def put(self, source: str, partner: Partner | None) -> None:
        """A partner is new, has changed, or (`None`) is no longer there. Those of the settings stay what they are."""
        if partner is None:
            self._partners.pop(source, None)
        else:
            self._partners[source] = partner
        self._partners |= self._fixed
        self.changes += 1
        self._sort()

    def _sort(self) -> None:
        by_prefix: dict[str, list[tuple[bytes, Partner]]] = {}
        for partner in self._partners.values():
            for key in partner.keys:
                by_prefix.setdefault(key.prefix, []).append((bytes.fromhex(key.sha256), partner))
        self._by_prefix = by_prefix


def keyring_of(keys_by_source: Mapping[str, str]) -> Keyring:
    """A keyring of keys that are written down in settings."""
    return Keyring(partner_with_key(source, key) for source, key in keys_by_source.items())
