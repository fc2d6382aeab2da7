"""The text of a Python program -> the modules it imports and the line of each."""

import ast


def imports(text: str) -> dict[str, int]:
    """Full names of imported modules -> first line; of `from a import b` both `a` and `a.b`, as b may be a module.

    Imports inside `try:` are left out: such a program can do without them. A text that is no Python 3 gives nothing.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    first_lines: dict[str, int] = {}
    optional = {
        id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) and block.handlers
        for statement in block.body for node in ast.walk(statement)
    }  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in optional:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                first_lines.setdefault(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            first_lines.setdefault(node.module, node.lineno)
    return first_lines
