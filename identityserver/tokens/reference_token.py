"""Reference tokens: access tokens that say nothing by themselves; introspection does (RFC 7662)."""

from dataclasses import replace
from datetime import timedelta

from django.utils import timezone

from identityserver import digests
from identityserver.models import ReferenceToken
from identityserver.models.prepared import Insert
from identityserver.tokens.access_token import access_token_claims, authentication_claims, seconds_valid
from identityserver.tokens.authorization import Authorization

_ADD = Insert(ReferenceToken)


def with_reference_token(authorization: Authorization) -> Authorization:
    """The same with an access token that was stored for it, within the transaction of whoever calls."""
    authorization = replace(authorization, resources=authorization.resources.within_audience())
    now, value = timezone.now(), digests.new_handle()
    expires_in = seconds_valid(authorization, now)
    row = ReferenceToken(
        digest=digests.digest(value),
        client_id=authorization.client.pk,
        grant_id=authorization.grant_id,
        claims=access_token_claims(authorization, now, expires_in, authentication_claims(authorization)),
        created=now,
        expires=now + timedelta(seconds=expires_in),
    )
    _ADD.run(row)
    return replace(authorization, access_token=value)
