"""The plant: vehicle and environment. It knows no bus, no article, no test; its door is :mod:`hil.plant.launcher`."""
