"""params.yaml as typed, validated models."""

from hw2core.settings.models import Params as Params
from hw2core.settings.validation import load_params as load_params
