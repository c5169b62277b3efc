"""Registration by matched features, to compare `registration.py` with: SIFT or ORB, and a robust homography."""

from __future__ import annotations

import cv2
import numpy as np

from trapmeter.camera.homography import Homography
from trapmeter.records import Pixels

MIN_MATCHES = {"SIFT, MAGSAC++": 13, "ORB, RANSAC": 10}
"""Inliers from which the other methods accept: the fewest with at most 1 % of other sites of the training split."""


def match_features(reference: Pixels, view: Pixels, method: str) -> tuple[Homography | None, int]:
    """The homography from matched features, and the number of inliers; SIFT with local contrast and without the strips."""
    if method == "ORB, RANSAC":
        detector, norm, robust, prepare = cv2.ORB_create(2000), cv2.NORM_HAMMING, cv2.RANSAC, None
    else:
        detector, norm, robust = cv2.SIFT_create(2000), cv2.NORM_L2, cv2.USAC_MAGSAC
        prepare = cv2.createCLAHE(3.0, (8, 8))
    keypoints, descriptors = [], []
    for picture in (reference, view):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        mask = np.full(grey.shape, 255, np.uint8)
        if prepare is not None:
            grey = prepare.apply(grey)
            mask[: round(0.08 * len(mask))] = mask[-round(0.1 * len(mask)) :] = 0
        points, described = detector.detectAndCompute(grey, mask)
        keypoints.append(np.array([point.pt for point in points]).reshape(-1, 2))
        descriptors.append(described)
    if any(described is None or len(described) < 8 for described in descriptors):
        return None, 0
    matches = cv2.BFMatcher(norm).knnMatch(*descriptors, k=2)
    good = [first for first, second in matches if first.distance < 0.8 * second.distance]
    if len(good) < 4:
        return None, len(good)
    first = keypoints[0][[match.queryIdx for match in good]]
    second = keypoints[1][[match.trainIdx for match in good]]
    in_px, inliers = cv2.findHomography(first, second, robust, 3.0, maxIters=5000, confidence=0.999)
    n_inliers = 0 if inliers is None else int(inliers.sum())
    if in_px is None or n_inliers < MIN_MATCHES[method]:
        return None, n_inliers
    sizes = [np.array([[p.shape[1], 0, -0.5], [0, p.shape[0], -0.5], [0, 0, 1.0]]) for p in (reference, view)]
    return np.linalg.inv(sizes[1]) @ in_px @ sizes[0], n_inliers
