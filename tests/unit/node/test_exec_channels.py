"""The channels of exec and attach."""

import json

import pytest

from kubesvc.node.kubelet.channels import (
    Channel,
    Input,
    InputEnd,
    Resize,
    exit_message,
    failure_message,
    frame,
    parse_message,
)


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (b"\x00ls\n", Input(b"ls\n")),
        (b"\x00", None),
        (b"\xff\x00", InputEnd()),
        (b"\xff\x01", None),
        (b'\x04{"Width":80,"Height":24}', Resize(80, 24)),
        (b"\x04{", None),
        (b'\x04{"Width":80}', None),
        (b"\x09?", None),
        (b"", None),
    ],
)
def test_a_message_means_what_its_first_byte_says(message: bytes, meaning: object) -> None:
    assert parse_message(message) == meaning


def test_output_carries_its_channel() -> None:
    assert frame(Channel.STDERR, b"no") == b"\x02no"


def test_the_exit_code_is_a_cause_of_the_final_status() -> None:
    status = json.loads(exit_message(7))
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
    assert json.loads(exit_message(0))["status"] == "Success"


def test_what_could_not_be_run_is_an_internal_error() -> None:
    assert json.loads(failure_message("why"))["message"] == "why"
