"""Problems of a user's files, collected into one report."""

from hw2core.errors import UserError

SHOWN = 10


class FileError(UserError):
    """One file, what is wrong with it, and what to do."""

    def __init__(self, place: str, what: str, remedy: str) -> None:
        super().__init__(place, what, remedy)
        self.place, self.what, self.remedy = place, what, remedy

    def __str__(self) -> str:
        return f"{self.fact}; {self.remedy}"

    @property
    def fact(self) -> str:
        """The problem on one printable line; other characters in file names are escaped."""
        return "".join(
            char if char.isprintable() else ascii(char)[1:-1] for char in f"{self.place}: {self.what}"
        )


class Problems:
    """Collects problems. The report shows the first SHOWN, and a remedy shared by all of them only once."""

    def __init__(self) -> None:
        self.found: list[FileError] = []

    def add(self, place: str, what: str, remedy: str) -> None:
        self.found.append(FileError(place, what, remedy))

    def raise_any(self) -> None:
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            raise UserError("\n".join(self.report()))

    def report(self) -> list[str]:
        remedies = {problem.remedy for problem in self.found}
        shown = self.found[:SHOWN]
        if len(remedies) == 1:
            lines = [problem.fact for problem in shown]
        else:
            lines = [str(problem) for problem in shown]
        if len(self.found) > SHOWN:
            lines.append(f"and {len(self.found) - SHOWN} more")
        return [*lines, *remedies] if len(remedies) == 1 else lines
