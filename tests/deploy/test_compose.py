"""compose.yaml is a valid Compose file whose parts fit each other and the project.

Where Docker is at hand it judges for itself; the schema and the rest are checked everywhere.
"""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]
OURS = {"intake": 8001, "matcher": 8002, "notifier": 8003}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    """The schema is the specification's own, as check-jsonschema carries it."""
    schemas = importlib.resources.files("check_jsonschema.builtin_schemas.vendor")
    validator = Draft202012Validator(json.loads((schemas / "compose-spec.json").read_text()))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(compose)] == []


def test_docker_accepts_it_where_there_is_docker() -> None:
    if not docker_compose("version"):
        return  # no Docker here: the schema has to do
    assert docker_compose("-f", str(ROOT / "compose.yaml"), "config", "--quiet")


def docker_compose(*arguments: str) -> bool:
    try:
        done = subprocess.run(["docker", "compose", *arguments], capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def test_everything_that_stays_up_has_a_health_check(compose: dict[str, Any]) -> None:
    without = {name for name, service in compose["services"].items() if "healthcheck" not in service}
    assert without == {"topics"}  # it ends when it has done its work


@pytest.mark.parametrize(("service", "port"), OURS.items())
def test_our_services_are_asked_for_readiness_where_they_listen(
    compose: dict[str, Any], service: str, port: int
) -> None:
    described = compose["services"][service]
    assert described["command"] == [service]
    assert described["environment"][f"{service.upper()}_HTTP_PORT"] == str(port)
    assert f"http://127.0.0.1:{port}/readyz" in described["healthcheck"]["test"][-1]


def test_what_is_waited_for_exists_and_can_get_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for other, wait in service.get("depends_on", {}).items():
            assert ("healthcheck" in services[other]) == (wait["condition"] == "service_healthy")


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    foreign = [service["image"] for service in compose["services"].values() if "build" not in service]
    assert len(foreign) == 3
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in foreign)


def test_the_broker_is_the_one_that_the_tests_run_on(compose: dict[str, Any]) -> None:
    from demo.kafka_jars import KAFKA_VERSION

    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_it_starts_with_nothing_set() -> None:
    named = re.findall(r"\$\{[^}]*\}", (ROOT / "compose.yaml").read_text())
    assert named
    assert all(":-" in variable for variable in named)


def test_the_files_that_are_mounted_and_built_from_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).is_file()
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_prometheus_scrapes_every_instance_of_every_service() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())
    scraped = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"]}
    assert {name: found["port"] for name, found in scraped.items()} == OURS
    assert all(found["names"] == [name] and found["type"] == "A" for name, found in scraped.items())
