"""Checks reference points: how far each is from where the others of its site predict it, and what can't be right."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trapmeter.calibration.inputs import camera_of
from trapmeter.calibration.point_consistency import Consistency, Finding, check_consistency
from trapmeter.camera.fit import fit_camera
from trapmeter.camera.left_out import left_out_distances
from trapmeter.camera.prior import CameraPrior, camera_prior, check_sees_ground
from trapmeter.errors import InputError
from trapmeter.tables.cameras import CameraSetup
from trapmeter.tables.metres import FARTHEST_KNOWN_M
from trapmeter.tables.point_misfits import Doubt, PointMisfit, signed_metres
from trapmeter.tables.reference_marks import MarkedDeployment, Upright

UNUSUAL_M = 100.0
"""A point from here on is questioned: so far away, a factor of 10 moves it by a few pixels, and the others can't tell."""
SLIPS = (10.0, 100.0)
"""Factors of a misplaced decimal point and of centimetres."""
SLIP_TOLERANCE = 1.5
MAX_NAMED = 8
MIN_CHECKABLE_MARKS = 3
"""Two marks fit some camera, whatever their distances."""
WRONG_WEIGHT = 0.05
"""Below this weight in the fit, a pole contradicts the others by more than four standard deviations."""


@dataclass(frozen=True, slots=True)
class PointCheck:
    """The misfit of each point, worst first within a site, and notes for the user."""

    misfits: tuple[PointMisfit, ...] = ()
    notes: tuple[str, ...] = ()


def check_points(path: Path, deployments: Sequence[MarkedDeployment], cameras: Mapping[str, CameraSetup]) -> PointCheck:
    """Compares each point with the others of its deployment, and each pole or person at a known distance.

    path: the table of points, for messages. cameras: by site.

    Raises:
        InputError: a site's points are in reverse order, or contradict each other so much that they may be of two cameras;
            names the points, with their misfits in metres.
    """
    misfits: list[PointMisfit] = []
    notes: list[str] = []
    for deployment in deployments:
        site_id = deployment.site_id
        setup = camera_of(deployment, cameras.get(site_id))
        prior = camera_prior(setup)
        has_mounting = setup is not None and setup.height_m is not None
        if has_mounting:
            try:
                check_sees_ground(prior)
            except InputError as error:
                raise InputError(f"site {site_id}: {error}") from error
        feet = [i for i, upright in enumerate(deployment.uprights) if _has_foot(upright)]
        found = _on_the_ground([deployment.uprights[i] for i in feet], feet)
        of_points = _misfits(deployment, prior, found, has_mounting=has_mounting)
        worst_first = sorted(of_points, key=badness, reverse=True)
        if found.finding in _REFUSALS:
            by = "the order of the rows" if found.finding is Finding.REVERSED else "the other points"
            raise InputError(f"{path}: site {site_id}: {_REFUSALS[found.finding].format(_listed(worst_first, by))}")
        misfits += worst_first
        notes += (f"{path}, site {site_id}: {note}" for note in _notes(found, worst_first))
        notes += (f"{path}, site {site_id}: {note}" for note in _notes_on_poles(deployment, prior))
    notes += _notes_on_few(deployments)
    return PointCheck(tuple(misfits), tuple(notes))


def _has_foot(upright: Upright) -> bool:
    """Whether it shows a place on the ground at a known distance."""
    return upright.distance_m is not None and upright.lowest.height_m == 0


def _on_the_ground(points: Sequence[Upright], positions: Sequence[int]) -> Consistency:
    """How points on the ground fit together; the doubtful ones by their positions in the deployment."""
    if len(points) < 2:
        return Consistency(Finding.FINE)
    found = check_consistency(points)
    return replace(found, doubtful=tuple(positions[i] for i in found.doubtful))


def describe_misfits(misfits: Collection[PointMisfit], n_named: int = 3) -> str:
    """A line for the user about the points of one site: the median misfit, and the worst points first."""
    (site_id,) = {misfit.site_id for misfit in misfits}
    known = sorted(abs(misfit.misfit_m) for misfit in misfits if misfit.misfit_m is not None)
    if not known and all(misfit.doubt is Doubt.NONE for misfit in misfits):
        return f"{site_id}: {len(misfits)} reference points, which can't check each other"
    typical = f", median misfit {known[len(known) // 2]:.1f} m" if known else ""
    worst = "; ".join(_described(misfit) for misfit in sorted(misfits, key=badness, reverse=True)[:n_named])
    return f"{site_id}: {len(misfits)} reference points{typical}; worst: {worst}"


def badness(misfit: PointMisfit) -> tuple[bool, float, float]:
    """Sorts points: larger for doubtful ones, then by the factor by which a point is off, then by its distance."""
    ratio = 0.0 if misfit.others_m is None else abs(math.log(misfit.others_m / misfit.distance_m))
    return misfit.doubt is not Doubt.NONE, ratio, misfit.distance_m


def _misfits(
    deployment: MarkedDeployment, prior: CameraPrior, found: Consistency, *, has_mounting: bool
) -> list[PointMisfit]:
    doubt = {Finding.SOME_WRONG: Doubt.WRONG, Finding.ONE_OF_SEVERAL: Doubt.ONE_OF_THESE}.get(found.finding, Doubt.NONE)
    misfits = []
    for i, others_m in enumerate(_by_the_others(deployment.uprights, prior, found, has_mounting=has_mounting)):
        upright = deployment.uprights[i]
        if upright.distance_m is None:
            continue
        misfit_m = None if others_m is None or math.isinf(others_m) else upright.distance_m - others_m
        misfits.append(
            PointMisfit(
                deployment.site_id,
                upright.line,
                upright.lowest.x,
                upright.lowest.y,
                upright.distance_m,
                others_m,
                misfit_m,
                doubt if i in found.doubtful else Doubt.NONE,
            )
        )
    return misfits


