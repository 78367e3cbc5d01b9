"""Jobs of any kind, as executors run them."""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from imparfait.core.compute import ComputeConfig

if TYPE_CHECKING:  # imports torch, which predictions of a model file do without
    from imparfait.selection.jobs import Provenance


@runtime_checkable
class AnyJob(Protocol):
    """A frozen value which, with data that all jobs share, decides its result."""

    @property
    def compute(self) -> ComputeConfig:
        """Device, threads and precision."""

    @property
    def key(self) -> str:
        """sha256 of all that decides the result."""

    def run(self, data: Any) -> Any:
        """The result: a pure function of the job and of `data`."""

    def failed(self, cause: str) -> Any:
        """The result of a job that no worker could run; not a permanent one."""


@runtime_checkable
class KeptJob(AnyJob, Protocol):
    """A job on images, whose result is kept once it is finished."""

    @property
    def data(self) -> str:
        """sha256 of the images."""

    @property
    def groups(self) -> str:
        """sha256 of their groups; empty without groups."""

    @property
    def provenance(self) -> "Provenance":
        """Where a result of this process is computed."""

    def read(self, content: bytes) -> Any:
        """The result that its `to_bytes` wrote."""
