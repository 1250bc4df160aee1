"""How many stages a cluster can run at a time, and which."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client


class Capacity:
    """A stage for each thread of the workers, and no more than fit into the memory of this machine, if they are here.

    If there are workers that declare a resource GPU, stages that compute on a device run on those alone, one for each GPU.
    """

    def __init__(
        self, client: "Client", on_device: Collection[str], peaks: Mapping[str, float], memory: float = 0.0
    ) -> None:
        """`peaks` has the bytes that each stage took in its last run, `memory` those of this machine; 0: no limit."""
        self.client, self.on_device, self.peaks, self.memory = client, on_device, peaks, memory
        self.refresh()

    def refresh(self) -> None:
        """Take account of the workers that there are now. Without one, a stage waits for the first."""
        workers: Mapping[str, Any] = self.client.scheduler_info()["workers"]
        self.stages = max(1, sum(worker["nthreads"] for worker in workers.values()))
        self.gpus = sum(worker["resources"].get("GPU", 0) for worker in workers.values())
        self.limits = {address: worker["memory_limit"] for address, worker in workers.items()}

    def fits(self, name: str, running: Collection[str]) -> bool:
        """Whether a stage can start beside those that run."""
        if len(running) >= self.stages:
            return False
        peak = sum(self.peaks.get(each, 0.0) for each in (name, *running))
        if running and self.memory and peak > self.memory:
            return False
        if self.gpus and name in self.on_device:
            return len([each for each in running if each in self.on_device]) < self.gpus
        return True

    def requirements(self, name: str) -> dict[str, Any]:
        """The conditions under which Dask may give a stage to a worker, as arguments of `Client.submit`."""
        if self.gpus and name in self.on_device:
            return {"resources": {"GPU": 1}}
        peak = self.peaks.get(name, 0.0)
        large = [address for address, limit in self.limits.items() if not limit or limit >= peak]
        return {"workers": large} if 0 < len(large) < len(self.limits) else {}
