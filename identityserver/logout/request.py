"""Reading a logout request (OpenID Connect RP-Initiated Logout 1.0 §2)."""

from dataclasses import dataclass

from identityserver import uris
from identityserver.clients import find_client
from identityserver.errors import InvalidRequest
from identityserver.models import Client, UserSession
from identityserver.parameters import Parameters
from identityserver.tokens.subject import subject_of
from identityserver.tokens.verify import verify_id_token_hint


@dataclass(frozen=True, kw_only=True)
class LogoutRequest:
    """A valid logout request.

    Attributes:
        client: who asks, or ``None`` where that is not said.
        hinted_subject: the ``sub`` of a verified id_token_hint, or ``""``.
        hinted_sid: its ``sid``, or ``""``.
        post_logout_redirect_uri: registered by the client, or ``""``.
    """

    client: Client | None
    hinted_subject: str
    hinted_sid: str
    post_logout_redirect_uri: str
    state: str
    ui_locales: str

    def is_proved_for(self, session: UserSession) -> bool:
        """Whether the hint shows that the client had signed in this very user, so that nobody need be asked."""
        if not self.hinted_subject or (self.hinted_sid and self.hinted_sid != session.sid):
            return False
        return subject_of(session.user, self.client) == self.hinted_subject


def read_logout_request(parameters: Parameters) -> LogoutRequest:
    """The request that ``parameters`` make.

    Raises:
        InvalidRequest: the hint is not ours, contradicts the client_id, or the URI is not registered.
    """
    hint = parameters.get("id_token_hint", "")
    claims = verify_id_token_hint(hint) if hint else {}
    client = _client(parameters, str(claims.get("aud", "")))
    return LogoutRequest(
        client=client,
        hinted_subject=str(claims.get("sub", "")),
        hinted_sid=str(claims.get("sid", "")),
        post_logout_redirect_uri=_redirect_uri(client, parameters),
        state=parameters.get("state", ""),
        ui_locales=parameters.get("ui_locales", ""),
    )


def _client(parameters: Parameters, hinted: str) -> Client | None:
    named = parameters.get("client_id", "")
    if named and hinted and named != hinted:
        raise InvalidRequest("The id_token_hint was issued to another client.", parameter="id_token_hint")
    client_id = named or hinted
    client = find_client(client_id) if client_id else None
    if named and client is None:
        raise InvalidRequest("The application is not known here.", parameter="client_id")
    return client


def _redirect_uri(client: Client | None, parameters: Parameters) -> str:
    """Exactly one of those registered; without a client there are none."""
    uri = parameters.get("post_logout_redirect_uri", "")
    if uri and (client is None or uri not in client.post_logout_redirect_uris):
        raise InvalidRequest(
            "The post_logout_redirect_uri is not registered for this application.",
            parameter="post_logout_redirect_uri",
        )
    return uri


def destination(uri: str, state: str) -> str:
    """Where the browser goes after signing out, with the state as it came."""
    return uris.with_query(uri, {"state": state}) if uri and state else uri
