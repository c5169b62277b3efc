"""Twelve rendered clips with exact distances, a small network, and every way to a distance run over them."""
