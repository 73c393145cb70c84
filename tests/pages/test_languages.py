"""The pages speak English, German, French, Spanish, Japanese and Arabic; nothing is left half translated."""

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation.template import templatize

import identityserver
from identityserver.testing import Browser

PACKAGE = Path(identityserver.__file__).parent
LANGUAGES = ["ar", "de", "es", "fr", "ja"]

#: What people see; the admin's words come with Django's.
SOURCES = [*PACKAGE.glob("pages/*.py"), *PACKAGE.glob("web/*.py"), PACKAGE / "endpoints" / "response_modes.py"]
TEMPLATES = [*PACKAGE.glob("templates/identityserver/**/*.html")]

_CONTEXT_FIRST = {"pgettext", "pgettext_lazy"}
_FUNCTIONS = {"_", "gettext", "gettext_lazy", "ngettext", *_CONTEXT_FIRST}
_CALL = re.compile(r"\bn?p?gettext\((?:u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\"|[^)])*\)")
_ENTRY = re.compile(
    r'^(?:msgctxt "(?P<context>.*)"\n)?msgid "(?P<id>.+)"\n(?:msgid_plural ".*"\n)?msgstr(?:\[0\])? "(?P<text>.*)"$',
    re.MULTILINE,
)


def spoken(source: str) -> set[str]:
    """The texts for translation in Python code, with their context before a 4 (EOT), as catalogues have them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
            texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            found.add("\x04".join(texts[:2]) if node.func.id in _CONTEXT_FIRST else texts[0])
    return found


def everything_spoken() -> set[str]:
    found = set().union(*(spoken(path.read_text()) for path in SOURCES))
    for path in TEMPLATES:
        calls = _CALL.findall(templatize(path.read_text()))
        found |= set().union(*(spoken(call) for call in calls)) if calls else set()
    return found


def catalogue(language: str) -> gettext.GNUTranslations:
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_translated(language):
    """After a change: ``django-admin makemessages`` and ``compilemessages`` in the folder ``identityserver``."""
    known = {key[0] if isinstance(key, tuple) else key for key in catalogue(language)._catalog}
    texts = everything_spoken()
    assert len(texts) > 100
    assert texts - known == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language):
    written = (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po").read_text()
    assert "fuzzy" not in written
    compiled = catalogue(language)._catalog
    for entry in _ENTRY.finditer(written):
        context, message, text = (
            part.replace('\\"', '"') if part else part for part in entry.group("context", "id", "text")
        )
        key = f"{context}\x04{message}" if context else message
        assert text == (compiled.get(key) or compiled.get((key, 0))), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_and_markup_survive(language):
    placeholder = re.compile(r"%\(\w+\)[sd]|<[^>]+>")
    for key, text in catalogue(language)._catalog.items():
        message = (key[0] if isinstance(key, tuple) else key).rpartition("\x04")[2]
        if message:
            assert sorted(placeholder.findall(text)) == sorted(placeholder.findall(message))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ar", "تسجيل الدخول"),
        ("de", "Anmelden"),
        ("es", "Iniciar sesión"),
        ("fr", "Se connecter"),
        ("ja", "サインイン"),
    ],
)
def test_a_person_is_addressed_in_their_language(web_app, language, words):
    page = Browser().authorize(web_app, ui_locales=language)
    assert page.shows(f"<h1>{words}</h1>")
    refused = page.sign_in("nobody", "wrong")
    assert refused.shows(catalogue(language).gettext("There is a problem"))
    assert refused.shows(
        catalogue(language).gettext("This combination is not right. Check both entries and try again.")
    )


@pytest.fixture
def locale_middleware(settings):
    """The site asks the browser, and the thread speaks its own language again afterwards."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    with translation.override(translation.get_language()):
        yield


@pytest.mark.django_db
@pytest.mark.usefixtures("locale_middleware")
def test_the_browser_is_asked_where_the_request_does_not_say(web_app):
    assert Browser().authorize(web_app).shows("<h1>Sign in</h1>")
    german = Browser()
    german.http.defaults["HTTP_ACCEPT_LANGUAGE"] = "de-AT"
    assert german.authorize(web_app).shows("<h1>Anmelden</h1>")
    assert german.authorize(web_app, ui_locales="fr").shows("<h1>Se connecter</h1>")
