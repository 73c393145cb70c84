"""The home page of the example site."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static

from identityserver.web.rendering import render_page


def home(request: HttpRequest) -> HttpResponse:
    """What this site is, who is signed in, and where everything is; in the look of the hosted pages."""
    return render_page(request, "example_project/home.html", {"title_parts": ["Home"]})


def favicon(request: HttpRequest) -> HttpResponse:
    """The icon, for browsers that ask for it by its old name."""
    return redirect(static("example_project/logo.svg"))
