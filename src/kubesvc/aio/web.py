"""aiohttp, imported without the machine's trust store.

On import it reads every certificate authority of the machine, twice, for two default contexts that
nothing here uses: measured 60 ms and 2 MB, in each command and in every process of a cluster. A
connection to an API server has a context of its own, which trusts what its kubeconfig says.
Import this before anything that imports aiohttp.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_PLACES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@contextmanager
def _without_trust_store() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _PLACES}
    os.environ.update(dict.fromkeys(_PLACES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _without_trust_store():
    import aiohttp

__all__ = ["aiohttp"]
