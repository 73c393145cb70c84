"""Hot statements, compiled once from their querysets; after that only their text is run.

Building and compiling a query costs the ORM more than the database needs to answer it. The querysets stay the
one source of truth: what is run is what Django makes of them. Signals are not sent, as with ``bulk_create``.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from django.db import connections, models, router
from django.db.models.base import ModelState
from django.db.models.constants import OnConflict
from django.db.models.expressions import Expression
from django.db.models.sql import InsertQuery, UpdateQuery

#: Our models have neither a constructor of their own nor listeners to their making.
_OURS = "identityserver"

#: Where a connection keeps what was compiled for it: converters refer to it, so it must not outlive it.
_KEPT_ON = "identityserver_prepared"


class Parameter(Expression):
    """A value that is given, by this name, when the statement runs."""

    def __init__(self, name: str) -> None:
        super().__init__(output_field=models.Field())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """A placeholder, with itself where the value will stand."""
        return "%s", [self]


class _Statement:
    """One text for each connection, made on first use."""

    def __init__(self, model: type[models.Model]) -> None:
        self._model = model

    def _execute(self, values: Any) -> tuple[Any, Any]:
        """The cursor after the statement has run, and what was compiled for its connection."""
        connection = connections[router.db_for_write(self._model)]
        kept = vars(connection).setdefault(_KEPT_ON, {})
        compiled = kept.get(self)
        if compiled is None:
            compiled = kept[self] = self._compile(connection)
        cursor = connection.cursor()
        cursor.execute(compiled.sql, compiled.bind(values))
        return cursor, compiled

    def _compile(self, connection: Any) -> "_Compiled":
        raise NotImplementedError


@dataclass(frozen=True)
class _Compiled:
    """A statement as one connection wants it.

    Attributes:
        bind: what was given to run it, as the parameters of ``sql``.
        converters: from the columns of a row to Python, by place.
    """

    connection: Any
    sql: str
    bind: Callable[[Any], list[Any]]
    converters: Sequence[tuple[int, Any, Any]] = ()


class Update(_Statement):
    """``queryset.update(**changes)``, where parameters may stand in both."""

    def __init__(self, queryset: "models.QuerySet[Any]", **changes: Any) -> None:
        super().__init__(queryset.model)
        self._queryset, self._changes = queryset, changes

    def run(self, **values: Any) -> int:
        """How many rows were changed."""
        cursor, _ = self._execute(values)
        with cursor:
            return int(cursor.rowcount)

    def _compile(self, connection: Any) -> _Compiled:
        query: Any = self._queryset.order_by().query.chain(UpdateQuery)
        query.add_update_values(self._changes)
        sql, parameters = query.get_compiler(connection=connection).as_sql()
        return _Compiled(connection, sql, partial(_bound, parameters, connection))


class Insert(_Statement):
    """``bulk_create`` of one instance."""

    def __init__(self, model: type[models.Model], *, ignore_conflicts: bool = False) -> None:
        super().__init__(model)
        self._fields = [field for field in model._meta.local_concrete_fields if not isinstance(field, models.AutoField)]
        self._on_conflict = OnConflict.IGNORE if ignore_conflicts else None

    def run(self, instance: models.Model) -> None:
        """Store it; a primary key that the database makes is not read back."""
        cursor, _ = self._execute(instance)
        cursor.close()

    def _compile(self, connection: Any) -> _Compiled:
        query = InsertQuery(self._model, on_conflict=self._on_conflict)
        query.insert_values(self._fields, [self._model()], raw=True)
        ((sql, _),) = query.get_compiler(connection=connection).as_sql()
        return _Compiled(connection, sql, partial(_saved, self._fields, connection))


class Select(_Statement):
    """The first row of a queryset with its relations: ``select_related`` without its cost.

    Args:
        relations: paths of foreign keys, each after those that it goes through.
        defer: by path (``""`` for the row itself), columns that are not read; as with ``queryset.defer()``.
    """

    def __init__(
        self,
        queryset: "models.QuerySet[Any]",
        *relations: str,
        defer: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        super().__init__(queryset.model)
        self._queryset = queryset
        paths = ("", *relations)
        self._parts = [_Part(path, _related(queryset.model, path), defer.get(path, ())) for path in paths]
        self._annotations = list(queryset.query.annotations)

    def first(self, **values: Any) -> Any:
        """The row as model instances with annotations, or ``None``."""
        cursor, compiled = self._execute(values)
        with cursor:
            found = cursor.fetchone()
        if found is None:
            return None
        return self._assembled(_converted(found, compiled), compiled.connection.alias)

    def _assembled(self, row: list[Any], alias: str) -> Any:
        instances: dict[str, Any] = {}
        start = 0
        for part in self._parts:
            end = start + len(part.names)
            is_there = row[start + part.key] is not None  # else an outer join found nothing
            instance = part.read(alias, row[start:end]) if is_there else None
            if part.path and instances[part.holder] is not None:
                instances[part.holder]._state.fields_cache[part.name] = instance
            instances[part.path], start = instance, end
        for name, value in zip(self._annotations, row[start:], strict=True):
            setattr(instances[""], name, value)
        return instances[""]

    def _compile(self, connection: Any) -> _Compiled:
        columns = [f"{part.path}__{name}" if part.path else name for part in self._parts for name in part.names]
        return _compiled_query(self._queryset.values_list(*columns, *self._annotations)[:1].query, connection)


class Values(_Statement):
    """The first row of ``queryset.values_list(*names)``: for whom a few columns of a wide table are enough."""

    def __init__(self, queryset: "models.QuerySet[Any]", *names: str) -> None:
        self._model = queryset.model
        self._queryset = queryset.values_list(*names)[:1]

    def first(self, **values: Any) -> Any:
        """The columns, or ``None``."""
        cursor, compiled = self._execute(values)
        with cursor:
            found = cursor.fetchone()
        return found and tuple(_converted(found, compiled))

    def _compile(self, connection: Any) -> _Compiled:
        return _compiled_query(self._queryset.query, connection)


class _Part:
    """The columns of a row that make one instance; ``path`` is its relation from the first one."""

    def __init__(self, path: str, model: type[models.Model], deferred: Collection[str]) -> None:
        self.path = path
        self.holder, _, self.name = path.rpartition("__")
        fields = [field for field in model._meta.concrete_fields if field.attname not in deferred]
        self.names = [field.attname for field in fields]
        self.key = next(place for place, field in enumerate(fields) if field.primary_key)
        self._model = model
        self._is_ours = model._meta.app_label == _OURS

    def read(self, alias: str, values: Sequence[Any]) -> models.Model:
        """The instance that ``Model.from_db`` makes; of our own models without going through each field."""
        if not self._is_ours:
            return self._model.from_db(alias, self.names, values)
        instance = self._model.__new__(self._model)
        state = ModelState()
        state.adding, state.db = False, alias
        vars(instance).update(zip(self.names, values, strict=True), _state=state)
        return instance


def _related(model: Any, path: str) -> type[models.Model]:
    for name in path.split("__") if path else ():
        model = model._meta.get_field(name).related_model
    return model  # type: ignore[no-any-return]  # of a foreign key, which always has one


def _compiled_query(query: Any, connection: Any) -> _Compiled:
    compiler = query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    converters = compiler.get_converters([column[0] for column in compiler.select])
    flat = [(place, convert, expression) for place, (all_, expression) in converters.items() for convert in all_]
    return _Compiled(connection, sql, partial(_bound, parameters, connection), flat)


def _converted(found: Sequence[Any], compiled: _Compiled) -> list[Any]:
    """The columns of a row as Python knows them."""
    row = list(found)
    for place, convert, expression in compiled.converters:
        row[place] = convert(row[place], expression, compiled.connection)
    return row


def _bound(parameters: Sequence[Any], connection: Any, values: dict[str, Any]) -> list[Any]:
    """The parameters with the given values in their places, each as the database wants it."""
    bound = [values[given.name] if isinstance(given, Parameter) else given for given in parameters]
    for place, value in enumerate(bound):
        if isinstance(value, datetime):
            bound[place] = connection.ops.adapt_datetimefield_value(value)
        elif isinstance(value, uuid.UUID) and not connection.features.has_native_uuid_field:
            bound[place] = value.hex
    return bound


def _saved(fields: "Sequence[models.Field[Any, Any]]", connection: Any, instance: models.Model) -> list[Any]:
    """The columns of an instance, as the database wants them."""
    return [field.get_db_prep_save(getattr(instance, field.attname), connection) for field in fields]
