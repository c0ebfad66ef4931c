"""Where robots' rows name a person, another name is put when their data is deleted."""

from firmware.models import Command, DesiredSetting, RobotState

NAMED = {Command: ("approved_by", "resolved_by"), DesiredSetting: ("by",), RobotState: ("stop_by", "lease_holder")}


def forget(old: str, new: str) -> None:
    """Called in the transaction in which the person is forgotten."""
    for model, fields in NAMED.items():
        for field in fields:
            model._default_manager.filter(**{field: old}).update(**{field: new})
