"""The process and its machine: devices, threads, signals, terminal."""
