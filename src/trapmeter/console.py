"""Prints progress to standard error and results to standard output."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from trapmeter.geometry import DEFAULT_HFOV_DEG
from trapmeter.media.discovery import suffix_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn

    from trapmeter.calibration.pick import LabelSelection
    from trapmeter.calibration.run import Calibration
    from trapmeter.demo.run import Demo
    from trapmeter.demo.scores import Score
    from trapmeter.density.run import DensityRun
    from trapmeter.frames.fill import FillReport, StoreProblem, StoreReport
    from trapmeter.prediction.run import PredictRun
    from trapmeter.prediction.sharded_run import ShardRun
    from trapmeter.progress import Progress
    from trapmeter.report.comparison import Comparison
    from trapmeter.storage.address import AnyPath
    from trapmeter.tables.point_misfits import PointMisfit

MAX_POINT_SITES = 12
"""Sites whose reference points are printed."""
_STAGES = {
    "look": "Detecting animals",
    "measure": "Estimating distances",
    "report": "Writing the report",
    "answer": "Running networks",
    "compare": "Comparing models",
    "replicate": "Bootstrapping",
    "view": "Comparing reference photographs",
}


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A bar for each stage with the time left; see `trapmeter.progress.Progress`."""
    from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn

    bars = _bars(MofNCompleteColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn(), TextColumn("left"))
    tasks = {}
    with bars:

        def show(stage: str, done: int, total: int, n_failed: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total, note="")
            bars.update(tasks[stage], completed=done, note=f"{n_failed} failed" if n_failed else "")

        yield show


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of bytes with speed and time left; the value is called with the bytes there and how many there will be."""
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bars(DownloadColumn(), TransferSpeedColumn()) as bars:
        task = bars.add_task(name, total=None, visible=False)
        yield lambda done, total: bars.update(task, completed=done, total=total, visible=True)


def _bars(*columns: ProgressColumn) -> Bars:
    """Bars on standard error with a name, the given columns, and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    name = TextColumn("{task.description}")
    return Bars(name, BarColumn(), *columns, TimeRemainingColumn(), console=Console(stderr=True))


