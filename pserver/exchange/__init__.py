"""Moving files: what is wanted, the pure plan, the workers that carry it out, and the records that survive a restart.

In order of import: meter, bottleneck, bitfield, swarm, sources, asks, board, flights, crowd, standstill, plan |
transfer, item_rows, placed_rows, transfers, partial, proofs, serving, landing, landing_group | given, quota, workers,
tally, throttle, progress, engine, failures, news, pull, fetch, suppliers, bundle_call, bundles, job, download | grants,
latest_word, placements, asking, upload, incoming, offers, resolve, links.
"""
