"""The Dask cluster of a run: one on this machine, or a running one."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import dask
from distributed import Client, LocalCluster

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.pipeline.repository import one_line
from hw2core.pipeline.worker import NAME, Workspace

CONNECTION_TIMEOUT = 20  # seconds
THIS_MACHINE = "127.0.0.1:0"
"""For HTTP servers that Dask always starts; without an address they listen on every network interface."""


@contextmanager
def local_client(slots: int, attempts: int, dashboard: bool = False) -> Iterator[Client]:
    """A cluster on this machine, with one worker for each stage that runs at a time.

    The workers are threads of this process: their stages have processes of their own, which fork servers fork.
    """
    with (
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": attempts - 1,
                "distributed.dashboard.link": "http://127.0.0.1:{port}/status",
                # By default every 10 and 20 ms, for threads that wait for minutes.
                "distributed.worker.profile.enabled": dashboard,
                "distributed.admin.tick.interval": "1s",
            }
        ),
        LocalCluster(
            n_workers=slots,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,
            scheduler_kwargs={"dashboard": dashboard, "dashboard_address": THIS_MACHINE},
            worker_dashboard_address=THIS_MACHINE,
            silence_logs="ERROR",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def connected_client(address: str) -> Iterator[Client]:
    """A cluster that runs already, once it has a worker."""
    try:
        client = Client(address, timeout=CONNECTION_TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"--cluster {address}: no Dask scheduler answers there ({error})") from None
    with client:
        if not client.nthreads():
            print(f"Waiting for a worker of {address}.", flush=True)
            client.wait_for_workers(1)
        yield client


def show_dashboard(client: Client) -> None:
    """Print where Dask shows what its workers do."""
    if find_spec("bokeh") is None:
        raise UserError("--dashboard needs the package bokeh: pip install bokeh")
    print(f"Dask's dashboard: {client.dashboard_link}", flush=True)


def workers_see(client: Client, root: Path) -> bool:
    """Whether all workers see this folder, at the same path."""
    mark = root / "runs" / "shared" / client.id
    write_whole(mark, b"")
    try:
        return all(client.run(mark.exists).values())
    finally:
        mark.unlink()


@contextmanager
def registered(client: Client, workspace: Workspace) -> Iterator[None]:
    """Have the workers, also those that join later, run stages in this workspace; at the end, end their stages."""
    try:
        client.register_plugin(workspace, NAME)
    except Exception as error:  # whatever a worker raises
        raise UserError(f"a worker of the cluster cannot run stages: {one_line(error)}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError, TimeoutError):  # the cluster is gone
            client.unregister_worker_plugin(NAME)
