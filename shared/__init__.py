"""What all services share: the contracts on the topics, the topics themselves, and the Kafka plumbing.

Nothing in here knows a service. import-linter keeps it so.
"""
