"""Moving files: what is wanted, the pure plan, the workers that carry it out, and the records that survive a restart.

In order of import: meter, bitfield, sources, flights, plan | transfer, transfers, partial, landing | workers, progress,
engine, pull, fetch, job, download | upload, offers, resolve.
"""
