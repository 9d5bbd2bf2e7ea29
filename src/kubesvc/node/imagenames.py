"""P: which built-in image a container's `image` names, and what to say of any other."""

from collections.abc import Collection


def builtin_name(image: str, known: Collection[str]) -> str | None:
    """`kubesvc/echo:latest` and `docker.io/kubesvc/echo@sha256:…` are `kubesvc/echo`; None for any other image."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    name = head + slash + last.partition(":")[0]
    name = name.removeprefix("docker.io/")
    return name if name in known else None


def refusal(image: str, known: Collection[str]) -> str:
    """The sentence for an image that this runtime does not have."""
    return (
        f'image "{image}" is not built in, and the process runtime cannot pull images; '
        f"it has {', '.join(sorted(known))}: use one of these, with a `command` of this machine if you like"
    )
