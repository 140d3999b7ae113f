"""What comments, docstrings and pages refer to is there: files of the repository, sections of the paper, decisions."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_FOLDERS = ("app", "msarcnn", "tools", "tests", "benchmarks", "docs")
_FILES = sorted(
    path
    for pattern in ("*.py", "*.md")
    for place in (_ROOT, *(_ROOT / name for name in _FOLDERS))
    for path in (place.glob(pattern) if place == _ROOT else place.rglob(pattern))
)
PAPER_SECTIONS = {
    "1": "Introduction",
    "2": "Related works",
    "3": "Overview of the proposed model",
    "4": "Backbone network for shared features",
    "5": "Multi-scale RoIAlign block (MS-RoIAlign)",
    "6": "Multi-scale keypoint head network (MS-KpsNet)",
    "7": "Implementation details",
    "8": "Experiment",
    "8.1": "Dataset and evaluation metric",
    "8.2": "Ablation study",
    "8.3": "Comparison with the state-of-the-art methods",
    "8.4": "Computational complexity",
    "9": "Conclusion",
}
"""Of "Multi-scale Aggregation R-CNN for 2D Multi-person Pose Estimation" (CVPRW 2019)."""
_NUMBER = r"(\d+(?:\.\d+)*)"
_SECTIONS = re.compile(rf"(?:\b(\w+),?\s+)?\bsections?\s+{_NUMBER}(?:\s+and\s+{_NUMBER})?", re.IGNORECASE)
_TABLES = re.compile(r"\b[Tt]able\s+(\d+)\b")
_EQUATIONS = re.compile(r"\b(?:eq\.|[Ee]quation)\s*\(?(\d+)")
_PAGES = re.compile(r"[\w./-]*\w\.md\b")
_DECISIONS = re.compile(r"\bdecisions(?:\.md)?\)?,\s+(\d+)")
_ELSEWHERE = re.compile(
    r"\b(?:spec|specification|issue|brief)s?\s+(?:#?\d|section|line)|\breliability\b", re.IGNORECASE
)
"""Documents that those who read the code do not have."""


def prose(path: Path) -> Iterator[str]:
    """The text of a page, or the comments and docstrings of a module, strings below an assignment included."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        yield text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def faults(text: str, page: Path) -> Iterator[str]:
    """References in a text that lead nowhere."""
    for match in _SECTIONS.finditer(text):
        whose, *numbers = match.groups()
        if (whose or "").lower() != "paper" or any(one not in PAPER_SECTIONS for one in numbers if one):
            yield match[0]
    yield from (match[0] for match in _TABLES.finditer(text) if match[1] not in "1234")
    yield from (match[0] for match in _EQUATIONS.finditer(text) if match[1] != "1")
    for name in _PAGES.findall(text):
        if not any((place / name).is_file() for place in (_ROOT, _ROOT / "docs", page.parent)):
            yield name
    decisions = (_ROOT / "docs" / "decisions.md").read_text("utf-8")
    yield from (match[0] for match in _DECISIONS.finditer(text) if f"\n{match[1]}. **" not in decisions)
    yield from (match[0] for match in _ELSEWHERE.finditer(text))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.relative_to(_ROOT).as_posix())
def test_references_lead_somewhere(path: Path) -> None:
    assert [fault for text in prose(path) for fault in faults(text, path)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(paper section 3.1; Lin et al.)", ["paper section 3.1"]),
        ("(paper section 5), (paper, section 6), (paper sections 7 and 8.2)", []),
        ("(paper sections 7 and 8.9)", ["paper sections 7 and 8.9"]),
        ("(model section 8)", ["model section 8"]),
        ("(section 3.3)", ["section 3.3"]),
        ("as app.md section 2 says", ["md section 2", "app.md"]),
        ("see docs/decisions.md and README.md, decisions, 1", []),
        ("(decisions, 999)", ["decisions, 999"]),
        ("the promises of reliability", ["reliability"]),
        ("Table 2, equation 1", []),
        ("Table 7, eq. 2", ["Table 7", "eq. 2"]),
        ("two sections with 3 entries; section = 5", []),
    ],
)
def test_a_reference_to_nothing_is_found(text: str, found: list[str]) -> None:
    assert list(faults(text, _ROOT / "README.md")) == found


def test_prose_is_comments_and_docstrings_and_no_other_text(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text('"""Top."""\nA = "no"  # why\n"""About A."""\n\ndef f():\n    """Does."""\n    return "no"\n')
    assert sorted(prose(page)) == ["# why", "About A.", "Does.", "Top."]
