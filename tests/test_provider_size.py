"""How much a provider is, counted: the numbers that README and docs give.

What counts as a line: a line of the file with code on it. Blank lines, comments and docstrings do not, and imports do not.
"""

import ast
import io
import re
import tokenize
import tomllib
from pathlib import Path

from callsheet import OPERATIONS, Provider
from callsheet.cli.scaffold import Names, files_like
from callsheet.installed import entry_points
from callsheet.registry import offered_hooks

ACME = Path(__file__).parent.parent / "docs" / "callsheet-acme"
BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(source: str) -> set[int]:
    """The numbers of the lines that count."""
    used = {
        number
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in BLANK
        for number in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        words = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if words or isinstance(node, ast.Import | ast.ImportFrom):
            assert isinstance(node, ast.stmt)
            used -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return used


def lines_of_classes(source: str) -> int:
    """Of those, the ones inside of classes, the `class` lines and decorators included."""
    used = lines_of_code(source)
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return sum(node.lineno <= line <= (node.end_lineno or 0) for node in classes for line in used)


def test_what_counts() -> None:
    source = (
        '"""Words."""\nimport os\n\n# why\nX = 1\nclass A:\n    """Words\n    more."""\n\n    y = (\n        1\n    )\n'
    )
    assert lines_of_code(source) == {5, 6, 10, 11, 12}
    assert lines_of_classes(source) == 4


def test_videos_and_chat_are_at_most_forty_lines_of_classes_and_three_of_pyproject() -> None:
    source = (ACME / "src" / "callsheet_acme" / "__init__.py").read_text()
    assert lines_of_classes(source) <= 40
    tables = len(lines_of_code(source)) - lines_of_classes(source)
    assert tables <= 3, "besides the classes: __all__, and two tables of the vendor's words"
    namespace: dict[str, object] = {"__name__": "acme"}
    exec(compile(source, "acme", "exec"), namespace)
    kind = namespace["Acme"]
    assert isinstance(kind, type)
    assert issubclass(kind, Provider)
    assert set(offered_hooks(kind, "acme")) == {"generate_video", "get_video", "download_video", "chat_completions"}

    text = (ACME / "pyproject.toml").read_text()
    [point] = re.findall(r'^\[project\.entry-points\."callsheet\.providers"\]\n.+\n', text, re.MULTILINE)
    [needs] = re.findall(r"^dependencies = .*\n", text, re.MULTILINE)
    assert len((point + needs).splitlines()) == 3
    assert tomllib.loads(text)["project"]["dependencies"] == ["callsheet>=0.1,<1"], "all else is as in any distribution"


def test_a_compatible_vendor_is_a_subclass_of_ten_lines() -> None:
    """Where configuration alone does not do: a name, a key and an address of its own, all operations included."""
    [point] = [point for point in entry_points("callsheet.providers") if point.name == "openai"]
    [wire] = [point for point in entry_points("callsheet.wires") if point.name == "openai"]
    source = files_like(Names("beam"), None, point, point.load(), wire)["src/callsheet_beam/__init__.py"]
    assert lines_of_classes(source) <= 10
    namespace: dict[str, object] = {"__name__": "beam"}
    exec(compile(source, "beam", "exec"), namespace)
    kind = namespace["Beam"]
    assert isinstance(kind, type)
    assert set(offered_hooks(kind, "beam")) == set(OPERATIONS)
