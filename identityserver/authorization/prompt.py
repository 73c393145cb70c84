"""How the client wants the user to be asked (OpenID Connect Core §3.1.2.1)."""

from identityserver.errors import InvalidRequest
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import Prompt


def read_prompt(parameters: Parameters) -> frozenset[Prompt]:
    """The values of ``prompt``.

    Raises:
        InvalidRequest: one is unknown, or ``none`` comes with another.
    """
    try:
        prompt = frozenset(Prompt(word) for word in parameters.words("prompt"))
    except ValueError:
        raise InvalidRequest("A value of prompt is not supported.", parameter="prompt") from None
    if Prompt.NONE in prompt and len(prompt) > 1:
        raise InvalidRequest("prompt=none excludes every other value.", parameter="prompt")
    return prompt


def read_max_age(client: Client, parameters: Parameters) -> int | None:
    """Seconds since the user must have authenticated: as asked, or the client's default, or ``None``.

    Raises:
        InvalidRequest: it is not a number of seconds.
    """
    text = parameters.get("max_age", "")
    if not text:
        return client.default_max_age
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest("max_age must be a number of seconds.", parameter="max_age")
    return int(text)
