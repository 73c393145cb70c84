"""Reading a form of the admin as a browser does."""

from html.parser import HTMLParser
from typing import Any


class Form(HTMLParser):
    """What the last form of a page would post: its inputs, texts and selections."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.names: set[str] = set()  # of what people can fill in or press
        self._textarea = self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        name = at.get("name", "")
        if name and tag in {"input", "textarea", "select"} and at.get("type") != "hidden":
            self.names.add(name)
        match tag:
            case "input" if name and at.get("type") not in {"submit", "button"}:
                is_box = at.get("type") in {"checkbox", "radio"}
                if not is_box or "checked" in at:
                    self.fields.setdefault(name, []).append(at.get("value", "on" if is_box else ""))
            case "textarea" if name:
                self._textarea = name
                self.fields[name] = [""]
            case "select":
                self._select = name
            case "option" if self._select and "selected" in at:
                self.fields.setdefault(self._select, []).append(at.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._textarea:
            text = self.fields[self._textarea][0] + data
            self.fields[self._textarea] = [text.removeprefix("\n").removeprefix("\r\n")]

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "textarea":
                self._textarea = ""
            case "select":
                self._select = ""


def posted(response: Any, **changes: Any) -> dict[str, Any]:
    """What the page would post after a person's changes; ``None`` empties a box."""
    fields: dict[str, Any] = {**Form(response.content.decode()).fields, **changes}
    fields.pop("csrfmiddlewaretoken", None)
    return {name: value for name, value in fields.items() if value is not None}
