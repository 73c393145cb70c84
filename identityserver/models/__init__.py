"""State. Managers speak the domain; times are UTC; what is presented is kept as a digest only."""

from identityserver.models.client import Client, ClientSecret
from identityserver.models.consent import Consent
from identityserver.models.device import DeviceRequest
from identityserver.models.events import Event
from identityserver.models.grants import AuthorizationCode, Grant, ReferenceToken, RefreshToken
from identityserver.models.issuers import TrustedIssuer
from identityserver.models.keys import ServerSecret, SigningKey
from identityserver.models.registration import InitialAccessToken, Registration
from identityserver.models.replay import UsedIdentifier
from identityserver.models.requests import AuthorizationRequest, LogoutRequest
from identityserver.models.resources import ApiResource, ApiScope, ApiSecret, ClaimMapping, IdentityResource
from identityserver.models.sessions import SessionClient, UserSession
from identityserver.models.subjects import Subject

__all__ = [
    "ApiResource",
    "ApiScope",
    "ApiSecret",
    "AuthorizationCode",
    "AuthorizationRequest",
    "ClaimMapping",
    "Client",
    "ClientSecret",
    "Consent",
    "DeviceRequest",
    "Event",
    "Grant",
    "IdentityResource",
    "InitialAccessToken",
    "LogoutRequest",
    "ReferenceToken",
    "RefreshToken",
    "Registration",
    "ServerSecret",
    "SessionClient",
    "SigningKey",
    "Subject",
    "TrustedIssuer",
    "UsedIdentifier",
    "UserSession",
]
