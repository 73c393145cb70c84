"""Requested scopes and resource indicators to resources (RFC 6749 §3.3, RFC 8707, OpenID Connect Core §5.4)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from identityserver.conf import options
from identityserver.errors import InvalidScope, InvalidTarget
from identityserver.models import ApiResource, ApiScope, Client, IdentityResource
from identityserver.vocabulary import Scope


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a list of scopes stands for.

    Attributes:
        scopes: the names as asked for, in order, parameter values included.
        identity: the identity resources among them.
        access: the API scopes among them, by the name asked for.
        apis: the APIs that the scopes open; their names become the audience.
        indicators: the ``resource`` parameters, which narrow ``apis``.
        offline_access: whether a refresh token was asked for (OpenID Connect Core §11).
    """

    scopes: tuple[str, ...] = ()
    identity: tuple[IdentityResource, ...] = ()
    access: tuple[tuple[str, ApiScope], ...] = ()
    apis: tuple[ApiResource, ...] = ()
    indicators: tuple[str, ...] = ()
    offline_access: bool = False

    @property
    def audience(self) -> tuple[str, ...]:
        """The names of the APIs."""
        return tuple(api.name for api in self.apis)

    @property
    def parameterised(self) -> tuple[str, ...]:
        """The scopes with a value, ``name:value``, as asked for."""
        return tuple(name for name, scope in self.access if name != scope.name)

    @property
    def required(self) -> frozenset[str]:
        """Scopes that a user cannot leave out."""
        named = [(resource.name, resource.required) for resource in self.identity]
        named += [(name, scope.required) for name, scope in self.access]
        return frozenset(name for name, required in named if required)

    def narrowed_to(self, scopes: Collection[str]) -> "Resources":
        """The same with only ``scopes``; nothing is ever added, no API either."""
        access = tuple(pair for pair in self.access if pair[0] in scopes)
        return replace(
            self,
            scopes=tuple(scope for scope in self.scopes if scope in scopes),
            identity=tuple(resource for resource in self.identity if resource.name in scopes),
            access=access,
            apis=_apis(access, self.indicators),
            offline_access=self.offline_access and Scope.OFFLINE_ACCESS in scopes,
        )

    def within_audience(self) -> "Resources":
        """Without the scopes that mean something only to APIs which are not in the audience.

        An isolated API that was not named is none, so its scopes must not stand in a token that others accept.
        """
        if not self.access:
            return self
        elsewhere = {name for name, scope in self.access if not _belongs_to(scope, self.audience)}
        return self.narrowed_to([scope for scope in self.scopes if scope not in elsewhere]) if elsewhere else self

    def permitted_to(self, user: Any) -> "Resources":
        """Without the scopes whose ``requires_permission`` the user does not hold."""
        refused = {
            name
            for name, scope in self.access
            if scope.requires_permission and not (user is not None and user.has_perm(scope.requires_permission))
        }
        return self.narrowed_to([scope for scope in self.scopes if scope not in refused]) if refused else self


def resolve(client: Client, scopes: Iterable[str], indicators: Iterable[str] = ()) -> Resources:
    """What ``client`` may have of what it asks for: everything, or an error.

    Raises:
        InvalidScope: a scope is unknown, disabled or not allowed to the client.
        InvalidTarget: a resource is unknown, none of the scopes belongs to it, or the APIs share no algorithm.
    """
    resources = resolve_granted(client, scopes, indicators)
    if len(resources.apis) < len(resources.indicators):
        raise InvalidTarget("The resource is unknown, or no requested scope belongs to it.", parameter="resource")
    if len(resources.apis) > 1:
        algorithm_for(resources.apis)
    return resources


