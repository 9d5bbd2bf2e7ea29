"""The kernel's `jhash` (linux/jhash.h, Bob Jenkins' lookup3), by which nft's rules tell IPv6 clients apart. Pure."""

from ipaddress import ip_address
from struct import iter_unpack

from kubesvc.proxy.nftables.syntax import CLIENT_SEEDS, HASH_MODULUS

_MASK = 0xFFFFFFFF
_GOLDEN = 0xDEADBEEF


def client_key(source: str) -> tuple[int | str, ...]:
    """A client as the affinity map knows it: by its address, in IPv6 by two hashes of it."""
    if ":" not in source:
        return (source,)
    return tuple(hash_of(source, modulus=HASH_MODULUS, seed=seed) for seed in CLIENT_SEEDS)


def hash_of(address: str, *, modulus: int, seed: int) -> int:
    """What `jhash ip6 saddr mod MODULUS seed SEED` is for an address."""
    return jhash(ip_address(address).packed, seed) * modulus >> 32


def jhash(data: bytes, seed: int) -> int:
    """The hash of a multiple of four bytes, as a little-endian machine computes it."""
    words = [word for (word,) in iter_unpack("<I", data)]
    a = b = c = (_GOLDEN + len(data) + seed) & _MASK
    while len(words) > 3:
        a, b, c = _mix((a + words[0]) & _MASK, (b + words[1]) & _MASK, (c + words[2]) & _MASK)
        words = words[3:]
    last = [*words, 0, 0, 0]
    return _final((a + last[0]) & _MASK, (b + last[1]) & _MASK, (c + last[2]) & _MASK)


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        # Each step does the same to the next of the three: take `c` from `a`, mix, and add `b` to `c`.
        a = ((a - c) & _MASK) ^ _rotated(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, bits)) & _MASK
        a, b, c = b, c, a
    # Seven steps have moved the three on by one.
    return b
