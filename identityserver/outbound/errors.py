"""Why nothing was fetched. The texts say where a request went: they are for staff, never for a client."""


class OutboundError(Exception):
    """There is no answer that may be used."""


class UrlRefused(OutboundError):
    """The URL is malformed, or its scheme or port is not allowed."""


class AddressRefused(OutboundError):
    """The host has an address that is not public, and is not a host that may be private."""


class TimedOut(OutboundError):
    """The answer was not complete in time."""


class Unreachable(OutboundError):
    """The name is unknown, no address answers, or the certificate is not good for the name."""


class ResponseRefused(OutboundError):
    """The answer is too large, encoded, or not HTTP."""


class DocumentUnavailable(OutboundError):
    """There is no document, and none recent enough to stand in for it."""