def resolve_granted(client: Client, scopes: Iterable[str], indicators: Iterable[str] = ()) -> Resources:
    """What was granted before; an API whose scopes the user left out is no part of it, and no error.

    Raises:
        InvalidScope: a scope is unknown, disabled or not allowed to the client.
    """
    names = tuple(dict.fromkeys(scopes))
    targets = tuple(dict.fromkeys(indicators))
    identity: list[IdentityResource] = []
    access: list[tuple[str, ApiScope]] = []
    for name in names:
        if name in client.identity_scopes:
            identity.append(client.identity_scopes[name])
        elif name != Scope.OFFLINE_ACCESS or not client.allow_offline_access:
            access.append((name, _access_scope(client, name)))
    return Resources(
        scopes=names,
        identity=tuple(identity),
        access=tuple(access),
        apis=_apis(access, targets) if access or targets else (),
        indicators=targets,
        offline_access=Scope.OFFLINE_ACCESS in names,
    )


def still_allowed(client: Client, scopes: Iterable[str]) -> tuple[str, ...]:
    """Those of ``scopes``, granted before, that the client may still have."""
    return tuple(scope for scope in scopes if _is_allowed(client, scope))


def _is_allowed(client: Client, name: str) -> bool:
    if name in client.identity_scopes:
        return True
    if name == Scope.OFFLINE_ACCESS:
        return client.allow_offline_access
    try:
        return bool(_access_scope(client, name))
    except InvalidScope:
        return False


def algorithm_for(apis: Iterable[ApiResource]) -> str:
    """The algorithm that every one of ``apis`` can verify: the server's own, or else the first they share.

    Raises:
        InvalidTarget: they share none, so that one token cannot be for all of them.
    """
    preferred = options().access_token_signing_algorithm
    lists = [allowed for api in apis if (allowed := api.allowed_access_token_signing_algorithms)]
    shared = [name for name in (preferred, *(lists[0] if lists else ())) if all(name in allowed for allowed in lists)]
    if not shared:
        raise InvalidTarget("The APIs share no signing algorithm; ask for one of them.", parameter="resource")
    return str(shared[0])


def every_access_scope(client: Client) -> tuple[str, ...]:
    """What a client gets that asks for an access token of its own without naming scopes (RFC 6749 §3.3)."""
    return tuple(name for name, scope in client.access_scopes.items() if not scope.parameterised)


def narrow_to_targets(resources: Resources, indicators: Iterable[str]) -> Resources:
    """The same for fewer APIs, as a token request may ask (RFC 8707 §2.2).

    Raises:
        InvalidTarget: an API is not among those granted.
    """
    targets = tuple(dict.fromkeys(indicators))
    if not targets:
        return resources
    if resources.indicators and not set(targets) <= set(resources.indicators):
        raise InvalidTarget("The resource was not granted.", parameter="resource")
    apis = _apis(resources.access, targets)
    if len(apis) < len(targets):
        raise InvalidTarget("No granted scope belongs to the resource.", parameter="resource")
    return replace(resources, apis=apis, indicators=targets)


def _belongs_to(scope: ApiScope, targets: Iterable[str]) -> bool:
    """Whether a scope means something to one of the APIs, or to none in particular."""
    names = {api.name for api in scope.apis}
    return not names or not names.isdisjoint(targets)


def _access_scope(client: Client, name: str) -> ApiScope:
    """The API scope asked for as ``name`` or, where it takes a parameter, as ``name:value``."""
    scope = client.access_scopes.get(name)
    if scope is not None and not scope.parameterised:
        return scope
    prefix, _, value = name.partition(":")
    scope = client.access_scopes.get(prefix)
    if scope is None or not scope.parameterised or not value or name in client.taken_scopes:
        raise InvalidScope(f"The scope {name[:100]} is unknown or not allowed to this client.", parameter="scope")
    return scope


def _apis(access: Iterable[tuple[str, ApiScope]], indicators: tuple[str, ...]) -> tuple[ApiResource, ...]:
    opened: dict[str, ApiResource] = {}
    for _, scope in access:
        for api in scope.apis:
            if api.enabled:
                opened[api.name] = api
    if indicators:
        return tuple(opened[indicator] for indicator in indicators if indicator in opened)
    return tuple(api for api in opened.values() if not api.require_resource_indicator)
