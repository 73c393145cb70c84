"""Reading one member of the client metadata (RFC 7591 §2): its JSON type, and what can be said of it alone.

Each reader takes the member's name and its value, and returns what the client's row keeps. No refusal repeats a
value: what was sent may hold a password.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from identityserver import uris
from identityserver.errors import InvalidClientMetadata, InvalidRedirectUri, ProtocolError
from identityserver.models.fields import ENTRY_LENGTH
from identityserver.vocabulary import ResponseType

Reader = Callable[[str, Any], Any]

#: Control characters and line ends, and what makes the text around a name run the other way.
_NOT_IN_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_MOST_SECONDS = 2**31 - 1


def text(name: str, value: Any) -> str:
    """A line of text."""
    if not isinstance(value, str) or _NOT_IN_TEXT.search(value):
        raise InvalidClientMetadata(f"{name} must be a text in one line.", parameter=name)
    return value


def flag(name: str, value: Any) -> bool:
    """A boolean; a text that spells one is none."""
    if not isinstance(value, bool):
        raise InvalidClientMetadata(f"{name} must be true or false.", parameter=name)
    return value


def seconds(name: str, value: Any) -> int:
    """A whole number of seconds."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_SECONDS:
        raise InvalidClientMetadata(f"{name} must be a whole number of seconds.", parameter=name)
    return value


def json_object(name: str, value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise InvalidClientMetadata(f"{name} must be a JSON object.", parameter=name)
    return value


def https_address(name: str, value: Any) -> str:
    """An https address, which is not fetched."""
    if not isinstance(value, str) or uris.web_uri_problem(value) or not value.lower().startswith("https:"):
        raise InvalidClientMetadata(f"{name} must be an https address.", parameter=name)
    return value


def texts(name: str, value: Any) -> list[str]:
    """A list of texts, each once."""
    return _listed(name, value, InvalidClientMetadata)


def one_of(supported: Collection[str]) -> Reader:
    """A reader of a text that is one of those; which they are is asked each time."""

    def read(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in supported:
            allowed = ", ".join(str(choice) for choice in supported)
            raise InvalidClientMetadata(f"{name} must be one of: {allowed}.", parameter=name)
        return value

    return read


def each(problem_of: Callable[[str], str]) -> Reader:
    """A reader of a list, from what says of one entry what is wrong with it."""

    def read(name: str, value: Any) -> list[str]:
        return _without_problems(name, texts(name, value), problem_of, InvalidClientMetadata)

    return read


def redirect_uris(name: str, value: Any) -> list[str]:
    """The redirect URIs, which have an error of their own (RFC 7591 §3.2.2)."""
    listed = _listed(name, value, InvalidRedirectUri)
    return _without_problems(name, listed, uris.redirect_uri_problem, InvalidRedirectUri)


def response_types(name: str, value: Any) -> list[str]:
    """Response types; the order of the words in one means nothing (RFC 6749 §3.1.1)."""
    known = {frozenset(member.split()): member.value for member in ResponseType}
    return texts(name, [known.get(frozenset(entry.split()), entry) for entry in texts(name, value)])


def tagged(metadata: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The values of a member in other languages, ``name#de``, by language tag in lower case (RFC 7591 §2.2).

    Raises:
        InvalidClientMetadata: a tag is malformed, or there twice.
    """
    found: dict[str, Any] = {}
    for member, value in metadata.items():
        base, mark, tag = member.partition("#")
        if base != name or not mark:
            continue
        if not _LANGUAGE.fullmatch(tag) or tag.lower() in found:
            raise InvalidClientMetadata(f"{name} has a language tag that is malformed or repeated.", parameter=name)
        found[tag.lower()] = value
    return found


_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,7}")


def _listed(name: str, value: Any, error: type[ProtocolError]) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise error(f"{name} must be a list of texts.", parameter=name)
    if any(not entry or len(entry) > ENTRY_LENGTH or not entry.isprintable() for entry in value):
        raise error(f"An entry of {name} is empty, too long, or has a control character.", parameter=name)
    if len(set(value)) != len(value):
        raise error(f"An entry of {name} is there twice.", parameter=name)
    return value


def _without_problems(
    name: str, entries: list[str], problem_of: Callable[[str], str], error: type[ProtocolError]
) -> list[str]:
    for position, entry in enumerate(entries):
        if problem := problem_of(entry):
            raise error(f"{name}[{position}]: {problem}", parameter=name)
    return entries
