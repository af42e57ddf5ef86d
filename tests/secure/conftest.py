"""One secured broker for all tests of this folder, with topics and rights as an operator gives them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from secure_world import SecureKafka, secure_kafka


@pytest.fixture(scope="session")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as running:
        yield running
