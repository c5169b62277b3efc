"""Surveys: stations with their effort and detections, read from each supported format."""
