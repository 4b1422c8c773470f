"""A running peer: its listeners and its address, how it is and who is told, its parts put together, and `--check`.

In order of import: outward, here, listening, client_access, wellbeing | doctor, metrics | wiring, process | check.
"""