def print_summary(run: PredictRun, out: AnyPath, report: AnyPath, notes: Sequence[str] = ()) -> None:
    """Prints counts, the first failures with their reasons, notes, and where the results are."""
    summary = run.summary
    distance = "" if summary.median_m is None else f", median distance {summary.median_m:.1f} m"
    # Estimates for whole pictures don't say how many animals there were.
    animals = f", {summary.n_animals:,} animals" if summary.n_animals or not summary.n_measured else ""
    print(f"{summary.n_media:,} media, {summary.n_seconds:,} seconds{animals}{distance}")
    print(
        f"rows: {summary.n_measured:,} measured, {summary.n_no_animal:,} without animal, "
        f"{summary.n_past_end:,} past the end, {summary.n_failed:,} failed"
        + (f", {summary.n_unknown:,} unknown (the column reason says why)" if summary.n_unknown else "")
    )
    print(_times_text(run.facts["recorded"]["sources"]))
    events = run.facts["events"]
    if events["n_events"]:
        print(f"events with animals: {events['n_events']:,}; sequences of several media: {events['n_sequences']:,}")
    if run.facts["changed"]:
        print(
            f"all rows were computed again because {terminal_text('; '.join(run.facts['changed']))}; detections were kept"
        )
    if summary.n_unasked:
        print(f"{summary.n_unasked:,} media are not in the table of times and were left out")
    if run.facts["arguments"]["site"] != "none" and summary.n_without_site:
        print(
            f"{summary.n_without_site:,} media have no site by --site {terminal_text(run.facts['arguments']['site'])}"
        )
    if run.facts["errors_of_ours"]:
        print(f"{run.facts['errors_of_ours']:,} media caused an internal error: please report {out / 'errors.log'}")
    if summary.n_people or summary.n_vehicles:
        print(
            f"{summary.n_people:,} boxes of people and {summary.n_vehicles:,} of vehicles were kept apart: they have no "
            "distance, and their column species says what they are"
        )
    if summary.n_static:
        print(
            f"{summary.n_static:,} boxes stay in place and are marked static in the column reason; density leaves them out"
        )
    if run.facts["other_files"]:
        print(f"passed over, as neither videos nor photos: {terminal_text(suffix_text(run.facts['other_files']))}")
    for folder in run.facts["unreadable_folders"]:
        print(f"unreadable: {terminal_text(folder['folder'])}: {folder['reason']}")
    _print_failures([f"{terminal_text(media_id)}: {reason}" for media_id, reason in summary.failures], "the report")
    if summary.doubts:
        n_doubtful = len({media_id for media_id, _ in summary.doubts})
        print(f"{n_doubtful:,} media are damaged and were read as far as possible, see the report")
    if summary.n_animals and not run.facts["cameras"]["n_with_hfov"]:
        print(
            f"bearings assume a horizontal field of view of {DEFAULT_HFOV_DEG:g} degrees; if your cameras differ, give it "
            "with --hfov or --cameras"
        )
    by_exif = run.facts["cameras"]["exif"]
    if by_exif is not None and not run.facts["arguments"]["exif"]:
        n_photos = run.facts["cameras"]["n_exif"]
        print(f"EXIF of {n_photos:,} photos states {by_exif:.0f} degrees (median), which was not used; --exif uses it")
    for model in run.facts["cameras"]["models"]:
        if model["n_without_hfov"] and not run.facts["arguments"]["exif"]:
            print(
                f"{model['n_without_hfov']:,} media are from a {model['name']}, whose lens has {model['hfov_deg']:.0f} "
                "degrees: give --exif to use it"
            )
    if run.facts.get("runtime") is not None:
        print(f"networks ran in {run.facts['runtime']['runtime']}: {run.facts['runtime']['why']}")
    for note in (*run.facts["notes"], *notes):
        print(f"note: {terminal_text(note)}")
    print(f"model:   {terminal_text(run.facts['models']['distance']['model_id'])}")
    print(f"results: {out / 'distances.csv'}\nreport:  {report}")


def _times_text(sources: dict[str, int]) -> str:
    """How many media have a known time, and from where."""
    known = {name: n for name, n in sources.items() if name != "unknown"}
    n_unknown = sources.get("unknown", 0)
    if not known:
        return "times: no medium says when it was taken, so each is an event of its own; --media-times gives times"
    listed = ", ".join(f"{n:,} {name}" for name, n in known.items())
    unknown = f"; {n_unknown:,} unknown, each an event of its own" if n_unknown else ""
    return f"times: {sum(known.values()):,} media ({listed}){unknown}"


def print_shard(run: ShardRun, out: str) -> None:
    """Prints what a shard processed, and what to do next."""
    failed = f", {run.n_failed:,} failed" if run.n_failed else ""
    print(f"shard {run.shard}: {run.n_media:,} media{failed}; in {out}/{run.shard.name}")
    print(f"once all shards are done: trapmeter merge {out}/shard-*-of-{run.shard.of} --out {out}")


def terminal_text(text: str) -> str:
    """A file name that any terminal can print: control characters and bytes that are not UTF-8 are escaped."""
    printable = "".join(c if c.isprintable() or "\ud800" <= c <= "\udfff" else repr(c)[1:-1] for c in text)
    return printable.encode("utf-8", "backslashreplace").decode()


_MAX_FAILURES = 10


def _print_failures(failures: Sequence[str], where: str) -> None:
    """The first failures, and where to find the others."""
    for failure in failures[:_MAX_FAILURES]:
        print(f"failed: {failure}")
    if len(failures) > _MAX_FAILURES:
        print(f"failed: {len(failures) - _MAX_FAILURES:,} more, see {where}")


