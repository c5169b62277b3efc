"""Camtrap DP packages for tests, and the table schemas of the standard.

Tests don't download the schemas. Those below were compared with Camtrap DP 1.0.2 column by column: order, type, whether a
column is required, limits, patterns, allowed words, and what counts as an empty cell.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest

MISSING = ["", "NA", "NaN", "nan"]
FEATURES = [
    *("roadPaved", "roadDirt", "trailHiking", "trailGame", "roadUnderpass", "roadOverpass", "roadBridge", "culvert"),
    *("burrow", "nestSite", "carcass", "waterSource", "fruitingTree"),
]
WHEN = {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}


def column(name: str, kind: str | dict[str, str] = "string", **constraints: object) -> dict[str, Any]:
    return {
        "name": name,
        **({"type": kind} if isinstance(kind, str) else kind),
        **({"constraints": constraints} if constraints else {}),
    }


DEPLOYMENTS = [
    column("deploymentID", required=True, unique=True),
    *(column("locationID"), column("locationName")),
    column("latitude", "number", required=True, minimum=-90, maximum=90),
    column("longitude", "number", required=True, minimum=-180, maximum=180),
    column("coordinateUncertainty", "integer", minimum=1),
    *(column("deploymentStart", WHEN, required=True), column("deploymentEnd", WHEN, required=True)),
    *(column("setupBy"), column("cameraID"), column("cameraModel"), column("cameraDelay", "integer", minimum=0)),
    *(column("cameraHeight", "number", minimum=0), column("cameraDepth", "number", minimum=0)),
    *(
        column("cameraTilt", "integer", minimum=-90, maximum=90),
        column("cameraHeading", "integer", minimum=0, maximum=360),
    ),
    *(
        column("detectionDistance", "number", minimum=0),
        column("timestampIssues", "boolean"),
        column("baitUse", "boolean"),
    ),
    *(column("featureType", enum=FEATURES), column("habitat"), column("deploymentGroups"), column("deploymentTags")),
    column("deploymentComments"),
]
MEDIA = [
    *(column("mediaID", required=True, unique=True), column("deploymentID", required=True)),
    column("captureMethod", enum=["activityDetection", "timeLapse"]),
    *(
        column("timestamp", WHEN, required=True),
        column("filePath", required=True, pattern=r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"),
    ),
    *(column("filePublic", "boolean", required=True), column("fileName")),
    *(column("fileMediatype", required=True, pattern="^(image|video|audio)/.*$"), column("exifData", "any")),
    *(column("favorite", "boolean"), column("mediaComments")),
]
OBSERVATIONS = [
    *(column("observationID", required=True, unique=True), column("deploymentID", required=True)),
    *(column("mediaID"), column("eventID")),
    *(column("eventStart", WHEN, required=True), column("eventEnd", WHEN, required=True)),
    column("observationLevel", required=True, enum=["media", "event"]),
    column("observationType", required=True, enum=["animal", "human", "vehicle", "blank", "unknown", "unclassified"]),
    column("cameraSetupType", enum=["setup", "calibration"]),
    *(column("scientificName"), column("count", "integer", minimum=1)),
    *(column("lifeStage", enum=["adult", "subadult", "juvenile"]), column("sex", enum=["female", "male"])),
    *(column("behavior"), column("individualID"), column("individualPositionRadius", "number", minimum=0)),
    column("individualPositionAngle", "number", minimum=-90, maximum=90),
    column("individualSpeed", "number", minimum=0),
    *(column("bboxX", "number", minimum=0, maximum=1), column("bboxY", "number", minimum=0, maximum=1)),
    *(column(name, "number", minimum=1e-15, maximum=1) for name in ("bboxWidth", "bboxHeight")),
    *(column("classificationMethod", enum=["human", "machine"]), column("classifiedBy")),
    *(column("classificationTimestamp", WHEN), column("classificationProbability", "number", minimum=0, maximum=1)),
    *(column("observationTags"), column("observationComments")),
]
SCHEMAS: dict[str, dict[str, Any]] = {
    "deployments": {"fields": DEPLOYMENTS, "missingValues": MISSING, "primaryKey": "deploymentID"},
    "media": {
        "missingValues": MISSING,
        "fields": MEDIA,
        "primaryKey": "mediaID",
        "foreignKeys": [{"fields": "deploymentID", "reference": {"resource": "deployments", "fields": "deploymentID"}}],
    },
    "observations": {
        "missingValues": MISSING,
        "fields": OBSERVATIONS,
        "primaryKey": "observationID",
        "foreignKeys": [
            {"fields": "deploymentID", "reference": {"resource": "deployments", "fields": "deploymentID"}},
            {"fields": "mediaID", "reference": {"resource": "media", "fields": "mediaID"}},
        ],
    },
}
NAMES = {table: [field["name"] for field in schema["fields"]] for table, schema in SCHEMAS.items()}
SITE = {"deploymentID": "d1", "locationID": "S1", "latitude": "50.5", "longitude": "5.25"}
SITE |= {"deploymentStart": "2024-05-01T00:00:00Z", "deploymentEnd": "2024-05-11T00:00:00Z"}


def table_text(table: str, rows: Iterable[dict[str, str]], end: str = "\n", columns: Iterable[str] = ()) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(columns) or NAMES[table], lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def medium(name: str, path: str, when: str = "2024-05-02T06:00:00Z", **cells: str) -> dict[str, str]:
    kind = "video/mp4" if path.endswith(".mp4") else "image/jpeg"
    row = {"mediaID": name, "deploymentID": "d1", "timestamp": when, "filePath": path, "fileMediatype": kind}
    return {**row, "filePublic": "true", **cells}


def observation(name: str, of: str, **cells: str) -> dict[str, str]:
    """An animal in a medium, at the usual start of a medium, classified by a person."""
    row = {"observationID": name, "deploymentID": "d1", "mediaID": of, "observationLevel": "media"}
    row |= {"observationType": "animal", "classificationMethod": "human"}
    start = cells.get("eventStart", "2024-05-02T06:00:00Z")
    return {**row, "eventStart": start, "eventEnd": start, **cells}


def bbox(x: float, y: float, width: float, height: float) -> dict[str, str]:
    return {"bboxX": f"{x:g}", "bboxY": f"{y:g}", "bboxWidth": f"{width:g}", "bboxHeight": f"{height:g}"}


def write_package(
    folder: Path, *, deployments=(SITE,), media=(), observations=(), end="\n", **resource: object
) -> Path:
    """Writes tables from rows or from a text. resource: further entries of the descriptor for observations."""
    folder.mkdir(parents=True, exist_ok=True)
    resources: list[dict[str, object]] = []
    for name, rows in (("deployments", deployments), ("media", media), ("observations", observations)):
        text = rows if isinstance(rows, str | bytes) else table_text(name, rows, end)
        (folder / f"{name}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        resources.append({"name": name, "path": f"{name}.csv", "profile": "tabular-data-resource"})
    resources[-1] |= resource
    (folder / "datapackage.json").write_text(json.dumps({"name": "made-up", "resources": resources}, indent=2) + "\n")
    return folder


def frictionless_problems(folder: Path, whole: Collection[str] = NAMES) -> list[list[str]]:
    """The problems that frictionless finds in a package's tables and their keys, by the columns of the standard.

    whole: the tables that must have all columns; others are checked by those that they have.
    """
    frictionless = pytest.importorskip("frictionless", reason="frictionless is not installed")
    resources = json.loads((folder / "datapackage.json").read_text())["resources"]
    for resource in resources:
        schema = SCHEMAS[resource["name"]]
        if resource["name"] not in whole:
            head = (folder / resource["path"]).read_text().splitlines()[0].split(",")
            schema = {**schema, "fields": [field for field in schema["fields"] if field["name"] in head]}
        resource["schema"] = schema
        del resource["profile"]
    package = frictionless.Package.from_descriptor({"name": "a", "resources": resources}, basepath=str(folder))
    return package.validate().flatten(["type", "note"])


def packed(folder: Path, path: Path, root: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for path_in_folder in sorted(folder.rglob("*")):
            archive.write(path_in_folder, root + path_in_folder.relative_to(folder).as_posix())
    return path


def contents(path: Path) -> dict[str, bytes]:
    """All files of a package by their names."""
    if path.is_dir():
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}


def observations_in(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a package's observations by their ids."""
    text = contents(path)["observations.csv"].decode("utf-8-sig")
    return {row["observationID"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


MADE_UP_DEPLOYMENTS = (
    "deploymentID,locationID,deploymentStart,deploymentEnd\nd1,S1,2024-05-01T00:00:00Z,2024-05-11T00:00:00Z\n"
)
MADE_UP_MEDIA = "mediaID,deploymentID,timestamp,filePath\nm1,d1,2024-05-02T06:00:00Z,S1/a.jpg\n"
MADE_UP_OBSERVATIONS = (
    "observationID,deploymentID,mediaID,eventID,eventStart,observationLevel,observationType,scientificName,count,behavior,"
    "individualID,individualPositionRadius,individualPositionAngle,bboxX,bboxY,bboxWidth,bboxHeight,observationTags\n"
    "o1,d1,m1,e1,2024-05-02T06:00:00Z,media,animal,Vulpes vulpes,1,foraging|running,fox1,4.5,-3,0.1,0.2,0.3,0.4,odd\n"
    # Rows may lack empty cells at their end.
    "o2,d1,,e2,2024-05-02T07:00:00+02:00,event,blank,,,\n"
)
MADE_UP_RESOURCES = [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]


def write_made_up_package(folder: Path, resources: object = MADE_UP_RESOURCES, **tables: str) -> Path:
    """Writes a package of one deployment, one photo and two observations, or of other tables given as texts."""
    folder.mkdir(exist_ok=True)
    (folder / "datapackage.json").write_text(json.dumps({"resources": resources}))
    texts = {"deployments": MADE_UP_DEPLOYMENTS, "media": MADE_UP_MEDIA, "observations": MADE_UP_OBSERVATIONS, **tables}
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return folder
