"""The one kind of error a user sees: what is wrong and what to do, a line each, exit code 2."""


class UserError(Exception):
    """Something the user can mend. Its text is all that is printed."""