def print_fill(report: FillReport, store: str, failures: AnyPath | None) -> None:
    """Prints counts, the first failures with their reasons, where to find all of them, and where the store is."""
    print(f"{report.n_videos:,} videos, {report.n_kept:,} of them already complete; {report.n_frames:,} frames")
    lines = []
    for failure in report.failures:
        when = "" if failure.time_s is None else f" at {failure.time_s:g} s"
        lines.append(f"{terminal_text(failure.video_id)}{when}: {terminal_text(failure.reason)}")
    _print_failures(lines, str(failures))
    if report.n_doubtful:
        print(f"{report.n_doubtful:,} videos are damaged and were read as far as possible")
    print(f"frames:  {store}")


def print_store(report: StoreReport, store: str) -> None:
    """Prints what a fill or a check of a frame store found."""
    if report.filled is not None:
        print_fill(report.filled, store, report.failures_file)
    if report.problems is not None:
        print_problems(report.problems, report.folder)


def print_problems(problems: Sequence[StoreProblem], store: Path) -> None:
    """Prints what a check of a frame store found."""
    for problem in problems[:_MAX_FAILURES]:
        print(f"wrong: {terminal_text(problem.reason)}")
    n_files = len({problem.file_name for problem in problems})
    print(f"{n_files:,} videos in {store} are damaged" if problems else f"every frame in {store} is intact")


def print_comparison(comparison: Comparison) -> None:
    """Prints how far the distances are from known ones."""
    errors = comparison.errors
    if errors is None:
        print(
            f"none of the {comparison.n_truth:,} known distances belongs to a measured animal: do names and seconds agree?"
        )
        return
    print(
        f"compared with {comparison.n_matched} of {comparison.n_truth - comparison.n_hidden} known distances\n"
        f"  mean absolute error {errors.mae_m:.2f} m; always guessing the median: {comparison.baseline_mae_m:.2f} m\n"
        f"  90 % intervals cover {errors.coverage:.0%}"
    )
    print("  distance   rows   error   bias")
    for band in comparison.bands:
        if band.errors is not None:
            name = f"{band.low_m:g}-{band.high_m:g} m" if band.high_m < math.inf else f"from {band.low_m:g} m"
            print(f"  {name:<9}{band.errors.n:>6}{band.errors.mae_m:>8.2f}{band.errors.bias_m:>+7.2f}")


def print_calibration(done: Calibration, out: Path) -> None:
    """Prints what was corrected at each site, and where the results are."""
    from trapmeter.calibration.run import describe_correction

    n_rows = sum(estimate.distance is not None for estimate in done.estimates)
    sites = "1 site" if len(done.corrections) == 1 else f"{len(done.corrections):,} sites"
    print(f"{done.n_moved:,} of {n_rows:,} distances corrected, at {sites}")
    if done.n_labels_unused:
        labels = "label is" if done.n_labels_unused == 1 else "labels are"
        print(f"{done.n_labels_unused:,} {labels} for a second or an animal without an estimate: left out")
    for note in done.notes:
        print(f"note: {note}")
    for correction in done.corrections:
        print(describe_correction(correction))
    _print_points(done.point_misfits, out)
    print(f"table: {out / 'distances.csv'}\npicture: {out / 'calibration.png'}")
    print(f"for a report: trapmeter report {out}")


def _print_points(misfits: Sequence[PointMisfit], out: Path) -> None:
    """The misfits of reference points: a line per site, worst sites and points first, and where the others are."""
    from trapmeter.calibration.point_check import badness, describe_misfits
    from trapmeter.calibration.run import POINTS

    if not misfits:
        return
    sites = [list(of_site) for _, of_site in groupby(misfits, key=lambda misfit: misfit.site_id)]
    sites.sort(key=lambda of_site: max(map(badness, of_site)), reverse=True)
    for of_site in sites[:MAX_POINT_SITES]:
        print(describe_misfits(of_site))
    more = f" (with {len(sites) - MAX_POINT_SITES:,} more sites)" if len(sites) > MAX_POINT_SITES else ""
    print(f"points: {out / POINTS}{more}")


