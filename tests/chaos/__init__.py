"""Kills, full disks and read errors at every file operation of the program (`make chaos`)."""
