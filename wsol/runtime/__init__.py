"""Devices, processes, threads, signals and the terminal."""
