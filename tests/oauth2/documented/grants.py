from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core import signing
from django.utils import timezone

from identityserver.errors import InvalidGrant
from identityserver.grant_types import Authorization, TokenRequest, granted_to_user, requested_resources
from identityserver.models import UsedIdentifier

VOUCHER = "https://example.com/grants/voucher"
GOOD_FOR = timedelta(days=30)


class VoucherGrant:
    """A voucher that was printed for a user: signed, and good for one use."""

    def authorize(self, request: TokenRequest) -> Authorization:
        resources = requested_resources(request)
        voucher = request.parameters["voucher"]
        try:
            username, number = signing.loads(voucher, salt=VOUCHER, max_age=GOOD_FOR)
        except signing.BadSignature as error:
            raise InvalidGrant("The voucher is none of ours, or too old.", parameter="voucher") from error
        user = get_user_model().objects.filter(username=username, is_active=True).first()
        if user is None:
            raise InvalidGrant("The voucher is good for nobody.", parameter="voucher")
        if not UsedIdentifier.objects.accept("voucher", VOUCHER, number, timezone.now() + GOOD_FOR):
            raise InvalidGrant("The voucher was used.", parameter="voucher")
        return granted_to_user(request, user, resources, grant_type=VOUCHER)
