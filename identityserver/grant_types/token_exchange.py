"""Exchanging an access token for one that is for another API: impersonation and delegation (RFC 8693).

A client exchanges only for the APIs that it is registered for (``token_exchange_audiences``), and only tokens of
users. The new token belongs to the same grant, expires no later, and brings neither refresh token nor ID token.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.contrib.auth.base_user import AbstractBaseUser

from identityserver import conf, scopes, signals
from identityserver.conf import options
from identityserver.errors import InvalidRequest, InvalidScope, InvalidTarget
from identityserver.grant_types.base import TokenRequest
from identityserver.grant_types.granting import permitted_resources, with_stored_access_token
from identityserver.grant_types.presented_token import is_own, presented_token
from identityserver.models import ApiScope, Client, Grant, UserSession
from identityserver.parameters import Parameters
from identityserver.tokens.authorization import Authorization, from_grant
from identityserver.tokens.live import LiveToken
from identityserver.tokens.verify import AccessTokenClaims
from identityserver.vocabulary import GrantType, TokenTypeIdentifier

#: The most actors that act for each other in one token.
_LONGEST_CHAIN = 5


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What is about to be granted, for the site's policy.

    Attributes:
        client: who exchanges.
        user: whose token it is.
        subject: what the subject token says; ``client_id`` in it names the client that it was issued to.
        actor: what the actor token says; ``None`` for impersonation.
        audience: the APIs that the new token is for.
        scopes: what it will hold.
    """

    client: Client
    user: AbstractBaseUser
    subject: AccessTokenClaims
    actor: AccessTokenClaims | None
    audience: tuple[str, ...]
    scopes: tuple[str, ...]


class TokenExchangePolicy(Protocol):
    """The site's own word on an exchange, named by the option ``token_exchange_policy``."""

    def __call__(self, exchange: Exchange) -> Collection[str]:
        """Those of ``exchange.scopes`` that may be granted; others are never added, and none refuses the exchange.

        Raises:
            ProtocolError: to refuse in words of its own, such as ``InvalidRequest("Only with an actor token.")``.
        """


class TokenExchangeGrant:
    """``urn:ietf:params:oauth:grant-type:token-exchange``."""

    def authorize(self, request: TokenRequest) -> Authorization:
        """A narrower view of what the subject token stands for."""
        client = request.client
        _check_requested_type(request.parameters)
        subject, actor = presented_token(request, "subject_token"), _actor(request)
        grant = _grant_of(subject, client)
        _check_may_act(subject.token, actor, client)
        resources = _granted(request, subject, actor, grant.user)
        act = _act(subject.token, actor)
        exchanged = from_grant(
            grant,
            client,
            resources,
            grant_type=GrantType.TOKEN_EXCHANGE,
            not_after=subject.token.expires,
            actor=act,
            issued_token_type=TokenTypeIdentifier.ACCESS_TOKEN.value,
        )
        authorization = with_stored_access_token(exchanged)
        signals.token_exchanged.send(sender=Client, client=client, grant=grant, subject=subject.token, actor=act)
        return authorization


def _check_requested_type(parameters: Parameters) -> None:
    """§2.1: without a word an access token, which is all that there is."""
    if parameters.get("requested_token_type", TokenTypeIdentifier.ACCESS_TOKEN) != TokenTypeIdentifier.ACCESS_TOKEN:
        raise InvalidRequest("Only access tokens are issued.", parameter="requested_token_type")


def _actor(request: TokenRequest) -> LiveToken | None:
    """Who acts for the subject, by a token of their own; nobody else may act for an actor.

    Raises:
        InvalidRequest: the token is not good, or there is only a type (§2.1).
    """
    if "actor_token" not in request.parameters:
        if "actor_token_type" in request.parameters:
            raise InvalidRequest("There is no actor_token.", parameter="actor_token_type")
        return None
    actor = presented_token(request, "actor_token")
    if "act" in actor.token.claims:
        raise InvalidRequest("An actor acts for itself.", parameter="actor_token")
    return actor


def _grant_of(subject: LiveToken, client: Client) -> Grant:
    """The grant of a user who may use the client, in a session that still lasts where that matters to the client.

    Raises:
        InvalidRequest: there is none.
    """
    grant = subject.grant
    if grant is None or grant.user is None:
        raise InvalidRequest("The subject_token is of no user; ask for one of your own.", parameter="subject_token")
    if not client.admits(grant.user):
        raise InvalidRequest("The user may not use this client.", parameter="subject_token")
    if grant.sid and client.coordinates_with_session and UserSession.objects.live(grant.sid) is None:
        raise InvalidRequest("The user has signed out.", parameter="subject_token")
    return grant


