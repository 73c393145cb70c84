"""Form fields of the admin."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _

from identityserver.models.fields import is_storable

if TYPE_CHECKING:  # generic only in the stubs
    _ModelMultipleChoiceField = forms.ModelMultipleChoiceField[Any]
else:
    _ModelMultipleChoiceField = forms.ModelMultipleChoiceField

_LENGTH = 20_000
_DEPTH = 10


class StorableJSONField(forms.JSONField):
    """JSON that every database can store and every reader can walk: no NUL, no lone surrogate, no NaN, not deep."""

    def to_python(self, value: Any) -> Any:
        """The value; nothing typed is an empty object.

        Raises:
            ValidationError: it is no JSON, or more than that.
        """
        if isinstance(value, str) and len(value) > _LENGTH:
            raise ValidationError(_("It is longer than %d characters.") % _LENGTH)
        try:
            read = super().to_python(value)
        except (ValueError, RecursionError) as error:  # a number of 5000 digits, or brackets without end
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": ""}) from error
        if not is_storable(read, _DEPTH):
            raise ValidationError(_("It is nested too deeply, or holds a character or number that cannot be stored."))
        return {} if read is None else read

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What was typed, as it was typed."""
        return data if data is None else InvalidJSONInput(data)


class OptionalJSONField(StorableJSONField):
    """The same, where nothing typed is nothing."""

    def to_python(self, value: Any) -> Any:
        """The value, or ``None``.

        Raises:
            ValidationError: as above.
        """
        return super().to_python(value) or None

    def prepare_value(self, value: Any) -> Any:
        """What stands in the box: nothing for ``None``."""
        return "" if value is None else super().prepare_value(value)


class PickOne(AutocompleteSelect):
    """Search for one row. What cannot be a key is refused by the field, and must not break the page that says so."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        """The rows chosen, without what no row can be."""
        return super().optgroups(name, _keys(self.field, value), attr)


class PickSeveral(AutocompleteSelectMultiple):
    """Search for several rows."""

    def optgroups(self, name: str, value: Sequence[str], attr: Any = None) -> Any:
        """The rows chosen, without what no row can be."""
        return super().optgroups(name, _keys(self.field, value), attr)


class SeveralField(_ModelMultipleChoiceField):
    """Several rows by key; one beyond the database's numbers is refused before it is asked for."""

    def clean(self, value: Any) -> Any:
        """The rows.

        Raises:
            ValidationError: a key is none.
        """
        rows = cast("models.QuerySet[Any]", self.queryset)
        for key in value or ():
            if not _is_key(rows.model, key):
                message = self.error_messages["invalid_pk_value"]
                raise ValidationError(message, code="invalid_pk_value", params={"pk": str(key)[:100]})
        return super().clean(value)


def _keys(field: Any, values: Sequence[str]) -> list[str]:
    return [value for value in values if _is_key(field.remote_field.model, value)]


def _is_key(model: type[models.Model], value: Any) -> bool:
    """Whether a primary key can have the value, which a row need not have."""
    try:
        model._meta.pk.clean(value, None)
    except ValidationError:
        return False
    return True
