"""Joins rendered surveys into the tables that a network for anywhere is trained on.

    python tools/join_rendered_surveys.py SURVEY [SURVEY ...] [--without SITE ...] --out JOINED

Each SURVEY is a folder with the tables of simtrap or of an export of its renderer: (train_)labels.csv, (train_)metadata.csv,
truth.csv, sites.csv and the folder (train_)videos. Only its training sites are taken. JOINED gets

- labels.csv: the exact distance of the nearest visible animal of each labelled second;
- metadata.csv: its site, and the detector's box if that shows the animal, else the true box with probability 1;
- animals.csv: every visible animal of these seconds with distance, true box and shoulder height;
- cameras.csv: each site's lens, height and pitch;
- videos/: links to the videos.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from trapmeter.geometry import match_boxes
from trapmeter.records import Box
from trapmeter.tables.species import MAX_SHOULDER_M

LEAST_VISIBLE = 0.2
"""Smallest visible share of an animal that counts, as in the surveys' labels."""
COORDINATES = ("x1", "y1", "x2", "y2")
SIMTRAP_SHOULDERS_M = {
    "duiker": 0.50,
    "bushbuck": 0.85,
    "hog": 0.70,
    "elephant": 2.3,
    "elephant_calf": 1.15,
    "leopard": 0.65,
    "golden_cat": 0.50,
    "fox": 0.38,
    "buffalo": 1.2,
    "chimpanzee": 0.75,
    "monkey": 0.42,
}
"""Usual heights of the renderer's animals, for surveys that don't state those of the individuals."""

Row = Mapping[str, str]
Second = tuple[str, str]


def main() -> None:
    """Writes the joined tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("surveys", nargs="+", type=Path)
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="SITE", help="sites to leave out, such as the demo's"
    )
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    tables: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    (arguments.out / "videos").mkdir(parents=True, exist_ok=True)
    for survey in arguments.surveys:
        join_survey(survey, tables, arguments.out / "videos", without=set(arguments.without))
    headers = {
        "labels": ("video_id", "time", "distance"),
        "metadata": ("video_id", "time", *COORDINATES, "probability", "park", "site_id"),
        "animals": ("video_id", "time", "animal_id", "distance_m", *COORDINATES, "shoulder_m"),
        "cameras": ("site_id", "hfov_deg", "height_m", "pitch_deg", "aspect"),
    }
    for name, header in headers.items():
        with (arguments.out / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *tables[name]])
        print(f"{name}.csv: {len(tables[name])} rows")


def join_survey(
    survey: Path, tables: dict[str, list[tuple[object, ...]]], videos: Path, without: Collection[str] = ()
) -> None:
    """Adds a survey's rows to the tables, except those of the sites to leave out, and links to its videos."""
    prefix = "train_" if (survey / "train_metadata.csv").exists() else ""
    metadata = {second(row): row for row in read(survey / f"{prefix}metadata.csv")}
    animals: dict[Second, list[Row]] = defaultdict(list)
    for row in read(survey / "truth.csv"):
        if row["x1"] and float(row["visible_fraction"]) >= LEAST_VISIBLE:
            animals[second(row)].append(row)
    sizes = {row["video_id"]: int(row["width"]) / int(row["height"]) for row in read(survey / "videos.csv")}
    aspects: dict[str, float] = {}
    for label in read(survey / f"{prefix}labels.csv"):
        found, seen = metadata[second(label)], animals[second(label)]
        if not seen or found["site_id"] in without:
            continue
        nearest = min(seen, key=lambda row: float(row["distance_m"]))
        aspects[found["site_id"]] = sizes[label["video_id"]]
        tables["labels"].append((*second(label), nearest["distance_m"]))
        tables["metadata"].append((*second(label), *input_box(found, nearest), found["park"], found["site_id"]))
        for row in seen:
            shoulder_m = min(float(row.get("shoulder_m") or SIMTRAP_SHOULDERS_M[row["species"]]), MAX_SHOULDER_M)
            box = (row[name] for name in COORDINATES)
            tables["animals"].append((*second(row), row["animal_id"], row["distance_m"], *box, shoulder_m))
        link, source = videos / label["video_id"], (survey / f"{prefix}videos" / label["video_id"]).resolve()
        if not link.exists():
            link.symlink_to(source)
        elif link.resolve() != source:
            raise SystemExit(f"{source}: {link} is another video of that name")
    for site in read(survey / "sites.csv"):
        if site["site_id"] in aspects:
            lens = (site["hfov_deg"], site["camera_height_m"], site["pitch_deg"])
            tables["cameras"].append((site["site_id"], *lens, f"{aspects[site['site_id']]:.4f}"))


def input_box(detected: Row, animal: Row) -> tuple[str, ...]:
    """The cells of the box that the network gets: coordinates and probability."""
    true = tuple(animal[name] for name in COORDINATES)
    if detected["x1"]:
        found = tuple(detected[name] for name in COORDINATES)
        if match_boxes([to_box(found)], [to_box(true)]):
            return (*found, detected["probability"])
    return (*true, "1")


def to_box(cells: tuple[str, ...]) -> Box:
    """The box in these cells."""
    x1, y1, x2, y2 = map(float, cells)
    return Box(x1, y1, x2, y2, 1.0)


def second(row: Row) -> Second:
    """The second that a row is about."""
    return row["video_id"], row["time"]


def read(path: Path) -> Iterator[Row]:
    """The rows of a table."""
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    main()
