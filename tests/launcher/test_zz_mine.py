import pytest
from hil.units import ms, s
AV=pytest.mark.requirement("X")
def state(ascent, gimbals, engines, imus):
    a=ascent.avionics
    return dict(t=round(ascent.t_plus_s(ascent.rig.clock.now),2), err=round(ascent.attitude_error_deg.last.value,2), imu=a.imu_ok.last.value, bus=a.bus_in_use.last.value, mode=a.mode.last.value, lost=a.engines_lost.last.value, gb="".join(g.bus_in_use.last.value for g in gimbals.values()), gs=[g.state.last.value[:2] for g in gimbals.values()], e=[x.last.value for x in (a.error_pitch_deg,a.error_yaw_deg,a.error_roll_deg)], alt=(a.altitude_m.last.value, round(ascent.now("altitude_m"),1)), tvc=round(ascent.now("tvc_energy_rad"),2))
CASES={
 "healthy":[],
 "bus_short":[("bus_a","corrupt",{})],
 "bus_open":[("bus_a","open",{"beyond":"gimbal_1, gimbal_2, gimbal_3, gimbal_4, gimbal_5, gimbal_6, gimbal_7, gimbal_8, gimbal_9"})],
 "beat_a":[("bus_a","drop",{"id":0x080})],
 "imu_dead":[("imu_2","dead",{})],
 "gnss_dead":[("gnss_1","dead",{})],
 "gim_silent":[("bus_a.gimbal_3","silent",{}),("bus_b.gimbal_3","silent",{})],
 "eng_silent":[("bus_a.engine_4","silent",{}),("bus_b.engine_4","silent",{})],
 "imu_frozen":[("imu_1","frozen",{})],
 "imu_flip":[("imu_1","sign_flipped",{})],
 "imu_swap":[("imu_1","swapped",{"axes":"xy"})],
 "two":[("imu_1","offset",{"axis":"y","rate_deg_s":10.}),("imu_2","offset",{"axis":"y","rate_deg_s":10.})],
}
@pytest.mark.parametrize("case",CASES)
def test_m(case, ascent, gimbals, engines, imus, rig, range_safety):
    import time
    t=time.time()
    ascent.fly_to(1*s)
    print(case, "T0", ascent.t0_ns/1e9, state(ascent,gimbals,engines,imus))
    for target,kind,par in CASES[case]: rig.inject(target,kind,**par)
    for k in range(1,9 if case!="two" else 45):
        ascent.fly_to(1*s+k*250*ms+ (0 if k>2 else 0))
        print(state(ascent,gimbals,engines,imus), [g[:8] for g in ["" if range_safety.decisions.last is None else range_safety.decisions.last.value]])
        if range_safety.decisions.last: break
    print("largest", ascent.largest_attitude_error_deg(1*s, 100*s))
    assert ascent.avionics.mode.stays(lambda _: True, for_=100*ms)
