"""compose.yaml with compose.secure.yaml on top, put together as Docker Compose documents it, as far as these need."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class _Reset:
    """`!reset`: what the file below says is not there."""


class _Override(dict[str, Any]):
    """`!override`: nothing of what the file below says stays."""


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_constructor("!reset", lambda loader, node: _Reset())


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> _Override:
    assert isinstance(node, yaml.MappingNode)
    return _Override(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("!override", _override)


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / name).read_text(), _Loader)  # noqa: S506  # a SafeLoader with two tags more
    return loaded


def plain(value: Any) -> Any:
    """Without the two tags: what the schema is for."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if not isinstance(each, _Reset)}
    return [plain(each) for each in value] if isinstance(value, list) else value


def merged(*names: str) -> dict[str, Any]:
    """Mappings are merged; commands and tests are replaced; volumes by where they are mounted; the rest is added."""
    below: dict[str, Any] = {}
    for name in names:
        below = _merge(below, load(name), ())
    return below


def _merge(below: Any, above: Any, path: tuple[str, ...]) -> Any:
    if isinstance(above, _Override):
        return dict(above)
    if isinstance(below, dict) and isinstance(above, dict):
        result = copy.deepcopy(below)
        for key, value in above.items():
            if isinstance(value, _Reset):
                result.pop(key, None)
            else:
                result[key] = _merge(result.get(key), value, (*path, key))
        return result
    if isinstance(below, list) and isinstance(above, list) and path[-1] not in ("command", "entrypoint", "test"):
        if path[-1] == "volumes":
            taken = {volume.split(":")[1] for volume in above}
            below = [volume for volume in below if volume.split(":")[1] not in taken]
        return [*below, *above]
    return plain(above)
