"""Formulas of covariates, such as ``industry + np.log(employees)``, read without ever running them.

The notation is that of Wilkinson & Rogers (1973): ``a + b``, interactions ``a:b``, and ``a*b`` for ``a + b + a:b``.
A formula may come from a file that somebody else wrote, so its text is taken apart as a syntax tree, and only what is
listed here is computed: columns, numbers, ``+ - * /`` and a few functions.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from clv.errors import SettingsError
from clv.value.estimation.checks import Floats

FUNCTIONS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "log": np.log, "log1p": np.log1p, "log2": np.log2, "log10": np.log10, "exp": np.exp, "expm1": np.expm1,
    "sqrt": np.sqrt, "abs": np.abs, "square": np.square, "I": lambda values: values,
}  # fmt: skip
#: a formula is no longer, and no product of two parts larger.
_LONGEST, _MOST = 2_000, 1_000
_MEND = (
    "Write columns joined by +, : or *; numbers may go through np.log and the like, I(...), center(...) or scale(...);"
    ' kinds are C(column) or C(column, ref="level"); names that are no identifiers are Q("name").'
)


@dataclass(frozen=True)
class Factor:
    """One part of a term.

    Attributes
    ----------
    label : str
        As it is written, spaces apart.
    columns : tuple of str
        What it reads.
    kind : {"column", "levels", "number", "center", "scale"}
        "column": one column as it is, numbers or kinds. "levels": one column's kinds. "number": an expression;
        "center" and "scale" subtract its mean, and divide by its standard deviation.
    expression : ast.expr
    reference : str or None
        The level that the others are compared with.
    """

    label: str
    columns: tuple[str, ...]
    kind: str
    expression: ast.expr = field(compare=False)
    reference: str | None = None


Term = tuple[Factor, ...]


@lru_cache(maxsize=256)
def parse(formula: str) -> tuple[Term, ...]:
    """Take a formula apart.

    Parameters
    ----------
    formula : str

    Returns
    -------
    tuple of Term
        In the order in which they are written, lower ones first, each once. The intercept is not among them: the
        models' own parameters are.

    Raises
    ------
    clv.errors.SettingsError
        If it cannot be understood, or has an interaction without its parts.
    """
    if len(formula) > _LONGEST:
        raise SettingsError(f"the formula has {len(formula):,} characters.", mend=f"Use {_LONGEST:,} at most.")
    try:
        tree = ast.parse(_without_colons(formula), mode="eval").body
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError, MemoryError):
        raise SettingsError(f"the formula {formula!r} cannot be read.", mend=_MEND) from None
    terms = [_ordered(term) for term in _terms(tree, formula)]
    found: dict[tuple[str, ...], Term] = {}
    for term in sorted(terms, key=len):
        found.setdefault(_labels(term), term)
    if not found:
        raise SettingsError(f"the formula {formula!r} has no term.", mend="Leave covariates out, or name a column.")
    for labels in found:
        for left_out in labels if len(labels) > 1 else ():
            part = tuple(label for label in labels if label != left_out)
            if part not in found:
                raise SettingsError(
                    f"the formula {formula!r} has {':'.join(labels)} without {':'.join(part)}.",
                    mend=f"Write {'*'.join(labels)}: an interaction is told only beside its parts (Nelder 1977).",
                )
    return tuple(found.values())


def _without_colons(formula: str) -> str:
    """Write interactions as powers, which bind as tightly and are not otherwise used; refuse what would hide in it."""
    tokens = []
    for token in tokenize.generate_tokens(io.StringIO(formula.strip()).readline):
        if token.type == tokenize.OP and token.string in ("**", "~", ":=", "[", "{", "@"):
            raise SettingsError(f"the formula {formula!r} has a {token.string!r}.", mend=_MEND)
        tokens.append((token.type, "**" if token.string == ":" else token.string))
    return tokenize.untokenize(tokens)


def _labels(term: Term) -> tuple[str, ...]:
    return tuple(factor.label for factor in term)


def _ordered(term: Term) -> Term:
    """Sort an interaction's parts, so that a:b is b:a; a factor counts once."""
    unique = {factor.label: factor for factor in term}
    return tuple(unique[label] for label in sorted(unique))