def _check_may_act(subject: AccessTokenClaims, actor: LiveToken | None, client: Client) -> None:
    """§4.4: where the subject token names who may act, it is whoever does: the actor, or else the client.

    Raises:
        InvalidRequest: it is somebody else.
    """
    may_act = subject.claims.get("may_act")
    if may_act is None:
        return
    itself = {"iss": options().issuer, "sub": client.client_id, "client_id": client.client_id}
    acting: Mapping[str, Any] = actor.token.claims if actor is not None else itself
    if not isinstance(may_act, dict) or not may_act or any(acting.get(name) != may_act[name] for name in may_act):
        raise InvalidRequest("The subject_token names somebody else who may act.", parameter="subject_token")


def _act(subject: AccessTokenClaims, actor: LiveToken | None) -> Mapping[str, Any] | None:
    """§4.1: the actor, and within it whoever acted before; impersonation does not hide those.

    Raises:
        InvalidRequest: there are too many, or it is the same token twice.
    """
    before = subject.claims.get("act")
    if actor is None:
        return before
    if actor.token.jti == subject.jti:
        raise InvalidRequest("Nobody acts for themselves.", parameter="actor_token")
    act = {"sub": actor.token.claims["sub"], "client_id": actor.token.client_id}
    chain = {**act, "act": before} if before else act
    if _length(chain) > _LONGEST_CHAIN:
        raise InvalidRequest(f"More than {_LONGEST_CHAIN} actors act for each other.", parameter="actor_token")
    return chain


def _length(chain: Any) -> int:
    return 1 + _length(chain.get("act")) if isinstance(chain, dict) else 0


def _granted(request: TokenRequest, subject: LiveToken, actor: LiveToken | None, user: Any) -> scopes.Resources:
    """What the new token is for.

    Raises:
        InvalidTarget: not for that API.
        InvalidScope: not that scope, or nothing at all.
    """
    targets, asked = _targets(request), request.parameters.words("scope")
    resources = scopes.resolve(request.client, asked or scopes.every_access_scope(request.client), targets)
    limit = _Limit(targets=targets, subject=subject.token, is_own=is_own(subject, request.client))
    within = [name for name, scope in resources.access if limit.allows(name, scope)]
    if set(asked) - set(within):
        raise InvalidScope("A scope is not for the API, or was not granted.", parameter="scope")
    permitted = permitted_resources(resources.narrowed_to(within), user)
    return permitted_resources(_by_policy(request.client, subject, actor, permitted), user)


def _targets(request: TokenRequest) -> tuple[str, ...]:
    """The APIs named by ``resource`` and ``audience``, or the one that the client is registered for.

    Raises:
        InvalidTarget: the client is not registered for one of them (§2.2.2).
        InvalidRequest: there is a choice, and none was made.
    """
    repeated, registered = request.parameters.repeated, request.client.token_exchange_audiences
    named = dict.fromkeys((*repeated.get("resource", ()), *repeated.get("audience", ())))
    if not named and len(registered) != 1:
        raise InvalidRequest("Name the API that the token is to be for.", parameter="audience")
    if not set(named) <= set(registered):
        raise InvalidTarget("The client does not exchange tokens for this API.", parameter="audience")
    return tuple(named or registered)


@dataclass(frozen=True, kw_only=True)
class _Limit:
    """Which scopes may be had for a token.

    For an API that the token is for, those that it has; nothing is widened. For another one, those that the client
    is registered for, unless it is the client's own token: what its user did not allow is no matter of exchanging.
    """

    targets: tuple[str, ...]
    subject: AccessTokenClaims
    is_own: bool

    def allows(self, name: str, scope: ApiScope) -> bool:
        """Whether the scope, asked for as ``name``, may be had."""
        opened = {api.name for api in scope.apis} & set(self.targets)
        if name in self.subject.scopes or not opened:
            return bool(opened)
        return not self.is_own and opened.isdisjoint(self.subject.audience)


def _by_policy(
    client: Client, subject: LiveToken, actor: LiveToken | None, resources: scopes.Resources
) -> scopes.Resources:
    """What the site's policy leaves of it."""
    policy: TokenExchangePolicy | None = conf.load("token_exchange_policy")
    if policy is None or subject.user is None:
        return resources
    exchange = Exchange(
        client=client,
        user=subject.user,
        subject=subject.token,
        actor=actor.token if actor is not None else None,
        audience=resources.audience,
        scopes=resources.scopes,
    )
    return resources.narrowed_to(frozenset(policy(exchange)))
