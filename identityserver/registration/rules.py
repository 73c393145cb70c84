"""What the members of a registration must be together, and what clients may not register for themselves.

Sources: RFC 7591 §2.1 and §5, OpenID Connect Dynamic Client Registration §2, §5 and §9.1, RFC 8252 §7.
"""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError

from identityserver import uris
from identityserver.authorization.response_type import served_response_types
from identityserver.clients import unusable_because
from identityserver.conf import options
from identityserver.errors import InvalidClientMetadata, InvalidRedirectUri
from identityserver.grant_types import served_grant_types
from identityserver.models import Client
from identityserver.registration.metadata import MEMBER_OF, TRANSLATED, column
from identityserver.sectors import SectorUnconfirmed, confirm_sector, hosts
from identityserver.vocabulary import ApplicationType, GrantType, ResponseType, SubjectType

#: Grant types that the authorization endpoint serves, and no token endpoint.
_AT_AUTHORIZATION = frozenset({GrantType.AUTHORIZATION_CODE, GrantType.IMPLICIT})
#: Grant types of which no refresh token comes.
_WITHOUT_REFRESH = frozenset({GrantType.REFRESH_TOKEN, GrantType.CLIENT_CREDENTIALS, GrantType.IMPLICIT})
#: Grant types that tell a client of a user only where its redirect URIs lead, if at all. By any other, such as that of
#: devices, whoever registers the places of somebody else would learn what users are called there.
_PROVE_PLACES = _AT_AUTHORIZATION | _WITHOUT_REFRESH | {GrantType.TOKEN_EXCHANGE}


def check_grant_types(client: Client, *, held: Collection[str]) -> None:
    """The grant types exist, and clients may register them.

    Args:
        held: those it has already, which an administrator may have added.

    Raises:
        InvalidClientMetadata: one does not or may not be registered, or is of no use alone.
    """
    wanted = set(client.allowed_grant_types)
    offered = {*options().registration_grant_types} & {*served_grant_types()}
    allowed = {*offered - {GrantType.PASSWORD}, *held}
    if not wanted <= allowed:
        raise _contradiction("grant_types", f"only {_words(allowed)} can be registered.")
    if GrantType.REFRESH_TOKEN in wanted and wanted <= _WITHOUT_REFRESH:
        raise _contradiction("grant_types", "refresh_token needs a grant type that gives refresh tokens.")


def check_response_types(client: Client, *, held: Collection[str]) -> None:
    """Grant types and response types go together (RFC 7591 §2.1).

    Args:
        held: response types that it has already.

    Raises:
        InvalidClientMetadata: a response type is not or may not be registered, or one of the two is missing.
    """
    grant_types, allowed = set(client.allowed_grant_types), {*_registrable_response_types(), *held}
    if not set(client.response_types) <= allowed:
        raise _contradiction("response_types", f"only {_words(allowed)} can be registered.")
    needed = {_grant_type_of(ResponseType(name)) for name in client.response_types}
    if missing := needed - grant_types:
        raise _contradiction("response_types", f"they need the grant type {min(missing)}.")
    if idle := (grant_types & _AT_AUTHORIZATION) - needed:
        raise _contradiction("response_types", f"none of them leads to the grant type {min(idle)}.")


def check_redirect_uris(client: Client) -> None:
    """Where people are sent back to suits the kind of application (OpenID Connect Dynamic Registration §2).

    A web application is on a host of its own, by https. A native one has a scheme of its own, loopback, or an https
    address that the operating system opens in it (RFC 8252 §7).

    Raises:
        InvalidRedirectUri: one does not, or there is none.
    """
    if not client.redirect_uris and _AT_AUTHORIZATION.intersection(client.allowed_grant_types):
        raise InvalidRedirectUri("redirect_uris is missing.", parameter="redirect_uris")
    problem_of = _problem_of_native if client.application_type == ApplicationType.NATIVE else _problem_of_web
    for position, uri in enumerate(client.redirect_uris):
        if problem := problem_of(uri):
            raise InvalidRedirectUri(f"redirect_uris[{position}]: {problem}", parameter="redirect_uris")


