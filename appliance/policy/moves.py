"""What is told to a race and what it says: events and commands. The rule: plain facts, no behaviour."""

import msgspec

from appliance.domain.errors import Fault
from appliance.domain.record import CancelCause

# -- events: what happened ---------------------------------------------------------------------------------------------


class Elapsed(msgspec.Struct, frozen=True):
    """Time has passed; `now` is the monotonic clock in seconds."""

    now: float


class Began(msgspec.Struct, frozen=True):
    """The attempt's request is sent or its answer's head was seen. Decides nothing."""

    rung: int


class Started(msgspec.Struct, frozen=True):
    """The attempt's answer has started, in the sense of its dialect."""

    rung: int


class Refused(msgspec.Struct, frozen=True):
    """The provider has no capacity on this tier."""

    rung: int
    fault: Fault


class Failed(msgspec.Struct, frozen=True):
    """The attempt failed before its answer started."""

    rung: int
    fault: Fault


class Replanned(msgspec.Struct, frozen=True):
    """A rung that waits is the next, and launched `launch_s` seconds after the clock start."""

    rung: int
    launch_s: float


class ClientGone(msgspec.Struct, frozen=True):
    """The client closed its connection."""


Event = Elapsed | Began | Started | Refused | Failed | Replanned | ClientGone

# -- commands: what to do ----------------------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Launch the attempt of this rung."""

    rung: int


class Cancel(msgspec.Struct, frozen=True):
    """Close the attempt's socket at once; `reason` goes into its record."""

    rung: int
    reason: CancelCause


class Detach(msgspec.Struct, frozen=True):
    """Let the attempt run on outside of the request, at the longest until the monotonic time `until`."""

    rung: int
    until: float


class Commit(msgspec.Struct, frozen=True):
    """Answer the client from this rung. Nothing follows."""

    rung: int


class GiveUp(msgspec.Struct, frozen=True):
    """Answer the client with this fault. Nothing follows."""

    fault: Fault


Command = Start | Cancel | Detach | Commit | GiveUp
