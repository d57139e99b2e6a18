"""Evidence: everything measured, as an append-only, hash-chained record in one run folder.

What the folder holds, and who writes it:

==================  ==========================================================================================
``events.jsonl``    one document a line, each with the hash of the line before; virtual time only
``can/BUS.log``     raw bus traffic of all tests, in plan order; world time starts at 0 for every test
``scpi/NAME.log``   instrument transcripts, likewise
``signals/X.npy``   samples of the signals that tests asked about, a numpy block per test, likewise
``coverage/``       what tests reached of RTL code and of cover points, see :mod:`hil.evidence.coverage`
``identity.json``   what differs from run to run: wall stamps, host, versions, paths, git, instruments
``manifest.json``   sha256 of every file, head of the chain, counts; without it the run is INCOMPLETE
``report.html``     a product of the rest, made again by ``hil report``; not evidence, so not in the manifest
``parts/``          segments, one per test and attempt, in a file per process; raw logs in a folder per attempt;
                    until :func:`hil.evidence.finalise.finalise` joins them
==================  ==========================================================================================

The chain shows every edit, cut, swap and truncation made after the run by somebody who does not recompute it.
Until runs are signed, nothing here can show that somebody edited a document and then hashed the whole folder
again; the head hash in a printed, signed report is what such an edit would have to match.
"""
