"""Which addresses are called: a webhook's is somebody else's to choose, and must not lead into our network. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

URL_LETTERS_MAX = 2_000
_HOST_LETTERS_MAX = 253
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NOT_OF_A_URL = re.compile(r"[^!-~]|\\")

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
"""All of the public internet, so that what else there is needs no list: ourselves, IPv4-compatible (`::/96`), a
network's own NAT64 (`64:ff9b:1::/48`), unique-local, link-local, site-local (`fec0::/10`), multicast."""
_NOT_PUBLIC_6 = (
    ipaddress.IPv6Network("2001::/23"),  # protocols, among them Teredo; Python counts some as global
    ipaddress.IPv6Network("2001:db8::/32"),  # documentation
    ipaddress.IPv6Network("3fff::/20"),
)
_NOT_PUBLIC_4 = (
    ipaddress.IPv4Network("0.0.0.0/8"),
    ipaddress.IPv4Network("100.64.0.0/10"),  # shared by carriers; clouds put services of their own there
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocols; Python counts two as global
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.IPv4Network("224.0.0.0/3"),  # multicast, and reserved
)
_ISATAP, _ISATAP_MASK = 0x5EFE, 0xFDFFFFFF
"""The upper half of an interface's id that carries an IPv4 address: `0:5efe`, or `200:5efe`."""


def may_be_called(url: str, *, allows_private: bool) -> bool:
    """Whether a url has a form that we call: https, with a host and without a user; http where private is allowed.

    In ASCII, and without what ends a header's line: a name in other letters is to be given as its `xn--` form.
    """
    if len(url) > URL_LETTERS_MAX or _NOT_OF_A_URL.search(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    schemes = ("https", "http") if allows_private else ("https",)
    return parts.scheme in schemes and port != 0 and parts.username is None and _is_host(parts.hostname or "")


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host).scope_id is None
        except ValueError:
            return False
    return len(host) <= _HOST_LETTERS_MAX and _HOST.fullmatch(host) is not None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet. Raises ValueError if it is no address.

    One that carries an IPv4 address (mapped, NAT64, 6to4) is what that one is. What `ipaddress` calls
    global is not enough: there are ways into our own network that it has no word for.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not any(parsed in network for network in _NOT_PUBLIC_4)
    if parsed.scope_id is not None:
        return False
    number = int(parsed)
    if parsed in _MAPPED or parsed in _NAT64:
        return is_public(str(ipaddress.IPv4Address(number & 0xFFFFFFFF)))
    if parsed in _SIX_TO_FOUR:
        return is_public(str(ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)))
    if number >> 32 & _ISATAP_MASK == _ISATAP or any(parsed in network for network in _NOT_PUBLIC_6):
        return False
    return parsed in _GIVEN_OUT and parsed.is_global
