"""libnftables in this process: commands in nft's language, without a process per command."""

import ctypes
from functools import cache

_TERSE = 1 << 11
"""`NFT_CTX_OUTPUT_TERSE` of libnftables(3)."""


class NftError(Exception):
    """Commands that were refused, with nft's own words; none of them took effect.

    NftError
    └── NftMissing   there is no libnftables on this machine
    """


class NftMissing(NftError):
    pass


class Nft:
    """One libnftables context: a long-lived channel to the kernel's tables of the current namespace."""

    def __init__(self, *, terse: bool = False) -> None:
        """With `terse`, listings leave out the elements of sets and maps."""
        self._library = _library()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise NftError("libnftables gave no context")
        if terse:
            self._library.nft_ctx_output_set_flags(self._context, _TERSE)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> str:
        """Run commands as one transaction; return what they print; raises NftError."""
        code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output = self._library.nft_ctx_get_output_buffer(self._context).decode()
        errors = self._library.nft_ctx_get_error_buffer(self._context).decode().strip()
        if code:
            raise NftError(_explain(errors))
        return str(output)

    def check(self, commands: str) -> None:
        """Let the library and the kernel judge commands without carrying them out; raises NftError."""
        self._library.nft_ctx_set_dry_run(self._context, True)
        try:
            self.run(commands)
        finally:
            self._library.nft_ctx_set_dry_run(self._context, False)

    def close(self) -> None:
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None


def _explain(errors: str) -> str:
    if "Operation not permitted" in errors:
        return "nftables: permission denied (run as root, or with CAP_NET_ADMIN in this network namespace)"
    return f"nftables: {errors or 'refused without a reason'}"


@cache
def _library() -> ctypes.CDLL:
    """The shared library, with its functions' types; raises NftMissing."""
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError as err:
        raise NftMissing("libnftables.so.1 is not installed (Debian and Ubuntu: apt install nftables)") from err
    context = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_new.restype = context
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [context]
    library.nft_ctx_free.restype = None
    library.nft_ctx_output_set_flags.argtypes = [context, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_ctx_set_dry_run.argtypes = [context, ctypes.c_bool]
    library.nft_ctx_set_dry_run.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [context]
        getattr(library, name).restype = ctypes.c_char_p
    return library
