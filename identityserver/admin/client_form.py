"""The form of a client: what this server supports today, each blank with the default it stands for."""

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from identityserver.admin.fields import OptionalJSONField
from identityserver.authorization.response_type import served_response_types
from identityserver.client_authentication import METHODS
from identityserver.conf import options
from identityserver.grant_types import served_grant_types
from identityserver.models import ApiResource, Client
from identityserver.sectors import SectorUnconfirmed, confirm_sector
from identityserver.vocabulary import Algorithm, GrantType, MacAlgorithm, ResponseType

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Client]
else:
    _ModelForm = forms.ModelForm

#: 68 years: what PostgreSQL can store, and no date calculation overflows.
_MOST_SECONDS = 2**31 - 1

_NOTHING = "---------"

#: What the names of grant types that came after RFC 6749 begin with.
_REGISTERED = "urn:ietf:params:oauth:grant-type:"


class ClientForm(_ModelForm):
    """What the admin lets a person decide about a client."""

    allowed_grant_types = forms.MultipleChoiceField(
        label=gettext_lazy("Grant types"),
        widget=forms.CheckboxSelectMultiple,
        initial=[GrantType.AUTHORIZATION_CODE.value],
    )

    response_types = forms.MultipleChoiceField(
        label=gettext_lazy("Further response types"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "What puts tokens into the browser beside or instead of a code; nobody needs it who can use the code flow."
        ),
    )

    class Meta:
        model = Client
        fields = "__all__"
        labels = {
            "client_id": gettext_lazy("Client ID"),
            "client_uri": gettext_lazy("Home page"),
            "logo_uri": gettext_lazy("Logo"),
            "policy_uri": gettext_lazy("Privacy policy"),
            "tos_uri": gettext_lazy("Terms of service"),
            "redirect_uris": gettext_lazy("Redirect URIs"),
            "post_logout_redirect_uris": gettext_lazy("Post-logout redirect URIs"),
            "allowed_cors_origins": gettext_lazy("Allowed CORS origins"),
            "token_endpoint_auth_method": gettext_lazy("Authentication method"),
            "token_endpoint_auth_signing_alg": gettext_lazy("Signing algorithm of its assertions"),
            "jwks": gettext_lazy("Public keys (JWKS)"),
            "jwks_uri": gettext_lazy("Address of its public keys"),
            "api_scopes": gettext_lazy("API scopes"),
            "require_pkce": gettext_lazy("Require PKCE"),
            "user_sso_lifetime": gettext_lazy("Single sign-on lifetime"),
            "default_max_age": gettext_lazy("Default max_age"),
            "identity_token_lifetime": gettext_lazy("ID token lifetime"),
            "id_token_signed_response_alg": gettext_lazy("ID token signing algorithm"),
            "userinfo_signed_response_alg": gettext_lazy("UserInfo signing algorithm"),
            "allow_access_tokens_via_browser": gettext_lazy("Allow access tokens in the browser"),
            "sector_identifier_uri": gettext_lazy("Sector identifier URI"),
            "introspection_signed_response_alg": gettext_lazy("Introspection signing algorithm"),
            "always_include_user_claims_in_id_token": gettext_lazy("Always include user claims in the ID token"),
        }
        help_texts = {
            "client_id": gettext_lazy("It cannot be changed later."),
            "description": gettext_lazy("For administrators."),
            "contacts": gettext_lazy("Who is responsible for the client; one address per line."),
            "token_endpoint_auth_method": gettext_lazy(
                "client_secret_basic or client_secret_post for software that keeps a secret on a server; "
                "private_key_jwt where it signs with a key of its own, client_secret_jwt with its secret; none for "
                "browser, mobile and command-line applications, which prove themselves with PKCE."
            ),
            "token_endpoint_auth_signing_alg": gettext_lazy(
                "For private_key_jwt and client_secret_jwt: assertions of any other algorithm are refused."
            ),
            "jwks": gettext_lazy(
                'Public keys of the client, as a JSON Web Key Set: {"keys": [{"kty": "EC", …}]}. Or else their address:'
            ),
            "jwks_uri": gettext_lazy(
                "Where the client publishes them, so that it can change them by itself: an https address that this "
                "server can reach."
            ),
            "redirect_uris": gettext_lazy(
                "One per line; matched as a whole string. A loopback address may differ by port."
            ),
            "post_logout_redirect_uris": gettext_lazy("Where people may be sent after signing out; one per line."),
            "allowed_cors_origins": gettext_lazy(
                "For clients that run in a browser: origins such as https://app.example, one per line."
            ),
            "identity_resources": gettext_lazy("What it may ask to know about people."),
            "api_scopes": gettext_lazy("What it may ask to do in APIs."),
            "allow_offline_access": gettext_lazy("It may ask for refresh tokens; needs the refresh_token grant type."),
            "allow_remember_consent": gettext_lazy("People may have their choice remembered."),
            "require_consent": gettext_lazy("Ask people before it gets anything: for third parties."),
            "refresh_token_usage": gettext_lazy(
                "Whether each use of a refresh token replaces it; auto: for public clients."
            ),
            "refresh_token_expiration": gettext_lazy(
                "sliding: each use prolongs it up to the absolute lifetime; absolute: no use does."
            ),
            "access_token_type": gettext_lazy(
                "jwt: APIs verify it by themselves; reference: APIs ask the server about it, and revoking it counts "
                "at once."
            ),
            "always_include_user_claims_in_id_token": gettext_lazy("Otherwise the client reads them from UserInfo."),
            "allow_access_tokens_via_browser": gettext_lazy(
                "For response types with an access token, which RFC 9700 advises against."
            ),
            "subject_type": gettext_lazy(
                "public: all clients know a user by the same sub; pairwise: those of one host or sector by their own. "
                "Changing it, or the host, makes every user a new one for the client."
            ),
            "sector_identifier_uri": gettext_lazy(
                "A document that lists the redirect URIs of all clients of the sector; for pairwise and several hosts."
            ),
            "claims": gettext_lazy('Fixed claims of the client itself, as a JSON object: {"tenant": "north"}.'),
            "client_claims_prefix": gettext_lazy("Put before the names of the client's own claims."),
            "translations": gettext_lazy('Name and links in other languages: {"name": {"de": "…"}}.'),
            "properties": gettext_lazy("For the host site's own use, as a JSON object."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _admit_unsupported_method(self)
        _offer_grant_types(self)
        _offer_response_types(self)
        _name_inherited_coordination(self)

    def clean(self) -> dict[str, Any]:
        """The response type ``code`` follows from its grant type, so nobody is asked for both."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "response_types" in cleaned and GrantType.AUTHORIZATION_CODE in cleaned.get("allowed_grant_types", ()):
            cleaned["response_types"] = [ResponseType.CODE.value, *cleaned["response_types"]]
        self._confirm_sector(cleaned)
        for name in {"token_exchange_audiences", "token_exchange_sources"} & set(self.changed_data):
            self._confirm_apis(name, cleaned.get(name) or ())
        return cleaned

    def _confirm_apis(self, field: str, names: Iterable[str]) -> None:
        """A name that no API has would only be found out by the first exchange that is refused."""
        known = set(ApiResource.objects.values_list("name", flat=True))  # few; and what was typed may hold a NUL
        for name in names:
            if name not in known:
                self.add_error(field, _("There is no API resource named %s.") % name)

    def _confirm_sector(self, cleaned: dict[str, Any]) -> None:
        """The document of a sector lists the redirect URIs (OpenID Connect Dynamic Registration §5)."""
        address = cleaned.get("sector_identifier_uri", "")
        if not address or not {"sector_identifier_uri", "redirect_uris"} & set(self.changed_data):
            return
        try:
            confirm_sector(address, cleaned.get("redirect_uris", ()))
        except SectorUnconfirmed as error:
            self.add_error("sector_identifier_uri", f"{error} {error.detail}".strip())


def short_grant_type(name: str) -> str:
    """What staff call a grant type: ``device_code`` and not the URN that ends in it."""
    return name.removeprefix(_REGISTERED)


def form_field_options(db_field: "models.Field[Any, Any]") -> dict[str, Any]:
    """What the form field of a column needs beyond what the column says."""
    match db_field.name:
        case "token_endpoint_auth_method":
            return {"choices": [(method.value, method.value) for method in METHODS]}
        case "token_endpoint_auth_signing_alg":
            return {"choices": _with_none(_("Any that the method allows"), [*Algorithm, *MacAlgorithm])}
        case "jwks":
            return {"form_class": OptionalJSONField}
        case "id_token_signed_response_alg" | "introspection_signed_response_alg":
            inherited = _("The server's: %s") % options().id_token_signing_algorithm
            return {"choices": _with_none(inherited, Algorithm)}
        case "userinfo_signed_response_alg":
            return {"choices": _with_none(_("Not signed"), Algorithm)}
    if isinstance(db_field, models.PositiveIntegerField):
        return _seconds(db_field.name)
    return {}


def _with_none(none: str, names: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """Choices of registered names, and what it means to choose none."""
    return [("", none), *((name.value, name.value) for name in names)]


def _seconds(name: str) -> dict[str, Any]:
    """A number of seconds: zero only where it means "every time"."""
    least = 0 if name in {"default_max_age", "user_sso_lifetime"} else 1
    return {"min_value": least, "max_value": _MOST_SECONDS, "help_text": _when_blank(name)}


def _when_blank(name: str) -> str:
    match name:
        case "default_max_age":
            return _("Seconds since people signed in after which they sign in again; blank: however long ago.")
        case "user_sso_lifetime":
            return _("The same, whatever the client asks for; blank: as long as the user session lives.")
        case "consent_lifetime":
            return _("Seconds; blank: for ever.")
    server: timedelta = getattr(options(), name)
    seconds = int(server.total_seconds())
    return _("Seconds; blank: the server's, %(seconds)d (%(time)s).") % {"seconds": seconds, "time": server}


def _admit_unsupported_method(form: ClientForm) -> None:
    """A method that the form cannot offer must not turn into the first that it does."""
    field = form.fields.get("token_endpoint_auth_method")
    if field is not None and form.instance.token_endpoint_auth_method not in METHODS:
        choices = cast(forms.ChoiceField, field)
        choices.choices = [("", _NOTHING), *((method.value, method.value) for method in METHODS)]


def _offer_grant_types(form: ClientForm) -> None:
    """Those that this deployment serves; one that the options turned off since stays chosen, and says so."""
    if "allowed_grant_types" in form.fields:
        field, served = cast(forms.MultipleChoiceField, form.fields["allowed_grant_types"]), served_grant_types()
        unserved = [name for name in form.instance.allowed_grant_types if name not in served]
        said = [(name, _("%s (not served here)") % name) for name in unserved]
        field.choices = [*((name, short_grant_type(name)) for name in served), *said]


def _offer_response_types(form: ClientForm) -> None:
    """Those that this deployment serves, and any that the client has."""
    if "response_types" in form.fields:
        field, chosen = cast(forms.MultipleChoiceField, form.fields["response_types"]), form.instance.response_types
        offered = dict.fromkeys([*(name.value for name in served_response_types()), *chosen])
        field.choices = [(name, name) for name in offered if name != ResponseType.CODE]
        form.initial["response_types"] = [name for name in chosen if name != ResponseType.CODE]


def _name_inherited_coordination(form: ClientForm) -> None:
    field = form.fields.get("coordinate_lifetime_with_user_session")
    if field is not None:
        server = _("yes") if options().coordinate_lifetime_with_user_session else _("no")
        widget = cast(forms.NullBooleanSelect, field.widget)
        widget.choices = [("unknown", _("The server's: %s") % server), ("true", _("Yes")), ("false", _("No"))]
        field.help_text = _("End its tokens when the user signs out.")
