"""The share on disk: the folder reached through a held descriptor, its index, and the scanner that keeps it true.

In order of import: kernel, place, folder, walk, index, share, settling, hashing, watch, look, scan.
"""
