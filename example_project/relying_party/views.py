"""The pages: sign in, look at what came, call the API, refresh, sign out."""

import functools
from collections.abc import Callable
from typing import Any

import requests
from authlib.integrations.django_client import OAuthError
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from joserfc.errors import JoseError

from example_project.relying_party import tokens
from example_project.relying_party.provider import ISSUER, NOTES_API, SCOPE, provider
from example_project.relying_party.traffic import record_redirect, traffic

View = Callable[[HttpRequest], HttpResponse]
# What a button may ask for. Silently, without what the person must be asked about each time: offline access.
PROMPTS = {"login": {"prompt": "login"}, "none": {"prompt": "none", "scope": SCOPE}}

# OpenID Connect Core §3.1.2.6: what a provider answers when it was to show no page (prompt=none).
NEEDS_A_PAGE = ("login_required", "consent_required", "interaction_required", "account_selection_required")
HEADLINES = {"access_denied": "You did not sign in", "expired_token": "The code has expired"} | dict.fromkeys(
    NEEDS_A_PAGE, "Not without a page"
)
EXPLANATIONS = {
    "access_denied": "The provider says that access was refused. Nothing was passed on to this application.",
    "expired_token": "Nobody allowed this device in time. Begin again for another code.",
    "other": "The provider, or what came back from it, was not what this application expected.",
} | dict.fromkeys(
    NEEDS_A_PAGE, "The provider would have had to ask something, and was told to show no page. Sign in to be asked."
)


