"""Limits on concurrent requests and on the memory of their bodies."""

from collections import Counter

from imparfait.serving.errors import ApiError

NO_SLOT = ApiError(503, "all request slots are in use; try again in a second")
NO_MEMORY = ApiError(503, "request bodies fill the memory limit; try again in a second")


class ConcurrencyLimiter:
    """Counts the requests in progress and the bytes of their bodies."""

    def __init__(self, max_requests: int, max_bytes: int, max_per_client: int):
        self.max_requests, self.max_bytes, self.max_per_client = max_requests, max_bytes, max_per_client
        self.active = 0
        self.bytes = 0
        self.closing = False
        """Whether each connection is closed after its next response."""
        self.active_by_address: Counter[str] = Counter()
        self.connections_by_address: Counter[str] = Counter()
        """Open connections, of addresses whose connections are limited."""
        self._too_many = ApiError(429, f"{max_per_client} requests of this address are in progress; wait for one")

    def rejection(self, address: str) -> ApiError | None:
        """Why a new request of this address is rejected; None if a slot is free."""
        if self.max_per_client and self.active_by_address[address] >= self.max_per_client:
            return self._too_many
        return NO_SLOT if self.active >= self.max_requests else None

    def forget_connection(self, address: str) -> None:
        """Count a connection of this address no more."""
        self.connections_by_address[address] -= 1
        if not self.connections_by_address[address]:
            del self.connections_by_address[address]


class RequestSlot:
    """One request: it occupies a slot from its last byte until its response is complete."""

    __slots__ = ("_acquired", "_address", "_bytes", "_limiter", "_released", "ended", "error")

    def __init__(self, limiter: ConcurrencyLimiter, address: str):
        self._limiter, self._address = limiter, address
        self._bytes = 0
        self._acquired = self._released = False
        self.error: ApiError | None = None
        """Why the request failed while its body arrived."""
        self.ended = False
        """Whether the client has ended its side of the connection; it may still wait for the response."""

    def add_bytes(self, size: int) -> None:
        """Count more bytes of the body; sets `error` above the memory limit."""
        if self._released:
            return
        self._bytes += size
        self._limiter.bytes += size
        if self._limiter.bytes > self._limiter.max_bytes:
            self.error = self.error or NO_MEMORY

    def acquire(self) -> None:
        """Occupy a slot for the complete request; sets `error` if there is none."""
        if self._released or self._acquired or self.error:
            return
        self.error = self._limiter.rejection(self._address)
        if not self.error:
            self._acquired = True
            self._limiter.active += 1
            self._limiter.active_by_address[self._address] += 1

    def release(self) -> None:
        """Free the slot and its bytes, after the response or a lost connection."""
        if self._released:
            return
        self._released = True
        self._limiter.bytes -= self._bytes
        if self._acquired:
            self._limiter.active -= 1
            self._limiter.active_by_address[self._address] -= 1
            if not self._limiter.active_by_address[self._address]:
                del self._limiter.active_by_address[self._address]
