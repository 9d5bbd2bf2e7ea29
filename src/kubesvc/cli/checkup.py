"""The checks of `doctor`: each looks at one thing and knows its fix."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kubesvc.linux import libc
from kubesvc.linux.mounts import is_chroot
from kubesvc.linux.netlink import RouteSocket

_SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_TOOLS = (
    ("iptables", "iptables", "needed for --proxy-mode iptables"),
    ("conntrack", "conntrack", "needed to end stale UDP flows"),
    ("curl", "curl", "used inside pods by the demo"),
    ("dig", "bind9-dnsutils", "used inside pods by the demo"),
)
_INOTIFY = 128
# MiB
_SPACE = 100


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `required` ones decide whether clusters can run at all."""

    what: str
    ok: bool
    found: str = ""
    fix: str = ""
    required: bool = True


def check_machine() -> Iterator[Check]:
    """All checks, in the order in which a person should mend them."""
    yield Check("Linux", sys.platform == "linux", sys.platform, "use a Linux machine, or Lima, WSL2 or Codespaces")
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("Python 3.11 or newer", sys.version_info >= (3, 11), version, "apt-get install python3.11")
    yield _kernel()
    yield _root()
    yield from _namespaces()
    yield Check("a root of its own", not is_chroot(), "", "use a container, systemd-nspawn, or pivot_root, not chroot")
    yield _libnftables()
    for command, package, why in _TOOLS:
        path = shutil.which(command, path=_SEARCH)
        yield Check(f"{command} ({why})", path is not None, path or "", f"apt-get install {package}", required=False)
    kubectl = shutil.which("kubectl")
    fix = "install kubectl, or use kubesvc get, apply, exec ..."
    yield Check("kubectl", kubectl is not None, kubectl or "", fix, required=False)
    yield _inotify()
    yield _state_home()


def _kernel() -> Check:
    release = os.uname().release
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    return Check("Linux kernel 5.13 or newer", numbers >= (5, 13), release, "install a newer kernel")


def _root() -> Check:
    user = os.environ.get("USER", str(os.geteuid()))
    return Check("root", os.geteuid() == 0, f"running as {user}", "run it with sudo")


def _namespaces() -> Iterator[Check]:
    """Make a namespace, a veth pair and a bridge, each in a child."""
    if os.geteuid() != 0:
        return
    trials: tuple[tuple[str, Callable[[RouteSocket], None], str], ...] = (
        ("network namespaces", lambda route: None, "use a kernel with CONFIG_NET_NS, and no unprivileged container"),
        ("veth links", lambda route: route.link_add_veth("ksva", "ksvb"), "modprobe veth"),
        ("bridges", lambda route: route.link_add_bridge("ksvbr"), "modprobe bridge"),
    )
    for what, trial, fix in trials:
        problem = _try_in_namespace(trial)
        yield Check(what, not problem, problem, fix)


def _try_in_namespace(trial: Callable[[RouteSocket], None]) -> str:
    """Run `trial` inside a new namespace, in a child; the problem, or ""."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        problem = ""
        try:
            libc.unshare(libc.CLONE_NEWNET)
            with RouteSocket() as route:
                trial(route)
        except OSError as err:
            problem = str(err)
        finally:
            os.write(writing, problem.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def _libnftables() -> Check:
    import ctypes

    try:
        ctypes.CDLL("libnftables.so.1")
    except OSError as err:
        return Check("libnftables", ok=False, found=str(err), fix="apt-get install nftables")
    return Check("libnftables", ok=True, found="libnftables.so.1")


def _inotify() -> Check:
    path = Path("/proc/sys/fs/inotify/max_user_instances")
    limit = int(path.read_text()) if path.exists() else 0
    fix = "sysctl -w fs.inotify.max_user_instances=1024"
    return Check("inotify instances", limit >= _INOTIFY, str(limit), fix, required=False)


def _state_home() -> Check:
    from kubesvc.cluster.ledger import home

    directory = home()
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    free = shutil.disk_usage(existing).free // (1024 * 1024)
    what = f"a place for state ({directory})"
    if not os.access(existing, os.W_OK):
        return Check(what, ok=False, found=f"{existing} is not writable", fix="run it with sudo, or set KUBESVC_HOME")
    return Check(what, free >= _SPACE, f"{free} MiB free", "free some space, or point KUBESVC_HOME at another place")
