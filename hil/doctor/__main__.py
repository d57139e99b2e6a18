"""``python -m hil.doctor RIG``."""

from hil.doctor.commands import doctor

if __name__ == "__main__":
    doctor(prog_name="hil doctor")
