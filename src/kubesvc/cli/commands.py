"""P: the table of commands. `kubesvc --help` is printed from it without importing any of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """`module` has `add_arguments(parser)` and `run(args) -> int`, or one function pair per command name."""

    name: str
    module: str
    summary: str
    group: str
    aliases: tuple[str, ...] = ()


CLUSTERS = "Clusters"
RESOURCES = "Objects (for machines without kubectl; the same API)"
COMPONENTS = "Components (to run one by itself, also against another cluster)"
OTHER = "Other"

COMMANDS: tuple[Command, ...] = (
    Command("up", "up", "start a cluster, or repair one, and wait until it works", CLUSTERS),
    Command("down", "down", "remove a cluster and everything it put on this machine", CLUSTERS),
    Command("status", "status", "what runs, where, and how much memory it takes", CLUSTERS),
    Command("list", "listing", "the clusters on this machine", CLUSTERS, aliases=("ls",)),
    Command("logs", "logs", "the log of a component, or of a pod", CLUSTERS),
    Command("kubeconfig", "kubeconfig", "print a cluster's kubeconfig", CLUSTERS),
    Command("load-balancer", "load_balancer", "switch a cluster's load balancer on or off", CLUSTERS),
    Command("doctor", "doctor", "check whether this machine can run clusters, and say how to mend it", CLUSTERS),
    Command("create", "aliases", "`create cluster`: the same as up", CLUSTERS),
    Command("demo", "demo", "walk through Kubernetes Services on a cluster of its own", CLUSTERS),
    Command("get", "get", "show objects as tables, JSON, YAML or names", RESOURCES),
    Command("describe", "describe", "show one object with its events", RESOURCES),
    Command("apply", "apply", "create or change objects from manifests", RESOURCES),
    Command("delete", "delete", "delete objects; `delete cluster`: the same as down", RESOURCES),
    Command("run", "run_pod", "run a pod from an image", RESOURCES),
    Command("expose", "expose", "make a Service for a Deployment or a Pod", RESOURCES),
    Command("scale", "scale", "set the number of replicas of a Deployment", RESOURCES),
    Command("label", "label", "set or remove labels", RESOURCES),
    Command("exec", "execute", "run a command in a pod", RESOURCES),
    Command("trace", "trace", "walk one packet through the rules in a node's kernel", RESOURCES),
    Command("wait", "wait", "wait for a condition of objects", RESOURCES),
    Command("apiserver", "roles", "the Kubernetes API server", COMPONENTS),
    Command("controllers", "roles", "endpoints, deployments, scheduler, load-balancer addresses", COMPONENTS),
    Command("proxy", "roles", "a node's Service rules", COMPONENTS),
    Command("dns", "roles", "the cluster's DNS", COMPONENTS),
    Command("dns query", "dns_query", "what a pod would be told for a name, and from which object", COMPONENTS),
    Command("node", "roles", "a node's agent: pods, probes, logs, exec", COMPONENTS),
    Command("completion", "completion", "print a completion script for bash or zsh", OTHER),
    Command("version", "version", "print the version", OTHER),
)


def find_command(word: str) -> Command | None:
    """The command called, or also called, `word`."""
    return next((command for command in COMMANDS if word == command.name or word in command.aliases), None)


def overview() -> str:
    """The text of `kubesvc --help`."""
    lines = ["Kubernetes Services, whole, in Python.", "", "Usage: kubesvc COMMAND [FLAGS]   (kubesvc COMMAND --help)"]
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines += ["", f"{group}:"]
        lines += [f"  {command.name:<14} {command.summary}" for command in COMMANDS if command.group == group]
    lines += [
        "",
        "Start with:  sudo kubesvc up && kubectl get nodes",
        "Exit codes:  0 success, 1 refused or failed, 2 usage, 3 a finding, 4 missing privilege, 124 time-out",
    ]
    return "\n".join(lines)


def did_you_mean(word: str) -> str:
    """The nearest command, or ""."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, [command.name for command in COMMANDS], n=1)), "")
