"""How a command ends early: by an error that a user sees, or by a signal."""


class UserError(Exception):
    """Something the user can mend: what is wrong and what to do, a line each, exit code 2. Its text is all that is printed."""


class Interrupted(BaseException):
    """Ctrl-C, or another signal that ends a run."""

    def __init__(self, number: int) -> None:
        self.number = number
