"""The way hosted pages are rendered: the site's brand, the person's language, the headers they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from identityserver import uris
from identityserver.conf import options
from identityserver.models import Client
from identityserver.vocabulary import ApplicationType
from identityserver.web.headers import protect


@dataclass(frozen=True, kw_only=True)
class Brand:
    """What the frame of every page says of the site."""

    site_name: str
    host: str
    logo_url: str
    stylesheet_url: str
    privacy_url: str
    terms_url: str
    support_url: str


@dataclass(frozen=True, kw_only=True)
class ClientCard:
    """A client as a page shows it, in the person's language; links are web addresses or empty.

    Attributes:
        host: where the person will be sent, which is what has been verified of it.
        way_back: an address of the client's to go on or start over from; empty where it has none.
    """

    name: str
    logo_uri: str
    host: str
    policy_uri: str
    tos_uri: str
    way_back: str


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
    language: str = "",
    leaves_site: bool = False,
) -> HttpResponse:
    """A hosted page with the site's brand and the browser-surface headers.

    Args:
        template: its name, such as ``identityserver/login.html``.
        context: what the template shows; the site's name is added to ``title_parts``, and the browser may
            load the logo of ``client``.
        language: of the page, as :func:`language_for` gives it; empty means the active one.
        leaves_site: see :func:`identityserver.web.headers.protect`.
    """
    with translation.override(language or translation.get_language()):
        brand = current_brand()
        titles = [*filter(None, context["title_parts"]), brand.site_name]
        content = render_to_string(template, {**context, "brand": brand, "title_parts": titles}, request)
        response = HttpResponse(content, status=status)
        response["Content-Language"] = translation.get_language() or settings.LANGUAGE_CODE
    images = _images(brand, context.get("client"))
    protect(response, images=images, stylesheet=brand.stylesheet_url, leaves_site=leaves_site)
    return response


def current_brand() -> Brand:
    """The brand as the options have it."""
    chosen = options()
    host = uris.host_of(chosen.issuer)
    return Brand(
        site_name=chosen.site_name or host,
        host=host,
        logo_url=chosen.logo_url,
        stylesheet_url=chosen.stylesheet_url,
        privacy_url=chosen.privacy_url,
        terms_url=chosen.terms_url,
        support_url=chosen.support_url,
    )


def language_for(ui_locales: str) -> str:
    """The first of ``ui_locales`` that the site offers, or the active language (OIDC Core §3.1.2.1)."""
    for tag in ui_locales.split():
        try:
            return translation.get_supported_language_variant(tag.lower())
        except LookupError:
            continue
    return translation.get_language() or settings.LANGUAGE_CODE


def client_card(client: Client, redirect_uri: str = "") -> ClientCard:
    """The client as a page shows it in the active language.

    Args:
        redirect_uri: the registered one of this request, which tells where the person will be sent.
    """
    language = translation.get_language() or ""
    redirect_uri = redirect_uri or next(iter(client.redirect_uris), "")
    return ClientCard(
        name=client.text("name", language) or client.client_id,
        logo_uri=_secure(client.text("logo_uri", language)),
        host=_place(redirect_uri),
        policy_uri=_web_address(client.text("policy_uri", language)),
        tos_uri=_web_address(client.text("tos_uri", language)),
        way_back=_web_address(client.text("client_uri", language)) or _start_over(client, redirect_uri),
    )


def _images(brand: Brand, client: ClientCard | None) -> list[str]:
    shown = [brand.logo_url, client.logo_uri if client else ""]
    return [address for address in shown if address]


def _place(uri: str) -> str:
    """Where an address leads, in words for people: a host, this device, or the scheme of an installed app."""
    parts = uris.parse(uri)
    if parts is None:
        return ""
    if parts.scheme not in {"http", "https"}:
        return _("the app %(scheme)s on this device") % {"scheme": parts.scheme}
    host = uris.host_of(uri)
    return _("%(host)s (on this device)") % {"host": host} if uris.is_loopback(parts.hostname) else host


def _start_over(client: Client, redirect_uri: str) -> str:
    """Where the client begins a sign-in (OpenID Connect Core §4), or else the front page of its site."""
    begin = _secure(client.initiate_login_uri)
    if begin:
        return uris.with_query(begin, {"iss": options().issuer})
    parts = uris.parse(_secure(redirect_uri))
    return f"{parts.scheme}://{parts.netloc}/" if parts and client.application_type == ApplicationType.WEB else ""


def _web_address(uri: str) -> str:
    parts = uris.parse(uri)
    return uri if parts and parts.scheme in {"http", "https"} else ""


def _secure(uri: str) -> str:
    return "" if uris.web_uri_problem(uri) else uri
