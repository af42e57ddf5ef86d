"""The notifier's keys, each derived from a secret for one use: none of them says anything about another (RFC 5869)."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_LETTERS_MIN = 16


def derive(secret: str, use: str, length: int) -> bytes:
    """So many bytes for one use. A secret is long and random, so no slow derivation is needed."""
    info = f"london-connection {use}".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret.encode())
