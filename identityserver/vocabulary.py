"""Registered names, each written once (IANA OAuth parameters, JOSE and OpenID Connect registries)."""

from enum import StrEnum


class GrantType(StrEnum):
    """RFC 6749 §4, RFC 7591 §2, RFC 8628 §3.4, RFC 8693 §2.1, RFC 7523 §2.1."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"
    DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    PASSWORD = "password"
    IMPLICIT = "implicit"


class ResponseType(StrEnum):
    """OAuth 2.0 Multiple Response Type Encoding Practices."""

    CODE = "code"
    ID_TOKEN = "id_token"
    TOKEN = "token"
    CODE_ID_TOKEN = "code id_token"
    CODE_TOKEN = "code token"
    ID_TOKEN_TOKEN = "id_token token"
    CODE_ID_TOKEN_TOKEN = "code id_token token"

    @property
    def gives_code(self) -> bool:
        """Whether the response has an authorization code."""
        return "code" in self.split()

    @property
    def gives_id_token(self) -> bool:
        """Whether the response has an ID token."""
        return "id_token" in self.split()

    @property
    def gives_access_token(self) -> bool:
        """Whether the response has an access token."""
        return "token" in self.split()

    @property
    def has_tokens(self) -> bool:
        """Whether it puts any token into the browser."""
        return self != ResponseType.CODE


class ResponseMode(StrEnum):
    """OAuth 2.0 Multiple Response Types §2.1 and OAuth 2.0 Form Post Response Mode."""

    QUERY = "query"
    FRAGMENT = "fragment"
    FORM_POST = "form_post"


class Prompt(StrEnum):
    """OpenID Connect Core §3.1.2.1."""

    NONE = "none"
    LOGIN = "login"
    CONSENT = "consent"


class AuthMethod(StrEnum):
    """``token_endpoint_auth_method`` (RFC 7591 §2, OpenID Connect Core §9)."""

    CLIENT_SECRET_BASIC = "client_secret_basic"
    CLIENT_SECRET_POST = "client_secret_post"
    CLIENT_SECRET_JWT = "client_secret_jwt"
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS_CLIENT_AUTH = "tls_client_auth"
    SELF_SIGNED_TLS_CLIENT_AUTH = "self_signed_tls_client_auth"
    NONE = "none"


#: Methods by which a client sends its secret, and all those by which it has one (RFC 6749 §2.3.1, OpenID Connect
#: Core §9).
SENT_SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})
SECRET_METHODS = SENT_SECRET_METHODS | {AuthMethod.CLIENT_SECRET_JWT}


class Algorithm(StrEnum):
    """JWS signing algorithms (RFC 7518 §3.1, RFC 8037) that the key ring can make keys for."""

    ES256 = "ES256"
    ES384 = "ES384"
    RS256 = "RS256"
    PS256 = "PS256"
    EDDSA = "EdDSA"


class MacAlgorithm(StrEnum):
    """HMAC algorithms (RFC 7518 §3.2): a client's proof that it knows a secret, and nothing else here."""

    HS256 = "HS256"
    HS384 = "HS384"
    HS512 = "HS512"


class TokenType(StrEnum):
    """The JWS ``typ`` of what we sign: one type is never taken for another (RFC 8725 §3.11)."""

    ACCESS_TOKEN = "at+jwt"
    ID_TOKEN = "JWT"
    USERINFO = "userinfo+jwt"
    INTROSPECTION = "token-introspection+jwt"


class TokenTypeIdentifier(StrEnum):
    """What a token is that is exchanged (RFC 8693 §3)."""

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
    JWT = "urn:ietf:params:oauth:token-type:jwt"


class Scope(StrEnum):
    """OpenID Connect Core §5.4 and §11."""

    OPENID = "openid"
    PROFILE = "profile"
    EMAIL = "email"
    PHONE = "phone"
    ADDRESS = "address"
    OFFLINE_ACCESS = "offline_access"


class SubjectType(StrEnum):
    """OpenID Connect Core §8."""

    PUBLIC = "public"
    PAIRWISE = "pairwise"


class AccessTokenType(StrEnum):
    """How an access token is made: a JWT (RFC 9068) or a handle that only introspection can read."""

    JWT = "jwt"
    REFERENCE = "reference"


class RefreshTokenUsage(StrEnum):
    """Whether a refresh token is replaced on use (RFC 9700 §4.14.2)."""

    AUTO = "auto"
    ONE_TIME = "one_time"
    REUSE = "reuse"


class RefreshTokenExpiration(StrEnum):
    """Whether use prolongs a refresh token, up to its absolute lifetime."""

    ABSOLUTE = "absolute"
    SLIDING = "sliding"


class ApplicationType(StrEnum):
    """OpenID Connect Dynamic Client Registration §2."""

    WEB = "web"
    NATIVE = "native"


class ClientSource(StrEnum):
    """How a client came to be registered."""

    MANUAL = "manual"
    IMPORT = "import"
    DCR = "dcr"
    CIMD = "cimd"


class RegistrationMode(StrEnum):
    """Who may register a client (RFC 7591 §3); the values of the option ``registration``."""

    OFF = "off"
    INITIAL_ACCESS_TOKEN = "initial_access_token"
    OPEN = "open"
