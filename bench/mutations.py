"""The small defects that bench/mutants.py puts into hw2core, and a sample of them."""

import ast
import copy
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOMS = ("engine", "systems", "evaluation", "settings")
# Sizes that bound memory or the work of one task: no result depends on them.
EXCLUDED_LINES = re.compile(rb"(AHEAD|BATCH|CHUNK|FEW|SERIAL|PAIRS) = ")
# Guards against wrong calls, and defaults on Linux without a GPU: correct code does the same without them.
EXCLUDED_KEYWORDS = {"strict", "frozen", "encoding", "flush", "stacklevel", "device"}
# Operators by the names of their classes in ast, and what replaces each.
SWAPS = dict(
    pair.split(": ")
    for pair in (
        *("Lt: GtE LtE", "LtE: Gt Lt", "Gt: LtE GtE", "GtE: Lt Gt", "Eq: NotEq", "NotEq: Eq"),
        *("In: NotIn", "NotIn: In", "Is: IsNot", "IsNot: Is", "And: Or", "Or: And"),
        *("Add: Sub", "Sub: Add", "Mult: Div", "Div: Mult", "FloorDiv: Mult", "Pow: Mult"),
    )
)


@dataclass(frozen=True, order=True)
class Mutant:
    file: str
    line: int
    column: int
    kind: str
    before: str
    after: str
    text: str
    """Replaces the bytes from `start` to `end` of the file."""
    start: int
    end: int
    scope: int
    """First line of the innermost function or class around it; 1 at module level."""


def changed(node: Any, **fields: Any) -> Any:
    new = copy.copy(node)
    vars(new).update(fields)
    return new


def swaps(op: ast.AST) -> list[Any]:
    return [getattr(ast, name)() for name in SWAPS.get(type(op).__name__, "").split()]


def alternatives(node: Any, returned: str) -> Iterator[tuple[str, Any, ast.AST | str]]:
    """Yield kind, node to replace, and what replaces it. `returned` is what a return statement can return instead."""
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                for new in swaps(op):
                    yield "comparison", node, changed(node, ops=[*ops[:i], new, *ops[i + 1 :]])
        case (
            ast.BinOp(left=ast.JoinedStr() | ast.Constant(value=str()))
            | ast.BinOp(right=ast.JoinedStr() | ast.Constant(value=str()))
        ):
            return  # text: every other operator is an error
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp():
            for new in swaps(node.op):
                yield "boolean" if isinstance(node, ast.BoolOp) else "arithmetic", node, changed(node, op=new)
            if isinstance(node, ast.AugAssign):
                yield "statement", node, "pass"
        case ast.Expr(value=ast.Call()):
            yield "statement", node, "pass"
        case ast.Constant(value=bool()):
            yield "constant", node, str(not node.value)
        case ast.Constant(value=int() as number):
            yield "constant", node, str(number + 1)
        case ast.Constant(value=float() as number):
            yield "constant", node, repr(number * 2 or 1.0)
        case ast.UnaryOp(op=ast.Not()):
            yield "boolean", node, node.operand
        case ast.If() | ast.IfExp() | ast.comprehension():
            for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:
                # A comparison and `not` have their opposites above.
                if not isinstance(test, ast.Compare | ast.UnaryOp):
                    yield "condition", test, ast.UnaryOp(ast.Not(), test)
        case ast.Return(value=expression):
            value = ast.unparse(expression) if expression else "None"
            if new := next((each for each in (returned, "None") if each != value), None):
                yield "return", node, f"return {new}"
        case ast.Call():
            for keyword in node.keywords:
                if keyword.arg and keyword.arg not in EXCLUDED_KEYWORDS:
                    others = [each for each in node.keywords if each is not keyword]
                    yield "keyword", node, changed(node, keywords=others)
        case ast.Slice(lower=lower, upper=upper) if lower or upper:
            one = ast.Constant(1)
            if not isinstance(lower, ast.Constant):  # a constant is changed as such
                yield "slice", node, changed(node, lower=ast.BinOp(lower, ast.Add(), one) if lower else one)
            if not isinstance(upper, ast.Constant):
                less = ast.BinOp(upper, ast.Sub(), one) if upper else ast.UnaryOp(ast.USub(), one)
                yield "slice", node, changed(node, upper=less)


class Finder(ast.NodeVisitor):
    """Collects the candidates of one file in `found`."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.lines, self.found = file, source.splitlines(keepends=True), list[Mutant]()
        self.scopes, self.returned = [1], ["None"]
        self.visit(ast.parse(source))

    def offset(self, line: int, column: int) -> int:
        return sum(map(len, self.lines[: line - 1])) + column

    def visit_all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in filter(None, nodes):
            self.visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name != "__repr__":
            self.visit_all([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults])
            names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
            self.visit_body(node, names[0] if names else "None")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_all([*node.decorator_list, *node.keywords])
        self.visit_body(node, "None")

    def visit_body(self, node: ast.FunctionDef | ast.ClassDef, returned: str) -> None:
        self.scopes.append(min(each.lineno for each in (node, *node.decorator_list)))
        self.returned.append(returned)
        self.visit_all(node.body)
        self.scopes.pop()
        self.returned.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit_all([node.value])  # not the annotation

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skip it: Python 3.11 does not know the places of the parts of an f-string."""

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        for kind, old, new in alternatives(node, self.returned[-1]):
            if EXCLUDED_LINES.match(self.lines[old.lineno - 1]):
                continue
            before, after = ast.unparse(old), new if isinstance(new, str) else ast.unparse(new)
            text = after if isinstance(old, ast.stmt | ast.Slice) else f"({after})"
            places = self.offset(old.lineno, old.col_offset), self.offset(old.end_lineno, old.end_col_offset)
            at = (self.file, old.lineno, old.col_offset, kind)
            self.found.append(Mutant(*at, *difference(before, after), text, *places, self.scopes[-1]))
        super().generic_visit(node)


def difference(before: str, after: str, context: int = 30) -> tuple[str, str]:
    """Return two texts without most of what they share at the beginning and the end."""
    pairs = list(zip(before, after, strict=False))
    same = next((i for i, (one, other) in enumerate(pairs) if one != other), len(pairs))
    rest = list(zip(before[same:][::-1], after[same:][::-1], strict=False))
    tail = next((i for i, (one, other) in enumerate(rest) if one != other), len(rest))
    first, last = max(0, same - context), max(0, tail - context)
    return before[first : len(before) - last], after[first : len(after) - last]


def find_candidates(root: Path, room: str) -> list[Mutant]:
    files = (root / "hw2core" / room).rglob("*.py")
    found = [Finder(str(file.relative_to(root)), file.read_bytes()).found for file in files]
    return sorted({mutant for each in found for mutant in each})


def choose(candidates: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """Choose `count` candidates, from each file in proportion to its number of candidates."""
    rate = min(1.0, count / len(candidates))
    exact = {file: rate * size for file, size in sorted(Counter(each.file for each in candidates).items())}
    quotas = {file: int(value) for file, value in exact.items()}
    left = round(sum(exact.values())) - sum(quotas.values())
    for file in sorted(exact, key=lambda file: quotas[file] - exact[file])[:left]:
        quotas[file] += 1
    rng, chosen = random.Random(seed), list[Mutant]()
    for file, quota in quotas.items():
        chosen += rng.sample([each for each in candidates if each.file == file], quota)
    return sorted(chosen)
