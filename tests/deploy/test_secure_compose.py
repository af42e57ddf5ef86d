"""compose.secure.yaml gives each service its own login from files, and holds no secret itself.

Where Docker is at hand it judges for itself; the schema and the rest are checked everywhere.
"""

from __future__ import annotations

import datetime as dt
import importlib.resources
import json
import os
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from composed import ROOT, load, merged, plain
from cryptography import x509
from jsonschema import Draft202012Validator
from test_compose import docker_compose
from typer.testing import CliRunner

from connection.cli import cli
from connection.kafka_secrets import DAYS_VALID, USERS, make_certificates, password_file, scram_user
from shared.acls import OPERATORS, PRINCIPALS, SERVICES

FILES = ("compose.yaml", "compose.secure.yaml")
JOBS = ("topics", "rights", "operators")
NOW = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
USER_OF = {**{service: service for service in SERVICES}, **dict.fromkeys(JOBS, OPERATORS)}


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return merged(*FILES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command that the file's head names."""
    made = tmp_path_factory.mktemp("compose") / "secrets"
    result = CliRunner().invoke(cli, ["kafka-secrets", str(made)])
    assert result.exit_code == 0, result.output
    return made


def files_of(whole: dict[str, Any], service: str) -> dict[str, str]:
    """By its name in the container: the file in the folder of secrets."""
    files = {}
    for secret in whole["services"][service].get("secrets", ()):
        source, target = (secret, secret) if isinstance(secret, str) else (secret["source"], secret["target"])
        path = whole["secrets"][source]["file"]
        assert path.startswith("${SECRETS:-./secrets}/"), path
        files[target] = path.rpartition("/")[2]
    return files


def test_it_follows_the_compose_specification_alone_and_on_top() -> None:
    schemas = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")
    validator = Draft202012Validator(json.loads((schemas / "compose-spec.json").read_text()))
    for described in (plain(load(FILES[1])), merged(*FILES)):
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(described)] == []


def test_docker_accepts_it_where_there_is_docker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not docker_compose("version"):
        return  # no Docker here: the schema has to do
    monkeypatch.setenv("SECRETS", str(folder))
    assert docker_compose(*(word for name in FILES for word in ("-f", str(ROOT / name))), "config", "--quiet")


@pytest.mark.parametrize("service", USER_OF)
def test_each_logs_in_as_itself_by_tls_with_a_password_from_a_file(whole: dict[str, Any], service: str) -> None:
    environment, files = whole["services"][service]["environment"], files_of(whole, service)
    assert environment["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
    assert environment["KAFKA_SASL_USERNAME"] == USER_OF[service]
    assert environment["SECRETS_DIR"] == "/run/secrets"
    assert environment["KAFKA_SSL_CA_FILE"] == "/run/secrets/ca.pem"
    assert files["ca.pem"] == "ca.pem"
    assert files["KAFKA_SASL_PASSWORD"] == f"{USER_OF[service]}-password"
    # Where there is a file, no variable counts more.
    assert not files.keys() & environment.keys()


def test_each_password_reaches_the_one_that_it_is_for(whole: dict[str, Any]) -> None:
    reached: dict[str, set[str]] = {}
    for service in whole["services"]:
        for file in files_of(whole, service).values():
            reached.setdefault(file, set()).add(service)
    assert {file: services for file, services in reached.items() if file != "ca.pem"} == {
        **{f"{service}-password": {service} for service in SERVICES},
        "operators-password": set(JOBS),
        "broker-password": {"kafka"},
        "broker.pem": {"kafka"},
        "scram-users": {"kafka"},
        "notifier-link-secret": {"notifier"},
    }


def test_what_is_laid_into_containers_is_what_the_command_makes(whole: dict[str, Any], folder: Path) -> None:
    laid = {file for service in whole["services"] for file in files_of(whole, service).values()}
    assert {file.name for file in folder.iterdir()} - {"partners-password"} == laid
    declared = {Path(secret["file"]).name for secret in whole["secrets"].values()}
    assert declared == laid


def test_no_file_of_ours_holds_a_secret(whole: dict[str, Any]) -> None:
    for service, described in whole["services"].items():
        environment = dict(described.get("environment") or {})
        assert environment.pop("INTAKE_API_KEYS", "{}") == "{}"
        held = [name for name in environment if re.search(r"PASSWORD|SECRET(?!S_DIR)|_KEYS?$", name)]
        assert held == [], service
    for file in ("deploy/secure-kafka.sh", "deploy/secure-kafka.properties"):
        text = (ROOT / file).read_text()
        assert not re.search(r"password=\\?\"?\w", text.replace("salted", "")), file
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_broker_speaks_to_nobody_without_tls() -> None:
    told = properties()
    protocols = dict(one.split(":") for one in told["listener.security.protocol.map"].split(","))
    listeners = {one.split("://")[0] for one in told["listeners"].split(",")}
    assert protocols == {"INTERNAL": "SASL_SSL", "HOST": "SASL_SSL", "CONTROLLER": "SSL"}
    assert listeners == protocols.keys()
    assert told["listener.name.controller.ssl.client.auth"] == "required"
    assert told["authorizer.class.name"].endswith("StandardAuthorizer")
    assert told["allow.everyone.if.no.acl.found"] == "false"
    assert set(told["super.users"].split(";")) == {"User:broker", "User:operators"}


def test_the_broker_is_set_up_as_the_one_without_security(whole: dict[str, Any]) -> None:
    """What compose.yaml says in variables, but for who may come in."""
    variables = load(FILES[0])["services"]["kafka"]["environment"]
    said = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in variables.items()}
    for name in ("heap.opts", "listener.security.protocol.map"):
        del said[name]
    told = properties()
    assert {name: told[name] for name in said} == said
    assert whole["services"]["kafka"]["environment"].keys() == {"CLUSTER_ID", "KAFKA_HEAP_OPTS", "SECRETS_DIR"}


