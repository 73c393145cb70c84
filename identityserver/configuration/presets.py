"""What kinds of client there are, and the settings each kind should have (RFC 9700, RFC 8252, RFC 8628).

A preset decides what follows from the kind of software; everything else is a client's own.
"""

import dataclasses

from identityserver.vocabulary import ApplicationType, AuthMethod, GrantType, Scope

_SIGN_IN_SCOPES = (Scope.OPENID, Scope.PROFILE, Scope.EMAIL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """The settings that one kind of client starts with."""

    name: str
    title: str
    description: str
    application_type: ApplicationType
    token_endpoint_auth_method: AuthMethod
    grant_type: GrantType
    scopes: tuple[str, ...] = ()
    calls_from_browser: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret, so that it gets none."""
        return self.token_endpoint_auth_method == AuthMethod.NONE

    @property
    def has_user(self) -> bool:
        """Whether people sign in to it, so that it may ask for what is theirs."""
        return self.grant_type != GrantType.CLIENT_CREDENTIALS

    @property
    def sends_people(self) -> bool:
        """Whether it sends people's browsers here, so that it needs somewhere to have them sent back to."""
        return self.grant_type == GrantType.AUTHORIZATION_CODE


WEB = Preset(
    name="web",
    title="Web application",
    description="Runs on a server of its own, where it keeps a secret: Django, Rails, Next.js, Spring, .NET…",
    application_type=ApplicationType.WEB,
    token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_BASIC,
    grant_type=GrantType.AUTHORIZATION_CODE,
    scopes=_SIGN_IN_SCOPES,
)
SINGLE_PAGE = Preset(
    name="spa",
    title="Single-page application",
    description="Runs in the browser, calls the token endpoint from there, and has no secret.",
    application_type=ApplicationType.WEB,
    token_endpoint_auth_method=AuthMethod.NONE,
    grant_type=GrantType.AUTHORIZATION_CODE,
    scopes=_SIGN_IN_SCOPES,
    calls_from_browser=True,
)
NATIVE = Preset(
    name="native",
    title="Native application",
    description="Runs on a phone, a desktop or a command line, and has no secret (RFC 8252).",
    application_type=ApplicationType.NATIVE,
    token_endpoint_auth_method=AuthMethod.NONE,
    grant_type=GrantType.AUTHORIZATION_CODE,
    scopes=_SIGN_IN_SCOPES,
)
MACHINE = Preset(
    name="machine",
    title="Machine to machine",
    description="A service that calls APIs in its own name; nobody signs in.",
    application_type=ApplicationType.WEB,
    token_endpoint_auth_method=AuthMethod.CLIENT_SECRET_BASIC,
    grant_type=GrantType.CLIENT_CREDENTIALS,
)
DEVICE = Preset(
    name="device",
    title="Device",
    description="A television, printer or command line without a browser: people allow it on another one (RFC 8628).",
    application_type=ApplicationType.NATIVE,
    token_endpoint_auth_method=AuthMethod.NONE,
    grant_type=GrantType.DEVICE_CODE,
    scopes=(*_SIGN_IN_SCOPES, Scope.OFFLINE_ACCESS),
)

PRESETS = {preset.name: preset for preset in (WEB, SINGLE_PAGE, NATIVE, MACHINE, DEVICE)}
