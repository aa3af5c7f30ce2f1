"""The version, apart from the package so that building needs no import."""

__version__ = "0.1.0"
