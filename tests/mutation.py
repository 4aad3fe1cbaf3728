"""Mutation testing of the safety code: every small wrong change must fail a test.

    python -m tests.mutation [recommender/safety.py ...]

Each mutant runs in a forked child with everything heavy already loaded. The last line gives the share
killed; survivors are listed with line and change. Exit code 1 under 95 %.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.fakes import sample_catalogue

ROOT = Path(__file__).parent.parent
TESTS = {
    "recommender/safety.py": ("tests/recommender/test_safety.py",),
    "recommender/guard.py": ("tests/recommender/test_guard.py",),
}
TIMEOUT_SECONDS = 120
GOAL = 0.95

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
Mutant = tuple[int, str, ast.Module]


class _Plain(ast.NodeTransformer):
    """Drops annotations: they are never evaluated, so that changing them changes nothing."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node


def mutants(tree: ast.Module) -> Iterator[Mutant]:
    """Every tree with one change; constants of patterns and sentences are left alone."""
    for place, node in enumerate(ast.walk(tree)):
        for change, label in _changes(node):
            copied = copy.deepcopy(tree)
            target = list(ast.walk(copied))[place]
            change(target)
            yield getattr(node, "lineno", 0), label, ast.fix_missing_locations(copied)


def _changes(node: ast.AST):  # type: ignore[no-untyped-def]
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                if type(op) in _COMPARISONS:
                    yield (
                        _setter("ops", i, _COMPARISONS[type(op)]()),
                        f"{type(op).__name__} turned",
                    )
        case ast.BoolOp(op=op, values=values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield _setter("op", None, other), f"{type(op).__name__} turned"
            for i in range(len(values)):
                yield _deleter("values", i), f"operand {i} dropped"
        case ast.BinOp(op=op) if type(op) in _BINARY:
            yield _setter("op", None, _BINARY[type(op)]()), f"{type(op).__name__} turned"
        case ast.UnaryOp(op=ast.Not()):
            yield _replace_not, "not dropped"
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
            yield _setter("op", None, ast.UAdd()), "sign turned"
        case ast.Constant(value=bool() as value):
            yield _setter("value", None, not value), f"{value} turned"
        case ast.Constant(value=int() as value):
            yield _setter("value", None, value + 1), f"{value} + 1"
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield _setter("value", None, ast.Constant(None)), "returns None"
        case ast.If(test=test) if not isinstance(test, ast.Constant):
            yield _setter("test", None, ast.Constant(False)), "if False"
            yield _setter("test", None, ast.Constant(True)), "if True"
        case ast.Attribute(value=ast.Name(id="HiddenReason"), attr=attr):
            other_name = "DIET" if attr != "DIET" else "PRICE"
            yield _setter("attr", None, other_name), f"{attr} renamed"
        case ast.Set(elts=elts) if len(elts) > 1:
            for i in range(len(elts)):
                yield _deleter("elts", i), f"element {i} dropped"
        case ast.Continue():
            yield _to_break, "continue -> break"
        case _:
            return


def _setter(name: str, index: int | None, value: object):  # type: ignore[no-untyped-def]
    def change(node: ast.AST) -> None:
        if index is None:
            setattr(node, name, value)
        else:
            getattr(node, name)[index] = value

    return change


def _deleter(name: str, index: int):  # type: ignore[no-untyped-def]
    return lambda node: getattr(node, name).pop(index)


def _replace_not(node: ast.AST) -> None:
    node.op = ast.UAdd()  # type: ignore[attr-defined]
    # `+x` of a bool is its int: truthy exactly when x is.
    node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])  # type: ignore[attr-defined]


def _to_break(node: ast.AST) -> None:
    node.__class__ = ast.Break  # type: ignore[assignment]


def is_killed(path: str, tree: ast.Module) -> bool:
    """Whether the tests notice; a mutant that hangs or crashes is noticed too."""
    child = os.fork()
    if child == 0:
        _run_child(path, tree)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def _run_child(path: str, tree: ast.Module) -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    try:
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        exec(compile(tree, path, "exec"), module.__dict__)
        for test_path in TESTS[path]:
            _run_tests(importlib.import_module(test_path.removesuffix(".py").replace("/", ".")))
        code = 0
    except BaseException:
        code = 1
    os._exit(int(code))


def _run_tests(module: ModuleType) -> None:
    """Call every test with every combination of its parameters; pytest itself would cost a second."""
    for name, test in vars(module).items():
        if not name.startswith("test_"):
            continue
        cases: list[dict[str, object]] = [{}]
        for mark in getattr(test, "pytestmark", ()):
            names, values = mark.args
            names = (
                [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
            )
            rows = [value if len(names) > 1 else (value,) for value in values]
            cases = [c | dict(zip(names, row, strict=True)) for c in cases for row in rows]
        for case in cases:
            test(**case)


def main(paths: list[str]) -> int:
    """Print survivors and the share killed."""
    os.chdir(ROOT)
    sample_catalogue()
    n_killed = n_all = 0
    for path in paths:
        source = (ROOT / path).read_text(encoding="utf-8")
        importlib.import_module("recommender.detector").detect("warm")
        tree = _Plain().visit(ast.parse(source))
        if is_killed(path, tree):
            print(f"{path}: its tests fail without any change; mend them first")
            return 2
        for line, label, mutant in mutants(tree):
            n_all += 1
            if is_killed(path, mutant):
                n_killed += 1
            else:
                print(f"survived {path}:{line} {label}", flush=True)
    share = n_killed / n_all if n_all else 0.0
    print(f"{n_killed} of {n_all} mutants killed: {share:.1%}")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(TESTS)))
