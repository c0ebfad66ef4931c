"""The state machine of the OHT-50: states, events, time-outs, counters. Pure bookkeeping; knows no clock."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """The states as the firmware spells them."""

    BOOT = "BOOT"
    INIT = "INIT"
    IDLE = "IDLE"
    MOVE = "MOVE"
    DOCK = "DOCK"
    PAUSED = "PAUSED"
    CONFIG = "CONFIG"
    FAULT = "FAULT"
    ESTOP = "ESTOP"
    SAFE = "SAFE"
    SHUTDOWN = "SHUTDOWN"


S = State
EVENTS: dict[str, tuple[frozenset[State], State]] = {
    "BOOT_COMPLETE": (frozenset({S.BOOT}), S.INIT),
    "INIT_COMPLETE": (frozenset({S.INIT}), S.IDLE),
    "MOVE_COMMAND": (frozenset({S.IDLE}), S.MOVE),
    "DOCK_COMMAND": (frozenset({S.IDLE, S.MOVE}), S.DOCK),
    "PAUSE_COMMAND": (frozenset({S.MOVE}), S.PAUSED),
    "RESUME_COMMAND": (frozenset({S.PAUSED}), S.MOVE),
    "CONFIG_COMMAND": (frozenset({S.IDLE}), S.CONFIG),
    "STOP_COMMAND": (frozenset({S.MOVE, S.DOCK, S.PAUSED}), S.IDLE),
    "TARGET_REACHED": (frozenset({S.MOVE, S.DOCK}), S.IDLE),
    "TIMEOUT": (frozenset({S.MOVE, S.PAUSED, S.DOCK, S.CONFIG}), S.IDLE),
    "EMERGENCY_STOP": (frozenset(set(S) - {S.SAFE, S.ESTOP}), S.ESTOP),
    "FAULT_DETECTED": (frozenset(set(S) - {S.FAULT, S.ESTOP, S.SAFE}), S.FAULT),
    "FAULT_CLEARED": (frozenset({S.FAULT}), S.IDLE),
    "RESET": (frozenset({S.ESTOP, S.FAULT}), S.IDLE),
    "SAFE_RESET": (frozenset({S.FAULT, S.ESTOP}), S.SAFE),
    "SHUTDOWN": (frozenset({S.IDLE, S.FAULT, S.ESTOP}), S.SHUTDOWN),
}
TIMEOUT_S = {S.MOVE: 30.0, S.PAUSED: 60.0, S.DOCK: 15.0, S.CONFIG: 10.0}


@dataclass
class Machine:
    """One run of the firmware, from power-up at `entered_s` (monotonic seconds) on."""

    entered_s: float
    boot_s: float = 0.0
    state: State = State.BOOT
    previous: State = State.BOOT
    transitions: int = 0
    last_event: str = "NONE"
    booted_s: float = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    spent_s: dict[State, float] = field(default_factory=lambda: dict.fromkeys(State, 0.0))

    def __post_init__(self) -> None:
        self.booted_s = self.entered_s

    def fire(self, event: str, at_s: float) -> bool:
        """Take the transition of `event` if the present state has one; tell whether it did."""
        sources, target = EVENTS[event]
        if self.state not in sources:
            return False
        self.spent_s[self.state] += at_s - self.entered_s
        self.previous, self.state, self.entered_s = self.state, target, at_s
        self.transitions += 1
        self.last_event = event
        self.counts[event] += 1
        return True

    def expire(self, now_s: float, *, working: bool) -> None:
        """Leave every state whose time is up at `now_s`; a state with running work has no time-out."""
        half_s = self.boot_s / 2
        if self.state is State.BOOT and now_s >= self.entered_s + half_s:
            self.fire("BOOT_COMPLETE", self.entered_s + half_s)
        if self.state is State.INIT and now_s >= self.entered_s + half_s:
            self.fire("INIT_COMPLETE", self.entered_s + half_s)
        limit_s = TIMEOUT_S.get(self.state)
        if limit_s is not None and not working and now_s >= self.entered_s + limit_s:
            self.fire("TIMEOUT", self.entered_s + limit_s)

    def duration_ms(self, now_s: float) -> int:
        """Milliseconds in the present state."""
        return int(max(now_s - self.entered_s, 0.0) * 1000)

    def time_in_states_ms(self, now_s: float) -> dict[str, int]:
        """Milliseconds spent in each state since power-up, keyed `boot_ms` … `shutdown_ms`."""
        spent = self.spent_s | {self.state: self.spent_s[self.state] + max(now_s - self.entered_s, 0.0)}
        return {f"{state.lower()}_ms": int(seconds * 1000) for state, seconds in spent.items()}
