"""Programs that simulate: instruments, I/O cards and articles of a rig file on real sockets and buses."""
