"""Clients of what is elsewhere: of other peers (HTTP) and of the locator (gRPC). Foreign errors become ours here.

In order of import: json_fields, lookup_json, bundle_frames, swarm_messages, short_ask, peer_http, reading, peers |
locator_messages, locator_tls, locator_client, account_client.
"""
