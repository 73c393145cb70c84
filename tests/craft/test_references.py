"""The generated references are fresh, and every option is read by something."""

import ast
import importlib.util
from pathlib import Path

import pytest

from identityserver import conf

ROOT = Path(__file__).parents[2]
PACKAGE = Path(conf.__file__).parent


def _generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["settings.md", "specifications.md"])
def test_a_generated_reference_is_fresh(name):
    """Run ``python docs/generate.py`` where this fails."""
    generated = {path.name: (path, text) for path, text in _generator().GENERATED.items()}
    path, text = generated[name]
    assert path.read_text(encoding="utf-8") == text()


def _names_read() -> set[str]:
    """Attributes read, and names in strings, anywhere in the package but in ``conf.py`` itself."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "conf.py" or "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return names


def test_every_option_is_read_somewhere():
    """An option that nothing reads is a promise that nobody keeps."""
    read = _names_read()
    assert [field.name for field in conf.fields() if field.name not in read] == []


def test_every_option_explains_itself():
    assert [field.name for field in conf.fields() if not field.metadata["help"].endswith((".", "}."))] == []
