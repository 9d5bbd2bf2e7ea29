"""The 32-bit words that `meta priority` carries between look-ups.

A packet has one free register that survives from rule to rule and can be both a map's value and
part of a map's key: its priority. Three kinds of words live there, one after the other:

    service word   0 iiiiiiiiiiiiiiiii .. f a kk llll cccc   from the address look-up
    list           L iiiiiiiiiiiiiiiii 00000000000000       which endpoint list to choose from
    endpoint       0 iiiiiiiiiiiiiiiii nnnnnnnnnnnnnn       which endpoint a client is bound to

    i  17 bits  the service port's number, from 1
    L   1 bit   the list of local endpoints, else the cluster's
    n  14 bits  the endpoint's number within the service port, from 1
    f   1 bit   only those in the source ranges may ask
    a   1 bit   session affinity
    k   2 bits  who may ask and is masqueraded how (`Kind`)
    l   4 bits  size class of the local list, or why there is none
    c   4 bits  size class of the cluster list, or why there is none
"""

from enum import IntEnum

ID_SHIFT = 14
MAX_ID = (1 << 17) - 1
MAX_NUMBER = (1 << ID_SHIFT) - 1
LOCAL = 1 << 31
ID_MASK = MAX_ID << ID_SHIFT
LIST_MASK = LOCAL | ID_MASK
NUMBER_MASK = MAX_NUMBER

CLUSTER_MASK = 0x00F
LOCAL_MASK = 0x0F0
LOCAL_SHIFT = 4
KIND_MASK = 0x300
KIND_SHIFT = 8
AFFINITY = 0x400
FIREWALLED = 0x800
"""Only for external kinds."""

REJECT = 0x0
DROP = 0xF
CLASSES = range(1, 15)
"""Size classes: class c holds 2 ** (c - 1) slots."""
MAX_SLOTS = 1 << (CLASSES[-1] - 1)


class Kind(IntEnum):
    """How an address is treated before an endpoint is chosen."""

    INTERNAL = 0
    INTERNAL_LOCAL = 1
    EXTERNAL = 2
    EXTERNAL_LOCAL = 3


def service_word(number: int, *, kind: Kind, cluster: int, local: int, affinity: bool) -> int:
    """The word stored for one address, protocol and port of a service port."""
    flag = AFFINITY if affinity else 0
    return number << ID_SHIFT | flag | kind << KIND_SHIFT | local << LOCAL_SHIFT | cluster


def list_id(number: int, *, local: bool) -> int:
    """The key of an endpoint list."""
    return number << ID_SHIFT | (LOCAL if local else 0)


def endpoint_id(number: int, endpoint: int) -> int:
    """The name of an endpoint towards clients with affinity."""
    return number << ID_SHIFT | endpoint


def number_of(word: int) -> int:
    """The service port's number in any word."""
    return (word & ID_MASK) >> ID_SHIFT


def size_class(slots: int) -> int:
    """The class whose lists have this many slots (a power of two)."""
    return slots.bit_length()
