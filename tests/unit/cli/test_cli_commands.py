"""The command line as a whole: help, mistakes, completion; every command and flag says what it is for."""

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kubesvc import __version__
from kubesvc.cli.commands import COMMANDS, did_you_mean, find_command, overview
from kubesvc.cli.main import main, parser_of, plain_switches


def flags_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in parser._actions if not isinstance(action, argparse._HelpAction))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_flag_says_what_it_is_for(command: object) -> None:
    from kubesvc.cli.commands import Command

    assert isinstance(command, Command)
    assert command.name in overview()
    silent = [action.dest for action in flags_of(parser_of(command)) if not action.help]
    assert not silent


def test_names_and_aliases_are_unique() -> None:
    words = [word for command in COMMANDS for word in (command.name, *command.aliases)]
    assert len(words) == len(set(words))


def test_the_overview_needs_no_import_of_any_command() -> None:
    script = (
        "import sys; from kubesvc.cli.main import main; main(['--help']);"
        "heavy = {'asyncio', 'ssl', 'aiohttp', 'msgspec', 'yaml'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kubesvc up" in done.stdout


def test_no_words_at_all_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage: kubesvc COMMAND" in capsys.readouterr().out


def test_help_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "up"]) == 0
    assert "--nodes" in capsys.readouterr().out


def test_an_unknown_command_is_a_usage_error_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stauts"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'stauts'\nhint:  did you mean kubesvc status?\n"


def test_a_mistyped_flag_is_a_usage_error_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["proxy", "--kubecofnig=x"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: unrecognized arguments: --kubecofnig=x\n"
        "hint:  did you mean --kubeconfig? kubesvc proxy --help has all flags\n"
    )


def test_help_of_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "stauts"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'stauts'\nhint:  did you mean kubesvc status?\n"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["pod", "a", "--wait=false"], ["pod", "a", "--no-wait"]),
        (["pod", "a", "--wait=true", "--now=false"], ["pod", "a", "--wait"]),
        (["-f", "--wait=maybe"], ["-f", "--wait=maybe"]),
        (["--", "--wait=false"], ["--", "--wait=false"]),
    ],
)
def test_switches_take_true_and_false_as_in_kubectl(said: list[str], meant: list[str]) -> None:
    command = find_command("delete")
    assert command is not None
    assert list(plain_switches(parser_of(command), said)) == meant


def test_a_time_without_a_meaning_is_told_how_times_look(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["up", "--timeout", "5parsecs"])
    assert ended.value.code == 2
    assert "argument --timeout: '5parsecs': want a time such as 500ms, 30s or 2m" in capsys.readouterr().err


def test_a_wrong_flag_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["up", "--nods", "2"])
    assert ended.value.code == 2
    assert "kubesvc up --help" in capsys.readouterr().err


def test_a_bad_cluster_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--name", "Not_Good"]) == 2
    assert "lower-case" in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_one_sentence_and_the_next_step(
    capsys: pytest.CaptureFixture[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBESVC_HOME", str(tmp_path))
    assert main(["status", "--name", "nowhere"]) == 1
    said = capsys.readouterr().err
    assert said == "error: there is no cluster 'nowhere'\nhint:  sudo kubesvc up --name nowhere\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kubesvc {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_every_command_and_flag(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(command.name in script for command in COMMANDS)
    assert "--proxy-mode" in script


def test_the_bash_script_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    done = subprocess.run(["bash", "-n"], input=capsys.readouterr().out, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_finding_commands() -> None:
    found = find_command("ls")
    assert found is not None
    assert found.name == "list"
    assert find_command("nothing") is None
    assert did_you_mean("dwn") == "down"
