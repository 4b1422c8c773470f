"""The share on disk: the folder reached through a held descriptor, its index, and the scanner that keeps it true.

In order of import: kernel, place, group, identity, folder, neighbours, walk, rows, partial_rows, words, index, share,
small, digesting, settling, hashing, watch, look, scan.
"""
