"""Analog, discrete and load channels at the articles' connectors; one file per kind of card."""
