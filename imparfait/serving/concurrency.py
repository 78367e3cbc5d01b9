"""How many requests are inside at once, and how many bytes of them."""

from collections import Counter

from imparfait.serving.errors import RefusedError

FULL = RefusedError(503, "as many images as may be are being answered; try again in a second")
HEAVY = RefusedError(503, "the images that are being sent take all the memory there is; try again in a second")


class ConcurrencyLimiter:
    """The places there are, for images to be answered."""

    def __init__(self, most: int, most_bytes: int, each_client: int):
        self.most, self.most_bytes, self.each_client = most, most_bytes, each_client
        self.inside = 0
        self.bytes = 0
        self.closing = False
        """Whether each answer is to be its connection's last."""
        self.of_address: Counter[str] = Counter()
        self._too_many = RefusedError(429, f"{each_client} requests of this address are being answered; wait for one")

    def refusal(self, address: str) -> RefusedError | None:
        """Why no more is let in; None where there is a place."""
        if self.each_client and self.of_address[address] >= self.each_client:
            return self._too_many
        return FULL if self.inside >= self.most else None


class RequestSlot:
    """A request: it takes a place when all of it has come, and leaves it when it has been answered."""

    __slots__ = ("_address", "_bytes", "_inside", "_left", "_places", "refused")

    def __init__(self, places: ConcurrencyLimiter, address: str):
        self._places, self._address = places, address
        self._bytes = 0
        self._inside = self._left = False
        self.refused: RefusedError | None = None
        """Why it is not to be answered, where that turned out while it came."""

    def grow(self, size: int) -> None:
        """More of its body has come."""
        if self._left:
            return
        self._bytes += size
        self._places.bytes += size
        if self._places.bytes > self._places.most_bytes:
            self.refused = self.refused or HEAVY

    def enter(self) -> None:
        """It has come whole."""
        if self._left or self._inside or self.refused:
            return
        self.refused = self._places.refusal(self._address)
        if not self.refused:
            self._inside = True
            self._places.inside += 1
            self._places.of_address[self._address] += 1

    def leave(self) -> None:
        """It has been answered, or never will be."""
        if self._left:
            return
        self._left = True
        self._places.bytes -= self._bytes
        if self._inside:
            self._places.inside -= 1
            self._places.of_address[self._address] -= 1
            if not self._places.of_address[self._address]:
                del self._places.of_address[self._address]
