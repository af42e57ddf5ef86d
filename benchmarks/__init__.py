"""The figures: how fast it is, measured on real parts, side by side with something bare.

    python -m benchmarks [NAME...] [--json] [--quick]

============ ========================================================================
`intake`     sign-ups over HTTP to acknowledged in Kafka, beside a bare ASGI app
`extras`     what a partner's webhook, and sealed contacts, cost a sign-up
`topic`      a topic's way through a service, beside a bare aiokafka loop
`restart`    the matcher with 200,000 profiles: seconds until it is ready
`emails`     the notifier's sending path beside a bare aiosmtplib loop
`latency`    from a sign-up's acceptance to the mail server's 250, at 100 a second
`interests`  how well tastes tell friends from strangers (INTERESTS_DATA), and how quick they are
`candidates` a million in one city: how good and how quick, beside brute force (CANDIDATES_PEER)
`pairing`    pairing beside rustworkx, networkx and a prototype (PAIRING_PEER)
`grouping`   public instances of dealing people into groups (MDGPLIB_DATA, GROUPING_PEER), and a city
`round`      whole rounds, from a snapshot to suggestions with reasons, up to a million
`waiting`    who waits, over sixty rounds
`arrivals`   a newcomer between rounds, beside comparing with everybody
============ ========================================================================

Two sides are measured in turns, several rounds long, so that a machine that is busy
for a while is busy for both; what is reported is the median, with the least and the
most beside it.
"""
