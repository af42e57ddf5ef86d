"""Which addresses are called: a webhook's is somebody else's to choose, and must not lead into our network. Pure."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def may_be_called(url: str, *, allows_private: bool) -> bool:
    """Whether a url has a form that we call: https, with a host and without a user; http where private is allowed."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is none
    except ValueError:
        return False
    schemes = ("https", "http") if allows_private else ("https",)
    return parts.scheme in schemes and bool(parts.hostname) and parts.username is None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also behind an IPv4-mapped, 6to4 or NAT64 disguise."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast
