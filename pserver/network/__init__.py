"""Being in the network: membership at a locator, people's accounts there, neighbours, and lookups through them.

In order of import: batches, membership_actions, membership_state, membership | sessions, accounts, orders | targets |
holdings, merging, neighbours, relays, ways, lookup.
"""