def check_as_any_client(client: Client) -> None:
    """What holds for every client, whoever registers it; and nothing is asked that is not supported.

    Raises:
        InvalidClientMetadata: with the member, and what is wrong with it.
    """
    try:
        client.full_clean(validate_constraints=False)
        _check_translations(client)
    except ValidationError as error:
        raise InvalidClientMetadata(_sentence(error)) from error
    if reason := unusable_because(client):
        raise InvalidClientMetadata(reason)


def check_sector(client: Client) -> None:
    """All its redirect URIs are of one sector (OpenID Connect Dynamic Registration §5, Core §8.1).

    Raises:
        InvalidClientMetadata: they are not, its document cannot be had, or it might be somebody else's sector.
    """
    name = "sector_identifier_uri"
    if client.subject_type == SubjectType.PAIRWISE and (elsewhere := {*client.allowed_grant_types} - _PROVE_PLACES):
        raise _contradiction("subject_type", f"pairwise does not go together with the grant type {min(elsewhere)}.")
    if not client.sector_identifier_uri:
        return
    if not client.redirect_uris:
        raise _contradiction(name, "without redirect_uris nothing shows that the client belongs to the sector.")
    try:
        confirm_sector(client.sector_identifier_uri, client.redirect_uris)
    except SectorUnconfirmed as error:
        raise InvalidClientMetadata(f"{name}: {error}", detail=error.detail, parameter=name) from error


def leave_out_foreign_links(client: Client) -> None:
    """Only links to the one host where its answers go: nobody else vouches for a logo or a privacy policy (§9.1)."""
    own = _only_host(client)
    for field in set(TRANSLATED.values()) - {"name"}:
        if not _is_of(own, getattr(client, field)):
            setattr(client, field, "")
        translated = client.translations.get(field, {})
        client.translations[field] = {tag: link for tag, link in translated.items() if _is_of(own, link)}
    client.translations = {field: texts for field, texts in client.translations.items() if texts}


def _only_host(client: Client) -> str:
    """The host to which all that it is told of a user goes; ``""`` where anything may go elsewhere."""
    found = {uris.own_host(uri) for uri in client.redirect_uris}
    return found.pop() if len(found) == 1 and set(client.allowed_grant_types) <= _PROVE_PLACES else ""


def _is_of(own: str, link: str) -> bool:
    return bool(own) and own in hosts([link])


def _registrable_response_types() -> list[ResponseType]:
    """Those that put no access token into the browser and have a code; others go with the implicit grant type."""
    offers_implicit = GrantType.IMPLICIT in options().registration_grant_types
    served = served_response_types()
    return [name for name in served if offers_implicit or (name.gives_code and not name.gives_access_token)]


def _grant_type_of(response_type: ResponseType) -> GrantType:
    return GrantType.AUTHORIZATION_CODE if response_type.gives_code else GrantType.IMPLICIT


def _problem_of_web(uri: str) -> str:
    parts = uris.parse(uri)
    if parts is None or parts.scheme != "https":
        return "A web application must use https; others register with application_type native."
    return "A web application must not be on this machine." if uris.is_loopback(parts.hostname) else ""


def _problem_of_native(uri: str) -> str:
    parts = uris.parse(uri)
    if parts is None or (parts.scheme == "https" and uris.is_loopback(parts.hostname)):
        return "A native application must use a scheme of its own, http on loopback, or its own https address."
    return ""


def _check_translations(client: Client) -> None:
    """A text in another language is judged as the text itself is."""
    for field, translated in client.translations.items():
        for value in translated.values():
            try:
                column(field).clean(value, client)
            except ValidationError as error:
                raise ValidationError({field: error}) from error


def _sentence(error: ValidationError) -> str:
    """The first problem, by the member's name."""
    field, texts = next(iter(error.message_dict.items()))
    return f"{MEMBER_OF.get(field, field)}: {texts[0]}"


def _contradiction(name: str, problem: str) -> InvalidClientMetadata:
    return InvalidClientMetadata(f"{name}: {problem}", parameter=name)


def _words(names: Collection[Any]) -> str:
    return ", ".join(sorted(str(name) for name in names))