def _by_the_others(
    uprights: Sequence[Upright], prior: CameraPrior, found: Consistency, *, has_mounting: bool
) -> Sequence[float | None]:
    """The distance of each upright by the others, in metres."""
    if found.finding is Finding.REVERSED:
        # A ground upside down would predict them well: the lowest point should have the smallest distance, and so on.
        known = [(i, upright.distance_m) for i, upright in enumerate(uprights) if upright.distance_m is not None]
        from_below = sorted((i for i, _ in known), key=lambda i: -uprights[i].lowest.y)
        expected = dict(zip(from_below, sorted(metres for _, metres in known), strict=True))
        return [expected.get(i) for i in range(len(uprights))]
    if not has_mounting and sum(len(upright.marks) for upright in uprights) < MIN_CHECKABLE_MARKS:
        return [None] * len(uprights)
    wrong = found.doubtful if found.finding is Finding.SOME_WRONG else ()
    return left_out_distances(uprights, prior, wrong=wrong)


def _notes_on_poles(deployment: MarkedDeployment, prior: CameraPrior) -> list[str]:
    """Poles and people whose marks contradict the others."""
    poles = [i for i, upright in enumerate(deployment.uprights) if len(upright.marks) > 1]
    if not poles or len(deployment.uprights) < 3:
        return []
    weights = fit_camera(deployment.uprights, prior).weights
    return [
        f"line {deployment.uprights[i].line}: the marks of this {deployment.uprights[i].kind} contradict the other reference "
        "marks; check its heights and its distance"
        for i in poles
        if weights[i] < WRONG_WEIGHT
    ]


def _notes(found: Consistency, worst_first: Sequence[PointMisfit]) -> list[str]:
    doubtful = [misfit for misfit in worst_first if misfit.doubt is not Doubt.NONE]
    match found.finding:
        case Finding.SOME_WRONG:
            return [
                f"{_described(misfit)}; correct this line{_guess(misfit)} or remove it, and calibrate again"
                for misfit in doubtful
            ]
        case Finding.ONE_OF_SEVERAL:
            return [
                f"the points contradict each other, and don't show which one is wrong: {_listed(doubtful)}; check these "
                "lines, or measure more points"
            ]
        case Finding.UNEVEN:
            return [
                f"the points fit one flat ground badly: {_listed(worst_first)}; check the table and whether all are of one "
                "camera in one position"
            ]
        case _:
            far = [misfit for misfit in worst_first if misfit.distance_m > UNUSUAL_M]
            return [
                f"line {misfit.line}: {misfit.distance_m:g} m is unusually far for a point, and the others can't check it; "
                f"was {misfit.distance_m / 10:g} meant?"
                for misfit in far
            ]


def _notes_on_few(deployments: Sequence[MarkedDeployment]) -> list[str]:
    """What can't be checked at sites with two or three points."""
    texts = {
        2: "two reference points can't check each other, so a wrong distance stays unnoticed",
        3: "three reference points may show that one is wrong, but seldom which one",
    }
    notes = []
    for count, text in texts.items():
        few = [d.site_id for d in deployments if len(d.uprights) == count and all(map(_has_foot, d.uprights))]
        sites = list(dict.fromkeys(few))
        if sites:
            more = f" and {len(sites) - MAX_NAMED} more" if len(sites) > MAX_NAMED else ""
            notes.append(f"site {', '.join(sites[:MAX_NAMED])}{more}: {text}; measure five or more")
    return notes


_REFUSALS = {
    Finding.REVERSED: "its farther points are lower in the picture than its nearer ones: {}; y counts from the top, at the "
    "point where the person or pole touches the ground: check the table",
    Finding.CONTRADICTORY: "its points contradict each other as if they were of two cameras, or of one that was moved: {}; "
    "check the table, and give two cameras two site names, or two positions of one camera their dates (columns start and "
    "end)",
}


def _listed(misfits: Sequence[PointMisfit], by: str = "the other points") -> str:
    more = f"; and {len(misfits) - MAX_NAMED} more" if len(misfits) > MAX_NAMED else ""
    return "; ".join(_described(misfit, by) for misfit in misfits[:MAX_NAMED]) + more


def _described(misfit: PointMisfit, by: str = "the other points") -> str:
    said = f"line {misfit.line} (x {misfit.x:.3g}, y {misfit.y:.3g}) says {misfit.distance_m:g} m"
    if misfit.others_m is None:
        return said
    if misfit.misfit_m is None:
        return f"{said}, but {by} put it beyond {FARTHEST_KNOWN_M:g} m or the horizon"
    return f"{said}, {by} {misfit.others_m:.1f} m ({signed_metres(misfit.misfit_m)})"


def _guess(misfit: PointMisfit) -> str:
    """What was probably typed wrongly."""
    if misfit.others_m is None or math.isinf(misfit.others_m):
        return ""
    for slip in SLIPS:
        for meant in (misfit.distance_m / slip, misfit.distance_m * slip):
            if 1 / SLIP_TOLERANCE < meant / misfit.others_m < SLIP_TOLERANCE:
                return f" (was {meant:g} m meant?)"
    return ""
