"""P: which objects a person means by `svc/web`, `pods a b`, `ep,endpointslices`, `all`."""

from collections.abc import Sequence
from dataclasses import dataclass

from kubesvc.api.resources import RESOURCES, Resource, find_resource
from kubesvc.cli import exits
from kubesvc.cli.exits import Refusal


@dataclass(frozen=True, slots=True)
class Target:
    """One object, or with no name all objects of the resource."""

    resource: Resource
    name: str = ""

    def __str__(self) -> str:
        return f"{self.resource.group_resource.replace(self.resource.plural, self.resource.singular, 1)}/{self.name}"


def parse_targets(words: Sequence[str]) -> list[Target]:
    """`TYPE[,TYPE] [NAME...]` or `TYPE/NAME...`. Raises Refusal for an unknown type or a mixture."""
    if any("/" in word for word in words):
        return [_pair(word) for word in words]
    resources = [resource for word in words[0].split(",") for resource in resolve(word)]
    names = words[1:]
    if not names:
        return [Target(resource) for resource in resources]
    return [Target(resource, name) for resource in resources for name in names]


def resolve(word: str) -> list[Resource]:
    """The resources that a type word means; `all` is a category."""
    category = [resource for resource in RESOURCES if word in resource.categories]
    if category:
        return category
    resource = find_resource(word)
    if resource is None:
        raise Refusal(f"the server doesn't have a resource type {word!r}", code=exits.USAGE)
    return [resource]


def _pair(word: str) -> Target:
    kind, slash, name = word.partition("/")
    if not slash or not name:
        raise Refusal(f"{word!r}: want TYPE/NAME, as the others", code=exits.USAGE)
    return Target(resolve(kind)[0], name)
