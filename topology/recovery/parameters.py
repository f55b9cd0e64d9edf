"""What all recovery schemes' parameters have in common: description, unit, source and profiles."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fabricscope.errors import FabricError

__all__ = ["PROFILES", "Parameters", "Setting", "build_parameters", "setting"]

PROFILES: Final = {
    "asic": "published figures of switches that forward in hardware",
    "frr": "measured on a real emulated fabric of Linux and FRR on two cores",
}


class Parameters(BaseModel):
    """Base of all schemes' parameters: an unknown one is an error, and nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


P = TypeVar("P", bound=Parameters)


class Setting(NamedTuple):
    """A profile's own value of a parameter, and where it comes from."""

    value: object
    source: str


def setting(default: object, description: str, unit: str, source: str, **limits: Any) -> Any:
    """Return the field of a parameter; the default and its source belong to the profile asic."""
    return Field(
        default, description=description, json_schema_extra={"unit": unit, "source": source},
        **limits,
    )  # fmt: skip


def build_parameters(
    owner: str, model: type[P], profile: Mapping[str, Setting], given: Mapping[str, object]
) -> P:
    """Return the parameters of `owner`: defaults, changed by the profile, changed by the user.

    owner: in words, such as `recovery bgp`. Raises FabricError that names owner and parameter.
    """
    values = {name: entry.value for name, entry in profile.items()}
    try:
        return model.model_validate({**values, **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields)) or "none"
            raise FabricError(f"{owner} has no parameter {key!r}; it has {known}") from None
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise FabricError(f"{owner}, parameter {key}: {reason[:1].lower()}{reason[1:]}") from None
