"""The URLs of the hosted pages."""

from identityserver.pages import consent, device, device_confirm, login, logout

urlpatterns = [
    login.url,
    consent.url,
    logout.logout_url,
    logout.signed_out_url,
    device.url,
    device_confirm.confirm_url,
    device_confirm.done_url,
]
