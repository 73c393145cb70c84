"""Whose request it is, and where its answer may go (RFC 6749 §3.1.2, RFC 9700 §2.1).

Until both are known, an error is shown to the person and never sent anywhere.
"""

from identityserver import pkce, uris
from identityserver.errors import InvalidRequest
from identityserver.models import Client
from identityserver.parameters import Parameters
from identityserver.vocabulary import Scope


def identify_client(client: Client | None) -> Client:
    """The client.

    Raises:
        InvalidRequest: it is unknown, disabled or unusable.
    """
    if client is None:
        raise InvalidRequest("The application is not known here.", parameter="client_id")
    return client


def match_redirect_uri(client: Client, parameters: Parameters) -> str:
    """The redirect URI: one that is registered, whole string; the only one where none is sent.

    Raises:
        InvalidRequest: it is missing, or not registered.
    """
    presented = parameters.get("redirect_uri", "")
    if not presented and len(client.redirect_uris) == 1 and Scope.OPENID not in parameters.words("scope"):
        return str(client.redirect_uris[0])
    if not presented:
        raise InvalidRequest("The parameter redirect_uri is missing.", parameter="redirect_uri")
    if not any(uris.redirect_uri_matches(registered, presented) for registered in client.redirect_uris):
        raise InvalidRequest("The redirect_uri is not registered for this application.", parameter="redirect_uri")
    return presented


def read_code_challenge(client: Client, parameters: Parameters) -> str:
    """The PKCE challenge (RFC 7636 §4.3), ``""`` where an exempt client sends none.

    Raises:
        InvalidRequest: it is missing or malformed, or its method is not S256.
    """
    challenge, method = parameters.get("code_challenge", ""), parameters.get("code_challenge_method", "")
    if not challenge and (client.require_pkce or method):
        raise InvalidRequest("The parameter code_challenge is missing.", parameter="code_challenge")
    if challenge and method != pkce.METHOD:
        raise InvalidRequest("code_challenge_method must be S256.", parameter="code_challenge_method")
    if challenge and not pkce.is_challenge(challenge):
        raise InvalidRequest("The code_challenge is malformed.", parameter="code_challenge")
    return challenge
