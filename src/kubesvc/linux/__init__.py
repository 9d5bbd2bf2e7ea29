"""The kernel: every system call and subprocess of kubesvc is in this package."""
