"""A small client for partner apps: sign members up, update them, and let them go, safely again and again.

    from connection_client import Client

    with Client("https://intake.example", key="lc_...", source="my-app") as connection:
        connection.sign_up("your-own-reference-17", {"community": "london", ...})

`AsyncClient` does the same with `await`. Whatever was not answered, or answered "send
the same again", is sent again, with the same id, for as long as you allow. It needs
nothing of London Connection but httpx.
"""

from connection_client.asynchronous import AsyncClient
from connection_client.blocking import Client
from connection_client.events import Consent, Member, Openness, Place, new_event
from connection_client.talking import ConnectionClientError, Refused, Result, Unavailable

__all__ = [
    "AsyncClient",
    "Client",
    "ConnectionClientError",
    "Consent",
    "Member",
    "Openness",
    "Place",
    "Refused",
    "Result",
    "Unavailable",
    "new_event",
]
