"""The shape of the package: which module may know what."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import identityserver

PACKAGE = Path(identityserver.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

KNOW_HTTP = {
    "admin",
    "client_authentication",
    "endpoints",
    "management",
    "pages",
    "resource_server",
    "testing",
    "web",
}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.fixture(params=MODULES, ids=name_of)
def module(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_imports_go_down_only(pytestconfig: pytest.Config):
    """The contracts stand in ``pyproject.toml``, under ``tool.importlinter``."""
    assert lint_imports(config_filename=str(pytestconfig.rootpath / "pyproject.toml")) == EXIT_STATUS_SUCCESS


def test_only_delivery_knows_http_request(module: Path):
    """A flow that takes values, and not the request, can be called from any endpoint, page or test."""
    if module.relative_to(PACKAGE).parts[0] not in KNOW_HTTP:
        assert "HttpRequest" not in names_in(module)


def test_imports_stand_at_the_top(module: Path):
    """An import inside a function hides a cycle. Only ``AppConfig.ready`` must wait, for the models."""
    assert [f"{name_of(module)}:{statement.lineno}" for statement in imports_inside_functions(module)] == []


def names_in(module: Path) -> set[str]:
    """Every name that the module imports or reads."""
    names = set()
    for node in ast.walk(parsed(module)):
        match node:
            case ast.alias(name=name) | ast.Name(id=name) | ast.Attribute(attr=name):
                names.add(name)
    return names


def imports_inside_functions(module: Path) -> Iterator[ast.stmt]:
    for function in ast.walk(parsed(module)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if name_of(module) == "apps.py" and function.name == "ready":
            continue
        yield from (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))
