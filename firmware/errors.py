"""What can go wrong between us and a robot. The exception says whether it may have acted, and so whether to try again."""


class FirmwareError(Exception):
    """Base of all. `code` is for programs, `str()` for people."""

    code = "firmware_error"
    retryable = False  # the same request may be sent again without harm
    may_have_acted = False  # the robot may have received and obeyed it

    def __init__(self, detail: str, *, status: int | None = None, body: bytes = b"") -> None:
        super().__init__(detail)
        self.status = status
        self.body = body[:2048]  # raw, for those who may configure the robot


class Unreachable(FirmwareError):
    """No connection, or it broke before a byte of the request left."""

    code = "unreachable"
    retryable = True


class Forbidden(FirmwareError):
    """The address is not one that a robot may have; nothing was sent."""

    code = "address_refused"


class Busy(FirmwareError):
    """An earlier request is still unanswered and the robot must not be sent more; nothing was sent."""

    code = "busy"
    retryable = True


class NoReply(FirmwareError):
    """Sent, and no whole reply in time. Whether the robot acted is unknown."""

    code = "no_reply"
    may_have_acted = True


class Withdrawn(FirmwareError):
    """Nothing was sent: what allowed it was withdrawn while it waited for its turn."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class BadReply(FirmwareError):
    """Sent and answered, but not in the robot's language: not JSON, too long, cut off, HTML."""

    code = "bad_reply"
    may_have_acted = True


class NotReached(BadReply):
    """A gateway answered for a robot that it did not reach. What the robot got of it is unknown."""

    code = "unreachable"


class Frozen(FirmwareError):
    """It answers, but what must change with every fresh measurement stands still since `since` (epoch s): what it says is old."""

    code = "frozen"

    def __init__(self, detail: str, *, since: float) -> None:
        super().__init__(detail)
        self.since = since


class Rejected(FirmwareError):
    """The robot understood and said no. In doubt, it may obey all the same."""

    code = "rejected"

    def __init__(self, detail: str, *, status: int | None = None, body: bytes = b"", in_doubt: bool = False) -> None:
        super().__init__(detail, status=status, body=body)
        self.may_have_acted = in_doubt


class NotNow(Rejected):
    """The right request at the wrong moment."""

    code = "not_now"


class NotAllowed(Rejected):
    """The token does not suffice."""

    code = "not_allowed"


class NotFound(Rejected):
    """There is no such thing on this robot."""

    code = "not_found"


class BadProfile(Exception):
    """A profile that cannot be used: file, key and reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")
        self.file, self.key, self.reason = file, key, reason
