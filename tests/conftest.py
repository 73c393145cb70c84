"""What the whole suite shares: fixtures, and which tests run where.

On CI (``CI=true``) a skipped test is a failed one, so a missing browser cannot pass for a green run.
"""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.db import connection
from playwright.sync_api import Browser, sync_playwright

pytest_plugins = ["identityserver.testing.fixtures"]

ON_CI = os.environ.get("CI") == "true"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked ``postgres`` to the run on PostgreSQL."""
    if connection.vendor == "postgresql":
        return
    elsewhere = [item for item in items if item.get_closest_marker("postgres")]
    config.hook.pytest_deselected(items=elsewhere)
    items[:] = [item for item in items if item not in elsewhere]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser") and CHROMIUM is None:
        pytest.skip("Chromium is not installed.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    return failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    return failed_if_skipped((yield))


def failed_if_skipped(report):
    """The report of a test or a module, which CI does not let be skipped. An expected failure is no skip."""
    if ON_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        path, line, reason = report.longrepr
        report.longrepr = f"{path}:{line}: {reason}. Nothing may be skipped on CI."
    return report


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless, without the connections that it makes on its own."""
    # Playwright runs an event loop in this thread, so Django takes every query here for a coroutine's.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        silent = ["--disable-quic", "--disable-sync"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=silent)
        yield browser
        browser.close()
