"""Small surveys with a known density: flat files of R, distances.csv with deployments, and Camtrap DPs."""

from __future__ import annotations

import csv
import math
from datetime import datetime, timedelta

import numpy as np

from density.simulated import detected_distances, half_normal
from packages import write_made_up_package

SIGMA_M, RIGHT_M = 4.0, 10.0
EDGES = (0.0, 2.0, 4.0, 6.0, 8.0, RIGHT_M)
"""Cutpoints of these surveys, metres."""


def flat_text(n_stations=12, per_visit=8.0, seed=3, sep=","):
    """A flat file of point transects without detections at the last station; see `true_density`."""
    rng = np.random.default_rng(seed)
    rows = ["Region.Label,Area,Sample.Label,Effort,distance,object"]
    for station in range(n_stations):
        detected = detected_distances(rng, rng.poisson(per_visit), RIGHT_M, half_normal(SIGMA_M))
        detected = detected[:0] if station == n_stations - 1 else detected
        rows += [f"all,1,s{station},1,{r:.3f},{number}" for number, r in enumerate(detected, 1)] or [
            f"all,1,s{station},1,NA,NA"
        ]
    return "\n".join(rows).replace(",", sep) + "\n"


def write_flat(folder):
    path = folder / "flat.csv"
    path.write_text(flat_text())
    return path


def true_density(per_visit=8.0):
    """Animals per km2 of `flat_text`: per_visit / (pi w^2)."""
    return per_visit / (math.pi * RIGHT_M**2) * 1e6


def distances_rows(n_sites=6, n_seconds=40, seed=5, with_draws=True):
    """Rows of distances.csv: one animal a second in one video per site."""
    rng = np.random.default_rng(seed)
    rows = []
    for site in range(n_sites):
        r = detected_distances(rng, 9 * n_seconds, RIGHT_M, half_normal(SIGMA_M))[:n_seconds]
        for second, metres in enumerate(r):
            draws = sorted(metres * np.exp(rng.normal(0, 0.1, 10)))
            row = {
                "media_id": f"S{site}/a.mp4",
                "time_s": f"{second}",
                "animal_id": "1",
                "distance_m": f"{metres:.2f}",
                "low_m": f"{metres / 2:.2f}",
                "high_m": f"{metres * 2:.2f}",
                "site_id": f"S{site}",
                "status": "measured",
            }
            if with_draws:
                row |= {f"q{5 + 10 * number:02d}_m": f"{draw:.2f}" for number, draw in enumerate(draws)}
            rows.append(row)
    return rows


def write_distances_rows(path, rows):
    from trapmeter.tables.distances import COLUMNS, DRAW_COLUMNS

    extra = sorted({name for row in rows for name in row} - {*COLUMNS, *DRAW_COLUMNS})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *DRAW_COLUMNS, *extra], restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def deployments_text(n_sites=7, snapshot_s=1, theta=42, hours=""):
    rows = ["site_id,start,end,theta_deg,snapshot_s,hours"]
    rows += [f"S{site},2024-05-01T00:00:00,2024-05-11T00:00:00,{theta},{snapshot_s},{hours}" for site in range(n_sites)]
    return "\n".join(rows) + "\n"


def write_distances_survey(folder, rows=None, deployments=None):
    """Writes distances.csv and deployments.csv, by default of one animal a second at six of seven sites."""
    folder.mkdir(exist_ok=True)
    (folder / "deployments.csv").write_text(deployments_text() if deployments is None else deployments)
    return write_distances_rows(folder / "distances.csv", distances_rows() if rows is None else rows)


def write_camtrap_dp(folder, n_sites, n_seconds):
    """Writes a package in which animals passed each site for n_seconds; those that were detected have a distance."""
    rng = np.random.default_rng(0)
    rows, deployments = [], []
    for site in range(n_sites):
        deployments.append(f"d{site},S{site},2024-05-01T00:00:00,2024-05-11T00:00:00\n")
        for second, metres in enumerate(detected_distances(rng, n_seconds, RIGHT_M, half_normal(SIGMA_M))):
            time = f"2024-05-02T06:{second // 60:02d}:{second % 60:02d}"
            rows.append(f"o{site}-{second},d{site},m,{time},media,animal,fox,{metres:.2f}\n")
    head = "observationID,deploymentID,mediaID,eventStart,observationLevel,observationType,scientificName,"
    head += "individualPositionRadius\n"
    return write_made_up_package(
        folder,
        deployments="deploymentID,locationID,deploymentStart,deploymentEnd\n" + "".join(deployments),
        media="mediaID,deploymentID,timestamp,filePath\n",
        observations=head + "".join(rows),
    )


def write_photograph_survey(folder, retrigger_s, n_photos=3, spacing_s=1.0, n_sites=12, n_visits=50, seed=4):
    """Writes distances.csv, deployments.csv and media-times.csv of motion-triggered photographs; returns the true density.

    Half of the animals stay for a few seconds, half for a minute, and each is at another distance in each photograph. The
    true density is that of the mean number of detected animals in view at any time.
    """
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    days, start = 20, datetime(2024, 5, 1)
    rows, starts, stays_s = [], ["media_id,start"], 0.0
    for site in range(n_sites):
        comes = np.sort(rng.uniform(0, (days - 1) * 86_400, n_visits))
        ready, number = 0.0, 0
        for come in comes.tolist():
            leave = come + rng.exponential(rng.choice([6.0, 60.0]))
            stays_s += leave - come
            at = max(come, ready)
            while at < leave:
                for shot in range(n_photos):
                    name, when = f"S{site}/{number:05d}.jpg", at + shot * spacing_s
                    is_there = when < leave
                    row = {"media_id": name, "time_s": "0", "site_id": f"S{site}"}
                    metres = detected_distances(rng, 100, RIGHT_M, half_normal(SIGMA_M))[0]
                    seen = {
                        "animal_id": "1",
                        "distance_m": f"{metres:.3f}",
                        "low_m": "0",
                        "high_m": "30",
                        "status": "measured",
                    }
                    rows.append({**row, **seen} if is_there else {**row, "status": "no_animal"})
                    starts.append(f"{name},{(start + timedelta(seconds=when)).isoformat()}")
                    number += 1
                ready = at + (n_photos - 1) * spacing_s + retrigger_s
                at = ready + rng.exponential(1.0)
    (folder / "media-times.csv").write_text("\n".join(starts) + "\n")
    deployments = ["site_id,start,end,theta_deg"]
    deployments += [
        f"S{site},{start.isoformat()},{(start + timedelta(days=days)).isoformat()},42" for site in range(n_sites)
    ]
    (folder / "deployments.csv").write_text("\n".join(deployments) + "\n")
    write_distances_rows(folder / "distances.csv", rows)
    pa = 2 * SIGMA_M**2 / RIGHT_M**2 * (1 - math.exp(-((RIGHT_M / SIGMA_M) ** 2) / 2))
    in_view = stays_s / (n_sites * days * 86_400)
    return in_view / (42 / 360 * math.pi * RIGHT_M**2 * pa) * 1e6
