"""robotctl: the control plane between people and robots whose firmware speaks HTTP."""
