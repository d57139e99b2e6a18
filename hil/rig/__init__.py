"""The rig: a TOML file, checked, becomes the buses, instruments, articles and nets of one bench or simulation."""
