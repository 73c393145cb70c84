"""Delivery to machines: one file per endpoint. URLs and discovery both derive from ``ENDPOINTS``."""

from identityserver.endpoints import discovery
from identityserver.endpoints.authorization import AuthorizationEndpoint, ResumeEndpoint
from identityserver.endpoints.base import ProtocolEndpoint
from identityserver.endpoints.device_authorization import DeviceAuthorizationEndpoint
from identityserver.endpoints.discovery import DiscoveryEndpoint, JwksEndpoint, OAuthMetadataEndpoint
from identityserver.endpoints.end_session import EndSessionEndpoint
from identityserver.endpoints.introspection import IntrospectionEndpoint
from identityserver.endpoints.registration import ClientConfigurationEndpoint, RegistrationEndpoint
from identityserver.endpoints.revocation import RevocationEndpoint
from identityserver.endpoints.token import TokenEndpoint
from identityserver.endpoints.userinfo import UserInfoEndpoint

#: Every endpoint.
ENDPOINTS: tuple[type[ProtocolEndpoint], ...] = (
    AuthorizationEndpoint,
    ResumeEndpoint,
    TokenEndpoint,
    DeviceAuthorizationEndpoint,
    UserInfoEndpoint,
    IntrospectionEndpoint,
    RevocationEndpoint,
    EndSessionEndpoint,
    RegistrationEndpoint,
    ClientConfigurationEndpoint,
    DiscoveryEndpoint,
    OAuthMetadataEndpoint,
    JwksEndpoint,
)

discovery.describe(ENDPOINTS)
