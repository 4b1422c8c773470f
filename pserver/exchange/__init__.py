"""Moving files: what is wanted, the pure plan, the workers that carry it out, and the records that survive a restart.

In order of import: meter, bottleneck, bitfield, swarm, sources, asks, board, flights, crowd, plan | transfer,
item_rows, transfers, partial, serving, landing, landing_group | given, workers, throttle, progress, engine, failures,
news, pull, fetch, suppliers, bundle_call, bundles, job, download | upload, offers, resolve, links.
"""
