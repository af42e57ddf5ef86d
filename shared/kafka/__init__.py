"""The Kafka plumbing, in one place: what aiokafka and FastStream leave to the application.

===================== =====================================================================
`connection`          security, brokers, consumers and producers from the settings
`reachable`           why no broker takes us, in a line that names the setting
`complaints`          what that line says
`readable`            which topics a user may not read, or are not there
`rights`              writes the rights of `shared.acls` down at a broker
`admin`               topics are created explicitly, and checked at every start
`codec`               from the bytes of a topic to its typed value, and why not
`dead_letters`        where bad messages go, the limit, and the way back
`publishing`          many records, one wait: acknowledged by all replicas
`reading`             a stretch of a topic, outside any group, for looking back
`transactions`        all or nothing, by a producer whose transactional id is the partition
`mastership`          which partitions are ours, their state, and whether it is complete
===================== =====================================================================
"""
