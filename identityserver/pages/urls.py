"""The URLs of the hosted pages."""

from identityserver.pages import consent, login, logout

urlpatterns = [login.url, consent.url, logout.logout_url, logout.signed_out_url]
