from typing import ClassVar

from django.conf import settings
from django.db import models


class Note(models.Model):
    """A line that a person wrote."""

    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager["Note"]] = models.Manager()

    class Meta:
        ordering = ["created", "pk"]

    def __str__(self) -> str:
        return self.text
