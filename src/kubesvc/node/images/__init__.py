"""The built-in images: programs that need no registry, run by forking a process that has Python loaded already.

Each is a function of its arguments, called as the container's first process.
"""

from collections.abc import Mapping

from kubesvc.node.images.echo import echo
from kubesvc.node.images.sleeper import sleep_for_ever
from kubesvc.node.options import BuiltinImage

BUILTINS: Mapping[str, BuiltinImage] = {
    "kubesvc/echo": echo,
    "kubesvc/host": sleep_for_ever,
    "kubesvc/pause": sleep_for_ever,
}
