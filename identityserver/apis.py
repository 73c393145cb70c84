"""Finding APIs that ask about tokens: fully loaded, cached in process and shared between requests (RFC 7662 §2.1)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from identityserver.caching import ConfigurationCache
from identityserver.models import ApiResource, ApiScope, ApiSecret

#: APIs kept in memory by one worker.
_CAPACITY = 200

_apis: ConfigurationCache[str, "Api"] = ConfigurationCache(_CAPACITY)


@dataclass(frozen=True)
class Api:
    """An enabled API with what it may be told about tokens.

    Attributes:
        scopes: its enabled scopes by name; those that take a parameter, too.
        secrets: by which it authenticates; whether one has expired is asked at the time of use.
    """

    row: ApiResource
    scopes: Mapping[str, ApiScope]
    secrets: tuple[ApiSecret, ...]

    @property
    def name(self) -> str:
        """Its name, which is the audience of tokens for it."""
        return self.row.name

    def own_scopes(self, names: Iterable[str]) -> dict[str, ApiScope]:
        """Its scopes among ``names``, which may be ``name:value``."""
        found = ((name, self._scope(name)) for name in names)
        return {name: scope for name, scope in found if scope is not None}

    def _scope(self, name: str) -> ApiScope | None:
        scope = self.scopes.get(name)
        if scope is not None and not scope.parameterised:
            return scope
        prefix, _, value = name.partition(":")
        scope = self.scopes.get(prefix)
        return scope if scope is not None and scope.parameterised and value else None


def remembered_api(name: str) -> Api | None:
    """The API where it is in memory; whether there is one at all takes a query."""
    return _apis.get(name)


def find_api(name: str) -> Api | None:
    """The enabled API, read anew and kept in memory; ``None`` where there is none."""
    return _apis.load(name, lambda: _read(name))


def current_secrets(name: str) -> list[ApiSecret]:
    """The secrets of the enabled API, from the database: one query, whether there is such an API or not."""
    return list(ApiSecret.objects.filter(api__name=name, api__enabled=True))


def _read(name: str) -> Api | None:
    row = ApiResource.objects.filter(name=name, enabled=True).prefetch_related("api_scopes", "secrets").first()
    if row is None:
        return None
    scopes = {scope.name: scope for scope in row.api_scopes.all() if scope.enabled}
    return Api(row, scopes, tuple(row.secrets.all()))
