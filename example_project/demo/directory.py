"""The folder that holds everything the demo keeps: database, secrets, the application's sessions."""

import os
import secrets
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent


def demo_directory() -> Path:
    """``.demo`` beside ``manage.py``, or what ``DEMO_DIRECTORY`` names; only its owner can read it."""
    directory = Path(os.environ.get("DEMO_DIRECTORY") or BASE_DIR / ".demo").resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def kept_secret(name: str) -> str:
    """The secret kept in the file ``name``; a new random one where there is none yet."""
    path = demo_directory() / name
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret := secrets.token_urlsafe(48))
    return secret


def write_private(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` so that only the owner can read it, also while it is being written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
