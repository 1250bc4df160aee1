"""What the user's own commands have in common."""

from hw2core.engine.device import Device, choose_device
from hw2core.params import Params
from hw2core.workers import usable_cores


def every_core(params: Params) -> Device:
    """A user's command may take the whole machine; a stage has neighbours."""
    return choose_device(params.engine.model_copy(update={"threads": usable_cores()}))
