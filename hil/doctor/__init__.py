"""``hil doctor``: what a bench is before anything is energised; every failure names its remedy."""
