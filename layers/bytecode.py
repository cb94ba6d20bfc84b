"""Compiles a layer, so that a cold start need not. Run by the layers' Makefiles.

python bytecode.py SITE [alone]

Without docstrings, which nothing asks for at run time, and without what is for type checkers only. Bytecode is used
whatever the date of its source; ``alone``, it takes its source's place: for others' code, which is known by name and
version. Tracebacks name file and line, where Lambda has them.
"""

import ast
import importlib.util
import marshal
import sys
from pathlib import Path

# Of hash-based bytecode that is not checked: magic number, flags, hash (PEP 552).
_HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)


def compile_all(site: Path, *, alone: bool) -> None:
    """Compiles every Python file below a folder."""
    for source in list(site.rglob("*.py")):
        tree = _RunTimeOnly().visit(ast.parse(source.read_bytes()))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                _forget_docstring(node)
        code = compile(tree, f"/opt/python/{source.relative_to(site)}", "exec", dont_inherit=True)
        compiled = source.with_suffix(".pyc") if alone else Path(importlib.util.cache_from_source(source))
        compiled.parent.mkdir(exist_ok=True)
        compiled.write_bytes(_HEADER + marshal.dumps(code))
        if alone:
            source.unlink()


class _RunTimeOnly(ast.NodeTransformer):
    """Takes out what stands under ``if TYPE_CHECKING:``, which is False wherever code runs; an ``else`` stays."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if ast.unparse(node.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            return node
        return node.orelse or ast.copy_location(ast.Pass(), node)


def _forget_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body[:1] = [] if node.body[1:] else [ast.copy_location(ast.Pass(), first)]


if __name__ == "__main__":
    compile_all(Path(sys.argv[1]), alone=sys.argv[2:] == ["alone"])
