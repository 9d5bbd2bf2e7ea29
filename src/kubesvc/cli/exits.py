"""How the command ends: exit codes, and the refusals that `main` turns into two lines and a code."""

SUCCESS = 0
FAILED = 1
USAGE = 2
FINDING = 3
PRIVILEGE = 4
TIMED_OUT = 124
INTERRUPTED = 130


class Refusal(Exception):
    """A sentence for a person, the next step, and the exit code."""

    def __init__(self, message: str, hint: str = "", *, code: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code
