"""The DAG: what lies downstream of stale stages, and DVC's messages in one line."""

from hw2core.pipeline.dag import one_line, with_downstream


def test_stages_downstream_of_a_stale_one_follow_in_the_order_of_dvc_yaml() -> None:
    upstream = {
        "report": {"evaluate"},
        "data": set(),
        "train": {"data"},
        "evaluate": {"train"},
        "other": set(),
    }
    assert with_downstream({"train"}, upstream) == ["report", "train", "evaluate"]
    assert with_downstream(set(), upstream) == []


def test_messages_of_dvc_lose_their_excerpts_of_files() -> None:
    message = "ERROR: 'dvc.yaml' is invalid.\n\nexpected ']', in line 3\n  2 stages:\n  3   a: [\n"
    assert one_line(message) == "'dvc.yaml' is invalid. expected ']', in line 3"
