"""Being in the network: membership at a locator, neighbours, and lookups through them.

In order of import: batches, membership_state, membership | holdings, merging, neighbours, relays, ways, lookup.
"""
