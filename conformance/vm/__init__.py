"""A real Linux guest on QEMU with the agent in it: its image, the machine, and the host's end of its vsock device."""
