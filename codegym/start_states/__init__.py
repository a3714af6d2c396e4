"""WHERE DOES IT BEGIN? Start states: how much of a solution an episode is given."""

from codegym.start_states.curriculum import CurriculumOfSubtasks, stage_starts
from codegym.start_states.jump_start import JumpStart
from codegym.start_states.prefix import EmptyPrefix, GivenPrefixes, LinePrefixes, UniformPrefixes
from codegym.start_states.registry import make_start_states
from codegym.start_states.start_state import Reference, StartState, StartStates

__all__ = [
    "CurriculumOfSubtasks",
    "EmptyPrefix",
    "GivenPrefixes",
    "JumpStart",
    "LinePrefixes",
    "Reference",
    "StartState",
    "StartStates",
    "UniformPrefixes",
    "make_start_states",
    "stage_starts",
]
