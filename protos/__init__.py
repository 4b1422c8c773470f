"""The protocols: what two ends must agree on, and nothing else.

`locator.proto` and its stubs (gRPC), `tokens` (what a request carries to prove who sends it), `names` (what a
file may be called), `addresses` (what a peer may be asked to connect to), `settings` (what the settings of all tiers
have in common). The tiers meet here and over REST; none imports another.
"""
