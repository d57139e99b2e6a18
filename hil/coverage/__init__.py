"""Coverage: which parts of a design's RTL the tests reached, and which of the situations they were meant to reach.

Pure functions of files and counts; nothing here knows a run folder, a rig or a simulator.

=================  ================================================================================================
``bins``           cover points, their bins and crosses: the same class on the bench and inside a simulator; stdlib
                   only, since a simulator's process imports it
``model``          the TOML file that declares them, and what hits come to
``dat``            the file that Verilator writes when a simulation ends
``points``         the points of a design as a table that is stored once, and a simulation's counts against it
``sources``        HDL text: its lines, their hashes, the modules (blocks) they belong to, and what hides some of it
``elements``       lines, branches, toggles and cover statements with the hits of all tests together
``goals``          the ``[coverage]`` table of an RTL file
``waivers``        the list of justified gaps, and what makes one of them stale
``judge``          figures per block before and after waivers, against the goals
=================  ================================================================================================
"""
