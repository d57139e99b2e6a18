"""The report: one self-contained HTML file, a pure function of a run folder.

It is made from a copy of the folder alone: nothing here opens a rig, a bus or an instrument, looks at the clock,
or fetches anything.
"""
