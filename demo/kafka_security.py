"""TLS, users with passwords, and an authorizer for the embedded Kafka: on every listener, the broker's own ones too.

The authority that signs the certificate is made for the occasion and thrown away with its
folder. Clients log in by SCRAM-SHA-512, and so does the broker where it talks to itself;
the controller's listener takes nobody without a certificate of that authority, since a
controller cannot look up SCRAM users before it has read them. Whoever is not granted a
right may do nothing, but for the broker's own user.

    security = KafkaSecurity(folder, {"intake": "a password"})
    with EmbeddedKafka(security=security) as kafka:
        ...  # security.environment("intake") is what makes a client of ours that user
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import trustme
from cryptography.hazmat.primitives import serialization

BROKER = "broker"
"""The broker's own user, who may do everything: also to make topics and grant the first rights."""
MECHANISM = "SCRAM-SHA-512"
CLIENTS, CONTROLLER = "CLIENTS", "CONTROLLER"
"""The two listeners, by name."""
_SCRAM_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
_PASSWORD_BYTES = 24


class KafkaSecurity:
    """Certificates in `folder`, and the passwords of all users by name.

    The users are made when a broker's data folder is formatted, so a later instance on the
    same data must be given the same passwords, `BROKER`'s as well. Passwords are throwaway:
    the program that formats the folder has them among its arguments.
    """

    def __init__(self, folder: Path, passwords: Mapping[str, str]) -> None:
        self.passwords = MappingProxyType({BROKER: secrets.token_hex(_PASSWORD_BYTES), **passwords})
        self.ca_file = folder.absolute() / "ca.pem"
        self._broker_file = folder.absolute() / "broker.pem"
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        self.ca_file.write_bytes(authority.cert_pem.bytes())
        self._broker_file.touch(mode=0o600)
        self._broker_file.write_bytes(
            _key_and_chain(authority.issue_cert("127.0.0.1", "localhost", common_name=BROKER))
        )

    def environment(self, user: str) -> dict[str, str]:
        """The settings that make a client of ours this user; where the broker is comes on top."""
        return {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": MECHANISM,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": self.passwords[user],
            "KAFKA_SSL_CA_FILE": str(self.ca_file),
        }

    def tool_properties(self, user: str) -> dict[str, str]:
        """The same for Kafka's own tools: what their `--command-config` file says."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.jaas.config": f'{_SCRAM_MODULE} required username="{user}" password="{self.passwords[user]}";',
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
        }

    def client_context(self) -> ssl.SSLContext:
        """Trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def format_arguments(self) -> list[str]:
        """What makes the users when a broker's folder is formatted."""
        made = (f"{MECHANISM}=[name={user},password={password}]" for user, password in self.passwords.items())
        return [part for one in made for part in ("--add-scram", one)]

    def broker_properties(self, host: str, port: int, controller_port: int) -> dict[str, str]:
        """The broker's side of it."""
        login = f'{_SCRAM_MODULE} required username="{BROKER}" password="{self.passwords[BROKER]}";'
        return {
            "listeners": f"{CLIENTS}://{host}:{port},{CONTROLLER}://{host}:{controller_port}",
            "advertised.listeners": f"{CLIENTS}://{host}:{port}",
            "listener.security.protocol.map": f"{CLIENTS}:SASL_SSL,{CONTROLLER}:SSL",
            "controller.listener.names": CONTROLLER,
            "inter.broker.listener.name": CLIENTS,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._broker_file),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            f"listener.name.{CLIENTS.lower()}.{MECHANISM.lower()}.sasl.jaas.config": login,
            f"listener.name.{CONTROLLER.lower()}.ssl.client.auth": "required",
            # Who comes with a certificate is called by its common name.
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+),.*$/$1/,DEFAULT",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{BROKER}",
            "allow.everyone.if.no.acl.found": "false",
        }


def _key_and_chain(issued: trustme.LeafCert) -> bytes:
    """A private key and its certificates in one file, in the one form that Kafka reads (PKCS #8)."""
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem + b"".join(blob.bytes() for blob in issued.cert_chain_pems)