def properties() -> dict[str, str]:
    lines = (ROOT / "deploy" / "secure-kafka.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_services_start_after_their_rights_are_granted(whole: dict[str, Any]) -> None:
    services = whole["services"]
    for service in SERVICES:
        assert services[service]["depends_on"]["rights"]["condition"] == "service_completed_successfully"
    assert services["rights"]["command"] == ["topics", "rights", "--grant"]
    assert services["rights"]["depends_on"].keys() == {"topics"}
    assert services["topics"]["command"] == ["topics", "create"]
    assert services["kafka"]["healthcheck"]["test"][-2:] == ["--command-config", "/tmp/kafka/client.properties"]  # noqa: S108
    assert services["kafka"]["healthcheck"]["retries"] > 1
    assert services["operators"]["profiles"] == ["operators"]


def test_what_the_two_jobs_share_with_the_services_they_share(whole: dict[str, Any]) -> None:
    for job in JOBS:
        for what in ("image", "init", "read_only", "tmpfs", "cap_drop", "security_opt"):
            assert whole["services"][job][what] == whole["services"]["intake"][what], (job, what)


def test_mounted_files_exist(whole: dict[str, Any]) -> None:
    volumes = whole["services"]["kafka"]["volumes"]
    assert [volume for volume in volumes if volume.endswith(":/var/lib/kafka/data")] == [
        "secure-kafka-data:/var/lib/kafka/data"
    ]
    for volume in volumes:
        if volume.startswith("./"):
            assert (ROOT / volume.split(":")[0]).is_file()


def test_secrets_are_for_their_owner_and_made_once(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o700
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    secrets = [content for name, content in before.items() if name.endswith(("-password", "-secret"))]
    assert len(set(secrets)) == len(USERS) + 1
    assert all(len(secret) >= 32 for secret in secrets)
    again = CliRunner().invoke(cli, ["kafka-secrets", str(folder)])
    assert again.exit_code == 0
    changed = {file.name for file in folder.iterdir() if file.read_bytes() != before[file.name]}
    assert changed == {"ca.pem", "broker.pem"}
    assert not [secret for secret in secrets if secret.decode() in again.output]
    users = before["scram-users"].decode()
    assert users.count("\n") == len(USERS)
    assert not [secret for secret in secrets if secret.decode() in users]
    os.unlink(password_file(folder, "matcher"))
    CliRunner().invoke(cli, ["kafka-secrets", str(folder)])
    assert (folder / "scram-users").read_text() != users, "a new password is a new user"
    assert set(PRINCIPALS) < set(USERS)


def test_a_user_is_told_to_the_broker_as_scram_computes_it() -> None:
    # Computed by OpenSSL: openssl kdf -keylen 64 -kdfopt digest:SHA512 ... -kdfopt iter:8192 PBKDF2
    salted = "97gbno3WVDK7OM/63OxjCF62yMImZ01mEGjgTmqYA+lsfcpagNvPH/PW5550TyB6mfusDYZ61c7PiIkn1byb8g=="
    told = scram_user("user", "pencil", b"salt")
    assert told == f'SCRAM-SHA-512=[name=user,iterations=8192,salt="c2FsdA==",saltedpassword="{salted}"]'


def test_certificates_are_for_the_hosts_that_were_named_and_for_a_year(tmp_path: Path) -> None:
    made = make_certificates(["kafka", "127.0.0.1"], NOW)
    authority, broker = x509.load_pem_x509_certificate(made.authority), x509.load_pem_x509_certificate(made.broker)
    broker.verify_directly_issued_by(authority)
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["kafka"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert broker.not_valid_after_utc == NOW + dt.timedelta(days=DAYS_VALID)
    (tmp_path / "broker.pem").write_bytes(made.broker)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tmp_path / "broker.pem")
