"""The building blocks of the models of params.yaml: a strict section, and the types of its values."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def refuse_boolean(value: Any) -> Any:
    """YAML reads `steps: yes` as True, which pydantic would accept as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Int = Annotated[int, BeforeValidator(refuse_boolean)]
Float = Annotated[float, BeforeValidator(refuse_boolean)]
Seed = Annotated[Int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]


class Section(BaseModel):
    """A part of params.yaml: no unknown keys, immutable after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
