"""A year of a made-up community, run through the real decisions of the matcher and the notifier.

What people in it do is assumed (`assumptions.yaml`), so nothing that comes out says anything
about people. What it does say is how the services behave when a community lives with them for
long: who waits, who is asked too often, who is left out, and whether anything that must never
happen does (`simulation.promises`).

A package of its own, beside `demo` and `benchmarks`: it knows both services, which no service may.
"""
