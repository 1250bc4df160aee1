"""What the user's own commands share."""

from hw2core.engine.device import Device, choose_device
from hw2core.settings import Params
from hw2core.workers import usable_cores


def every_core(params: Params) -> Device:
    """The device with all CPU cores: a user's command, unlike a stage, has the machine to itself."""
    return choose_device(params.engine.model_copy(update={"threads": usable_cores()}))
