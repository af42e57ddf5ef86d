"""Which addresses are called: a webhook's is somebody else's to choose, and must not lead into our network. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

URL_LETTERS_MAX = 2_000
_HOST_LETTERS_MAX = 253
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NOT_OF_A_URL = re.compile(r"[^!-~]|\\")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
    """Whether an IP address is one of the public internet, also behind an IPv4-mapped, 6to4 or NAT64 disguise."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast
