from hil.signal import HIGH
from hil.units import ms
def test_arm(fts, uplink, measure, rig):
    """ARM."""
    edge = uplink.send("ARM", level_dbm=-107.0)
    armed = fts.arm_output.expect(HIGH, within=100*ms)
    measure("fts.response_time", (armed.at-edge.at)/ms, "ms")
