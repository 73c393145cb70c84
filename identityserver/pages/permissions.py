"""Permissions in words for people: what a scope means, and which personal information it would share.

Texts of the site's own rows go before these; the standard scopes have translations here (OpenID Connect Core
§5.4, §11), so that a new site has words in every language.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from identityserver.models import Client, IdentityResource
from identityserver.scopes import Resources
from identityserver.tokens.claims import claims_of, scope_claims
from identityserver.vocabulary import ClientSource, Scope

#: Clients that registered themselves: nobody here has looked at them.
_UNVERIFIED = frozenset({ClientSource.DCR, ClientSource.CIMD})

Shared = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One line of the consent page.

    Attributes:
        name: the scope.
        required: it cannot be left out.
        emphasize: it deserves attention.
        claims: the label and value of each piece of information that would be shared.
    """

    name: str
    display_name: str
    description: str
    required: bool = False
    emphasize: bool = False
    claims: Shared = ()


def is_verified(client: Client) -> bool:
    """Whether somebody here has registered the client."""
    return client.source not in _UNVERIFIED


def shown_permissions(resources: Resources, user: AbstractBaseUser, ticked: Collection[str]) -> dict[str, Any]:
    """The two groups that ``includes/permissions.html`` shows, each line with whether it is ticked."""
    access = [*access_permissions(resources), *offline_permission(resources)]
    groups = {"identity_items": identity_permissions(resources, user), "api_items": access}
    return {name: [(item, item.required or item.name in ticked) for item in items] for name, items in groups.items()}


def chosen(resources: Resources, ticked: Collection[str]) -> list[str]:
    """The scopes among those asked for that were left ticked, or cannot be left out."""
    return [scope for scope in resources.scopes if scope in ticked or scope in resources.required]


def identity_permissions(resources: Resources, user: AbstractBaseUser) -> list[Permission]:
    """The identity resources asked for, with what they would tell of ``user``."""
    values = claims_of(user, scope_claims(resources), resources)
    return [_identity_permission(resource, values) for resource in resources.identity]


def access_permissions(resources: Resources) -> list[Permission]:
    """The API scopes asked for; one with a value names it."""
    return [
        Permission(
            name=name,
            display_name=scope.display_name or scope.name,
            description=" – ".join(filter(None, [name.removeprefix(scope.name)[1:], scope.description])),
            required=scope.required,
            emphasize=scope.emphasize,
        )
        for name, scope in resources.access
    ]


def offline_permission(resources: Resources) -> list[Permission]:
    """What a refresh token means (OpenID Connect Core §11), where one is asked for."""
    display_name = _("Keep access while you are away")
    description = _("The application may use what you allow here even when you are not using it.")
    offered = Permission(name=Scope.OFFLINE_ACCESS, display_name=display_name, description=description)
    return [offered] if resources.offline_access else []


def _identity_permission(resource: IdentityResource, values: dict[str, Any]) -> Permission:
    display_name, description = _STANDARD.get(resource.name, (resource.name, ""))
    return Permission(
        name=resource.name,
        display_name=resource.display_name or str(display_name),
        description=resource.description or str(description),
        required=resource.required,
        emphasize=resource.emphasize,
        claims=tuple(_shared(resource.user_claims, values)),
    )


def _shared(names: Iterable[str], values: dict[str, Any]) -> Iterable[tuple[str, str]]:
    for name in names:
        if name in values:
            yield str(_LABELS.get(name, name)), _in_words(name, values[name])


def _in_words(name: str, value: Any) -> str:
    match value:
        case bool():
            return _("Yes") if value else _("No")
        case int() | float() if name == "updated_at":
            return date_format(datetime.fromtimestamp(value, UTC), "DATE_FORMAT")
        case dict():
            return str(value.get("formatted") or ", ".join(map(str, value.values())))
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


_STANDARD: dict[str, tuple[Any, Any]] = {
    Scope.OPENID: (
        gettext_lazy("Your identity"),
        gettext_lazy("Lets the application recognise you when you sign in."),
    ),
    Scope.PROFILE: (
        pgettext_lazy("permission", "Your profile"),
        gettext_lazy("Your name and what else your profile says."),
    ),
    Scope.EMAIL: (gettext_lazy("Your email address"), ""),
    Scope.PHONE: (gettext_lazy("Your telephone number"), ""),
    Scope.ADDRESS: (gettext_lazy("Your postal address"), ""),
}

#: OpenID Connect Core §5.1.
_LABELS = {
    "name": pgettext_lazy("of a person", "Name"),
    "given_name": gettext_lazy("Given name"),
    "family_name": gettext_lazy("Family name"),
    "middle_name": gettext_lazy("Middle name"),
    "nickname": gettext_lazy("Nickname"),
    "preferred_username": gettext_lazy("Username"),
    "profile": gettext_lazy("Profile page"),
    "picture": gettext_lazy("Picture"),
    "website": gettext_lazy("Website"),
    "email": gettext_lazy("Email address"),
    "email_verified": gettext_lazy("Email address confirmed"),
    "gender": gettext_lazy("Gender"),
    "birthdate": gettext_lazy("Date of birth"),
    "zoneinfo": gettext_lazy("Time zone"),
    "locale": gettext_lazy("Language"),
    "phone_number": gettext_lazy("Telephone number"),
    "phone_number_verified": gettext_lazy("Telephone number confirmed"),
    "address": gettext_lazy("Postal address"),
    "updated_at": gettext_lazy("Last changed"),
}
