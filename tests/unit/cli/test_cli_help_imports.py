"""`--help` of a command answers at once: nothing that talks to a cluster is imported for it."""

import subprocess
import sys

import pytest

from kubesvc.cli.commands import COMMANDS, COMPONENTS, Command

# What the components' own options need at least.
_ALLOWED = {"proxy": {"msgspec"}, "node": {"msgspec"}}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_needs_no_client(command: Command) -> None:
    heavy = {"aiohttp", "msgspec", "yaml"}
    if command.group == COMPONENTS:
        heavy -= _ALLOWED.get(command.name, set())
    script = (
        "import sys\nfrom kubesvc.cli.main import main\n"
        f"try: main({[*command.name.split(), '--help']!r})\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.stdout.startswith(f"usage: kubesvc {command.name}")
