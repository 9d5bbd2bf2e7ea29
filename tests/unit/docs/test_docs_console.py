"""How documents are read, and what may differ between what they say and what a cluster prints."""

import pytest
from scripts.console import comparable, read_steps, with_outputs

DOCUMENT = """\
# Title

```console
$ kubectl get pods
NAME   AGE
web    1s
$ kubectl run a -- \\
>   sleep 1
$ true
```

```sh
$ not run
```
"""


def test_commands_and_outputs_of_console_blocks_are_read_in_order() -> None:
    steps = read_steps(DOCUMENT)
    assert [(step.line, step.command, step.output) for step in steps] == [
        (4, "kubectl get pods", ["NAME   AGE", "web    1s"]),
        (7, "kubectl run a -- \\\n  sleep 1", []),
        (9, "true", []),
    ]


def test_outputs_are_replaced_and_nothing_else() -> None:
    changed = with_outputs(DOCUMENT, {4: "No resources found", 7: "pod/a created\n", 9: ""})
    assert [(step.command, step.output) for step in read_steps(changed)] == [
        ("kubectl get pods", ["No resources found"]),
        ("kubectl run a -- \\\n  sleep 1", ["pod/a created"]),
        ("true", []),
    ]
    assert with_outputs(changed, {4: "NAME   AGE\nweb    1s", 6: "", 8: "", 9: ""}) == DOCUMENT


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("web-flask-7c9f8d6b5c-x2x2v 1/1 3s", "web-flask-pzqxrzjzvk-bhzdm   1/1   2m10s"),
        ("10.244.1.3:5000", "10.244.2.17:5000"),
        ("3000:31234/TCP", "3000:30001/TCP"),
        ("a\nb", "b\na"),
        ("curl: (6) Could not resolve host: a", "curl: (6) Couldn't resolve it: a"),
    ],
)
def test_what_differs_from_run_to_run_is_the_same(said: str, found: str) -> None:
    assert comparable(said) == comparable(found)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("10.244.1.3:5000", "10.244.1.3:3000"),
        ("10.96.0.10", "10.96.0.11"),
        ("3000:30480/TCP", "3000:30481/TCP"),
        ("web   <none>", "web   <pending>"),
        ("web-flask-svc", "web-flask"),
        ("1/1", "0/1"),
        ("curl: (6) no such name", "curl: (7) refused"),
        ("  3 web-flask-pzqxrzjzvk-bhzdm", "  3 web-flask-pzqxrzjzvk-bhzdm\n  1 curl: (28) time-out"),
    ],
)
def test_what_matters_is_told_apart(said: str, found: str) -> None:
    assert comparable(said) != comparable(found)
