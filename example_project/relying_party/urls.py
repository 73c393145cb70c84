from django.urls import path

from example_project.relying_party import device, views

urlpatterns = [
    path("", views.home, name="home"),
    path("sign-in", views.sign_in, name="sign_in"),
    path("callback", views.callback, name="callback"),
    path("device", device.device, name="device"),
    path("device/start", device.start, name="device_start"),
    path("device/status", device.status, name="device_status"),
    path("refresh", views.refresh, name="refresh"),
    path("userinfo", views.userinfo, name="userinfo"),
    path("notes", views.notes, name="notes"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("signed-out", views.signed_out, name="signed_out"),
]
