"""The pytest plugin; inert without ``--rig``."""
