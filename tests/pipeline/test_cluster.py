"""The cluster of a local run."""

import psutil

from hw2core.pipeline.cluster import local_client


def listening() -> set[tuple[str, int]]:
    connections = psutil.Process().net_connections("tcp")
    return {tuple(each.laddr) for each in connections if each.status == psutil.CONN_LISTEN}


def test_a_local_cluster_listens_to_this_machine_alone() -> None:
    before = listening()
    with local_client(slots=2, attempts=1) as client:
        assert len(client.nthreads()) == 2
        assert {address for address, _ in listening() - before} == {"127.0.0.1"}
