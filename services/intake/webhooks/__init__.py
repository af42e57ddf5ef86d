"""Outgoing webhooks: partner apps hear how it goes with their own members.

    introductions, erasures ──news──▶ webhook-deliveries: pending ──sender──▶ partner ──▶ delivered, failed

`news` says what follows from a record, `state` what is to be done, `answers` what an answer means: pure.
`sender` talks HTTP, `courier` puts the two together for one partition, `office` for all.
"""
