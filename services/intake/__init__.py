"""intake: takes sign-ups from partner apps, and publishes what the others need to know.

`accept` decides (pure), `api` and `signups` are its two doors (HTTP and Kafka),
`app.build_app` puts it together.
"""
