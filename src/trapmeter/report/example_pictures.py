"""The pictures of a report: the example seconds, with the lines of equal distance where the site's camera was fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trapmeter.progress import Progress
from trapmeter.report.examples import choose_examples
from trapmeter.report.sequence_examples import choose_sequences
from trapmeter.report.thumbnails import make_thumbnails

if TYPE_CHECKING:
    from trapmeter.camera.medium_cameras import MediumCameras
    from trapmeter.prediction.run import PredictRun


def picture_values(
    run: PredictRun, cameras: MediumCameras | None, progress: Progress, jobs: int | None
) -> dict[str, Any]:
    """What the section of pictures shows. cameras: the fitted ones; the others as for `run_report.render_report`."""
    doubtful, others = choose_examples(run.estimates)
    sequences = choose_sequences(run.estimates)
    shown = [*doubtful, *others, *(second for sequence in sequences for second in sequence.seconds)]
    n_done = 0

    def report_progress(n: int) -> None:
        nonlocal n_done
        n_done += n
        progress("report", n_done, len(shown), 0)

    media = [(second.media_id, second.site_id) for second in shown]
    fits, line_notes = ({}, ()) if cameras is None else cameras.fits(media)
    pictures, unread = make_thumbnails(run.root, shown, report_progress, run.store, jobs, cameras=fits)
    of_second = {picture.second: picture for picture in pictures}
    return {
        "doubtful": [of_second[second] for second in doubtful if second in of_second],
        "others": [of_second[second] for second in others if second in of_second],
        "sequences": [
            (sequence, found)
            for sequence in sequences
            if (found := [of_second[second] for second in sequence.seconds if second in of_second])
        ],
        "has_lines": any(picture.has_lines for picture in pictures),
        "line_notes": line_notes,
        "unread": unread,
    }
