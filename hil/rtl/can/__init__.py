"""A CAN controller in RTL on a simulated bus: the host's side, the words between, and the rest of the bus."""
