"""The figures: how fast it is, measured on real parts, side by side with something bare.

    python -m benchmarks [NAME...] [--json] [--quick]

========== ==========================================================================
`intake`    sign-ups over HTTP to acknowledged in Kafka, beside a bare ASGI app
`topic`     a topic's way through a service, beside a bare aiokafka loop
`restart`   the matcher with 200,000 profiles: seconds until it is ready
`emails`    the notifier's sending path beside a bare aiosmtplib loop
`latency`   from a sign-up's acceptance to the mail server's 250, at 100 a second
`grouping`  public instances of dealing people into groups, beside what others report
========== ==========================================================================

Two sides are measured in turns, several rounds long, so that a machine that is busy
for a while is busy for both; what is reported is the median, with the least and the
most beside it.
"""
