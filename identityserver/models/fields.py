"""Fields that the models share."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.deconstruct import deconstructible
from django.utils.translation import gettext_lazy as _

#: Longest entry of a list; what is compared with a parameter is never longer than its limit.
ENTRY_LENGTH = 2000


def now() -> datetime:
    """The default of moments. Not ``timezone.now`` itself, which fields would keep as it was, past a frozen clock."""
    return timezone.now()


class LinesField(forms.CharField):
    """A list edited one entry per line."""

    widget = forms.Textarea

    def prepare_value(self, value: Any) -> Any:
        """The list as lines."""
        return "\n".join(map(str, value)) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        """The lines as a list; blank lines do not count."""
        lines = value if isinstance(value, (list, tuple)) else (value or "").splitlines()
        return [line.strip() for line in lines if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the lists, not their text."""
        return bool(self.to_python(initial) != self.to_python(data))


class StringListField(models.JSONField):
    """A JSON array of strings, each at most once, validated on save."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", list)
        kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Leave the defaults out of migrations."""
        name, path, args, kwargs = super().deconstruct()
        if kwargs.get("default") is list:
            del kwargs["default"]
        kwargs.pop("blank", None)
        return name, path, args, kwargs

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        """Refuse anything but distinct, clean strings."""
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ValidationError(_("Enter a list of texts."), code="invalid")
        for entry in value:
            _check_entry(entry)
        if len(set(value)) != len(value):
            raise ValidationError(_("An entry is there twice."), code="duplicate")
        super().validate(value, model_instance)

    def formfield(self, **kwargs: Any) -> Any:
        """One entry per line."""
        kwargs = {"form_class": LinesField, **kwargs}
        return models.Field.formfield(self, **kwargs)


@deconstructible
class Each:
    """A validator of lists from a function that says what is wrong with one entry."""

    def __init__(self, judge: Callable[[str], str]) -> None:
        self.judge = judge

    def __call__(self, entries: list[str]) -> None:
        problems = [f"{entry}: {problem}" for entry in entries if (problem := self.judge(entry))]
        if problems:
            raise ValidationError(problems)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Each) and other.judge is self.judge

    def __hash__(self) -> int:
        return hash(self.judge)


def is_storable(value: Any, depth: int) -> bool:
    """Whether every database can store a JSON value, and every reader walk it.

    That is: no NUL, no lone surrogate, no infinity, and no more than ``depth`` levels of nesting.
    """
    match value:
        case dict() | list() if not depth:
            return False
        case dict():
            return all(_is_text(name) and is_storable(member, depth - 1) for name, member in value.items())
        case list():
            return all(is_storable(member, depth - 1) for member in value)
        case str():
            return _is_text(value)
        case float():
            return math.isfinite(value)
    return True


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _check_entry(entry: str) -> None:
    if not entry or len(entry) > ENTRY_LENGTH or not entry.isprintable():
        raise ValidationError(
            _("An entry is empty, longer than %(length)d characters or has a control character."),
            code="invalid",
            params={"length": ENTRY_LENGTH},
        )
