"""Checks whether an IP address is public, rather than of this machine or network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_PROTOCOLS = IPv4Network("192.0.0.0/24")  # RFC 6890; Python 3.11 takes parts of it for public
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215: whatever the own network makes of it


def is_public(address: str) -> bool:
    """Return whether an IP address is public; an IPv6 address that embeds an IPv4 one is judged by that one."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:  # a short or decimal spelling, which aiohttp 3.14.0 hands to the system as it is
        return False
    if isinstance(found, IPv6Address):
        if found in _LOCAL_NAT64:
            return False
        if embedded := _embedded(found):
            return all(map(_is_public, embedded))
    return _is_public(found)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in _PROTOCOLS


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [
        *filter(None, (address.ipv4_mapped, address.sixtofour)),
        *(address.teredo or ()),
    ]
