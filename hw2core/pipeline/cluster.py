"""The Dask cluster of a run: one on this machine, or a running one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
from distributed import Client, LocalCluster

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.pipeline.worker import end_stages

CONNECTION_TIMEOUT = 20  # seconds
THIS_MACHINE = "127.0.0.1:0"
"""For HTTP servers that Dask always starts; without an address they listen on every network interface."""


@contextmanager
def local_client(slots: int, attempts: int) -> Iterator[Client]:
    """A cluster on this machine, with one worker for each stage that runs at a time.

    The workers are threads of this process: their stages have processes of their own, which fork servers fork.
    """
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": attempts - 1}),
        LocalCluster(
            n_workers=slots,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,
            scheduler_kwargs={"dashboard": False, "dashboard_address": THIS_MACHINE},
            worker_dashboard_address=THIS_MACHINE,
            silence_logs="ERROR",
        ) as cluster,
        Client(cluster) as client,
    ):
        try:
            yield client
        finally:
            client.run(end_stages)


@contextmanager
def connected_client(address: str, root: Path) -> Iterator[Client]:
    """A cluster that runs already, whose workers see the workspace `root` at the same path."""
    try:
        client = Client(address, timeout=CONNECTION_TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"--cluster {address}: no Dask scheduler answers there ({error})") from None
    with client:
        mark = root / "runs" / "shared" / client.id
        write_whole(mark, b"")
        try:
            blind = [worker for worker, sees in client.run(mark.exists).items() if not sees]
        finally:
            mark.unlink()
        if blind:
            raise UserError(
                f"--cluster {address}: the worker {blind[0]} does not see {root}, which must be on a shared disk"
            )
        if not client.nthreads():
            print(f"Waiting for a worker of {address}.", flush=True)
        try:
            yield client
        finally:
            client.run(end_stages)
