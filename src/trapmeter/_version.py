"""The version of trapmeter, declared once."""

__version__ = "0.1.0"