def shows_errors(view: View) -> View:
    """Show a person what went wrong with the provider, in place of what the view would have shown."""

    @functools.wraps(view)
    def shown(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        except OAuthError as error:
            return error_page(request, code=error.error, description=error.description, status=400)
        except JoseError as error:
            return error_page(request, code=error.error, description=error.description, status=400)
        except requests.RequestException as error:
            return error_page(request, code="provider_unreachable", description=str(error), status=502)

    return shown


def for_the_signed_in(view: View) -> View:
    """Let only those in who have signed in, and whose access token can be used."""

    @functools.wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        if "token" not in request.session:
            return redirect("home")
        if tokens.has_expired(request.session["token"]) and "refresh_token" in request.session["token"]:
            use_refresh_token(request)
        return view(request)

    return guarded


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Who you are, what the provider sent, and what can be done with it; or how to sign in."""
    context: dict[str, Any] = {"issuer": ISSUER, "traffic": traffic(request)}
    if token := request.session.get("token"):
        context |= {
            "claims": tokens.rows(request.session["claims"]),
            "person": request.session["claims"].get("name") or request.session["userinfo"].get("name"),
            "sub": request.session["claims"]["sub"],
            "userinfo": tokens.rows(request.session["userinfo"]),
            "scope": token.get("scope", ""),
            "access_token": tokens.decoded(token["access_token"]),
            "expires_at": tokens.moment(token.get("expires_at", 0)),
            "has_refresh_token": "refresh_token" in token,
            "api": request.session.get("api"),
        }
    return render(request, "relying_party/home.html", context)


@require_POST
@shows_errors
def sign_in(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider; Authlib keeps state, nonce and the PKCE verifier in the session."""
    response: HttpResponseRedirect = provider.authorize_redirect(
        request,
        request.build_absolute_uri(reverse("callback")),
        **PROMPTS.get(request.POST.get("prompt", ""), {}),
    )
    record_redirect("Authorization request", response.url)
    return response


@require_GET
@shows_errors
def callback(request: HttpRequest) -> HttpResponse:
    """The provider sent the browser back: exchange the code, and let Authlib verify the ID token."""
    record_redirect("Authorization response", request.build_absolute_uri(), arrived=True)
    verify_issuer(request)
    store_tokens(request, provider.authorize_access_token(request))
    messages.success(request, "You are signed in.")
    return redirect("home")


def store_tokens(request: HttpRequest, token: dict[str, Any]) -> None:
    """Begin a session of ours with what the provider sent; ``userinfo`` is what Authlib calls the ID token's claims."""
    request.session.cycle_key()
    request.session["claims"] = token.pop("userinfo")
    request.session["token"] = token
    request.session["userinfo"] = provider.userinfo(token=token)
    request.session.pop("api", None)


def verify_issuer(request: HttpRequest) -> None:
    """RFC 9207 §2.4: an answer of another issuer is not an answer to our request."""
    metadata = provider.load_server_metadata()
    if metadata.get("authorization_response_iss_parameter_supported") and request.GET.get("iss") != metadata["issuer"]:
        raise OAuthError("mismatching_issuer", "The answer came from another issuer than we asked.")


@require_POST
@shows_errors
@for_the_signed_in
def refresh(request: HttpRequest) -> HttpResponse:
    """Get new tokens without the person."""
    use_refresh_token(request)
    messages.success(request, "The provider sent new tokens.")
    return redirect("home")


def use_refresh_token(request: HttpRequest) -> None:
    """Redeem the refresh token. What the answer leaves out stays as it is (RFC 6749 §6)."""
    former = request.session["token"]
    token = provider.fetch_access_token(grant_type="refresh_token", refresh_token=former.get("refresh_token", ""))
    if "id_token" in token:
        request.session["claims"] = verified_refresh(request.session["claims"], token)
    request.session["token"] = former | token


def verified_refresh(former: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
    """The claims of a refreshed ID token, which speak of the same person (OpenID Connect Core §12.2)."""
    claims: dict[str, Any] = provider.parse_id_token(token, nonce=None)
    if any(claims[name] != former[name] for name in ("iss", "sub", "aud")):
        raise OAuthError("invalid_id_token", "The refreshed ID token speaks of somebody else.")
    return claims


@require_POST
@shows_errors
@for_the_signed_in
def userinfo(request: HttpRequest) -> HttpResponse:
    """Ask the provider for the person's claims as they are now."""
    request.session["userinfo"] = provider.userinfo(token=request.session["token"])
    messages.success(request, "The provider sent the claims as they are now.")
    return redirect("home")


@require_POST
@shows_errors
@for_the_signed_in
def notes(request: HttpRequest) -> HttpResponse:
    """Call the protected API with the access token: add the note that was typed, or list all."""
    token, text = request.session["token"], request.POST.get("text", "").strip()
    if text:
        answer = provider.post(NOTES_API, token=token, json={"text": text})
    if not text or answer.ok:
        answer = provider.get(NOTES_API, token=token)
    request.session["api"] = {
        "status": f"{answer.status_code} {answer.reason}",
        "notes": answer.json() if answer.ok else [],
        "problem": "" if answer.ok else answer.headers.get("WWW-Authenticate") or answer.text,
    }
    return redirect(f"{reverse('home')}#notes")


@require_POST
@shows_errors
def sign_out(request: HttpRequest) -> HttpResponse:
    """End our session, and the provider's too unless the person wants to leave only here."""
    id_token = request.session.get("token", {}).get("id_token")
    request.session.flush()
    if request.POST.get("where") == "here" or not id_token:
        messages.success(request, "You are signed out here. The provider still knows you: sign in to see.")
        return redirect("home")
    response: HttpResponseRedirect = provider.logout_redirect(
        request, request.build_absolute_uri(reverse("signed_out")), id_token
    )
    record_redirect("Logout request", response.url)
    return response


@require_GET
@shows_errors
def signed_out(request: HttpRequest) -> HttpResponse:
    """The provider sent the browser back after it signed the person out."""
    if not request.GET:  # a bookmark
        return redirect("home")
    record_redirect("Logout response", request.build_absolute_uri(), arrived=True)
    provider.validate_logout_response(request)
    messages.success(request, "You are signed out, here and at the provider.")
    return redirect("home")


def error_page(request: HttpRequest, *, code: str, description: str | None, status: int) -> HttpResponse:
    """What went wrong, in the provider's words, with the messages that led there."""
    context = {
        "code": code,
        "description": description,
        "headline": HEADLINES.get(code, "Something went wrong"),
        "explanation": EXPLANATIONS.get(code, EXPLANATIONS["other"]),
        "traffic": traffic(request),
    }
    return render(request, "relying_party/error.html", context, status=status)
