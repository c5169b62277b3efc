"""Detects animals in pictures and tracks them from second to second."""