def print_selection(selection: LabelSelection, page: Path, n_missing: int) -> None:
    """Prints how many seconds to label, where, and how to go on. n_missing: pictures that the page lacks."""
    for note in selection.notes:
        print(f"note: {note}")
    if n_missing:
        print(f"note: {n_missing} of the pictures can't be read; {page} says why")
    print(f"{selection.n_rows} seconds to label: {selection.path}, and their pictures in {page}")
    print("either fill in distance_m in that table, or type the distances in the browser:")
    print(f"  trapmeter review {selection.source} --only {selection.path} --blind")


def print_density(run: DensityRun) -> None:
    """Each candidate, the selected one's density with its interval, the bootstrap, and what to be aware of."""
    analysis = run.analysis
    best, distances = analysis.best, analysis.distances
    print(
        f"{distances.n:,.0f} detections between {distances.left_m:g} and {distances.right_m:g} m at "
        f"{best.density.n_stations:,} stations, {best.density.effort_snapshots:,.0f} snapshots"
    )
    if analysis.survey.basis:
        print(f"effort: {analysis.survey.basis}")
    names = [model.fit.function.name for model in analysis.models]
    width = max(len("model"), *map(len, names))
    heads = f"{'AIC':>10}  {'QAIC':>9}  {'chi2/df':>7}  {'Pa':>6}  {'EDR m':>6}  {'per km2':>8}  {'CV':>6}"
    print(f"  {'model':<{width}}  {heads}  {best.density.level * 100:g} % interval by formula")
    for number, (name, model) in enumerate(zip(names, analysis.models, strict=True)):
        fit, density = model.fit, model.density
        judged = "-" if model.qaic is None else f"{model.qaic:.1f}"
        per_df = fit.chi_square.per_df if fit.chi_square else None
        print(
            f"{'*' if number == analysis.selected else ' '} {name:<{width}}  {fit.aic:>10.1f}  {judged:>9}  "
            f"{'-' if per_df is None else f'{per_df:.2f}':>7}  {fit.pa:>6.4f}  {fit.edr_m:>6.2f}  "
            f"{density.density_km2:>8.4g}  {density.cv:>6.3f}  {_interval_text(density.low_km2, density.high_km2)}"
        )
    for name, reason in analysis.failures:
        print(f"not fitted: {name}: {reason}")
    for model in analysis.models:
        if model.fit.doubts and model is not best:
            print(f"not eligible: {model.fit.function.name} {', and '.join(model.fit.doubts)}")
    if len(names) > 1:
        print(f"* selected by {analysis.select_by.rule}")
    for stratum, density in best.by_stratum.items():
        print(
            f"  stratum {terminal_text(stratum) or '(no name)'}: {density.density_km2:.4g} per km2 "
            f"({_interval_text(density.low_km2, density.high_km2)})"
        )
    for part, low, high in run.level_intervals:
        size = part.group_size
        of_groups = "" if size is None else f", mean group size {size.mean:.3g} (se {size.se:.2g})"
        print(
            f"  {part.column} {terminal_text(part.level)}: {part.density.density_km2:.4g} per km2 "
            f"({_interval_text(low, high)}), detections: {part.density.n:,.0f}, Pa {part.pa:.4f}{of_groups}"
        )
    if best.group_size is not None:
        groups = best.group_size
        print(
            f"groups: {groups.density.density_km2:.4g} per km2 "
            f"({_interval_text(groups.density.low_km2, groups.density.high_km2)} by formula), mean size {groups.mean:.3g} "
            f"(se {groups.se:.2g})"
        )
    for name, curve in run.activity_by_level.items():
        print(
            f"{terminal_text(name)} active {curve.share:.1%} of the time (se {curve.se:.1%}), from {curve.n:,} times of day"
        )
    if run.activity is not None:
        print(
            f"active {run.activity.share:.1%} of the time (se {run.activity.se:.1%}), from {run.activity.n:,} times of day"
        )
    headline, level = run.headline, best.density.level
    print(
        f"density: {headline.density_km2:.4f} animals per km2, se {headline.se_km2:.3f}, "
        f"{_interval_text(headline.low_km2, headline.high_km2)} ({level * 100:g} % interval, {headline.interval})"
    )
    if run.bootstrap is not None:
        found = run.bootstrap
        print(
            f"bootstrap over cameras: median {found.median_km2:.4f}, percentiles {_interval_text(*found.percentiles_km2)} "
            f"(expanded: {_interval_text(found.low_km2, found.high_km2)}), "
            f"{found.settings.replicates:,} replicates, {found.n_failed:,} failed"
        )
    for warning in run.warnings:
        print(f"note: {warning}")


