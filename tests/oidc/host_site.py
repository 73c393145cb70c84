"""A site that installs the app, with sign-in pages of its own: every way in and out that Django offers."""

from collections.abc import Awaitable, Callable

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth import (
    aauthenticate,
    alogin,
    alogout,
    authenticate,
    get_user_model,
    login,
    logout,
    update_session_auth_hash,
)
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.hashers import make_password
from django.contrib.auth.middleware import get_user
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView, PasswordResetConfirmView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from identityserver.web.session import current_session, sign_out_stranger
from identityserver.web.sign_in import sign_in


def public(request: HttpRequest) -> HttpResponse:
    """Looks at nobody."""
    return HttpResponse("hello")


def who(request: HttpRequest) -> HttpResponse:
    """The user of the site, and the user session of the provider."""
    return describe(request)


def protocol_first(request: HttpRequest) -> HttpResponse:
    """As the protocol's views do: the user session is asked for before the user."""
    session = current_session(request)
    return JsonResponse({"sid": session and session.sid, "user": request.user.get_username()})


def log_in(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    if user is None:
        return HttpResponse("no", status=403)
    login(request, user)
    return describe(request)


def log_in_with_methods(request: HttpRequest) -> HttpResponse:
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    sign_in(request, user, acr=request.POST.get("acr", ""), amr=["pwd"])
    return describe(request)


def log_in_and_fail(request: HttpRequest) -> HttpResponse:
    log_in(request)
    raise RuntimeError("after the sign-in")


def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse()


def flush(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse()


def flush_in_a_transaction_that_fails(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        request.session.flush()
        raise RuntimeError("and all is rolled back")


def clear(request: HttpRequest) -> HttpResponse:
    request.session.clear()
    return HttpResponse()


def look_and_clear(request: HttpRequest) -> HttpResponse:
    assert request.user.is_authenticated
    request.session.clear()
    return HttpResponse()


def forget_user(request: HttpRequest) -> HttpResponse:
    del request.session["_auth_user_id"]
    return HttpResponse()


def log_in_and_flush(request: HttpRequest) -> HttpResponse:
    log_in(request)
    request.session.flush()
    return HttpResponse()


def change_password(request: HttpRequest) -> HttpResponse:
    user = request.user
    user.set_password(request.POST["new"])
    user.save()
    if "stay" in request.POST:
        update_session_auth_hash(request, user)
    return HttpResponse()


def change_hash(request: HttpRequest) -> HttpResponse:
    user = request.user
    user.password = make_password(request.POST["new"])
    user.save()
    update_session_auth_hash(request, user)
    return HttpResponse()


def set_password_of(request: HttpRequest) -> HttpResponse:
    user = get_user_model().objects.get(username=request.POST["username"])
    user.set_password(request.POST["new"])
    user.save()
    return HttpResponse()


def cart(request: HttpRequest) -> HttpResponse:
    request.session["cart"] = "full"
    return HttpResponse()


def describe(request: HttpRequest) -> JsonResponse:
    user, session = request.user, current_session(request)
    return JsonResponse(
        {
            "user": user.get_username(),
            "sid": session and session.sid,
            "cart": request.session.get("cart"),
        }
    )


async def apublic(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


async def awho(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": (await request.auser()).get_username()})


async def alog_in(request: HttpRequest) -> HttpResponse:
    user = await aauthenticate(request, username=request.POST["username"], password=request.POST["password"])
    await alogin(request, user)
    return HttpResponse()


async def alog_out(request: HttpRequest) -> HttpResponse:
    await alogout(request)
    return HttpResponse()


async def aflush(request: HttpRequest) -> HttpResponse:
    await request.session.aflush()
    return HttpResponse()


async def aforget_user(request: HttpRequest) -> HttpResponse:
    await request.session.apop("_auth_user_id")
    return HttpResponse()


async def alook_and_clear(request: HttpRequest) -> HttpResponse:
    assert (await request.auser()).is_authenticated
    await request.session.acycle_key()
    request.session.clear()
    return HttpResponse()


async def aclear(request: HttpRequest) -> HttpResponse:
    request.session.clear()
    return HttpResponse()


def send_to_login(request: HttpRequest) -> HttpResponse:
    """As the authorization endpoint does where the site has a login page of its own."""
    sign_out_stranger(request)
    later = (request.user, async_to_sync(request.auser)(), get_user(request))
    return JsonResponse([user.get_username() for user in later], safe=False)


def reading_middleware(get_response: Callable[[HttpRequest], HttpResponse]):
    """Reads the session before anybody else."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.session.get("anything")
        return get_response(request)

    return middleware


VIEWS: tuple[Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]], ...] = (
    public,
    who,
    protocol_first,
    log_in,
    log_in_with_methods,
    log_in_and_fail,
    log_out,
    flush,
    flush_in_a_transaction_that_fails,
    clear,
    look_and_clear,
    forget_user,
    log_in_and_flush,
    change_password,
    change_hash,
    set_password_of,
    cart,
    send_to_login,
    apublic,
    awho,
    alog_in,
    alog_out,
    aflush,
    aclear,
    aforget_user,
    alook_and_clear,
)

if not admin.site.is_registered(get_user_model()):
    admin.site.register(get_user_model(), UserAdmin)

WELCOMING_LOGIN = LoginView.as_view(redirect_authenticated_user=True, template_name="admin/login.html")

urlpatterns = [
    *(path(view.__name__, view) for view in VIEWS),
    path("accounts/login/", LoginView.as_view(next_page="/who"), name="login"),
    path("welcoming_login", WELCOMING_LOGIN, name="welcoming_login"),
    path("accounts/logout/", LogoutView.as_view(next_page="/public")),
    path("accounts/password/", PasswordChangeView.as_view(success_url="/who")),
    path("accounts/reset/<uidb64>/<token>/", PasswordResetConfirmView.as_view(success_url="/public")),
    path("admin/", admin.site.urls),
    path("", include("identityserver.urls")),
]
