"""Recording the queries of a block; see vinyl.orm.observe.recorder."""

from vinyl.orm.observe.recorder import Query, Recording, current_recording, recording

__all__ = ["Query", "Recording", "current_recording", "recording"]
