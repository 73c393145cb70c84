from collections.abc import Collection

from identityserver.errors import InvalidRequest
from identityserver.grant_types.token_exchange import Exchange


def judge_exchange(exchange: Exchange) -> Collection[str]:
    if exchange.user.is_staff and exchange.actor is None:
        raise InvalidRequest("For members of staff only with an actor token.")
    return [scope for scope in exchange.scopes if not scope.endswith(".write")]
