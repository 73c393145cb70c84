"""The client metadata, in one table: its name on the wire, the client's field, and how it is read.

Requests, responses and what a replaced registration resets all derive from ``MEMBERS``. A member that is not in
it is ignored and not given back (RFC 7591 §2, §3.2.1). Those that ask for a protection are in it whether or not
it is built: ``clients.unusable_because`` refuses them as long as it is not.

Sources: RFC 7591 §2, OpenID Connect Dynamic Client Registration §2, RP-Initiated Logout §3.1, RFC 8705 §3.4, RFC 9101
§10.5, RFC 9126 §6, RFC 9449 §5.2, RFC 9701 §6, JARM §3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.db import models

from identityserver import uris
from identityserver.client_authentication import METHODS
from identityserver.conf import options
from identityserver.errors import InvalidClientMetadata
from identityserver.models import Client
from identityserver.registration.readers import (
    Reader,
    each,
    flag,
    https_address,
    json_object,
    one_of,
    redirect_uris,
    response_types,
    seconds,
    tagged,
    text,
    texts,
)
from identityserver.vocabulary import Algorithm, ApplicationType, SubjectType


def column(field: str) -> "models.Field[Any, Any]":
    """A field of ``Client``, of those that are columns."""
    return cast("models.Field[Any, Any]", Client._meta.get_field(field))


@dataclass(frozen=True)
class Member:
    """A member of the metadata, the field of ``Client`` that keeps it, and its reader."""

    name: str
    field: str
    read: Reader

    def set_on(self, client: Client, metadata: Mapping[str, Any]) -> None:
        """Set the field; an omitted member resets it (RFC 7592 §2.2)."""
        if self.name in metadata:
            setattr(client, self.field, self.read(self.name, metadata[self.name]))
        else:
            setattr(client, self.field, column(self.field).get_default())


MEMBERS = (
    Member("redirect_uris", "redirect_uris", redirect_uris),
    Member("application_type", "application_type", one_of(tuple(ApplicationType))),
    Member("token_endpoint_auth_method", "token_endpoint_auth_method", one_of(METHODS)),
    Member("token_endpoint_auth_signing_alg", "token_endpoint_auth_signing_alg", text),
    Member("grant_types", "allowed_grant_types", texts),
    Member("response_types", "response_types", response_types),
    Member("client_name", "name", text),
    Member("client_uri", "client_uri", text),
    Member("logo_uri", "logo_uri", text),
    Member("policy_uri", "policy_uri", text),
    Member("tos_uri", "tos_uri", text),
    Member("contacts", "contacts", texts),
    Member("jwks", "jwks", json_object),
    Member("jwks_uri", "jwks_uri", https_address),
    Member("subject_type", "subject_type", one_of(tuple(SubjectType))),
    Member("sector_identifier_uri", "sector_identifier_uri", https_address),
    Member("default_max_age", "default_max_age", seconds),
    Member("require_auth_time", "require_auth_time", flag),
    Member("initiate_login_uri", "initiate_login_uri", https_address),
    Member("request_uris", "request_uris", each(uris.web_uri_problem)),
    Member("post_logout_redirect_uris", "post_logout_redirect_uris", each(uris.redirect_uri_problem)),
    Member("id_token_signed_response_alg", "id_token_signed_response_alg", one_of(tuple(Algorithm))),
    Member("id_token_encrypted_response_alg", "id_token_encrypted_response_alg", text),
    Member("id_token_encrypted_response_enc", "id_token_encrypted_response_enc", text),
    Member("userinfo_signed_response_alg", "userinfo_signed_response_alg", one_of(tuple(Algorithm))),
    Member("userinfo_encrypted_response_alg", "userinfo_encrypted_response_alg", text),
    Member("userinfo_encrypted_response_enc", "userinfo_encrypted_response_enc", text),
    Member("introspection_signed_response_alg", "introspection_signed_response_alg", one_of(tuple(Algorithm))),
    Member("introspection_encrypted_response_alg", "introspection_encrypted_response_alg", text),
    Member("introspection_encrypted_response_enc", "introspection_encrypted_response_enc", text),
    Member("authorization_signed_response_alg", "authorization_signed_response_alg", one_of(tuple(Algorithm))),
    Member("authorization_encrypted_response_alg", "authorization_encrypted_response_alg", text),
    Member("authorization_encrypted_response_enc", "authorization_encrypted_response_enc", text),
    Member("require_signed_request_object", "require_signed_request_object", flag),
    Member("require_pushed_authorization_requests", "require_pushed_authorization_requests", flag),
    Member("dpop_bound_access_tokens", "require_dpop", flag),
    Member("tls_client_certificate_bound_access_tokens", "tls_client_certificate_bound_access_tokens", flag),
)

#: The member that a field of the client comes from.
MEMBER_OF = {member.field: member.name for member in MEMBERS}

#: What may be sent in several languages (RFC 7591 §2.2), by the client's field.
TRANSLATED = {MEMBER_OF[field]: field for field in ("name", "client_uri", "logo_uri", "policy_uri", "tos_uri")}

#: What says something about the software and is only given back (RFC 7591 §2).
KEPT = ("software_id", "software_version")
_KEPT_LENGTH = 255


def without_empty(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without null and empty members, which count as omitted (RFC 7592 §2.2)."""
    return {name: value for name, value in metadata.items() if value is not None and value not in ("", [])}


def set_members(client: Client, metadata: Mapping[str, Any]) -> None:
    """Set every field of the table on ``client``.

    Raises:
        InvalidClientMetadata: a member is of the wrong type, or a value is not supported.
        InvalidRedirectUri: a redirect URI is malformed.
    """
    for member in MEMBERS:
        member.set_on(client, metadata)
    client.translations = {
        field: {tag: text(name, value) for tag, value in translated.items()}
        for name, field in TRANSLATED.items()
        if (translated := tagged(metadata, name))
    }
    client.name = client.name or client.client_id  # RFC 7591 §2 has the raw client_id displayed then


def kept_members(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What is only given back.

    Raises:
        InvalidClientMetadata: it is no text, or too long.
    """
    kept = {name: text(name, metadata[name]) for name in KEPT if name in metadata}
    for name, value in kept.items():
        if len(value) > _KEPT_LENGTH:
            raise InvalidClientMetadata(f"{name} is longer than {_KEPT_LENGTH} characters.", parameter=name)
    return kept


def members_of(client: Client) -> dict[str, Any]:
    """The metadata of a client, defaults included, without what it does not have (RFC 7591 §3.2.1)."""
    shown = {member.name: getattr(client, member.field) for member in MEMBERS}
    shown["id_token_signed_response_alg"] = client.id_token_signed_response_alg or options().id_token_signing_algorithm
    if client.name == client.client_id:
        del shown["client_name"]
    for name, field in TRANSLATED.items():
        shown |= {f"{name}#{tag}": value for tag, value in client.translations.get(field, {}).items()}
    always, present = {"grant_types", "response_types"}, without_empty(shown)
    return {name: value for name, value in shown.items() if name in always or name in present}
