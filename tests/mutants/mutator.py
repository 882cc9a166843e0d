"""Small mistakes in Python code: each mutant is a file with one of its expressions changed.

What nobody runs is left alone: annotations, docstrings, `TYPE_CHECKING`; `__all__`, whose names
Ruff looks up; and `assert`, zip's `strict` and a dataclass's `frozen`, which say here what the code
guarantees anyway. False becomes
no None: nobody could tell them apart.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
PUT_BEFORE = "XX"  # of a string


@dataclass(frozen=True)
class Mutant:
    """A file of the project with one place changed. `function`: the first line of the one it is in,
    0 outside of all; `code`: the line, or lines, as they stand.
    """

    file: str
    line: int
    function: int
    code: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before} → {self.after}"


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """All mutants of a file's source, in its order."""
    tree = ast.parse(source)
    functions = [
        (min([node.lineno, *(each.lineno for each in node.decorator_list)]), node.end_lineno or 0)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]
    for node in _run(tree):
        for place, new in _changes(node):
            around = [begin for begin, end in functions if begin <= place.lineno <= end]
            yield _mutant(file, source, max(around, default=0), place, new)


def _mutant(
    file: str, source: str, function: int, place: ast.expr | ast.stmt, new: ast.AST
) -> Mutant:
    lines = source.encode().splitlines(keepends=True)
    assert place.end_lineno is not None
    assert place.end_col_offset is not None
    start = sum(map(len, lines[: place.lineno - 1])) + place.col_offset
    end = sum(map(len, lines[: place.end_lineno - 1])) + place.end_col_offset
    whole = b"".join(lines)
    after = ast.unparse(ast.fix_missing_locations(new))
    put = f"({after})" if isinstance(new, ast.expr) else after
    return Mutant(
        file,
        place.lineno,
        function,
        b"".join(lines[place.lineno - 1 : place.end_lineno]).decode().strip(),
        " ".join(whole[start:end].decode().split()),
        after,
        (whole[:start] + put.encode() + whole[end:]).decode(),
    )


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all in it that runs."""
    match node:
        case (
            ast.Assert()
            | ast.Import()
            | ast.If(test=ast.Name(id="TYPE_CHECKING"))
            | ast.Subscript(value=ast.Name(id="Literal"))
            | ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))
            | ast.keyword(arg="strict" | "frozen")
            | ast.Assign(targets=[ast.Name(id="__all__")])
        ):
            return
    yield node
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns"}:
            continue
        if isinstance(node, ast.JoinedStr):  # its parts have no places of their own
            continue
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "cast" and field == "args":
            value = value[1:]  # noqa: PLW2901
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST) and not _is_docstring(part):
                yield from _run(part)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(  # noqa: C901, PLR0912 - a row for each kind of code
    node: ast.AST,
) -> Iterator[tuple[ast.expr | ast.stmt, ast.AST]]:
    """(what is replaced, by what)."""
    match node:
        case ast.Constant(value=bool() as value):
            yield node, ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield node, ast.Constant(value + 1)
        case ast.Constant(value=str() as value):
            yield node, ast.Constant(PUT_BEFORE + value)
        case ast.JoinedStr(values=values):
            yield node, ast.JoinedStr([ast.Constant(PUT_BEFORE), *values])
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield node, operand
        case ast.BinOp(left=left, op=op, right=right) if type(op) in COMPUTED:
            yield node, ast.BinOp(left, COMPUTED[type(op)](), right)
        case ast.AugAssign(target=target, op=op, value=value) if type(op) in COMPUTED:
            yield node, ast.AugAssign(target, COMPUTED[type(op)](), value)
        case ast.BoolOp(op=op, values=values):
            yield node, ast.BoolOp(ast.And() if isinstance(op, ast.Or) else ast.Or(), values)
        case ast.Compare(left=left, ops=[op, *ops], comparators=others):
            yield node, ast.Compare(left, [COMPARED[type(op)](), *ops], others)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.comprehension(ifs=[test, *_]):
            yield test, ast.UnaryOp(ast.Not(), test)
        case ast.Call(func=func, args=args, keywords=keywords):
            for i, keyword in enumerate(keywords):
                if keyword.arg not in {None, "strict", "frozen"}:
                    yield node, ast.Call(func, args, keywords[:i] + keywords[i + 1 :])
        case ast.Expr(value=ast.Call()):
            yield node, ast.Pass()
        case ast.Return(value=ast.expr() as value) if not _is_none_or_false(value):
            yield value, ast.Constant(None)
        case ast.Break():
            yield node, ast.Continue()
        case ast.Continue():
            yield node, ast.Break()


def _is_none_or_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)