def _terms(node: ast.expr, formula: str) -> list[Term]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult | ast.Pow):
        left, right = _terms(node.left, formula), _terms(node.right, formula)
        if len(left) * len(right) > _MOST:
            raise SettingsError(f"the formula {formula!r} has too many interactions.", mend="Name those that matter.")
        crossed = list(dict.fromkeys(_ordered(one + other) for one in left for other in right))
        if isinstance(node.op, ast.Pow):
            return crossed
        return [*left, *right, *(crossed if isinstance(node.op, ast.Mult) else [])]
    if _is_one(node):
        return []  # the intercept, which is always there
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.Constant):
        raise SettingsError(
            f"the formula {formula!r} has {ast.unparse(node)!r} as a term.",
            mend="Put arithmetic into I(...); the intercept cannot be left out: it is the models' own parameters.",
        )
    return [(_factor(node, formula),)]


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value == 1


def _factor(node: ast.expr, formula: str) -> Factor:
    quoted = quoted_name(node)
    if quoted is not None:
        return Factor(quoted, (quoted,), "column", node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("C", "center", "scale"):
        if len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
            raise SettingsError(f"the formula {formula!r}: {node.func.id} takes one thing.", mend=_MEND)
        if node.func.id == "C":
            return _levels(node, formula)
        if not node.keywords:
            inner = node.args[0]
            return Factor(ast.unparse(node), _read(inner, formula), node.func.id, inner)
    return Factor(ast.unparse(node), _read(node, formula), "number", node)


def _levels(node: ast.Call, formula: str) -> Factor:
    column, reference = quoted_name(node.args[0]), None
    for keyword in node.keywords:
        if keyword.arg != "ref" or not isinstance(keyword.value, ast.Constant):
            raise SettingsError(f"the formula {formula!r}: C takes a column and ref=.", mend=_MEND)
        reference = level_name(keyword.value.value)
    if column is None:
        raise SettingsError(f"the formula {formula!r}: C takes a column.", mend=_MEND)
    return Factor(ast.unparse(node), (column,), "levels", node.args[0], reference)


def quoted_name(node: ast.expr) -> str | None:
    """Return the name of a column, written plainly or as Q("name"); None if it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Q" and not node.keywords:
        inner = node.args[0] if len(node.args) == 1 else None
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            return inner.value
    return None


def level_name(value: object) -> str:
    """Write a level so that a whole number is the same whether its column holds whole numbers or not."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _function(node: ast.Call) -> str | None:
    """Return the name of a listed function, with or without ``np.`` before it."""
    name = node.func
    if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "np":
        return name.attr if name.attr in FUNCTIONS and name.attr != "I" else None
    return name.id if isinstance(name, ast.Name) and name.id in FUNCTIONS else None


def _read(node: ast.expr, formula: str) -> tuple[str, ...]:
    """List the columns of a numeric expression, and refuse what is none."""
    name = quoted_name(node)
    if name is not None:
        return (name,)
    parts: list[ast.expr]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return ()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        parts = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        parts = [node.operand]
    elif isinstance(node, ast.Call) and _function(node) and len(node.args) == 1 and not node.keywords:
        parts = node.args
    else:
        raise SettingsError(f"the formula {formula!r} has {ast.unparse(node)!r}.", mend=_MEND)
    return tuple(dict.fromkeys(name for part in parts for name in _read(part, formula)))


def compute(node: ast.expr, columns: dict[str, Floats]) -> Floats:
    """Compute a numeric expression that `parse` has passed."""
    name = quoted_name(node)
    if name is not None:
        return columns[name]
    if isinstance(node, ast.Constant):
        return np.asarray(float(node.value))  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp):
        value = compute(node.operand, columns)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = compute(node.left, columns), compute(node.right, columns)
        operate = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide}[type(node.op)]
        return np.asarray(operate(left, right))
    assert isinstance(node, ast.Call)
    function = _function(node)
    assert function is not None
    return np.asarray(FUNCTIONS[function](compute(node.args[0], columns)))
