"""The result of one medium: workers return it, the journal stores it, and a resumed run reads it back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from trapmeter.records import Box, Status


@dataclass(frozen=True, slots=True)
class UntrackedSecond:
    """A processed second whose animals have no ids yet; fields as in SecondResult."""

    time_s: float
    status: Status
    reason: str = ""
    boxes: tuple[Box | None, ...] = ()
    answers: tuple[tuple[float, ...], ...] = ()
    others: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class SecondResult:
    """One second of a medium: its animals, or why there are none.

    status is measured if there are boxes; their distances are estimated later. A second that was measured without detection
    has the single box None. animal_ids has an item for each box, and so has answers if networks ran: the distances in metres
    that the ensemble's members predicted. others: boxes of people and vehicles, which are not measured.
    """

    time_s: float
    status: Status
    reason: str = ""
    boxes: tuple[Box | None, ...] = ()
    animal_ids: tuple[int, ...] = ()
    answers: tuple[tuple[float, ...], ...] = ()
    others: tuple[Box, ...] = ()

    def __post_init__(self) -> None:
        if (self.status is Status.MEASURED) != bool(self.boxes) or len(self.boxes) != len(self.animal_ids):
            raise ValueError(f"status {self.status}, {len(self.boxes)} boxes, {len(self.animal_ids)} ids")
        if self.answers and len(self.answers) != len(self.boxes):
            raise ValueError(f"{len(self.boxes)} boxes, {len(self.answers)} answers")


@dataclass(frozen=True, slots=True)
class MediumResult:
    """All requested seconds of a medium, in order of time.

    size_bytes and modified_ns identify the state of the file that was read. failure: why nothing could be read, with the
    trace of an internal error. decode_s, detect_s and network_s: seconds of work. hfov_deg: the lens in a photo's EXIF;
    aspect: width over height of the pictures; is_night: most of the processed pictures have no colours; each None if unknown.
    recorded, camera_make, camera_model, camera_serial: as in MediumFacts. told: the facts that networks were told, "" if they
    take none.
    """

    media_id: str
    size_bytes: int
    modified_ns: int
    seconds: tuple[SecondResult, ...]
    failure: str = ""
    trace: str = ""
    doubts: tuple[str, ...] = ()
    length_s: float | None = None
    decode_s: float = 0.0
    detect_s: float = 0.0
    network_s: float = 0.0
    hfov_deg: float | None = None
    aspect: float | None = None
    is_night: bool | None = None
    recorded: str = ""
    camera_make: str = ""
    camera_model: str = ""
    camera_serial: str = ""
    told: str = ""

    @property
    def key(self) -> str:
        """The journal's key."""
        return self.media_id

    @property
    def camera(self) -> str:
        """Make, model and serial number of the camera as one text; "" if the file says nothing."""
        return " ".join(filter(None, (self.camera_make, self.camera_model, self.camera_serial)))

    @property
    def has_failed(self) -> bool:
        """Some requested second could not be processed."""
        return any(second.status is Status.FAILED for second in self.seconds)

    def to_json(self) -> dict[str, Any]:
        """As plain values that json writes and `from_json` reads back without loss."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> MediumResult:
        """The inverse of `to_json`; ValueError, KeyError or TypeError if data is something else."""
        seconds = tuple(
            SecondResult(
                second["time_s"],
                Status(second["status"]),
                second["reason"],
                tuple(None if box is None else Box(**box) for box in second["boxes"]),
                tuple(second["animal_ids"]),
                tuple(tuple(row) for row in second["answers"]),
                tuple(Box(**box) for box in second.get("others", ())),
            )
            for second in data["seconds"]
        )
        return MediumResult(**{**data, "seconds": seconds, "doubts": tuple(data["doubts"])})


def failed_result(
    media_id: str, size_bytes: int, modified_ns: int, times_s: tuple[float, ...], reason: str, trace: str = ""
) -> MediumResult:
    """The result of a medium that could not be read: a failed row for each requested second, or for second 0."""
    seconds = tuple(SecondResult(time_s, Status.FAILED, reason) for time_s in times_s or (0.0,))
    return MediumResult(media_id, size_bytes, modified_ns, seconds, failure=reason, trace=trace)