def _interval_text(low: float, high: float) -> str:
    return f"{low:.4g} to {high:.4g}"


def print_demo(demo: Demo) -> None:
    """Prints the errors of every distance method in one table, what each column means, and the files to open."""
    from rich.console import Console
    from rich.table import Table

    from trapmeter.demo.scores import FAR_M

    visible = [row.distance_m for row in demo.truth if row.box is not None]
    baseline = demo.methods[0]
    table = Table(box=None, header_style="bold", padding=(0, 3, 0, 0), pad_edge=False)
    table.add_column("mean error, m")
    for head in ("all", f"under {FAR_M:g} m", f"from {FAR_M:g} m", "covered", "found"):
        table.add_column(head, justify="right")
    counts = [baseline.every_animal.all, baseline.every_animal.near, baseline.every_animal.far]
    found = baseline.found.all
    table.add_row("animals", *map(_count, counts), "", _count(found), style="dim")
    for way in demo.methods:
        every = way.every_animal
        covered = "" if way is baseline or every.all is None else f"{every.all.coverage:.0%}"
        errors = (_error(every.all), _error(every.near), _error(every.far), covered, _error(way.found.all))
        table.add_row(way.name, *errors, style="dim" if way is baseline else "")
    n_found, n_far_found = _count(found), _count(baseline.found.far)
    print(
        "\nTwelve rendered clips of six sites, where neither model was trained.\n"
        f"Animals stand {min(visible):.0f} to {max(visible):.0f} m away, and each distance is known.\n"
    )
    Console(width=100).print(table)
    print(
        "\n"
        "  animals      each animal counts once per second of video; the seconds of a clip are similar\n"
        "  all          with the box of every visible animal given, as MegaDetector might (`--boxes`)\n"
        f"  found        with the built-in detector's boxes: it found {n_found} of {len(visible)}, {n_far_found} of them at "
        f"{FAR_M:g} m or more\n"
        "  always ...   the median of both models' training labels, whatever the clip shows\n"
        f"  + points     after `trapmeter calibrate` with six reference points at {demo.n_with_points} of the six sites\n"
        "  covered      share of all true distances within the 90 % intervals; should be near 90 %\n\n"
        f"{REAL_FOOTAGE}\n\n"
        f"pictures: {demo.report}\n"
        f"points:   {demo.picture}\n"
        f"density:  trapmeter density --config {demo.survey} --out {demo.survey.parent / 'density'}"
    )


def _error(score: Score | None) -> str:
    return "-" if score is None else f"{score.mae_m:.2f}"


def _count(score: Score | None) -> str:
    return "0" if score is None else f"{score.n}"


REAL_FOOTAGE = (
    "On real footage, at sites held out of training, the box model's mean error is 2.10 m; always guessing\n"
    "the median has an error of 3.42 m (15,229 labelled seconds, two West African parks). The network was\n"
    "trained on rendered scenes only: don't use it on real footage."
)
"""From docs/results/anywhere.md."""
