"""The lab: Kubernetes Services end to end, as a walk of small steps."""

import argparse
import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from kubesvc.cli import exits
from kubesvc.cli.demo.log_ends import log_ends
from kubesvc.cli.demo.stage import Stage, StepFailed, expect
from kubesvc.cluster.ledger import StateDirectory
from kubesvc.cluster.topology import check_name
from kubesvc.testing.machine import Machine, snapshot

_CURL = ("curl", "-sS", "--max-time", "3")
_REQUESTS = 200


def walk_lab(args: argparse.Namespace) -> int:
    """Walk all steps on a fresh cluster; the cluster is removed whatever happens, Ctrl-C included."""
    stage = Stage(
        cluster=args.cluster_name,
        use_kubectl=shutil.which("kubectl") is not None and not args.no_kubectl,
        keep=args.keep,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    lab = Lab(stage, nodes=args.nodes, proxy_mode=args.proxy_mode)
    logs = StateDirectory(check_name(stage.cluster)).log("any").parent
    try:
        if stage.step("A cluster", "API, controllers, DNS, nodes with agent and proxy, in about a second", lab.up):
            for title, shows, body in lab.steps():
                stage.step(title, shows, body)
        elif not args.keep:
            # What `up` hints at is about to be removed.
            for line in log_ends(logs):
                print(f"    {line}", flush=True)
    finally:
        if args.keep:
            print(f"\nThe cluster is still there: kubesvc down --name {stage.cluster}")
        else:
            stage.step("Everything is removed", "the machine is as it was before", lab.down)
            stage.close()
    print(f"\ndemo: {stage.passed} of {stage.total} steps passed")
    return exits.SUCCESS if stage.passed == stage.total else exits.FAILED


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Lab:
    """The steps; each is a method that raises StepFailed when the cluster does not do as it should."""

    def __init__(self, stage: Stage, *, nodes: int, proxy_mode: str) -> None:
        self._stage = stage
        self._run = stage.run
        self._kubectl = stage.kubectl
        self._up_flags = ["--nodes", str(nodes), "--durability", "process"]
        self._up_flags += ["--proxy-mode", proxy_mode] if proxy_mode != "nftables" else []
        self._proxy_mode = proxy_mode
        self._before = self._snapshot()

    def steps(self) -> list[tuple[str, str, Callable[[], None]]]:
        """Title, what it shows, and the step itself, in order."""
        return [
            ("Nodes and namespaces", "worker nodes are real; my-ns and test-ns are made", self.namespaces),
            ("Pods", "three replicas of web-flask on port 5000, and forcurl to try things from", self.pods),
            ("Pod to pod", "every pod has an address that others reach; but it changes with the pod", self.pod_to_pod),
            ("ClusterIP", "one stable name and address, load-balanced over all replicas", self.cluster_ip),
            ("Names", "short inside the namespace, name.namespace or the full name from others", self.names),
            ("Internal means internal", "a ClusterIP answers nobody outside the cluster", self.internal),
            ("NodePort", "port 30480 of every node, from outside, whichever node runs the pod", self.node_port),
            ("Endpoints follow scale", "addresses join and leave as replicas come and go", self.scale),
            ("A pod dies under load", "it is replaced, and the Service's clients never notice", self.pod_dies),
            ("Labels and selectors", "zone=prod AND version=v1; extra labels do not matter", self.labels),
            ("LoadBalancer", "an address of its own, reachable from outside", self.load_balancer),
            ("LoadBalancer without provider", "EXTERNAL-IP stays <pending>; its NodePort answers", self.pending),
            ("ExternalName", "a name inside for a server outside: a CNAME", self.external_name),
            ("Service deleted", "its rules are gone from every node", self.deleted),
        ]

    def up(self) -> None:
        self._run("kubesvc", "up", "--name", self._stage.cluster, *self._up_flags)
        expect(self._stage.kubeconfig.exists(), "a context in the kubeconfig")

    def down(self) -> None:
        self._run("kubesvc", "down", "--name", self._stage.cluster)
        left = self._before.differences(self._snapshot())
        expect(not left, f"namespaces, links, routes, mounts, firewall and processes as before, found {left}")
        print("    namespaces, links, routes, mounts, firewall and processes are as before")

    def namespaces(self) -> None:
        nodes = self._kubectl("get", "nodes", "-o", "wide")
        expect(nodes.count(" Ready ") == len(self._node_addresses()), "every node Ready")
        for name in ("my-ns", "test-ns"):
            self._create_namespace(name)
        expect("Active" in self._kubectl("get", "namespaces"), "active namespaces")

    def pods(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/web-flask.yaml")
        for namespace in ("my-ns", "test-ns"):
            self._kubectl("apply", "-n", namespace, "-f", "examples/forcurl.yaml")
        self._kubectl("wait", "-n", "my-ns", "deploy/web-flask", "--for=condition=Available", "--timeout=30s")
        for namespace in ("my-ns", "test-ns"):
            self._kubectl("wait", "-n", namespace, "pod/forcurl", "--for=condition=Ready", "--timeout=30s")
        self._ready_replicas(3)
        self._kubectl("get", "pods", "-n", "my-ns", "-o", "wide")

    def pod_to_pod(self) -> None:
        pod = self._web_pods()[0]
        answer = self._forcurl(*_CURL, f"http://{pod['status']['podIP']}:5000")
        expect(answer.splitlines()[0] == pod["metadata"]["name"], "the pod's own name in the answer")

    def cluster_ip(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/web-flask-clusterip.yaml")
        self._kubectl("get", "svc,ep", "-n", "my-ns", check=False)
        self._answers(lambda: self._quiet_forcurl(*_CURL, "web-flask-svc:3000"))
        loop = "for i in $(seq 30); do curl -s web-flask-svc:3000 | head -n 1; done"
        counts = Counter(self._forcurl("sh", "-c", f"{loop} | sort | uniq -c").split()[1::2])
        expect(len(counts) == 3, "answers from all three replicas")

    def names(self) -> None:
        self._forcurl(*_CURL, "web-flask-svc:3000")
        for name in ("web-flask-svc.my-ns", "web-flask-svc.my-ns.svc.cluster.local"):
            answer = self._forcurl(*_CURL, f"{name}:3000", namespace="test-ns")
            expect(answer.startswith("web-flask-"), f"an answer by {name}")
        code = "curl -sS --max-time 3 web-flask-svc:3000 || echo not found here"
        answer = self._forcurl("sh", "-c", code, namespace="test-ns")
        expect("not found here" in answer, "no such short name in another namespace")

    def internal(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/back-end.yaml")
        self._kubectl("wait", "-n", "my-ns", "pod/back-end", "--for=condition=Ready", "--timeout=30s")
        self._answers(lambda: self._quiet_forcurl(*_CURL, "back-end-svc:3000"))
        expect(self._forcurl(*_CURL, "back-end-svc:3000").startswith("back-end"), "an answer inside")
        # Asked from the network outside the nodes, not from the machine: its default route may lead anywhere.
        url = f"http://{self._service('back-end-svc')['spec']['clusterIP']}:3000"
        outside = ("ip", "netns", "exec", f"ksv-{self._stage.cluster}-router")
        expect(not self._run(*outside, *_CURL, url, check=False), "no answer outside the nodes")
        expect(not self._run(*_CURL, f"http://{self._node_addresses()[0]}:3000", check=False), "no answer on a node")

    def node_port(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/web-flask-nodeport.yaml")
        self._kubectl("scale", "-n", "my-ns", "deploy/web-flask", "--replicas=1")
        self._ready_replicas(1)
        self._kubectl("get", "svc", "web-flask-svc", "-n", "my-ns")
        self._kubectl("get", "pods", "-n", "my-ns", "-l", "app=web-flask", "-o", "wide")
        for address in self._node_addresses():
            self._answers(lambda url=f"http://{address}:30480": self._stage.run(*_CURL, url, check=False, show=False))  # type: ignore[misc]
            answer = self._run(*_CURL, f"http://{address}:30480")
            expect(answer.startswith("web-flask-"), f"an answer on {address}")

    def scale(self) -> None:
        self._kubectl("get", "endpoints", "web-flask-svc", "-n", "my-ns", check=False)
        self._kubectl("scale", "-n", "my-ns", "deploy/web-flask", "--replicas=5")
        self._kubectl("get", "endpointslices", "-n", "my-ns", "-l", "kubernetes.io/service-name=web-flask-svc")
        self._ready_replicas(5)
        self._until_endpoints("web-flask-svc", 5)
        self._kubectl("get", "ep,endpointslices", "-n", "my-ns", "-l", "app=web-flask")
        self._kubectl("scale", "-n", "my-ns", "deploy/web-flask", "--replicas=3")
        self._until_endpoints("web-flask-svc", 3)
        self._kubectl("get", "ep", "web-flask-svc", "-n", "my-ns")

    def pod_dies(self) -> None:
        script = f"for i in $(seq {_REQUESTS}); do curl -sS --max-time 3 web-flask-svc:3000 | head -n 1; done"
        victim = self._web_pods()[0]["metadata"]["name"]
        load = self._stage.start(*self._exec("my-ns", "sh", "-c", script))
        time.sleep(0.3)
        self._kubectl("delete", "pod", victim, "-n", "my-ns")
        output, _ = load.communicate(timeout=120)
        answers = Counter(line.strip() for line in output.splitlines())
        for name, count in sorted(answers.items()):
            print(f"    {count:4} {name}")
        good = sum(count for name, count in answers.items() if name.startswith("web-flask-"))
        expect(good == _REQUESTS == sum(answers.values()), f"{_REQUESTS} answers to {_REQUESTS} requests, found {good}")
        self._ready_replicas(3)
        expect(victim not in {pod["metadata"]["name"] for pod in self._web_pods()}, "a replacement")

    def labels(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/zones.yaml")
        for pod in ("both", "both-and-more", "wrong-version", "no-version"):
            self._kubectl("wait", "-n", "my-ns", f"pod/{pod}", "--for=condition=Ready", "--timeout=30s", show=False)
        self._kubectl("get", "pods", "-n", "my-ns", "-l", "zone", "--show-labels")
        self._until_members({"both", "both-and-more"})
        self._kubectl("label", "-n", "my-ns", "pod", "wrong-version", "version=v1", "--overwrite")
        self._until_members({"both", "both-and-more", "wrong-version"})
        self._kubectl("label", "-n", "my-ns", "pod", "both", "zone-")
        self._until_members({"both-and-more", "wrong-version"})
        self._kubectl("get", "ep", "prod-v1", "-n", "my-ns")

    def load_balancer(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/web-flask-loadbalancer.yaml")
        self._stage.until("the Service has an external address", lambda: bool(self._ingress("web-flask-svc")))
        self._kubectl("get", "svc", "web-flask-svc", "-n", "my-ns")
        url = f"http://{self._ingress('web-flask-svc')}:3000"
        self._answers(lambda: self._stage.run(*_CURL, url, check=False, show=False))
        expect(self._run(*_CURL, url).startswith("web-flask-"), "an answer on the external address")

    def pending(self) -> None:
        self._run("kubesvc", "load-balancer", "off", "--name", self._stage.cluster)
        self._kubectl("delete", "svc", "web-flask-svc", "-n", "my-ns")
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/web-flask-loadbalancer.yaml")
        expect("<pending>" in self._kubectl("get", "svc", "web-flask-svc", "-n", "my-ns"), "<pending>")
        port = self._service("web-flask-svc")["spec"]["ports"][0]["nodePort"]
        url = f"http://{self._node_addresses()[0]}:{port}"
        self._answers(lambda: self._stage.run(*_CURL, url, check=False, show=False))
        expect(self._run(*_CURL, url).startswith("web-flask-"), "an answer on the node port")

    def external_name(self) -> None:
        self._kubectl("apply", "-n", "my-ns", "-f", "examples/mysql-server.yaml")
        self._kubectl("get", "svc", "mysql-server", "-n", "my-ns")
        name, wanted = "mysql-server.my-ns.svc.cluster.local", "serdar.cbanmzptkrzf.us-east-1.rds.amazonaws.com."
        self._stage.until("the CNAME", lambda: wanted in self._quiet_forcurl("dig", "+short", name, "CNAME"))
        expect(wanted in self._forcurl("dig", "+short", name, "CNAME"), f"a CNAME to {wanted}")

    def deleted(self) -> None:
        address = self._service("web-flask-svc")["spec"]["clusterIP"]
        nodes = [f"ksv-{self._stage.cluster}-node-{n + 1}" for n in range(len(self._node_addresses()))]
        expect(all(address in self._rules(node) for node in nodes), f"rules for {address} on every node before")
        self._kubectl("delete", "svc", "web-flask-svc", "-n", "my-ns")
        for node in nodes:
            self._stage.until(f"no rule for {address} on {node}", lambda node=node: address not in self._rules(node))  # type: ignore[misc]
            dump = "iptables-save" if self._proxy_mode == "iptables" else "nft list ruleset"
            self._run("sh", "-c", f"ip netns exec {node} {dump} | grep -c {address} || true")

    # The parts

    def _snapshot(self) -> Machine:
        return snapshot(self._stage.cluster, mark=str(self._stage.kubeconfig))

    def _create_namespace(self, name: str) -> None:
        if self._stage.use_kubectl:
            self._kubectl("create", "namespace", name)
            return
        manifest = self._stage.folder / f"{name}.yaml"
        manifest.write_text(f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n")
        self._kubectl("apply", "-f", manifest.name)

    def _exec(self, namespace: str, *command: str) -> tuple[str, ...]:
        program = "kubectl" if self._stage.use_kubectl else "kubesvc"
        return (program, "exec", "-n", namespace, "forcurl", "--", *command)

    def _forcurl(self, *command: str, namespace: str = "my-ns") -> str:
        return self._run(*self._exec(namespace, *command))

    def _quiet_forcurl(self, *command: str) -> str:
        return self._run(*self._exec("my-ns", *command), check=False, show=False)

    def _answers(self, ask: Callable[[], str]) -> None:
        self._stage.until("it answers", lambda: bool(ask()))

    def _document(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._kubectl("get", *words, "-o", "json", show=False))
        return document

    def _service(self, name: str) -> dict[str, Any]:
        return self._document("svc", name, "-n", "my-ns")

    def _ingress(self, name: str) -> str:
        ingress = (self._service(name)["status"].get("loadBalancer") or {}).get("ingress") or [{}]
        return str(ingress[0].get("ip", ""))

    def _node_addresses(self) -> list[str]:
        addresses = [item["status"]["addresses"] for item in self._document("nodes")["items"]]
        return [next(a["address"] for a in each if a["type"] == "InternalIP") for each in addresses]

    def _web_pods(self) -> list[dict[str, Any]]:
        items = self._document("pods", "-n", "my-ns", "-l", "app=web-flask")["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def _ready_replicas(self, count: int) -> None:
        def ready() -> bool:
            status: dict[str, Any] = self._document("deploy", "web-flask", "-n", "my-ns").get("status", {})
            return bool(status.get("readyReplicas", 0) == count == status.get("replicas", 0))

        self._stage.until(f"{count} ready replicas", ready)

    def _members(self, service: str) -> list[dict[str, Any]]:
        selector = f"kubernetes.io/service-name={service}"
        slices = self._document("endpointslices", "-n", "my-ns", "-l", selector)["items"]
        endpoints = [endpoint for piece in slices for endpoint in piece.get("endpoints") or ()]
        return [endpoint for endpoint in endpoints if endpoint.get("conditions", {}).get("ready")]

    def _until_endpoints(self, service: str, count: int) -> None:
        self._stage.until(f"{count} endpoints of {service}", lambda: len(self._members(service)) == count)

    def _until_members(self, names: set[str]) -> None:
        def names_are() -> bool:
            return {endpoint["targetRef"]["name"] for endpoint in self._members("prod-v1")} == names

        self._stage.until(f"the endpoints are {', '.join(sorted(names))}", names_are)
        print(f"    endpoints of prod-v1: {', '.join(sorted(names))}")

    def _rules(self, netns: str) -> str:
        command = ("iptables-save",) if self._proxy_mode == "iptables" else ("nft", "list", "ruleset")
        rules = self._run("ip", "netns", "exec", netns, *command, show=False)
        if not rules.strip():
            raise StepFailed(f"expected rules on {netns}")
        return rules
