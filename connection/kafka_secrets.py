"""`connection kafka-secrets`: the certificates and passwords of a secured Kafka, as `compose.secure.yaml` wants them.

Each password lies in a file of its own, for the one program that logs in with it. The
broker is given none but its own: of the others it gets what SCRAM has instead (a salt and
a salted password), from which no password can be had.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.acls import PRINCIPALS

BROKER = "broker"
USERS = (BROKER, *PRINCIPALS)
CA_FILE, BROKER_FILE, USERS_FILE, LINKS_FILE = "ca.pem", "broker.pem", "scram-users", "notifier-link-secret"
DAYS_VALID = 365
"""How long a certificate is good; making the secrets again renews it."""
_ITERATIONS = 8192
"""Of SCRAM: with passwords that nobody chose, no more are needed."""
_SECRET_BYTES = 32
_SALT_BYTES = 24
_FOLDER_MODE, _FILE_MODE = 0o700, 0o444
"""Nobody else gets into the folder; where single files of it are laid into containers, another user must read them."""


class Certificates(NamedTuple):
    """In PEM: the authority's certificate, and the broker's key with its certificate."""

    authority: bytes
    broker: bytes


def kafka_secrets_command(folder: Path, hosts: Sequence[str]) -> None:
    """Make what is not there yet; certificates are made anew each time. Says what was done, and no secret."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(_FOLDER_MODE)
    made = [user for user in USERS if not password_file(folder, user).exists()]
    passwords = {user: _secret_in(password_file(folder, user)) for user in USERS}
    _secret_in(folder / LINKS_FILE)
    certificates = make_certificates(hosts, dt.datetime.now(dt.UTC))
    _write(folder / CA_FILE, certificates.authority)
    _write(folder / BROKER_FILE, certificates.broker)
    if made or not (folder / USERS_FILE).exists():
        lines = [scram_user(user, password, secrets.token_bytes(_SALT_BYTES)) for user, password in passwords.items()]
        _write(folder / USERS_FILE, "".join(f"{line}\n" for line in lines).encode())
    typer.echo(
        f"{folder}: {len(made)} passwords made, {len(USERS) - len(made)} kept; certificates for {', '.join(hosts)} are "
        f"good for {DAYS_VALID} days, and whoever is to trust the broker needs {CA_FILE}."
    )
    if made:
        typer.echo("A broker makes its users when it first starts: new passwords are for a new one.", err=True)


def password_file(folder: Path, user: str) -> Path:
    return folder / f"{user}-password"


def scram_user(user: str, password: str, salt: bytes) -> str:
    """What `kafka-storage.sh format --add-scram` is told of a user: enough to judge a login, and not the password."""
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    parts = {"salt": base64.b64encode(salt).decode(), "saltedpassword": base64.b64encode(salted).decode()}
    told = ",".join(f'{name}="{value}"' for name, value in parts.items())
    return f"SCRAM-SHA-512=[name={user},iterations={_ITERATIONS},{told}]"


def make_certificates(hosts: Iterable[str], now: dt.datetime) -> Certificates:
    """An authority that signs one certificate, for these hosts, and is forgotten: nobody can sign more with it."""
    until = now + dt.timedelta(days=DAYS_VALID)
    before = now - dt.timedelta(hours=1)  # clocks differ
    authority_key, broker_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("London Connection's Kafka")
    authority = (
        x509.CertificateBuilder(authority_name, authority_name, authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(before)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    broker = (
        x509.CertificateBuilder(authority_name, _name(BROKER), broker_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(before)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        # To itself the broker is a client as well.
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = broker_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    return Certificates(authority.public_bytes(pem), key + broker.public_bytes(pem))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _secret_in(file: Path) -> str:
    """What lies in the file; a new secret if there is none yet."""
    if not file.exists():
        _write(file, secrets.token_urlsafe(_SECRET_BYTES).encode())
    return file.read_text().strip()


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, in place of what was there."""
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    partial.write_bytes(content)
    partial.chmod(_FILE_MODE)
    partial.replace(file)
