"""The rights of `shared.acls` as commands of Kafka's own `kafka-acls.sh`, for who grants by hand. Pure."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable

from shared.acls import Operation, Pattern, Resource, Right

TOOL = "kafka-acls.sh"
_OPERATIONS = {
    Operation.ALL: "All",
    Operation.READ: "Read",
    Operation.WRITE: "Write",
    Operation.DESCRIBE: "Describe",
    Operation.DESCRIBE_CONFIGS: "DescribeConfigs",
}
_NAMED_BY = {
    Resource.TOPIC: "--topic",
    Resource.GROUP: "--group",
    Resource.TRANSACTIONAL_ID: "--transactional-id",
}
_PATTERNS = {Pattern.LITERAL: "literal", Pattern.PREFIXED: "prefixed"}


def acl_commands(rights: Iterable[Right], *, bootstrap_servers: str, command_config: str) -> list[str]:
    """Commands for a shell that add these rights and take none away, in an order that is always the same.

    One for all that a principal may do with a kind of resource where it may do just the same:
    each of them starts a Java machine, which takes a second or two.
    """
    operations: defaultdict[tuple[str, Resource, Pattern, str], set[Operation]] = defaultdict(set)
    for right in rights:
        operations[right.principal, right.resource, right.pattern, right.name].add(right.operation)
    names: defaultdict[tuple[str, Resource, Pattern, tuple[Operation, ...]], list[str]] = defaultdict(list)
    for (principal, resource, pattern, name), each in operations.items():
        names[principal, resource, pattern, tuple(sorted(each))].append(name)
    common = ["--bootstrap-server", bootstrap_servers, "--command-config", command_config, "--add"]
    commands = []
    for principal, resource, pattern, allowed in sorted(names):
        words = [TOOL, *common, "--allow-principal", f"User:{principal}"]
        words += [word for operation in allowed for word in ("--operation", _OPERATIONS[operation])]
        if resource is Resource.CLUSTER:
            words.append("--cluster")
        else:
            which = sorted(names[principal, resource, pattern, allowed])
            words += [word for name in which for word in (_NAMED_BY[resource], name)]
            words += ["--resource-pattern-type", _PATTERNS[pattern]]
        commands.append(shlex.join(words))
    return commands
