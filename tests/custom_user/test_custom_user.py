"""The run for a site with its own user model is what it says; its other tests are those of every site."""

import uuid


def test_a_user_of_this_site_has_a_uuid(db, django_user_model):
    assert isinstance(django_user_model.objects.create_user("alice").pk, uuid.UUID)
